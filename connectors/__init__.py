"""The edges of the flow: reading from a CRM and writing to it, one folder a CRM.

A folder here that holds the four files is a CRM; nothing else has to know of it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Protocol, cast

import ibis.expr.types as ir

from connectors.extract.id_diff import Differences
from errors import RejectedError, SyncError
from models import Catalog, ExtractEstimate, FieldSelection, Outcome, RecordChange, WriteVolume

Progress = Callable[[str, int, int | None], None]
"""Told an object, the rows read so far, and how many there are (None: nobody knows)."""


class Client(Protocol):
    """One CRM, logged in."""

    @property
    def api_calls(self) -> Counter[str]:
        """Count the calls made, per kind: read, search, write, login."""

    @property
    def wait_seconds(self) -> float:
        """Sum the seconds waited for rate limits and before repeated calls."""

    @property
    def waits(self) -> Mapping[str, float]:
        """Sum them per kind: those of calls, and job."""

    @property
    def throttled(self) -> int:
        """Count the calls answered with 429: there were too many."""

    @property
    def warnings(self) -> list[str]:
        """List what an admin should know, one sentence each."""

    @property
    def type_mismatches(self) -> Counter[tuple[str, str]]:
        """Count the values that did not fit their type, per object and field."""

    @property
    def failed_objects(self) -> dict[str, RejectedError]:
        """Tell which objects could not be read to their end, and why."""

    @property
    def calls_remaining(self) -> int | None:
        """Say how many calls the day still allows, as the CRM last told it."""

    @property
    def daily_limit(self) -> int | None:
        """Say how many calls a whole day allows, as the CRM last told it."""

    def check_connection(self) -> str:
        """Check that login and permissions work, and name the account."""


class Connector(Protocol):
    """What every CRM's folder offers."""

    Settings: Any
    PRIMARY_KEY: str
    connect: Callable[[Any], Client]
    catalog: Callable[[Any, Iterable[str]], Catalog]
    write: Callable[[Any, Iterable[RecordChange], Catalog], Iterator[list[Outcome]]]
    estimate_writes: Callable[[Any, WriteVolume], int]

    def source(
        self,
        client: Any,
        selection: FieldSelection,
        catalog: Catalog,
        *,
        full: bool = False,
        progress: Progress = ...,
    ) -> list[Any]:
        """Make the dlt resources that read what is wanted."""

    def reread(
        self,
        client: Any,
        ids: Mapping[str, Sequence[str]],
        selection: FieldSelection,
        catalog: Catalog,
    ) -> list[Any]:
        """Make the dlt resources that read some records of some objects once more."""

    def estimate(
        self,
        client: Any,
        selection: FieldSelection,
        catalog: Catalog,
        states: Mapping[str, Any],
        *,
        full: bool = False,
    ) -> list[ExtractEstimate]:
        """Say how the next pull reads each object, and by about how many calls."""

    is_countable: Callable[[str], bool]

    def find_differences(
        self,
        client: Any,
        object: str,
        landed_table: Callable[[str], ir.Table],
        *,
        selection: FieldSelection,
        last_full_check: datetime | None,
        was_full_refresh: bool,
    ) -> Differences:
        """Find how the `landed` rows of an object differ from the CRM's."""


def crm_names() -> tuple[str, ...]:
    """Name the CRMs there are folders for."""
    folders = (Path(path) / module.name for path in __path__ for module in iter_modules([path]))
    return tuple(sorted(folder.name for folder in folders if (folder / "catalog.py").exists()))


def connector(crm: str) -> Connector:
    """Load the connector of one CRM."""
    return cast(Connector, import_module(f"{__name__}.{crm}"))


def root_sync_error(error: BaseException | None) -> SyncError | None:
    """Find our error inside the one dlt wraps around it while it extracts."""
    return next((one for one in causes(error) if isinstance(one, SyncError)), None)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Follow an error to what caused it; such a chain may run in a circle."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__
