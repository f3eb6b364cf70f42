"""OAuth: four grants, and the owner of a token."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import jwt

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.records import ORGANIZATION
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.store import Credentials

_AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

Form = Mapping[str, str]


def token(request: ApiRequest) -> ApiResponse:
    """Handle the token endpoint."""
    form = dict(parse_qsl(request.body.decode())) | _basic(request.headers.get("authorization", ""))
    grant = _GRANTS.get(form.get("grant_type", ""))
    try:
        if grant is None:
            raise ApiError("unsupported_grant_type", "grant type not supported")
        extra = grant(form, request.store.credentials)
    except ApiError as error:
        return ApiResponse({"error": error.code, "error_description": error.message}, status=400)
    return ApiResponse(_session(request) | extra)


def revoke(request: ApiRequest) -> ApiResponse:
    """End the session of a token."""
    token_ = dict(parse_qsl(request.body.decode())).get("token", "")
    request.store.credentials.tokens.discard(token_)
    return ApiResponse()


def userinfo(request: ApiRequest) -> ApiResponse:
    """Return the owner of the token."""
    if bearer(request.headers) not in request.store.credentials.tokens:
        return ApiResponse("Bad_OAuth_Token", status=403, media="text/plain")
    user = request.store.tables["User"][request.store.user_id]
    claims = {
        "sub": f"{request.origin}/id/{ORGANIZATION}/{user['Id']}",
        "user_id": user["Id"],
        "organization_id": ORGANIZATION,
        "preferred_username": user["Username"],
        "name": user["Name"],
        "email": user["Email"],
        "given_name": user["FirstName"],
        "family_name": user["LastName"],
        "nickname": user["Username"].partition("@")[0],
        "email_verified": True,
        "profile": f"{request.origin}/{user['Id']}",
        "picture": None,
        "photos": {},
        "address": {},
        "urls": {"rest": f"{request.origin}/services/data/v{{version}}/"},
        "is_salesforce_integration_user": False,
        "zoneinfo": "Europe/Berlin",
        "locale": "en_US",
        "language": "en_US",
        "utcOffset": 3_600_000,
        "updated_at": user["LastModifiedDate"].replace("+0000", "Z"),
        "active": True,
        "user_type": "STANDARD",
    }
    return ApiResponse(claims)


def bearer(headers: Mapping[str, str]) -> str:
    """Return the token of the Authorization header; Salesforce also accepts `OAuth`."""
    scheme, _, token_ = headers.get("authorization", "").partition(" ")
    return token_.strip() if scheme.lower() in ("bearer", "oauth") else ""


def _basic(header: str) -> dict[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return {"client_id": client_id, "client_secret": secret}


def _session(request: ApiRequest) -> dict[str, Any]:
    credentials = request.store.credentials
    identity = f"https://login.salesforce.com/id/{ORGANIZATION}/{request.store.user_id}"
    issued_at = str(int(request.store.clock().timestamp() * 1000))
    signed = hmac.digest(
        credentials.client_secret.encode(), (identity + issued_at).encode(), hashlib.sha256
    )
    return {
        "access_token": credentials.new_token(),
        "signature": base64.b64encode(signed).decode(),
        "instance_url": request.origin,
        "id": identity,
        "token_type": "Bearer",
        "issued_at": issued_at,
    }


def _check_client(form: Form, credentials: Credentials) -> None:
    if form.get("client_id") != credentials.client_id:
        raise ApiError("invalid_client_id", "client identifier invalid")
    if form.get("client_secret") != credentials.client_secret:
        raise ApiError("invalid_client", "invalid client credentials")


def _client_credentials(form: Form, credentials: Credentials) -> dict[str, str]:
    _check_client(form, credentials)
    return {"scope": "api"}


def _password(form: Form, credentials: Credentials) -> dict[str, str]:
    _check_client(form, credentials)
    valid = (credentials.password, credentials.password_and_token)
    if form.get("username") != credentials.username or form.get("password") not in valid:
        raise ApiError("invalid_grant", "authentication failure")
    return {}


def _refresh(form: Form, credentials: Credentials) -> dict[str, str]:
    """Open a session; with rotation, the reuse of a refresh token ends all sessions."""
    _check_client(form, credentials)
    refresh_token = form.get("refresh_token", "")
    if refresh_token in credentials.used_refresh_tokens:
        credentials.tokens.clear()
        credentials.new_refresh_token()
    elif refresh_token and refresh_token == credentials.refresh_token:
        rotated = {"refresh_token": credentials.new_refresh_token()} if credentials.rotates else {}
        return {"scope": "refresh_token api"} | rotated
    raise ApiError("invalid_grant", "expired access/refresh token")


def _jwt_bearer(form: Form, credentials: Credentials) -> dict[str, str]:
    if credentials.public_key is None:
        raise ApiError("invalid_grant", "user hasn't approved this consumer")
    try:
        claims = jwt.decode(
            form.get("assertion", ""),
            credentials.public_key,
            algorithms=["RS256"],
            audience=_AUDIENCES,
            options={"require": ["exp", "iss", "sub", "aud"]},
        )
    except jwt.InvalidAudienceError as error:
        raise ApiError("invalid_grant", "audience is invalid") from error
    except jwt.PyJWTError as error:
        raise ApiError("invalid_grant", "invalid assertion") from error
    if claims["iss"] != credentials.client_id:
        raise ApiError("invalid_client_id", "client identifier invalid")
    if claims["sub"] != credentials.username:
        raise ApiError("invalid_grant", "user hasn't approved this consumer")
    return {"scope": "api"}


_GRANTS: dict[str, Callable[[Form, Credentials], dict[str, str]]] = {
    "client_credentials": _client_credentials,
    "password": _password,
    "refresh_token": _refresh,
    _JWT_BEARER: _jwt_bearer,
}
