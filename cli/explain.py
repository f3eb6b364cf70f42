"""Commands that ask the warehouse where people stand, and why: `explain`, `recompute`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from analysis import explain as receipts
from analysis import run_report
from cli.output import AsJson, AsOf, out, print_json
from cli.render import run as screen
from cli.render.explain import show_receipt
from config.loader import load_configuration
from transforms.lifecycle.lifecycle import lifecycle
from warehouse.warehouse import open_warehouse

app = typer.Typer()


@app.command("explain")
def explain_command(
    who: Annotated[str, typer.Argument(metavar="EMAIL", help="An address or a record id.")],
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Say where somebody stands, why, and what is missing for the next stage."""
    with open_warehouse() as warehouse:
        explanations = receipts.explain(warehouse, load_configuration(), who, as_of=as_of)
    if as_json:
        print_json([receipt.as_json() for receipt in explanations])
    else:
        for receipt in explanations:
            show_receipt(receipt, out)


@app.command("recompute")
def recompute_command(
    definition: Annotated[
        Path | None, typer.Option("--definition", help="Another lifecycle.yaml to decide by.")
    ] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Decide anew from what is in the warehouse; pull nothing, write nothing to a CRM."""
    configuration = load_configuration(definition_path=definition)
    with open_warehouse() as warehouse:
        known = warehouse.inputs_as_of(configuration, as_of=as_of)
        answer = warehouse.save_lifecycle(
            lifecycle(
                known.people,
                known.field_since,
                known.events,
                configuration.definition,
                as_of=as_of or datetime.now(UTC),
                materialize=warehouse.materialize,
            )
        )
        counted = run_report.count_stages(answer.lifecycle)
        unknown = receipts.unknown_counts(known)
    if as_json:
        print_json({"stages": counted, "unknown": unknown})
    else:
        out.print(
            screen.stage_table(run_report.stage_labels(configuration.definition), [], counted)
        )
        if unknown:
            out.print(screen.unknown_fields_line(unknown))
