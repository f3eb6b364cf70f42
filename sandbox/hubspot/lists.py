"""Lists of contacts: dynamic and static."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.hubspot.errors import api_error, invalid, invalid_json
from sandbox.hubspot.request import ApiRequest, ApiResponse, parse_integer
from sandbox.hubspot.schema import CONTACTS
from sandbox.hubspot.search import find_records
from sandbox.hubspot.store import HubSpotStore, Record
from sandbox.hubspot.values import iso

_PAGE: Final = 100
_MOST: Final = 500
_REQUIRED: Final = ("additionalProperties", "listIds", "offset", "processingTypes")
_MADE_AT: Final = "2022-05-03T09:00:00Z"


@dataclass
class ContactList:
    """A list: contacts whose property has one of some values, or added members."""

    id: str
    name: str
    filter: tuple[str, tuple[str, ...]] | None = None
    members: set[int] = field(default_factory=set)
    made_at: str = _MADE_AT

    def holds(self, record: Record) -> bool:
        """Return whether a contact is on the list."""
        if self.filter is None:
            return record.id in self.members
        name, values = self.filter
        return record.properties.get(name) in values

    def as_json(self) -> dict[str, Any]:
        """Return the list as the API writes it."""
        return {
            "listId": self.id,
            "listVersion": 1,
            "name": self.name,
            "objectTypeId": CONTACTS.type_id,
            "processingStatus": "COMPLETE",
            "createdById": "4800000",
            "updatedById": "4800000",
            "processingType": "MANUAL" if self.filter is None else "DYNAMIC",
            "createdAt": self.made_at,
            "updatedAt": self.made_at,
            "filtersUpdatedAt": self.made_at,
        }


def make_lists() -> dict[str, ContactList]:
    """Return the lists of the account by their ids."""
    lists = (
        ContactList("1", "Customers", ("lifecyclestage", ("customer", "evangelist"))),
        ContactList("2", "Unsubscribed", ("hs_email_optout", ("true",))),
        ContactList("3", "Open leads", ("hs_lead_status", ("NEW", "OPEN", "IN_PROGRESS"))),
        ContactList("4", "Partners, by hand"),
    )
    return {one.id: one for one in lists}


def search(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Find lists by a part of their names; a dated path requires four keys."""
    if request.is_dated and (absent := [key for key in _REQUIRED if key not in request.body]):
        raise invalid_json(f"Some required fields were not set: [{', '.join(absent)}]")
    wanted = str(request.body.get("query") or "").lower()
    kinds = request.body.get("processingTypes") or ("MANUAL", "DYNAMIC")
    ids = request.body.get("listIds") or store.lists
    matching = [
        one.as_json()
        for one in store.lists.values()
        if wanted in one.name.lower() and one.id in ids
    ]
    matching = [one for one in matching if one["processingType"] in kinds]
    start, count = (
        parse_integer(request.body.get("offset") or 0),
        parse_integer(request.body.get("count") or 20),
    )
    count = min(count, _MOST)  # HubSpot caps a larger count silently
    page = matching[start : start + count]
    for one in page:
        size = len(members(store, store.lists[one["listId"]]))
        one["additionalProperties"] = {"hs_list_reference_count": "0", "hs_list_size": str(size)}
    end = start + len(page)
    response = {
        "lists": page,
        "offset": end,
        "hasMore": end < len(matching),
        "total": len(matching),
    }
    return ApiResponse(response)


def all_lists(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the lists with some ids."""
    ids = request.names("listIds")
    return ApiResponse({"lists": [store.lists[id].as_json() for id in ids if id in store.lists]})


def one_list(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one list."""
    one = _list(store, request)
    return ApiResponse({"list": one.as_json() | {"size": len(members(store, one))}})


def by_name(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the list of a name."""
    wanted = request.parameters["name"]
    for one in store.lists.values():
        if one.name == wanted and store.object_type(request.parameters["object"]) is CONTACTS:
            return ApiResponse({"list": one.as_json() | {"size": len(members(store, one))}})
    message = f"List does not exist with name {wanted}."
    raise api_error(404, message, "OBJECT_NOT_FOUND", subCategory="ILS.LIST_NOT_FOUND")


def create(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Create a static list; a list with filters is an error."""
    if request.body["processingType"] == "DYNAMIC":
        raise invalid("filterBranch: the sandbox has no lists with own filters")
    if store.object_type(request.body["objectTypeId"]) is not CONTACTS:
        raise invalid(f"objectTypeId: {request.body['objectTypeId']} is not listed in this account")
    _check_name(store, request.body["name"])
    return ApiResponse({"list": add(store, request.body["name"]).as_json()})


def rename(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return a list another name."""
    one, name = _list(store, request), request.query.get("listName") or ""
    _check_name(store, name)
    one.name = name
    return ApiResponse({"updatedList": one.as_json()})


def remove(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Remove a list; its contacts stay."""
    del store.lists[_list(store, request).id]
    return ApiResponse(status=204)


def add(
    store: HubSpotStore, name: str, chosen: tuple[str, tuple[str, ...]] | None = None
) -> ContactList:
    """Add a list to the account."""
    id = str(max(map(int, store.lists), default=0) + 1)
    store.lists[id] = ContactList(id, name, chosen, made_at=iso(store.now_ms()))
    return store.lists[id]  # type: ignore[no-any-return]  # the store has no type for lists


def of_record(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the lists that have a contact."""
    record = store.table(request.parameters["object"]).read(request.parameters["record_id"])
    holding = [
        {
            "listId": one.id,
            "listVersion": 1,
            "isPublicList": False,
            "firstAddedTimestamp": one.made_at,
            "lastAddedTimestamp": one.made_at,
        }
        for one in store.lists.values()
        if record and one.holds(record)
    ]
    return ApiResponse({"results": holding, "total": len(holding)})


def memberships(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the contacts of a list by ascending id."""
    limit = request.limit(_PAGE, 250)
    after = parse_integer(request.query.get("after") or 0)
    ids = members(store, _list(store, request))
    start = bisect_left(ids, after)
    page = filter(None, map(store.tables[CONTACTS.name].read, ids[start : start + limit]))
    response: dict[str, Any] = {
        "results": [_member(one, is_dated=request.is_dated) for one in page]
    }
    if start + limit < len(ids):
        response["paging"] = request.next_page(str(ids[start + limit]))
    return ApiResponse(response)


def _member(record: Record, *, is_dated: bool) -> dict[str, str]:
    since = iso(record.updated_at)
    added = {"firstAddedTimestamp": since, "lastAddedTimestamp": since} if is_dated else {}
    return {"recordId": str(record.id), "membershipTimestamp": since, **added}


def add_members(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Add contacts to a static list."""
    return _change(store, request, adding=True)


def remove_members(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Remove contacts from a static list."""
    return _change(store, request, adding=False)


def replace_members(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Add contacts to a static list, and remove others."""
    one, table = _by_hand(store, request), store.tables[CONTACTS.name]
    wanted = {record.id for id in request.body["recordIdsToAdd"] if (record := table.read(id))}
    unwanted = set(map(parse_integer, request.body["recordIdsToRemove"]))
    before, one.members = one.members, (one.members | wanted) - unwanted
    return ApiResponse(
        {
            "recordsIdsAdded": [str(id) for id in sorted(one.members - before)],
            "recordIdsRemoved": [str(id) for id in sorted(before - one.members)],
            "recordIdsMissing": [],
        }
    )


def clear(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Remove all contacts from a static list."""
    _by_hand(store, request).members = set()
    return ApiResponse(status=204)


def _check_name(store: HubSpotStore, name: str) -> None:
    if not name.strip():
        raise invalid("name may not be empty")
    if any(one.name == name for one in store.lists.values()):
        message = f"A list with the name '{name}' already exists."
        raise api_error(409, message, "CONFLICT", subCategory="ILS.DUPLICATE_LIST_NAMES")


def _by_hand(store: HubSpotStore, request: ApiRequest) -> ContactList:
    one = _list(store, request)
    if one.filter is not None:
        raise invalid(f"List {one.id} is not filled by hand")
    return one


def _change(store: HubSpotStore, request: ApiRequest, *, adding: bool) -> ApiResponse:
    one = _by_hand(store, request)
    table = store.tables[CONTACTS.name]
    contact_ids = {record.id for id in request.body if (record := table.read(id))}
    missing = [id for id in request.body if not table.read(id)]
    changed = contact_ids - one.members if adding else contact_ids & one.members
    one.members = one.members | contact_ids if adding else one.members - contact_ids
    ids = [str(id) for id in sorted(changed)]
    return ApiResponse(
        {
            "recordsIdsAdded": ids if adding else [],
            "recordIdsRemoved": [] if adding else ids,
            "recordIdsMissing": missing,
        }
    )


def _list(store: HubSpotStore, request: ApiRequest) -> ContactList:
    one: ContactList | None = store.lists.get(request.parameters["list_id"])
    if one is None:
        message = f"List does not exist with ID {request.parameters['list_id']}."
        raise api_error(404, message, "OBJECT_NOT_FOUND", subCategory="ILS.LIST_NOT_FOUND")
    return one


def members(store: HubSpotStore, one: ContactList) -> Sequence[int]:
    """Return the ids of the live members of a list, in order."""
    table = store.tables[CONTACTS.name]
    if one.filter is None:
        return sorted(filter(table.is_live, one.members))
    name, values = one.filter
    wanted = {"propertyName": name, "operator": "IN", "values": values}
    return find_records(store, table, {"filters": [wanted]})[0]
