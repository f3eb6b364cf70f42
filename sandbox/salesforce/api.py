"""Salesforce's routes: session, version and quota around each handler."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from sandbox.salesforce import (
    admin_api,
    auth,
    bulk_ingest,
    bulk_query,
    bulk_v1,
    composite,
    custom_fields,
    limits,
    query,
    search,
    soap,
    sobject_collections,
    sobject_tree,
    sobjects,
    tooling,
    userinfo,
)
from sandbox.salesforce.errors import (
    ApiError,
    limit_exceeded,
    not_found,
    session_expired,
    unreadable_json,
)
from sandbox.salesforce.limits import DAILY_LIMIT, NEWEST_VERSION, OLDEST_VERSION
from sandbox.salesforce.request import ApiRequest, ApiResponse, Handler
from sandbox.salesforce.rows import Tables
from sandbox.salesforce.store import Credentials, SalesforceStore
from sandbox.salesforce.values import InvalidValue

_LONGEST_QUERY_STRING = 16 * 1024
_ROOT = "/services/data/v{version}"
_ASYNC_ROOT = "/services/async/{version}"

_WITHOUT_SESSION: dict[str, dict[str, Handler]] = {
    "/services/oauth2/token": {"POST": auth.token},
    "/services/oauth2/revoke": {"POST": auth.revoke},
    "/services/oauth2/userinfo": {"GET": auth.userinfo, "POST": auth.userinfo},
    "/services/oauth2/introspect": {"POST": userinfo.introspect},
    "/id/{organization}/{user}": {"GET": userinfo.identity, "POST": userinfo.identity},
    "/services/data": {"GET": limits.versions},
    "/services/Soap/u/{version}": {"POST": soap.login},
    "/services/Soap/u/{version}/{organization}": {"POST": soap.login},
    "/_sandbox/salesforce/locks": {"POST": admin_api.locks},
    "/_sandbox/salesforce/revoke": {"POST": admin_api.revoke},
    "/_sandbox/salesforce/rotation": {"POST": admin_api.rotation},
    "/_sandbox/salesforce/quota": {"POST": admin_api.quota},
    "/_sandbox/salesforce/hide": {"POST": admin_api.hide},
    "/_sandbox/salesforce/merge": {"POST": admin_api.merge},
    "/_sandbox/salesforce/rules": {"POST": admin_api.rules},
}

_RESOURCES: dict[str, dict[str, Handler]] = {
    "": {"GET": limits.resources},
    "/limits": {"GET": limits.limits},
    "/limits/recordCount": {"GET": limits.record_count},
    "/query": {"GET": query.query},
    "/queryAll": {"GET": query.query_all},
    "/query/{locator}": {"GET": query.next_page},
    "/queryAll/{locator}": {"GET": query.next_page},
    "/sobjects": {"GET": sobjects.all_objects},
    "/sobjects/{object}": {"GET": sobjects.one_object, "POST": sobjects.create},
    "/sobjects/{object}/describe": {"GET": sobjects.describe_object},
    "/sobjects/{object}/updated": {"GET": sobjects.updated},
    "/sobjects/{object}/deleted": {"GET": sobjects.deleted},
    "/sobjects/{object}/{id}": {
        "GET": sobjects.read,
        "PATCH": sobjects.change,
        "DELETE": sobjects.remove,
    },
    "/sobjects/{object}/{field}/{value}": {
        "GET": sobjects.read_by_external_id,
        "PATCH": sobjects.upsert,
        "DELETE": sobjects.delete_by_external_id,
    },
    "/search": {"GET": search.search},
    "/parameterizedSearch": {"GET": search.parameterized, "POST": search.parameterized},
    "/recent": {"GET": search.recent},
    "/tooling": {"GET": tooling.resources},
    "/tooling/query": {"GET": query.tooling_query},
    "/tooling/query/{locator}": {"GET": query.next_page},
    "/tooling/sobjects": {"GET": tooling.objects},
    "/tooling/sobjects/{object}/describe": {"GET": tooling.described},
    "/tooling/sobjects/{object}": {"POST": custom_fields.create},
    "/tooling/sobjects/CustomField/{id}": {
        "GET": custom_fields.read,
        "PATCH": custom_fields.change,
    },
    "/composite": {"POST": composite.composite},
    "/composite/batch": {"POST": composite.batch},
    "/composite/sobjects": {
        "POST": sobject_collections.create,
        "PATCH": sobject_collections.change,
        "DELETE": sobject_collections.remove,
    },
    "/composite/sobjects/{object}": {
        "GET": sobject_collections.read,
        "POST": sobject_collections.read,
    },
    "/composite/sobjects/{object}/{field}": {"PATCH": sobject_collections.upsert},
    "/composite/graph": {"POST": composite.graph},
    "/composite/tree/{object}": {"POST": sobject_tree.create},
    "/jobs/query": {"GET": bulk_query.listed, "POST": bulk_query.create},
    "/jobs/query/{job}": {
        "GET": bulk_query.state,
        "PATCH": bulk_query.abort,
        "DELETE": bulk_query.remove,
    },
    "/jobs/query/{job}/results": {"GET": bulk_query.results},
    "/jobs/query/{job}/resultPages": {"GET": bulk_query.result_pages},
    "/jobs/ingest": {"GET": bulk_ingest.listed, "POST": bulk_ingest.create},
    "/jobs/ingest/{job}": {
        "GET": bulk_ingest.state,
        "PATCH": bulk_ingest.close,
        "DELETE": bulk_ingest.remove,
    },
    "/jobs/ingest/{job}/batches": {"PUT": bulk_ingest.upload},
    "/jobs/ingest/{job}/successfulResults": {"GET": bulk_ingest.successful},
    "/jobs/ingest/{job}/failedResults": {"GET": bulk_ingest.failed},
    "/jobs/ingest/{job}/unprocessedrecords": {"GET": bulk_ingest.unprocessed},
}


def salesforce(
    tables: Tables,
    *,
    access_token: str,
    client_id: str,
    client_secret: str,
    rate_limits: bool = True,
) -> tuple[list[BaseRoute], SalesforceStore]:
    """Create an org with these rows: its routes, and its store.

    `access_token` is the first session; the token endpoint opens others.
    """
    credentials = Credentials(client_id, client_secret)
    credentials.tokens.add(access_token)
    credentials.new_refresh_token()
    store = SalesforceStore(
        tables,
        credentials,
        daily_limit=DAILY_LIMIT if rate_limits else None,
    )
    return _routes(store), store


def _routes(store: SalesforceStore) -> list[BaseRoute]:
    routes: list[BaseRoute] = []
    send = partial(_send, routes, store)
    for path, methods in _WITHOUT_SESSION.items():
        routes += _variants(path, _Resource(store, methods, _dispatch, send))
    for path, methods in _RESOURCES.items():
        routes += _variants(_ROOT + path, _Resource(store, methods, _authenticated, send))
    for path, methods in bulk_v1.ROUTES.items():
        routes += _variants(_ASYNC_ROOT + path, _Resource(store, methods, _async, send))
    routes.append(_route("/services/{rest:path}", _Resource(store, {}, _dispatch, send)))
    return routes


_Rule = Callable[[ApiRequest, Mapping[str, Handler]], ApiResponse]
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class _Resource:
    """One path as an ASGI application."""

    store: SalesforceStore
    methods: Mapping[str, Handler]
    rule: _Rule
    send: Callable[[str, str, Any], ApiResponse]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http_request = Request(scope, receive)
        request = ApiRequest(
            store=self.store,
            method=_method(http_request),
            path=http_request.path_params,
            query=http_request.query_params,
            headers=http_request.headers,
            body=await http_request.body(),
            origin=f"{http_request.url.scheme}://{http_request.url.netloc}",
            send=self.send,
        )
        response = self.rule(request, self.methods)
        body = response.encoded()
        media = response.media if body else None
        http_response = Response(body, response.status, dict(response.headers), media_type=media)
        await http_response(scope, receive, send)


def _method(request: Request) -> str:
    """Return the method; `_HttpMethod` in the query of a POST overrides it."""
    if request.method == "POST":
        return request.query_params.get("_HttpMethod", "POST").upper()
    return request.method


def _variants(path: str, resource: _Resource) -> list[Route]:
    """Serve a path with and without a slash at its end: clients use both."""
    return [_route(path, resource), _route(f"{path}/", resource)]


def _route(path: str, resource: _Resource) -> Route:
    squeeze = Middleware(GZipMiddleware, minimum_size=1000, compresslevel=1)
    return Route(path, resource, methods=_METHODS, middleware=[squeeze])


def _authenticated(request: ApiRequest, methods: Mapping[str, Handler]) -> ApiResponse:
    """Check session, version and quota, count the call, and run the handler."""
    if auth.bearer(request.headers) not in request.store.credentials.tokens:
        return _error_response(session_expired(), {"WWW-Authenticate": "Token"})
    if len(str(request.query)) > _LONGEST_QUERY_STRING:
        return ApiResponse("<h1>Bad Message 414</h1>", 414, media="text/html")
    try:
        _check_version(request)
        _count(request.store)
    except ApiError as error:
        return _error_response(error, {})
    request.store.allows_duplicates = (
        "allowsave=true"
        in request.headers.get("sforce-duplicate-rule-header", "").replace(" ", "").lower()
    )
    response = _dispatch(request, methods)
    used = {"Sforce-Limit-Info": _usage_header(request.store)}
    return ApiResponse(response.body, response.status, {**response.headers, **used}, response.media)


def _async(request: ApiRequest, methods: Mapping[str, Handler]) -> ApiResponse:
    """Handle a call of Bulk API 1.0, which has its own session header and errors."""
    credentials, session_id = request.store.credentials, request.headers.get("x-sfdc-session", "")
    try:
        if session_id not in credentials.tokens:
            raise ApiError("InvalidSessionId", "Invalid session id")
        _check_version(request)
        _count(request.store)
        handler = methods.get(request.method)
        if handler is None:
            raise _no_method(request, methods)
        return handler(request)
    except ApiError as refused:
        return bulk_v1.error_response(request, refused)


def _check_version(request: ApiRequest) -> None:
    whole, _, part = request.version.partition(".")
    is_known = whole.isdecimal() and part == "0" and int(whole) <= NEWEST_VERSION
    is_retired = is_known and int(whole) < OLDEST_VERSION
    if "job" in request.path and (is_retired or not is_known):
        raise ApiError("InvalidVersion", f"Invalid API version {request.version}")
    if not is_known:
        raise not_found()
    if is_retired:
        message = "The requested Salesforce API version is retired"
        raise ApiError("UNSUPPORTED_API_VERSION", message, status=410)


def _count(store: SalesforceStore) -> None:
    if store.daily_limit is not None and store.calls_used >= store.daily_limit:
        raise limit_exceeded()
    store.calls_used += 1


def _usage_header(store: SalesforceStore) -> str:
    return f"api-usage={store.calls_used}/{store.daily_limit or DAILY_LIMIT}"


def _dispatch(request: ApiRequest, methods: Mapping[str, Handler]) -> ApiResponse:
    handler = methods.get(request.method)
    try:
        if handler is None:
            raise _no_method(request, methods)
        return handler(request)
    except ApiError as error:
        return _error_response(error, {})
    except InvalidValue as error:
        return _error_response(unreadable_json(f"Cannot deserialize: {error}"), {})


def _no_method(request: ApiRequest, methods: Mapping[str, Handler]) -> ApiError:
    if not methods:
        return not_found()
    allowed = ",".join(methods)
    message = f"HTTP Method '{request.method}' not allowed. Allowed are {allowed}"
    return ApiError("METHOD_NOT_ALLOWED", message, status=405)


def _error_response(error: ApiError, headers: Mapping[str, str]) -> ApiResponse:
    return ApiResponse([error.as_rest()], error.status, headers)


def _send(
    routes: list[BaseRoute], store: SalesforceStore, method: str, url: str, body: Any
) -> ApiResponse:
    """Execute a subrequest; only the outer request is authenticated and counted."""
    parts = urlsplit(url)
    scope = {"type": "http", "method": method.upper(), "path": parts.path, "root_path": ""}
    for route in routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            request = ApiRequest(
                store=store,
                method=method.upper(),
                path=found["path_params"],
                query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                headers={},
                body=b"" if body is None else orjson.dumps(body),
                origin="",
                send=partial(_send, routes, store),
            )
            return _dispatch(request, found["endpoint"].methods)
    return _error_response(not_found(), {})
