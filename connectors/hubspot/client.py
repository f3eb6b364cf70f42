"""The HubSpot account: session, pacing, and what each of its answers means."""

import logging
import re
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
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from urllib3 import Retry
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from connectors.meanings import Meaning, codes, meaning, without_nulls
from connectors.resilience import Pace, Traffic
from connectors.settings import setting
from connectors.wire import (
    CONNECTIONS,
    TIMEOUT,
    Answer,
    checked_url,
    exchange,
    lost,
    open_session,
    parsed,
)
from errors import (
    AccessError,
    ConfigError,
    QuotaError,
    RefusedError,
    RetryableError,
    SyncError,
)

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


MEANINGS = (
    # one property or value
    Meaning(
        400, "PROPERTY_DOESNT_EXIST", RefusedError, "create the property, or map another", "field"
    ),
    Meaning(
        400, "READ_ONLY_VALUE", RefusedError, "the property cannot be written; map another", "field"
    ),
    Meaning(
        400,
        "INVALID_OPTION",
        RefusedError,
        "map the value to an option the property has, or add the option",
        "value",
    ),
    Meaning(
        400, "INVALID_LONG", RefusedError, "the property takes numbers only; map another", "value"
    ),
    Meaning(
        400,
        "INVALID_INTEGER",
        RefusedError,
        "the property takes whole numbers only; map another",
        "value",
    ),
    Meaning(
        400, "INVALID_DATE", RefusedError, "the property takes dates only; map another", "value"
    ),
    Meaning(
        400,
        "INVALID_BOOLEAN",
        RefusedError,
        "the property takes true and false only; map another",
        "value",
    ),
    Meaning(
        400,
        "INVALID_ALPHA",
        RefusedError,
        "a validation rule of the property refuses the value: change the rule, or the mapping",
        "value",
    ),
    Meaning(
        400, "INVALID_EMAIL", RefusedError, "this is no e-mail address: correct the record", "value"
    ),
    Meaning(
        400,
        "LEADING_TRAILING_WHITESPACE",
        RefusedError,
        "take the spaces off the value in the mapping",
        "value",
    ),
    Meaning(400, "PROPERTY_VALUE_TOO_LONG", RefusedError, "map a shorter text", "value"),
    # one record
    Meaning(None, "OBJECT_NOT_FOUND", RefusedError, "the record was deleted", "deleted"),
    Meaning(
        409, None, RefusedError, "another record holds this value: look in HubSpot, merge the two"
    ),
    Meaning(400, None, RefusedError, "check the mapping against the property's settings"),
    Meaning(404, None, RefusedError, "the record or object is not there; look in HubSpot"),
    # the account
    Meaning(401, None, AccessError, f"renew {setting('hubspot', 'access_token')}"),
    Meaning(403, None, AccessError, "grant the private app what it lacks"),
    Meaning(414, None, ConfigError, "the mapping names too many fields; take some out"),
    Meaning(429, "DAILY", QuotaError, "the calls of the day are spent; the next run goes on"),
    # worth another try
    Meaning(429, None, RetryableError, "too many calls at once"),
    Meaning(408, None, RetryableError, "it took too long"),
    Meaning(423, None, RetryableError, "locked by a bulk operation"),
    Meaning(425, None, RetryableError, "too early"),
    Meaning(477, None, RetryableError, "HubSpot moves the account to another data centre"),
)
"""Any other 4xx is refused, any other 5xx is worth another try."""

FIELD_CODES, VALUE_CODES = codes(MEANINGS, "field"), codes(MEANINGS, "value")


class Problem(BaseModel):
    """HubSpot's error body; all but the message may be missing."""

    model_config = ConfigDict(coerce_numbers_to_str=True)
    _without_nulls = model_validator(mode="before")(without_nulls)

    message: str = ""
    category: str = ""
    subCategory: str = ""
    policyName: str = ""
    code: str = ""
    context: dict[str, list[str]] = {}
    errors: list["Problem"] = []


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
            if not isinstance(body, dict) or (holds and not isinstance(body.get(holds), list)):
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
        told = answer.headers
        if (left := told.get("X-HubSpot-RateLimit-Daily-Remaining", "")).isdigit():
            self.calls_left = int(left)
        if (allowed := told.get("X-HubSpot-RateLimit-Daily", "")).isdigit():
            self.calls_a_day = int(allowed)
        calls = told.get("X-HubSpot-RateLimit-Max", "")
        milliseconds = told.get("X-HubSpot-RateLimit-Interval-Milliseconds", "")
        if calls.isdigit() and milliseconds.isdigit():
            self.traffic.paces["general"].learn(int(calls), int(milliseconds) / 1000)


def connect(settings: Settings) -> Client:
    """Open the account; the first call is made by whoever reads or writes.

    Raises: ConfigError where the token is missing or the address is no HTTPS address.
    """
    return Client(settings)


def error_of(answer: Answer, where: str, *, is_write: bool = False) -> SyncError:
    """Say what a refusal means, without a word of what it held."""
    if is_write and answer.status >= 500:
        return lost(where, is_write=True)
    problem = problem_of(answer.body)
    row = _meaning(answer.status, _word(problem))
    if row.error is RefusedError:
        return refusal(problem, where, status=answer.status)
    text = f"HubSpot answered {answer.status} to {where}: {row.fix}"
    if row.error is RetryableError:
        return RetryableError(text, retry_after=answer.retry_after)
    if answer.status == 403:
        return AccessError(f"{text}: {', '.join(scopes(problem)) or 'a scope it does not name'}")
    return row.error(text)


def refusal(problem: Problem, where: str, *, status: int = 400) -> RefusedError:
    """Make the error of one refused record or batch."""
    cause = _cause(problem)
    word = _word(problem) or str(status)
    field = next((name for name in cause.context.get("propertyName", ()) if _is_name(name)), None)
    fix = _meaning(status, word).fix
    text = f"HubSpot refused {where} with {word}" + (f" for {field}" if field else "")
    return RefusedError(f"{text}: {fix}", code=word, field=field, fix=fix)


def problem_of(body: bytes | Mapping[str, Any]) -> Problem:
    """Read an error; an HTML page, or what else cannot be read, is a problem without words."""
    try:
        if isinstance(body, bytes):
            return Problem.model_validate_json(body)
        return Problem.model_validate(body)
    except ValidationError:
        return Problem()


def scopes(problem: Problem) -> list[str]:
    """Find the missing scopes, which HubSpot names in three ways."""
    named = [
        scope
        for one in (problem, *problem.errors)
        for scope in one.context.get("requiredGranularScopes", [])
    ]
    if told := _SCOPES.search(problem.message):
        named += [scope.strip() for scope in told[1].split(",")]
    return [scope for scope in dict.fromkeys(named) if _is_name(scope)]


_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_SCOPES = re.compile(r"requires one of \[([^\]]*)\]")


def _meaning(status: int, word: str) -> Meaning:
    if found := meaning(MEANINGS, status, word):
        return found
    if status >= 500:
        return Meaning(status, None, RetryableError, "it has trouble of its own")
    if status < 400:
        fix = f"check {setting('hubspot', 'base_url')}, it leads elsewhere"
        return Meaning(status, None, ConfigError, fix)
    return Meaning(status, None, RefusedError, "look the code up in HubSpot's documentation")


def _cause(problem: Problem) -> Problem:
    """Choose the error that says most: that of a property no record can be written with."""
    causes = problem.errors or [problem]
    return next((one for one in causes if one.code in FIELD_CODES), causes[0])


def _word(problem: Problem) -> str:
    if problem.policyName == "DAILY" or "daily limit" in problem.message:
        return "DAILY"
    sub_category = problem.subCategory.rsplit(".", 1)[-1]
    words = (_cause(problem).code, problem.code, sub_category, problem.category)
    return next((word for word in words if _is_name(word)), "")


def _is_name(text: str) -> bool:
    """Tell names and codes, which may be shown, from anything that might hold a value."""
    return _NAME.fullmatch(text) is not None
