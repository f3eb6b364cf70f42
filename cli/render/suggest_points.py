"""What people see of points and thresholds that the history suggests."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.suggest_points import Gain, Suggestion
from cli.render.backtest import percent
from cli.render.run import grid

STYLES = {"+": "green", "-": "red", "@": "cyan"}


def show_suggestion(found: Suggestion, console: Console) -> None:
    """Print a suggestion for people."""
    console.print(Text.assemble(("Suggestion ", "bold"), (found.name, "bold cyan"), "\n"))
    if found.learned and found.tested:
        console.print(_basis(found))
    if found.note:
        console.print(Text(f"Nothing suggested: {found.note}.", style="yellow"))
    if found.before and found.after:
        console.print(_gains(found, found.before, found.after))
    if found.diff:
        console.print(_changes(found))
        # not wrapped: it can be given to `git apply`
        console.print(_coloured(found.diff), soft_wrap=True)
        console.print(
            "Nothing was applied. Put it into a copy, and look at `backtest --definition` and "
            "`diff` before it goes live. The floors of the grades stay: look whether they still "
            "fit where points of a fit line change."
        )


def _coloured(diff: str) -> Text:
    text = Text()
    for line in diff.splitlines(keepends=True):
        text.append(line, style=STYLES.get(line[0], ""))
    return text


def _basis(found: Suggestion) -> Text:
    learned, tested = found.buyers
    return Text(
        f"Fitted to {len(found.learned)} month ends, {found.learned[0]:%Y-%m-%d} to "
        f"{found.learned[-1]:%Y-%m-%d}, after which {learned:,} people bought; judged by "
        f"{len(found.tested)} later ones, {found.tested[0]:%Y-%m-%d} to "
        f"{found.tested[-1]:%Y-%m-%d}, after which {tested:,} people bought.\n"
    )


def _gains(found: Suggestion, before: Gain, after: Gain) -> Table:
    title = "On the later month ends, which it was not fitted to"
    table = grid(title, "", "points of today >", "fitted >")
    marked = f"of the {found.marked:,} highest"
    rows = (
        (f"{marked}, bought (precision)", before.precision, after.precision),
        (f"bought, and were {marked} (recall)", before.recall, after.recall),
        ("area under precision and recall", before.average_precision, after.average_precision),
    )
    for what, was, now in rows:
        table.add_row(what, percent(was), percent(now))
    return table


def _changes(found: Suggestion) -> Table:
    table = grid("Points and thresholds", "", "today >", "suggested >")
    for change in sorted(found.changes, key=lambda change: (-change.after, change.what)):
        table.add_row(change.what, f"{change.before:g}", f"{change.after:g}")
    return table
