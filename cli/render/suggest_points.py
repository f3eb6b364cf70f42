"""Print the suggested points and thresholds."""

from rich.console import Console, Group, RenderableType
from rich.table import Table

from analysis.suggest_points import HoldoutMetrics, Suggestion
from cli.render.backtest import format_percent
from cli.render.run import make_table
from cli.safe_text import styled

STYLES = {"+": "green", "-": "red", "@": "cyan"}


def show_suggestion(suggestion: Suggestion, console: Console) -> None:
    """Print a suggestion for people."""
    console.print(styled(("Suggestion ", "bold"), (suggestion.name, "bold cyan")))
    console.print()
    if suggestion.train_month_ends and suggestion.test_month_ends:
        console.print(_training_period(suggestion))
    if suggestion.note:
        console.print(styled(f"Nothing suggested: {suggestion.note}.", style="yellow"))
    if suggestion.before and suggestion.after:
        console.print(_holdout_metrics(suggestion, suggestion.before, suggestion.after))
    if suggestion.diff:
        console.print(_changes(suggestion))
        # not wrapped: it can be given to `git apply`
        console.print(_coloured(suggestion.diff), soft_wrap=True)
        console.print(
            "Nothing was applied. Put it into a copy, and look at `backtest --definition` and "
            "`diff` before it goes live. The floors of the grades stay: look whether they still "
            "fit where points of a fit line change."
        )


def _coloured(diff: str) -> RenderableType:
    lines = ((line, STYLES.get(line[0], "")) for line in diff.splitlines(keepends=True))
    return styled(*lines, keep="\n\t")


def _training_period(suggestion: Suggestion) -> RenderableType:
    learned, tested = suggestion.buyers
    train, test = suggestion.train_month_ends, suggestion.test_month_ends
    return Group(
        f"Fitted to {len(train)} month ends, {train[0]:%Y-%m-%d} to {train[-1]:%Y-%m-%d}, after "
        f"which {learned:,} people bought; judged by {len(test)} later ones, "
        f"{test[0]:%Y-%m-%d} to {test[-1]:%Y-%m-%d}, after which {tested:,} people bought.",
        "",
    )


def _holdout_metrics(
    suggestion: Suggestion, before: HoldoutMetrics, after: HoldoutMetrics
) -> Table:
    title = "On the later month ends, which it was not fitted to"
    table = make_table(title, "", "current >", "suggested >")
    marked = f"of the {suggestion.selected:,} highest"
    rows = (
        (f"{marked}, bought (precision)", before.precision, after.precision),
        (f"bought, and were {marked} (recall)", before.recall, after.recall),
        ("area under precision and recall", before.average_precision, after.average_precision),
    )
    for what, was, now in rows:
        table.add_row(what, format_percent(was), format_percent(now))
    return table


def _changes(suggestion: Suggestion) -> Table:
    table = make_table("Points and thresholds", "", "current >", "suggested >")
    for change in sorted(suggestion.changes, key=lambda change: (-change.after, change.parameter)):
        table.add_row(change.parameter, f"{change.before:g}", f"{change.after:g}")
    return table
