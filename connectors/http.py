"""HTTP as both clients need it: one kept-alive session, and what the network does as our errors."""

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from itertools import takewhile
from typing import Any, TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager

from connectors import causes
from connectors.answer_limits import TIMEOUT, AnswerTooLargeError, limit_answers
from connectors.retry import ApiCaller
from errors import ConfigError, RetryableError, SyncError, UnknownOutcomeError

T = TypeVar("T")

MAX_RETRY_AFTER = timedelta(days=366)
"""A header that asks for more is no time."""


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
        try:
            if asked.isdecimal():
                wait = timedelta(seconds=int(asked))
            else:
                # by the server's own clock: ours may be minutes ahead
                now = self.server_time or datetime.now(UTC)
                wait = max(timedelta(), parsedate_to_datetime(asked) - now)
        except (TypeError, ValueError, OverflowError):
            return None
        return wait if wait <= MAX_RETRY_AFTER else None

    @property
    def is_html(self) -> bool:
        """Say whether this is a page for people, such as that of a proxy or of maintenance."""
        # by the body: a proxy may call its page anything
        return self.body.lstrip().startswith(b"<") and not self.body.lstrip().startswith(b"<?xml")

    @property
    def is_json(self) -> bool:
        """Say whether the body is JSON, as all that both APIs say of an error is."""
        try:
            orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return False
        return True


def url_problem(url: str) -> str:
    """Say what is wrong with the address of a CRM, as the end of "SETTING ..."; empty: nothing.

    A token must not travel unencrypted: plain HTTP is for this machine only.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if any(character.isspace() for character in url) or not url.isprintable():
        return "must not contain blanks or line breaks"
    if not host or parts.username is not None or "@" in parts.netloc:
        return "must be a URL such as https://example.com"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        return "must begin with https:// (http:// is for 127.0.0.1 only)"
    if parts.path.strip("/") or parts.query or parts.fragment:
        return f"must end after the host: {parts.scheme}://{parts.netloc}"
    return ""


def validate_url(url: str, setting: str) -> str:
    """Return `url` without a slash at its end.

    Raises: ConfigError where it is no address of a CRM.
    """
    if problem := url_problem(url):
        raise ConfigError(f"{setting} {problem}")
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


class Session(requests.Session):
    """The session for one host; repeating a call is left to `connectors.retry`."""

    def __init__(self, base_url: str) -> None:
        """Open it; plain HTTP is for a host on this machine."""
        super().__init__()
        self.base_url = base_url
        self.adapters.clear()
        self.mount("https://", _Adapter())
        if is_loopback(base_url):
            self.trust_env = False
            self.mount(base_url, _Adapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow no redirect: the token, or the secrets of a login, would go where it leads."""


def open_session(url: str) -> Session:
    """Open the session for one host."""
    return Session(url)


class _Adapter(HTTPAdapter):
    """Sets timeouts and limits for every request, also where a client library sets none."""

    def __init__(self) -> None:
        super().__init__(max_retries=0, pool_maxsize=MAX_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*args, **kwargs)
        limit_answers(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        """Make the pools of connections through a proxy."""
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        limit_answers(manager)
        return manager

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send a request."""
        try:
            return super().send(request, *args, **kwargs | {"timeout": TIMEOUT})
        except urllib3.exceptions.HTTPError as error:
            # `requests` expects no error of a body here, which it would read later
            raise requests.ConnectionError(error, request=request) from error


def send_request(
    session: Session,
    method: str,
    url: str,
    *,
    crm: str = "",
    is_write: bool = False,
    params: Mapping[str, Any] | None = None,
    data: bytes | Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send one request to the host of the session, and read its answer whole, whatever its status.

    url: a path, or a URL of that host: answers name their next page in both ways
    crm: for the errors

    Raises: RetryableError where the network failed, UnknownOutcomeError where it failed after a
            write had left; SyncError where the URL leads to another host.
    """
    url = own_url(session.base_url, url)
    try:
        response = session.request(method, url, params=params, data=data, headers=headers)
    except AnswerTooLargeError:
        if is_write:
            raise response_lost(f"{method} {urlsplit(url).path}", is_write=True) from None
        raise
    except NETWORK_ERRORS as error:
        # `from None`: the library's text holds the whole URL, and the query in it.
        raise network_error(error, method, url, crm=crm, is_write=is_write) from None
    return Response(response.status_code, response.headers, response.content)


NETWORK_ERRORS = (
    requests.Timeout,
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    urllib3.exceptions.HTTPError,
)
"""What `requests`, and `urllib3` alone, raise where the network fails."""


def network_error(
    error: Exception, method: str, url: str, *, crm: str = "", is_write: bool = False
) -> SyncError:
    """Make the error for a call that got no answer: it names the host and the cause.

    RetryableError where the call never left; otherwise as `response_lost`.
    """
    parts = urlsplit(url)
    where = f"{crm} {parts.hostname}, {method} {parts.path}".lstrip()
    if problem := _connection_problem(error):
        return RetryableError(f"{where}: no connection: {problem}")
    if is_write or not isinstance(error, requests.exceptions.SSLError):
        return response_lost(where, is_write=is_write)
    return RetryableError(f"{where}: the encrypted connection (TLS) broke: check the address")


def _connection_problem(error: Exception) -> str:
    """Say why there was no connection; empty where there may have been one, and it broke."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            "its certificate is not trusted here: check the address, and the clock of this machine;"
            " behind a proxy that opens TLS, set REQUESTS_CA_BUNDLE to the proxy's certificate"
        )
    # up to an error of ours: that one is of an earlier call, which this one follows
    chain = list(takewhile(lambda cause: not isinstance(cause, SyncError), causes(error)))
    for classes, problem in _CONNECTION_PROBLEMS:
        if any(isinstance(cause, classes) for cause in chain):
            return problem
    return ""


_CONNECTION_PROBLEMS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError),
        "the proxy cannot be reached: check HTTPS_PROXY",
    ),
    ((socket.gaierror,), "name not known: check the address, and the DNS of this machine"),
    ((ConnectionRefusedError,), "connection refused: check the address, and the firewall"),
    ((urllib3.exceptions.NewConnectionError,), "the network cannot be reached"),
    (
        (urllib3.exceptions.ConnectTimeoutError,),
        "it does not answer in time: check the address, and the firewall",
    ),
)
"""The first that is among the causes counts: urllib3 wraps the one that says most."""


def own_url(base: str, url: str) -> str:
    """Return a URL that begins with `base`, which is a host and perhaps a path.

    Raises: SyncError where it leads to another host, port or scheme: the token would go there.
    """
    own = urlsplit(base)
    try:
        target = urlsplit(urljoin(f"{base}/", url))
        is_own = _origin(target) == _origin(own)
    except ValueError:  # such as a port that is no number
        is_own = False
    if not is_own:
        raise SyncError(
            f"{own.hostname} answered with an address of another host, which was not called. Check"
            f" the address of the CRM in the settings, and the proxy in front of {own.hostname}"
        )
    path = target._replace(scheme="", netloc="").geturl()
    return base + path.removeprefix(own.path)


_DEFAULT_PORTS = {"http": 80, "https": 443}


def _origin(url: SplitResult) -> tuple[str | None, ...]:
    """Say where a request to a URL goes, and as whom."""
    port = url.port or _DEFAULT_PORTS.get(url.scheme)
    return url.scheme, url.hostname, str(port), url.username


def parse_json(response: Response, where: str, *, is_write: bool = False) -> Any:
    """Read the JSON of a good answer.

    Raises: as `response_lost`, where the answer is not JSON.
    """
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        raise malformed(where, is_write=is_write) from None


def malformed(where: str, *, is_write: bool) -> SyncError:
    """Make the error for an answer with a good status that is cut off, or is no answer at all."""
    if is_write:
        return response_lost(where, is_write=True)
    return RetryableError(f"{where}: the answer is cut off or malformed")


def response_lost(where: str, *, is_write: bool) -> SyncError:
    """Make the error for a call whose answer never came, or not whole."""
    if is_write:
        return UnknownOutcomeError(f"{where}: the answer was lost; read back what was written")
    return RetryableError(f"{where}: the answer was lost")


class RepeatedPageError(RetryableError):
    """A list answered with a page that it had answered with before."""


class PaginationLoopGuard:
    """The cursors followed so far in one list, to detect a page that comes twice."""

    def __init__(self, where: str) -> None:
        """Start with no cursor; `where` names the CRM and the list in the error."""
        self.where = where
        self._followed_cursors: set[str] = set()

    def fetch(
        self, api_caller: ApiCaller, fetch: Callable[[], T], cursors: Callable[[T], Iterable[str]]
    ) -> T:
        """Fetch a page, and again where it came before; `cursors` returns what follows it.

        Raises: RepeatedPageError where it comes again and again: reading on would never end.
        """

        def attempt() -> T:
            page = fetch()
            self.check(*cursors(page))
            return page

        return api_caller.with_retries(self.where, attempt, kind="read", on=RepeatedPageError)

    def check(self, *cursors: str) -> None:
        """Remember the cursors of a page.

        Raises: RepeatedPageError where one was followed before.
        """
        if not self._followed_cursors.isdisjoint(cursors):
            raise RepeatedPageError(f"{self.where} answers with the same page again and again")
        self._followed_cursors.update(cursors)
