"""Custom objects: their schemas."""

from typing import Any, Final

from sandbox.hubspot.account import property_of
from sandbox.hubspot.errors import api_error, invalid
from sandbox.hubspot.request import ApiRequest, ApiResponse
from sandbox.hubspot.schema import ASSOCIATION_TYPES, MADE_AT, ObjectType, custom_type
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, ObjectTable
from sandbox.hubspot.values import iso

_FIRST: Final = 3_604_285
_FIRST_LINK: Final = 100
_ECHOED: Final = (
    "labels",
    "primaryDisplayProperty",
    "secondaryDisplayProperties",
    "requiredProperties",
    "searchableProperties",
    "description",
)


def all_schemas(store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return the custom objects of the account."""
    kinds = dict.fromkeys(store.custom.values())
    return ApiResponse({"results": [_schema_json(store, kind) for kind in kinds]})


def schema(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Describe one object type, custom or standard."""
    return ApiResponse(_schema_json(store, store.object_type(request.parameters["object"])))


def create(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Create a custom object; paths find it by name, full name and type id."""
    name = request.body["name"]
    full_name = f"p{PORTAL_ID}_{name}"
    if full_name in store.custom:
        raise api_error(409, f"An object type named '{name}' already exists.", "CONFLICT")
    made = tuple(
        property_of({"groupName": f"{name}_information", **one}, custom=True)
        for one in request.body["properties"]
    )
    missing = set(request.body["requiredProperties"]) - {one.name for one in made}
    if missing:
        raise invalid(f"requiredProperties: {', '.join(sorted(missing))} does not exist")
    type_id = f"2-{_FIRST + len(dict.fromkeys(store.custom.values()))}"
    kind = custom_type(full_name, name, type_id, made)
    store.tables[full_name] = ObjectTable(kind)
    for spelling in (name, full_name, type_id):
        store.custom[spelling.lower()] = kind
    now = iso(store.now_ms())
    echoed = {key: request.body[key] for key in _ECHOED if key in request.body}
    store.schemas[full_name] = echoed | {"createdAt": now, "updatedAt": now, "associations": []}
    for other in request.body["associatedObjects"]:
        _link(store, kind, store.object_type(other))
    return ApiResponse(_schema_json(store, kind), 201)


def update(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change the labels and settings of a custom object."""
    kind = _own(store, request)
    schema_ = store.schemas[kind.name]
    schema_ |= {key: request.body[key] for key in _ECHOED if key in request.body}
    schema_["updatedAt"] = iso(store.now_ms())
    description = _schema_json(store, kind)
    return ApiResponse(
        {key: description[key] for key in description if key not in ("properties", "associations")}
    )


def remove(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Delete a custom object that has no records."""
    kind = _own(store, request)
    if len(store.tables[kind.name].live_ids()):
        raise invalid(f"There are still records of {kind.singular}: archive them first")
    store.custom = {key: one for key, one in store.custom.items() if one is not kind}
    del store.tables[kind.name], store.schemas[kind.name]
    return ApiResponse(status=204)


def associate(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Add an association type between two object types."""
    kind = _own(store, request)
    return ApiResponse(_link(store, kind, store.object_type(request.body["toObjectTypeId"])), 201)


def _own(store: HubSpotStore, request: ApiRequest) -> ObjectType:
    kind = store.object_type(request.parameters["object"])
    if kind.name not in store.schemas:
        raise invalid(f"{kind.name} is defined by HubSpot and can't be changed")
    return kind


def _link(store: HubSpotStore, kind: ObjectType, other: ObjectType) -> dict[str, Any]:
    links: list[dict[str, Any]] = store.schemas[kind.name]["associations"]
    here = {
        "id": str(_FIRST_LINK + len(links)),
        "fromObjectTypeId": kind.type_id,
        "toObjectTypeId": other.type_id,
        "name": f"{kind.singular}_to_{other.singular}",
        "cardinality": "ONE_TO_MANY",
        "inverseCardinality": "ONE_TO_MANY",
        "createdAt": store.schemas[kind.name]["createdAt"],
        "updatedAt": store.schemas[kind.name]["updatedAt"],
    }
    links.append(here)
    return here


def _schema_json(store: HubSpotStore, kind: ObjectType) -> dict[str, Any]:
    properties = [one.as_json() for one in store.tables[kind.name].properties.values()]
    own = store.schemas.get(kind.name)
    if own is None:
        return _described(kind) | {"properties": properties}
    usual: dict[str, Any] = {"secondaryDisplayProperties": [], "searchableProperties": []}
    return (
        usual
        | own
        | {
            "id": kind.type_id,
            "objectTypeId": kind.type_id,
            "fullyQualifiedName": kind.name,
            "name": kind.singular,
            "properties": properties,
            "archived": False,
            "metaType": "PORTAL_SPECIFIC",
            "portalId": PORTAL_ID,
        }
    )


def _described(kind: ObjectType) -> dict[str, Any]:
    """Describe a standard object."""
    name = kind.singular.upper()
    links = [
        {
            "id": str(plain),
            "fromObjectTypeId": kind.type_id,
            "toObjectTypeId": to,
            "name": f"{kind.singular}_to_{to}",
        }
        for (origin, to), (plain, _) in ASSOCIATION_TYPES.items()
        if origin == kind.name
    ]
    return {
        "id": kind.type_id.partition("-")[2],
        "objectTypeId": kind.type_id,
        "fullyQualifiedName": name,
        "name": name,
        "description": f"{kind.name.title()} of the account.",
        "allowsSensitiveProperties": True,
        "restorable": True,
        "createdAt": "1970-01-01T00:00:00Z",
        "updatedAt": MADE_AT,
        "createdByUserId": None,
        "updatedByUserId": None,
        "labels": {"singular": kind.singular.title(), "plural": kind.name.title()},
        "primaryDisplayProperty": kind.shown[-1],
        "secondaryDisplayProperties": [],
        "requiredProperties": [],
        "searchableProperties": list(kind.shown),
        "associations": links,
        "archived": False,
        "metaType": "HUBSPOT",
        "portalId": PORTAL_ID,
    }
