"""The table of error responses that each connector has in its `error_codes.py`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from errors import SyncError

Scope = Literal["", "field", "value", "deleted", "converted"]


@dataclass(frozen=True, kw_only=True)
class ErrorRule:
    """One row: which error responses it matches, the error class, and what an admin can do.

    status: HTTP status; None matches every status.
    code:   error code of the CRM; None matches every code.
    error:  class of the error, which decides what happens next; see `errors.py`.
    fix:    what to do, as the end of the error message.
    scope:  what else a refusal is true for: `field` (every value of the field), `value` (the value
            in every record), `deleted` or `converted` (every change of the record). Empty: only
            this value in this record.
    """

    error: type[SyncError]
    fix: str
    status: int | None = None
    code: str | None = None
    scope: Scope = ""


def drop_nulls(error_body: Any) -> Any:
    """Remove the null members of an error body, so that the defaults of its model apply."""
    if not isinstance(error_body, dict):
        return error_body
    return {name: value for name, value in error_body.items() if value is not None}


def match_rule(rules: Iterable[ErrorRule], status: int, code: str) -> ErrorRule | None:
    """Return the first row that matches a response."""
    for rule in rules:
        if rule.status in (status, None) and rule.code in (code, None):
            return rule
    return None


def codes_in_scope(rules: Iterable[ErrorRule], scope: Scope) -> frozenset[str]:
    """Return the codes of a scope."""
    return frozenset(rule.code for rule in rules if rule.code and rule.scope == scope)
