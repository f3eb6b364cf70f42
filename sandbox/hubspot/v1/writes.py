"""Companies and deals as HubSpot's first API takes them, and the links between records."""

from typing import Any, Final

from sandbox.hubspot.errors import Refusal, refusal
from sandbox.hubspot.request import Answer, Call, page_size, whole
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, ObjectTable, Record
from sandbox.hubspot.v1.contacts import in_list
from sandbox.hubspot.v1.records import company_told, deal_told
from sandbox.hubspot.v1.values import sent

_LINKED_AT_BIRTH: Final = {"associatedVids": "contacts", "associatedCompanyIds": "companies"}
_DEFINITIONS: Final = {
    1: ("contacts", "companies"),
    2: ("companies", "contacts"),
    3: ("deals", "contacts"),
    4: ("contacts", "deals"),
    5: ("deals", "companies"),
    6: ("companies", "deals"),
    15: ("contacts", "tickets"),
    16: ("tickets", "contacts"),
}
"""What a link is, by the number the first API knew it by: from where, and to where."""


def create_company(store: HubSpotStore, call: Call) -> Answer:
    """Make a company."""
    one = _created(store, store.tables["companies"], call)
    return Answer(company_told(store, one, [], True))


def update_company(store: HubSpotStore, call: Call) -> Answer:
    """Change a company."""
    id = call.parameters["record_id"]
    gone = refusal(
        404,
        f"Couldn't find a company with the ID '{id}' in portal '{PORTAL_ID}'",
        "OBJECT_NOT_FOUND",
        errors=[{"message": f"This company {id} does not exist."}],
        subCategory="COMPANY_NOT_FOUND",
    )
    one = _changed(store, store.tables["companies"], call, gone)
    return Answer(company_told(store, one, [], True))


def archive_company(store: HubSpotStore, call: Call) -> Answer:
    """Archive a company."""
    table = store.tables["companies"]
    one = table.find(call.parameters["record_id"])
    if one is None:
        raise refusal(404, "resource not found")
    store.archive(table, one)
    return Answer({"companyId": one.id, "deleted": True})


def companies_of_domain(store: HubSpotStore, call: Call) -> Answer:
    """Find companies by their domain."""
    domain = call.parameters["domain"].lower()
    asked = (call.body.get("requestOptions") or {}).get("properties") or []
    after = whole((call.body.get("offset") or {}).get("companyId") or 0)
    found = [
        one
        for one in store.tables["companies"].all_live()
        if one.id > after and one.properties.get("domain", "").lower() == domain
    ]
    limit = page_size(call.body.get("limit"), 20, 100)
    page = found[:limit]
    return Answer(
        {
            "results": [company_told(store, one, asked, False) for one in page],
            "hasMore": limit < len(found),
            "offset": {"companyId": page[-1].id if page else after, "isPrimary": True},
        }
    )


def vids_of_company(store: HubSpotStore, call: Call) -> Answer:
    """Page through the ids of a company's contacts."""
    page, more = _contacts_of_company(store, call)
    after = page[-1] if page else 0
    return Answer({"vids": page, "hasMore": more, "vidOffset": after})


def contacts_of_company(store: HubSpotStore, call: Call) -> Answer:
    """Page through a company's contacts."""
    page, more = _contacts_of_company(store, call)
    table = store.tables["contacts"]
    told = [in_list(table, one) for one in filter(None, map(table.look, page))]
    after = page[-1] if page else 0
    return Answer({"contacts": told, "hasMore": more, "vidOffset": after})


def add_contact(store: HubSpotStore, call: Call) -> Answer:
    """Link a contact to a company."""
    company, contact = _company_and_contact(store, call)
    store.associate("companies", company.id, "contacts", contact.id)
    return Answer(company_told(store, company, [], True))


def remove_contact(store: HubSpotStore, call: Call) -> Answer:
    """Unlink a contact from a company."""
    company, contact = _company_and_contact(store, call)
    store.dissociate("companies", company.id, "contacts", contact.id)
    return Answer(status=204)


def create_deal(store: HubSpotStore, call: Call) -> Answer:
    """Make a deal and link it."""
    one = _created(store, store.tables["deals"], call)
    for key, ids in (call.body.get("associations") or {}).items():
        for id in ids if key in _LINKED_AT_BIRTH else ():
            store.associate("deals", one.id, _LINKED_AT_BIRTH[key], whole(id))
    return Answer(deal_told(store, one, [], True))


def update_deal(store: HubSpotStore, call: Call) -> Answer:
    """Change a deal."""
    id = call.parameters["record_id"]
    gone = refusal(
        404,
        f"No deal found for dealId={id} portalId={PORTAL_ID}",
        "OBJECT_NOT_FOUND",
        errors=[{"message": f"This deal {id} does not exist."}],
    )
    one = _changed(store, store.tables["deals"], call, gone)
    return Answer(deal_told(store, one, [], True))


def archive_deal(store: HubSpotStore, call: Call) -> Answer:
    """Archive a deal."""
    table = store.tables["deals"]
    one = table.find(call.parameters["record_id"])
    if one is None:
        raise refusal(404, "resource not found")
    store.archive(table, one)
    return Answer(status=204)


def deals_of(store: HubSpotStore, call: Call) -> Answer:
    """Page through the deals of a contact or a company."""
    name = {"contact": "contacts", "company": "companies"}.get(call.parameters["kind"].lower())
    if name is None:
        raise refusal(400, f"Unable to infer object type from: {call.parameters['kind']}")
    ids = store.associated(name, whole(call.parameters["record_id"]), "deals")
    start = whole(call.query.get("offset") or 0)
    end = min(start + page_size(call.query.get("limit"), 100, 100), len(ids))
    found = filter(None, map(store.tables["deals"].look, ids[start:end]))
    asked = call.query.getlist("properties")
    told = [deal_told(store, one, asked, False) for one in found]
    return Answer({"deals": told, "hasMore": end < len(ids), "offset": end})


def link_deal(store: HubSpotStore, call: Call) -> Answer:
    """Link a deal to contacts or companies."""
    return _link_deal(store, call, linking=True)


def unlink_deal(store: HubSpotStore, call: Call) -> Answer:
    """Unlink a deal from contacts or companies."""
    return _link_deal(store, call, linking=False)


def link(store: HubSpotStore, call: Call) -> Answer:
    """Link two records, or many pairs of them."""
    for one in _links(call):
        origin, target = _ends(whole(one["definitionId"]))
        store.associate(origin, whole(one["fromObjectId"]), target, whole(one["toObjectId"]))
    return Answer(status=204)


def unlink(store: HubSpotStore, call: Call) -> Answer:
    """Unlink two records, or many pairs of them."""
    for one in _links(call):
        origin, target = _ends(whole(one["definitionId"]))
        store.dissociate(origin, whole(one["fromObjectId"]), target, whole(one["toObjectId"]))
    return Answer(status=204)


def linked(store: HubSpotStore, call: Call) -> Answer:
    """Page through the ids that a record is linked to."""
    origin, target = _ends(whole(call.parameters["definition"]))
    ids = store.associated(origin, whole(call.parameters["record_id"]), target)
    start = whole(call.query.get("offset") or 0)
    end = min(start + page_size(call.query.get("limit"), 100, 100), len(ids))
    return Answer({"results": ids[start:end], "hasMore": end < len(ids), "offset": end})


def update_many(store: HubSpotStore, call: Call) -> Answer:
    """Change many companies or deals; nothing is told of them."""
    table = store.tables[call.parameters["object"]]
    for each in call.body:
        if one := table.find(each["objectId"]):
            store.write(table, one, sent(store, table, each["properties"], "name"))
    return Answer(status=202)


def _created(store: HubSpotStore, table: ObjectTable, call: Call) -> Record:
    return store.create(table, sent(store, table, call.body["properties"], "name"))


def _changed(store: HubSpotStore, table: ObjectTable, call: Call, gone: Refusal) -> Record:
    one = table.find(call.parameters["record_id"])
    if one is None:
        raise gone
    store.write(table, one, sent(store, table, call.body["properties"], "name"))
    return one


def _contacts_of_company(store: HubSpotStore, call: Call) -> tuple[list[int], bool]:
    after = whole(call.query.get("vidOffset") or 0)
    ids = sorted(store.associated("companies", whole(call.parameters["record_id"]), "contacts"))
    ids = [id for id in ids if id > after]
    count = page_size(call.query.get("count"), 100, 100)
    return ids[:count], count < len(ids)


def _company_and_contact(store: HubSpotStore, call: Call) -> tuple[Record, Record]:
    company = store.tables["companies"].look(call.parameters["record_id"])
    contact = store.tables["contacts"].look(call.parameters["vid"])
    if company is None or contact is None:
        raise refusal(404, "resource not found")
    return company, contact


def _link_deal(store: HubSpotStore, call: Call, *, linking: bool) -> Answer:
    name = {"contact": "contacts", "company": "companies"}.get(call.parameters["kind"].lower())
    deal = store.tables["deals"].look(call.parameters["record_id"])
    if name is None or deal is None:
        raise refusal(404, "resource not found")
    for id in call.query.getlist("id"):
        change = store.associate if linking else store.dissociate
        change("deals", deal.id, name, whole(id))
    return Answer(status=204)


def _links(call: Call) -> list[dict[str, Any]]:
    return call.body if isinstance(call.body, list) else [call.body]


def _ends(definition: int) -> tuple[str, str]:
    if definition not in _DEFINITIONS:
        raise refusal(400, f"{definition} is not an association definition", "VALIDATION_ERROR")
    return _DEFINITIONS[definition]
