"""All errors of the project in one tree; the class says what happens next.

A message says what failed, where (CRM, object, record id, field) and what to do. It never contains
a value of a record, a token, a query string, or a request or response body.
"""

import signal
import traceback
from datetime import timedelta
from pathlib import Path

EXIT_FAILED, EXIT_CONFIGURATION, EXIT_STOPPED_BY_GUARD, EXIT_ABOVE_LIMIT = 1, 2, 3, 4
"""Exit codes; after a signal it is 128 and the number of the signal."""


class SyncError(Exception):
    """The run cannot do everything."""


class ConfigError(SyncError):
    """Stop before the first call: a file, a setting or a mapping must be changed first."""


class AccountError(ConfigError):
    """Stop before the first read: a login leads to another account than before."""


class OutdatedWarehouseError(ConfigError):
    """The warehouse is of an older schema version: a command that only reads cannot use it."""


class DriftError(ConfigError):
    """Extract all other objects, then stop: a mapped field is missing or has another type."""


class AccessError(SyncError):
    """Stop this CRM: the login or a permission is missing; the text names the scope."""


class WarehouseBusyError(SyncError):
    """Try later: another run, or another program, uses the warehouse."""


class RetryableError(SyncError):
    """Wait, then send the same request again.

    `retry_after` is the wait time that the CRM asks for, or None.
    """

    def __init__(self, text: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class RowLockedError(RetryableError):
    """Another process holds the record: send it again, in a smaller batch."""


class RejectedError(SyncError):
    """Quarantine this record and continue: the CRM rejects this value.

    `code` is the error code of the CRM, `field` the rejected field where the CRM names it, `fix`
    what an admin can do. `crm_message` is the CRM's own message: it may hold values of the record,
    so nothing shows or stores it before the connector has found it in the account's metadata.
    """

    def __init__(
        self,
        text: str,
        *,
        code: str,
        field: str | None = None,
        fix: str = "",
        crm_message: str | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.field = field
        self.fix = fix
        self.crm_message = crm_message


class QuotaError(SyncError):
    """Stop calling this CRM today; the next run writes the rest."""


class UnknownOutcomeError(SyncError):
    """A write has no clear response: read the record, never guess."""


class UnconfirmedWriteError(UnknownOutcomeError):
    """The CRM accepted a value and may have kept another: read the record, do not send again."""


class SignalError(KeyboardInterrupt):
    """A signal such as SIGTERM ends the process, in the same way as Ctrl-C."""

    def __init__(self, signal_code: int) -> None:
        super().__init__()
        self.signal_code = signal_code


def exit_code(error: BaseException) -> int:
    """Return the exit code of a command that an error ends."""
    match error:
        case KeyboardInterrupt():
            return 128 + _signal_of(error)
        case ConfigError():
            return EXIT_CONFIGURATION
    return EXIT_FAILED


def describe_error(error: BaseException) -> str:
    """Say what ended a command, without a value of a record: a library's message may hold one."""
    match error:
        case KeyboardInterrupt():
            return f"ended by the signal {signal.Signals(_signal_of(error)).name}"
        case SyncError():
            return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _signal_of(error: KeyboardInterrupt) -> int:
    # dlt raises its own class for a signal during an extract; it has the same attribute
    return int(getattr(error, "signal_code", signal.SIGINT))
