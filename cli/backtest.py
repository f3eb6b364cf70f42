"""Commands that try a definition before anybody's CRM is touched: `backtest`, `diff`."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from analysis.backtest import backtest
from analysis.definition_diff import diff_definitions
from analysis.month_end_snapshots import NamedDefinition
from cli.output import AsJson, err, out, print_json
from cli.render import backtest as screen_history
from cli.render import definition_diff as screen_difference
from config.loader import DEFINITION_FILE, load_configuration
from warehouse.warehouse import open_warehouse

app = typer.Typer()

WithinDays = Annotated[
    float,
    typer.Option("--within-days", min=1, help="How soon after a month's end somebody must buy."),
]
Months = Annotated[int, typer.Option("--months", min=1, max=120, help="How many month ends.")]

Html = Annotated[
    Path | None, typer.Option("--html", help="Write a page with charts for a browser as well.")
]

EXIT_TOO_MANY_MOVED = 3


@app.command("backtest")
def backtest_command(
    definition: Annotated[
        Path | None,
        typer.Option("--definition", help="Another lifecycle.yaml, to be held against ours."),
    ] = None,
    within_days: WithinDays = 90,
    months: Months = 12,
    suggest: Annotated[
        bool,
        typer.Option("--suggest", help="Fit points and thresholds to the history, as a diff."),
    ] = False,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Try one or two definitions on the history: who would have told the customers to come?"""
    sides = [NamedDefinition(DEFINITION_FILE, load_configuration())]
    if definition is not None:
        sides.append(
            NamedDefinition(definition.name, load_configuration(definition_path=definition))
        )
    if suggest:
        _suggest(sides[-1], within_days=within_days, months=months, as_json=as_json)
        return
    with open_warehouse() as warehouse, err.status("backtest") as status:
        result = backtest(
            warehouse, sides, within_days=within_days, months=months, on_progress=status.update
        )
    if html is not None:
        html_module().backtest_page(result, html)
    if as_json:
        print_json(result.as_json())
    else:
        screen_history.show_backtest(result, out)


def _suggest(ours: NamedDefinition, *, within_days: float, months: int, as_json: bool) -> None:
    # SciPy takes its time to load, and no other command needs it
    from analysis.suggest_points import suggest
    from cli.render import suggest_points as screen_suggestion

    with open_warehouse() as warehouse, err.status("suggest") as status:
        suggestion = suggest(
            warehouse, ours, within_days=within_days, months=months, on_progress=status.update
        )
    if as_json:
        print_json(suggestion.as_json())
    else:
        screen_suggestion.show_suggestion(suggestion, out)


@app.command("diff")
def diff_command(
    other: Annotated[
        Path, typer.Argument(metavar="FILE", help="The lifecycle.yaml that may replace ours.")
    ],
    fail_above: Annotated[
        float | None,
        typer.Option(
            "--fail-above",
            min=0,
            max=1,
            help="End with exit code 3 where more than this share of all people would move.",
        ),
    ] = None,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Say who would move under another definition, and what that means in work and in calls."""
    sides = (
        NamedDefinition(DEFINITION_FILE, load_configuration()),
        NamedDefinition(other.name, load_configuration(definition_path=other)),
    )
    with open_warehouse() as warehouse, err.status("diff") as status:
        result = diff_definitions(warehouse, *sides, on_progress=status.update)
    if html is not None:
        html_module().difference_page(result, html)
    if as_json:
        print_json(result.as_json())
    else:
        screen_difference.show_difference(result, out)
    if fail_above is not None and result.share > fail_above:
        err.print(f"{result.share:.1%} of all people would move, more than {fail_above:.1%}")
        raise typer.Exit(EXIT_TOO_MANY_MOVED)


def html_module() -> ModuleType:
    """The module that makes pages: it loads a browser's engine, and is loaded when asked for."""
    return import_module("cli.render.html")
