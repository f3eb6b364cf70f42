"""Date literals of SOQL: TODAY, LAST_N_DAYS:7, THIS_MONTH and others."""

from datetime import date, timedelta

from sandbox.salesforce.errors import ApiError

_UNITS = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
_NEAR = {"LAST": -1, "THIS": 0, "NEXT": 1}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def days_of(word: str, today: date) -> tuple[date, date]:
    """Return the first day of a literal and the first one after it; weeks start on Sunday.

    Raises: ApiError with MALFORMED_QUERY where there is no such word.
    """
    name, _, number = word.upper().partition(":")
    unit, first, after = _span(name, int(number or 0))
    if unit not in _UNITS or bool(number) != ("N" in name.split("_")):
        raise ApiError("MALFORMED_QUERY", f"unexpected token: {word}")
    return _start(unit, first, today), _start(unit, after, today)


def _span(name: str, number: int) -> tuple[str, int, int]:
    """Return a unit, and its first and last instance relative to the present one."""
    match name.split("_"):
        case ["TODAY"]:
            return "DAY", 0, 1
        case ["YESTERDAY"]:
            return "DAY", -1, 0
        case ["TOMORROW"]:
            return "DAY", 1, 2
        case ["LAST" | "THIS" | "NEXT" as which, unit]:
            return unit, _NEAR[which], _NEAR[which] + 1
        case ["LAST", "90", "DAYS"]:
            return "DAY", -90, 1
        case ["NEXT", "90", "DAYS"]:
            return "DAY", 1, 91
        case ["LAST", "N", units]:
            return units[:-1], -number, 1 if units == "DAYS" else 0
        case ["NEXT", "N", units]:
            return units[:-1], 1, number + 1
        case ["N", units, "AGO"]:
            return units[:-1], -number, 1 - number
        case _:
            return "", 0, 0


def _start(unit: str, offset: int, today: date) -> date:
    if unit in ("DAY", "WEEK"):
        into_week = (today.weekday() + 1) % 7 if unit == "WEEK" else 0
        return today + timedelta(days=offset * (7 if unit == "WEEK" else 1) - into_week)
    length = _MONTHS[unit]
    month = today.year * 12 + today.month - 1
    month = month // length * length + offset * length
    return date(month // 12, month % 12 + 1, 1)
