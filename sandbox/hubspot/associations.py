"""Associations: who is linked to whom, and the labels of the links."""

import time
from typing import Any, Final

from sandbox.hubspot.errors import invalid
from sandbox.hubspot.request import Answer, Call, whole
from sandbox.hubspot.schema import ASSOCIATION_TYPES, ObjectType
from sandbox.hubspot.store import HubSpotStore
from sandbox.hubspot.values import iso

MOST_INPUTS: Final = 1000
PAGE: Final = 500


def batch_read(store: HubSpotStore, call: Call) -> Answer:
    """Give the links of many records; having none is an error entry, and so 207."""
    origin, target = pair(store, call)
    results = []
    errors = []
    for each in call.inputs(MOST_INPUTS):
        id = str(each.get("id"))
        linked = store.associated(origin.name, int(id), target.name) if id.isdecimal() else []
        if linked:
            results.append(_result(origin, target, id, linked, whole(each.get("after") or 0)))
        else:
            errors.append(_none_found(origin, target, id))
    return _answer({"results": results[::-1]}, errors, 200)


def list_links(store: HubSpotStore, call: Call) -> Answer:
    """Page through the links of one record."""
    origin, target = pair(store, call)
    limit = call.limit(PAGE, PAGE)
    start = whole(call.query.get("after") or 0)
    linked = store.associated(origin.name, whole(call.parameters["record_id"]), target.name)
    answer: dict[str, Any] = {
        "results": [_to(origin, target, id) for id in linked[start : start + limit]]
    }
    if start + limit < len(linked):
        answer["paging"] = call.next_page(str(start + limit))
    return Answer(answer)


def labels(store: HubSpotStore, call: Call) -> Answer:
    """Give the types of link between two object types."""
    origin, target = pair(store, call)
    plain, primary = ASSOCIATION_TYPES.get((origin.name, target.name), (None, None))
    types = [("Primary", primary), (None, plain)]
    return Answer(
        {
            "results": [
                {"category": "HUBSPOT_DEFINED", "typeId": type_id, "label": label}
                for label, type_id in types
                if type_id
            ]
        }
    )


def batch_create(store: HubSpotStore, call: Call) -> Answer:
    """Link pairs of records."""
    origin, target = pair(store, call)
    results = []
    errors = []
    for each in call.inputs(MOST_INPUTS):
        bad = refused_pair(store, origin, target, each)
        if bad:
            errors.append(bad)
            continue
        from_id, to_id = whole(each["from"]["id"]), whole(each["to"]["id"])
        store.associate(origin.name, from_id, target.name, to_id)
        results.append(_labelled(origin, target, from_id, to_id, each["types"]))
    return _answer({"results": results}, errors, 201)


def batch_associate(store: HubSpotStore, call: Call) -> Answer:
    """Link pairs of records by the usual type of link."""
    origin, target = pair(store, call)
    results = []
    for each in call.inputs(MOST_INPUTS):
        results += _associated(store, origin, target, each["from"]["id"], each["to"]["id"])
    return _answer({"results": results}, [], 200)


def associate(store: HubSpotStore, call: Call) -> Answer:
    """Link two records by the usual type of link."""
    origin, target = pair(store, call)
    ids = call.parameters["record_id"], call.parameters["to_id"]
    return _answer({"results": _associated(store, origin, target, *ids)}, [], 200)


def label(store: HubSpotStore, call: Call) -> Answer:
    """Link two records by the types the body names."""
    origin, target = pair(store, call)
    from_id, to_id = call.parameters["record_id"], call.parameters["to_id"]
    link(store, origin, target, from_id, to_id)
    return Answer(_labelled(origin, target, whole(from_id), whole(to_id), call.body), 201)


def unlink(store: HubSpotStore, call: Call) -> Answer:
    """Unlink two records; once more does nothing."""
    origin, target = pair(store, call)
    from_id, to_id = whole(call.parameters["record_id"]), whole(call.parameters["to_id"])
    store.dissociate(origin.name, from_id, target.name, to_id)
    return Answer(status=204)


def link(
    store: HubSpotStore, origin: ObjectType, target: ObjectType, from_id: str, to_id: str
) -> None:
    """Link two records, or refuse an id that is none."""
    bad = unknown(store, origin, from_id) or unknown(store, target, to_id)
    if bad:
        raise invalid(bad)
    store.associate(origin.name, whole(from_id), target.name, whole(to_id))


def _associated(
    store: HubSpotStore, origin: ObjectType, target: ObjectType, from_id: str, to_id: str
) -> list[dict[str, Any]]:
    """Link two records and tell of it as of two links, one in each direction."""
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
    asked = {one["associationTypeId"] for one in types}
    return {
        "fromObjectTypeId": origin.type_id,
        "fromObjectId": from_id,
        "toObjectTypeId": target.type_id,
        "toObjectId": to_id,
        "labels": ["Primary"] if primary in asked else [],
    }


def batch_archive(store: HubSpotStore, call: Call) -> Answer:
    """Unlink pairs of records."""
    origin, target = pair(store, call)
    for each in call.inputs(MOST_INPUTS):
        for to in each["to"]:
            store.dissociate(origin.name, whole(each["from"]["id"]), target.name, whole(to["id"]))
    return Answer(status=204)


def pair(store: HubSpotStore, call: Call) -> tuple[ObjectType, ObjectType]:
    """Find the two object types that a path names."""
    return store.kind(call.parameters["object"]), store.kind(call.parameters["to_object"])


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


def _none_found(origin: ObjectType, target: ObjectType, id: str) -> dict[str, Any]:
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


def refused_pair(
    store: HubSpotStore, origin: ObjectType, target: ObjectType, pair: dict[str, Any]
) -> dict[str, Any] | None:
    """Say why two records cannot be linked, as an entry of a 207."""
    here, there = str(pair["from"]["id"]), str(pair["to"]["id"])
    error: dict[str, Any] = {"status": "error", "category": "VALIDATION_ERROR"}
    for id in (here, there):
        if not id.isdecimal():
            said = f"{id} is not a valid ID"
            about = {"subCategory": "crm.associations.INVALID_IDENTIFIER", "context": {"id": [id]}}
            return error | about | {"message": said}
    if origin is target and here == there:
        return error | {"message": f"Object {here} cannot be associated to itself ({there})"}
    bad = unknown(store, origin, here) or unknown(store, target, there)
    return error | {"message": bad} if bad else None


def unknown(store: HubSpotStore, kind: ObjectType, id: Any) -> str | None:
    """Say why an id is none of a live record."""
    found = store.tables[kind.name].look(str(id))
    return None if found else f"{kind.singular.upper()}={id} is not valid"


def _answer(body: dict[str, Any], errors: list[dict[str, Any]], status: int) -> Answer:
    now = iso(time.time_ns() // 1_000_000)
    body |= {"status": "COMPLETE", "startedAt": now, "completedAt": now}
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return Answer(body, 207 if errors else status)
