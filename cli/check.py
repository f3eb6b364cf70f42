"""Commands about the YAML files in `mappings/`: `mappings check`."""

from typing import Annotated

import typer

from cli.output import err, out
from config.checks import doubts
from config.loader import load, warnings
from session import log_in

app = typer.Typer(name="mappings", help="The YAML files in mappings/.", no_args_is_help=True)


@app.command("check")
def mappings_check(
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask the CRMs for their fields.")
    ] = False,
) -> None:
    """Check the YAML files, and hold them against the fields both CRMs really have."""
    configuration = load()
    odd = [str(warning) for warning in warnings(configuration)]
    crms = [] if offline else log_in(configuration)
    odd += [str(doubt) for crm in crms for doubt in doubts(configuration, crm.crm, crm.catalog)]
    for warning in odd:
        err.print(f"[yellow]warning[/] {warning}", highlight=False)
    out.print(f"mappings/ is sound; definition {configuration.definition.id}", highlight=False)
    for crm in crms:
        left_out = f"; without {', '.join(crm.left_out)}" if crm.left_out else ""
        out.print(f"{crm.account}: every mapped field is there{left_out}", highlight=False)
