"""What the answers of a CRM mean: the shape of the table each `answers.py` has."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from errors import SyncError

About = Literal["", "field", "value", "deleted", "converted"]


@dataclass(frozen=True)
class Meaning:
    """One row: an answer with this status and this code, what happens next, what an admin can do.

    No status: with any; no code: with any other. A refusal is `about` a field whatever its value,
    a value whatever its record, or a record that is nobody's to change any more; else about just
    this value in just this record.
    """

    status: int | None
    code: str | None
    error: type[SyncError]
    fix: str
    about: About = ""


def without_nulls(told: Any) -> Any:
    """Leave out of an error what it only says nothing about: a null must not spoil the rest."""
    if not isinstance(told, dict):
        return told
    return {name: value for name, value in told.items() if value is not None}


def meaning(table: Iterable[Meaning], status: int, code: str) -> Meaning | None:
    """Find the first row that fits an answer."""
    for row in table:
        if row.status in (status, None) and row.code in (code, None):
            return row
    return None


def codes(table: Iterable[Meaning], about: About) -> frozenset[str]:
    """List the codes of refusals about one thing."""
    return frozenset(row.code for row in table if row.code and row.about == about)
