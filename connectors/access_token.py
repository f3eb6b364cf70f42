"""The access token of a CRM: renewed before its time is over, and once where it is refused."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Any

RENEW_AFTER = 0.9
"""The share of its time after which a token is renewed: a token of 30 minutes after 27."""


@dataclass(frozen=True)
class IssuedToken:
    """An access token, and how long it is valid (None: it does not say)."""

    value: str = field(repr=False)
    valid_for: timedelta | None = None


class AccessToken:
    """The token of all calls; several threads may use it at once."""

    def __init__(self, issue: Callable[[], IssuedToken], *, is_renewable: bool) -> None:
        """`issue` gives a token, at the first use and whenever it must be renewed."""
        self.is_renewable = is_renewable
        self._issue = issue
        self._value = ""
        self._renew_at: float | None = 0.0
        self._lock = Lock()

    def current(self) -> str:
        """Return the token; it is renewed before its time is over.

        Raises: AccessError where the CRM refuses the login.
        """
        with self._lock:
            if self._renew_at is not None and time.monotonic() >= self._renew_at:
                self._renew()
            return self._value

    def renewed(self, refused: str) -> str:
        """Return a newer token than the one that the CRM refused, renewed once for all threads."""
        with self._lock:
            if self._value == refused:
                self._renew()
            return self._value

    def _renew(self) -> None:
        begun_at = time.monotonic()
        issued = self._issue()
        self._value = issued.value
        self._renew_at = (
            None
            if issued.valid_for is None
            else begun_at + RENEW_AFTER * issued.valid_for.total_seconds()
        )


def fixed_token(token: str) -> AccessToken:
    """Return a token that is not renewed."""
    return AccessToken(lambda: IssuedToken(token), is_renewable=False)


def issued_token(body: dict[str, Any]) -> IssuedToken:
    """Take the token and its time from the answer of an OAuth token endpoint."""
    seconds = str(body.get("expires_in"))
    valid_for = timedelta(seconds=int(seconds)) if seconds.isdecimal() else None
    return IssuedToken(str(body["access_token"]), valid_for)
