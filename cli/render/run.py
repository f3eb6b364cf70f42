"""What people see: plans, accounts and receipts as tables."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from analysis.run_report import Report, Rows
from models import crm_name

WIDE = 110
"""From so many characters on there is room for reasons."""

ASIDES = ("recycled", "disqualified")
"""The statuses that are counted beside the stages."""

MOVES = 12


def show(report: Report, console: Console) -> None:
    """Print a report for people."""
    console.print(_heading(report))
    for part in _parts(report, is_wide=console.width >= WIDE):
        console.print(part)
        console.print()


def _parts(report: Report, *, is_wide: bool) -> Iterator[RenderableType]:
    if report.labels and not report.people:
        yield Text("Both CRMs are empty: nobody to decide about, nothing to write.")
    if report.stages:
        yield stage_table(report.labels, report.said, report.stages)
    if report.moves:
        yield _moves(report, is_wide=is_wide)
    for rows, part in (
        (report.writes, _writes),
        (report.left, _left_alone),
        (report.records, _records),
        (report.guard, _guard),
        (report.run.counts.get("quota"), _quota),
        (report.unread, _unread),
        (report.findings, _findings),
    ):
        if rows:
            yield part(report)
    yield _calls(report)


def _findings(report: Report) -> RenderableType:
    return Group(Text("Worth a look", style="bold"), *(Text(f"- {f}") for f in report.findings))


def _heading(report: Report) -> Text:
    words = {
        "planned": "planned: nothing was written",
        "stopped": "stopped by the guard: nothing was written",
        "done": "done",
        "running": "under way",
        "broken off": "broken off",
    }
    run = report.run
    return Text.assemble(
        ("Run ", "bold"),
        (run.run_id, "bold cyan"),
        f"  {words[run.status]}  ",
        (f"definition {run.definition_id}", "dim"),
        "\n",
    )


def stage_table(
    labels: dict[str, str], said: Rows, stages: Rows, *, title: str = "People per stage"
) -> Table:
    """People per stage: what each CRM says, what the definition says, and who of these is quiet."""
    crms = list(dict.fromkeys(row["crm"] for row in said))
    heads = (f"{crm_name(crm)} >" for crm in crms)
    table = grid(title, "stage", *heads, "onefunnel >", *(f"{word} >" for word in ASIDES))
    shown = {(row["crm"], row["stage"]): row["people"] for row in said}
    for stage, label in labels.items():
        mine = {row["status"]: row["people"] for row in stages if row["stage"] == stage}
        counts = [shown.get((crm, stage), 0) for crm in crms]
        asides = [mine.get(word, 0) for word in ASIDES]
        table.add_row(label, *map(figure, [*counts, sum(mine.values()), *asides]))
    if any((crm, None) in shown for crm in crms):
        blank = (figure(shown.get((crm, None), 0)) for crm in crms)
        table.add_row("(none of these)", *blank, style="dim")
    return table


def unknown_line(unknown: dict[str, int]) -> Text:
    """How many people lack which field, because nobody can tell what it held then."""
    counts = ", ".join(f"{field} of {people:,}" for field, people in unknown.items())
    return Text(f"Not known of that time, and left empty: {counts} people")


def _moves(report: Report, *, is_wide: bool) -> Table:
    table = grid("Stage changes", "where", "from", "to", "records >")
    if is_wide:
        table.add_column("most often because", style="dim", overflow="ellipsis", no_wrap=True)
    for row in report.moves[:MOVES]:
        why = (row["why"],) if is_wide else ()
        to = row["before"] or "(empty)", row["after"] or "(cleared)"
        table.add_row(where(row), *to, figure(row["records"]), *why)
    if rest := report.moves[MOVES:]:
        records = sum(row["records"] for row in rest)
        table.add_row(f"and {len(rest)} more", "", "", figure(records), style="dim")
    return table


def _writes(report: Report) -> Table:
    table = grid("Fields to write", "where", "field", "set >", "cleared >")
    for row in report.writes:
        table.add_row(where(row), row["field"], figure(row["set"]), figure(row["cleared"]))
    return table


def _left_alone(report: Report) -> Table:
    table = grid("Wrong, and left alone", "where", "field", "why", "records >")
    for row in report.left:
        table.add_row(where(row), row["field"], row["hold"], figure(row["records"]))
    return table


def _records(report: Report) -> Table:
    table = grid("Every record accounted for", "CRM", "outcome", "why", "records >")
    for row in report.records:
        name = crm_name(row["crm"])
        table.add_row(name, row["status"], row["reason"], figure(row["records"]))
    table.add_section()
    for crm in dict.fromkeys(row["crm"] for row in report.records):
        total = sum(row["records"] for row in report.records if row["crm"] == crm)
        table.add_row(crm_name(crm), "all", "", figure(total), style="bold")
    return table


def _guard(report: Report) -> RenderableType:
    is_stopped = report.run.status == "stopped"
    title = "The guard stopped this plan" if is_stopped else "The guard lets it through"
    lines = [
        Text(f"- {crm_name(one.crm)}: {one.told}", style="yellow" if one.is_stopped else "")
        for one in report.guard
    ]
    if is_stopped:
        lines.append(Text(f"Look at it, then: python sync.py apply {report.run.run_id}"))
    return Group(Text(title, style="bold yellow" if is_stopped else "bold"), *lines)


def _quota(report: Report) -> RenderableType:
    return calls_left(report.run.counts["quota"])


def calls_left(quota: dict[str, Any]) -> RenderableType:
    """The calls a plan needs, the calls left, and what has to wait for the next run."""
    return Group(Text("Calls", style="bold"), *_told_of_calls(quota))


def _told_of_calls(quota: dict[str, Any]) -> Iterator[Text]:
    for crm, one in quota.items():
        told = f"- {crm_name(crm)}: {one['needed']:,} to write"
        if one["left"] is None:
            told += "; it does not tell how many are left"
        else:
            told += f"; {one['left']:,} left of the day"
            told += f", {one['reserve']:,} of them for others" if one["reserve"] else ""
        if (late := one["records"] - one["affordable"]) > 0:
            told += f": {late:,} records have to wait"
        yield Text(told)


def _unread(report: Report) -> Table:
    table = grid("Pulled, but no event", "what", "no rule fits >", "no date >", "nobody known >")
    for row in report.unread:
        counts = (row["without_rule"], row["without_date"], row["without_person"])
        table.add_row(f"{crm_name(row['crm'])} {row['source_object']}", *map(figure, counts))
    return table


def _calls(report: Report) -> RenderableType:
    lines = [
        f"{crm_name(crm)}: {sum(kinds.values()):,} calls"
        + "".join(f", {count:,} {kind}" for kind, count in sorted(kinds.items()))
        for crm, kinds in report.run.calls.items()
    ]
    waited = report.run.waited_seconds
    took = (report.run.ended_at or report.run.started_at) - report.run.started_at
    waiting = f", {waited:.1f} s of it waiting" if waited else ""
    lines.append(f"{took.total_seconds():.1f} s{waiting}")
    return Text("\n".join(lines), style="dim")


def grid(title: str, *columns: str) -> Table:
    """A table with a title on the left; a column that ends with > stands to the right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in columns:
        justify: JustifyMethod = "right" if name.endswith(">") else "left"
        table.add_column(name.rstrip(" >"), justify=justify)
    return table


def where(row: dict[str, Any]) -> str:
    """Name the CRM and the object of a row."""
    return f"{crm_name(row['crm'])} {row['object']}"


def figure(number: int) -> str:
    """A count as people read it; a dash for none."""
    return f"{number:,}" if number else "-"
