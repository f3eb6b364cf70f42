"""Associations as version 3 has them: a link has a name and no label."""

import time
from typing import Any

from sandbox.hubspot import associations
from sandbox.hubspot.associations import MOST_INPUTS, pair, refused_pair, unknown
from sandbox.hubspot.errors import record_not_found
from sandbox.hubspot.objects import read_record
from sandbox.hubspot.request import Answer, Call, whole
from sandbox.hubspot.schema import ASSOCIATION_TYPES, ObjectType
from sandbox.hubspot.store import HubSpotStore
from sandbox.hubspot.values import iso


def batch_read(store: HubSpotStore, call: Call) -> Answer:
    """Give the links of many records: ids, and the name of the usual link."""
    origin, target = pair(store, call)
    answer = associations.batch_read(store, call)
    for one in answer.body["results"]:
        one["to"] = [_named(origin, target, each["toObjectId"]) for each in one["to"]]
    return answer


def list_links(store: HubSpotStore, call: Call) -> Answer:
    """Page through the links of one record."""
    origin, target = pair(store, call)
    answer = associations.list_links(store, call)
    results = answer.body["results"]
    answer.body["results"] = [_named(origin, target, each["toObjectId"]) for each in results]
    return answer


def types(store: HubSpotStore, call: Call) -> Answer:
    """Name the types of link between two object types."""
    origin, target = pair(store, call)
    known = ASSOCIATION_TYPES.get((origin.name, target.name), (None, None))
    name = _name(origin, target)
    results = [{"id": str(id), "name": name} for id in known if id]
    return Answer({"results": results})


def batch_create(store: HubSpotStore, call: Call) -> Answer:
    """Link pairs of records."""
    origin, target = pair(store, call)
    results = []
    errors = []
    for each in call.inputs(MOST_INPUTS):
        here, there = each["from"]["id"], each["to"]["id"]
        bad = refused_pair(store, origin, target, each)
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
    return Answer(body, 207 if errors else 201)


def batch_archive(store: HubSpotStore, call: Call) -> Answer:
    """Unlink pairs of records."""
    origin, target = pair(store, call)
    for each in call.inputs(MOST_INPUTS):
        here, there = whole(each["from"]["id"]), whole(each["to"]["id"])
        store.dissociate(origin.name, here, target.name, there)
    return Answer(status=204)


def associate(store: HubSpotStore, call: Call) -> Answer:
    """Link two records and give the first of them."""
    origin, target = pair(store, call)
    here, there = call.parameters["record_id"], call.parameters["to_id"]
    if unknown(store, origin, here) or unknown(store, target, there):
        raise record_not_found()
    store.associate(origin.name, int(here), target.name, int(there))
    links = store.associated(origin.name, int(here), target.name)
    named = {"results": [_named(origin, target, id) for id in links]}
    return Answer(read_record(store, call).body | {"associations": {target.name: named}})


def _named(origin: ObjectType, target: ObjectType, id: int) -> dict[str, str]:
    return {"id": str(id), "type": _name(origin, target)}


def _name(origin: ObjectType, target: ObjectType) -> str:
    return f"{origin.singular}_to_{target.singular}"
