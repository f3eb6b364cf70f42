"""Read from CRMs and write to them: one folder per CRM, one `Connector` value per folder.

A folder here that has a `connector.py` is a CRM. A run uses it where `mappings/<crm>.yaml` exists.
`docs/add-a-crm.md` describes how to add one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

import ibis.expr.types as ir

from errors import ConfigError, RejectedError, SyncError
from models import (
    Account,
    Catalog,
    ExtractEstimate,
    FieldChangeResult,
    FieldOption,
    FieldSelection,
    FieldSpec,
    Finding,
    MissingReason,
    Outcome,
    RecordChange,
    ValueWriter,
    WriteVolume,
)

if TYPE_CHECKING:  # dlt takes a second to import; `check` and `explain` need the names only
    from dlt.common.configuration.specs import BaseConfiguration
    from dlt.extract import DltResource

    from connectors.extract.id_diff import Differences
    from connectors.extract.incremental import State

Progress = Callable[[str, int, int | None], None]
"""Called with an object, the rows read so far, and the rows in all (None: the CRM cannot count)."""

LandedTable = Callable[[str], ir.Table]
"""Returns the landed rows of an object."""


class Client(Protocol):
    """A CRM client that is logged in."""

    @property
    def api_calls(self) -> Counter[str]:
        """Count the API calls per kind: read, search, write, login."""

    @property
    def wait_seconds(self) -> float:
        """Sum the seconds of waiting for rate limits and before retries."""

    @property
    def waits(self) -> Mapping[str, float]:
        """Sum the seconds of waiting per kind: the kinds of calls, and job."""

    @property
    def throttled(self) -> int:
        """Count the responses with status 429 (too many calls)."""

    @property
    def warnings(self) -> list[str]:
        """List the warnings for the report, one sentence each."""

    @property
    def type_mismatches(self) -> Counter[tuple[str, str]]:
        """Count the values that did not fit the type of their field, per object and field."""

    @property
    def failed_objects(self) -> dict[str, RejectedError]:
        """Return the objects that could not be read completely, each with its error."""

    @property
    def calls_remaining(self) -> int | None:
        """Return the calls left today by the last response (None: the CRM does not report it)."""

    @property
    def daily_limit(self) -> int | None:
        """Return the calls allowed per day by the last response (None: not reported)."""

    def support_warnings(self, today: date) -> list[str]:
        """Warn of what the client uses and the CRM supports no longer, or not much longer."""

    def keep_reserve(self, reserve: float) -> AbstractContextManager[None]:
        """Leave `reserve` of the day's calls to other programs, for the calls of the block."""

    def check_connection(self) -> Account:
        """Check login and permissions, and return the account that the login leads to."""


SettingsT = TypeVar("SettingsT", bound="BaseConfiguration")
ClientT = TypeVar("ClientT", bound=Client)
_ClientT = TypeVar("_ClientT", bound=Client, contravariant=True)


class Source(Protocol[_ClientT]):
    """Make one dlt resource per selected object; see `extract/incremental.py`."""

    def __call__(
        self,
        client: _ClientT,
        selection: FieldSelection,
        catalog: Catalog,
        *,
        full: bool = False,
        progress: Progress = ...,
    ) -> list[DltResource]:
        """Return the resources. `full` reads all rows; else rows changed since the last run."""


class Estimate(Protocol[_ClientT]):
    """Estimate the next extract; makes count calls only."""

    def __call__(
        self,
        client: _ClientT,
        selection: FieldSelection,
        catalog: Catalog,
        states: Mapping[str, State],
        *,
        full: bool = False,
    ) -> list[ExtractEstimate]:
        """Return method and number of calls per object; `states` is the dlt state per object."""


class FindDifferences(Protocol[_ClientT]):
    """Compare the landed rows of an object with the CRM."""

    def __call__(
        self,
        client: _ClientT,
        object: str,
        landed_table: LandedTable,
        *,
        selection: FieldSelection,
        last_full_check: datetime | None,
        was_full_refresh: bool,
    ) -> Differences:
        """Return the ids that are missing, absent or reassociated."""


WritePackage = Callable[[Sequence[FieldSpec], Sequence[FieldSpec], Path], list[Path]]

Subject = TypeVar("Subject", contravariant=True)


@dataclass(frozen=True, kw_only=True)
class Check(Generic[Subject]):
    """One row of a table of checks: what is tested, and what to do where it fails.

    run:    tests and yields what was found; no finding means ok. A SyncError is a fault.
    advice: what to do about a fault or a warning.
    needs:  ids of the checks without which this one cannot be made; it is then skipped.
    """

    id: str
    title: str
    run: Callable[[Subject], Iterable[Finding]]
    advice: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConnectedAccount(Generic[ClientT]):
    """What the checks of a connector are given: the login, and the fields that the mapping names.

    `fields` are by object, such as those that a run reads and writes.
    """

    client: ClientT
    catalog: Catalog
    fields: FieldSelection

    def missing_fields(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each object that the account has, with the fields that it does not show."""
        for object, names in self.fields.items():
            found = self.catalog.get(object)
            missing = [name for name in names if found and name not in found]
            if missing:
                yield object, missing


@dataclass(frozen=True, kw_only=True)
class FieldSetup(Generic[ClientT]):
    """How an account gets the fields that a mapping writes; see `account_setup/fields.py`.

    type_label:      names the type that a field gets, in the words of the CRM.
    explain_missing: says why the account does not show some fields of an object.
    create:          creates fields, one result each. Raises AccessError: a permission is missing.
    add_options:     adds values to an existing picklist.
    write_package:   writes files with which an admin creates the first fields and permits all of
                     the second; returns their paths.
    """

    type_label: Callable[[FieldSpec], str]
    explain_missing: Callable[[ClientT, str, Sequence[str]], Mapping[str, MissingReason]]
    create: Callable[[ClientT, Sequence[FieldSpec]], Iterator[FieldChangeResult]]
    add_options: Callable[[ClientT, FieldSpec, Sequence[FieldOption]], FieldChangeResult]
    write_package: WritePackage | None = None


@dataclass(frozen=True, kw_only=True)
class Connector(Generic[SettingsT, ClientT]):
    """Everything that the shared code needs to know about one CRM.

    label:            name of the CRM in reports and messages.
    primary_key:      column of each landed table that holds the record id.
    settings:         dlt settings class, read from SOURCES__<CRM>__...
    settings_problems: lists what is wrong with them, one line each, without a call.
    connect:          makes the client. Raises ConfigError, AccessError.
    catalog:          reads the fields that the account has; unknown objects are left out.
    source:           makes the dlt resources of an extract.
    reread:           makes resources that read some records again, by id.
    estimate:         estimates the calls of the next extract.
    is_countable:     whether the CRM counts the rows of an object, so that a row check is possible.
    find_differences: compares landed rows of a countable object with the CRM.
    existing_ids:     returns which of some ids the CRM has, live or deleted; it must be exact.
    write:            writes changes and yields one outcome per record, batch by batch.
    estimate_writes:  estimates the calls of a write; the client is None without a connection.

    A connector works without the rest, which the guard, `doctor`, `check` and `fields` use:

    value_writers:        returns who wrote the values of some fields, of records given by id.
    address:              returns the URL of the CRM; empty where the setting is missing.
    require_write_access: makes sure that records of some objects may be written, without a write.
                          Raises AccessError with the missing permission.
    checks:               what else `doctor` tests in an account.
    field_setup:          how fields are created.
    """

    label: str
    primary_key: str
    settings: type[SettingsT]
    settings_problems: Callable[[SettingsT], list[str]] = lambda _: []
    connect: Callable[[SettingsT], ClientT]
    catalog: Callable[[ClientT, Iterable[str]], Catalog]
    source: Source[ClientT]
    reread: Callable[
        [ClientT, Mapping[str, Sequence[str]], FieldSelection, Catalog], list[DltResource]
    ]
    estimate: Estimate[ClientT]
    is_countable: Callable[[str], bool]
    find_differences: FindDifferences[ClientT]
    existing_ids: Callable[[ClientT, str, Sequence[str]], set[str]]
    write: Callable[[ClientT, Iterable[RecordChange], Catalog], Iterator[list[Outcome]]]
    estimate_writes: Callable[[ClientT | None, WriteVolume], int]
    value_writers: (
        Callable[[ClientT, str, Sequence[str], Sequence[str]], list[ValueWriter]] | None
    ) = None
    address: Callable[[SettingsT], str] | None = None
    require_write_access: Callable[[ClientT, Iterable[str]], None] | None = None
    checks: tuple[Check[ConnectedAccount[ClientT]], ...] = ()
    field_setup: FieldSetup[ClientT] | None = None


AnyConnector = Connector["BaseConfiguration", Client]
"""A connector that was loaded by name: its client comes from its own `connect`."""


def crm_names() -> tuple[str, ...]:
    """Return the names of the CRMs that have a folder here, sorted.

    The folders are searched on `connectors.__path__`, to which a test can add another directory.
    """
    folders = (Path(path) / module.name for path in __path__ for module in iter_modules([path]))
    return tuple(sorted(folder.name for folder in folders if (folder / "connector.py").exists()))


def connector(crm: str) -> AnyConnector:
    """Load the connector of a CRM.

    Raises: ConfigError where there is no folder for it.
    """
    if crm not in crm_names():
        raise ConfigError(
            f"{crm}: there is no connector for this CRM. Use one of {', '.join(crm_names())},"
            f" or add the folder connectors/{crm} (see docs/add-a-crm.md)"
        )
    return cast(AnyConnector, import_module(f"{__name__}.{crm}.connector").CONNECTOR)


def crm_label(crm: str) -> str:
    """Return the name of a CRM for reports.

    A warehouse may still have rows of a CRM whose connector was removed: then its id, capitalized.
    The folder's `__init__.py` has the name, so that a command that only prints loads no client.
    """
    if crm not in crm_names():
        return crm.capitalize()
    return str(import_module(f"{__name__}.{crm}").LABEL)


def identity_fields(crm: str) -> frozenset[str]:
    """Return the standard fields of a CRM that say who a person is: e-mail, phone, names, company.

    The folder's `__init__.py` lists them; a CRM without such a list has none.
    """
    if crm not in crm_names():
        return frozenset()
    return getattr(import_module(f"{__name__}.{crm}"), "IDENTITY_FIELDS", frozenset())


def root_sync_error(error: BaseException | None) -> SyncError | None:
    """Return the SyncError in the chain of causes: dlt wraps errors that occur during extract."""
    return next((cause for cause in causes(error) if isinstance(cause, SyncError)), None)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, each once: a chain of causes may be circular."""
    visited: list[BaseException] = []
    while error is not None and error not in visited:
        yield error
        visited.append(error)
        error = error.__cause__ or error.__context__
