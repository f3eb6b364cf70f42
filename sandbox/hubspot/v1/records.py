"""Companies and deals in HubSpot's first API, for reading.

Values have their time and source, ids are numbers, and `offset` continues a page.
"""

from collections.abc import Callable
from typing import Any, Final

from sandbox.hubspot.errors import api_error
from sandbox.hubspot.request import ApiRequest, ApiResponse, page_size, parse_integer
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, ObjectTable, Record
from sandbox.hubspot.v1.values import plain
from sandbox.hubspot.values import parse_instant

_MOST: Final = 250
_APP: Final = "1024781"
_RECENT_WALL: Final = 10_000

Describe = Callable[[HubSpotStore, Record, list[str], bool], dict[str, Any]]


def companies(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the companies by id, with the requested properties only."""
    page, start = _page(store.tables["companies"], request)
    rows = [company_json(store, one, request.names("properties"), False) for one in page]
    return ApiResponse(
        {"companies": rows, "has-more": start is not None, "offset": _after(page, start)}
    )


def recent_companies(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the recently changed companies, newest first."""
    return _recent(store, request, "companies", company_json)


def new_companies(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the recently created companies, newest first."""
    return _recent(store, request, "companies", company_json, by=_created_at)


def company(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return a company with all properties and their history."""
    return ApiResponse(company_json(store, _find(store, request, "companies"), [], True))


def deals(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the deals by id."""
    table = store.tables["deals"]
    page, start = _page(table, request)
    names = request.names("properties")
    if request.flag("includeAllProperties"):
        names = list(table.properties)
    rows = [deal_json(store, one, names, False) for one in page]
    if not request.flag("includeAssociations"):
        rows = [one | {"associations": {key: [] for key in _LINKS}} for one in rows]
    return ApiResponse({"deals": rows, "hasMore": start is not None, "offset": _after(page, start)})


def recent_deals(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the recently changed deals, newest first."""
    return _recent(store, request, "deals", deal_json)


def new_deals(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the recently created deals, newest first."""
    return _recent(store, request, "deals", deal_json, by=_created_at)


def deal(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return a deal with all properties and their history."""
    return ApiResponse(deal_json(store, _find(store, request, "deals"), [], True))


def _page(table: ObjectTable, request: ApiRequest) -> tuple[list[Record], int | None]:
    limit = page_size(request.query.get("limit"), 100, _MOST)
    return table.page(parse_integer(request.query.get("offset") or 0), limit, archived=False)


def _after(page: list[Record], start: int | None) -> int:
    """Return the next offset: after the last record, even on the last page."""
    return start or (page[-1].id + 1 if page else 0)


def _created_at(one: Record) -> int:
    return one.created_at


def _updated_at(one: Record) -> int:
    return one.updated_at


def _recent(
    store: HubSpotStore,
    request: ApiRequest,
    name: str,
    describe: Describe,
    *,
    by: Callable[[Record], int] = _updated_at,
) -> ApiResponse:
    since = parse_instant(request.query.get("since") or "0") or 0
    found = [one for one in store.tables[name].all_live() if by(one) >= since]
    found = sorted(found, key=by, reverse=True)[:_RECENT_WALL]
    start = parse_integer(request.query.get("offset") or 0)
    end = start + page_size(request.query.get("count"), 20, 100)
    return ApiResponse(
        {
            "results": [describe(store, one, [], True) for one in found[start:end]],
            "hasMore": end < len(found),
            "offset": min(end, len(found)),
            "total": len(found),
        }
    )


def _find(store: HubSpotStore, request: ApiRequest, name: str) -> Record:
    record = store.tables[name].read(request.parameters["record_id"])
    if record is None:
        raise api_error(404, "resource not found")
    return record


def company_json(store: HubSpotStore, one: Record, names: list[str], whole: bool) -> dict[str, Any]:
    """Write a company with some or all of its properties."""
    table = store.tables["companies"]
    return {
        "portalId": PORTAL_ID,
        "companyId": one.id,
        "isDeleted": False,
        "properties": _values(table, one, list(table.properties) if whole else names, whole=whole),
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


def deal_json(store: HubSpotStore, one: Record, names: list[str], whole: bool) -> dict[str, Any]:
    """Write a deal with its associations and some or all of its properties."""
    table = store.tables["deals"]
    return {
        "portalId": PORTAL_ID,
        "dealId": one.id,
        "isDeleted": False,
        "associations": {
            key: store.associated("deals", one.id, other) for key, other in _LINKS.items()
        },
        "properties": _values(table, one, list(table.properties) if whole else names, whole=whole),
        "imports": [],
        "stateChanges": [],
    }


def _values(table: ObjectTable, record: Record, names: list[str], *, whole: bool) -> dict[str, Any]:
    """Return the values that exist; a whole record has every version of each."""
    result = {}
    for name in names:
        past = [
            {
                "name": name,
                "value": plain(table, name, value),
                "timestamp": at,
                "sourceId": _APP,
                "source": source,
                "sourceVid": [],
            }
            for at, value, source in record.past(name)
        ]
        if past and name in record.properties:
            value = {"value": plain(table, name, record.properties[name])}
            newest = {key: past[0][key] for key in ("timestamp", "source", "sourceId")}
            versions = {"updatedByUserId": None, "versions": past[: None if whole else 1]}
            result[name] = value | newest | versions
    return result
