"""The lease: the right of one run to pull and write, until it frees it or lets it run out.

It lies in the warehouse and so holds on every machine that uses it, also while a run pulls and
has no file open. A DuckDB file that another process has open counts as leased.
"""

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import getnode

import ibis
import pyarrow as pa
from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.specs import BaseConfiguration
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_fixed,
)

from errors import ConfigError, HeldError, SyncError
from warehouse.warehouse import Warehouse, opened

LEASE = ibis.schema(
    {"run_id": "string", "host": "string", "process": "int64", "until": "timestamp(6)"}
)
HOST = f"{platform.node()}/{getnode():x}"
LOOK_EVERY = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=2)


@configspec
class Settings(BaseConfiguration):
    """`LEASE__MINUTES`: for how long a run that died keeps others away."""

    minutes: float = 15.0


@dataclass
class Lease:
    """The lease of one run."""

    run_id: str
    length: timedelta
    renewed_at: datetime

    def renew(self, warehouse: Warehouse) -> None:
        """Make sure that the lease is ours; lengthen it where a third of it is gone.

        Raises: HeldError where it ran out and another run took it.
        """
        holder = _holder(warehouse)
        if holder is None or holder["run_id"] != self.run_id:
            raise HeldError(
                f"run {self.run_id} let its lease run out, and another run went on: it stops here, "
                "and the next run plans anew what is left; raise LEASE__MINUTES"
            )
        if self._is_due():
            self.write(warehouse)

    def renew_if_due(self) -> None:
        """The same between the moments at which the warehouse is open; most times it is free."""
        if self._is_due():
            with opened() as warehouse:
                self.renew(warehouse)

    def write(self, warehouse: Warehouse) -> None:
        """Say that this run goes on for another length of the lease."""
        self.renewed_at = datetime.now(UTC)
        row = {
            "run_id": self.run_id,
            "host": HOST,
            "process": os.getpid(),
            "until": (self.renewed_at + self.length).replace(tzinfo=None),
        }
        mine = pa.Table.from_pylist([row], schema=LEASE.to_pyarrow())
        warehouse.store("lease", ibis.memtable(mine))

    def _is_due(self) -> bool:
        return datetime.now(UTC) - self.renewed_at > self.length / 3


@contextmanager
def leased(run_id: str, *, wait: bool = False) -> Iterator[Lease]:
    """Hold the lease for a run; `wait` until another has freed it.

    Raises: HeldError where another run has it, naming that run.
    """
    lease = Lease(run_id, length(), datetime.now(UTC))
    _patience(LONGEST_WAIT if wait else None)(_take, lease)
    try:
        yield lease
    finally:
        # whoever cannot free it lets it run out
        with suppress(SyncError):
            _free(run_id)


def length() -> timedelta:
    """How long a lease lasts that is not renewed.

    Raises: ConfigError where the setting is no number above 0.
    """
    try:
        minutes = resolve_configuration(Settings(), sections=("lease",)).minutes
    except ConfigurationException as error:
        raise ConfigError("LEASE__MINUTES is a number of minutes, such as 15") from error
    if minutes <= 0:
        raise ConfigError("LEASE__MINUTES must be above 0")
    return timedelta(minutes=minutes)


def _take(lease: Lease) -> None:
    with opened() as warehouse:
        warehouse.alone()
        holder = _holder(warehouse)
        if holder is not None and not _is_over(holder):
            raise HeldError(
                f"run {holder['run_id']} is under way, and has the warehouse until "
                f"{holder['until']:%H:%M:%S} UTC unless it goes on: wait for it, with --wait, or "
                "call again later. A run that was killed elsewhere frees it then"
            )
        lease.write(warehouse)


def _free(run_id: str) -> None:
    with opened() as warehouse:
        holder = _holder(warehouse)
        if holder is not None and holder["run_id"] == run_id:
            warehouse.store("lease", ibis.memtable(LEASE.to_pyarrow().empty_table()))


def _holder(warehouse: Warehouse) -> dict[str, Any] | None:
    if not warehouse.has("lease"):
        return None
    rows = warehouse.table("lease").to_pyarrow().to_pylist()
    return rows[0] if rows else None


def _is_over(holder: dict[str, Any]) -> bool:
    """Whether a lease ran out, or its run was a process of this machine that is gone."""
    if holder["until"].replace(tzinfo=UTC) <= datetime.now(UTC):
        return True
    return holder["host"] == HOST and not _is_alive(holder["process"])


def _is_alive(process: int) -> bool:
    # our own number: that of an earlier process, as in a container that was started again
    if os.name != "posix" or process == os.getpid():
        return os.name != "posix"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _patience(longest: timedelta | None) -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(HeldError),
        stop=stop_after_delay(longest) if longest else stop_after_attempt(1),
        wait=wait_fixed(LOOK_EVERY),
        before_sleep=_say,
        reraise=True,
    )


def _say(state: RetryCallState) -> None:
    if state.attempt_number == 1:
        logging.getLogger("onefunnel.lease").warning("lease.awaited run waits for another to end")
