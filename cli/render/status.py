"""Print the journal: the last success, what failed since, the last runs, open issues."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table

from cli.render.run import WIDE_CONSOLE, api_budget_lines, format_count, make_table, object_label
from cli.safe_text import styled
from models import STATUSES, Rows

if TYPE_CHECKING:
    from warehouse.status import Status

MAX_FAILURES = 5
"""The number of failures since the last success that are shown; `--json` has all."""


def show_status(status: "Status", console: Console) -> None:
    """Print the last success and what failed since, the last runs, and the open issues."""
    if not status.runs:
        console.print("No run yet: `python sync.py plan` makes the first, and writes nothing.")
        return
    for line in _success_and_failures(status):
        console.print(line)
    console.print()
    console.print(_run_table(status.runs, is_wide=console.width >= WIDE_CONSOLE))
    if status.quota:
        console.print()
        console.print(api_budget_lines(status.quota))
    if status.open_issues:
        console.print()
        console.print(styled("Needs attention", style="bold"))
        for row in status.open_issues:
            console.print(Padding(f"- {_issue_line(row)}", (0, 0, 0, 2)))


def _success_and_failures(status: "Status") -> Iterator[RenderableType]:
    if (last := status.last_success) is None:
        yield styled("No run succeeded yet", style="bold")
    else:
        text = f"{last['run_id']}, {last['command']}, {_minute(last)}"
        yield styled(("Last success: ", "bold"), text)
    for run in status.runs:
        if run["status"] == "running":
            yield styled(("Running now: ", "bold"), f"{run['run_id']}, {run['command']}")
    if not status.failures:
        return
    count = len(status.failures)
    yield styled(f"Failed since: {count:,}", style="bold red")
    for run in status.failures[:MAX_FAILURES]:
        yield Padding(f"- {_failure_line(run)}", (0, 0, 0, 2))
    if count > MAX_FAILURES:
        yield Padding(f"and {count - MAX_FAILURES:,} more before", (0, 0, 0, 2))


def _failure_line(run: dict[str, Any]) -> str:
    code = "" if run["exit_code"] is None else f", exit code {run['exit_code']}"
    why = f"{run['error_class']}: {run['error']}" if run["error_class"] else run["status"]
    return f"{_minute(run)}, {run['command']}{code}, {why}"


def _minute(run: dict[str, Any]) -> str:
    return f"{datetime.fromisoformat(run['started_at']):%Y-%m-%d %H:%M} UTC"


def _run_table(runs: Rows, *, is_wide: bool) -> Table:
    words = STATUSES if is_wide else STATUSES[:3]
    calls = ("calls >",) if is_wide else ()
    heads = ("run", "command", "status", "took >", *(f"{word} >" for word in words), *calls)
    table = make_table("Last runs", *heads)
    table.box, table.padding, table.pad_edge = SIMPLE_HEAD, (0, 1, 0, 0), False
    table.columns[0].no_wrap = True
    for run in runs:
        counts = [run["records"].get(word, 0) for word in words]
        counts += [run["calls"]] if is_wide else []
        took = "" if run["ended_at"] is None else f"{run['seconds']:.0f} s"
        table.add_row(
            run["run_id"], run["command"], run["status"], took, *map(format_count, counts)
        )
    return table


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
