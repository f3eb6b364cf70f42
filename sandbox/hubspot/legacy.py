"""The first API of HubSpot, as far as other programs still read it: companies, deals, catalog.

Values come with their time and source, ids are numbers, and pages go on by `offset`.
"""

from collections.abc import Callable
from typing import Any, Final

from sandbox.hubspot import account
from sandbox.hubspot.call import Answer, Call, page_size
from sandbox.hubspot.refusals import refusal
from sandbox.hubspot.schema import DEAL_STAGES, Property, object_type
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, ObjectTable, Record
from sandbox.hubspot.values import parse_instant

_MOST: Final = 250
_RECENT_WALL: Final = 10_000

Told = Callable[[HubSpotStore, Record, list[str], bool], dict[str, Any]]


def properties(store: HubSpotStore, call: Call) -> Answer:
    """Give the property definitions of an object type as a plain list."""
    table = store.tables[object_type(call.parameters.get("object", "companies")).name]
    return Answer([_definition(one) for one in table.properties.values()])


def companies(store: HubSpotStore, call: Call) -> Answer:
    """Page through the companies by id; they show no more than the properties asked for."""
    page, start = _page(store.tables["companies"], call)
    told = [_company(store, one, call.names("properties"), False) for one in page]
    return Answer({"companies": told, "has-more": start is not None, "offset": _after(page, start)})


def recent_companies(store: HubSpotStore, call: Call) -> Answer:
    """Page through the companies changed of late, newest first."""
    return _recent(store, call, "companies", _company)


def company(store: HubSpotStore, call: Call) -> Answer:
    """Give a company with all its values and what they were before."""
    return Answer(_company(store, _found(store, call, "companies"), [], True))


def deals(store: HubSpotStore, call: Call) -> Answer:
    """Page through the deals by id."""
    table = store.tables["deals"]
    page, start = _page(table, call)
    names = call.names("properties")
    if call.flag("includeAllProperties"):
        names = list(table.properties)
    told = [_deal(store, one, names, False) for one in page]
    if not call.flag("includeAssociations"):
        told = [one | {"associations": {key: [] for key in _LINKS}} for one in told]
    return Answer({"deals": told, "hasMore": start is not None, "offset": _after(page, start)})


def recent_deals(store: HubSpotStore, call: Call) -> Answer:
    """Page through the deals changed of late, newest first."""
    return _recent(store, call, "deals", _deal)


def deal(store: HubSpotStore, call: Call) -> Answer:
    """Give a deal with all its values and what they were before."""
    return Answer(_deal(store, _found(store, call, "deals"), [], True))


def deal_pipelines(_store: HubSpotStore, _call: Call) -> Answer:
    """Give the deals' pipelines as a plain list."""
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
    return Answer([pipeline | {"active": True, "staticDefault": True, "stages": stages}])


def pipelines(store: HubSpotStore, call: Call) -> Answer:
    """Give the pipelines of an object type as the first API that had any but the deals' did."""
    kind = object_type(call.parameters["object"])
    told = []
    for one in account.pipelines(store, call).body["results"]:
        stages = [_dated(each, "stageId") for each in one["stages"]]
        whose = {"objectType": kind.singular.upper(), "objectTypeId": kind.type_id}
        told.append(_dated(one, "pipelineId") | whose | {"stages": stages, "default": True})
    return Answer({"results": told})


def _dated(one: dict[str, Any], key: str) -> dict[str, Any]:
    """Name the id as it was called, and write its dates as numbers."""
    kept = {name: one[name] for name in ("label", "displayOrder", "metadata") if name in one}
    dates = {name: parse_instant(one[name]) for name in ("createdAt", "updatedAt")}
    return {key: one["id"], "active": True} | kept | dates


def _page(table: ObjectTable, call: Call) -> tuple[list[Record], int | None]:
    limit = page_size(call.query.get("limit"), 100, _MOST)
    return table.page(int(call.query.get("offset") or 0), limit, archived=False)


def _after(page: list[Record], start: int | None) -> int:
    """Say where to go on: behind the last record also where there is none after it."""
    return start or (page[-1].id + 1 if page else 0)


def _recent(store: HubSpotStore, call: Call, name: str, told: Told) -> Answer:
    since = parse_instant(call.query.get("since") or "0") or 0
    found = [one for one in store.tables[name].all_live() if one.updated_at >= since]
    found = sorted(found, key=lambda one: one.updated_at, reverse=True)[:_RECENT_WALL]
    start = int(call.query.get("offset") or 0)
    end = start + page_size(call.query.get("count"), 20, 100)
    return Answer(
        {
            "results": [told(store, one, [], True) for one in found[start:end]],
            "hasMore": end < len(found),
            "offset": min(end, len(found)),
            "total": len(found),
        }
    )


def _found(store: HubSpotStore, call: Call, name: str) -> Record:
    record = store.tables[name].look(call.parameters["record_id"])
    if record is None:
        raise refusal(404, "resource not found")
    return record


def _company(store: HubSpotStore, one: Record, names: list[str], whole: bool) -> dict[str, Any]:
    table = store.tables["companies"]
    return {
        "portalId": PORTAL_ID,
        "companyId": one.id,
        "isDeleted": False,
        "properties": _values(one, list(table.properties) if whole else names, whole=whole),
        "additionalDomains": [],
        "stateChanges": [],
        "mergeAudits": [],
    }


_LINKS: Final = {
    "associatedVids": "contacts",
    "associatedCompanyIds": "companies",
    "associatedDealIds": "deals",
    "associatedTicketIds": "tickets",
}


def _deal(store: HubSpotStore, one: Record, names: list[str], whole: bool) -> dict[str, Any]:
    table = store.tables["deals"]
    return {
        "portalId": PORTAL_ID,
        "dealId": one.id,
        "isDeleted": False,
        "associations": {
            key: store.associated("deals", one.id, other) for key, other in _LINKS.items()
        },
        "properties": _values(one, list(table.properties) if whole else names, whole=whole),
        "imports": [],
        "stateChanges": [],
    }


def _values(record: Record, names: list[str], *, whole: bool) -> dict[str, Any]:
    """Give the values there are; the whole record shows every version of each."""
    told = {}
    for name in names:
        past = [
            {"name": name, "value": value, "timestamp": at, "source": source, "sourceVid": []}
            for at, value, source in record.past(name)
        ]
        if past and name in record.properties:
            value = {"value": record.properties[name]}
            newest = {key: past[0][key] for key in ("timestamp", "source")}
            told[name] = (
                value | newest | {"sourceId": None, "versions": past[: None if whole else 1]}
            )
    return told


_NOT_TOLD: Final = ("fieldLevelPermission", "modificationMetadata", "dataSensitivity")


def _definition(one: Property) -> dict[str, Any]:
    """Write a definition with the flags where they once were."""
    said = {name: value for name, value in one.as_json().items() if name not in _NOT_TOLD}
    return said | {
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
