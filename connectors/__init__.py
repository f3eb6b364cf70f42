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

from connectors.extract.id_diff import Gaps
from errors import RefusedError, SyncError
from models import Catalog, Load, Outcome, RecordChange, Road, Wanted

Progress = Callable[[str, int, int | None], None]
"""Told an object, the rows read so far, and how many there are (None: nobody knows)."""


class Client(Protocol):
    """One CRM, logged in."""

    @property
    def calls(self) -> Counter[str]:
        """Count the calls made, per kind: read, search, write, login."""

    @property
    def waited(self) -> float:
        """Sum the seconds waited for rate limits and before repeated calls."""

    @property
    def waits(self) -> Mapping[str, float]:
        """Sum them per kind: those of calls, and job."""

    @property
    def refused(self) -> int:
        """Count the calls answered with 429: there were too many."""

    @property
    def findings(self) -> list[str]:
        """List what an admin should know, one sentence each."""

    @property
    def drift(self) -> Counter[tuple[str, str]]:
        """Count the values that did not fit their type, per object and field."""

    @property
    def halted(self) -> dict[str, RefusedError]:
        """Tell which objects could not be read to their end, and why."""

    @property
    def calls_left(self) -> int | None:
        """Say how many calls the day still allows, as the CRM last told it."""

    @property
    def calls_a_day(self) -> int | None:
        """Say how many calls a whole day allows, as the CRM last told it."""

    def account(self) -> str:
        """Check that login and permissions work, and name the account."""


class Connector(Protocol):
    """What every CRM's folder offers."""

    Settings: Any
    KEY: str
    connect: Callable[[Any], Client]
    catalog: Callable[[Any, Iterable[str]], Catalog]
    apply: Callable[[Any, Iterable[RecordChange], Catalog], Iterator[list[Outcome]]]
    calls_for: Callable[[Any, Load], int]

    def source(
        self,
        client: Any,
        wanted: Wanted,
        catalog: Catalog,
        *,
        full: bool = False,
        progress: Progress = ...,
    ) -> list[Any]:
        """Make the dlt resources that read what is wanted."""

    def again(
        self, client: Any, ids: Mapping[str, Sequence[str]], wanted: Wanted, catalog: Catalog
    ) -> list[Any]:
        """Make the dlt resources that read some records of some objects once more."""

    def planned(
        self,
        client: Any,
        wanted: Wanted,
        catalog: Catalog,
        states: Mapping[str, Any],
        *,
        full: bool = False,
    ) -> list[Road]:
        """Say how the next pull reads each object, and by about how many calls."""

    is_provable: Callable[[str], bool]

    def gaps(
        self,
        client: Any,
        object: str,
        landed: Callable[[str], ir.Table],
        *,
        wanted: Wanted,
        swept_at: datetime | None,
        is_whole: bool,
    ) -> Gaps:
        """Find how the `landed` rows of an object differ from the CRM's."""


def crms() -> tuple[str, ...]:
    """Name the CRMs there are folders for."""
    folders = (Path(path) / module.name for path in __path__ for module in iter_modules([path]))
    return tuple(sorted(folder.name for folder in folders if (folder / "catalog.py").exists()))


def connector(crm: str) -> Connector:
    """Load the connector of one CRM."""
    return cast(Connector, import_module(f"{__name__}.{crm}"))


def cause(error: BaseException | None) -> SyncError | None:
    """Find our error inside the one dlt wraps around it while it extracts."""
    return next((one for one in chain_of(error) if isinstance(one, SyncError)), None)


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Follow an error to what caused it; such a chain may run in a circle."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__
