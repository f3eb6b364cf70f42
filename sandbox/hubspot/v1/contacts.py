"""Contacts as HubSpot's first API gives and takes them: ids are `vid`s, keys have hyphens."""

from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

from sandbox.hubspot.errors import Refusal, invalid, refusal
from sandbox.hubspot.request import Answer, Call, page_size, whole
from sandbox.hubspot.schema import CONTACTS
from sandbox.hubspot.search import found
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, ObjectTable, Record
from sandbox.hubspot.v1.values import plain, sent

_SHOWN_IN_LISTS = ("firstname", "lastmodifieddate", "company", "lastname")
_APP = "1024781"


def create(store: HubSpotStore, call: Call) -> Answer:
    """Make a contact; the answer shows what was sent."""
    table = store.tables[CONTACTS.name]
    values = sent(store, table, call.body["properties"], "property")
    email = values.get("email")
    if email and (existing := table.look_by("email", email)):
        raise _known(existing, email)
    return Answer(_profile(table, store.create(table, values), list(values)))


def read(store: HubSpotStore, call: Call) -> Answer:
    """Give a contact with all its values, or those asked for, and what they were before."""
    table = store.tables[CONTACTS.name]
    one = _looked(table, call)
    profile = _profile(table, one, call.query.getlist("property") or one.properties)
    if call.query.get("propertyMode") == "value_only":
        profile["properties"] = {
            name: {"value": each["value"]} for name, each in profile["properties"].items()
        }
    return Answer(profile)


def read_many(store: HubSpotStore, call: Call) -> Answer:
    """Give contacts by their ids or addresses, keyed by id; what is not there is left out."""
    table = store.tables[CONTACTS.name]
    by_id = map(table.look, call.query.getlist("vid"))
    by_email = (table.look_by("email", one) for one in call.query.getlist("email"))
    names = call.query.getlist("property")
    return Answer(
        {
            str(one.id): _profile(table, one, names or one.properties)
            for one in (*by_id, *by_email)
            if one
        }
    )


def by_browser(_store: HubSpotStore, _call: Call) -> Answer:
    """Find no contact by the token of a browser: this account keeps none."""
    raise refusal(404, "contact does not exist", "OBJECT_NOT_FOUND")


def update(store: HubSpotStore, call: Call) -> Answer:
    """Change a contact."""
    table = store.tables[CONTACTS.name]
    one = table.find(_looked(table, call).id)
    if one:
        store.write(table, one, sent(store, table, call.body["properties"], "property"))
    return Answer(status=204)


def create_or_update(store: HubSpotStore, call: Call) -> Answer:
    """Change the contact with an address, or make it."""
    table = store.tables[CONTACTS.name]
    one, is_new = _written(store, table, call.parameters["email"], call.body["properties"])
    return Answer({"vid": one.id, "isNew": is_new})


def write_many(store: HubSpotStore, call: Call) -> Answer:
    """Change or make many contacts, named by id or address; nothing is told of them."""
    table = store.tables[CONTACTS.name]
    for each in call.body:
        one = table.find(each["vid"]) if "vid" in each else None
        if one:
            store.write(table, one, sent(store, table, each["properties"], "property"))
        elif "email" in each:
            _written(store, table, each["email"], each["properties"])
        else:
            raise invalid(f"contact {each.get('vid')} does not exist")
    return Answer(status=202)


def archive(store: HubSpotStore, call: Call) -> Answer:
    """Archive a contact."""
    table = store.tables[CONTACTS.name]
    id = _looked(table, call).id
    if one := table.find(id):
        store.archive(table, one)
    return Answer({"vid": id, "deleted": True, "reason": "OK"})


def merge(store: HubSpotStore, call: Call) -> Answer:
    """Merge two contacts; the answer is one word."""
    table = store.tables[CONTACTS.name]
    primary = table.find(call.parameters["vid"])
    other = table.find(str(call.body.get("vidToMerge")))
    for one, name in ((primary, "canonical vid"), (other, "vid to merge")):
        if one is None:
            said = f"{name} is not a valid contact or is already in the process of being merged"
            raise refusal(400, said)
    if primary and other and primary is not other:
        store.merge(table, primary, other)
        return Answer("SUCCESS", headers={"Content-Type": "application/json;charset=utf-8"})
    raise refusal(400, "Cannot merge a contact with itself")


def search(store: HubSpotStore, call: Call) -> Answer:
    """Find contacts by words."""
    table, words = store.tables[CONTACTS.name], call.query.get("q") or ""
    ids, total = found(store, table, {"query": words})
    start = whole(call.query.get("offset") or 0)
    end = start + page_size(call.query.get("count"), 20, 100)
    names = call.query.getlist("property")
    page = filter(None, map(table.look, ids[start:end]))
    told = [in_list(table, one, names or list(one.properties)) for one in page]
    return Answer(
        {"query": words, "offset": end, "has-more": end < total, "total": total, "contacts": told}
    )


def in_list(table: ObjectTable, one: Record, names: Iterable[str] = ()) -> dict[str, Any]:
    """Write a contact as lists and searches do: values without their past."""
    told = {
        name: {"value": plain(table, name, one.properties[name])}
        for name in names or _SHOWN_IN_LISTS
        if name in one.properties
    }
    profile = {
        "vid": one.id,
        "saved-at-timestamp": one.created_at,
        "deleted-changed-timestamp": 0,
        "identities": _identities(one),
    }
    return _known_as(one) | {
        "properties": told,
        "form-submissions": [],
        "identity-profiles": [profile],
        "merge-audits": [],
    }


def _profile(table: ObjectTable, one: Record, names: Iterable[str]) -> dict[str, Any]:
    """Write a contact as reads of a single one do."""
    told = {
        name: {
            "value": plain(table, name, one.properties[name]),
            "versions": [_version(table, name, *past) for past in one.past(name)],
        }
        for name in names
        if name in one.properties
    }
    profile = {
        "vid": one.id,
        "is-deleted": False,
        "is-contact": False,
        "pointer-vid": 0,
        "previous-vid": 0,
        "linked-vids": [],
        "saved-at-timestamp": 0,
        "deleted-changed-timestamp": 0,
        "identities": [identity | {"source": "UNSPECIFIED"} for identity in _identities(one)],
    }
    return _known_as(one) | {
        "properties": told,
        "form-submissions": [],
        "list-memberships": [],
        "identity-profiles": [profile],
        "merge-audits": [],
    }


def _known_as(one: Record) -> dict[str, Any]:
    merged = one.properties.get("hs_merged_object_ids", "")
    return {
        "vid": one.id,
        "canonical-vid": one.id,
        "merged-vids": [int(id) for id in merged.split(";") if id],
        "portal-id": PORTAL_ID,
        "is-contact": True,
    }


def _version(table: ObjectTable, name: str, at: int, value: str, source: str) -> dict[str, Any]:
    return {
        "value": plain(table, name, value),
        "source-type": source,
        "source-id": _APP,
        "source-label": None,
        "updated-by-user-id": None,
        "timestamp": at,
        "selected": False,
    }


def _identities(one: Record) -> list[dict[str, Any]]:
    guid = str(uuid5(NAMESPACE_OID, str(one.id)))
    told: list[dict[str, Any]] = [{"type": "LEAD_GUID", "value": guid, "timestamp": one.created_at}]
    if email := one.properties.get("email"):
        address = {"type": "EMAIL", "value": email, "timestamp": one.created_at, "is-primary": True}
        told.insert(0, address)
    return told


def _written(
    store: HubSpotStore, table: ObjectTable, email: str, pairs: list[dict[str, Any]]
) -> tuple[Record, bool]:
    values = sent(store, table, pairs, "property")
    seen = table.look_by("email", email)
    one = table.find(seen.id) if seen else None
    if one is None:
        named = sent(store, table, [{"property": "email", "value": email}], "property")
        return store.create(table, named | values), True
    store.write(table, one, values)
    return one, False


def _looked(table: ObjectTable, call: Call) -> Record:
    vid, email = call.parameters.get("vid"), call.parameters.get("email")
    one = table.look(vid) if vid else table.look_by("email", email or "")
    if one is None:
        said = {"message": f"The contact {vid or f'e:{email}'} does not exist."}
        raise refusal(404, "contact does not exist", "OBJECT_NOT_FOUND", errors=[said])
    return one


def _known(one: Record, email: str) -> Refusal:
    identity = [
        {"isPrimary" if name == "is-primary" else name: value for name, value in each.items()}
        for each in _identities(one)
    ]
    body = {
        "message": "Contact already exists",
        "identityProfile": {
            "vid": one.id,
            "identity": identity,
            "linkedVid": [],
            "isContact": True,
            "savedAtTimestamp": one.created_at,
        },
        "errors": [{"message": f"A contact with email {email} already exists.", "in": "email"}],
        "status": "error",
        "correlationId": str(uuid4()),
        "category": "OBJECT_ALREADY_EXISTS",
        "error": "CONTACT_EXISTS",
    }
    return Refusal(409, body)
