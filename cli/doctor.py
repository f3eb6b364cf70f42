"""The commands before the first write: `doctor` and `fields`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import AsJson, out, print_json, print_note

if TYPE_CHECKING:
    from account_setup.fields import AccountFields, FieldState
    from config.loader import Configuration
    from models import Rows

app = typer.Typer()

EXIT_FAULT = 2

Create = Annotated[
    str | None,
    typer.Option(
        "--create",
        metavar="CRM",
        help="Create what is missing in this CRM. Only shows what would be created, unless --yes.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="With --create: create it now.")]
Package = Annotated[
    Path | None,
    typer.Option(
        "--package",
        metavar="DIR",
        help="Write a package of metadata for Salesforce into this folder, for an admin to deploy.",
    ),
]
FieldNames = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="NAME",
        help="Only this field, also one whose name does not begin with onefunnel_. Repeatable.",
    ),
]


@app.command("doctor")
def doctor_command(as_json: AsJson = False) -> None:
    """Test settings, network, logins, permissions, fields and the warehouse; write nothing.

    Ends with code 0, or 2 where a fault was found.
    """
    from dataclasses import asdict

    from account_setup.doctor import diagnose
    from cli.render.doctor import show_diagnosis

    diagnosis = diagnose()
    if as_json:
        counts = {"faults": diagnosis.faults, "warnings": diagnosis.warnings}
        settings = [origin._asdict() for origin in diagnosis.settings]
        checks = [asdict(result) for result in diagnosis.results]
        print_json(counts | {"checks": checks, "settings": settings})
    else:
        show_diagnosis(diagnosis, out)
    if diagnosis.faults:
        raise typer.Exit(EXIT_FAULT)


@app.command("fields")
def fields_command(
    create: Create = None,
    yes: Yes = False,
    package: Package = None,
    names: FieldNames = None,
    as_json: AsJson = False,
) -> None:
    """Show the fields that the mappings write and an account lacks; create them with --create."""
    from config.loader import load_configuration

    if create and package:
        raise typer.BadParameter("use either --create or --package", param_hint="--package")
    if yes and not create:
        raise typer.BadParameter("use it together with --create CRM", param_hint="--yes")
    configuration = load_configuration()
    if package:
        _write_package(configuration, names or [], package, as_json=as_json)
    elif create:
        _create(configuration, create, names or [], yes=yes, as_json=as_json)
    else:
        _show(configuration, as_json=as_json)


def _show(configuration: "Configuration", *, as_json: bool) -> None:
    from account_setup.fields import account_fields
    from cli.render.doctor import show_field_changes, show_fields
    from warehouse.field_changes import field_changes
    from warehouse.warehouse import open_warehouse

    accounts = [account_fields(configuration, crm) for crm in configuration.mappings]
    with open_warehouse(read_only=True) as warehouse:
        changes = {one.crm: field_changes(warehouse, one.crm) for one in accounts}
    if as_json:
        print_json({one.crm: _as_json(one.states, changes[one.crm]) for one in accounts})
    else:
        for account in accounts:
            show_fields(account, out)
            show_field_changes(account.crm, changes[account.crm], out)


def _as_json(states: "list[FieldState]", changes: "Rows | None" = None) -> list[dict[str, object]]:
    """Return the states of fields; with `changes` also what was set up, field by field."""
    from dataclasses import asdict

    listed = [asdict(state) for state in states]
    for one, state in zip(listed, states, strict=True):
        name = (state.spec.object, state.spec.name)
        if changes is not None:
            one["set_up"] = [row for row in changes if (row["object"], row["field"]) == name]
    return listed


def _create(
    configuration: "Configuration", crm: str, names: list[str], *, yes: bool, as_json: bool
) -> None:
    import logging
    from dataclasses import asdict

    from account_setup.fields import set_up
    from cli.render.doctor import show_field_plan, show_field_results
    from warehouse.run_lock import open_for_decision

    account = _account(configuration, crm)
    chosen = account.select(names)
    if not yes:
        if as_json:
            print_json(_as_json(chosen))
        else:
            show_field_plan(account, chosen, out)
        return
    # a change of an account is logged, also by a scheduler
    logging.getLogger("onefunnel.fields").setLevel(logging.INFO)
    with open_for_decision() as warehouse:
        results = list(set_up(account, chosen, warehouse))
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        show_field_results(account.crm, results, out)
    if any(result.status == "refused" for result in results):
        raise typer.Exit(1)


def _write_package(
    configuration: "Configuration", names: list[str], folder: Path, *, as_json: bool
) -> None:
    from account_setup.fields import write_package
    from connectors import connector

    setups = {crm: connector(crm).field_setup for crm in configuration.mappings}
    able = [crm for crm, setup in setups.items() if setup and setup.write_package]
    for crm in able:
        paths = write_package(_account(configuration, crm), names, folder)
        if as_json:
            print_json([str(path) for path in paths])
            continue
        for path in paths:
            out.print(str(path), soft_wrap=True)
        print_note("Deploy it, then assign the permission set: docs/setup-fields.md.")
    if not able:
        raise typer.BadParameter("no mapped CRM has packages", param_hint="--package")


def _account(configuration: "Configuration", crm: str) -> "AccountFields":
    from account_setup.fields import account_fields
    from errors import ConfigError

    if crm not in configuration.mappings:
        known = ", ".join(configuration.mappings)
        raise ConfigError(f"there is no mapping file for this CRM: use one of {known}")
    return account_fields(configuration, crm)
