"""Writing with HubSpot's first API over HTTP; the schemas come from recorded traffic."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox.server import Sandbox, running

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Call = Callable[..., requests.Response]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with running(people=60, seed=11, now=NOW, rate_limits=False) as sandbox:
        yield sandbox


@pytest.fixture
def call(box: Sandbox) -> Call:
    """Send one request with the account's token."""

    def sent(method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {box.hubspot_token}"}
        url = box.url + path
        return requests.request(method, url, json=body, params=query, headers=headers, timeout=10)

    return sent


def contact(**values: str) -> dict[str, Any]:
    """Build a contact in the format of this API."""
    return {"properties": [{"property": name, "value": value} for name, value in values.items()]}


def record(**values: str) -> dict[str, Any]:
    """Build a company or a deal in the format of this API."""
    return {"properties": [{"name": name, "value": value} for name, value in values.items()]}


def vids(box: Sandbox) -> list[int]:
    """Return the ids of the live contacts."""
    return [one.id for one in box.hubspot.tables["contacts"].live()]


def test_a_new_contact_has_the_sent_values(call: Call) -> None:
    """Each value with its only version."""
    made = call("POST", "/contacts/v1/contact", contact(email="a@b.example", firstname="Anna"))

    assert made.status_code == 200
    assert made.json().keys() >= {"vid", "canonical-vid", "merged-vids", "identity-profiles"}
    assert list(made.json()["properties"]) == ["email", "firstname"]
    assert made.json()["properties"]["email"]["versions"][0]["source-type"] == "INTEGRATION"


def test_an_existing_address_is_a_conflict(call: Call) -> None:
    """The error names the contact that has it."""
    made = call("POST", "/contacts/v1/contact", contact(email="a@b.example"))
    again = call("POST", "/contacts/v1/contact", contact(email="a@b.example"))

    assert again.status_code == 409
    assert again.json()["error"] == "CONTACT_EXISTS"
    assert again.json()["identityProfile"]["vid"] == made.json()["vid"]


def test_the_error_of_an_invalid_value_has_no_category(call: Call) -> None:
    """It has the list of the first API."""
    refused = call("POST", "/contacts/v1/contact", contact(email="no address"))

    assert refused.status_code == 400
    assert "category" not in refused.json()
    assert refused.json()["validationResults"][0]["error"] == "INVALID_EMAIL"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_contact_is_a_json_error(call: Call, method: str) -> None:
    """Today's API returns a page of HTML."""
    error = call(method, "/contacts/v1/contact/vid/0/profile", contact(firstname="Anna"))

    assert error.status_code == 404
    assert error.headers["X-HubSpot-NotFound"] == "true"
    assert error.json()["category"] == "OBJECT_NOT_FOUND"
    assert error.json()["errors"] == [{"message": "The contact 0 does not exist."}]


def test_the_error_of_an_unknown_address_names_it(call: Call) -> None:
    """With a letter before it."""
    error = call("GET", "/contacts/v1/contact/email/a@b.example/profile").json()

    assert error["errors"] == [{"message": "The contact e:a@b.example does not exist."}]


def test_a_contact_is_returned_without_history(box: Sandbox, call: Call) -> None:
    """If the client requests values only."""
    path = f"/contacts/v1/contact/vid/{vids(box)[0]}/profile?propertyMode=value_only"

    assert {tuple(each) for each in call("GET", path).json()["properties"].values()} == {("value",)}


def test_a_large_count_of_lists_is_capped(call: Call) -> None:
    """Without an error; the offset shows the number."""
    response = call("GET", "/contacts/v1/lists?count=999").json()

    assert response["offset"] == 500
    assert len(response["lists"]) == response["total"]
    assert not response["has-more"]


def test_times_are_milliseconds(box: Sandbox, call: Call) -> None:
    """In values and in their versions."""
    one = call("GET", f"/contacts/v1/contact/vid/{vids(box)[0]}/profile").json()
    created = one["properties"]["createdate"]

    assert created["value"].isdecimal()
    assert created["versions"][0]["value"] == created["value"]


def test_an_update_of_a_contact_has_no_response_body(box: Sandbox, call: Call) -> None:
    """By its id, or by its address."""
    vid = vids(box)[0]
    path = f"/contacts/v1/contact/vid/{vid}/profile"
    changed = call("POST", path, contact(firstname="Anna"))

    assert (changed.status_code, changed.content) == (204, b"")
    assert call("GET", path).json()["properties"]["firstname"]["value"] == "Anna"


def test_an_upsert_by_address_says_whether_it_is_new(call: Call) -> None:
    """The second time it is not."""
    path = "/contacts/v1/contact/createOrUpdate/email/a@b.example"
    first, second = (call("POST", path, contact(firstname="Anna")).json() for _ in range(2))

    assert (first["isNew"], second["isNew"]) == (True, False)
    assert first["vid"] == second["vid"]


def test_many_contacts_are_written_at_once(box: Sandbox, call: Call) -> None:
    """By id or address; the response is empty."""
    vid = vids(box)[0]
    batch = [
        {"vid": vid, **contact(firstname="Anna")},
        {"email": "a@b.example", **contact(firstname="Berta")},
    ]
    taken = call("POST", "/contacts/v1/contact/batch/", batch)
    found = call("GET", "/contacts/v1/contact/emails/batch", email="a@b.example").json()

    assert taken.status_code == 202
    assert [one["properties"]["firstname"]["value"] for one in found.values()] == ["Berta"]


def test_all_contacts_come_in_pages_by_id(box: Sandbox, call: Call) -> None:
    """Each page has the start of the next one."""
    path = "/contacts/v1/lists/all/contacts/all"
    first = call("GET", path, count=40).json()
    rest = call("GET", path, count=100, vidOffset=first["vid-offset"]).json()

    assert first["has-more"] is True
    assert rest["has-more"] is False
    assert [one["vid"] for one in first["contacts"] + rest["contacts"]] == vids(box)


def test_recently_changed_contacts_come_newest_first(box: Sandbox, call: Call) -> None:
    """A page starts after a time and an id."""
    path = "/contacts/v1/lists/recently_updated/contacts/recent"
    first = call("GET", path, count=40).json()
    after = {"vidOffset": first["vid-offset"], "timeOffset": first["time-offset"]}
    rows = first["contacts"] + call("GET", path, count=100, **after).json()["contacts"]

    assert sorted(one["vid"] for one in rows) == vids(box)
    assert rows == sorted(rows, key=lambda one: -one["addedAt"])


def test_merged_contacts_have_a_new_id(box: Sandbox, call: Call) -> None:
    """The response is one word."""
    one, other = vids(box)[:2]
    merged = call("POST", f"/contacts/v1/contact/merge-vids/{one}/", {"vidToMerge": other})
    found = call("GET", f"/contacts/v1/contact/vid/{one}/profile").json()

    assert (merged.status_code, merged.text) == (200, "SUCCESS")
    assert {one, other} <= set(found["merged-vids"])


def test_an_unknown_contact_is_not_merged(box: Sandbox, call: Call) -> None:
    """The error names it."""
    refused = call("POST", "/contacts/v1/contact/merge-vids/1/", {"vidToMerge": vids(box)[0]})

    assert refused.status_code == 400
    assert refused.json()["message"].startswith("canonical vid is not a valid contact")


def test_archiving_a_contact_is_confirmed(box: Sandbox, call: Call) -> None:
    """It is not found afterwards."""
    vid = vids(box)[0]
    archived = call("DELETE", f"/contacts/v1/contact/vid/{vid}")

    assert archived.json() == {"vid": vid, "deleted": True, "reason": "OK"}
    assert call("GET", f"/contacts/v1/contact/vid/{vid}/profile").status_code == 404


def test_contacts_are_found_by_words(box: Sandbox, call: Call) -> None:
    """In pages with `offset`."""
    found = call("GET", "/contacts/v1/search/query", q="example", count=2).json()

    assert found["query"] == "example"
    assert found["has-more"] is (found["total"] > 2)
    assert len(found["contacts"]) == 2


def test_a_list_is_created_filled_and_deleted(box: Sandbox, call: Call) -> None:
    """A repeated member is discarded, an unknown contact is reported."""
    vid = vids(box)[0]
    made = call("POST", "/contacts/v1/lists", {"name": "mine", "dynamic": False}).json()
    path = f"/contacts/v1/lists/{made['listId']}"
    first = call("POST", f"{path}/add", {"vids": [vid, 7]}).json()
    again = call("POST", f"{path}/add", {"vids": [vid]}).json()
    members = call("GET", f"{path}/contacts/all").json()["contacts"]
    removed = call("DELETE", path)

    assert first == {"updated": [vid], "discarded": [], "invalidVids": [7], "invalidEmails": []}
    assert again["discarded"] == [vid]
    assert [one["vid"] for one in members] == [vid]
    assert removed.status_code == 204
    assert call("GET", path).status_code == 404


def test_a_company_is_created_found_changed_and_archived(call: Call) -> None:
    """Every response but the last has the whole company."""
    made = call("POST", "/companies/v2/companies", record(name="Yundt", domain="yundt.example"))
    path = f"/companies/v2/companies/{made.json()['companyId']}"
    by_domain = call("POST", "/companies/v2/domains/yundt.example/companies", {"limit": 5})
    changed = call("PUT", path, record(name="Lockman-Yundt"))
    archived = call("DELETE", path)

    assert made.status_code == changed.status_code == 200
    assert [one["companyId"] for one in by_domain.json()["results"]] == [made.json()["companyId"]]
    assert changed.json()["properties"]["name"]["versions"][0]["value"] == "Lockman-Yundt"
    assert archived.json() == {"companyId": made.json()["companyId"], "deleted": True}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/companies/v2/companies/0", "This company 0 does not exist."),
        ("/deals/v1/deal/0", "This deal 0 does not exist."),
    ],
)
def test_an_unknown_record_is_not_changed(call: Call, path: str, expected: str) -> None:
    """The error names it."""
    response = call("PUT", path, record())

    assert response.status_code == 404
    assert response.json()["errors"] == [{"message": expected}]


def test_a_deal_is_created_with_associations(box: Sandbox, call: Call) -> None:
    """Its contact finds it."""
    vid = vids(box)[0]
    links = {"associatedVids": [vid], "associatedCompanyIds": []}
    made = call("POST", "/deals/v1/deal", {"associations": links, **record(amount="30")}).json()
    of_contact = call("GET", f"/deals/v1/deal/associated/contact/{vid}/paged").json()["deals"]

    assert made["associations"]["associatedVids"] == [vid]
    assert made["properties"]["amount"]["value"] == "30"
    assert made["dealId"] in [one["dealId"] for one in of_contact]


def test_an_engagement_is_logged_and_archived(box: Sandbox, call: Call) -> None:
    """An unknown contact is ignored."""
    vid = vids(box)[0]
    note = {
        "engagement": {"type": "NOTE"},
        "associations": {"contactIds": [None, vid]},
        "metadata": {"body": "A note"},
    }
    made = call("POST", "/engagements/v1/engagements", note).json()
    id = made["engagement"]["id"]
    path = f"/engagements/v1/engagements/{id}"
    of_contact = call("GET", f"/engagements/v1/engagements/associated/CONTACT/{vid}/paged").json()

    assert made["metadata"] == {"body": "A note"}
    assert made["associations"]["contactIds"] == [vid]
    assert id in [one["engagement"]["id"] for one in of_contact["results"]]
    assert call("DELETE", path).status_code == 204
    assert call("GET", path).status_code == 404


@pytest.mark.parametrize(
    "root", ["/properties/v1/contacts", "/properties/v2/contacts", "/contacts/v2"]
)
def test_properties_and_groups_are_created_and_deleted(call: Call, root: str) -> None:
    """Under all their roots."""
    group = {"name": "mine", "displayName": "Mine", "displayOrder": 100}
    definition = {"name": "own", "label": "Own", "groupName": "mine", "type": "string"}
    made_group = call("POST", f"{root}/groups", group).json()
    made = call("POST", f"{root}/properties", definition | {"fieldType": "text"})

    assert made_group.items() >= (group | {"deleted": False}).items()
    assert made.json()["groupName"] == "mine"
    assert call("DELETE", f"{root}/properties/named/own").status_code == 204
    assert call("DELETE", f"{root}/groups/named/mine").status_code == 204
    assert call("DELETE", f"{root}/properties/named/own").status_code == 404


def test_records_are_associated_by_a_type_number(box: Sandbox, call: Call) -> None:
    """1 is a contact's company."""
    vid, company = vids(box)[0], next(box.hubspot.tables["companies"].live()).id
    link = {"fromObjectId": vid, "toObjectId": company, "definitionId": 1}
    root = "/crm-associations/v1/associations"
    made = call("PUT", root, link | {"category": "HUBSPOT_DEFINED"})
    found = call("GET", f"{root}/{vid}/HUBSPOT_DEFINED/1").json()["results"]
    cut = call("PUT", f"{root}/delete", link | {"category": "HUBSPOT_DEFINED"})

    assert made.status_code == cut.status_code == 204
    assert company in found
    assert company not in call("GET", f"{root}/{vid}/HUBSPOT_DEFINED/1").json()["results"]


def test_owners_of_version_2_are_a_list(box: Sandbox, call: Call) -> None:
    """Found by their address."""
    owners = call("GET", "/owners/v2/owners").json()
    one = call("GET", "/owners/v2/owners", email=owners[0]["email"]).json()

    assert len(owners) == len(box.hubspot.owners)
    assert one == owners[:1]
