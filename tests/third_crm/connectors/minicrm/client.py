"""The HTTP client of MiniCRM."""

from functools import partial
from typing import Any

import orjson
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue

from connectors.client_state import ClientState
from connectors.http import open_session, parse_json, send_request, validate_url
from connectors.rate_limiter import RateLimiter
from connectors.retry import ApiCaller
from errors import ConfigError
from models import Account
from settings import setting

from .error_codes import to_error


@configspec
class Settings(BaseConfiguration):
    """Read from SOURCES__MINICRM__BASE_URL and SOURCES__MINICRM__TOKEN."""

    base_url: str = ""
    token: TSecretStrValue = ""


class Client(ClientState):
    """One MiniCRM account."""

    def __init__(self, settings: Settings) -> None:
        """Open the session; no call is made yet."""
        super().__init__(ApiCaller("minicrm", {"general": RateLimiter(100, 1)}))
        if not settings.token:
            raise ConfigError(f"{setting('minicrm', 'token')} is missing")
        self._url = validate_url(settings.base_url, setting("minicrm", "base_url"))
        self._session = open_session(self._url)
        self._session.headers["Authorization"] = f"Bearer {settings.token}"

    def check_connection(self) -> Account:
        """Make one call to check the token, and return the account."""
        id = str(self.get("/me")["account"])
        return Account(id, f"MiniCRM account {id}")

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Read JSON."""
        return self._call("GET", path, kind="read", params=params)

    def update(self, object: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write up to 50 rows and return one result per row."""
        body = orjson.dumps({"rows": rows})
        results: list[dict[str, Any]] = self._call("PATCH", f"/{object}", kind="write", data=body)[
            "results"
        ]
        return results

    def _call(self, method: str, path: str, *, kind: str, **request: Any) -> dict[str, Any]:
        # a write is not repeated here: the write engine reads the record again before it repeats
        is_write, where = kind == "write", f"{method} {path}"
        send = partial(self._send, method, path, where, is_write=is_write, **request)
        return self.api_caller.call(
            where, send, kind=kind, limiter="general", is_retryable=not is_write
        )

    def _send(
        self, method: str, path: str, where: str, *, is_write: bool, **request: Any
    ) -> dict[str, Any]:
        response = send_request(
            self._session, method, self._url + path, is_write=is_write, **request
        )
        self.record_response(response)
        if response.status >= 300:
            raise to_error(response, where)
        body: dict[str, Any] = parse_json(response, where, is_write=is_write)
        return body


def connect(settings: Settings) -> Client:
    """Return the client. Raises: ConfigError where a setting is missing or wrong."""
    return Client(settings)
