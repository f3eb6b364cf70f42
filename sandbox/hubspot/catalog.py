"""Parts of the catalog asked for one by one or many at a time: properties, groups, stages."""

from typing import Any

from sandbox.hubspot import account
from sandbox.hubspot.errors import invalid, refusal
from sandbox.hubspot.request import Answer, Call
from sandbox.hubspot.store import HubSpotStore, ObjectTable
from sandbox.hubspot.values import iso


def read_properties(store: HubSpotStore, call: Call) -> Answer:
    """Give many property definitions; names that are none are an error entry, and so 207."""
    table = _table(store, call)
    known = table.archived_properties if call.body.get("archived") else table.properties
    names = [str(one["name"]) for one in call.inputs(100)]
    missing = [name for name in names if name not in known]
    now = iso(store.now_ms())
    answer: dict[str, Any] = {
        "status": "COMPLETE",
        "results": [known[name].as_json() for name in names if name in known],
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
        answer |= {"numErrors": 1, "errors": [error]}
    return Answer(answer, 207 if missing else 200)


def archive_properties(store: HubSpotStore, call: Call) -> Answer:
    """Archive many properties; names that are none are passed over."""
    table = _table(store, call)
    for one in call.inputs(100):
        found = table.properties.get(str(one["name"]))
        if found and not found.custom:
            raise invalid(f"{found.name} is defined by HubSpot and can't be archived")
        if found:
            table.archived_properties[found.name] = table.properties.pop(found.name)
    return Answer(status=204)


def group(store: HubSpotStore, call: Call) -> Answer:
    """Give one group of properties."""
    return Answer(_found(account.groups(store, call), "name", call.parameters["group"]))


def create_group(store: HubSpotStore, call: Call) -> Answer:
    """Add a group of properties."""
    return Answer(add_group(store, call, call.body), 201)


def update_group(store: HubSpotStore, call: Call) -> Answer:
    """Change a group's label or place."""
    return Answer(changed_group(store, call, call.body))


def add_group(store: HubSpotStore, call: Call, said: dict[str, Any]) -> dict[str, Any]:
    """Add a group of properties that is named in the body; `said` holds its label and place."""
    name = call.body["name"]
    if any(one["name"] == name for one in account.groups(store, call).body["results"]):
        raise refusal(409, f"A property group named '{name}' already exists.", "CONFLICT")
    made = {"name": name, "label": name, "displayOrder": -1} | said | {"archived": False}
    _table(store, call).groups[name] = made
    return made


def changed_group(store: HubSpotStore, call: Call, said: dict[str, Any]) -> dict[str, Any]:
    """Change a group of properties."""
    old: dict[str, Any] = group(store, call).body
    kept = {name: said[name] for name in ("label", "displayOrder") if name in said}
    _table(store, call).groups[old["name"]] = old | kept
    return old | kept


def archive_group(store: HubSpotStore, call: Call) -> Answer:
    """Archive a group that holds no property."""
    name = group(store, call).body["name"]
    if any(one.group == name for one in _table(store, call).properties.values()):
        raise invalid(f"The group {name} still holds properties")
    del _table(store, call).groups[name]
    return Answer(status=204)


def stages(store: HubSpotStore, call: Call) -> Answer:
    """Give the stages of a pipeline."""
    return Answer({"results": account.pipeline(store, call).body["stages"]})


def stage(store: HubSpotStore, call: Call) -> Answer:
    """Give one stage of a pipeline."""
    return Answer(_found(stages(store, call), "id", call.parameters["stage_id"]))


def _table(store: HubSpotStore, call: Call) -> ObjectTable:
    return store.table(call.parameters["object"])


def _found(listed: Answer, key: str, wanted: str) -> dict[str, Any]:
    for one in listed.body["results"]:
        if one[key] == wanted:
            found: dict[str, Any] = one
            return found
    raise refusal(404, "resource not found", "OBJECT_NOT_FOUND")
