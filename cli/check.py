"""Commands about the YAML files in `mappings/`: `check`."""

from typing import Annotated

import typer

from cli.output import err, out
from config.checks import catalog_warnings
from config.loader import configuration_warnings, load_configuration
from session import connect_all

app = typer.Typer(name="mappings", help="The YAML files in mappings/.", no_args_is_help=True)


@app.command("check")
def mappings_check(
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask the CRMs for their fields.")
    ] = False,
) -> None:
    """Check the YAML files, and hold them against the fields both CRMs really have."""
    configuration = load_configuration()
    messages = [str(warning) for warning in configuration_warnings(configuration)]
    crms = [] if offline else connect_all(configuration)
    messages += [
        str(doubt)
        for crm in crms
        for doubt in catalog_warnings(configuration, crm.crm, crm.catalog)
    ]
    for warning in messages:
        err.print(f"[yellow]warning[/] {warning}", highlight=False)
    out.print(f"mappings/ is sound; definition {configuration.definition.id}", highlight=False)
    for crm in crms:
        skipped = f"; without {', '.join(crm.skipped_optional)}" if crm.skipped_optional else ""
        out.print(f"{crm.account}: every mapped field is there{skipped}", highlight=False)
