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
from config.loader import load
from transforms.lifecycle.lifecycle import lifecycle
from warehouse.warehouse import opened

app = typer.Typer()


@app.command("explain")
def explain_command(
    who: Annotated[str, typer.Argument(metavar="EMAIL", help="An address or a record id.")],
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Say where somebody stands, why, and what is missing for the next stage."""
    with opened() as warehouse:
        found = receipts.explain(warehouse, load(), who, as_of=as_of)
    if as_json:
        print_json([receipt.as_json() for receipt in found])
    else:
        for receipt in found:
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
    configuration = load(definition=definition)
    with opened() as warehouse:
        known = warehouse.answerable(configuration, as_of=as_of)
        answer = warehouse.keep(
            lifecycle(
                known.people,
                known.field_since,
                known.events,
                configuration.definition,
                as_of=as_of or datetime.now(UTC),
                store=warehouse.step,
            )
        )
        counted = run_report.stages(answer.lifecycle)
        unknown = receipts.unknown(known)
    if as_json:
        print_json({"stages": counted, "unknown": unknown})
    else:
        out.print(screen.stage_table(run_report.labels(configuration.definition), [], counted))
        if unknown:
            out.print(screen.unknown_line(unknown))
