"""HubSpot's routes: login, limits, scopes and JSON around each handler."""

import time
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.hubspot import exports
from sandbox.hubspot.auth_limits import AccessControl, LimitName
from sandbox.hubspot.errors import NOT_FOUND_PAGE, ApiError, invalid_json
from sandbox.hubspot.request import ApiRequest, ApiResponse, Handler
from sandbox.hubspot.request_schemas import validate_body
from sandbox.hubspot.routes import ROUTES
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore
from sandbox.hubspot.versions import has_dated_path, numbered_path, version_of

_OF_THE_OBJECT: Final = frozenset(("read", "write", "schemas", "schemas-write"))
_SCOPES: Final = {scope for _, _, _, scope in ROUTES} - _OF_THE_OBJECT | {
    f"crm.{area}.{name}.{deed}"
    for name in ("contacts", "companies", "custom", "deals")
    for area in ("objects", "schemas")
    for deed in ("read", "write")
}

SETTINGS: Final = frozenset(
    (
        "conditional_rules",
        "daily_limit",
        "daily_used",
        "denied_scopes",
        "echo_ignored_stage",
        "ended_versions",
        "expire_tokens",
        "index_lag_seconds",
        "rate_limits",
        "skew_seconds",
        "token_seconds",
    )
)


def hubspot(
    contents: tuple[Any, ...],
    *,
    now: datetime,
    access_token: str,
    client_id: str = "",
    client_secret: str = "",
    rate_limits: bool = True,
) -> tuple[list[BaseRoute], HubSpotStore]:
    """Create an account with `contents` at `now`, and the routes that serve it."""
    store = HubSpotStore(now=now, access_token=access_token, rate_limits=rate_limits)
    store.load_contents(contents)
    access = AccessControl(store, client_id=client_id, client_secret=client_secret)
    routes: list[BaseRoute] = [_route(access, *row) for row in ROUTES]
    routes.append(Route("/oauth/{version}/token", _token_endpoint(access), methods=["POST"]))
    routes.append(Route("/oauth/v1/access-tokens/{token}", _token_information(access)))
    routes.append(Route(exports.PATH, _export_file(store)))
    routes.append(Route("/_sandbox/hubspot", _settings_endpoint(store), methods=["POST"]))
    return routes, store


def _route(access: AccessControl, method: str, path: str, handler: Handler, scope: str) -> Route:
    """Wrap a handler with login, rate limits, scope check, and JSON in and out."""
    limit: LimitName = "associations" if "/associations/" in path else "general"
    limit = "search" if path.endswith("/search") else limit

    async def endpoint(http_request: Request) -> Response:
        oauth = False
        counted = False
        try:
            oauth = access.authenticate(http_request.headers.get("authorization", ""))
            counted = True
            access.count_call(oauth=oauth, limit=limit)
            _require_supported(access.store, http_request)
            request = await _parse_request(http_request)
            validate_body(method, path, request.body)
            access.check_scope(_scope(access.store, scope, request))
            response = handler(access.store, request)
        except ApiError as refused:
            # HubSpot checks token and scope before the limits: no limit headers on 401 and 403
            counted = counted and refused.status != 403
            response = ApiResponse(refused.body, refused.status)
        headers = access.rate_limit_headers(oauth=oauth, limit=limit) if counted else {}
        return _response(response, headers)

    return Route(path, endpoint, methods=[method])


def _require_supported(store: HubSpotStore, request: Request) -> None:
    """Raise for a version that was switched off, where the resource has a dated path."""
    path = request.scope.get("original_path", request.url.path)
    status = store.ended_versions.get(version_of(path))
    if status and (numbered_path(path) != path or has_dated_path(path)):
        raise ApiError(status, NOT_FOUND_PAGE)


async def _parse_request(request: Request) -> ApiRequest:
    raw = await request.body()
    try:
        body = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        raise invalid_json(error.msg, line=error.lineno, column=error.colno) from None
    if not isinstance(body, (dict, list)):
        raise invalid_json("Cannot deserialize value: an object is expected")
    return ApiRequest(
        path=request.scope.get("original_path", request.url.path),
        parameters=request.path_params,
        query=request.query_params,
        body=body,
        host=str(request.base_url).rstrip("/"),
    )


def _scope(store: HubSpotStore, scope: str, request: ApiRequest) -> str:
    """Return the scope of a call: engagements need the scope of contacts, e-mails their own."""
    if scope not in _OF_THE_OBJECT:
        return scope
    name = store.object_type(request.parameters["object"]).name
    if name == "emails" and scope == "read":
        return "sales-email-read"
    owner = name if name in ("companies", "deals") else "contacts"
    owner = "custom" if name in store.schemas else owner
    if scope.startswith("schemas"):
        return f"crm.schemas.{owner}.{'write' if scope == 'schemas-write' else 'read'}"
    return f"crm.objects.{owner}.{scope}"


def _response(response: ApiResponse, headers: dict[str, str]) -> Response:
    headers = {**headers, **response.headers, "X-HubSpot-Correlation-Id": str(uuid4())}
    if response.status == 404:
        headers["X-HubSpot-NotFound"] = "true"
    if isinstance(response.body, str):
        html = response.body.encode("latin-1")  # the headers may have another media type
        return Response(html, response.status, headers, media_type="text/html;charset=iso-8859-1")
    if response.body is None:
        return Response(status_code=response.status, headers=headers)
    body = orjson.dumps(response.body)
    return Response(body, response.status, headers, media_type="application/json;charset=utf-8")


def _token_endpoint(access: AccessControl) -> Any:
    async def endpoint(request: Request) -> Response:
        form = {
            key: values[-1] for key, values in parse_qs((await request.body()).decode()).items()
        }
        try:
            return _response(ApiResponse(access.refresh_access_token(form)), {})
        except ApiError as refused:
            return _response(ApiResponse(refused.body, refused.status), {})

    return endpoint


def _token_information(access: AccessControl) -> Any:
    async def endpoint(request: Request) -> Response:
        token = request.path_params["token"]
        try:
            oauth = access.authenticate(f"Bearer {token}")
        except ApiError as refused:
            return _response(ApiResponse(refused.body, refused.status), {})
        ends = access.store.oauth_tokens[token] if oauth else time.time() + 1800
        result = {
            "token": token,
            "token_type": "access",
            "user": "admin@onefunnel.example",
            "user_id": 4_800_000,
            "hub_id": PORTAL_ID,
            "hub_domain": "onefunnel.example",
            "app_id": 19_083_857,
            "scopes": sorted(_SCOPES - access.store.denied_scopes),
            "expires_in": int(ends - time.time()),
        }
        return _response(ApiResponse(result), {})

    return endpoint


async def not_found_page(_request: Request) -> Response:
    """Return 404 for an unknown path: an HTML page, not JSON."""
    return _response(ApiResponse(NOT_FOUND_PAGE, 404), {})


def _export_file(store: HubSpotStore) -> Any:
    async def endpoint(request: Request) -> Response:
        text = exports.file(store, request.path_params["task_id"])
        if text is None:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="text/xml")
        return Response(text, media_type="text/csv")

    return endpoint


def _settings_endpoint(store: HubSpotStore) -> Any:
    """Set attributes of the store from another process."""

    async def endpoint(request: Request) -> Response:
        settings = orjson.loads(await request.body())
        unknown = settings.keys() - SETTINGS
        if unknown:
            return _response(
                ApiResponse({"message": f"unknown: {', '.join(sorted(unknown))}"}, 400), {}
            )
        for name, value in settings.items():
            if name == "expire_tokens":
                store.expire_tokens()
            else:
                setattr(store, name, set(value) if name == "denied_scopes" else value)
        return _response(ApiResponse({"settings": sorted(settings)}), {})

    return endpoint
