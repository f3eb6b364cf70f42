"""How to reach the Salesforce org, and the ways to log in."""

from urllib.parse import urlsplit
from warnings import catch_warnings

import requests
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue
from jwt import PyJWTError
from simple_salesforce.exceptions import SalesforceAuthenticationFailed
from simple_salesforce.login import SalesforceLogin

from connectors.http import is_loopback, response_lost
from connectors.salesforce.error_codes import is_name
from errors import AccessError, ConfigError, RetryableError, SyncError
from settings import setting

API_VERSION = "60.0"


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
    bulk_min_records: int = 5_000


def auth_method(settings: Settings, url: str) -> dict[str, str] | None:
    """Choose the best login the settings allow, as arguments of the library; None: only a token.

    Raises: ConfigError where there is none, or a host is not Salesforce's.
    """
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


def authenticate(auth_arguments: dict[str, str], session: requests.Session) -> str:
    """Log in by one way, and give the token of the new session."""
    try:
        with catch_warnings(action="ignore"):  # the library's warnings hold the client id
            token, _ = SalesforceLogin(
                sf_version=API_VERSION, **{**auth_arguments, "session": session}
            )
    except SalesforceAuthenticationFailed as error:
        raise _login_error(error) from None
    except (ValueError, PyJWTError):
        raise ConfigError(
            f"{setting('salesforce', 'private_key')} is not a private key (PEM)"
        ) from None
    except requests.RequestException:
        raise response_lost("login", is_write=False) from None
    return str(token)


def _login_error(error: SalesforceAuthenticationFailed) -> SyncError:
    code = str(error.code)
    if code.startswith("5"):
        return RetryableError(f"Salesforce answered {code} to the login")
    return AccessError(
        f"Salesforce refused the login ({code if is_name(code) else 'no reason given'}):"
        " check the client, the user, and that the user may use the client"
    )


def _domain(url: str) -> str:
    host = urlsplit(url).hostname or ""
    if is_loopback(url):
        return "loopback"
    if not host.endswith(".salesforce.com"):
        raise ConfigError(f"{host}: Salesforce hosts end with .salesforce.com")
    return host.removesuffix(".salesforce.com")
