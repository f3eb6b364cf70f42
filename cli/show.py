"""The command `show`: the single changes of one plan, as a table, CSV or JSON."""

import sys
from typing import Annotated

import typer

from cli.output import AsJson, out, print_json
from cli.run import RunId
from cli.status import require_mapped
from models import STATUSES

app = typer.Typer()

MOVES = ("up", "down", "first")
OUTCOMES = (*STATUSES, "unknown")
TABLE_ROWS = 100
"""The number of changes in a table; CSV and JSON have all."""


@app.command("show")
def show_command(
    run_id: RunId,
    crm: Annotated[str | None, typer.Option("--crm", help="Only changes in this CRM.")] = None,
    field: Annotated[
        str | None, typer.Option("--field", help="Only this field of the CRM.")
    ] = None,
    move: Annotated[
        str | None,
        typer.Option(
            "--move",
            metavar="up|down|first",
            help="Only stage changes in this direction; first: the field was empty.",
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            "--person",
            metavar="PERSON",
            help="Only this person: an e-mail address, a CRM record id or a person id.",
        ),
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option(
            "--outcome",
            metavar="STATUS",
            help=f"Only records with this outcome: {', '.join(OUTCOMES)}.",
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: all changes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the single changes of a plan, and what became of each record."""
    from cli.render.changes import show_plan
    from cli.safe_text import csv_text
    from config.loader import load_configuration
    from warehouse.plan_changes import COLUMNS, ChangeFilter, plan_changes
    from warehouse.runs import load_plan
    from warehouse.warehouse import open_warehouse

    _require(move, MOVES, "--move")
    _require(outcome, OUTCOMES, "--outcome")
    configuration = load_configuration()
    require_mapped(configuration, crm, None)
    selected = ChangeFilter(crm, field, move, person, outcome)
    with open_warehouse(read_only=True) as warehouse:
        plan = load_plan(warehouse, run_id)
        changes = plan_changes(warehouse, configuration, plan.run_id, selected)
        count = int(changes.count().to_pyarrow().as_py())
        wanted = changes if as_csv or as_json else changes.limit(TABLE_ROWS)
        rows = wanted.to_pyarrow().to_pylist()
    if as_json:
        print_json(rows)
    elif as_csv:
        cells = ([row[name] for name in COLUMNS] for row in rows)
        sys.stdout.write(csv_text(COLUMNS, cells))
    else:
        show_plan(plan, rows, count, out)


def _require(value: str | None, known: tuple[str, ...], option: str) -> None:
    if value is not None and value not in known:
        raise typer.BadParameter(f"give one of {', '.join(known)}", param_hint=option)
