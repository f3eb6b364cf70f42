"""The Salesforce org: its session, and how it is asked and written to."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import partial
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import orjson

from connectors.access_token import AccessToken, IssuedToken, fixed_token, issued_token
from connectors.client_state import ClientState
from connectors.http import Response, malformed, open_session, parse_json, send_request
from connectors.rate_limiter import RateLimiter
from connectors.retry import ApiCaller
from connectors.salesforce import LABEL
from connectors.salesforce.auth import (
    API_VERSION,
    Settings,
    auth_method,
    authenticate,
    settings_problems,
)
from connectors.salesforce.error_codes import SessionExpiredError, to_error
from connectors.salesforce.login_errors import BLOCKED_SESSION, LoginMethod
from connectors.support_dates import (
    SALESFORCE_PASSWORD_LOGINS,
    Used,
    ending_soon,
    salesforce_support_end,
)
from errors import AccessError, RejectedError
from models import Account
from settings import raise_problems, setting

T = TypeVar("T")

DATA_PATH = f"/services/data/v{API_VERSION}"
DEPRECATED = "299"
"""The code in the header `Warning` of a response to a deprecated version."""

PASSWORD_WARNING = (
    "Salesforce ends logins by password: by SOAP, as here, on"
    f" {SALESFORCE_PASSWORD_LOGINS['SOAP']}, by OAuth on"
    f" {SALESFORCE_PASSWORD_LOGINS['OAuth user name and password']}. Create an External Client App"
    f" and set {setting('salesforce', 'client_id')} and {setting('salesforce', 'client_secret')}"
)
ROTATION_WARNING = (
    "Salesforce replaced the refresh token (rotation):"
    f" {setting('salesforce', 'refresh_token')} is used up, and the next run cannot log in with it."
    " Switch rotation off in the OAuth policies of the app, authorize the app again and set the new"
    " refresh token"
)
LOCATOR_EXPIRED = "INVALID_QUERY_LOCATOR"
"""The server forgot where a query had come to."""

for _library in ("simple_salesforce", "urllib3"):
    # Their debug lines hold URLs and bodies, and e-mail addresses in them.
    logging.getLogger(_library).setLevel(logging.WARNING)


def has_key(name: str, body: Any) -> bool:
    """Say whether a response has content."""
    return isinstance(body, dict) and name in body


def has_text(*names_and_body: Any) -> bool:
    """Say whether a response, the last argument, has a text under each of the names before it."""
    *names, body = names_and_body
    return isinstance(body, dict) and all(
        isinstance(body.get(name), str) and body[name] for name in names
    )


class Client(ClientState):
    """One Salesforce org, over one kept-alive session."""

    def __init__(self, settings: Settings) -> None:
        """Log in."""
        raise_problems(settings_problems(settings))
        limits = {"general": RateLimiter(100, 1), "bulk": RateLimiter(100, 1)}
        super().__init__(ApiCaller("salesforce", limits))
        self._settings = settings
        self._url = settings.instance_url.rstrip("/")
        self.bulk_min_records = settings.bulk_min_records
        self._session = open_session(self._url)
        self._auth_method = auth_method(settings)
        if self._auth_method == "password":
            self.warnings.append(PASSWORD_WARNING)
        self._token = (
            AccessToken(self._log_in, is_renewable=True)
            if self._auth_method
            else fixed_token(str(settings.access_token))
        )
        self._token.current()

    def support_warnings(self, today: date) -> list[str]:
        """Warn where the support of the API version in use ends soon."""
        until = salesforce_support_end(API_VERSION)
        fix = "a newer release of onefunnel is needed"
        return ending_soon(LABEL, [Used(f"API version {API_VERSION}", until, fix)], today)

    def check_connection(self) -> Account:
        """Return the org of the session, after a check that it may use the API.

        Raises: AccessError naming the permission that is missing.
        """
        self.get(f"{DATA_PATH}/limits", expected_key="DailyApiRequests")
        return Account(self._org_id(), f"Salesforce org {urlsplit(self._url).hostname}")

    def _org_id(self) -> str | None:
        # every sandbox has an id of its own, while a host can lead to another org tomorrow
        with suppress(AccessError, RejectedError):  # the user may not read Organization
            path = f"{DATA_PATH}/query"
            for row in self.read_page(path, q="SELECT Id FROM Organization")["records"]:
                return str(row["Id"])
        return None

    def get(
        self,
        path: str,
        *,
        expected_key: str,
        is_valid: Callable[[Any], bool] = lambda _: True,
        **params: str,
    ) -> dict[str, Any]:
        """Read the JSON at a path.

        An answer without `expected_key`, or whose value there is not valid, is asked for again.
        """
        found: dict[str, Any] = self._json(
            "GET",
            path,
            lambda body: has_key(expected_key, body) and is_valid(body[expected_key]),
            kind="read",
            params=params,
        )
        return found

    def read_page(self, path: str, **params: str) -> dict[str, Any]:
        """Read a page of rows; a malformed response is asked for again."""
        is_valid = _is_first_page if "q" in params else _is_page
        found: dict[str, Any] = self._json("GET", path, is_valid, kind="read", params=params)
        return found

    def read(self, path: str, parse: Callable[[Response], T], **params: str) -> T:
        """Read what `of` makes of an answer; where it raises RetryableError, ask again."""
        return self._call("GET", path, parse, kind="read", params=params)

    def post(
        self, path: str, body: Mapping[str, Any], *, is_valid: Callable[[Any], bool] = bool
    ) -> Any:
        """Read through a path that takes its question as a body; what is not sound is lost."""
        return self._json("POST", path, is_valid, kind="read", data=orjson.dumps(body))

    def update(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write up to 200 records; the results come in their order.

        Raises: RejectedError: all are rejected at once.
                UnknownOutcomeError: there is no response.
                RetryableError: nothing was written; read the records before a retry.
        """
        body = {"allOrNone": False, "records": records}
        path = f"{DATA_PATH}/composite/sobjects"
        answers: list[dict[str, Any]] = self._json(
            "PATCH",
            path,
            partial(_matches_records, records),
            kind="write",
            repeats=False,
            data=orjson.dumps(body),
        )
        return answers

    def create(self, path: str, body: Mapping[str, Any]) -> str:
        """Create a custom field or a permission and return its id; never sent twice."""
        data, has_id = orjson.dumps(body), partial(has_key, "id")
        answer = self._json("POST", path, has_id, kind="write", repeats=False, data=data)
        return str(answer["id"])

    def change(self, path: str, body: Mapping[str, Any]) -> None:
        """Change a custom field; the answer has no body. It may arrive twice."""
        self.request("PATCH", path, kind="write", is_safe=True, data=orjson.dumps(body))

    def request_job(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        is_valid: Callable[[Any], bool] | None = None,
    ) -> Any:
        """Make, ask for or change a job; all but a change of its state may be repeated.

        Without `is_valid` the answer must have the id and the state of a job.
        """
        is_valid = is_valid or partial(has_text, "id", "state")
        data = orjson.dumps(body) if body else None
        is_safe = method != "PATCH"
        return self._json(method, path, is_valid, kind="write", data=data, is_safe=is_safe)

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
        where, is_write = _operation(method, path), kind == "write" and not is_safe

        def sound(answer: Response) -> Any:
            body = parse_json(answer, where, is_write=is_write)
            if not is_sound(body):
                raise malformed(where, is_write=is_write)
            return body

        return self._call(method, path, sound, kind=kind, is_safe=is_safe, **request)

    def read_job_results(self, path: str, parse: Callable[[Response], T]) -> T:
        """Return what `parse` makes of the results of a job; it counts as a part of the write."""
        return self._call("GET", path, parse, kind="write", is_safe=True)

    def request(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        is_safe: bool = False,
        content_type: str = "application/json",
        **request: Any,
    ) -> Response:
        """Send one call, and once more after a new login where the session had ended.

        `is_safe` writes may arrive twice: where the answer is lost, they are sent again.
        """
        request |= {"is_safe": is_safe, "content_type": content_type}
        return self._call(method, path, lambda answer: answer, kind=kind, **request)

    def _call(
        self,
        method: str,
        path: str,
        of: Callable[[Response], T],
        *,
        kind: str,
        is_safe: bool = False,
        repeats: bool = True,
        content_type: str = "application/json",
        **request: Any,
    ) -> T:
        is_write = kind == "write" and not is_safe
        pace = "bulk" if "/jobs/" in path else "general"
        operation = _operation(method, path)

        def send(token: str) -> T:
            headers = {
                "Authorization": f"Bearer {token}",
                "Content-Type": content_type,
                # without this header Salesforce runs the assignment rules, and leads change owners
                "Sforce-Auto-Assign": "FALSE",
                # names us in event log files and as origin of a change
                "Sforce-Call-Options": "client=onefunnel",
            }
            answer = send_request(
                self._session,
                method,
                path,
                crm=LABEL,
                is_write=is_write,
                headers=headers,
                **request,
            )
            self._update_limits(answer)
            if answer.headers.get("Warning", "").startswith(DEPRECATED):
                self.warn_of_deprecation(f"Salesforce: {method} {path.partition('?')[0]}")
            if answer.status >= 300 or answer.is_html:
                raise to_error(answer, operation, is_write=is_write)
            return of(answer)

        self.require_quota()

        def call(token: str) -> T:
            return self.api_caller.call(
                operation,
                partial(send, token),
                kind=kind,
                limiter=pace,
                is_retryable=repeats,
            )

        token = self._token.current()
        try:
            return call(token)
        except SessionExpiredError:
            if not self._token.is_renewable:
                raise
        try:
            return call(self._token.renewed(token))
        except SessionExpiredError:
            # the session is fresh: it did not expire
            raise AccessError(BLOCKED_SESSION) from None

    def _update_limits(self, answer: Response) -> None:
        self.record_response(answer)
        if usage := _USAGE.search(answer.headers.get("Sforce-Limit-Info", "")):
            self.daily_limit = int(usage[2])
            self.calls_remaining = self.daily_limit - int(usage[1])

    def _log_in(self) -> IssuedToken:
        method = cast(LoginMethod, self._auth_method)
        login = partial(authenticate, method, self._settings, self._url, self._session)
        body = self.api_caller.call("login", login, kind="login", limiter="general")
        rotated = body.get("refresh_token")
        if self._settings.refresh_token and rotated not in (None, self._settings.refresh_token):
            # good for this run: there is no place where it may be kept for the next one
            self._settings.refresh_token = str(rotated)
            if ROTATION_WARNING not in self.warnings:
                self.warnings.append(ROTATION_WARNING)
        return issued_token(body)


def connect(settings: Settings) -> Client:
    """Log in to the org.

    Raises: ConfigError where settings are missing or do not fit together, AccessError where
    Salesforce refuses them.
    """
    return Client(settings)


def _operation(method: str, path: str) -> str:
    """Name a call in logs and errors, without the query string of the path."""
    return f"{method} {path.partition('?')[0]}"


def _is_page(body: Any) -> bool:
    """Say whether a response is a page of rows with total and next page."""
    return (
        has_key("totalSize", body)
        and isinstance(body["totalSize"], int)
        and isinstance(body.get("records"), list)
        and all(isinstance(row, dict) for row in body["records"])
        and (body.get("done") is True or isinstance(body.get("nextRecordsUrl"), str))
    )


def _is_first_page(body: Any) -> bool:
    """Say whether a response begins what a query finds; if it is all, it has as many rows."""
    return _is_page(body) and (
        bool(next_page_url(body)) or len(body["records"]) == body["totalSize"]
    )


def next_page_url(page: Mapping[str, Any]) -> str:
    """Return where the next page of a query is; empty behind the last one."""
    return "" if page.get("done") is True else str(page["nextRecordsUrl"])


def next_page_urls(page: Mapping[str, Any]) -> list[str]:
    """Return the same as a list, which is empty behind the last page."""
    return [url] if (url := next_page_url(page)) else []


def _matches_records(records: Sequence[Mapping[str, Any]], answers: Any) -> bool:
    """Say whether there is a result for each record, in order; a rejected record has no id."""
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


_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")
