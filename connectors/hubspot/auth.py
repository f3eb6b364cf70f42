"""The login to HubSpot by the refresh token of an OAuth app."""

from typing import Any

import orjson

from connectors.error_mapping import retryable, unexpected_page
from connectors.http import Response
from connectors.hubspot import LABEL
from connectors.hubspot.error_codes import is_name
from errors import AccessError
from settings import setting


def parse_token(answer: Response, where: str) -> dict[str, Any]:
    """Read the answer of the token endpoint, whose errors have a form of their own.

    Raises: AccessError where HubSpot refuses the login; RetryableError where it cannot answer.
    """
    address = setting("hubspot", "base_url")
    if page := unexpected_page(answer, where, crm=LABEL, address=address, is_write=False):
        raise page
    body = orjson.loads(answer.body) if answer.is_json else {}
    if not isinstance(body, dict):
        body = {}
    if answer.status in (400, 401, 403) and (body.get("error") or body.get("status")):
        raise _login_error(answer.status, body)
    if answer.status >= 300 or not body.get("access_token"):
        raise retryable(f"{LABEL} answered {answer.status} to {where} without a token", answer)
    return body


def _login_error(status: int, body: dict[str, Any]) -> AccessError:
    codes = [str(body.get(name) or "") for name in ("status", "error")]
    shown = next((code for code in codes if is_name(code)), "no reason given")
    fix = next((_FIXES[code] for code in codes if code in _FIXES), _OTHER_FIX)
    return AccessError(f"{LABEL} refused the login by refresh token ({status} {shown}): {fix}")


_NEW_REFRESH_TOKEN = (
    "it is not valid or was revoked: install the app in the account again and store the new"
    f" {setting('hubspot', 'refresh_token')}"
)
_NO_ACCOUNT = (
    "the app is not installed in the account any more, or the account is gone: install the app"
    f" again and store the new {setting('hubspot', 'refresh_token')}"
)
_FIXES = {
    "BAD_REFRESH_TOKEN": _NEW_REFRESH_TOKEN,
    "BAD_HUB": _NO_ACCOUNT,
    "BAD_CLIENT_ID": f"there is no such app: check {setting('hubspot', 'client_id')}",
    "BAD_CLIENT_SECRET": f"check {setting('hubspot', 'client_secret')}",
    "invalid_grant": _NEW_REFRESH_TOKEN,
    "access_denied": _NO_ACCOUNT,
    "invalid_client": (
        f"check {setting('hubspot', 'client_id')} and {setting('hubspot', 'client_secret')}"
    ),
}
"""By `status`, which says more, and by `error`."""

_OTHER_FIX = (
    f"check {setting('hubspot', 'client_id')}, {setting('hubspot', 'client_secret')} and"
    f" {setting('hubspot', 'refresh_token')}"
)
