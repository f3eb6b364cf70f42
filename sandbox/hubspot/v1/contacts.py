"""Contacts in HubSpot's first API: ids are `vid`s, keys have hyphens."""

from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

from sandbox.hubspot.errors import ApiError, api_error, invalid
from sandbox.hubspot.request import ApiRequest, ApiResponse, page_size, parse_integer
from sandbox.hubspot.schema import CONTACTS
from sandbox.hubspot.search import find_records
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, ObjectTable, Record
from sandbox.hubspot.v1.values import plain, written_properties

_SHOWN_IN_LISTS = ("firstname", "lastmodifieddate", "company", "lastname")
_APP = "1024781"


def create(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Create a contact; the response has the sent values."""
    table = store.tables[CONTACTS.name]
    values = written_properties(store, table, request.body["properties"], "property")
    email = values.get("email")
    if email and (existing := table.read_by("email", email)):
        raise _find_known(existing, email)
    return ApiResponse(_profile(table, store.create(table, values), list(values)))


def read(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return a contact with all or the requested properties, and their history."""
    table = store.tables[CONTACTS.name]
    one = _read_contact(table, request)
    profile = _profile(table, one, request.query.getlist("property") or one.properties)
    if request.query.get("propertyMode") == "value_only":
        profile["properties"] = {
            name: {"value": each["value"]} for name, each in profile["properties"].items()
        }
    return ApiResponse(profile)


def read_many(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return contacts by ids or addresses, keyed by id; unknown ones are left out."""
    table = store.tables[CONTACTS.name]
    by_id = map(table.read, request.query.getlist("vid"))
    by_email = (table.read_by("email", one) for one in request.query.getlist("email"))
    names = request.query.getlist("property")
    return ApiResponse(
        {
            str(one.id): _profile(table, one, names or one.properties)
            for one in (*by_id, *by_email)
            if one
        }
    )


def by_browser(_store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return 404: this account has no browser tokens."""
    raise api_error(404, "contact does not exist", "OBJECT_NOT_FOUND")


def update(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change a contact."""
    table = store.tables[CONTACTS.name]
    one = table.find(_read_contact(table, request).id)
    if one:
        store.write(
            table, one, written_properties(store, table, request.body["properties"], "property")
        )
    return ApiResponse(status=204)


def create_or_update(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Update the contact with an address, or create it."""
    table = store.tables[CONTACTS.name]
    one, is_new = _written(store, table, request.parameters["email"], request.body["properties"])
    return ApiResponse({"vid": one.id, "isNew": is_new})


def write_many(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Update or create many contacts by id or address; the response is empty."""
    table = store.tables[CONTACTS.name]
    for each in request.body:
        one = table.find(each["vid"]) if "vid" in each else None
        if one:
            store.write(
                table, one, written_properties(store, table, each["properties"], "property")
            )
        elif "email" in each:
            _written(store, table, each["email"], each["properties"])
        else:
            raise invalid(f"contact {each.get('vid')} does not exist")
    return ApiResponse(status=202)


def archive(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Archive a contact."""
    table = store.tables[CONTACTS.name]
    id = _read_contact(table, request).id
    if one := table.find(id):
        store.archive(table, one)
    return ApiResponse({"vid": id, "deleted": True, "reason": "OK"})


def merge(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Merge two contacts; the response is the text SUCCESS."""
    table = store.tables[CONTACTS.name]
    primary = table.find(request.parameters["vid"])
    other = table.find(str(request.body.get("vidToMerge")))
    for one, name in ((primary, "canonical vid"), (other, "vid to merge")):
        if one is None:
            message = f"{name} is not a valid contact or is already in the process of being merged"
            raise api_error(400, message)
    if primary and other and primary is not other:
        store.merge(table, primary, other)
        return ApiResponse("SUCCESS", headers={"Content-Type": "application/json;charset=utf-8"})
    raise api_error(400, "Cannot merge a contact with itself")


def search(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Find contacts by words."""
    table, words = store.tables[CONTACTS.name], request.query.get("q") or ""
    ids, total = find_records(store, table, {"query": words})
    start = parse_integer(request.query.get("offset") or 0)
    end = start + page_size(request.query.get("count"), 20, 100)
    names = request.query.getlist("property")
    page = filter(None, map(table.read, ids[start:end]))
    contacts = [in_list(table, one, names or list(one.properties)) for one in page]
    return ApiResponse(
        {
            "query": words,
            "offset": end,
            "has-more": end < total,
            "total": total,
            "contacts": contacts,
        }
    )


def in_list(table: ObjectTable, one: Record, names: Iterable[str] = ()) -> dict[str, Any]:
    """Write a contact as lists and searches do: values without history."""
    values = {
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
    return _identifiers(one) | {
        "properties": values,
        "form-submissions": [],
        "identity-profiles": [profile],
        "merge-audits": [],
    }


def _profile(table: ObjectTable, one: Record, names: Iterable[str]) -> dict[str, Any]:
    """Write a contact as reads of a single one do."""
    values = {
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
    return _identifiers(one) | {
        "properties": values,
        "form-submissions": [],
        "list-memberships": [],
        "identity-profiles": [profile],
        "merge-audits": [],
    }


def _identifiers(one: Record) -> dict[str, Any]:
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
    identities: list[dict[str, Any]] = [
        {"type": "LEAD_GUID", "value": guid, "timestamp": one.created_at}
    ]
    if email := one.properties.get("email"):
        address = {"type": "EMAIL", "value": email, "timestamp": one.created_at, "is-primary": True}
        identities.insert(0, address)
    return identities


def _written(
    store: HubSpotStore, table: ObjectTable, email: str, pairs: list[dict[str, Any]]
) -> tuple[Record, bool]:
    values = written_properties(store, table, pairs, "property")
    existing = table.read_by("email", email)
    one = table.find(existing.id) if existing else None
    if one is None:
        named = written_properties(
            store, table, [{"property": "email", "value": email}], "property"
        )
        return store.create(table, named | values), True
    store.write(table, one, values)
    return one, False


def _read_contact(table: ObjectTable, request: ApiRequest) -> Record:
    vid, email = request.parameters.get("vid"), request.parameters.get("email")
    one = table.read(vid) if vid else table.read_by("email", email or "")
    if one is None:
        error = {"message": f"The contact {vid or f'e:{email}'} does not exist."}
        raise api_error(404, "contact does not exist", "OBJECT_NOT_FOUND", errors=[error])
    return one


def _find_known(one: Record, email: str) -> ApiError:
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
    return ApiError(409, body)
