"""What the answers of a CRM mean: the shape of the table each `answers.py` has."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from errors import SyncError

Scope = Literal["", "field", "value", "deleted", "converted"]


@dataclass(frozen=True)
class ErrorRule:
    """One row: an answer with this status and this code, what happens next, what an admin can do.

    No status: with any; no code: with any other. A refusal is `about` a field whatever its value,
    a value whatever its record, or a record that is nobody's to change any more; else about just
    this value in just this record.
    """

    status: int | None
    code: str | None
    error: type[SyncError]
    fix: str
    scope: Scope = ""


def drop_nulls(error_body: Any) -> Any:
    """Leave out of an error what it only says nothing about: a null must not spoil the rest."""
    if not isinstance(error_body, dict):
        return error_body
    return {name: value for name, value in error_body.items() if value is not None}


def match_rule(rules: Iterable[ErrorRule], status: int, code: str) -> ErrorRule | None:
    """Find the first row that fits an answer."""
    for row in rules:
        if row.status in (status, None) and row.code in (code, None):
            return row
    return None


def codes_in_scope(rules: Iterable[ErrorRule], scope: Scope) -> frozenset[str]:
    """List the codes of refusals about one thing."""
    return frozenset(row.code for row in rules if row.code and row.scope == scope)
