"""The Salesforce org: login, session, and what each of its answers means."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlsplit
from warnings import catch_warnings

import orjson
import requests
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue
from jwt import PyJWTError
from pydantic import BaseModel, TypeAdapter, ValidationError, model_validator
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed
from simple_salesforce.login import SalesforceLogin

from connectors.meanings import Meaning, codes, meaning, without_nulls
from connectors.resilience import Pace, Traffic
from connectors.settings import setting
from connectors.wire import (
    Answer,
    checked_url,
    exchange,
    is_loopback,
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

T = TypeVar("T")

VERSION = "60.0"
DATA = f"/services/data/v{VERSION}"

for _library in ("simple_salesforce", "urllib3"):
    # Their debug lines hold URLs and bodies, and e-mail addresses in them.
    logging.getLogger(_library).setLevel(logging.WARNING)


@configspec
class Settings(BaseConfiguration):
    """How to reach the org, and one way to log in.

    These are, best first: client id and secret; client id, user name and private key (JWT
    bearer); an access token, which cannot be renewed; user name, password and security token,
    which Salesforce is ending. From `bulk_from` changes on they go by jobs of Bulk 2.0: ten calls
    instead of one per 200, but a job waits in a queue.
    """

    instance_url: str = ""
    client_id: str = ""
    client_secret: TSecretStrValue = ""
    username: str = ""
    private_key: TSecretStrValue = ""
    audience: str = "https://login.salesforce.com"
    access_token: TSecretStrValue = ""
    password: TSecretStrValue = ""
    security_token: TSecretStrValue = ""
    bulk_from: int = 5_000


MEANINGS = (
    # one field
    Meaning(
        None,
        "INVALID_FIELD",
        RefusedError,
        "the field is not there or hidden: correct the mapping, or permit the field to our user",
        "field",
    ),
    Meaning(
        None,
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        RefusedError,
        "the field cannot be written: permit it to our user, or map another",
        "field",
    ),
    # one value in one record: a picklist may differ by record type
    Meaning(
        None,
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        RefusedError,
        "map the value to an active one of the picklist, or activate it",
    ),
    Meaning(
        None,
        "JSON_PARSER_ERROR",
        RefusedError,
        "a value does not fit the type of its field; map another field",
    ),
    Meaning(
        None,
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        RefusedError,
        "a value does not fit the type of its field; map another field",
    ),
    Meaning(
        None,
        "NUMBER_OUTSIDE_VALID_RANGE",
        RefusedError,
        "the field is too small for the number: widen it, or map another",
    ),
    Meaning(None, "STRING_TOO_LONG", RefusedError, "map a shorter text, or lengthen the field"),
    Meaning(
        None, "INVALID_EMAIL_ADDRESS", RefusedError, "correct the address of the record by hand"
    ),
    Meaning(None, "REQUIRED_FIELD_MISSING", RefusedError, "fill in the required field by hand"),
    Meaning(None, "MALFORMED_ID", RefusedError, "this is no id of a record; correct the mapping"),
    Meaning(
        None,
        "INVALID_CROSS_REFERENCE_KEY",
        RefusedError,
        "the record, or one it refers to, is not there; look in Salesforce",
    ),
    # what the org's own rules say
    Meaning(
        None,
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        RefusedError,
        "a validation rule refuses it: correct the record, or exempt our user",
    ),
    Meaning(
        None,
        "FIELD_FILTER_VALIDATION_EXCEPTION",
        RefusedError,
        "a lookup filter refuses it: correct the record, or exempt our user",
    ),
    Meaning(
        None,
        "FIELD_INTEGRITY_EXCEPTION",
        RefusedError,
        "a trigger or flow refuses it: ask who built it",
    ),
    Meaning(
        None,
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        RefusedError,
        "a trigger or flow failed: ask who built it",
    ),
    Meaning(None, "CANNOT_EXECUTE_FLOW_TRIGGER", RefusedError, "a flow failed: ask who built it"),
    Meaning(
        None, "DUPLICATES_DETECTED", RefusedError, "a duplicate rule refuses it: merge the records"
    ),
    Meaning(
        None,
        "ENTITY_IS_LOCKED",
        RefusedError,
        "the record is locked, such as by an approval: `retry` once that has ended",
    ),
    Meaning(
        None,
        "DUPLICATE_VALUE",
        RefusedError,
        "another record holds this value: look in Salesforce, merge the two",
    ),
    Meaning(
        None,
        "INSUFFICIENT_ACCESS_OR_READONLY",
        RefusedError,
        "share the record with our user, or give permission to edit it",
    ),
    Meaning(
        None,
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        RefusedError,
        "share the related record with our user",
    ),
    # the record is no more
    Meaning(
        None, "CANNOT_UPDATE_CONVERTED_LEAD", RefusedError, "the lead was converted", "converted"
    ),
    Meaning(None, "ENTITY_IS_DELETED", RefusedError, "the record was deleted", "deleted"),
    Meaning(None, "NOT_FOUND", RefusedError, "the record or object is not there", "deleted"),
    Meaning(None, "INVALID_TYPE", RefusedError, "the object is not there or hidden from our user"),
    # the org
    Meaning(None, "API_DISABLED_FOR_ORG", AccessError, "give our user the permission API Enabled"),
    Meaning(None, "INSUFFICIENT_ACCESS", AccessError, "give our user permission for this object"),
    Meaning(
        None,
        "REQUEST_LIMIT_EXCEEDED",
        QuotaError,
        "the calls of the last 24 hours are spent; a later run goes on",
    ),
    # worth another try
    Meaning(None, "CONCURRENT_REQUESTS", RetryableError, "too many long calls at once"),
    Meaning(None, "UNABLE_TO_LOCK_ROW", RetryableError, "another process holds the record"),
    Meaning(None, "SERVER_UNAVAILABLE", RetryableError, "the server is busy"),
    Meaning(None, "QUERY_TIMEOUT", RetryableError, "the query ran too long"),
    # without a code we know, on the call as a whole
    Meaning(401, "", AccessError, f"renew {setting('salesforce', 'access_token')}"),
    Meaning(403, "", AccessError, "give our user the permission it lacks"),
    Meaning(408, None, RetryableError, "it took too long"),
    Meaning(414, None, ConfigError, "the mapping names too many fields; take some out"),
    Meaning(425, None, RetryableError, "too early"),
    Meaning(429, None, RetryableError, "too many calls at once"),
    Meaning(431, None, ConfigError, "the mapping names too many fields; take some out"),
)
"""Any other code is refused, unless the status of the call says more."""

FIELD_CODES = codes(MEANINGS, "field")


class Problem(BaseModel):
    """One of the errors of an answer; collections and Bulk call the code `statusCode`."""

    _without_nulls = model_validator(mode="before")(without_nulls)

    message: str = ""
    errorCode: str = ""
    statusCode: str = ""
    fields: list[str] | None = None

    @property
    def code(self) -> str:
        """Give the code, and tell the two limits apart that share one."""
        code = self.errorCode or self.statusCode
        if code == "REQUEST_LIMIT_EXCEEDED" and self.message.startswith("ConcurrentRequests"):
            return "CONCURRENT_REQUESTS"
        if "UNABLE_TO_LOCK_ROW" in self.message:
            return "UNABLE_TO_LOCK_ROW"  # it comes wrapped in a trigger's own error
        if self.message.startswith("Failed to deserialize field"):
            return "JSON_PARSER_ERROR"  # Bulk's word for a wrong type is that of a missing field
        return code if _NAME.fullmatch(code) else ""

    @property
    def named(self) -> list[str]:
        """Name the refused fields; where the list is missing, the message may name one."""
        told = _COLUMN.search(self.message)
        return self.fields or ([told[1]] if told else [])


_NAME = re.compile(r"\w{1,100}")
_COLUMN = re.compile(r"No such column '(\w+)'")
_PROBLEMS = TypeAdapter(list[Problem])


class ExpiredSession(AccessError):
    """The session ended; whoever can log in anew may repeat the call once."""


class Client:
    """One Salesforce org, over the session of the client library."""

    def __init__(self, settings: Settings) -> None:
        """Log in."""
        self._settings = settings
        if not settings.instance_url:
            raise ConfigError(f"{setting('salesforce', 'instance_url')} is missing")
        self._url = checked_url(settings.instance_url, setting("salesforce", "instance_url"))
        self.traffic = Traffic("salesforce", {"general": Pace(100, 1), "bulk": Pace(100, 1)})
        self.bulk_from = settings.bulk_from
        self._server_time: datetime | None = None
        self.findings: list[str] = []
        self.drift: Counter[tuple[str, str]] = Counter()
        self.halted: dict[str, RefusedError] = {}
        self.calls_left: int | None = None
        self.calls_a_day: int | None = None
        self._session = open_session(self._url)
        self._renewal = Lock()
        self._way_in = _way_in(settings, self._url)
        if "password" in (self._way_in or {}):
            self.findings.append(
                "Salesforce is ending logins by password and security token: use a client id and"
                f" {setting('salesforce', 'client_secret')}"
            )
        self._salesforce = self._log_in()

    @property
    def calls(self) -> Counter[str]:
        """Count the calls made, per kind: read, write, login."""
        return self.traffic.calls

    @property
    def waited(self) -> float:
        """Sum the seconds waited before repeated calls and for jobs."""
        return self.traffic.waited

    @property
    def waits(self) -> Mapping[str, float]:
        """Sum them per kind of call."""
        return self.traffic.waits

    def account(self) -> str:
        """Name the org, after a look whether the session works and may use the API.

        Raises: AccessError naming the permission that is missing.
        """
        self.get(f"{DATA}/limits")
        return f"Salesforce org {urlsplit(self._url).hostname}"

    def now(self) -> datetime:
        """Read Salesforce's clock as of its last answer: a cursor must not follow our own."""
        return self._server_time or datetime.now(UTC)

    def get(self, path: str, **params: str) -> Any:
        """Read the JSON at a path."""
        return self._json("GET", path, bool, kind="read", params=params)

    def rows(self, path: str, **params: str) -> dict[str, Any]:
        """Read a page of rows; an answer that is none is asked for again.

        Raises: SyncError where a page names itself as the next one.
        """

        def page(answer: Answer) -> dict[str, Any]:
            body = parsed(answer, f"GET {path}")
            is_page = isinstance(body, dict) and isinstance(body.get("records"), list)
            if not is_page or not (body.get("done") or body.get("nextRecordsUrl")):
                raise lost(f"GET {path}", is_write=False)
            if not body.get("done") and body["nextRecordsUrl"] == path:
                raise endless(f"GET {path}")
            found: dict[str, Any] = body
            return found

        return self.read(path, page, **params)

    def read(self, path: str, of: Callable[[Answer], T], **params: str) -> T:
        """Read what `of` makes of an answer; where it raises RetryableError, ask again."""
        return self._asked("GET", path, of, kind="read", params=params)

    def post(
        self, path: str, body: Mapping[str, Any], *, is_sound: Callable[[Any], bool] = bool
    ) -> Any:
        """Read through a path that takes its question as a body; what is not sound is lost."""
        return self._json("POST", path, is_sound, kind="read", data=orjson.dumps(body))

    def update(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write up to 200 records; the answers come in their order.

        Raises: RefusedError where all are refused at once, UnclearError where nobody knows,
                RetryableError where nothing was written: look again before it is sent again.
        """
        body = {"allOrNone": False, "records": records}
        path = f"{DATA}/composite/sobjects"
        answers: list[dict[str, Any]] = self._json(
            "PATCH",
            path,
            partial(_is_about, records),
            kind="write",
            repeats=False,
            data=orjson.dumps(body),
        )
        return answers

    def job(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Make, ask for or change a job; all but a change of its state may be repeated."""
        data = orjson.dumps(body) if body else None
        is_safe = method != "PATCH"
        return self._json(method, path, bool, kind="write", data=data, is_safe=is_safe)

    def _json(
        self,
        method: str,
        path: str,
        is_sound: Callable[[Any], bool],
        *,
        kind: str,
        is_safe: bool = False,
        **request: Any,
    ) -> Any:
        """Read the JSON of an answer; one that is not sound counts as lost."""
        where, is_write = f"{method} {path}", kind == "write" and not is_safe

        def sound(answer: Answer) -> Any:
            body = parsed(answer, where, is_write=is_write)
            if not is_sound(body):
                raise lost(where, is_write=is_write)
            return body

        return self._asked(method, path, sound, kind=kind, is_safe=is_safe, **request)

    def ask(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        is_safe: bool = False,
        content_type: str = "application/json",
        **request: Any,
    ) -> Answer:
        """Send one call, and once more after a new login where the session had ended.

        `is_safe` writes may arrive twice: where the answer is lost, they are sent again.
        """
        request |= {"is_safe": is_safe, "content_type": content_type}
        return self._asked(method, path, lambda answer: answer, kind=kind, **request)

    def _asked(
        self,
        method: str,
        path: str,
        of: Callable[[Answer], T],
        *,
        kind: str,
        is_safe: bool = False,
        repeats: bool = True,
        content_type: str = "application/json",
        **request: Any,
    ) -> T:
        is_write = kind == "write" and not is_safe
        pace = "bulk" if "/jobs/" in path else "general"

        def send() -> T:
            headers = {
                "Authorization": f"Bearer {self._salesforce.session_id}",
                "Content-Type": content_type,
                # Unless told so, Salesforce runs the assignment rules: leads would change owners.
                "Sforce-Auto-Assign": "FALSE",
            }
            answer = exchange(
                self._salesforce.session,
                method,
                self._url + path,
                is_write=is_write,
                headers=headers,
                **request,
            )
            self._learn(answer)
            if answer.status >= 300:
                raise error_of(answer, f"{method} {path}", is_write=is_write)
            return of(answer)

        operation, session = f"{method} {path}", self._salesforce
        try:
            return self.traffic.run(operation, send, kind=kind, pace=pace, repeats=repeats)
        except ExpiredSession:
            if not self._way_in:
                raise
            self._renew(session)
            return self.traffic.run(operation, send, kind=kind, pace=pace, repeats=repeats)

    def _renew(self, ended: Salesforce) -> None:
        """Log in anew, once for all calls that met the end of one session."""
        with self._renewal:
            if self._salesforce is ended:
                self._salesforce = self._log_in()

    def _learn(self, answer: Answer) -> None:
        self._server_time = answer.server_time or self._server_time
        if usage := _USAGE.search(answer.headers.get("Sforce-Limit-Info", "")):
            self.calls_a_day = int(usage[2])
            self.calls_left = self.calls_a_day - int(usage[1])

    def _log_in(self) -> Salesforce:
        token = str(self._settings.access_token)
        if self._way_in:
            token = self.traffic.run("login", self._token, kind="login", pace="general")
        return Salesforce(
            session_id=token, instance_url=self._url, session=self._session, version=VERSION
        )

    def _token(self) -> str:
        try:
            with catch_warnings(action="ignore"):  # the library's warnings hold the client id
                way: dict[str, Any] = {**(self._way_in or {}), "session": self._session}
                token, _ = SalesforceLogin(sf_version=VERSION, **way)
        except SalesforceAuthenticationFailed as error:
            raise _login_error(error) from None
        except (ValueError, PyJWTError):
            raise ConfigError(
                f"{setting('salesforce', 'private_key')} is not a private key (PEM)"
            ) from None
        except requests.RequestException:
            raise lost("login", is_write=False) from None
        return str(token)


def endless(where: str) -> SyncError:
    """Make the error for a list that leads back to itself: to read it for ever helps nobody."""
    return SyncError(f"Salesforce answers {where} with the same page again and again")


def connect(settings: Settings) -> Client:
    """Log in to the org.

    Raises: ConfigError where settings are missing or do not fit together, AccessError where
    Salesforce refuses them.
    """
    return Client(settings)


def error_of(answer: Answer, where: str, *, is_write: bool = False) -> SyncError:
    """Say what a refusal means, without a word of what it held."""
    problems = problems_of(answer.body)
    code = problems[0].code
    if code == "INVALID_SESSION_ID":
        return ExpiredSession(f"Salesforce ended the session: {_meaning(401, '').fix}")
    if is_write and answer.status >= 500:
        return lost(where, is_write=True)
    row = _meaning(answer.status, code)
    if row.error is RefusedError:
        return refusal(problems, where)
    text = f"Salesforce answered {answer.status} {code} to {where}: {row.fix}"
    if row.error is RetryableError:
        return RetryableError(text, retry_after=answer.retry_after)
    return row.error(text)


def refusal(problems: list[Problem], where: str) -> SyncError:
    """Make the error of one refused record or call: RefusedError, or RetryableError for a lock."""
    first = problems[0]
    code = first.code or "UNKNOWN"
    row = _meaning(400, code)
    if row.error is RetryableError:
        return RetryableError(f"Salesforce answered {code} to {where}: {row.fix}")
    field = next((name for name in first.named if _NAME.fullmatch(name)), None)
    text = f"Salesforce refused {where} with {code}" + (f" for {field}" if field else "")
    return RefusedError(f"{text}: {row.fix}", code=code, field=field, fix=row.fix)


def problems_of(body: bytes | list[Any]) -> list[Problem]:
    """Read errors; an HTML page, or what else cannot be read, is one problem without words."""
    try:
        if isinstance(body, bytes):
            return _PROBLEMS.validate_json(body) or [Problem()]
        return _PROBLEMS.validate_python(body) or [Problem()]
    except ValidationError:
        return [Problem()]


def _is_about(records: Sequence[Mapping[str, Any]], answers: Any) -> bool:
    """Tell whether there is an answer for each record, in their order; a refusal has no id."""
    return (
        isinstance(answers, list)
        and len(answers) == len(records)
        and all(
            isinstance(answer, dict)
            and isinstance(answer.get("success"), bool)
            and answer.get("id") in (None, record["id"])
            for answer, record in zip(answers, records, strict=True)
        )
    )


def _meaning(status: int, code: str) -> Meaning:
    if found := meaning(MEANINGS, status, code):
        return found
    if status >= 500:
        return Meaning(status, None, RetryableError, "it has trouble of its own")
    if status < 400:
        fix = f"check {setting('salesforce', 'instance_url')}, it leads elsewhere"
        return Meaning(status, None, ConfigError, fix)
    return Meaning(status, None, RefusedError, "look the code up in Salesforce's documentation")


def _login_error(error: SalesforceAuthenticationFailed) -> SyncError:
    code = str(error.code)
    if code.startswith("5"):
        return RetryableError(f"Salesforce answered {code} to the login")
    return AccessError(
        f"Salesforce refused the login ({code if _NAME.fullmatch(code) else 'no reason given'}):"
        " check the client, the user, and that the user may use the client"
    )


def _way_in(settings: Settings, url: str) -> dict[str, str] | None:
    """Choose the best login the settings allow, as arguments of the library; None: only a token."""
    client = {"consumer_key": settings.client_id, "domain": _domain(url)}
    user = {"username": settings.username}
    secret, key = str(settings.client_secret), str(settings.private_key)
    password, token = str(settings.password), str(settings.security_token)
    if settings.client_id and secret:
        return client | {"consumer_secret": secret}
    if settings.client_id and settings.username and key:
        audience = {"instance_url": _domain(url), "domain": _domain(settings.audience)}
        return client | user | audience | {"privatekey": key}
    if settings.access_token:
        return None
    if settings.username and password and token:
        return user | {"password": password, "security_token": token, "domain": _domain(url)}
    raise ConfigError(
        "nothing to log in to Salesforce with: set"
        f" {setting('salesforce', 'client_id')} and {setting('salesforce', 'client_secret')}"
    )


def _domain(url: str) -> str:
    host = urlsplit(url).hostname or ""
    if is_loopback(url):
        return "loopback"
    if not host.endswith(".salesforce.com"):
        raise ConfigError(f"{host}: Salesforce hosts end with .salesforce.com")
    return host.removesuffix(".salesforce.com")


_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")
