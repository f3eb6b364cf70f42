"""How HubSpot stores and writes values: as text; times in ISO 8601 without zero milliseconds."""

from datetime import UTC, datetime
from typing import Any

from sandbox.hubspot.schema import Property


class InvalidValue(Exception):
    """A value that is invalid for its property: code and message of the error."""

    def __init__(self, code: str, message: str) -> None:
        """Store code and message."""
        super().__init__(code, message)
        self.code = code
        self.message = message


def milliseconds(at: datetime) -> int:
    """Convert an aware datetime to epoch milliseconds."""
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def iso(at: int) -> str:
    """Write epoch milliseconds as HubSpot does: no fraction if the milliseconds are zero."""
    seconds, fraction = divmod(at, 1000)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    return f"{text}.{fraction:03}Z" if fraction else f"{text}Z"


def parse_instant(text: str) -> int | None:
    """Parse epoch milliseconds or ISO 8601 (naive means UTC); None if it is neither."""
    if text.lstrip("-").isdecimal():
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return milliseconds(at if at.tzinfo else at.replace(tzinfo=UTC))


def stored_value(definition: Property, value: Any, *, adjust_dates: bool = False) -> str:
    """Convert a requested value to the stored text ("" clears). Raises: InvalidValue.

    `adjust_dates` takes a date that is not midnight as its day.
    """
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if definition.read_only:
        raise InvalidValue("READ_ONLY_VALUE", f'"{definition.name}" is a read only property')
    if text == "":
        return ""
    if definition.type != "string":
        text = text.strip()  # announced as an error for 2025, then cancelled
    match definition.type:
        case "number":
            return _number(text)
        case "datetime":
            return _instant(definition, text)
        case "date":
            return _day(definition, text, adjusts=adjust_dates)
        case "enumeration" | "bool":
            return _option(definition, text)
        case _:
            return _text(definition, text)


def _number(text: str) -> str:
    try:
        float(text)
    except ValueError:
        raise InvalidValue("INVALID_LONG", f"{text} was not a valid long.") from None
    if text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise InvalidValue("INVALID_LONG", f"{text} was not a valid long.")
    return text.removesuffix(".0")


def _instant(definition: Property, text: str) -> str:
    at = parse_instant(text)
    if at is None:
        raise InvalidValue("INVALID_DATE", f"{text} was not a valid date for {definition.name}.")
    return iso(at)


_FIRST_IN_MILLISECONDS = 100_000_000_000
"""A smaller number is a time in seconds: in milliseconds it would be before 1973."""


def _day(definition: Property, text: str, *, adjusts: bool) -> str:
    at = parse_instant(text)
    if adjusts and at is not None:
        in_seconds = text.isdecimal() and at < _FIRST_IN_MILLISECONDS
        return iso(at * 1000 if in_seconds else at)[:10]
    if at is None or at % 86_400_000:
        raise InvalidValue(
            "INVALID_DATE", f"{text} is not midnight UTC or a day for {definition.name}."
        )
    return iso(at)[:10]


def _option(definition: Property, text: str) -> str:
    allowed = [option.value for option in definition.options]
    chosen = text.split(";") if definition.field_type == "checkbox" else [text]
    unknown = [value for value in chosen if value not in allowed]
    if unknown:
        listed = ", ".join(allowed)
        raise InvalidValue(
            "INVALID_OPTION", f"{unknown[0]} was not one of the allowed options: [{listed}]"
        )
    return text


def _text(definition: Property, text: str) -> str:
    if definition.name == "email" and text.count("@") != 1:
        raise InvalidValue("INVALID_EMAIL", f"Email address {text} is invalid")
    if len(text) > 65_536:
        raise InvalidValue("PROPERTY_VALUE_TOO_LONG", f"{definition.name} is longer than 65536")
    return text.strip() if definition.name == "email" else text
