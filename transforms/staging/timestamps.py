"""Instants inside the middle: whole microseconds since 1970, UTC, so that every engine agrees."""

from datetime import UTC, datetime, timedelta

import ibis
import ibis.expr.types as ir

MICROSECONDS_PER_DAY = 86_400_000_000
"""Microseconds in 24 hours."""

NEVER = 9_000_000_000_000_000_000
"""The instant of what never became true: later than all others, so that least() means any and
greatest() means all. It becomes NULL when it leaves the middle."""

_EPOCH = datetime(1970, 1, 1)


def days_to_microseconds(length: float) -> int:
    """The number of microseconds in a number of days.

    >>> days_to_microseconds(0.5)
    43200000000
    """
    return round(length * MICROSECONDS_PER_DAY)


def from_datetime(at: datetime) -> int:
    """Microseconds of a datetime; one without a zone is UTC already."""
    naive = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    return (naive - _EPOCH) // timedelta(microseconds=1)


def to_datetime(us: int) -> datetime | None:
    """The UTC datetime of microseconds; None for `NEVER`.

    >>> to_datetime(1_000_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1)
    >>> to_datetime(NEVER) is None
    True
    """
    return None if us == NEVER else _EPOCH + timedelta(microseconds=us)


def to_microseconds(at: ir.Value) -> ir.IntegerValue:
    """Microseconds of a timestamp column; NULL stays NULL."""
    epoch = ibis.timestamp(_EPOCH.isoformat(sep=" "))
    return at.cast("timestamp(6)").delta(epoch, unit="microsecond")


def to_timestamp(us: ir.IntegerValue) -> ir.TimestampValue:
    """The timestamp of microseconds; `NEVER` becomes NULL."""
    epoch = ibis.timestamp(_EPOCH.isoformat(sep=" "))
    return epoch + us.nullif(NEVER).as_interval("us")


def null_to_never(us: ir.Value) -> ir.IntegerValue:
    """The same instants with NULL spelt as `NEVER`."""
    return us.fill_null(NEVER).cast("int64")
