"""HubSpot's HTTP face: every route, the scope it needs, and what surrounds a handler."""

import time
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.hubspot import (
    account,
    associations,
    catalog,
    exports,
    legacy,
    legacy_engagements,
    legacy_marketing,
    lists,
    logs,
    objects,
    users,
)
from sandbox.hubspot.call import Answer, Call, Handler
from sandbox.hubspot.gate import Gate
from sandbox.hubspot.refusals import NOT_FOUND_PAGE, Refusal, unreadable
from sandbox.hubspot.schema import object_type
from sandbox.hubspot.shapes import check_shape
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore

_OBJECTS = "/crm/v3/objects/{object}"
_PROPERTIES = "/crm/v3/properties/{object}"
_LINK = "/crm/v4/objects/{object}/{record_id}/associations/{to_object}"
_DEFAULT_LINK = "/crm/v4/objects/{object}/{record_id}/associations/default/{to_object}/{to_id}"
_PIPELINE = "/crm/v3/pipelines/{object}/{pipeline_id}"
_LINKS = "/crm/v4/associations/{object}/{to_object}"
_LINKS_3 = "/crm/v3/associations/{object}/{to_object}"
_LINK_3 = "/crm/v3/objects/{object}/{record_id}/associations"
_COMPANIES = "/companies/v2/companies"
_ENGAGEMENTS = "/engagements/v1/engagements"
_MAILINGS = "/email/public/v1"
_CONTACTS_READ = "crm.objects.contacts.read"

ROUTES: Final[tuple[tuple[str, str, Handler, str], ...]] = (
    (
        "POST",
        "/crm/v3/objects/contacts/merge",
        objects.merge_contacts,
        "crm.objects.contacts.write",
    ),
    (
        "POST",
        "/crm/v3/objects/contacts/gdpr-delete",
        objects.erase_contact,
        "crm.objects.contacts.write",
    ),
    ("POST", f"{_OBJECTS}/search", objects.search, "read"),
    ("POST", f"{_OBJECTS}/batch/read", objects.batch_read, "read"),
    ("POST", f"{_OBJECTS}/batch/update", objects.batch_update, "write"),
    ("POST", f"{_OBJECTS}/batch/create", objects.batch_create, "write"),
    ("POST", f"{_OBJECTS}/batch/upsert", objects.batch_upsert, "write"),
    ("POST", f"{_OBJECTS}/batch/archive", objects.batch_archive, "write"),
    ("GET", _OBJECTS, objects.list_records, "read"),
    ("POST", _OBJECTS, objects.create_record, "write"),
    ("GET", f"{_OBJECTS}/{{record_id}}", objects.read_record, "read"),
    ("PATCH", f"{_OBJECTS}/{{record_id}}", objects.update_record, "write"),
    ("DELETE", f"{_OBJECTS}/{{record_id}}", objects.archive_record, "write"),
    ("POST", f"{_LINKS}/batch/read", associations.batch_read, "read"),
    ("POST", f"{_LINKS}/batch/associate/default", associations.batch_associate, "write"),
    ("PUT", f"{_LINK}/{{to_id}}", associations.label, "write"),
    ("DELETE", f"{_LINK}/{{to_id}}", associations.unlink, "write"),
    ("PUT", _DEFAULT_LINK, associations.associate, "write"),
    ("POST", f"{_LINKS}/batch/create", associations.batch_create, "write"),
    ("POST", f"{_LINKS}/batch/archive", associations.batch_archive, "write"),
    ("GET", f"{_LINKS}/labels", associations.labels, "read"),
    ("GET", _LINK, associations.list_links, "read"),
    ("GET", _PROPERTIES, account.properties, "schemas"),
    ("POST", _PROPERTIES, account.create_property, "schemas"),
    ("POST", f"{_PROPERTIES}/batch/create", account.create_properties, "schemas"),
    ("POST", f"{_PROPERTIES}/batch/read", catalog.read_properties, "schemas"),
    ("POST", f"{_PROPERTIES}/batch/archive", catalog.archive_properties, "schemas"),
    ("GET", f"{_PROPERTIES}/groups", account.groups, "schemas"),
    ("GET", f"{_PROPERTIES}/groups/{{group}}", catalog.group, "schemas"),
    ("GET", f"{_PROPERTIES}/{{name}}", account.one_property, "schemas"),
    ("PATCH", f"{_PROPERTIES}/{{name}}", account.update_property, "schemas"),
    ("DELETE", f"{_PROPERTIES}/{{name}}", account.archive_property, "schemas"),
    ("GET", "/crm/v3/pipelines/{object}", account.pipelines, "read"),
    ("GET", _PIPELINE, account.pipeline, "read"),
    ("GET", f"{_PIPELINE}/stages", catalog.stages, "read"),
    ("GET", f"{_PIPELINE}/stages/{{stage_id}}", catalog.stage, "read"),
    ("GET", "/crm/v3/owners", account.owners, "crm.objects.owners.read"),
    ("GET", "/crm/v3/owners/{owner_id}", account.owner, "crm.objects.owners.read"),
    ("GET", "/crm/v3/lists", lists.all_lists, "crm.lists.read"),
    ("POST", "/crm/v3/lists/search", lists.search, "crm.lists.read"),
    ("GET", "/crm/v3/lists/object-type-id/{object}/name/{name}", lists.by_name, "crm.lists.read"),
    ("GET", "/crm/v3/lists/{list_id}", lists.one_list, "crm.lists.read"),
    ("GET", "/crm/v3/lists/{list_id}/memberships", lists.memberships, "crm.lists.read"),
    ("PUT", "/crm/v3/lists/{list_id}/memberships/add", lists.add_members, "crm.lists.write"),
    ("PUT", "/crm/v3/lists/{list_id}/memberships/remove", lists.remove_members, "crm.lists.write"),
    ("POST", "/crm/v3/exports/export/async", exports.start, "crm.export"),
    ("GET", "/crm/v3/exports/export/async/tasks/{task_id}/status", exports.state, "crm.export"),
    ("GET", "/account-info/v3/details", account.details, "oauth"),
    ("GET", "/account-info/v3/api-usage/daily/private-apps", account.usage, "oauth"),
    ("GET", "/marketing/v3/forms", logs.forms, "forms"),
    ("GET", "/marketing/v3/forms/{form_id}", logs.form, "forms"),
    ("GET", "/marketing/v3/emails", legacy_marketing.mails_today, "content"),
    ("GET", "/form-integrations/v1/submissions/forms/{form_id}", logs.submissions, "forms"),
    ("GET", "/email/public/v1/events", logs.email_events, "content"),
    ("GET", "/email/public/v1/events/{created}/{id}", logs.email_event, "content"),
    ("GET", "/crm/v3/schemas", users.schemas, "crm.schemas.custom.read"),
    ("GET", "/crm/v3/schemas/{object}", users.schema, "schemas"),
    ("GET", "/crm-object-schemas/v3/schemas", users.schemas, "crm.schemas.custom.read"),
    ("GET", "/crm-object-schemas/v3/schemas/{object}", users.schema, "schemas"),
    ("GET", "/crm/v4/objects/{object}", objects.list_records, "read"),
    ("POST", f"{_LINKS_3}/batch/read", associations.batch_read_3, "read"),
    ("GET", f"{_LINK_3}/{{to_object}}", associations.list_links_3, "read"),
    ("GET", "/properties/{version}/{object}/properties", legacy.properties, "schemas"),
    ("GET", "/companies/v2/properties", legacy.properties, "crm.schemas.companies.read"),
    ("GET", f"{_COMPANIES}/paged", legacy.companies, "crm.objects.companies.read"),
    ("GET", f"{_COMPANIES}/recent/modified", legacy.recent_companies, "crm.objects.companies.read"),
    ("GET", f"{_COMPANIES}/{{record_id}}", legacy.company, "crm.objects.companies.read"),
    ("GET", "/deals/v1/deal/paged", legacy.deals, "crm.objects.deals.read"),
    ("GET", "/deals/v1/deal/recent/modified", legacy.recent_deals, "crm.objects.deals.read"),
    ("GET", "/deals/v1/deal/{record_id}", legacy.deal, "crm.objects.deals.read"),
    ("GET", "/deals/v1/pipelines", legacy.deal_pipelines, "crm.schemas.deals.read"),
    ("GET", "/crm-pipelines/v1/pipelines/{object}", legacy.pipelines, "read"),
    ("GET", f"{_ENGAGEMENTS}/paged", legacy_engagements.everything, _CONTACTS_READ),
    ("GET", f"{_ENGAGEMENTS}/recent/modified", legacy_engagements.recent, _CONTACTS_READ),
    ("GET", f"{_ENGAGEMENTS}/modified/after", legacy_engagements.modified_after, _CONTACTS_READ),
    ("GET", f"{_ENGAGEMENTS}/{{record_id}}", legacy_engagements.one, _CONTACTS_READ),
    ("GET", f"{_MAILINGS}/campaigns", legacy_marketing.campaigns, "content"),
    ("GET", f"{_MAILINGS}/campaigns/by-id", legacy_marketing.campaigns, "content"),
    ("GET", f"{_MAILINGS}/campaigns/{{campaign_id}}", legacy_marketing.campaign, "content"),
    ("GET", f"{_MAILINGS}/subscriptions", legacy_marketing.subscriptions, "content"),
    ("GET", f"{_MAILINGS}/subscriptions/timeline", legacy_marketing.timeline, "content"),
    ("GET", "/marketing-emails/v1/emails", legacy_marketing.mails, "content"),
    ("GET", "/marketing-emails/v1/emails/with-statistics", legacy_marketing.mails, "content"),
    ("GET", "/forms/v2/forms", legacy_marketing.forms, "forms"),
    ("GET", "/automation/v3/workflows", legacy_marketing.workflows, "automation"),
    ("GET", "/settings/v3/users", users.users, "settings.users.read"),
    ("GET", "/settings/v3/users/roles", users.roles, "settings.users.read"),
    ("GET", "/settings/v3/users/teams", users.teams, "settings.users.teams.read"),
    ("GET", "/settings/v3/users/{user_id}", users.user, "settings.users.read"),
    ("GET", "/events/v3/events", logs.events, "business-intelligence"),
    ("GET", "/events/v3/events/event-types", logs.event_types, "business-intelligence"),
)
"""Method, path, handler, scope; "read", "write" and "schemas" mean the object's own scope.
"""

_SCOPES: Final = {scope for _, _, _, scope in ROUTES} - {"read", "write", "schemas"} | {
    f"crm.{area}.{name}.{deed}"
    for name in ("contacts", "companies", "deals")
    for area, deed in (("objects", "read"), ("objects", "write"), ("schemas", "read"))
}

SETTINGS: Final = frozenset(
    (
        "daily_limit",
        "daily_used",
        "denied_scopes",
        "echo_ignored_stage",
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
    """Make an account that holds `contents` at `now`, and the routes that serve it."""
    store = HubSpotStore(now=now, access_token=access_token, rate_limits=rate_limits)
    store.take(contents)
    gate = Gate(store, client_id=client_id, client_secret=client_secret)
    routes: list[BaseRoute] = [_route(gate, *row) for row in ROUTES]
    routes.append(Route("/oauth/{version}/token", _token_endpoint(gate), methods=["POST"]))
    routes.append(Route("/oauth/v1/access-tokens/{token}", _token_information(gate)))
    routes.append(Route(exports.PATH, _exported(store)))
    routes.append(Route("/_sandbox/hubspot", _settings_endpoint(store), methods=["POST"]))
    return routes, store


def _route(gate: Gate, method: str, path: str, handler: Handler, scope: str) -> Route:
    """Surround a handler with what every call meets: login, limits, scope, JSON in and out."""
    searching = path.endswith("/search")

    async def endpoint(request: Request) -> Response:
        oauth = False
        counted = False
        try:
            oauth = gate.authorise(request.headers.get("authorization", ""))
            counted = True
            gate.count(oauth=oauth, searching=searching)
            call = await _call(request)
            check_shape(method, path, call.body)
            gate.check_scope(_scope(scope, call))
            answer = handler(gate.store, call)
        except Refusal as refused:
            # a 401 and a missing scope are answered in front of the limits, without their headers
            counted = counted and refused.status != 403
            answer = Answer(refused.body, refused.status)
        headers = gate.headers(oauth=oauth, searching=searching) if counted else {}
        return _response(answer, headers)

    return Route(path, endpoint, methods=[method])


async def _call(request: Request) -> Call:
    raw = await request.body()
    try:
        body = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        raise unreadable(error.msg, line=error.lineno, column=error.colno) from None
    if not isinstance(body, dict if request.method != "PUT" else (dict, list)):
        raise unreadable("Cannot deserialize value: an object is expected")
    return Call(
        path=request.scope.get("original_path", request.url.path),
        parameters=request.path_params,
        query=request.query_params,
        body=body,
        host=str(request.base_url).rstrip("/"),
    )


def _scope(scope: str, call: Call) -> str:
    """Name the scope of a call: engagement needs the contacts' scope, e-mails their own."""
    if scope not in ("read", "write", "schemas"):
        return scope
    name = object_type(call.parameters["object"]).name
    if name == "emails" and scope == "read":
        return "sales-email-read"
    owner = name if name in ("companies", "deals") else "contacts"
    return f"crm.schemas.{owner}.read" if scope == "schemas" else f"crm.objects.{owner}.{scope}"


def _response(answer: Answer, headers: dict[str, str]) -> Response:
    headers = {**headers, **answer.headers, "X-HubSpot-Correlation-Id": str(uuid4())}
    if isinstance(answer.body, str):
        html = answer.body.encode("latin-1")
        return Response(html, answer.status, headers, media_type="text/html;charset=iso-8859-1")
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    body = orjson.dumps(answer.body)
    return Response(body, answer.status, headers, media_type="application/json;charset=utf-8")


def _token_endpoint(gate: Gate) -> Any:
    async def endpoint(request: Request) -> Response:
        form = {
            key: values[-1] for key, values in parse_qs((await request.body()).decode()).items()
        }
        try:
            return _response(Answer(gate.exchange(form)), {})
        except Refusal as refused:
            return _response(Answer(refused.body, refused.status), {})

    return endpoint


def _token_information(gate: Gate) -> Any:
    async def endpoint(request: Request) -> Response:
        token = request.path_params["token"]
        try:
            oauth = gate.authorise(f"Bearer {token}")
        except Refusal as refused:
            return _response(Answer(refused.body, refused.status), {})
        ends = gate.store.oauth_tokens[token] if oauth else time.time() + 1800
        told = {
            "token": token,
            "token_type": "access",
            "user": "admin@onefunnel.example",
            "user_id": 4_800_000,
            "hub_id": PORTAL_ID,
            "hub_domain": "onefunnel.example",
            "app_id": 19_083_857,
            "scopes": sorted(_SCOPES - gate.store.denied_scopes),
            "expires_in": int(ends - time.time()),
        }
        return _response(Answer(told), {})

    return endpoint


async def nowhere(_request: Request) -> Response:
    """Answer a path that is none: a page, not JSON."""
    return _response(Answer(NOT_FOUND_PAGE, 404), {})


def _exported(store: HubSpotStore) -> Any:
    async def endpoint(request: Request) -> Response:
        text = exports.file(store, request.path_params["task_id"])
        if text is None:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="text/xml")
        return Response(text, media_type="text/csv")

    return endpoint


def _settings_endpoint(store: HubSpotStore) -> Any:
    """Let a test outside this process turn what a test inside sets on the store."""

    async def endpoint(request: Request) -> Response:
        settings = orjson.loads(await request.body())
        unknown = settings.keys() - SETTINGS
        if unknown:
            return _response(Answer({"message": f"unknown: {', '.join(sorted(unknown))}"}, 400), {})
        for name, value in settings.items():
            if name == "expire_tokens":
                store.expire_tokens()
            else:
                setattr(store, name, set(value) if name == "denied_scopes" else value)
        return _response(Answer({"settings": sorted(settings)}), {})

    return endpoint
