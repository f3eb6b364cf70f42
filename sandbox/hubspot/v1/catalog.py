"""The catalog in HubSpot's first API: properties, property groups, pipelines."""

from typing import Any, Final

from sandbox.hubspot import account, catalog
from sandbox.hubspot.request import ApiRequest, ApiResponse
from sandbox.hubspot.schema import DEAL_STAGES, Property
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore
from sandbox.hubspot.values import parse_instant


def properties(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the property definitions of an object type as a plain list."""
    table = store.table(request.parameters["object"])
    return ApiResponse([_definition(one) for one in table.properties.values()])


def one_property(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one property definition."""
    return ApiResponse(_definition(account.definition(store, request)))


def create_property(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Add a property."""
    account.create_property(store, request)
    made = store.table(request.parameters["object"]).properties[request.body["name"]]
    return ApiResponse(_definition(made))


def update_property(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change a property's label or options."""
    account.update_property(store, request)
    return one_property(store, request)


def groups(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the property groups of an object type as a plain list."""
    return ApiResponse([_group(one) for one in account.groups(store, request).body["results"]])


def create_group(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Add a property group."""
    return ApiResponse(_group(catalog.add_group(store, request, _label(request))))


def update_group(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change the display name of a property group."""
    return ApiResponse(_group(catalog.changed_group(store, request, _label(request))))


def deal_pipelines(_store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return the deals' pipelines as a plain list."""
    stages = [
        {
            "stageId": value,
            "label": label,
            "probability": float(probability),
            "active": True,
            "displayOrder": order,
            "closedWon": probability == "1.0",
        }
        for order, (value, label, probability) in enumerate(DEAL_STAGES)
    ]
    pipeline = {"pipelineId": "default", "label": "Sales Pipeline", "displayOrder": 0}
    return ApiResponse([pipeline | {"active": True, "staticDefault": True, "stages": stages}])


def pipelines(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the pipelines of an object type, as pipelines v1 does."""
    kind = store.object_type(request.parameters["object"])
    results = []
    for one in account.pipelines(store, request).body["results"]:
        stages = [_dated(each, "stageId") for each in one["stages"]]
        whose = {"objectType": kind.singular.upper(), "objectTypeId": kind.type_id}
        results.append(_dated(one, "pipelineId") | whose | {"stages": stages, "default": True})
    return ApiResponse({"results": results})


def _dated(one: dict[str, Any], key: str) -> dict[str, Any]:
    """Write the id under its old key, and dates as numbers."""
    result = {name: one[name] for name in ("label", "displayOrder", "metadata") if name in one}
    dates = {name: parse_instant(one[name]) for name in ("createdAt", "updatedAt")}
    return {key: one["id"], "active": True} | result | dates


def _label(request: ApiRequest) -> dict[str, Any]:
    """Read the old key of the label."""
    values = {
        "label": request.body.get("displayName"),
        "displayOrder": request.body.get("displayOrder"),
    }
    return {name: value for name, value in values.items() if value is not None}


def _group(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "portalId": PORTAL_ID,
        "name": one["name"],
        "displayName": one["label"],
        "displayOrder": one["displayOrder"],
        "deleted": False,
    }


_OMITTED: Final = ("fieldLevelPermission", "modificationMetadata", "dataSensitivity")


def _definition(one: Property) -> dict[str, Any]:
    """Write a definition with the flags at their old places."""
    values = {name: value for name, value in one.as_json().items() if name not in _OMITTED}
    return values | {
        "hubspotDefined": not one.custom,
        "readOnlyValue": one.read_only,
        "readOnlyDefinition": not one.custom,
        "deleted": False,
        "mutableDefinitionNotDeletable": False,
        "favorited": False,
        "favoritedOrder": -1,
        "displayMode": "current_value",
        "textDisplayHint": None,
        "numberDisplayHint": None,
        "referencedObjectType": None,
        "isCustomizedDefault": False,
        "createdAt": None,
        "updatedAt": None,
    }
