"""What each answer to a login means, and what an admin can do about it.

Salesforce gives a few OAuth codes many meanings; only the description differs. It is compared, and
never shown.
"""

from typing import Any, Literal, NamedTuple

import orjson

from connectors.error_mapping import retryable, unexpected_page
from connectors.http import Response
from connectors.salesforce import LABEL
from connectors.salesforce.error_codes import is_name
from errors import AccessError, RetryableError, SyncError
from settings import setting

LoginMethod = Literal["client credentials", "JWT", "refresh token", "password"]


class LoginRule(NamedTuple):
    """One row: a code, a part of its description in lower case, what to do, whether it passes."""

    code: str
    fix: str
    description: str = ""
    passes: bool = False


def _name(field: str) -> str:
    return setting("salesforce", field)


_NOT_INSTALLED = (
    "the app is not installed in this org. Install it (Setup, Connected Apps OAuth Usage or"
    " External Client App Manager), or give our user the permission Approve Uninstalled Connected"
    " Apps"
)
_NOT_ASSIGNED = (
    "our user may not use the app: assign a permission set or profile of the user to the app, where"
    " Permitted Users is `Admin approved users are pre-authorized`"
)
_IP_RANGES = (
    "this machine's IP address is outside the login IP ranges of our user's profile: add it there,"
    " or relax IP restrictions in the policies of the app"
)
_INACTIVE_USER = "our user is not active, or is frozen: activate the user"
_INACTIVE_ORG = "the org is locked, suspended or has expired: ask Salesforce"
_BUSY = "Salesforce has trouble of its own"

LOGIN_RULES = (
    # the app
    LoginRule("invalid_client", _NOT_INSTALLED, "installed"),
    LoginRule("OAUTH_APPROVAL_ERROR_GENERIC", _NOT_INSTALLED),
    LoginRule("OAUTH_EC_APP_NOT_FOUND", _NOT_INSTALLED),
    LoginRule(
        "OAUTH_APP_BLOCKED", "an admin blocked the app: unblock it in Connected Apps OAuth Usage"
    ),
    LoginRule("OAUTH_APP_ACCESS_DENIED", _NOT_ASSIGNED),
    LoginRule("invalid_app_access", _NOT_ASSIGNED),
    LoginRule(
        "invalid_client_id",
        f"no app of this org has this client id: check {_name('client_id')}, and that"
        f" {_name('instance_url')} is the org of the app",
    ),
    LoginRule(
        "invalid_client", f"the client secret is wrong or was replaced: {_name('client_secret')}"
    ),
    LoginRule("unsupported_grant_type", "allow this way of login in the app (Flow Enablement)"),
    LoginRule("invalid_scope", "give the app the scope `Manage user data via APIs (api)`"),
    # the user
    LoginRule(
        "invalid_grant",
        "set a Run As user in the app's client credentials flow",
        "no client credentials user",
    ),
    LoginRule(
        "invalid_grant",
        f"this host takes no login by an app: set {_name('instance_url')} to My Domain, such as"
        " https://example.my.salesforce.com",
        "not supported on this domain",
    ),
    LoginRule(
        "invalid_grant",
        "the refresh token has expired, was revoked, or was used before while the app rotates"
        " refresh tokens: switch rotation off in the app's OAuth policies, authorize the app again"
        f" and set {_name('refresh_token')}",
        "expired access/refresh token",
    ),
    LoginRule("invalid_grant", _IP_RANGES, "ip restricted"),
    LoginRule("invalid_grant", _NOT_ASSIGNED, "hasn't approved"),
    LoginRule(
        "invalid_grant",
        f"{_name('audience')} must be https://login.salesforce.com, for a sandbox"
        " https://test.salesforce.com",
        "audience",
    ),
    LoginRule(
        "invalid_grant",
        f"the certificate in the app does not belong to {_name('private_key')}, or the clock of"
        " this machine is wrong by minutes",
        "assertion",
    ),
    LoginRule("invalid_grant", _INACTIVE_USER, "inactive user"),
    LoginRule("invalid_grant", _INACTIVE_ORG, "inactive org"),
    LoginRule("inactive_user", _INACTIVE_USER),
    LoginRule("inactive_org", _INACTIVE_ORG),
    LoginRule("API_DISABLED_FOR_ORG", "give our user the permission API Enabled"),
    # the password
    LoginRule("LOGIN_MUST_USE_SECURITY_TOKEN", f"set {_name('security_token')}"),
    LoginRule("LOGIN_DURING_RESTRICTED_DOMAIN", _IP_RANGES),
    LoginRule(
        "LOGIN_DURING_RESTRICTED_TIME", "the login hours of our user's profile are over: widen them"
    ),
    LoginRule("PASSWORD_LOCKOUT", "our user is locked out by wrong passwords: unlock the user"),
    LoginRule("ORG_LOCKED", _INACTIVE_ORG),
    LoginRule("TRIAL_EXPIRED", _INACTIVE_ORG),
    LoginRule(
        "INVALID_OPERATION",
        "the org takes no login by password any more: set"
        f" {_name('client_id')} and {_name('client_secret')}",
    ),
    # worth another try
    LoginRule("rate_limit_exceeded", "too many logins in a short time", passes=True),
    LoginRule("invalid_grant", "too many logins in a short time", "rate exceeded", passes=True),
    LoginRule("server_error", _BUSY, passes=True),
    LoginRule("temporarily_unavailable", _BUSY, passes=True),
    LoginRule("unknown_error", _BUSY, passes=True),
    LoginRule("SERVER_UNAVAILABLE", _BUSY, passes=True),
    LoginRule("API_CURRENTLY_DISABLED", _BUSY, passes=True),
    LoginRule("UNKNOWN_EXCEPTION", _BUSY, passes=True),
)
"""The first row that fits counts; `OTHER_FIXES` where none does."""

OTHER_FIXES: dict[LoginMethod, str] = {
    "client credentials": (
        f"check {_name('client_id')}, {_name('client_secret')}, and that the app allows the client"
        " credentials flow with a Run As user"
    ),
    "JWT": (
        f"check {_name('client_id')}, {_name('username')}, {_name('audience')}, and that the app"
        f" has the certificate of {_name('private_key')}"
    ),
    "refresh token": (
        f"check {_name('client_id')}, {_name('client_secret')} and {_name('refresh_token')}; if"
        " they are right, authorize the app again"
    ),
    "password": (
        f"check {_name('username')}, {_name('password')} and {_name('security_token')}, and the"
        " user's login hours and IP ranges"
    ),
}

BLOCKED_SESSION = (
    "Salesforce accepts the login and refuses the session straight after it"
    " (INVALID_SESSION_ID): API access control may block the app (Setup, API Access Control), or"
    " our user lacks the permission API Enabled. A new secret does not help"
)


def login_error(
    code: str, description: str, method: LoginMethod, host: str | None, status: int = 400
) -> SyncError:
    """Say what a refused login means: AccessError, or RetryableError where it passes by itself."""
    shown = code if is_name(code) else "no reason given"
    text = f"{LABEL} refused the login by {method} at {host} ({status} {shown})"
    for rule in LOGIN_RULES:
        if rule.code == code and rule.description in description.lower():
            error = RetryableError if rule.passes else AccessError
            return error(f"{text}: {rule.fix}")
    return AccessError(f"{text}: {OTHER_FIXES[method]}")


def token_or_error(
    response: Response, method: LoginMethod, host: str | None
) -> dict[str, Any] | SyncError:
    """Read the answer of the token endpoint: it has the token of the new session; or the error.

    Status and form of the answer come first: only what Salesforce itself says about the login is
    about the login.
    """
    where = f"the login by {method} at {host}"
    page = unexpected_page(
        response, where, crm=LABEL, address=_name("instance_url"), is_write=False
    )
    if page is not None:
        return page
    body = _json_object(response)
    code = str(body.get("error") or body.get("errorCode") or "")
    if response.status >= 400 and code:
        description = str(body.get("error_description") or body.get("message") or "")
        error = login_error(code, description, method, host, response.status)
        return retryable(str(error), response) if isinstance(error, RetryableError) else error
    if response.status >= 400:
        fix = _BUSY if response.status >= 500 else f"is the address right? {_name('instance_url')}"
        return retryable(f"{LABEL} answered {response.status} to {where}: {fix}", response)
    token = body.get("access_token")
    if not isinstance(token, str) or not token or not token.isprintable() or " " in token:
        return retryable(f"{LABEL} answered {where} without a token", response)
    if str(body.get("token_type") or "Bearer").lower() != "bearer":
        return AccessError(
            f"{LABEL} answered {where} with a token that is bound to a key (DPoP): let the app"
            " issue Bearer tokens"
        )
    return body


def _json_object(response: Response) -> dict[str, Any]:
    if not response.is_json:
        return {}
    body = orjson.loads(response.body)
    # the other resources of Salesforce answer with a list of errors
    first = body[0] if isinstance(body, list) and body else body
    return first if isinstance(first, dict) else {}
