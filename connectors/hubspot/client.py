"""The HubSpot account: its session, and how it is asked and written to."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue
from hubspot import HubSpot
from hubspot.crm.objects import BatchInputSimplePublicObjectBatchInput
from hubspot.crm.objects.exceptions import ApiException
from urllib3 import Retry
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from connectors.http import (
    CONNECTIONS,
    TIMEOUT,
    Answer,
    checked_url,
    exchange,
    lost,
    open_session,
    parsed,
)
from connectors.hubspot.error_codes import error_of
from connectors.retry import TOO_MANY, Pace, Traffic
from errors import ConfigError, RefusedError
from settings import setting

NOT_THERE = "OBJECT_NOT_FOUND"
AT_ONCE = CONNECTIONS
"""Batches on their way: 19 calls a second are allowed, and a batch takes up to a second."""

for _library in ("hubspot", "urllib3"):
    # Their debug lines hold URLs and bodies, and e-mail addresses in them.
    logging.getLogger(_library).setLevel(logging.WARNING)


@configspec
class Settings(BaseConfiguration):
    """How to reach the account; `access_token` is that of a private app."""

    access_token: TSecretStrValue = ""
    base_url: str = "https://api.hubapi.com"


class Client:
    """One HubSpot account: read over one kept-alive session, written by the client library."""

    def __init__(self, settings: Settings) -> None:
        """Open the session; no call is made yet."""
        token = str(settings.access_token)
        if not token:
            raise ConfigError(f"{setting('hubspot', 'access_token')} is missing")
        self._url = checked_url(settings.base_url, setting("hubspot", "base_url"))
        self._session = open_session(self._url)
        self._session.headers["Authorization"] = f"Bearer {token}"
        environment = self._session.merge_environment_settings(self._url, {}, None, None, None)
        library = HubSpot(
            access_token=token,
            host=self._url,
            retry=Retry(False),
            proxy=environment["proxies"].get("https"),
            connection_pool_maxsize=AT_ONCE,
        )
        self._batch = library.crm.objects.batch_api
        self.traffic = Traffic("hubspot", {"general": Pace(190, 10), "search": Pace(5, 1)})
        self._server_time: datetime | None = None
        self.findings: list[str] = []
        self.drift: Counter[tuple[str, str]] = Counter()
        self.halted: dict[str, RefusedError] = {}
        self.calls_left: int | None = None
        self.calls_a_day: int | None = None

    @property
    def calls(self) -> Counter[str]:
        """Count the calls made, per kind: read, search, write."""
        return self.traffic.calls

    @property
    def waited(self) -> float:
        """Sum the seconds waited for rate limits and before repeated calls."""
        return self.traffic.waited

    @property
    def waits(self) -> Mapping[str, float]:
        """Sum them per kind of call."""
        return self.traffic.waits

    @property
    def refused(self) -> int:
        """Count the calls answered with 429: there were too many."""
        return self.traffic.refused

    def account(self) -> str:
        """Name the account, after a look whether the token works.

        Raises: AccessError where it does not.
        """
        details = self.get("/account-info/v3/details")
        return f"HubSpot account {details.get('portalId')}"

    def now(self) -> datetime:
        """Read HubSpot's clock as of its last answer: a cursor must not follow our own."""
        return self._server_time or datetime.now(UTC)

    def get(self, path: str, *, holds: str = "", **params: Any) -> dict[str, Any]:
        """Read what stands at a path; an answer without the list it `holds` is asked for again."""
        return self._ask("GET", path, kind="read", holds=holds, params=params)

    def post(
        self, path: str, body: Mapping[str, Any], *, kind: str = "read", holds: str = "results"
    ) -> dict[str, Any]:
        """Read through a path that takes its question as a body; searches have their own limit."""
        return self._ask("POST", path, kind=kind, holds=holds, data=orjson.dumps(body))

    def update(self, object: str, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Write up to 100 records.

        Raises: RefusedError where the batch is refused whole, UnclearError where nobody knows,
                RetryableError where nothing was written: look again before it is sent again.
        """
        batch = BatchInputSimplePublicObjectBatchInput(inputs=inputs)
        where = f"POST /crm/v3/objects/{object}/batch/update"

        def send() -> dict[str, Any]:
            try:
                # Undecoded: the library's models refuse errors whose optional parts are missing.
                raw = self._batch.update(
                    object, batch, _preload_content=False, _request_timeout=TIMEOUT
                )
                answer = Answer(raw.status, raw.headers, raw.data)
            except ApiException as error:
                # The library has made text of the body.
                told = (error.body or "").encode()
                answer = Answer(error.status, error.headers or {}, told)
            except (NewConnectionError, ConnectTimeoutError):
                raise lost(where, is_write=False) from None
            except HTTPError:
                raise lost(where, is_write=True) from None
            body = self._taken(answer, where, is_write=True)
            if not isinstance(body, dict) or not isinstance(body.get("results"), list):
                raise lost(where, is_write=True)
            return body

        return self.traffic.run(where, send, kind="write", pace="general", repeats=False)

    def _ask(
        self, method: str, path: str, *, kind: str, holds: str, **request: Any
    ) -> dict[str, Any]:
        where = f"{method} {path}"
        headers = {"Content-Type": "application/json"} if "data" in request else None

        def send() -> dict[str, Any]:
            answer = exchange(self._session, method, self._url + path, headers=headers, **request)
            body = self._taken(answer, where)
            if not _is_sound(body, holds, kind):
                raise lost(where, is_write=False)
            return body

        pace = "search" if kind == "search" else "general"
        return self.traffic.run(where, send, kind=kind, pace=pace)

    def _taken(self, answer: Answer, where: str, *, is_write: bool = False) -> dict[str, Any]:
        self._learn(answer)
        if answer.status >= 300:
            raise error_of(answer, where, is_write=is_write)
        body: dict[str, Any] = parsed(answer, where, is_write=is_write)
        return body

    def _learn(self, answer: Answer) -> None:
        self._server_time = answer.server_time or self._server_time
        if answer.status == TOO_MANY:
            self.traffic.refuse()
        told = answer.headers
        if (left := told.get("X-HubSpot-RateLimit-Daily-Remaining", "")).isdigit():
            self.calls_left = int(left)
        if (allowed := told.get("X-HubSpot-RateLimit-Daily", "")).isdigit():
            self.calls_a_day = int(allowed)
        calls = told.get("X-HubSpot-RateLimit-Max", "")
        milliseconds = told.get("X-HubSpot-RateLimit-Interval-Milliseconds", "")
        if calls.isdigit() and milliseconds.isdigit():
            self.traffic.paces["general"].learn(int(calls), int(milliseconds) / 1000)


def _is_sound(body: Any, holds: str, kind: str) -> bool:
    """Tell an answer with the list it `holds` from anything else; a search counts as well.

    What of a batch is not there is named among the errors. Any other error hides what is there,
    and would make it pass for deleted, or for linked to nobody.
    """
    if not isinstance(body, dict) or (kind == "search" and not isinstance(body.get("total"), int)):
        return False
    listed = body.get(holds) if holds else []
    errors = body.get("errors") or []
    return (
        isinstance(listed, list)
        and all(isinstance(one, dict) for one in (*listed, *errors))
        and all(error.get("category", NOT_THERE) == NOT_THERE for error in errors)
    )


def connect(settings: Settings) -> Client:
    """Open the account; the first call is made by whoever reads or writes.

    Raises: ConfigError where the token is missing or the address is no HTTPS address.
    """
    return Client(settings)
