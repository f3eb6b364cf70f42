"""The HubSpot account: its session, and how it is asked and written to."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue
from hubspot import HubSpot
from hubspot.crm.objects import BatchInputSimplePublicObjectBatchInput
from hubspot.crm.objects.exceptions import ApiException
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from connectors.answer_limits import TIMEOUT, AnswerTooLargeError, limit_answers
from connectors.client_state import ClientState
from connectors.http import (
    MAX_CONNECTIONS,
    Response,
    malformed,
    network_error,
    open_session,
    parse_json,
    response_lost,
    send_request,
    url_problem,
)
from connectors.hubspot import LABEL
from connectors.hubspot.error_codes import to_error
from connectors.rate_limiter import RateLimiter
from connectors.retry import ApiCaller
from errors import AccessError, RejectedError
from models import Account
from settings import Rule, is_one_line, raise_problems, rule_problems, setting

NOT_FOUND = "OBJECT_NOT_FOUND"
MAX_CONCURRENT_BATCHES = MAX_CONNECTIONS
"""Batches on their way: 19 calls a second are allowed, and a batch takes up to a second."""

for _library in ("hubspot", "urllib3"):
    # Their debug lines hold URLs and bodies, and e-mail addresses in them.
    logging.getLogger(_library).setLevel(logging.WARNING)


@configspec
class Settings(BaseConfiguration):
    """How to reach the account; `access_token` is that of a private app."""

    access_token: TSecretStrValue = ""
    base_url: str = "https://api.hubapi.com"


_RULES: Mapping[str, Rule] = {
    "access_token": Rule(
        "the token: one line without blanks", lambda token: token and is_one_line(token)
    ),
    "base_url": Rule(
        "an address that ends after the host, such as https://api.hubapi.com",
        lambda url: not url_problem(url),
    ),
}


def settings_problems(settings: Settings) -> list[str]:
    """List what is wrong with the settings, before any call."""
    return rule_problems(settings, "sources", "hubspot", rules=_RULES)


class Client(ClientState):
    """One HubSpot account: read over one kept-alive session, written by the client library."""

    def __init__(self, settings: Settings) -> None:
        """Open the session; no call is made yet."""
        raise_problems(settings_problems(settings))
        # 190 calls per 10 seconds and 5 searches per second: HubSpot, "API usage guidelines"
        limits = {"general": RateLimiter(190, 10), "search": RateLimiter(5, 1)}
        super().__init__(ApiCaller("hubspot", limits))
        token = str(settings.access_token)
        self._url = settings.base_url.rstrip("/")
        self._session = open_session(self._url)
        self._session.headers["Authorization"] = f"Bearer {token}"
        environment = self._session.merge_environment_settings(self._url, {}, None, None, None)
        library = HubSpot(
            access_token=token,
            host=self._url,
            retry=Retry(False),
            proxy=environment["proxies"].get("https"),
            connection_pool_maxsize=MAX_CONCURRENT_BATCHES,
        )
        self._batch = library.crm.objects.batch_api
        limit_answers(self._batch.api_client.rest_client.pool_manager)

    def check_connection(self) -> Account:
        """Return the account of the token, after a check that the token works.

        Raises: AccessError where it does not, or the address is not HubSpot's.
        """
        path = "/account-info/v3/details"
        try:
            portal = self.get(path, is_valid=lambda body: bool(body.get("portalId")))["portalId"]
        except RejectedError as error:
            raise AccessError(
                f"HubSpot does not know {path} ({error.code}): is the address right? Check"
                f" {setting('hubspot', 'base_url')}"
            ) from error
        return Account(str(portal), f"HubSpot account {portal}")

    def get(
        self,
        path: str,
        *,
        expected_key: str = "",
        is_valid: Callable[[dict[str, Any]], bool] = lambda _: True,
        **params: Any,
    ) -> dict[str, Any]:
        """Read the JSON at a path.

        An answer without the list `expected_key`, or that is not `is_valid`, is asked for again.
        """
        return self._call(
            "GET", path, kind="read", holds=expected_key, is_valid=is_valid, params=params
        )

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        kind: str = "read",
        expected_key: str = "results",
        is_valid: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> dict[str, Any]:
        """Read through a path that takes its question as a body; searches have their own limit."""
        return self._call(
            "POST", path, kind=kind, holds=expected_key, is_valid=is_valid, data=orjson.dumps(body)
        )

    def change_schema(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create or change a property or a group; where the answer is lost, it is sent again."""
        return self._call(
            method, path, kind="write", holds="", is_valid=bool, data=orjson.dumps(body)
        )

    def update(self, object: str, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Write up to 100 records.

        Raises: RejectedError: the whole batch is rejected.
                UnknownOutcomeError: there is no response.
                RetryableError: nothing was written; read the records before a retry.
        """
        batch = BatchInputSimplePublicObjectBatchInput(inputs=inputs)
        path = f"/crm/v3/objects/{object}/batch/update"
        where = f"POST {path}"

        def send() -> dict[str, Any]:
            try:
                # Undecoded: the library's models refuse errors whose optional parts are missing.
                raw = self._batch.update(
                    object, batch, _preload_content=False, _request_timeout=TIMEOUT
                )
                answer = Response(raw.status, raw.headers, raw.data)
            except ApiException as error:
                # The library has made text of the body.
                content = (error.body or "").encode()
                answer = Response(error.status, error.headers or {}, content)
            except (AnswerTooLargeError, UnicodeDecodeError):
                # the last: the library makes text of a refusal, which may be in any encoding
                raise response_lost(where, is_write=True) from None
            except HTTPError as error:
                url = f"{self._url}{path}"
                raise network_error(error, "POST", url, crm=LABEL, is_write=True) from None
            body = self._parse_response(answer, where, is_write=True)
            if not isinstance(body, dict) or not isinstance(body.get("results"), list):
                raise malformed(where, is_write=True)
            return body

        return self.api_caller.call(
            where, send, kind="write", limiter="general", is_retryable=False
        )

    def _call(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        holds: str,
        is_valid: Callable[[dict[str, Any]], bool],
        **request: Any,
    ) -> dict[str, Any]:
        where = f"{method} {path}"
        headers = {"Content-Type": "application/json"} if "data" in request else None

        def send() -> dict[str, Any]:
            answer = send_request(
                self._session, method, path, crm=LABEL, headers=headers, **request
            )
            body = self._parse_response(answer, where)
            if not _is_valid_body(body, holds, kind) or not is_valid(body):
                raise malformed(where, is_write=False)
            return body

        pace = "search" if kind == "search" else "general"
        return self.api_caller.call(where, send, kind=kind, limiter=pace)

    def _parse_response(
        self, answer: Response, where: str, *, is_write: bool = False
    ) -> dict[str, Any]:
        self._update_limits(answer)
        if answer.status >= 300 or answer.is_html:
            raise to_error(answer, where, is_write=is_write)
        body: dict[str, Any] = parse_json(answer, where, is_write=is_write)
        return body

    def _update_limits(self, answer: Response) -> None:
        self.record_response(answer)
        headers = answer.headers
        if (left := headers.get("X-HubSpot-RateLimit-Daily-Remaining", "")).isdigit():
            self.calls_remaining = int(left)
        if (allowed := headers.get("X-HubSpot-RateLimit-Daily", "")).isdigit():
            self.daily_limit = int(allowed)
        calls = headers.get("X-HubSpot-RateLimit-Max", "")
        milliseconds = headers.get("X-HubSpot-RateLimit-Interval-Milliseconds", "")
        if calls.isdigit() and milliseconds.isdigit():
            self.api_caller.rate_limiters["general"].update(int(calls), int(milliseconds) / 1000)


def _is_valid_body(body: Any, holds: str, kind: str) -> bool:
    """Say whether a response has the list it must have; a search has a total as well.

    What of a batch is not there is named among the errors. Any other error hides what is there,
    and would make a record look deleted, or without associations.
    """
    if not isinstance(body, dict) or (kind == "search" and not isinstance(body.get("total"), int)):
        return False
    listed = body.get(holds) if holds else []
    errors = body.get("errors") or []
    return (
        isinstance(listed, list)
        and all(isinstance(one, dict) for one in (*listed, *errors))
        and all(error.get("category", NOT_FOUND) == NOT_FOUND for error in errors)
    )


def connect(settings: Settings) -> Client:
    """Make the client; it makes no call.

    Raises: ConfigError where the token is missing or the address is no HTTPS address.
    """
    return Client(settings)
