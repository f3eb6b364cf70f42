"""The owner of a token (`/id/...`), and the introspection of a token."""

from typing import Any
from urllib.parse import parse_qsl

from sandbox.salesforce.auth import bearer
from sandbox.salesforce.records import ORGANIZATION
from sandbox.salesforce.request import ApiRequest, ApiResponse

_RESOURCES = {
    "enterprise": "/services/Soap/c/{version}/" + ORGANIZATION,
    "metadata": "/services/Soap/m/{version}/" + ORGANIZATION,
    "partner": "/services/Soap/u/{version}/" + ORGANIZATION,
    "rest": "/services/data/v{version}/",
    "sobjects": "/services/data/v{version}/sobjects/",
    "search": "/services/data/v{version}/search/",
    "query": "/services/data/v{version}/query/",
    "recent": "/services/data/v{version}/recent/",
    "tooling_soap": "/services/Soap/T/{version}/" + ORGANIZATION,
    "tooling_rest": "/services/data/v{version}/tooling/",
}


def identity(request: ApiRequest) -> ApiResponse:
    """Describe the user of the token; other ids are unknown."""
    if bearer(request.headers) not in request.store.credentials.tokens:
        return ApiResponse("Bad_OAuth_Token", status=403, media="text/plain")
    user = request.store.tables["User"][request.store.user_id]
    if request.path["organization"][:15] != ORGANIZATION[:15]:
        return ApiResponse("Bad_Id", status=403, media="text/plain")
    if request.path["user"][:15] != user["Id"][:15]:
        return ApiResponse("Bad_Id", status=403, media="text/plain")
    urls = {name: request.origin + path for name, path in _RESOURCES.items()}
    urls["profile"] = f"{request.origin}/{user['Id']}"
    description: dict[str, Any] = {
        "id": f"https://login.salesforce.com/id/{ORGANIZATION}/{user['Id']}",
        "asserted_user": True,
        "user_id": user["Id"],
        "organization_id": ORGANIZATION,
        "username": user["Username"],
        "nick_name": user["Username"].partition("@")[0],
        "display_name": user["Name"],
        "email": user["Email"],
        "email_verified": True,
        "first_name": user.get("FirstName"),
        "last_name": user.get("LastName"),
        "timezone": "Europe/Berlin",
        "photos": {},
        "addr_street": None,
        "addr_city": None,
        "addr_state": None,
        "addr_country": None,
        "addr_zip": None,
        "mobile_phone": None,
        "mobile_phone_verified": False,
        "is_lightning_login_user": False,
        "status": {"created_date": None, "body": None},
        "urls": urls,
        "active": True,
        "user_type": "STANDARD",
        "language": "en_US",
        "locale": "en_US",
        "utcOffset": 3_600_000,
        "last_modified_date": user["LastModifiedDate"],
    }
    return ApiResponse(description)


def introspect(request: ApiRequest) -> ApiResponse:
    """Return whether a token is valid; the call needs the client secret."""
    form, credentials = dict(parse_qsl(request.body.decode())), request.store.credentials
    if (form.get("client_id"), form.get("client_secret")) != (
        credentials.client_id,
        credentials.client_secret,
    ):
        error = {"error": "invalid_client", "error_description": "invalid client credentials"}
        return ApiResponse(error, status=401)
    if form.get("token") not in credentials.tokens:
        return ApiResponse({"active": False})
    now = int(request.store.clock().timestamp())
    description = {
        "active": True,
        "scope": "api refresh_token",
        "client_id": credentials.client_id,
        "username": credentials.username,
        "sub": f"https://login.salesforce.com/id/{ORGANIZATION}/{request.store.user_id}",
        "token_type": "access_token",
        "exp": now + 7200,
        "iat": now,
        "nbf": now,
    }
    return ApiResponse(description)
