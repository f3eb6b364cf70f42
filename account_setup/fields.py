"""The fields that the mappings write: which an account lacks, and how it gets them."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from config.catalog_checks import COMPATIBLE_TYPES
from config.loader import Configuration
from config.wanted_fields import wanted_fields
from connectors import Client, FieldSetup, connector, crm_label
from errors import ConfigError
from models import Catalog, Field, FieldChangeResult, FieldOption, FieldSpec, MissingReason
from session import connect
from warehouse.field_changes import append_field_change
from warehouse.warehouse import Warehouse

OURS = "onefunnel_"
"""How the names of the fields begin that onefunnel creates without being asked for each."""

TO_CREATE = frozenset({"missing", "hidden", "archived", "unknown", "read-only"})
"""The states in which a field is created, restored or permitted."""

_log = logging.getLogger("onefunnel.fields")

State = Literal["exists", "no option", "other type", "read-only", "no object"] | MissingReason


@dataclass(frozen=True)
class FieldState:
    """One field that a mapping writes, and what the account has of it.

    `type_label` is the type that it gets where it is created, in the words of the CRM.
    `missing_options` are the values that an existing list lacks.
    """

    spec: FieldSpec
    type_label: str
    state: State
    missing_options: tuple[FieldOption, ...] = ()

    def is_wanted(self, names: Collection[str]) -> bool:
        """Say whether this field is to be set up: one of `names`, or without names one of ours.

        A field of the team's own is not created without its name. Where it exists, it is permitted,
        and gets the options that its list lacks: it could not be written otherwise.
        """
        if names:
            return self.spec.name in names
        return self.spec.name.startswith(OURS) or self.state not in ("missing", "unknown")


@dataclass(frozen=True)
class AccountFields:
    """All fields that one mapping writes; `setup` is None where the connector creates none."""

    crm: str
    client: Client
    setup: FieldSetup[Client] | None
    states: list[FieldState]

    def select(self, names: Collection[str]) -> list[FieldState]:
        """Return the fields that can be set up: created, permitted, or given options.

        Raises: ConfigError where the mapping writes no field of a name.
        """
        known = {one.spec.name for one in self.states}
        if unknown := [name for name in names if name not in known]:
            raise ConfigError(
                f"mappings/{self.crm}.yaml writes no field {', '.join(unknown)}: use one of"
                f" {', '.join(sorted(known))}"
            )
        able = TO_CREATE | {"no option"}
        return [one for one in self.states if one.state in able and one.is_wanted(names)]


def account_fields(configuration: Configuration, crm: str) -> AccountFields:
    """Compare what a mapping writes with what the account has. Nothing is written.

    Raises: AccessError: the login or a permission is missing.
    """
    client, setup = connect(crm), connector(crm).field_setup
    specs = wanted_fields(configuration.mappings[crm], configuration.definition)
    catalog = connector(crm).catalog(client, {spec.object for spec in specs})
    reasons = _missing_reasons(client, setup, specs, catalog)
    states = [_state(spec, setup, catalog, reasons) for spec in specs]
    return AccountFields(crm, client, setup, states)


def _missing_reasons(
    client: Client, setup: FieldSetup[Client] | None, specs: Sequence[FieldSpec], catalog: Catalog
) -> dict[tuple[str, str], MissingReason]:
    reasons: dict[tuple[str, str], MissingReason] = {}
    for object in dict.fromkeys(spec.object for spec in specs if spec.object in catalog):
        missing = [
            spec.name
            for spec in specs
            if spec.object == object and spec.name not in catalog[object]
        ]
        found = setup.explain_missing(client, object, missing) if setup else {}
        reasons |= {(object, name): found.get(name, "missing") for name in missing}
    return reasons


def _state(
    spec: FieldSpec,
    setup: FieldSetup[Client] | None,
    catalog: Catalog,
    reasons: dict[tuple[str, str], MissingReason],
) -> FieldState:
    type_label = setup.type_label(spec) if setup else spec.type
    if spec.object not in catalog:
        return FieldState(spec, type_label, "no object")
    field = catalog[spec.object].get(spec.name)
    if field is None:
        return FieldState(spec, type_label, reasons[spec.object, spec.name])
    present = field.options or ()
    absent = tuple(one for one in spec.options or () if present and one.value not in present)
    return FieldState(spec, type_label, _state_of_existing(spec, field, absent), absent)


def _state_of_existing(
    spec: FieldSpec, field: Field, absent: Sequence[FieldOption]
) -> Literal["exists", "no option", "other type", "read-only"]:
    if not field.writable:
        return "read-only"
    if spec.type not in COMPATIBLE_TYPES[field.type]:
        return "other type"
    return "no option" if absent else "exists"


def set_up(
    account: AccountFields, chosen: Sequence[FieldState], warehouse: Warehouse
) -> Iterator[FieldChangeResult]:
    """Create the chosen fields and add the chosen options, one after the other.

    Each is logged, and stored in `field_changes` before the next one.

    Raises: ConfigError: the connector creates no fields. AccessError: a permission is missing.
    """
    setup = _require_setup(account)
    missing = [one.spec for one in chosen if one.state in TO_CREATE]
    if missing:
        for result in setup.create(account.client, missing):
            yield _stored(warehouse, account.crm, result)
    for one in chosen:
        if one.missing_options:
            result = setup.add_options(account.client, one.spec, one.missing_options)
            yield _stored(warehouse, account.crm, result)


def _require_setup(account: AccountFields) -> FieldSetup[Client]:
    if account.setup is None:
        label = crm_label(account.crm)
        raise ConfigError(
            f"the connector of {label} cannot create fields: create them in {label} by hand, as"
            " `python sync.py fields` lists them"
        )
    return account.setup


def _stored(warehouse: Warehouse, crm: str, result: FieldChangeResult) -> FieldChangeResult:
    append_field_change(warehouse, crm, result)
    _log.info(
        "field.setup crm=%s object=%s field=%s status=%s",
        crm,
        result.object,
        result.field,
        result.status.replace(" ", "_"),
    )
    return result


def write_package(account: AccountFields, names: Collection[str], folder: Path) -> list[Path]:
    """Write files with which an admin creates and permits the fields; return their paths.

    Raises: ConfigError: the connector writes no package, or the folder cannot be written.
    """
    setup = _require_setup(account)
    if setup.write_package is None:
        raise ConfigError(
            f"{crm_label(account.crm)} has no packages: use `fields --create {account.crm}`"
        )
    chosen = account.select(names)
    missing = [one.spec for one in chosen if one.state in ("missing", "unknown")]
    permitted = [one.spec for one in account.states if one.is_wanted(names)]
    try:
        return setup.write_package(missing, permitted, folder)
    except OSError as error:
        raise ConfigError(f"{folder}: the package cannot be written: {error.strerror}") from None
