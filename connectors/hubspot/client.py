"""The HubSpot account: its session, and how it is asked and written to."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, TypeVar, cast

import orjson
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue
from hubspot import HubSpot
from hubspot.crm.objects.exceptions import ApiException
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from connectors.access_token import AccessToken, IssuedToken, fixed_token, issued_token
from connectors.answer_limits import TIMEOUT, AnswerTooLargeError, limit_answers
from connectors.client_state import ClientState, reserved_calls
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
from connectors.hubspot.auth import parse_token
from connectors.hubspot.error_codes import MissingScopeError, TokenRefusedError, to_error
from connectors.hubspot.paths import (
    NEWEST,
    VERSIONS,
    Resource,
    Version,
    path,
    support_warnings,
)
from connectors.rate_limiter import RateLimiter
from connectors.retry import ApiCaller
from errors import AccessError, QuotaError, RejectedError
from models import Account
from settings import Rule, is_one_line, raise_problems, rule_problems, setting

T = TypeVar("T")

NOT_FOUND = "OBJECT_NOT_FOUND"
MAX_CONCURRENT_BATCHES = MAX_CONNECTIONS
"""Batches on their way: 19 calls a second are allowed, and a batch takes up to a second."""

for _library in ("hubspot", "urllib3"):
    # Their debug lines hold URLs and bodies, and e-mail addresses in them.
    logging.getLogger(_library).setLevel(logging.WARNING)


@configspec
class Settings(BaseConfiguration):
    """How to reach the account, and one way to log in.

    `access_token` is a service key, or the token of an existing private app. An app with OAuth has
    `client_id`, `client_secret` and `refresh_token` instead; these are used where all are set.
    """

    access_token: TSecretStrValue = ""
    client_id: str = ""
    client_secret: TSecretStrValue = ""
    refresh_token: TSecretStrValue = ""
    api_version: str = NEWEST
    base_url: str = "https://api.hubapi.com"


_ONE_LINE = Rule("one line without blanks", is_one_line)
_RULES: Mapping[str, Rule] = {
    "access_token": _ONE_LINE,
    "client_id": _ONE_LINE,
    "client_secret": _ONE_LINE,
    "refresh_token": _ONE_LINE,
    "api_version": Rule(f"one of {', '.join(VERSIONS)}", lambda text: text in VERSIONS),
    "base_url": Rule(
        "an address that ends after the host, such as https://api.hubapi.com",
        lambda url: not url_problem(url),
    ),
}


def settings_problems(settings: Settings) -> list[str]:
    """List what is wrong with the settings, each and taken together, before any call."""
    problems = rule_problems(settings, "sources", "hubspot", rules=_RULES)
    needed, why = ["access_token"], "set a service key, or log in by refresh token"
    if settings.refresh_token:
        needed, why = ["client_id", "client_secret"], "a login by refresh token needs it"
    missing = (setting("hubspot", name) for name in needed if not settings[name])
    return problems + [f"{name} is missing: {why}" for name in missing]


OAUTH_CALLS = 110
"""Calls in 10 seconds of an app with OAuth: HubSpot, "API usage guidelines"."""

ASSOCIATION_CALLS = 150
"""Calls in 10 seconds for associations: HubSpot, "Associate records"; 200 with an add-on."""

ASSOCIATION_CALLS_PER_DAY = 500_000
"""The same page. No header shows how many are left, so only the calls of this run are counted."""

ROTATION_WARNING = (
    "HubSpot gave another refresh token than the one that is set"
    f" ({setting('hubspot', 'refresh_token')}), and this run uses it. onefunnel stores no"
    " tokens: if the next run cannot log in, install the app in the account again and set the"
    " refresh token that you get"
)


class Client(ClientState):
    """One HubSpot account: read over one kept-alive session, written by the client library."""

    def __init__(self, settings: Settings) -> None:
        """Open the session; no call is made yet."""
        raise_problems(settings_problems(settings))
        self._settings = settings
        self._version = cast(Version, settings.api_version)
        # 190 calls per 10 seconds and 5 searches per second: HubSpot, "API usage guidelines"
        general = RateLimiter(OAUTH_CALLS if settings.refresh_token else 190, 10)
        limits = {
            "general": general,
            "search": RateLimiter(5, 1),
            "associations": RateLimiter(ASSOCIATION_CALLS, 10, within=general),
        }
        super().__init__(ApiCaller("hubspot", limits))
        self._url = settings.base_url.rstrip("/")
        self._refresh_token, self._hub_id = str(settings.refresh_token), ""
        self._token = self._access_token()
        self._session = open_session(self._url)
        environment = self._session.merge_environment_settings(self._url, {}, None, None, None)
        library = HubSpot(
            host=self._url,
            retry=Retry(False),
            proxy=environment["proxies"].get("https"),
            connection_pool_maxsize=MAX_CONCURRENT_BATCHES,
        )
        self._library = library.crm.objects.batch_api.api_client
        limit_answers(self._library.rest_client.pool_manager)

    def path(self, resource: Resource, **parts: str) -> str:
        """Return the path of a resource in the API version that is set."""
        return path(resource, self._version, **parts)

    def support_warnings(self, today: date) -> list[str]:
        """Warn of the paths in use whose support ends soon."""
        return support_warnings(self._version, today)

    def check_connection(self) -> Account:
        """Return the account of the token, after a check that the token works.

        A token may work and yet not read the details of its account: then the id is None.

        Raises: AccessError where the token does not work, or the address is not HubSpot's.
        """
        path = self.path("account_details")
        try:
            portal = self.get(path, is_valid=lambda body: bool(body.get("portalId")))["portalId"]
        except MissingScopeError:
            if self._hub_id:
                return Account(self._hub_id, f"HubSpot account {self._hub_id}")
            self.warnings.append(
                "HubSpot: the token works, but account details are not granted to it: which account"
                " it leads to is not compared with the one of before"
            )
            return Account(None, "HubSpot account")
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

    def read_batch(
        self, object: str, ids: Sequence[str], *, archived: bool = False, **body: Any
    ) -> dict[str, Any]:
        """Read up to 100 records by id: `results`, and `errors` that name those that are missing.

        Of a merged record there is neither: its answer has the id of the other record. An answer
        that is cut off looks the same, so what it leaves out is asked for once more.

        Raises: RetryableError where the second answer is empty.
        """
        path = self.path("batch_read", object=object) + ("?archived=true" if archived else "")

        def read(some: Sequence[str]) -> dict[str, Any]:
            return self.post(path, body | {"inputs": [{"id": id} for id in some]})

        answer = read(ids)
        rest = [id for id in ids if id not in mentioned_ids(answer)]
        if rest:
            again = read(rest)
            if not mentioned_ids(again):
                raise malformed(f"POST {path}", is_write=False)
            answer["results"] += again["results"]
            answer["errors"] = [*(answer.get("errors") or ()), *(again.get("errors") or ())]
        return answer

    def update(self, object: str, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Write up to 100 records.

        Raises: RejectedError: the whole batch is rejected.
                UnknownOutcomeError: there is no response.
                RetryableError: nothing was written; read the records before a retry.
        """
        path = self.path("batch_update", object=object)
        where = f"POST {path}"

        def send(token: str) -> dict[str, Any]:
            try:
                # By path: the library's own method knows the numbered one only. Undecoded: its
                # models refuse errors whose optional parts are missing.
                raw = self._library.call_api(
                    path,
                    "POST",
                    query_params=[],
                    header_params={
                        "Accept": "application/json",
                        "Content-Type": "application/json",
                        "Authorization": f"Bearer {token}",
                    },
                    body={"inputs": inputs},
                    _preload_content=False,
                    _request_timeout=TIMEOUT,
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
            if not _is_update_response(body):
                raise malformed(where, is_write=True)
            return body

        return self._authorized(where, send, kind="write", limiter="general", is_retryable=False)

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
        content_type = {"Content-Type": "application/json"} if "data" in request else {}

        def send(token: str) -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {token}", **content_type}
            answer = send_request(
                self._session, method, path, crm=LABEL, headers=headers, **request
            )
            body = self._parse_response(answer, where)
            if not _is_valid_body(body, holds, kind) or not is_valid(body):
                raise malformed(where, is_write=False)
            return body

        self.require_quota()
        pace = "associations" if "/associations/" in path else "general"
        if pace == "associations":
            self._require_association_quota()
        return self._authorized(
            where, send, kind=kind, limiter="search" if kind == "search" else pace
        )

    def _require_association_quota(self) -> None:
        """Make sure that the day's calls for associations, a quota of their own, are not used up.

        Raises: QuotaError where this run has made them all, but for the reserve.
        """
        reserved = reserved_calls(self._reserve or 0, ASSOCIATION_CALLS_PER_DAY) or 0
        allowed = max(ASSOCIATION_CALLS_PER_DAY - reserved, 0)
        if self.api_caller.limited_calls["associations"] >= allowed:
            raise QuotaError(
                f"{LABEL} allows {ASSOCIATION_CALLS_PER_DAY:,} calls a day for associations, of"
                f" which {reserved:,} are kept for other programs (QUOTA__RESERVE). What was read"
                " stays; a run on the next day continues behind it"
            )

    def _authorized(self, where: str, send: Callable[[str], T], **options: Any) -> T:
        """Make a call with the token, and once more with a new one where HubSpot refuses it."""
        token = self._token.current()
        try:
            return self.api_caller.call(where, partial(send, token), **options)
        except TokenRefusedError:
            if not self._token.is_renewable:
                raise
            renewed = self._token.renewed(token)
            return self.api_caller.call(where, partial(send, renewed), **options)

    def _access_token(self) -> AccessToken:
        if self._refresh_token:
            return AccessToken(self._log_in, is_renewable=True)
        return fixed_token(str(self._settings.access_token))

    def _log_in(self) -> IssuedToken:
        """Exchange the refresh token for an access token."""
        path = self.path("token")
        form = {
            "grant_type": "refresh_token",
            "client_id": self._settings.client_id,
            "client_secret": str(self._settings.client_secret),
            "refresh_token": self._refresh_token,
        }

        def send() -> dict[str, Any]:
            answer = send_request(
                self._session,
                "POST",
                self._url + path,
                crm=LABEL,
                data=form,
            )
            return parse_token(answer, f"POST {path}")

        body = self.api_caller.call(f"POST {path}", send, kind="login", limiter="general")
        # HubSpot gives the same refresh token again; should it change, the newest one is valid
        newest = str(body.get("refresh_token") or self._refresh_token)
        if newest != self._refresh_token and ROTATION_WARNING not in self.warnings:
            self.warnings.append(ROTATION_WARNING)
        self._refresh_token = newest
        self._hub_id = str(body.get("hub_id") or "")
        return issued_token(body)

    def _parse_response(
        self, answer: Response, where: str, *, is_write: bool = False
    ) -> dict[str, Any]:
        self._update_limits(answer)
        if "X-HubSpot-API-Deprecated" in answer.headers:
            self.warn_of_deprecation(f"HubSpot: {where}")
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


def _is_update_response(body: Any) -> bool:
    """Say whether a response lists written records with their values; errors may be of any kind."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("results"), list)
        and isinstance(body.get("errors") or [], list)
        and all(
            isinstance(one, dict)
            and isinstance(one.get("id"), str)
            and isinstance(one.get("properties"), dict)
            for one in body["results"]
        )
    )


def mentioned_ids(answer: Mapping[str, Any]) -> set[str]:
    """Return the ids that the answer to a batch names: of its results, and in its errors."""
    contexts = (error.get("context") for error in answer.get("errors") or ())
    in_errors = (
        str(id)
        for context in contexts
        if isinstance(context, dict)
        for ids in context.values()
        if isinstance(ids, list)
        for id in ids
    )
    return {str(one.get("id")) for one in answer["results"]}.union(in_errors)


def connect(settings: Settings) -> Client:
    """Make the client; it makes no call.

    Raises: ConfigError where the token is missing or the address is no HTTPS address.
    """
    return Client(settings)
