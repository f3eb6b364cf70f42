"""Record ids: 15 case-sensitive characters, and 3 that encode their case."""

import string
from functools import lru_cache
from typing import Any

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SUFFIX = string.ascii_uppercase + "012345"
_POD = "ak0"
_VALID = frozenset(_DIGITS)
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}


def record_id(prefix: str, number: int) -> str:
    """Return the 18-character id of record `number` of an object; ids ascend with numbers."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return to_18(f"{prefix}{_POD}{digits:0>9}")


def number_in(prefix: str, record: Any) -> int | None:
    """Return the number from which `record_id` built this id, or None."""
    if not isinstance(record, str) or record[:6] != prefix + _POD or normalised(record) != record:
        return None
    number = 0
    for digit in record[6:15]:
        number = number * 62 + _VALUES[digit]
    return number


def to_18(id15: str) -> str:
    """Add the three characters that encode which of the 15 are upper case."""
    return id15 + _letter(id15[:5]) + _letter(id15[5:10]) + _letter(id15[10:15])


def normalised(text: str) -> str | None:
    """Return the 18-character form of an id, or None if it is not an id."""
    if len(text) not in (15, 18) or not _VALID.issuperset(text):
        return None
    full = to_18(text[:15])
    return full if len(text) == 15 or full == text else None


@lru_cache(maxsize=100_000)
def _letter(block: str) -> str:
    return _SUFFIX[sum(1 << at for at, character in enumerate(block) if character.isupper())]
