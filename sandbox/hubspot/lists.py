"""Lists of contacts: those a filter keeps, and one that people fill by hand."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.hubspot.errors import invalid, refusal
from sandbox.hubspot.request import Answer, Call, whole
from sandbox.hubspot.schema import CONTACTS
from sandbox.hubspot.search import found
from sandbox.hubspot.store import HubSpotStore, Record
from sandbox.hubspot.values import iso

_PAGE: Final = 100
_MOST: Final = 500
_MADE_AT: Final = "2022-05-03T09:00:00Z"


@dataclass
class ContactList:
    """A list: contacts whose property has one of some values, or members somebody added."""

    id: str
    name: str
    filter: tuple[str, tuple[str, ...]] | None = None
    members: set[int] = field(default_factory=set)
    made_at: str = _MADE_AT

    def holds(self, record: Record) -> bool:
        """Tell whether a contact is on the list."""
        if self.filter is None:
            return record.id in self.members
        name, values = self.filter
        return record.properties.get(name) in values

    def as_json(self) -> dict[str, Any]:
        """Give the list as the API answers it."""
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
    """Give the lists of the account by their ids."""
    lists = (
        ContactList("1", "Customers", ("lifecyclestage", ("customer", "evangelist"))),
        ContactList("2", "Unsubscribed", ("hs_email_optout", ("true",))),
        ContactList("3", "Open leads", ("hs_lead_status", ("NEW", "OPEN", "IN_PROGRESS"))),
        ContactList("4", "Partners, by hand"),
    )
    return {one.id: one for one in lists}


def search(store: HubSpotStore, call: Call) -> Answer:
    """Find lists by a part of their names."""
    wanted = str(call.body.get("query") or "").lower()
    kinds = call.body.get("processingTypes") or ("MANUAL", "DYNAMIC")
    ids = call.body.get("listIds") or store.lists
    known = [
        one.as_json()
        for one in store.lists.values()
        if wanted in one.name.lower() and one.id in ids
    ]
    known = [one for one in known if one["processingType"] in kinds]
    start, count = whole(call.body.get("offset") or 0), whole(call.body.get("count") or 20)
    count = min(count, _MOST)  # more is not refused
    page = known[start : start + count]
    for one in page:
        size = len(members(store, store.lists[one["listId"]]))
        one["additionalProperties"] = {"hs_list_reference_count": "0", "hs_list_size": str(size)}
    end = start + len(page)
    told = {"lists": page, "offset": end, "hasMore": end < len(known), "total": len(known)}
    return Answer(told)


def all_lists(store: HubSpotStore, call: Call) -> Answer:
    """Give the lists with some ids."""
    ids = call.names("listIds")
    return Answer({"lists": [store.lists[id].as_json() for id in ids if id in store.lists]})


def one_list(store: HubSpotStore, call: Call) -> Answer:
    """Give one list."""
    one = _list(store, call)
    return Answer({"list": one.as_json() | {"size": len(members(store, one))}})


def by_name(store: HubSpotStore, call: Call) -> Answer:
    """Give the list of a name."""
    wanted = call.parameters["name"]
    for one in store.lists.values():
        if one.name == wanted and store.kind(call.parameters["object"]) is CONTACTS:
            return Answer({"list": one.as_json() | {"size": len(members(store, one))}})
    said = f"List does not exist with name {wanted}."
    raise refusal(404, said, "OBJECT_NOT_FOUND", subCategory="ILS.LIST_NOT_FOUND")


def create(store: HubSpotStore, call: Call) -> Answer:
    """Make a list that is filled by hand; one with filters of its own is refused."""
    if call.body["processingType"] == "DYNAMIC":
        raise invalid("filterBranch: this account makes no lists with filters")
    if store.kind(call.body["objectTypeId"]) is not CONTACTS:
        raise invalid(f"objectTypeId: {call.body['objectTypeId']} is not listed in this account")
    _check_name(store, call.body["name"])
    return Answer({"list": add(store, call.body["name"]).as_json()})


def rename(store: HubSpotStore, call: Call) -> Answer:
    """Give a list another name."""
    one, name = _list(store, call), call.query.get("listName") or ""
    _check_name(store, name)
    one.name = name
    return Answer({"updatedList": one.as_json()})


def remove(store: HubSpotStore, call: Call) -> Answer:
    """Remove a list; its contacts stay."""
    del store.lists[_list(store, call).id]
    return Answer(status=204)


def add(
    store: HubSpotStore, name: str, chosen: tuple[str, tuple[str, ...]] | None = None
) -> ContactList:
    """Add a list to the account."""
    id = str(max(map(int, store.lists), default=0) + 1)
    store.lists[id] = ContactList(id, name, chosen, made_at=iso(store.now_ms()))
    return store.lists[id]  # type: ignore[no-any-return]  # the store knows no lists


def of_record(store: HubSpotStore, call: Call) -> Answer:
    """Name the lists that hold a contact."""
    record = store.table(call.parameters["object"]).look(call.parameters["record_id"])
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
    return Answer({"results": holding, "total": len(holding)})


def memberships(store: HubSpotStore, call: Call) -> Answer:
    """Page through the contacts of a list by ascending id."""
    limit = call.limit(_PAGE, 250)
    after = whole(call.query.get("after") or 0)
    ids = members(store, _list(store, call))
    start = bisect_left(ids, after)
    page = filter(None, map(store.tables[CONTACTS.name].look, ids[start : start + limit]))
    answer: dict[str, Any] = {
        "results": [
            {"recordId": str(one.id), "membershipTimestamp": iso(one.updated_at)} for one in page
        ]
    }
    if start + limit < len(ids):
        answer["paging"] = call.next_page(str(ids[start + limit]))
    return Answer(answer)


def add_members(store: HubSpotStore, call: Call) -> Answer:
    """Put contacts on a list that is filled by hand."""
    return _change(store, call, adding=True)


def remove_members(store: HubSpotStore, call: Call) -> Answer:
    """Take contacts off a list that is filled by hand."""
    return _change(store, call, adding=False)


def replace_members(store: HubSpotStore, call: Call) -> Answer:
    """Put contacts on a list that is filled by hand, and take others off it."""
    one, table = _by_hand(store, call), store.tables[CONTACTS.name]
    wanted = {record.id for id in call.body["recordIdsToAdd"] if (record := table.look(id))}
    unwanted = set(map(whole, call.body["recordIdsToRemove"]))
    before, one.members = one.members, (one.members | wanted) - unwanted
    return Answer(
        {
            "recordsIdsAdded": [str(id) for id in sorted(one.members - before)],
            "recordIdsRemoved": [str(id) for id in sorted(before - one.members)],
            "recordIdsMissing": [],
        }
    )


def clear(store: HubSpotStore, call: Call) -> Answer:
    """Take all contacts off a list that is filled by hand."""
    _by_hand(store, call).members = set()
    return Answer(status=204)


def _check_name(store: HubSpotStore, name: str) -> None:
    if not name.strip():
        raise invalid("name may not be empty")
    if any(one.name == name for one in store.lists.values()):
        said = f"A list with the name '{name}' already exists."
        raise refusal(409, said, "CONFLICT", subCategory="ILS.DUPLICATE_LIST_NAMES")


def _by_hand(store: HubSpotStore, call: Call) -> ContactList:
    one = _list(store, call)
    if one.filter is not None:
        raise invalid(f"List {one.id} is not filled by hand")
    return one


def _change(store: HubSpotStore, call: Call, *, adding: bool) -> Answer:
    one = _by_hand(store, call)
    table = store.tables[CONTACTS.name]
    known = {record.id for id in call.body if (record := table.look(id))}
    missing = [id for id in call.body if not table.look(id)]
    changed = known - one.members if adding else known & one.members
    one.members = one.members | known if adding else one.members - known
    ids = [str(id) for id in sorted(changed)]
    return Answer(
        {
            "recordsIdsAdded": ids if adding else [],
            "recordIdsRemoved": [] if adding else ids,
            "recordIdsMissing": missing,
        }
    )


def _list(store: HubSpotStore, call: Call) -> ContactList:
    one: ContactList | None = store.lists.get(call.parameters["list_id"])
    if one is None:
        said = f"List does not exist with ID {call.parameters['list_id']}."
        raise refusal(404, said, "OBJECT_NOT_FOUND", subCategory="ILS.LIST_NOT_FOUND")
    return one


def members(store: HubSpotStore, one: ContactList) -> Sequence[int]:
    """Give the ids of the live members of a list, in order."""
    table = store.tables[CONTACTS.name]
    if one.filter is None:
        return sorted(filter(table.is_live, one.members))
    name, values = one.filter
    wanted = {"propertyName": name, "operator": "IN", "values": values}
    return found(store, table, {"filters": [wanted]})[0]
