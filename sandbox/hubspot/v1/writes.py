"""Companies, deals and associations in HubSpot's first API, for writing."""

from typing import Any, Final

from sandbox.hubspot.errors import ApiError, api_error
from sandbox.hubspot.request import ApiRequest, ApiResponse, page_size, parse_integer
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, ObjectTable, Record
from sandbox.hubspot.v1.contacts import in_list
from sandbox.hubspot.v1.records import company_json, deal_json
from sandbox.hubspot.v1.values import written_properties

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
"""Association type ids of the first API: (from, to)."""


def create_company(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Create a company."""
    one = _created(store, store.tables["companies"], request)
    return ApiResponse(company_json(store, one, [], True))


def update_company(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change a company."""
    id = request.parameters["record_id"]
    not_found = api_error(
        404,
        f"Couldn't find a company with the ID '{id}' in portal '{PORTAL_ID}'",
        "OBJECT_NOT_FOUND",
        errors=[{"message": f"This company {id} does not exist."}],
        subCategory="COMPANY_NOT_FOUND",
    )
    one = _changed(store, store.tables["companies"], request, not_found)
    return ApiResponse(company_json(store, one, [], True))


def archive_company(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Archive a company."""
    table = store.tables["companies"]
    one = table.find(request.parameters["record_id"])
    if one is None:
        raise api_error(404, "resource not found")
    store.archive(table, one)
    return ApiResponse({"companyId": one.id, "deleted": True})


def companies_of_domain(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Find companies by their domain."""
    domain = request.parameters["domain"].lower()
    names = (request.body.get("requestOptions") or {}).get("properties") or []
    after = parse_integer((request.body.get("offset") or {}).get("companyId") or 0)
    found = [
        one
        for one in store.tables["companies"].all_live()
        if one.id > after and one.properties.get("domain", "").lower() == domain
    ]
    limit = page_size(request.body.get("limit"), 20, 100)
    page = found[:limit]
    return ApiResponse(
        {
            "results": [company_json(store, one, names, False) for one in page],
            "hasMore": limit < len(found),
            "offset": {"companyId": page[-1].id if page else after, "isPrimary": True},
        }
    )


def vids_of_company(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the ids of a company's contacts."""
    page, more = _contacts_of_company(store, request)
    after = page[-1] if page else 0
    return ApiResponse({"vids": page, "hasMore": more, "vidOffset": after})


def contacts_of_company(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through a company's contacts."""
    page, more = _contacts_of_company(store, request)
    table = store.tables["contacts"]
    rows = [in_list(table, one) for one in filter(None, map(table.read, page))]
    after = page[-1] if page else 0
    return ApiResponse({"contacts": rows, "hasMore": more, "vidOffset": after})


def add_contact(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Link a contact to a company."""
    company, contact = _company_and_contact(store, request)
    store.associate("companies", company.id, "contacts", contact.id)
    return ApiResponse(company_json(store, company, [], True))


def remove_contact(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Unlink a contact from a company."""
    company, contact = _company_and_contact(store, request)
    store.dissociate("companies", company.id, "contacts", contact.id)
    return ApiResponse(status=204)


def create_deal(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Create a deal and its associations."""
    one = _created(store, store.tables["deals"], request)
    for key, ids in (request.body.get("associations") or {}).items():
        for id in ids if key in _LINKED_AT_BIRTH else ():
            store.associate("deals", one.id, _LINKED_AT_BIRTH[key], parse_integer(id))
    return ApiResponse(deal_json(store, one, [], True))


def update_deal(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change a deal."""
    id = request.parameters["record_id"]
    not_found = api_error(
        404,
        f"No deal found for dealId={id} portalId={PORTAL_ID}",
        "OBJECT_NOT_FOUND",
        errors=[{"message": f"This deal {id} does not exist."}],
    )
    one = _changed(store, store.tables["deals"], request, not_found)
    return ApiResponse(deal_json(store, one, [], True))


def archive_deal(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Archive a deal."""
    table = store.tables["deals"]
    one = table.find(request.parameters["record_id"])
    if one is None:
        raise api_error(404, "resource not found")
    store.archive(table, one)
    return ApiResponse(status=204)


def deals_of(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the deals of a contact or a company."""
    name = {"contact": "contacts", "company": "companies"}.get(request.parameters["kind"].lower())
    if name is None:
        raise api_error(400, f"Unable to infer object type from: {request.parameters['kind']}")
    ids = store.associated(name, parse_integer(request.parameters["record_id"]), "deals")
    start = parse_integer(request.query.get("offset") or 0)
    end = min(start + page_size(request.query.get("limit"), 100, 100), len(ids))
    found = filter(None, map(store.tables["deals"].read, ids[start:end]))
    names = request.query.getlist("properties")
    rows = [deal_json(store, one, names, False) for one in found]
    return ApiResponse({"deals": rows, "hasMore": end < len(ids), "offset": end})


def link_deal(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Link a deal to contacts or companies."""
    return _link_deal(store, request, linking=True)


def unlink_deal(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Unlink a deal from contacts or companies."""
    return _link_deal(store, request, linking=False)


def link(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Associate two records, or many pairs."""
    for one in _links(request):
        origin, target = _ends(parse_integer(one["definitionId"]))
        store.associate(
            origin, parse_integer(one["fromObjectId"]), target, parse_integer(one["toObjectId"])
        )
    return ApiResponse(status=204)


def unlink(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Remove the association of two records, or of many pairs."""
    for one in _links(request):
        origin, target = _ends(parse_integer(one["definitionId"]))
        store.dissociate(
            origin, parse_integer(one["fromObjectId"]), target, parse_integer(one["toObjectId"])
        )
    return ApiResponse(status=204)


def linked(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the ids of associated records."""
    origin, target = _ends(parse_integer(request.parameters["definition"]))
    ids = store.associated(origin, parse_integer(request.parameters["record_id"]), target)
    start = parse_integer(request.query.get("offset") or 0)
    end = min(start + page_size(request.query.get("limit"), 100, 100), len(ids))
    return ApiResponse({"results": ids[start:end], "hasMore": end < len(ids), "offset": end})


def update_many(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change many companies or deals; the response is empty."""
    table = store.tables[request.parameters["object"]]
    for each in request.body:
        if one := table.find(each["objectId"]):
            store.write(table, one, written_properties(store, table, each["properties"], "name"))
    return ApiResponse(status=202)


def _created(store: HubSpotStore, table: ObjectTable, request: ApiRequest) -> Record:
    return store.create(table, written_properties(store, table, request.body["properties"], "name"))


def _changed(
    store: HubSpotStore, table: ObjectTable, request: ApiRequest, not_found: ApiError
) -> Record:
    one = table.find(request.parameters["record_id"])
    if one is None:
        raise not_found
    store.write(table, one, written_properties(store, table, request.body["properties"], "name"))
    return one


def _contacts_of_company(store: HubSpotStore, request: ApiRequest) -> tuple[list[int], bool]:
    after = parse_integer(request.query.get("vidOffset") or 0)
    ids = sorted(
        store.associated("companies", parse_integer(request.parameters["record_id"]), "contacts")
    )
    ids = [id for id in ids if id > after]
    count = page_size(request.query.get("count"), 100, 100)
    return ids[:count], count < len(ids)


def _company_and_contact(store: HubSpotStore, request: ApiRequest) -> tuple[Record, Record]:
    company = store.tables["companies"].read(request.parameters["record_id"])
    contact = store.tables["contacts"].read(request.parameters["vid"])
    if company is None or contact is None:
        raise api_error(404, "resource not found")
    return company, contact


def _link_deal(store: HubSpotStore, request: ApiRequest, *, linking: bool) -> ApiResponse:
    name = {"contact": "contacts", "company": "companies"}.get(request.parameters["kind"].lower())
    deal = store.tables["deals"].read(request.parameters["record_id"])
    if name is None or deal is None:
        raise api_error(404, "resource not found")
    for id in request.query.getlist("id"):
        change = store.associate if linking else store.dissociate
        change("deals", deal.id, name, parse_integer(id))
    return ApiResponse(status=204)


def _links(request: ApiRequest) -> list[dict[str, Any]]:
    return request.body if isinstance(request.body, list) else [request.body]


def _ends(definition: int) -> tuple[str, str]:
    if definition not in _DEFINITIONS:
        raise api_error(400, f"{definition} is not an association definition", "VALIDATION_ERROR")
    return _DEFINITIONS[definition]
