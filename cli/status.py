"""Commands about what was done, and what is left alone: `status`, `changes`, `retry`, `accept`."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli.output import AsJson, out, print_json
from cli.render import extract as screen_pull
from cli.render import status as screen_runs
from config.loader import Configuration, load_configuration
from config.validation_errors import did_you_mean
from errors import ConfigError
from warehouse import row_checks, status, withheld
from warehouse.warehouse import open_warehouse

app = typer.Typer()

Crm = Annotated[str | None, typer.Option("--crm", help="Only in this CRM.")]
Field = Annotated[str | None, typer.Option("--field", help="Only this field of the CRM.")]
Record = Annotated[str | None, typer.Option("--record", help="Only the record with this id.")]


@app.command("status")
def status_command(as_json: AsJson = False) -> None:
    """Show the last runs, what is held or quarantined and why, and the calls left."""
    configuration = load_configuration()
    with open_warehouse() as warehouse:
        summary = status.status(warehouse, configuration)
        proven = row_checks.row_check_summary(warehouse)
    if as_json:
        print_json(asdict(summary) | {"row_checks": proven})
    else:
        screen_runs.show_status(summary, out)
        if proven:
            out.print(screen_pull.row_check_table(proven))


@app.command("changes")
def changes_command(
    who: Annotated[str, typer.Argument(metavar="EMAIL", help="An address or a record id.")],
    as_json: AsJson = False,
) -> None:
    """Show everything that was ever written about one person."""
    configuration = load_configuration()
    with open_warehouse() as warehouse:
        rows = status.person_changes(warehouse, configuration, who)
    if as_json:
        print_json(rows)
    else:
        screen_runs.show_changes(rows, out)


@app.command("retry")
def retry_command(
    crm: Crm = None, field: Field = None, record: Record = None, as_json: AsJson = False
) -> None:
    """Let the next run write again what was refused, frozen or changed by people."""
    _require_mapped(load_configuration(), crm, field)
    with open_warehouse() as warehouse:
        count = withheld.retry(warehouse, crm=crm, field=field, record_id=record)
    _print_count(count, "The next run tries {:,} fields again.", as_json=as_json)


@app.command("accept")
def accept_command(
    crm: Crm = None, field: Field = None, record: Record = None, as_json: AsJson = False
) -> None:
    """Leave what people changed and is held for review, as long as it stays."""
    _require_mapped(load_configuration(), crm, field)
    with open_warehouse() as warehouse:
        count = withheld.accept(warehouse, crm=crm, field=field, record_id=record)
    _print_count(count, "{:,} fields stay as people made them.", as_json=as_json)


def _print_count(count: int, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"fields": count})
    else:
        out.print(text.format(count), highlight=False)


def _require_mapped(configuration: Configuration, crm: str | None, field: str | None) -> None:
    """Refuse what no mapping knows: nothing would come of it, and nobody would notice.

    Raises: ConfigError with the word that was probably meant.
    """
    mappings = configuration.mappings
    if crm is not None and crm not in mappings:
        raise ConfigError(f"there is no CRM `{crm}`{did_you_mean(crm, mappings)}")
    selected = [mapping for name, mapping in mappings.items() if crm in (None, name)]
    written = {name for mapping in selected for fields in mapping.write.values() for name in fields}
    if field is not None and field not in written:
        raise ConfigError(f"no mapping writes `{field}`{did_you_mean(field, sorted(written))}")
