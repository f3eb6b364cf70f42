"""Commands that evaluate a definition before it is used: `backtest`, `diff`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import AsJson, out, print_json, print_note, spinner

if TYPE_CHECKING:
    from analysis.month_end_snapshots import NamedDefinition

app = typer.Typer()

Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Also write an HTML report with charts to FILE."),
]

EXIT_TOO_MANY_MOVED = 3


@app.command("backtest")
def backtest_command(
    definition: Annotated[
        Path | None,
        typer.Option(
            "--definition",
            metavar="FILE",
            help="Alternative lifecycle.yaml to compare. Default: only mappings/lifecycle.yaml.",
        ),
    ] = None,
    within_days: Annotated[
        float,
        typer.Option(
            "--within-days", min=1, help="Conversion window in days after each month-end snapshot."
        ),
    ] = 90,
    months: Annotated[
        int, typer.Option("--months", min=1, max=120, help="Number of month-end snapshots.")
    ] = 12,
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest", help="Propose point values fitted to past conversions; prints a diff."
        ),
    ] = False,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Measure how well a definition predicted customers in the past."""
    from analysis.backtest import backtest
    from cli.render.backtest import show_backtest
    from warehouse.warehouse import open_warehouse

    definitions = [_named(None)] if definition is None else [_named(None), _named(definition)]
    if suggest:
        _suggest(definitions[-1], within_days=within_days, months=months, as_json=as_json)
        return
    with open_warehouse(read_only=True) as warehouse, spinner("backtest") as update:
        result = backtest(
            warehouse,
            definitions,
            within_days=within_days,
            months=months,
            on_progress=update,
        )
    if html is not None:
        from cli.render.html import backtest_page

        backtest_page(result, html)
    if as_json:
        print_json(result.as_json())
    else:
        show_backtest(result, out)


def _suggest(
    definition: "NamedDefinition", *, within_days: float, months: int, as_json: bool
) -> None:
    from analysis.suggest_points import suggest
    from cli.render.suggest_points import show_suggestion
    from warehouse.warehouse import open_warehouse

    with open_warehouse(read_only=True) as warehouse, spinner("suggest") as update:
        suggestion = suggest(
            warehouse,
            definition,
            within_days=within_days,
            months=months,
            on_progress=update,
        )
    if as_json:
        print_json(suggestion.as_json())
    else:
        show_suggestion(suggestion, out)


@app.command("diff")
def diff_command(
    other: Annotated[
        Path, typer.Argument(metavar="FILE", help="The lifecycle.yaml to compare with the present.")
    ],
    fail_above: Annotated[
        float | None,
        typer.Option(
            "--fail-above",
            min=0,
            max=1,
            metavar="SHARE",
            help="Exit with code 3 if more than this share of people changes stage (0 to 1).",
        ),
    ] = None,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Show who would change stage under another definition, and the work and calls it means."""
    from analysis.definition_diff import diff_definitions
    from cli.render.definition_diff import show_difference
    from warehouse.warehouse import open_warehouse

    with open_warehouse(read_only=True) as warehouse, spinner("diff") as update:
        result = diff_definitions(warehouse, _named(None), _named(other), on_progress=update)
    if html is not None:
        from cli.render.html import difference_page

        difference_page(result, html)
    if as_json:
        print_json(result.as_json())
    else:
        show_difference(result, out)
    if fail_above is not None and result.share > fail_above:
        print_note(f"{result.share:.1%} of people change stage, more than {fail_above:.1%}.")
        raise typer.Exit(EXIT_TOO_MANY_MOVED)


def _named(path: Path | None) -> "NamedDefinition":
    """Read a definition file, or the present one where there is no path."""
    from analysis.month_end_snapshots import NamedDefinition
    from config.loader import DEFINITION_FILE, load_configuration

    name = path.name if path else DEFINITION_FILE
    return NamedDefinition(name, load_configuration(definition_path=path))
