"""The table of error responses that each connector has in its `error_codes.py`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from connectors.http import Response, response_lost
from connectors.retry import POLICY
from errors import RetryableError, SyncError

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


def retryable(
    text: str, response: Response, *, error: type[RetryableError] = RetryableError
) -> RetryableError:
    """Make the error of a call that may be repeated; the text has a wait that is too long."""
    wait = response.retry_after
    if wait is not None and wait > POLICY.max_time:
        at = (response.server_time or datetime.now(UTC)) + wait
        text += f". It takes no calls before {at:%Y-%m-%d %H:%M} UTC: run again after that time"
    return error(text, retry_after=wait)


def unexpected_page(
    response: Response, where: str, *, crm: str, address: str, is_write: bool
) -> SyncError | None:
    """Return the error for a response that the API itself did not give; None: the API gave it.

    A proxy, a firewall or a maintenance page stands between. It may pass, so the call is repeated;
    its status says nothing about permissions or values. `address` is the setting with the address.
    """
    if 300 <= response.status < 400:
        host = urlsplit(response.headers.get("Location", "")).hostname or "another address"
        # it was not followed: a token, or a write, must not go elsewhere
        text = f"{crm} answered {response.status} to {where}: it leads to {host}; check {address}"
        return retryable(text, response)
    if response.status not in API_STATUSES or (response.is_json and not response.is_html):
        return None
    if is_write:
        return response_lost(where, is_write=True)
    page = "an HTML page" if response.is_html else "no JSON"
    return retryable(
        f"{crm} answered {response.status} to {where} with {page}: is the address right? Check"
        f" {address}, and any proxy or firewall on the way",
        response,
    )


API_STATUSES = frozenset({200, 201, 204, 207, 400, 401, 403, 409})
"""What these say counts only in the words of the API; of other statuses the number is enough."""
