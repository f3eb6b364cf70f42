"""Associations v3: a type has a name and no label."""

import time
from typing import Any

from sandbox.hubspot import associations
from sandbox.hubspot.associations import MOST_INPUTS, invalid_pair, pair, unknown_type
from sandbox.hubspot.errors import record_not_found
from sandbox.hubspot.objects import read_record
from sandbox.hubspot.request import ApiRequest, ApiResponse, parse_integer
from sandbox.hubspot.schema import ASSOCIATION_TYPES, ObjectType
from sandbox.hubspot.store import HubSpotStore
from sandbox.hubspot.values import iso


def batch_read(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the associations of many records: ids, and the name of the default type."""
    origin, target = pair(store, request)
    response = associations.batch_read(store, request)
    for one in response.body["results"]:
        one["to"] = [_named(origin, target, each["toObjectId"]) for each in one["to"]]
    return response


def list_links(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the associations of one record."""
    origin, target = pair(store, request)
    response = associations.list_links(store, request)
    results = response.body["results"]
    response.body["results"] = [_named(origin, target, each["toObjectId"]) for each in results]
    return response


def types(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the names of the association types between two object types."""
    origin, target = pair(store, request)
    type_ids = ASSOCIATION_TYPES.get((origin.name, target.name), (None, None))
    name = _name(origin, target)
    results = [{"id": str(id), "name": name} for id in type_ids if id]
    return ApiResponse({"results": results})


def batch_create(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Link pairs of records."""
    origin, target = pair(store, request)
    results = []
    errors = []
    for each in request.inputs(MOST_INPUTS):
        here, there = each["from"]["id"], each["to"]["id"]
        bad = invalid_pair(store, origin, target, each)
        if bad:
            errors.append(bad)
            continue
        store.associate(origin.name, int(here), target.name, int(there))
        ends = {"from": {"id": str(here)}, "to": {"id": str(there)}}
        results.append(ends | {"type": _name(origin, target)})
    now = iso(time.time_ns() // 1_000_000)
    body: dict[str, Any] = {
        "status": "COMPLETE",
        "results": results,
        "startedAt": now,
        "completedAt": now,
    }
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return ApiResponse(body, 207 if errors else 201)


def batch_archive(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Unlink pairs of records."""
    origin, target = pair(store, request)
    for each in request.inputs(MOST_INPUTS):
        here, there = parse_integer(each["from"]["id"]), parse_integer(each["to"]["id"])
        store.dissociate(origin.name, here, target.name, there)
    return ApiResponse(status=204)


def associate(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Associate two records and return the first one."""
    origin, target = pair(store, request)
    here, there = request.parameters["record_id"], request.parameters["to_id"]
    if unknown_type(store, origin, here) or unknown_type(store, target, there):
        raise record_not_found()
    store.associate(origin.name, int(here), target.name, int(there))
    links = store.associated(origin.name, int(here), target.name)
    named = {"results": [_named(origin, target, id) for id in links]}
    return ApiResponse(read_record(store, request).body | {"associations": {target.name: named}})


def _named(origin: ObjectType, target: ObjectType, id: int) -> dict[str, str]:
    return {"id": str(id), "type": _name(origin, target)}


def _name(origin: ObjectType, target: ObjectType) -> str:
    return f"{origin.singular}_to_{target.singular}"
