"""Endpoints of the account: details and usage, owners, properties, pipelines."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sandbox.hubspot.errors import api_error, invalid
from sandbox.hubspot.request import ApiRequest, ApiResponse
from sandbox.hubspot.schema import (
    CONTACTS,
    DEAL_STAGES,
    LIFECYCLE_PIPELINE,
    MADE_AT,
    Option,
    Property,
)
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, ObjectTable
from sandbox.hubspot.values import iso, milliseconds

_TYPES: Final = ("string", "number", "date", "datetime", "enumeration", "bool", "phone_number")


def details(store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Describe the account; its daily limit resets at midnight of its time zone."""
    return ApiResponse(
        {
            "portalId": PORTAL_ID,
            "accountType": "DEVELOPER_TEST",
            "timeZone": store.time_zone,
            "companyCurrency": "EUR",
            "additionalCurrencies": [],
            "utcOffset": "+01:00",
            "utcOffsetMilliseconds": 3_600_000,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "eu1",
        }
    )


def usage(store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return the number of calls of today."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return ApiResponse(
        {
            "results": [
                {
                    "name": "private-apps-api-calls-daily",
                    "usageLimit": store.daily_limit,
                    "currentUsage": store.daily_used,
                    "collectedAt": iso(milliseconds(now)),
                    "fetchStatus": "SUCCESS",
                    "resetsAt": iso(milliseconds(midnight)),
                }
            ]
        }
    )


def owners(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the owners; none is archived, and `after` is opaque."""
    if request.flag("archived"):
        return ApiResponse({"results": []})
    limit = request.limit(100, 500)
    after = request.query.get("after")
    start = next((at for at, one in enumerate(store.owners) if _owner_cursor(one) == after), 0)
    chosen = [
        owner
        for owner in store.owners[start:]
        if request.query.get("email") in (None, owner["email"])
    ]
    response: dict[str, Any] = {"results": chosen[:limit]}
    if len(chosen) > limit:
        response["paging"] = request.next_page(_owner_cursor(chosen[limit]))
    return ApiResponse(response)


def owner(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one owner."""
    for one in store.owners:
        if one["id"] == request.parameters["owner_id"]:
            return ApiResponse(one)
    raise api_error(404, "resource not found", "OBJECT_NOT_FOUND")


def properties(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return all property definitions of an object type, in one page."""
    table = _table(store, request)
    archived = request.flag("archived")
    chosen = table.archived_properties if archived else table.properties
    return ApiResponse({"results": [definition.as_json() for definition in chosen.values()]})


def one_property(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one property definition."""
    return ApiResponse(definition(store, request).as_json())


def definition(store: HubSpotStore, request: ApiRequest) -> Property:
    """Find the property of a path."""
    return _definition(_table(store, request), request.parameters["name"])


def create_property(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Add a property."""
    table = _table(store, request)
    name = request.body.get("name")
    if name in table.properties:
        raise api_error(409, *_exists(name))
    _require_group(store, request, request.body)
    return ApiResponse(_add_property(table, request.body).as_json(), 201)


def create_properties(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Add several properties; each one that exists already is an error entry."""
    table = _table(store, request)
    results = []
    errors: list[dict[str, Any]] = []
    for each in request.inputs(100):
        if each.get("name") in table.properties:
            message, category = _exists(each["name"])
            sub_category = "Properties.PROPERTY_WITH_NAME_EXISTS"
            errors.append(
                {
                    "status": "error",
                    "category": category,
                    "subCategory": sub_category,
                    "message": message,
                    "context": {"name": [each["name"]]},
                }
            )
        else:
            _require_group(store, request, each)
            results.append(_add_property(table, each).as_json())
    now = iso(store.now_ms())
    body: dict[str, Any] = {
        "status": "COMPLETE",
        "results": results,
        "startedAt": now,
        "completedAt": now,
    }
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return ApiResponse(body, 207 if errors else 201)


def update_property(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change a property's label or options."""
    table = _table(store, request)
    old = _definition(table, request.parameters["name"])
    changed = property_of(old.as_json() | request.body | {"name": old.name}, custom=old.custom)
    table.properties[old.name] = changed
    return ApiResponse(changed.as_json())


def archive_property(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Archive a property; reads and writes no longer find it."""
    table = _table(store, request)
    definition = _definition(table, request.parameters["name"])
    if not definition.custom:
        raise invalid(f"{definition.name} is defined by HubSpot and can't be archived")
    table.archived_properties[definition.name] = table.properties.pop(definition.name)
    return ApiResponse(status=204)


def groups(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the property groups of an object type: used ones and created ones."""
    table = store.table(request.parameters["object"])
    used = dict.fromkeys(each.group for each in table.properties.values())
    groups_by_name = {name: _group(name) for name in used} | table.groups
    return ApiResponse({"results": list(groups_by_name.values())})


def pipelines(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the pipelines of an object type: lifecycle of contacts, or stages of deals."""
    kind = store.object_type(request.parameters["object"])
    if kind is CONTACTS:
        options = store.tables[kind.name].properties["lifecyclestage"].options
        steps = [(option.value, option.label, dict[str, str]()) for option in options]
        return ApiResponse({"results": [_pipeline(LIFECYCLE_PIPELINE, "Lifecycle Stage", steps)]})
    if kind.name == "deals":
        stages = [
            (value, label, _deal_metadata(probability)) for value, label, probability in DEAL_STAGES
        ]
        return ApiResponse({"results": [_pipeline("default", "Sales Pipeline", stages)]})
    return ApiResponse({"results": []})


def pipeline(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one pipeline."""
    for each in pipelines(store, request).body["results"]:
        if each["id"] == request.parameters["pipeline_id"]:
            return ApiResponse(each)
    raise api_error(404, "resource not found", "OBJECT_NOT_FOUND")


def _table(store: HubSpotStore, request: ApiRequest) -> ObjectTable:
    return store.table(request.parameters["object"])


def _require_group(store: HubSpotStore, request: ApiRequest, body: dict[str, Any]) -> None:
    """Refuse a property of a group that does not exist."""
    names = [one["name"] for one in groups(store, request).body["results"]]
    if body.get("groupName") not in names:
        raise invalid(f"Property group {body.get('groupName')} does not exist")


def _owner_cursor(one: dict[str, Any]) -> str:
    return f"MzI{int(one['id']):x}"


def _definition(table: ObjectTable, name: str) -> Property:
    if name not in table.properties:
        raise api_error(
            404,
            f'Property "{name}" does not exist',
            "OBJECT_NOT_FOUND",
            subCategory="Properties.PROPERTY_NOT_FOUND",
        )
    return table.properties[name]


def _exists(name: str) -> tuple[str, str]:
    return f"A property named '{name}' already exists.", "OBJECT_ALREADY_EXISTS"


def _add_property(table: ObjectTable, body: dict[str, Any]) -> Property:
    definition = property_of(body, custom=True)
    table.properties[definition.name] = definition
    table.archived_properties.pop(definition.name, None)
    return definition


def property_of(body: dict[str, Any], *, custom: bool) -> Property:
    """Validate the definition of a property."""
    for needed in ("name", "label", "type", "fieldType", "groupName"):
        if not body.get(needed):
            raise invalid(f"Invalid input JSON: {needed} is required")
    if body["type"] not in _TYPES:
        raise invalid(f"{body['type']} is not a property type")
    return Property(
        name=body["name"],
        label=body["label"],
        type=body["type"],
        field_type=body["fieldType"],
        group=body["groupName"],
        options=tuple(
            Option(one["value"], one["label"], one.get("description") or "")
            for one in body.get("options") or ()
        ),
        custom=custom,
        external_options=bool(body.get("externalOptions")),
        unique=bool(body.get("hasUniqueValue")),
        description=body.get("description") or "",
    )


def _group(name: str) -> dict[str, Any]:
    return {"name": name, "label": name.title(), "displayOrder": -1, "archived": False}


def _deal_metadata(probability: str) -> dict[str, str]:
    closed = "true" if probability in ("0.0", "1.0") else "false"
    return {"isClosed": closed, "probability": probability}


def _pipeline(id: str, label: str, stages: list[tuple[str, str, dict[str, str]]]) -> dict[str, Any]:
    dates = {"createdAt": MADE_AT, "updatedAt": MADE_AT, "archived": False}
    return {
        "id": id,
        "label": label,
        "displayOrder": 0,
        "stages": [
            {"id": value, "label": name, "displayOrder": order, "metadata": metadata} | dates
            for order, (value, name, metadata) in enumerate(stages)
        ],
    } | dates
