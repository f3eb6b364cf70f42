"""Everything that can go wrong, as one tree: the branch says what happens next.

A text says what happened, where (CRM, object, record id, field) and what to do. It never holds a
value of a record, a token, a query string, or a request or response body.
"""

from datetime import timedelta


class SyncError(Exception):
    """The run cannot do all it was asked to."""


class ConfigError(SyncError):
    """Stop before the first call: a file, a setting or a mapping must be changed first."""


class DriftError(ConfigError):
    """Pull all else, then stop: what a mapping names is gone from the account, or has changed."""


class AccessError(SyncError):
    """Stop this CRM: the login or a permission is missing; the text names the scope."""


class WarehouseBusyError(SyncError):
    """Come again later: another run, or a tool, has the warehouse."""


class RetryableError(SyncError):
    """Wait, then try the same again.

    `retry_after` is what the CRM asked for, or None where it named no time.
    """

    def __init__(self, text: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class RejectedError(SyncError):
    """Quarantine this record and go on: the CRM will not take this value.

    `code` is the CRM's own word for the cause, `field` the refused field where the CRM names it,
    `fix` what an admin can do about it.
    """

    def __init__(self, text: str, *, code: str, field: str | None = None, fix: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.field = field
        self.fix = fix


class QuotaError(SyncError):
    """Stop spending calls and carry the rest to the next run."""


class UnknownOutcomeError(SyncError):
    """Nobody knows whether a write happened: read back, never guess."""
