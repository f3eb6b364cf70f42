"""Whether two texts are one value, in the type the CRM keeps it in."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from models import FieldType

Value = str | bool | Decimal | date | datetime
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def values_equal(
    left: str | None, right: str | None, type: FieldType, *, timestamp_resolution: timedelta
) -> bool:
    """Say whether a CRM stores both as one value: "64" and "64.0", 09:00Z and 10:00+01:00.

    Blank text is no value. `instant` is the smallest step of the CRM's clock.
    """
    return parse_value(left, type, timestamp_resolution=timestamp_resolution) == parse_value(
        right, type, timestamp_resolution=timestamp_resolution
    )


def parse_value(
    text: str | None, type: FieldType, *, timestamp_resolution: timedelta
) -> Value | None:
    """Read a text as its type; what cannot be read stays text."""
    text = (text or "").strip()
    if not text:
        return None
    try:
        read = _READERS.get(type, str)(text)
    except (ValueError, KeyError, OverflowError):
        return text
    if isinstance(read, datetime):
        return read - (read - _EPOCH) % timestamp_resolution
    return read


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _timestamp(text: str) -> datetime:
    if text.lstrip("-").isdigit() and len(text) > 8:
        return _EPOCH + timedelta(milliseconds=int(text))
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _date(text: str) -> date:
    return date.fromisoformat(text[:10]) if "-" in text[1:] else _timestamp(text).date()


def _number(text: str) -> Decimal:
    """Read a number as closely as a table keeps it: a CRM may hold a third to twenty digits."""
    return Decimal(repr(float(text)))


_READERS: Mapping[FieldType, Callable[[str], Value]] = {
    "number": _number,
    "integer": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _timestamp,
}
