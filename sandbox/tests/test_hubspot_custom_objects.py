"""Custom objects, property groups, merges and associations v3, over HTTP."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox.server import Sandbox, running

CAR = {
    "name": "car",
    "labels": {"singular": "Car", "plural": "Cars"},
    "primaryDisplayProperty": "vin",
    "requiredProperties": ["vin"],
    "properties": [
        {"name": "vin", "label": "VIN", "type": "string", "fieldType": "text"},
        {"name": "doors", "label": "Doors", "type": "number", "fieldType": "number"},
    ],
    "associatedObjects": ["CONTACT"],
}
Call = Callable[..., requests.Response]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with running(people=150, seed=7, now=now, rate_limits=False) as sandbox:
        yield sandbox


@pytest.fixture
def call(box: Sandbox) -> Call:
    """Send one request with the account's token."""

    def sent(method: str, path: str, body: Any = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {box.hubspot_token}"}
        return requests.request(method, box.url + path, json=body, headers=headers, timeout=10)

    return sent


def test_a_custom_object_has_records_under_all_its_names(call: Call) -> None:
    """Name, full name with the account, and type id."""
    kind = call("POST", "/crm/v3/schemas", CAR)
    made = call("POST", "/crm/v3/objects/car", {"properties": {"vin": "1", "doors": 4}})
    names = ("car", kind.json()["fullyQualifiedName"], kind.json()["objectTypeId"])
    listed = [
        call("GET", f"/crm/v3/objects/{name}?properties=doors").json()["results"] for name in names
    ]

    assert (kind.status_code, made.status_code) == (201, 201)
    assert kind.json()["objectTypeId"].startswith("2-")
    assert [one[0]["properties"]["doors"] for one in listed] == ["4", "4", "4"]


def test_a_custom_record_without_required_properties_is_an_error(call: Call) -> None:
    """Singly and in a batch."""
    call("POST", "/crm/v3/schemas", CAR)
    alone = call("POST", "/crm/v3/objects/car", {"properties": {"doors": 4}})
    batch = {"inputs": [{"properties": {"doors": 4}}]}
    together = call("POST", "/crm/v3/objects/car/batch/create", batch)

    assert alone.status_code == together.status_code == 400
    assert alone.json()["context"] == {"properties": ["vin"]}


def test_custom_objects_are_listed_changed_and_deleted(call: Call) -> None:
    """One with records cannot be deleted."""
    call("POST", "/crm/v3/schemas", CAR)
    renamed = call("PATCH", "/crm/v3/schemas/car", {"labels": {"singular": "Auto"}})
    record = call("POST", "/crm/v3/objects/car", {"properties": {"vin": "1"}}).json()
    kept = call("DELETE", "/crm/v3/schemas/car")
    listed = call("GET", "/crm/v3/schemas").json()["results"]
    call("DELETE", f"/crm/v3/objects/car/{record['id']}")
    removed = call("DELETE", "/crm/v3/schemas/car")

    assert renamed.json()["labels"] == {"singular": "Auto"}
    assert [one["name"] for one in listed] == ["car"]
    assert (kept.status_code, removed.status_code) == (400, 204)
    assert call("GET", "/crm/v3/objects/car").status_code == 400


def test_custom_records_are_associated_and_searched(box: Sandbox, call: Call) -> None:
    """Like all others."""
    contact = next(box.hubspot.tables["contacts"].live()).id
    call("POST", "/crm/v3/schemas", CAR)
    car = call("POST", "/crm/v3/objects/car", {"properties": {"vin": "1"}}).json()["id"]
    path = f"/crm/v3/objects/car/{car}/associations/contacts"
    linked = call("PUT", f"{path}/{contact}/car_to_contact")
    by_vin = {"filters": [{"propertyName": "vin", "operator": "EQ", "value": "1"}]}

    assert linked.status_code == 200
    assert call("GET", path).json()["results"] == [{"id": str(contact), "type": "car_to_contact"}]
    assert call("POST", "/crm/v3/objects/car/search", by_vin).json()["total"] == 1


def test_associations_v3_have_names(box: Sandbox, call: Call) -> None:
    """Batches create and delete them too."""
    contact = next(box.hubspot.tables["contacts"].live()).id
    deal = next(box.hubspot.tables["deals"].live()).id
    pair = {"from": {"id": str(contact)}, "to": {"id": str(deal)}, "type": "contact_to_deal"}
    root = "/crm/v3/associations/contacts/deals"
    made = call("POST", f"{root}/batch/create", {"inputs": [pair]})
    unknown_pair = {"inputs": [pair | {"to": {"id": "1"}}]}
    path = f"/crm/v3/objects/contacts/{contact}/associations/deals"
    linked = call("GET", path).json()["results"]

    assert (made.status_code, made.json()["results"]) == (201, [pair])
    assert {"id": str(deal), "type": "contact_to_deal"} in linked
    assert call("POST", f"{root}/batch/create", unknown_pair).status_code == 207
    assert call("POST", f"{root}/batch/archive", {"inputs": [pair]}).status_code == 204
    assert {"id": str(deal), "type": "contact_to_deal"} not in call("GET", path).json()["results"]
    assert call("GET", f"{root}/types").json()["results"][0]["name"] == "contact_to_deal"


@pytest.mark.parametrize("name", ["companies", "deals"])
def test_records_of_any_object_are_merged(box: Sandbox, call: Call, name: str) -> None:
    """Both old ids return the new record."""
    one, other = [each.id for each in box.hubspot.tables[name].live()][:2]
    both = {"primaryObjectId": str(one), "objectIdToMerge": str(other)}
    merged = call("POST", f"/crm/v3/objects/{name}/merge", both)
    again = call("POST", f"/crm/v3/objects/{name}/merge", both)
    found = call("GET", f"/crm/v3/objects/{name}/{other}?properties=hs_merged_object_ids").json()

    assert merged.status_code == 200
    assert found["id"] == merged.json()["id"]
    assert found["properties"]["hs_merged_object_ids"] == f"{one};{other}"
    assert again.status_code == 400


def test_property_groups_are_created_changed_and_archived(call: Call) -> None:
    """One with properties cannot be archived."""
    root = "/crm/v3/properties/contacts/groups"
    made = call("POST", root, {"name": "custom", "label": "Mine"})
    again = call("POST", root, {"name": "custom", "label": "Mine"})
    changed = call("PATCH", f"{root}/custom", {"label": "Ours"})

    assert (made.status_code, again.status_code) == (201, 409)
    assert changed.json()["label"] == "Ours"
    assert call("DELETE", f"{root}/custom").status_code == 204
    assert call("GET", f"{root}/custom").status_code == 404
    assert call("DELETE", f"{root}/contactinformation").status_code == 400


def test_a_new_record_has_the_recorded_properties(call: Call) -> None:
    """A contact and a company start as leads."""
    values = {"email": "test@example.org", "lastname": "User"}
    contact = call("POST", "/crm/v3/objects/contacts", {"properties": values}).json()["properties"]
    company = call("POST", "/crm/v3/objects/companies", {"properties": {"name": "N"}}).json()

    assert contact.keys() >= {
        "createdate",
        "hs_all_contact_vids",
        "hs_email_domain",
        "hs_is_contact",
        "hs_is_unworked",
        "hs_lifecyclestage_lead_date",
        "hs_object_source_id",
        "hs_pipeline",
        "lifecyclestage",
    }
    assert company["properties"]["hs_pipeline"] == "companies-lifecycle-pipeline"
    assert company["properties"]["lifecyclestage"] == "lead"


def test_a_list_is_created_renamed_cleared_and_deleted(box: Sandbox, call: Call) -> None:
    """Its members were added one by one."""
    id = str(next(box.hubspot.tables["contacts"].live()).id)
    body = {"name": "custom", "objectTypeId": "0-1", "processingType": "MANUAL"}
    made = call("POST", "/crm/v3/lists/", body)
    path = f"/crm/v3/lists/{made.json()['list']['listId']}"
    change = {"recordIdsToAdd": [id], "recordIdsToRemove": []}
    added = call("PUT", f"{path}/memberships/add-and-remove", change)
    of_record = call("GET", f"/crm/v3/lists/records/0-1/{id}/memberships").json()["results"]

    assert call("POST", "/crm/v3/lists/", body).status_code == 409
    assert added.json()["recordsIdsAdded"] == [id]
    assert path.rpartition("/")[2] in [one["listId"] for one in of_record]
    assert call("PUT", f"{path}/update-list-name?listName=renamed").status_code == 200
    assert call("DELETE", f"{path}/memberships").status_code == 204
    assert call("GET", f"{path}/memberships").json()["results"] == []
    assert call("DELETE", path).status_code == 204
    assert call("GET", path).status_code == 404
