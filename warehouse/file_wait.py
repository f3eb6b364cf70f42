"""Wait for a DuckDB file that another process has open: a BI tool, a run, a copy for a backup."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from errors import WarehouseBusyError
from settings import Rule, read_settings
from warehouse.destination import root_error

T = TypeVar("T")

POLL_INTERVAL = timedelta(milliseconds=200)


@configspec
class FileWaitSettings(BaseConfiguration):
    """`LOCK__FILE_WAIT_MINUTES`: how long to wait for a file that another process has open."""

    file_wait_minutes: float = 10.0


def file_wait(problems: list[str] | None = None) -> timedelta:
    """Read how long to wait for a file in use.

    problems: see `read_settings`.
    Raises:   ConfigError where the setting is not a number from 0 on.
    """
    rules = {"file_wait_minutes": _MINUTES}
    settings = read_settings(FileWaitSettings(), "lock", rules=rules, problems=problems)
    return timedelta(minutes=settings.file_wait_minutes)


_MINUTES = Rule(
    "a number of minutes from 0 to a day, such as 10",
    lambda minutes: timedelta(0) <= timedelta(minutes=minutes) <= timedelta(days=1),
)


def connect_when_free(connect: Callable[[], T], *, wait: bool = True) -> T:
    """Open a connection to the warehouse; wait while another process has its DuckDB file open.

    Raises: WarehouseBusyError: the file is still in use after the time to wait.
            SyncError: the warehouse cannot be opened.
    """

    def connect_once() -> T:
        try:
            return connect()
        except Exception as error:
            # each engine's client raises errors of its own
            raise root_error(error) from error

    retrying = Retrying(
        retry=retry_if_exception_type(WarehouseBusyError),
        stop=stop_after_delay(file_wait() if wait else 0),
        wait=wait_fixed(POLL_INTERVAL),
        before_sleep=_log_waiting,
        reraise=True,
    )
    return retrying(connect_once)


def _log_waiting(state: RetryCallState) -> None:
    if state.attempt_number == 1:
        logging.getLogger("onefunnel.warehouse").warning(
            "warehouse.waiting reason=file_in_use max_minutes=%g: another process has the DuckDB "
            "file of the warehouse open",
            file_wait() / timedelta(minutes=1),
        )
