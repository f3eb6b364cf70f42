"""Associations v4, with labels."""

import time
from collections.abc import Iterable
from typing import Any, Final

from sandbox.hubspot.errors import invalid
from sandbox.hubspot.request import ApiRequest, ApiResponse, parse_integer
from sandbox.hubspot.schema import ASSOCIATION_TYPES, ObjectType
from sandbox.hubspot.store import HubSpotStore
from sandbox.hubspot.values import iso

MOST_INPUTS: Final = 1000
PAGE: Final = 500


def batch_read(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the associations of many records; a record without one is an error entry (207)."""
    origin, target = pair(store, request)
    results = []
    errors = []
    for each in request.inputs(MOST_INPUTS):
        id = str(each.get("id"))
        linked = store.associated(origin.name, int(id), target.name) if id.isdecimal() else []
        if linked:
            results.append(
                _result(origin, target, id, linked, parse_integer(each.get("after") or 0))
            )
        else:
            errors.append(_no_association(origin, target, id))
    if request.is_dated:
        _write_ids_as_text(to for result in results for to in result["to"])
    return _response({"results": results[::-1]}, errors, 200)


def list_links(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the associations of one record."""
    origin, target = pair(store, request)
    limit = request.limit(PAGE, PAGE)
    start = parse_integer(request.query.get("after") or 0)
    linked = store.associated(
        origin.name, parse_integer(request.parameters["record_id"]), target.name
    )
    response: dict[str, Any] = {
        "results": [_to(origin, target, id) for id in linked[start : start + limit]]
    }
    if start + limit < len(linked):
        response["paging"] = request.next_page(str(start + limit))
    if request.is_dated:
        _write_ids_as_text(response["results"])
    return ApiResponse(response)


def labels(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the association types between two object types."""
    origin, target = pair(store, request)
    plain, primary = ASSOCIATION_TYPES.get((origin.name, target.name), (None, None))
    types = [("Primary", primary), (None, plain)]
    return ApiResponse(
        {
            "results": [
                {"category": "HUBSPOT_DEFINED", "typeId": type_id, "label": label}
                for label, type_id in types
                if type_id
            ]
        }
    )


def batch_create(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Link pairs of records."""
    origin, target = pair(store, request)
    results = []
    errors = []
    for each in request.inputs(MOST_INPUTS):
        bad = invalid_pair(store, origin, target, each)
        if bad:
            errors.append(bad)
            continue
        from_id, to_id = parse_integer(each["from"]["id"]), parse_integer(each["to"]["id"])
        store.associate(origin.name, from_id, target.name, to_id)
        results.append(_labelled(origin, target, from_id, to_id, each["types"]))
    return _response({"results": results}, errors, 201)


def batch_associate(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Associate pairs of records by the default type."""
    origin, target = pair(store, request)
    results = []
    for each in request.inputs(MOST_INPUTS):
        results += _associated(store, origin, target, each["from"]["id"], each["to"]["id"])
    return _response({"results": results}, [], 200)


def associate(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Associate two records by the default type."""
    origin, target = pair(store, request)
    ids = request.parameters["record_id"], request.parameters["to_id"]
    return _response({"results": _associated(store, origin, target, *ids)}, [], 200)


def label(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Associate two records by the types in the body."""
    origin, target = pair(store, request)
    from_id, to_id = request.parameters["record_id"], request.parameters["to_id"]
    link(store, origin, target, from_id, to_id)
    return ApiResponse(
        _labelled(origin, target, parse_integer(from_id), parse_integer(to_id), request.body), 201
    )


def unlink(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Remove an association; removing it again has no effect."""
    origin, target = pair(store, request)
    from_id, to_id = (
        parse_integer(request.parameters["record_id"]),
        parse_integer(request.parameters["to_id"]),
    )
    store.dissociate(origin.name, from_id, target.name, to_id)
    return ApiResponse(status=204)


def link(
    store: HubSpotStore, origin: ObjectType, target: ObjectType, from_id: str, to_id: str
) -> None:
    """Associate two records, or raise for an unknown id."""
    bad = unknown_type(store, origin, from_id) or unknown_type(store, target, to_id)
    if bad:
        raise invalid(bad)
    store.associate(origin.name, parse_integer(from_id), target.name, parse_integer(to_id))


def _associated(
    store: HubSpotStore, origin: ObjectType, target: ObjectType, from_id: str, to_id: str
) -> list[dict[str, Any]]:
    """Associate two records; the response has one association for each direction."""
    link(store, origin, target, str(from_id), str(to_id))
    ends = ((origin, from_id, target, to_id), (target, to_id, origin, from_id))
    return [
        {
            "from": {"id": str(here)},
            "to": {"id": str(there)},
            "associationSpec": {
                "associationCategory": "HUBSPOT_DEFINED",
                "associationTypeId": ASSOCIATION_TYPES.get((kind.name, other.name), (1, None))[0],
            },
        }
        for kind, here, other, there in ends
    ]


def _labelled(
    origin: ObjectType, target: ObjectType, from_id: int, to_id: int, types: list[dict[str, Any]]
) -> dict[str, Any]:
    _, primary = ASSOCIATION_TYPES.get((origin.name, target.name), (1, None))
    type_ids = {one["associationTypeId"] for one in types}
    return {
        "fromObjectTypeId": origin.type_id,
        "fromObjectId": from_id,
        "toObjectTypeId": target.type_id,
        "toObjectId": to_id,
        "labels": ["Primary"] if primary in type_ids else [],
    }


def batch_archive(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Unlink pairs of records."""
    origin, target = pair(store, request)
    for each in request.inputs(MOST_INPUTS):
        for to in each["to"]:
            store.dissociate(
                origin.name, parse_integer(each["from"]["id"]), target.name, parse_integer(to["id"])
            )
    return ApiResponse(status=204)


def pair(store: HubSpotStore, request: ApiRequest) -> tuple[ObjectType, ObjectType]:
    """Find the two object types of a path."""
    return store.object_type(request.parameters["object"]), store.object_type(
        request.parameters["to_object"]
    )


def _result(
    origin: ObjectType, target: ObjectType, id: str, linked: list[int], start: int
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "from": {"id": id},
        "to": [_to(origin, target, to) for to in linked[start : start + PAGE]],
    }
    if start + PAGE < len(linked):
        result["paging"] = {"next": {"after": str(start + PAGE)}}
    return result


def _to(origin: ObjectType, target: ObjectType, id: int) -> dict[str, Any]:
    plain, primary = ASSOCIATION_TYPES.get((origin.name, target.name), (1, None))
    types: list[dict[str, Any]] = []
    if primary:
        types.append({"category": "HUBSPOT_DEFINED", "typeId": primary, "label": "Primary"})
    types.append({"category": "HUBSPOT_DEFINED", "typeId": plain, "label": None})
    return {"toObjectId": id, "associationTypes": types}


def _write_ids_as_text(links: Iterable[dict[str, Any]]) -> None:
    """Write the ids as the dated versions do: v4 writes numbers."""
    for link in links:
        link["toObjectId"] = str(link["toObjectId"])


def _no_association(origin: ObjectType, target: ObjectType, id: str) -> dict[str, Any]:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No {target.singular} is associated with {origin.singular} {id}.",
        "context": {
            "fromObjectId": [id],
            "fromObjectType": [origin.singular],
            "toObjectType": [target.singular],
        },
    }


def invalid_pair(
    store: HubSpotStore, origin: ObjectType, target: ObjectType, pair: dict[str, Any]
) -> dict[str, Any] | None:
    """Build the error entry of two records that cannot be associated."""
    here, there = str(pair["from"]["id"]), str(pair["to"]["id"])
    error: dict[str, Any] = {"status": "error", "category": "VALIDATION_ERROR"}
    for id in (here, there):
        if not id.isdecimal():
            message = f"{id} is not a valid ID"
            about = {"subCategory": "crm.associations.INVALID_IDENTIFIER", "context": {"id": [id]}}
            return error | about | {"message": message}
    if origin is target and here == there:
        return error | {"message": f"Object {here} cannot be associated to itself ({there})"}
    bad = unknown_type(store, origin, here) or unknown_type(store, target, there)
    return error | {"message": bad} if bad else None


def unknown_type(store: HubSpotStore, kind: ObjectType, id: Any) -> str | None:
    """Build the error of an id without a live record."""
    found = store.tables[kind.name].read(str(id))
    return None if found else f"{kind.singular.upper()}={id} is not valid"


def _response(body: dict[str, Any], errors: list[dict[str, Any]], status: int) -> ApiResponse:
    now = iso(time.time_ns() // 1_000_000)
    body |= {"status": "COMPLETE", "startedAt": now, "completedAt": now}
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return ApiResponse(body, 207 if errors else status)
