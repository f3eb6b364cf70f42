"""Print the report of a run as tables."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table

from cli.safe_text import styled
from connectors import crm_label
from models import Rows

if TYPE_CHECKING:
    from analysis.run_report import Report


WIDE_CONSOLE = 110
"""The console width in characters from which on reasons are shown."""

SIDE_STATUSES = ("recycled", "disqualified")
"""The statuses that are counted beside the stages."""

MAX_STAGE_CHANGES = 12


def show_report(report: "Report", console: Console) -> None:
    """Print a report for people."""
    console.print(_heading(report))
    for part in _sections(report, is_wide=console.width >= WIDE_CONSOLE):
        console.print(part)
        console.print()


def _sections(report: "Report", *, is_wide: bool) -> Iterator[RenderableType]:
    if report.labels and not report.people:
        yield styled("Both CRMs returned no contacts: nothing to compute, nothing to write.")
    if report.stages:
        yield stage_table(report.labels, report.crm_stages, report.stages)
    if report.stage_changes:
        yield _stage_changes(report, is_wide=is_wide)
    for rows, part in (
        (report.field_changes, _field_changes),
        (report.withheld, _withheld),
        (report.records, _outcomes),
        (report.guard, _guard),
        (report.run.counts.get("quota"), _quota),
        (report.unmatched_rows, _unmatched_rows),
        (report.unknown_names, _unknown_names),
        (report.warnings, _warnings),
    ):
        if rows:
            yield part(report)
    yield _calls(report)


def _warnings(report: "Report") -> RenderableType:
    return Group(styled("Warnings", style="bold"), *(styled(f"- {f}") for f in report.warnings))


def _heading(report: "Report") -> RenderableType:
    words = {
        "planned": "planned: nothing was written",
        "stopped": "stopped by the guard: nothing was written",
        "done": "done",
    }
    run = report.run
    what = f"applied the plan of {run.plan_run_id}" if run.plan_run_id else words[run.status]
    heading = styled(
        ("Run ", "bold"),
        (run.run_id, "bold cyan"),
        f"  {what}  ",
        (f"definition {run.definition_id}", "dim"),
    )
    return Group(heading, "")


def stage_table(
    labels: dict[str, str], crm_stages: Rows, stages: Rows, *, title: str = "People per stage"
) -> Table:
    """People per stage: what each CRM says, what the definition says, and who of these is quiet."""
    crms = list(dict.fromkeys(row["crm"] for row in crm_stages))
    heads = (f"{crm_label(crm)} >" for crm in crms)
    table = make_table(
        title, "stage", *heads, "onefunnel >", *(f"{word} >" for word in SIDE_STATUSES)
    )
    people_by_stage = {(row["crm"], row["stage"]): row["people"] for row in crm_stages}
    for stage, label in labels.items():
        people_by_status = {row["status"]: row["people"] for row in stages if row["stage"] == stage}
        counts = [people_by_stage.get((crm, stage), 0) for crm in crms]
        asides = [people_by_status.get(word, 0) for word in SIDE_STATUSES]
        table.add_row(label, *map(format_count, [*counts, sum(people_by_status.values()), *asides]))
    if any((crm, None) in people_by_stage for crm in crms):
        blank = (format_count(people_by_stage.get((crm, None), 0)) for crm in crms)
        table.add_row("(other or none)", *blank, style="dim")
    return table


def unknown_fields_line(unknown: dict[str, int]) -> str:
    """How many people lack which field, because it has no historical value."""
    counts = ", ".join(f"{field} of {people:,}" for field, people in unknown.items())
    return f"No historical value (treated as empty): {counts} people"


def _stage_changes(report: "Report", *, is_wide: bool) -> Table:
    table = make_table("Stage changes", "where", "from", "to", "records >")
    if is_wide:
        table.add_column("most frequent reason", style="dim", overflow="ellipsis", no_wrap=True)
    for row in report.stage_changes[:MAX_STAGE_CHANGES]:
        why = (row["why"],) if is_wide else ()
        to = row["before"] or "(empty)", row["after"] or "(cleared)"
        table.add_row(object_label(row), *to, format_count(row["records"]), *why)
    if rest := report.stage_changes[MAX_STAGE_CHANGES:]:
        records = sum(row["records"] for row in rest)
        table.add_row(f"and {len(rest)} more", "", "", format_count(records), style="dim")
    return table


def _field_changes(report: "Report") -> Table:
    table = make_table("Fields to write", "where", "field", "set >", "cleared >")
    for row in report.field_changes:
        table.add_row(
            object_label(row), row["field"], format_count(row["set"]), format_count(row["cleared"])
        )
    return table


def _withheld(report: "Report") -> Table:
    table = make_table("Differences not written", "where", "field", "why", "records >")
    for row in report.withheld:
        table.add_row(
            object_label(row), row["field"], row["hold_reason"], format_count(row["records"])
        )
    return table


def _outcomes(report: "Report") -> Table:
    table = make_table("Outcome per record", "CRM", "outcome", "why", "records >")
    for row in report.records:
        name = crm_label(row["crm"])
        table.add_row(name, row["status"], row["reason"], format_count(row["records"]))
    table.add_section()
    for crm in dict.fromkeys(row["crm"] for row in report.records):
        total = sum(row["records"] for row in report.records if row["crm"] == crm)
        table.add_row(crm_label(crm), "all", "", format_count(total), style="bold")
    return table


def _guard(report: "Report") -> RenderableType:
    is_stopped = any(one.is_stopped for one in report.guard)
    title = "Guard: within limits"
    if any(one.is_allowed_first_write for one in report.guard):
        title = "Guard: the first write was allowed, no limit was checked"
    if is_stopped:
        word = "stopped" if report.run.status == "stopped" else "would stop"
        title = f"Guard {word} the plan"
    lines = [
        styled(f"- {crm_label(one.crm)}: {one.summary}", style="yellow" if one.is_stopped else "")
        for one in report.guard
    ]
    if is_stopped:
        lines.append(styled(f"Review the plan, then run: python sync.py apply {report.run.run_id}"))
    return Group(styled(title, style="bold yellow" if is_stopped else "bold"), *lines)


def _quota(report: "Report") -> RenderableType:
    return api_budget_lines(report.run.counts["quota"])


def api_budget_lines(quota: dict[str, Any]) -> RenderableType:
    """The calls a plan needs, the calls left, and what has to wait for the next run."""
    return Group(styled("API calls", style="bold"), *_budget_lines(quota))


def _budget_lines(quota: dict[str, Any]) -> Iterator[str]:
    for crm, one in quota.items():
        line = f"- {crm_label(crm)}: {one['needed']:,} to write"
        if one["remaining"] is None:
            line += "; daily limit unknown"
        else:
            line += f"; {one['remaining']:,} left today"
            line += f" ({one['reserve']:,} reserved)" if one["reserve"] else ""
        if (late := one["records"] - one["max_records"]) > 0:
            line += f": {late:,} records deferred to the next run"
        yield line


def _unmatched_rows(report: "Report") -> Table:
    table = make_table(
        "Activities not counted", "object", "no rule >", "no timestamp >", "no person >"
    )
    for row in report.unmatched_rows:
        counts = (row["without_rule"], row["without_date"], row["without_person"])
        table.add_row(f"{crm_label(row['crm'])} {row['source_object']}", *map(format_count, counts))
    return table


def _unknown_names(report: "Report") -> Table:
    table = make_table(
        "Names that no list of words knows", "object", "name", "counted as", "rows >"
    )
    for row in report.unknown_names:
        place = f"{crm_label(row['crm'])} {row['source_object']}"
        table.add_row(place, styled(row["name"]), row["kind"], format_count(row["rows"]))
    return table


def _calls(report: "Report") -> RenderableType:
    lines = [
        f"{crm_label(crm)}: {sum(kinds.values()):,} calls"
        + "".join(f", {count:,} {kind}" for kind, count in sorted(kinds.items()))
        for crm, kinds in report.run.calls.items()
    ]
    waited = report.run.waited_seconds
    took = (report.run.ended_at or report.run.started_at) - report.run.started_at
    waiting = f", {waited:.1f} s of it waiting" if waited else ""
    lines.append(f"{took.total_seconds():.1f} s{waiting}")
    return Group(*(styled(line, style="dim") for line in lines))


def make_table(title: str, *columns: str) -> Table:
    """A table with a title on the left; a column that ends with " >" stands to the right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in columns:
        justify: JustifyMethod = "right" if name.endswith(" >") else "left"
        table.add_column(name.removesuffix(" >"), justify=justify)
    return table


def object_label(row: dict[str, Any]) -> str:
    """Name the CRM and the object of a row."""
    return f"{crm_label(row['crm'])} {row['object']}"


def format_count(number: int) -> str:
    """A count as people read it; a dash for none."""
    return f"{number:,}" if number else "-"
