"""The Salesforce org: login, session, and what each of its answers means."""

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from warnings import catch_warnings

import orjson
import requests
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue
from jwt import PyJWTError
from pydantic import BaseModel, TypeAdapter, ValidationError
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed
from simple_salesforce.login import SalesforceLogin

from connectors.resilience import Pace, Traffic
from connectors.settings import setting
from connectors.wire import (
    GATEWAY_FAULTS,
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
    which Salesforce is ending.
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


@dataclass(frozen=True)
class Meaning:
    """What an answer with this code means."""

    error: type[SyncError]
    fix: str


MEANINGS: Mapping[str, Meaning] = {
    "UNABLE_TO_LOCK_ROW": Meaning(RetryableError, "another process holds the record"),
    "SERVER_UNAVAILABLE": Meaning(RetryableError, "the server is busy"),
    "QUERY_TIMEOUT": Meaning(RetryableError, "the query ran too long"),
    "CONCURRENT_REQUESTS": Meaning(RetryableError, "too many long calls at once"),
    "REQUEST_LIMIT_EXCEEDED": Meaning(
        QuotaError, "the calls of the last 24 hours are spent; a later run goes on"
    ),
    "API_DISABLED_FOR_ORG": Meaning(AccessError, "give the user the permission API Enabled"),
    "INSUFFICIENT_ACCESS": Meaning(AccessError, "give the user permission for this object"),
    "INVALID_FIELD": Meaning(
        RefusedError, "the field is not there or hidden: correct the mapping, or permit the field"
    ),
    "INVALID_FIELD_FOR_INSERT_UPDATE": Meaning(
        RefusedError, "the field cannot be written: permit it to the user, or map another"
    ),
    "INVALID_TYPE": Meaning(RefusedError, "the object is not there or hidden from the user"),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": Meaning(
        RefusedError, "map the value to an active one of the picklist, or activate it"
    ),
    "STRING_TOO_LONG": Meaning(RefusedError, "map a shorter text, or lengthen the field"),
    "REQUIRED_FIELD_MISSING": Meaning(RefusedError, "fill in the required field by hand"),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": Meaning(
        RefusedError, "a validation rule refuses it: correct the record, or exempt our user"
    ),
    "FIELD_INTEGRITY_EXCEPTION": Meaning(RefusedError, "a trigger or flow refuses it"),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": Meaning(RefusedError, "a trigger or flow failed"),
    "DUPLICATES_DETECTED": Meaning(RefusedError, "a duplicate rule refuses it: merge the records"),
    "INSUFFICIENT_ACCESS_OR_READONLY": Meaning(
        RefusedError, "share the record with our user, or give permission to edit it"
    ),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": Meaning(
        RefusedError, "share the related record with our user"
    ),
    "CANNOT_UPDATE_CONVERTED_LEAD": Meaning(RefusedError, "the lead was converted"),
    "ENTITY_IS_DELETED": Meaning(RefusedError, "the record was deleted"),
    "NOT_FOUND": Meaning(RefusedError, "the record or object is not there"),
}
"""Any other code is refused; an answer without a code is judged by its status."""

STATUSES: Mapping[int, Meaning] = {
    401: Meaning(AccessError, f"renew {setting('salesforce', 'access_token')}"),
    403: Meaning(AccessError, "give the user the permission it lacks"),
    408: Meaning(RetryableError, "it took too long"),
    414: Meaning(ConfigError, "the mapping names too many fields; take some out"),
    425: Meaning(RetryableError, "too early"),
    429: Meaning(RetryableError, "too many calls at once"),
    431: Meaning(ConfigError, "the mapping names too many fields; take some out"),
}

FIELD_CODES = frozenset({"INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE"})
"""Refusals of a field whatever its value."""


class Problem(BaseModel):
    """One of the errors of an answer; collections and Bulk call the code `statusCode`."""

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
        return code if _NAME.fullmatch(code) else ""


_NAME = re.compile(r"\w{1,100}")
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
        self.traffic = Traffic("salesforce", {"general": Pace(100, 1)})
        self._server_time: datetime | None = None
        self.findings: list[str] = []
        self.drift: Counter[tuple[str, str]] = Counter()
        self.calls_left: int | None = None
        self._session = open_session(self._url)
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
        return self._json("GET", path, kind="read", params=params)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Read through a path that takes its question as a body."""
        return self._json("POST", path, kind="read", data=orjson.dumps(body))

    def update(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write up to 200 records; the answers come in their order.

        Raises: RefusedError where all are refused at once, UnclearError where nobody knows.
        """
        body = {"allOrNone": False, "records": records}
        path = f"{DATA}/composite/sobjects"
        answers: list[dict[str, Any]] = self._json(
            "PATCH", path, kind="write", data=orjson.dumps(body)
        )
        return answers

    def _json(self, method: str, path: str, *, kind: str, **request: Any) -> Any:
        answer = self.ask(method, path, kind=kind, **request)
        return parsed(answer, f"{method} {path}", is_write=kind == "write")

    def ask(self, method: str, path: str, *, kind: str, **request: Any) -> Answer:
        """Send one call, and once more after a new login where the session had ended."""

        def send() -> Answer:
            headers = {
                "Authorization": f"Bearer {self._salesforce.session_id}",
                "Content-Type": "application/json",
                # Unless told so, Salesforce runs the assignment rules: leads would change owners.
                "Sforce-Auto-Assign": "FALSE",
            }
            is_write = kind == "write"
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
            return answer

        operation = f"{method} {path}"
        try:
            return self.traffic.run(operation, send, kind=kind, pace="general")
        except ExpiredSession:
            if not self._way_in:
                raise
            self._salesforce = self._log_in()
            return self.traffic.run(operation, send, kind=kind, pace="general")

    def _learn(self, answer: Answer) -> None:
        self._server_time = answer.server_time or self._server_time
        if usage := _USAGE.search(answer.headers.get("Sforce-Limit-Info", "")):
            self.calls_left = int(usage[2]) - int(usage[1])

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
        return ExpiredSession(f"Salesforce ended the session: {STATUSES[401].fix}")
    if is_write and answer.status in GATEWAY_FAULTS:
        return lost(where, is_write=True)
    meaning = MEANINGS.get(code) or STATUSES.get(answer.status) or _by_status(answer.status)
    if meaning.error is RefusedError:
        return refusal(problems, where)
    text = f"Salesforce answered {answer.status} {code} to {where}: {meaning.fix}"
    if meaning.error is RetryableError:
        return RetryableError(text, retry_after=answer.retry_after)
    return meaning.error(text)


def refusal(problems: list[Problem], where: str) -> SyncError:
    """Make the error of one refused record or call: RefusedError, or RetryableError for a lock."""
    first = problems[0]
    code = first.code or "UNKNOWN"
    meaning = MEANINGS.get(code, _by_status(400))
    if meaning.error is RetryableError:
        return RetryableError(f"Salesforce answered {code} to {where}: {meaning.fix}")
    field = next((name for name in first.fields or () if _NAME.fullmatch(name)), None)
    text = f"Salesforce refused {where} with {code}" + (f" for {field}" if field else "")
    return RefusedError(f"{text}: {meaning.fix}", code=code, field=field, fix=meaning.fix)


def problems_of(body: bytes | list[Any]) -> list[Problem]:
    """Read errors; an HTML page, or what else cannot be read, is one problem without words."""
    try:
        if isinstance(body, bytes):
            return _PROBLEMS.validate_json(body) or [Problem()]
        return _PROBLEMS.validate_python(body) or [Problem()]
    except ValidationError:
        return [Problem()]


def _by_status(status: int) -> Meaning:
    if status >= 500:
        return Meaning(RetryableError, "it has trouble of its own")
    if status < 400:
        fix = f"check {setting('salesforce', 'instance_url')}, it leads elsewhere"
        return Meaning(ConfigError, fix)
    return Meaning(RefusedError, "look the code up in Salesforce's documentation")


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
