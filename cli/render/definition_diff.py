"""Print a definition diff as tables."""

from collections.abc import Iterator
from itertools import islice

from rich.console import Console, Group, RenderableType
from rich.table import Table

from analysis.definition_diff import DefinitionDiff
from cli.render.backtest import format_percent
from cli.render.run import WIDE_CONSOLE, format_count, make_table
from cli.safe_text import styled
from connectors import crm_label

MAX_FLOWS = 15
MAX_PEOPLE = 12


def show_difference(difference: DefinitionDiff, console: Console) -> None:
    """Print a difference for people."""
    console.print(_heading(difference))
    for part in _sections(difference, is_wide=console.width >= WIDE_CONSOLE):
        console.print(part)
        console.print()


def _heading(difference: DefinitionDiff) -> RenderableType:
    ours, theirs = (
        f"{name} ({id})"
        for name, id in zip((difference.ours, difference.theirs), difference.ids, strict=True)
    )
    return Group(
        styled(("Diff ", "bold"), (f"{ours} to {theirs}", "bold cyan")),
        f"{difference.moved:,} of {difference.people:,} people change stage "
        f"({format_percent(difference.share)}), with the data of "
        f"{difference.as_of:%Y-%m-%d %H:%M} UTC. Nothing was written.",
        "",
    )


def _sections(difference: DefinitionDiff, *, is_wide: bool) -> Iterator[RenderableType]:
    if difference.flows:
        yield _flows(difference)
        yield _sample(difference, is_wide=is_wide)
    yield _work(difference)
    yield _writes(difference, is_wide=is_wide)


def _flows(difference: DefinitionDiff) -> Table:
    table = make_table("Stage changes", "from", "to", "people >", "share >")
    for row in difference.flows[:MAX_FLOWS]:
        table.add_row(
            difference.stage_label(row["stage"], row["status"]),
            difference.stage_label(row["stage_to"], row["status_to"]),
            format_count(row["people"]),
            format_percent(row["people"] / difference.people),
        )
    if rest := difference.flows[MAX_FLOWS:]:
        people = sum(row["people"] for row in rest)
        table.add_row(f"and {len(rest)} more", "", format_count(people), "", style="dim")
    return table


def _sample(difference: DefinitionDiff, *, is_wide: bool) -> Table:
    """Some of them, the largest flows first."""
    order = [(r["stage"], r["status"], r["stage_to"], r["status_to"]) for r in difference.flows]
    sample = sorted(
        difference.sample,
        key=lambda r: order.index((r["stage"], r["status"], r["stage_to"], r["status_to"])),
    )
    records = ["records"] if is_wide else []
    table = make_table("Examples (see `explain ID`)", "person", *records, "from", "to")
    table.columns[0].overflow = "fold"
    for row in islice(sample, MAX_PEOPLE):
        table.add_row(
            row["person_id"],
            *([", ".join(row["records"])] if is_wide else []),
            _stage_with_reasons(
                difference.stage_label(row["stage"], row["status"]), row["reasons"]
            ),
            _stage_with_reasons(
                difference.stage_label(row["stage_to"], row["status_to"]), row["reasons_to"]
            ),
        )
    return table


def _stage_with_reasons(place: str, reasons: str) -> RenderableType:
    return Group(styled(place, style="bold"), *([reasons] if reasons else []))


def _work(difference: DefinitionDiff) -> Table:
    table = make_table(
        "Follow-ups and next actions", "", f"{difference.ours} >", f"{difference.theirs} >"
    )
    for row in difference.follow_ups:
        label = difference.labels.get(row["stage"], row["stage"])
        rates = (f"{row[side]:.1f}" for side in ("before", "after"))
        table.add_row(f"follow-ups a week: {label}", *rates)
    table.add_row(
        "follow-ups a week",
        *(f"{rate:.1f}" for rate in difference.follow_ups_per_week),
        style="bold",
    )
    waiting = (sum(row[side] for row in difference.actions) for side in ("due", "due_to"))
    table.add_row("open follow-ups", *map(format_count, waiting))
    table.add_section()
    for row in difference.actions:
        table.add_row(
            f"people: {row['next_action']}", format_count(row["before"]), format_count(row["after"])
        )
    return table


def _writes(difference: DefinitionDiff, *, is_wide: bool) -> Table:
    fields = ["fields"] if is_wide else []
    columns = ("where", "records >", "differing >", "estimated API calls >", *fields)
    table = make_table("Records to write", *columns)
    for row in difference.writes:
        counts = (f"{name} {count:,}" for name, count in row["fields"].items() if count)
        table.add_row(
            f"{crm_label(row['crm'])} {row['object']}",
            format_count(row["records"]),
            format_count(row["differing"]),
            format_count(row["calls"]),
            *([", ".join(counts)] if is_wide else []),
        )
    return table
