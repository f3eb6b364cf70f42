"""How Salesforce writes times and dates, and how it stores a value."""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from sandbox.salesforce.schema import NUMBERS, Field


class InvalidValue(ValueError):
    """A value that does not match the type of its field."""


def instant(at: datetime) -> str:
    """Write a time as REST does. Salesforce drops fractions of a second.

    All times have the same format, so their order as text is their order in time.
    """
    return f"{at.astimezone(UTC).isoformat()[:19]}.000+0000"


def moment(text: str) -> datetime:
    """Parse a time in any format that Salesforce accepts; without an offset it is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def stored(value: Any, field: Field) -> Any:
    """Return the stored form of a value: trimmed, rounded, or None for an empty value.

    Raises: InvalidValue if the value is not of the field's type.
    """
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        return field.empty
    try:
        return _typed(value, field)
    except (ValueError, TypeError, LookupError, InvalidOperation) as error:
        raise InvalidValue(f"'{value}' is not a valid value for the type {field.xsd}") from error


def _typed(value: Any, field: Field) -> Any:
    match field.type:
        case "boolean":
            return _boolean(value)
        case "date":
            return date.fromisoformat(value[:10]).isoformat()
        case "datetime":
            return instant(moment(value))
        case kind if kind in NUMBERS:
            return _number(value, field.scale)
        case _:
            return value if isinstance(value, str) else _text(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]


def _number(value: Any, scale: int) -> float | int:
    if isinstance(value, bool):
        raise TypeError
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
    return float(exact) if scale else int(exact)


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise TypeError
    return str(value).lower() if isinstance(value, bool) else str(value)
