"""Print the journal: the last runs, open issues, the changes of one person."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding

from cli.render.run import WIDE_CONSOLE, api_budget_lines, format_count, make_table, object_label
from cli.safe_text import styled
from models import STATUSES, Rows

if TYPE_CHECKING:
    from warehouse.status import Status


def show_status(status: "Status", console: Console) -> None:
    """Print the last runs and the open issues of the newest one."""
    if not status.runs:
        console.print("No run yet: `python sync.py plan` makes the first, and writes nothing.")
        return
    words = STATUSES if console.width >= WIDE_CONSOLE else STATUSES[:3]
    table = make_table(
        "Last runs", "run", "status", "took >", *(f"{w} >" for w in words), "calls >"
    )
    table.columns[0].no_wrap = True
    for run in status.runs:
        counts = (run["records"].get(word, 0) for word in words)
        table.add_row(
            run["run_id"],
            run["status"],
            f"{run['seconds']:.0f} s",
            *map(format_count, counts),
            format_count(run["calls"]),
        )
    console.print(table)
    if status.quota:
        console.print()
        console.print(api_budget_lines(status.quota))
    if status.open_issues:
        console.print()
        console.print(styled("Needs attention", style="bold"))
        for row in status.open_issues:
            console.print(Padding(f"- {_issue_line(row)}", (0, 0, 0, 2)))


def _issue_line(row: dict[str, Any]) -> str:
    """One cause as a sentence: "318 records: HubSpot contacts.x rejected `Partner` (CODE): map it".

    What is held for no field in particular has none.
    """
    place = f"{object_label(row)}.{row['field']}" if row["field"] else object_label(row)
    what = f"{row['status']}, {row['reason']}"
    if row["reason"] == "refused":
        what = f"rejected `{row['word']}`" if row["word"] else "rejected the value"
        what += f" ({row['error_code']})" if row["error_code"] else ""
    count = f"{row['records']:,} record{'' if row['records'] == 1 else 's'}"
    return f"{count}: {place} {what}: {row['fix']}"


def show_absences(rows: Rows, console: Console) -> None:
    """Print what a CRM no longer shows, by object."""
    if not rows:
        console.print("Every CRM shows all records that it showed before.")
        return
    table = make_table("Absent records", "object", "records >", "absent since", "evidence")
    for row in rows:
        table.add_row(
            object_label(row),
            format_count(row["records"]),
            f"{row['absent_since']:%Y-%m-%d %H:%M}",
            row["evidence"] or "none",
        )
    console.print(table)


def show_changes(rows: Rows, console: Console) -> None:
    """Print what was written about one person, newest first."""
    if not rows:
        console.print("No changes written for this person.")
        return
    table = make_table("Written", "at", "where", "field", "from", "to", "outcome")
    if console.width >= WIDE_CONSOLE:
        table.add_column("reason", style="dim")
    for row in rows:
        why = (row["reason"],) if console.width >= WIDE_CONSOLE else ()
        table.add_row(
            f"{row['at']:%Y-%m-%d %H:%M}",
            f"{object_label(row)} {row['record_id']}",
            row["field"],
            row["before"] or "(empty)",
            row["after"] or "(cleared)",
            row["error_code"] or row["status"],
            *why,
        )
    console.print(table)
