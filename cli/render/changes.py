"""Print single changes: those of a plan, and those of a person."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from cli.render.run import object_label
from cli.safe_text import styled
from connectors import crm_label
from models import Rows

if TYPE_CHECKING:
    from warehouse.runs import Run


def show_plan(run: "Run", rows: Rows, count: int, console: Console) -> None:
    """Print the first changes of a plan, and why records were refused.

    count: how many changes there are
    """
    heading = f"Run {run.run_id}, {run.command}, {run.status}: {count:,} changes"
    console.print(styled(heading, style="bold"))
    if not rows:
        return
    console.print(_change_table(rows))
    if count > len(rows):
        console.print(f"The first {len(rows):,} of {count:,}. `--csv` and `--json` give all.")
    refused = [row for row in rows if row["outcome"] == "quarantined"]
    if refused:
        console.print(styled("Refused records", style="bold"))
        for line in dict.fromkeys(map(_refusal, refused)):
            console.print(Padding(line, (0, 0, 0, 2)))


def _change_table(rows: Rows) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("record", "field", "from", "to", "move", "outcome"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(
            f"{object_label(row)} {row['record_id']}",
            row["field"],
            row["before"] or "(empty)",
            row["after"] or "(cleared)",
            row["move"],
            _outcome(row),
        )
    return table


def _outcome(row: dict[str, Any]) -> str:
    reason = row["outcome_reason"]
    return f"{row['outcome'] or 'open'}{f', {reason}' if reason else ''}"


def _refusal(row: dict[str, Any]) -> str:
    text = f"- {object_label(row)} {row['record_id']}: {row['error'] or row['error_code']}"
    if row["crm_message"]:
        text += f'. {crm_label(row["crm"])} says: "{row["crm_message"]}"'
    return text


def show_history(rows: Rows, console: Console) -> None:
    """Print what was written about one person, newest first, with the run that wrote it."""
    if not rows:
        console.print("No changes written for this person.")
        return
    for (run_id, at), changes in groupby(rows, key=_run_and_minute):
        console.print(styled(f"{at} UTC, run {run_id}", style="bold"))
        for line in _change_lines(changes):
            console.print(Padding(line, (0, 0, 0, 2)))


def _run_and_minute(row: dict[str, Any]) -> tuple[str, str]:
    return row["run_id"], f"{row['at']:%Y-%m-%d %H:%M}"


def _change_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        change = f"{row['before'] or '(empty)'} > {row['after'] or '(cleared)'}"
        outcome = "" if row["status"] == "written" else f" [{row['error_code'] or row['status']}]"
        why = f" ({row['reason']})" if row["reason"] else ""
        yield f"{object_label(row)} {row['record_id']} {row['field']}: {change}{outcome}{why}"
