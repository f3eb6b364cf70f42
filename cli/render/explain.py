"""Print the explanation of one person."""

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.table import Table

from cli.render.run import make_table
from cli.safe_text import styled
from connectors import crm_label
from models import Rows

if TYPE_CHECKING:
    from analysis.explain import Receipt


MAX_CONTRIBUTIONS = 15
"""Rows of events in the table; the others are one row."""


def show_receipt(receipt: "Receipt", console: Console) -> None:
    """Print one person's receipt."""
    answer = receipt.lifecycle
    console.print(
        styled(
            (receipt.label, "bold cyan"),
            f" since {answer['stage_since']:%Y-%m-%d}, {answer['status']}",
            (f"   {receipt.person_id} as of {answer['as_of']:%Y-%m-%d %H:%M} UTC", "dim"),
        )
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    for name, text in _summary_rows(receipt):
        facts.add_row(name, text)
    console.print(facts)
    console.print()
    console.print(_score(receipt))
    if receipt.criteria:
        console.print(_criteria(receipt))
    console.print(_stage_history(receipt))
    console.print()


def _summary_rows(receipt: "Receipt") -> Iterator[tuple[str, RenderableType]]:
    answer = receipt.lifecycle
    yield "reason", Group(*_reason_lines(receipt.reasons))
    if receipt.disqualified:
        conditions = (f"{row['text']} since {row['at']:%Y-%m-%d}" for row in receipt.disqualified)
        yield "disqualified", "; ".join(conditions)
    yield "next action", _next_action(answer)
    if receipt.missing:
        yield "next stage", receipt.missing
    if receipt.unknown:
        yield (
            "unknown",
            f"no value known on {answer['as_of']:%Y-%m-%d}: {', '.join(receipt.unknown)}",
        )
    yield "records", ", ".join(map(_record, receipt.records)) or "no record left"


def _reason_lines(reasons: Rows) -> Iterator[RenderableType]:
    for reason in reasons:
        yield f"{reason['text']} on {reason['at']:%Y-%m-%d}"
        for event in reason["events"]:
            left = f", {event['left']:.2f} points then" if "left" in event else ""
            line = f"  {event['kind']} {event['at']:%Y-%m-%d %H:%M}{left} ({_record(event)})"
            yield styled(line, style="dim")
    if not reasons:
        yield "no activity yet"


def _next_action(answer: dict[str, Any]) -> str:
    due = answer["follow_up_due"]
    until = f", by {due:%Y-%m-%d %H:%M} UTC" if due else ""
    pressed = (
        f"; {answer['touches']} outbound touches since the last activity"
        if answer["touches"]
        else ""
    )
    reach = "" if answer["contactable"] else "; not contactable"
    return f"{answer['next_action']}{until}{pressed}{reach}"


def _record(row: dict[str, Any]) -> str:
    aside = " (converted)" if row.get("read_only") else ""
    return f"{crm_label(row['crm'])} {row['object']} {row['record_id']}{aside}"


def _score(receipt: "Receipt") -> Table:
    answer = receipt.lifecycle
    table = make_table(f"Score {answer['score']:.2f}", "event", "on", "points >", "left now >")
    daily = groupby(receipt.contributions, key=lambda row: (f"{row['at']:%Y-%m-%d}", row["kind"]))
    lines = [(on, kind, list(same)) for (on, kind), same in daily]
    shown_lines = [line for line in lines if _points_left(line[2])][:MAX_CONTRIBUTIONS]
    for on, kind, same in shown_lines:
        times = f"{len(same)} x " if len(same) > 1 else ""
        table.add_row(times + kind, on, f"{same[0]['points']:g}", f"{_points_left(same):.2f}")
    if rest := [row for line in lines if line not in shown_lines for row in line[2]]:
        table.add_row(f"{len(rest)} older events", "", "", f"{_points_left(rest):.2f}", style="dim")
    for row in receipt.fit:
        table.add_row(f"fit: {row['text']}", "", f"{row['points']:g}", f"{row['left']:.2f}")
    table.add_section()
    table.add_row(f"grade {answer['grade']}", "", "", f"{answer['score']:.2f}", style="bold")
    return table


def _points_left(rows: Rows) -> float:
    return float(sum(row["left"] for row in rows))


def _criteria(receipt: "Receipt") -> Table:
    met = sum(row["met"] for row in receipt.criteria)
    title = f"{receipt.framework}: {met} of {len(receipt.criteria)} met"
    table = make_table(title, "criterion", "met", "rule", "now")
    for row in receipt.criteria:
        since = f"since {row['since']:%Y-%m-%d}" if row["met"] else "no"
        table.add_row(
            row["name"], since, row["rule"], row["now"], style=None if row["met"] else "dim"
        )
    return table


def _stage_history(receipt: "Receipt") -> RenderableType:
    steps = (f"{row['stage']} {row['entered_at']:%Y-%m-%d}" for row in receipt.history)
    return styled(("Stage history", "bold"), "  ", " > ".join(steps))
