"""Commands about past runs and withheld fields: `status`, `history`, `retry`, `keep`."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.explain import Person
from cli.output import AsJson, out, print_json
from errors import ConfigError

if TYPE_CHECKING:
    from config.loader import Configuration

app = typer.Typer()

Crm = Annotated[str | None, typer.Option("--crm", help="Only fields of this CRM.")]
Field = Annotated[str | None, typer.Option("--field", help="Only this field of the CRM.")]
Record = Annotated[str | None, typer.Option("--record", help="Only the record with this id.")]


@app.command("status")
def status_command(as_json: AsJson = False) -> None:
    """Show the last success and what failed since, the last runs, and what needs attention."""
    from dataclasses import asdict

    from cli.render.extract import row_check_table
    from cli.render.status import show_status
    from config.loader import load_configuration
    from warehouse.row_checks import row_check_summary
    from warehouse.status import status
    from warehouse.warehouse import open_warehouse

    configuration = load_configuration()
    with open_warehouse(read_only=True) as warehouse:
        summary = status(warehouse, configuration)
        row_checks = row_check_summary(warehouse)
    if as_json:
        print_json(asdict(summary) | {"row_checks": row_checks})
        return
    show_status(summary, out)
    if row_checks:
        out.print(row_check_table(row_checks))


@app.command("history")
def history_command(person: Person, as_json: AsJson = False) -> None:
    """Show every change written for one person, in both CRMs."""
    from cli.render.changes import show_history
    from config.loader import load_configuration
    from warehouse.status import person_changes
    from warehouse.warehouse import open_warehouse

    configuration = load_configuration()
    with open_warehouse(read_only=True) as warehouse:
        changes = person_changes(warehouse, configuration, person)
    if as_json:
        print_json(changes)
    else:
        show_history(changes, out)


@app.command("retry")
def retry_command(
    crm: Crm = None, field: Field = None, record: Record = None, as_json: AsJson = False
) -> None:
    """Write fields again in the next run that were refused, frozen or held for review."""
    from config.loader import load_configuration
    from warehouse.run_lock import open_for_decision
    from warehouse.withheld import retry

    require_mapped(load_configuration(), crm, field)
    with open_for_decision() as warehouse:
        count = retry(warehouse, crm=crm, field=field, record_id=record)
    _print_count(count, "The next run writes {:,} fields again.", as_json=as_json)


@app.command("keep")
def keep_command(
    crm: Crm = None, field: Field = None, record: Record = None, as_json: AsJson = False
) -> None:
    """Keep the CRM value of fields held for review, until that value changes."""
    from config.loader import load_configuration
    from warehouse.run_lock import open_for_decision
    from warehouse.withheld import accept

    require_mapped(load_configuration(), crm, field)
    with open_for_decision() as warehouse:
        count = accept(warehouse, crm=crm, field=field, record_id=record)
    _print_count(count, "{:,} fields keep their CRM value.", as_json=as_json)


@app.command("absent")
def absent_command(
    confirm: Annotated[
        str | None,
        typer.Option(
            "--confirm",
            metavar="CRM",
            help="Confirm that the absent records of this CRM were deleted there: the next run"
            " deletes their rows from the warehouse.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the records that a CRM showed before and does not show now."""
    from cli.render.status import show_absences
    from config.loader import load_configuration
    from warehouse import absences
    from warehouse.warehouse import open_warehouse

    require_mapped(load_configuration(), confirm, None)
    if confirm is not None:
        from warehouse.run_lock import open_for_decision

        with open_for_decision() as warehouse:
            count = absences.confirm(warehouse, confirm)
        text = "The next run deletes the rows of {:,} records."
        _print_count(count, text, as_json=as_json, name="records")
        return
    with open_warehouse(read_only=True) as warehouse:
        summary = absences.absence_summary(warehouse)
    if as_json:
        print_json(summary)
    else:
        show_absences(summary, out)


def _print_count(count: int, text: str, *, as_json: bool, name: str = "fields") -> None:
    if as_json:
        print_json({name: count})
    else:
        out.print(text.format(count))


def require_mapped(configuration: "Configuration", crm: str | None, field: str | None) -> None:
    """Refuse a CRM or field that no mapping names, with the nearest name that one does.

    Raises: ConfigError.
    """
    from config.validation_errors import did_you_mean

    mappings = configuration.mappings
    if crm is not None and crm not in mappings:
        raise ConfigError(f"unknown CRM `{crm}`{did_you_mean(crm, mappings)}")
    selected = [mapping for name, mapping in mappings.items() if crm in (None, name)]
    written = {name for mapping in selected for fields in mapping.write.values() for name in fields}
    if field is not None and field not in written:
        raise ConfigError(f"no mapping writes `{field}`{did_you_mean(field, sorted(written))}")
