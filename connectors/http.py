"""HTTP as both clients need it: one kept-alive session, and what the network does as our errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter

from errors import ConfigError, RetryableError, SyncError, UnknownOutcomeError

TIMEOUT = (10.0, 120.0)
"""Seconds to connect, and between two bytes of an answer."""


@dataclass(frozen=True)
class Response:
    """One HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def server_time(self) -> datetime | None:
        """Read the server's clock, where the answer shows it."""
        try:
            return parsedate_to_datetime(self.headers["Date"]).astimezone(UTC)
        except (KeyError, ValueError):
            return None

    @property
    def retry_after(self) -> timedelta | None:
        """Read how long the server asks to wait; it may say so in seconds or as a date."""
        asked = self.headers.get("Retry-After", "")
        if asked.isdigit():
            return timedelta(seconds=int(asked))
        try:
            # by the server's own clock: ours may be minutes ahead
            now = self.server_time or datetime.now(UTC)
            return max(timedelta(), parsedate_to_datetime(asked) - now)
        except (TypeError, ValueError):
            return None


def validate_url(url: str, setting: str) -> str:
    """Return `url` without a slash at its end.

    Raises: ConfigError where a token would travel unencrypted: plain HTTP is for loopback only.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.username:
        raise ConfigError(f"{setting} must be a URL such as https://example.com")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise ConfigError(f"{setting} must begin with https:// (http:// is for 127.0.0.1 only)")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Say whether `url` stays on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


MAX_CONNECTIONS = 16
"""Kept alive at most: as many calls as may be on their way at a time."""


def open_session(url: str) -> requests.Session:
    """Open the session for one host; repeating a call is left to `resilience`."""
    session = requests.Session()
    session.mount(url, _Adapter())
    if is_loopback(url):
        session.trust_env = False
        session.mount("https://", _Adapter(instead=url))
    return session


class _Adapter(HTTPAdapter):
    """Sets a timeout for every request, also where a client library sets none.

    `instead` is a server on this machine, which gets what a library sends to https:// hosts.
    """

    def __init__(self, instead: str = "") -> None:
        super().__init__(max_retries=0, pool_maxsize=MAX_CONNECTIONS)
        self._instead = instead

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send a request."""
        if self._instead:
            request.url = self._instead + request.path_url
        return super().send(request, *args, **kwargs | {"timeout": TIMEOUT})


def send_request(
    session: requests.Session,
    method: str,
    url: str,
    *,
    is_write: bool = False,
    params: Mapping[str, Any] | None = None,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send one request and read its answer whole, whatever its status.

    Raises: RetryableError where the network failed, UnclearError where it failed after a write
    had left.
    """
    where = f"{method} {urlsplit(url).path}"
    try:
        response = session.request(
            method,
            url,
            params=params,
            data=data,
            headers=headers,
            allow_redirects=False,
        )
    except requests.ConnectTimeout:
        raise RetryableError(f"{where}: no connection in time") from None
    except (
        requests.Timeout,
        requests.ConnectionError,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    ):
        # `from None`: the library's text holds the whole URL, and the query in it.
        raise response_lost(where, is_write=is_write) from None
    return Response(response.status_code, response.headers, response.content)


def parse_json(response: Response, where: str, *, is_write: bool = False) -> Any:
    """Read the JSON of a good answer.

    Raises: as `exchange`, where what came is no JSON, such as the page of a proxy.
    """
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        raise response_lost(where, is_write=is_write) from None


def response_lost(where: str, *, is_write: bool) -> SyncError:
    """Make the error for a call whose answer never came, or not whole."""
    if is_write:
        return UnknownOutcomeError(f"{where}: the answer was lost; read back what was written")
    return RetryableError(f"{where}: the answer was lost")


class PaginationLoopGuard:
    """The cursors followed so far in one list, to detect a pagination loop."""

    def __init__(self, where: str) -> None:
        """Start with no cursor; `where` names the CRM and the list in the error."""
        self._where = where
        self._followed_cursors: set[str] = set()

    def check(self, cursor: str) -> str:
        """Remember a cursor and return it.

        Raises: SyncError where the cursor was followed before: reading on would never end.
        """
        if cursor in self._followed_cursors:
            raise SyncError(f"{self._where} answers with the same page again and again")
        self._followed_cursors.add(cursor)
        return cursor
