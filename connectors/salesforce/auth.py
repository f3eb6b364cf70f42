"""How to reach the Salesforce org, and the ways to log in."""

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

import jwt
import requests
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue
from simple_salesforce.exceptions import SalesforceAuthenticationFailed
from simple_salesforce.login import SalesforceLogin

from connectors.error_mapping import retryable, unexpected_page
from connectors.http import (
    NETWORK_ERRORS,
    Response,
    Session,
    is_loopback,
    network_error,
    open_session,
    send_request,
    url_problem,
)
from connectors.salesforce import LABEL
from connectors.salesforce.login_errors import LoginMethod, login_error, token_or_error
from errors import RetryableError, SyncError
from settings import Rule, is_one_line, rule_problems, setting

API_VERSION = "60.0"
SOAP_PATH = f"/services/Soap/u/{API_VERSION}"
TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path
ASSERTION_SECONDS = 180
"""How long the signed assertion of a JWT login is valid: Salesforce accepts five minutes."""

SALESFORCE_HOSTS = (".salesforce.com", ".salesforce.mil", ".sfcrmproducts.cn", ".sfcrmapps.cn")
"""Where secrets may be sent: Salesforce, that of the US Government, and that in China."""


@configspec
class Settings(BaseConfiguration):
    """How to reach the org, and one way to log in.

    These are, best first: client id and secret; client id, user name and private key (JWT
    bearer); client id, perhaps secret, and a refresh token; an access token, which cannot be
    renewed; user name, password and security token, which Salesforce ends in 2027. A refresh token
    that is set is used before the others. From `bulk_from` changes on they go by jobs of Bulk 2.0:
    ten calls instead of one per 200, but a job waits in a queue.
    """

    instance_url: str = ""
    client_id: str = ""
    client_secret: TSecretStrValue = ""
    username: str = ""
    private_key: TSecretStrValue = ""
    audience: str = "https://login.salesforce.com"
    refresh_token: TSecretStrValue = ""
    access_token: TSecretStrValue = ""
    password: TSecretStrValue = ""
    security_token: TSecretStrValue = ""
    bulk_min_records: int = 5_000


_ONE_LINE = Rule("one line without blanks", is_one_line)
_RULES: Mapping[str, Rule] = {
    "instance_url": Rule(
        "the address of your org, which ends after the host: https://EXAMPLE.my.salesforce.com",
        lambda url: not url_problem(url),
    ),
    "client_id": _ONE_LINE,
    "client_secret": _ONE_LINE,
    "username": Rule("a user name such as sync@example.com", is_one_line),
    "private_key": Rule(
        "a private key (PEM), from the line -----BEGIN PRIVATE KEY----- to the last line",
        lambda key: not key or _is_private_key(str(key)),
    ),
    "audience": Rule(
        "the login host, such as https://login.salesforce.com", lambda url: not url_problem(url)
    ),
    "refresh_token": _ONE_LINE,
    "access_token": _ONE_LINE,
    "password": Rule("one line", lambda password: str(password).isprintable()),
    "security_token": _ONE_LINE,
    "bulk_min_records": Rule("a number of records from 1 on, such as 5000", lambda n: n >= 1),
}


def settings_problems(settings: Settings) -> list[str]:
    """List what is wrong with the settings, each and taken together, before any call."""
    problems = rule_problems(settings, "sources", "salesforce", rules=_RULES)
    host, method = urlsplit(settings.instance_url).hostname or "", auth_method(settings)
    if method == "refresh token" and not settings.client_id:
        problems.append(
            f"{setting('salesforce', 'client_id')} is missing: a login by refresh token needs it"
        )
    if method is None and not settings.access_token:
        problems.append(
            "nothing to log in to Salesforce with: set"
            f" {setting('salesforce', 'client_id')} and {setting('salesforce', 'client_secret')}"
        )
    elif method and not problems and not _may_have_secrets(host, settings.instance_url):
        problems.append(
            f"{setting('salesforce', 'instance_url')}: {host} is no host of Salesforce. Secrets are"
            f" sent only to hosts that end with {', '.join(SALESFORCE_HOSTS)}; for any other host"
            f" set {setting('salesforce', 'access_token')} alone"
        )
    return problems


def _may_have_secrets(host: str, url: str) -> bool:
    return host.endswith(SALESFORCE_HOSTS) or is_loopback(url)


def auth_method(settings: Settings) -> LoginMethod | None:
    """Choose the best login the settings allow; None: at most a token, which is no login."""
    if settings.refresh_token:
        return "refresh token"
    if settings.client_id and settings.client_secret:
        return "client credentials"
    if settings.client_id and settings.username and settings.private_key:
        return "JWT"
    if settings.access_token:
        return None
    if settings.username and settings.password and settings.security_token:
        return "password"
    return None


def authenticate(
    method: LoginMethod, settings: Settings, url: str, session: Session
) -> dict[str, Any]:
    """Log in at the host of `url`, and give the answer: `access_token`, and what else is in it.

    Raises: AccessError where Salesforce refuses the login, RetryableError where it may pass.
    """
    host = urlsplit(url).hostname
    if method == "password":
        return {"access_token": _login_by_password(settings, url)}
    form, headers = _token_request(method, settings)
    answer = send_request(session, "POST", url + TOKEN_PATH, crm=LABEL, data=form, headers=headers)
    body = token_or_error(answer, method, host)
    if isinstance(body, SyncError):
        raise body
    return body


def _token_request(
    method: LoginMethod, settings: Settings
) -> tuple[dict[str, str], dict[str, str]]:
    """Return form and headers of the request for a token."""
    client = f"{settings.client_id}:{settings.client_secret}".encode()
    basic = {"Authorization": f"Basic {b64encode(client).decode()}"}
    if method == "client credentials":
        return {"grant_type": "client_credentials"}, basic
    if method == "refresh token":
        form = {"grant_type": "refresh_token", "refresh_token": str(settings.refresh_token)}
        # an app may do without the secret; then only the form can name the client
        return (
            (form, basic)
            if settings.client_secret
            else (form | {"client_id": settings.client_id}, {})
        )
    claims = {
        "iss": settings.client_id,
        "sub": settings.username,
        "aud": settings.audience.rstrip("/"),
        "exp": int(datetime.now(UTC).timestamp()) + ASSERTION_SECONDS,
    }
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": _sign(claims, str(settings.private_key)),
    }, {}


def _sign(claims: Mapping[str, Any], key: str) -> str:
    # an environment file cannot hold a line break: people write the two characters \n
    return jwt.encode(dict(claims), key.replace("\\n", "\n"), algorithm="RS256")


def _is_private_key(key: str) -> bool:
    try:
        _sign({}, key)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return False
    return True


def _login_by_password(settings: Settings, url: str) -> str:
    """Log in by SOAP, which the library does until Salesforce ends it in 2027."""
    host = urlsplit(url).hostname

    def check(response: requests.Response, **_: Any) -> None:
        # before the library reads it: it takes every page for a refusal, and follows redirects
        read = Response(response.status_code, response.headers, response.content)
        if error := _soap_error(read, host):
            raise error

    session = open_session(url)
    session.hooks["response"].append(check)
    try:
        token, _ = SalesforceLogin(
            username=settings.username,
            password=str(settings.password),
            security_token=str(settings.security_token),
            sf_version=API_VERSION,
            scratch_url=url,
            session=session,
        )
    except SalesforceAuthenticationFailed as error:
        code = str(error.code).rpartition(":")[2]
        raise login_error(code, "", "password", host) from None
    except NETWORK_ERRORS as error:
        raise network_error(error, "POST", url + SOAP_PATH, crm=LABEL) from None
    except ExpatError:
        raise RetryableError(f"{LABEL} answered the login at {host} with malformed XML") from None
    return str(token)


def _soap_error(response: Response, host: str | None) -> SyncError | None:
    """Return the error for an answer that is not SOAP; a refusal is SOAP with the status 500."""
    where, address = f"the login by password at {host}", setting("salesforce", "instance_url")
    if 300 <= response.status < 400:
        return unexpected_page(response, where, crm=LABEL, address=address, is_write=False)
    if _SOAP_ANSWER.search(response.body) and response.body.rstrip().endswith(b"Envelope>"):
        return None
    return retryable(
        f"{LABEL} answered {response.status} to {where} with"
        f" {'an HTML page' if response.is_html else 'no SOAP'}: is the address right? {address}",
        response,
    )


_SOAP_ANSWER = re.compile(rb"<(\w+:)?(exceptionCode|sessionId)>[^<]")
