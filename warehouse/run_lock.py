"""The run lock: one run at a time may extract and write, until it releases the lock or dies.

The lock is a row in the warehouse. So it works on every machine that uses the warehouse, also
while a run extracts and has no file open. A DuckDB file that another process has open counts as
locked.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import pyarrow as pa
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_fixed,
)

from errors import SyncError, WarehouseBusyError
from settings import Rule, read_settings
from warehouse import cleanup
from warehouse.destination import duckdb_file
from warehouse.file_wait import file_wait
from warehouse.processes import HOST_ID, has_ended
from warehouse.read_copy import publish
from warehouse.warehouse import Warehouse, open_warehouse

LOCK = ibis.schema(
    {"run_id": "string", "host": "string", "pid": "int64", "expires_at": "timestamp(6)"}
)
POLL_INTERVAL = timedelta(seconds=5)
MAX_WAIT = timedelta(hours=2)


@configspec
class LockSettings(BaseConfiguration):
    """`LOCK__TTL_MINUTES`: when the lock of a run expires that stopped renewing it."""

    ttl_minutes: float = 15.0


@dataclass
class RunLock:
    """The run lock, held by one run."""

    run_id: str
    ttl: timedelta
    renewed_at: datetime

    def renew(self, warehouse: Warehouse) -> None:
        """Make sure that this run holds the lock; extend it once a third of its time is over.

        Raises: WarehouseBusyError: the lock expired, and another run took it.
        """
        holder = _holder(warehouse)
        if holder is None or holder["run_id"] != self.run_id:
            raise WarehouseBusyError(
                f"the lock of run {self.run_id} expired"
                + (f" and was taken by run {holder['run_id']}" if holder else "")
                + ": this run stops, and the next run plans what is left. If it happens again, set "
                "LOCK__TTL_MINUTES to a larger number"
            )
        if self._is_due():
            self.extend(warehouse)

    def renew_if_due(self) -> None:
        """Renew while the warehouse is closed; opens it only where a third of the time is over."""
        if self._is_due():
            with open_warehouse() as warehouse:
                self.renew(warehouse)

    def extend(self, warehouse: Warehouse) -> None:
        """Store that this run holds the lock for another `ttl`."""
        self.renewed_at = datetime.now(UTC)
        row = {
            "run_id": self.run_id,
            "host": HOST_ID,
            "pid": os.getpid(),
            "expires_at": (self.renewed_at + self.ttl).replace(tzinfo=None),
        }
        rows = pa.Table.from_pylist([row], schema=LOCK.to_pyarrow())
        warehouse.replace_table("run_lock", ibis.memtable(rows))

    def _is_due(self) -> bool:
        return datetime.now(UTC) - self.renewed_at > self.ttl / 3


@contextmanager
def run_lock(run_id: str, *, wait: bool = False) -> Iterator[RunLock]:
    """Hold the run lock for a block; `wait` until another run releases it.

    Raises: WarehouseBusyError: another run holds it; the text names that run.
    """
    lock = RunLock(run_id, lock_ttl(), datetime.now(UTC))
    _lock_retrying(MAX_WAIT if wait else None)(_acquire, lock)
    try:
        yield lock
    finally:
        # where the release fails, the lock expires
        with suppress(SyncError):
            _release(run_id)


def lock_ttl(problems: list[str] | None = None) -> timedelta:
    """Read after how long a lock expires that is not renewed; check the other setting of locks.

    problems: see `read_settings`.
    Raises:   ConfigError where a setting is not a number in its range.
    """
    settings = read_settings(LockSettings(), "lock", rules={"ttl_minutes": _TTL}, problems=problems)
    file_wait(problems)
    return timedelta(minutes=settings.ttl_minutes)


_TTL = Rule(
    "a number of minutes above 0 and up to a year, such as 15",
    lambda minutes: timedelta(0) < timedelta(minutes=minutes) <= timedelta(days=366),
)


def _acquire(lock: RunLock) -> None:
    with open_warehouse() as warehouse:
        warehouse.advisory_lock()
        if holder := lock_holder(warehouse):
            raise WarehouseBusyError(
                f"run {holder['run_id']} holds the lock (expires {holder['expires_at']:%H:%M:%S} "
                "UTC unless the run extends it). Use --wait-for-lock, or try again later. If that "
                "run was killed on another machine, the lock expires at that time"
            )
        lock.extend(warehouse)
        if file := duckdb_file():
            # what a killed run had swapped out; this process has just opened the file, and no other
            shutil.rmtree(file.with_name(f"{file.name}.tmp"), ignore_errors=True)


def lock_holder(warehouse: Warehouse) -> dict[str, Any] | None:
    """Return the row of the run that holds the lock; None where it is free or expired."""
    holder = _holder(warehouse)
    return None if holder is None or _is_expired(holder) else holder


def _release(run_id: str) -> None:
    """Release the lock and publish what the run stored: no other run has begun yet."""
    with open_warehouse() as warehouse:
        holder = _holder(warehouse)
        if holder is not None and holder["run_id"] == run_id:
            warehouse.replace_table("run_lock", ibis.memtable(LOCK.to_pyarrow().empty_table()))
            if not cleanup.is_due(warehouse) or not cleanup.clean_up(warehouse):
                publish(warehouse)


@contextmanager
def open_for_decision(*, wait: bool = True) -> Iterator[Warehouse]:
    """Open the warehouse for a command that is no run, and publish what it stores.

    While a run is active, that run publishes it when it ends.
    """
    with open_warehouse(wait=wait) as warehouse:
        yield warehouse
        if lock_holder(warehouse) is None:
            publish(warehouse)


def _holder(warehouse: Warehouse) -> dict[str, Any] | None:
    if not warehouse.has("run_lock"):
        return None
    rows = warehouse.table("run_lock").to_pyarrow().to_pylist()
    return rows[0] if rows else None


def _is_expired(holder: dict[str, Any]) -> bool:
    """Whether a lock expired, or its process ran on this machine and has ended."""
    if holder["expires_at"].replace(tzinfo=UTC) <= datetime.now(UTC):
        return True
    return has_ended(holder["host"], holder["pid"])


def _lock_retrying(longest: timedelta | None) -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(WarehouseBusyError),
        stop=stop_after_delay(longest) if longest else stop_after_attempt(1),
        wait=wait_fixed(POLL_INTERVAL),
        before_sleep=_log_waiting,
        reraise=True,
    )


def _log_waiting(state: RetryCallState) -> None:
    if state.attempt_number == 1:
        logging.getLogger("onefunnel.run_lock").warning("lock.waiting")
