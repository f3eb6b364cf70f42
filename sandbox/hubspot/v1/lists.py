"""Lists of contacts and their members in HubSpot's first API."""

from collections.abc import Sequence
from typing import Any, Final

from sandbox.hubspot import lists
from sandbox.hubspot.errors import api_error, invalid
from sandbox.hubspot.lists import ContactList
from sandbox.hubspot.request import ApiRequest, ApiResponse, page_size, parse_integer
from sandbox.hubspot.schema import CONTACTS
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, Record
from sandbox.hubspot.v1.contacts import in_list
from sandbox.hubspot.values import parse_instant

_ALL_CONTACTS: Final = ("all", "recently_updated")
_MOST: Final = 500
"""Largest page of lists; a larger count is not an error."""


def list_all(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the lists."""
    return _paged(store, request, list(store.lists.values()))


def static(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the static lists."""
    return _paged(store, request, [one for one in store.lists.values() if one.filter is None])


def dynamic(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the dynamic lists."""
    return _paged(store, request, [one for one in store.lists.values() if one.filter])


def some(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return lists by their ids."""
    wanted = request.query.getlist("listId")
    return ApiResponse(
        {"lists": [_list_json(store, store.lists[id]) for id in wanted if id in store.lists]}
    )


def one(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one list."""
    return ApiResponse(_list_json(store, _list(store, request)))


def create(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Create a static list, or a dynamic one with one filter for equality."""
    name = request.body.get("name")
    if not name:
        raise invalid("name may not be empty")
    chosen = _filter(request.body.get("filters") or []) if request.body.get("dynamic") else None
    return ApiResponse(_list_json(store, lists.add(store, name, chosen)))


def rename(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return a list another name."""
    found = _list(store, request)
    found.name = request.body.get("name") or found.name
    return ApiResponse(_list_json(store, found))


def remove(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Remove a list; its contacts stay."""
    del store.lists[_list(store, request).id]
    return ApiResponse(status=204)


def refresh(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Refresh a list; it has no effect here."""
    _list(store, request)
    return ApiResponse(status=204)


def add(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Add contacts to a static list."""
    return _change(store, request, adding=True)


def take_off(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Remove contacts from a static list."""
    return _change(store, request, adding=False)


def contacts(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the contacts of a list, or of the account, by ascending id."""
    table, count = store.tables[CONTACTS.name], page_size(request.query.get("count"), 20, 100)
    after = parse_integer(request.query.get("vidOffset") or 0)
    ids = [id for id in _members(store, request) if id > after]
    page = filter(None, map(table.read, ids[:count]))
    names = request.query.getlist("property")
    rows = [{"addedAt": each.created_at} | in_list(table, each, names) for each in page]
    last = rows[-1]["vid"] if rows else after
    return ApiResponse({"contacts": rows, "has-more": count < len(ids), "vid-offset": last})


def recent(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the contacts of a list by last change, or of all by creation, newest first."""
    table, count = store.tables[CONTACTS.name], page_size(request.query.get("count"), 20, 100)
    by_creation = request.parameters["list_id"] == "all"

    def at(record: Record) -> tuple[int, int]:
        return record.created_at if by_creation else record.updated_at, record.id

    before = tuple(
        parse_integer(request.query.get(key) or 2**53) for key in ("timeOffset", "vidOffset")
    )
    records = filter(None, map(table.read, _members(store, request)))
    found = sorted((each for each in records if at(each) < before), key=at, reverse=True)
    page, names = found[:count], request.query.getlist("property")
    rows = [{"addedAt": at(each)[0]} | in_list(table, each, names) for each in page]
    time, vid = at(page[-1]) if page else (0, 0)
    more = {"has-more": count < len(found), "vid-offset": vid, "time-offset": time}
    return ApiResponse({"contacts": rows} | more)


def _members(store: HubSpotStore, request: ApiRequest) -> Sequence[int]:
    if request.parameters["list_id"] in _ALL_CONTACTS:
        everybody: list[int] = store.tables[CONTACTS.name].live_ids().tolist()
        return everybody
    return lists.members(store, _list(store, request))


def _change(store: HubSpotStore, request: ApiRequest, *, adding: bool) -> ApiResponse:
    found, table = _list(store, request), store.tables[CONTACTS.name]
    if found.filter is not None:
        raise api_error(400, f"List {found.id} is dynamic: contacts come and go by its filters")
    emails = {email: table.read_by("email", email) for email in request.body.get("emails") or ()}
    named = {vid: table.read(vid) for vid in request.body.get("vids") or ()}
    contact_ids = {each.id for each in (*emails.values(), *named.values()) if each}
    changed = contact_ids - found.members if adding else contact_ids & found.members
    found.members = found.members | contact_ids if adding else found.members - contact_ids
    return ApiResponse(
        {
            "updated": sorted(changed),
            "discarded": sorted(contact_ids - changed),
            "invalidVids": [vid for vid, each in named.items() if each is None],
            "invalidEmails": [email for email, each in emails.items() if each is None],
        }
    )


def _filter(groups: list[list[dict[str, Any]]]) -> tuple[str, tuple[str, ...]]:
    match groups:
        case [[{"property": str(name), "operator": "EQ", "value": value}]]:
            return name, (str(value),)
    raise invalid("filters: this account takes one filter, which compares for being equal (EQ)")


def _list(store: HubSpotStore, request: ApiRequest) -> ContactList:
    found: ContactList | None = store.lists.get(request.parameters["list_id"])
    if found is None:
        message = f"Couldn't find a List with the given id '{request.parameters['list_id']}'."
        raise api_error(404, message)
    return found


def _paged(store: HubSpotStore, request: ApiRequest, found: list[ContactList]) -> ApiResponse:
    start = parse_integer(request.query.get("offset") or 0)
    end = start + min(page_size(request.query.get("count"), 20, 2**31), _MOST)
    lists = [_list_json(store, each) for each in found[start:end]]
    return ApiResponse(
        {"offset": end, "total": len(found), "lists": lists, "has-more": end < len(found)}
    )


def _list_json(store: HubSpotStore, one: ContactList) -> dict[str, Any]:
    made_at = parse_instant(one.made_at)
    chosen, filters = one.filter, []
    if chosen:
        filters = [[{"property": chosen[0], "operator": "SET_ANY", "value": ";".join(chosen[1])}]]
    return {
        "dynamic": chosen is not None,
        "internalListId": int(one.id),
        "archived": False,
        "metaData": {
            "listReferencesCount": None,
            "processing": "DONE",
            "lastSizeChangeAt": made_at,
            "lastProcessingStateChangeAt": made_at,
            "error": "",
            "size": len(lists.members(store, one)),
            "parentFolderId": None,
        },
        "filters": filters,
        "portalId": PORTAL_ID,
        "createdAt": made_at,
        "listId": int(one.id),
        "listType": "DYNAMIC" if chosen else "STATIC",
        "updatedAt": made_at,
        "name": one.name,
        "teamIds": [],
        "parentId": 0,
        "deleteable": True,
    }
