"""Endpoints of the catalog: properties, property groups, pipeline stages."""

from typing import Any

from sandbox.hubspot import account
from sandbox.hubspot.errors import api_error, invalid
from sandbox.hubspot.request import ApiRequest, ApiResponse
from sandbox.hubspot.store import HubSpotStore, ObjectTable
from sandbox.hubspot.values import iso


def read_properties(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return many property definitions; an unknown name is an error entry (207)."""
    table = _table(store, request)
    definitions = table.archived_properties if request.body.get("archived") else table.properties
    names = [str(one["name"]) for one in request.inputs(100)]
    missing = [name for name in names if name not in definitions]
    now = iso(store.now_ms())
    response: dict[str, Any] = {
        "status": "COMPLETE",
        "results": [definitions[name].as_json() for name in names if name in definitions],
        "startedAt": now,
        "completedAt": now,
    }
    if missing:
        error = {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": "Could not get some properties. Check that the names are valid.",
            "context": {"name": missing},
        }
        response |= {"numErrors": 1, "errors": [error]}
    return ApiResponse(response, 207 if missing else 200)


def archive_properties(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Archive many properties; unknown names are ignored."""
    table = _table(store, request)
    for one in request.inputs(100):
        found = table.properties.get(str(one["name"]))
        if found and not found.custom:
            raise invalid(f"{found.name} is defined by HubSpot and can't be archived")
        if found:
            table.archived_properties[found.name] = table.properties.pop(found.name)
    return ApiResponse(status=204)


def group(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one group of properties."""
    return ApiResponse(
        _find_property(account.groups(store, request), "name", request.parameters["group"])
    )


def create_group(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Add a group of properties."""
    return ApiResponse(add_group(store, request, request.body), 201)


def update_group(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change the label or the display order of a group."""
    return ApiResponse(changed_group(store, request, request.body))


def add_group(store: HubSpotStore, request: ApiRequest, values: dict[str, Any]) -> dict[str, Any]:
    """Add a property group that the body names."""
    name = request.body["name"]
    if any(one["name"] == name for one in account.groups(store, request).body["results"]):
        raise api_error(409, f"A property group named '{name}' already exists.", "CONFLICT")
    made = {"name": name, "label": name, "displayOrder": -1} | values | {"archived": False}
    _table(store, request).groups[name] = made
    return made


def changed_group(
    store: HubSpotStore, request: ApiRequest, values: dict[str, Any]
) -> dict[str, Any]:
    """Change a group of properties."""
    old: dict[str, Any] = group(store, request).body
    changes = {name: values[name] for name in ("label", "displayOrder") if name in values}
    _table(store, request).groups[old["name"]] = old | changes
    return old | changes


def archive_group(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Archive a group that holds no property."""
    name = group(store, request).body["name"]
    if any(one.group == name for one in _table(store, request).properties.values()):
        raise invalid(f"The group {name} still holds properties")
    del _table(store, request).groups[name]
    return ApiResponse(status=204)


def stages(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the stages of a pipeline."""
    return ApiResponse({"results": account.pipeline(store, request).body["stages"]})


def stage(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one stage of a pipeline."""
    return ApiResponse(_find_property(stages(store, request), "id", request.parameters["stage_id"]))


def _table(store: HubSpotStore, request: ApiRequest) -> ObjectTable:
    return store.table(request.parameters["object"])


def _find_property(listed: ApiResponse, key: str, wanted: str) -> dict[str, Any]:
    for one in listed.body["results"]:
        if one[key] == wanted:
            found: dict[str, Any] = one
            return found
    raise api_error(404, "resource not found", "OBJECT_NOT_FOUND")
