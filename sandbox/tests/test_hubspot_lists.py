"""HubSpot's lists, exports and single associations, over HTTP."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox.server import Sandbox, running

EXPORT = {
    "exportType": "LIST",
    "exportName": "customers",
    "format": "CSV",
    "language": "EN",
    "objectType": "CONTACT",
    "objectProperties": ["email", "lifecyclestage"],
    "exportInternalValuesOptions": ["NAMES", "VALUES"],
    "listId": "1",
    "overrideAssociatedObjectsPerDefinitionPerRowLimit": False,
}
Call = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with running(people=90, seed=5, now=now, rate_limits=False) as sandbox:
        yield sandbox


@pytest.fixture
def call(box: Sandbox) -> Call:
    """Send one request with the account's token."""

    def sent(method: str, path: str, body: Any = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {box.hubspot_token}"}
        return requests.request(method, box.url + path, json=body, headers=headers, timeout=10)

    return sent


def customers(box: Sandbox) -> list[str]:
    """Return the ids of the customers."""
    stages = ("customer", "evangelist")
    live = box.hubspot.tables["contacts"].live()
    return [str(one.id) for one in live if one.properties.get("lifecyclestage") in stages]


def test_a_list_is_found_by_its_name_and_has_its_size(box: Sandbox, call: Call) -> None:
    """Sizes are text, as all additional properties."""
    found = call("POST", "/crm/v3/lists/search", {"query": "cust"}).json()

    assert [one["name"] for one in found["lists"]] == ["Customers"]
    size = found["lists"][0]["additionalProperties"]["hs_list_size"]
    assert size == str(len(customers(box)))


def test_the_members_of_a_list_come_in_pages(call: Call) -> None:
    """The last page has no paging."""
    every = call("GET", "/crm/v3/lists/3/memberships").json()
    first = call("GET", "/crm/v3/lists/3/memberships?limit=2").json()
    after = first["paging"]["next"]["after"]
    rest = call("GET", f"/crm/v3/lists/3/memberships?after={after}").json()

    assert first["results"] + rest["results"] == every["results"]
    assert "paging" not in rest


def test_only_a_static_list_accepts_members(box: Sandbox, call: Call) -> None:
    """Unknown ids are reported."""
    id = customers(box)[0]
    added = call("PUT", "/crm/v3/lists/4/memberships/add", [id, "404404"]).json()
    removed = call("PUT", "/crm/v3/lists/4/memberships/remove", [id]).json()

    assert (added["recordsIdsAdded"], added["recordIdsMissing"]) == ([id], ["404404"])
    assert removed["recordIdsRemoved"] == [id]
    assert call("PUT", "/crm/v3/lists/1/memberships/add", [id]).status_code == 400


def test_an_export_runs_in_the_background(box: Sandbox, call: Call) -> None:
    """The URL of its file needs no token; only one export runs at a time."""
    started = call("POST", "/crm/v3/exports/export/async", EXPORT)
    second = call("POST", "/crm/v3/exports/export/async", EXPORT)
    states = [state(call, started) for _ in range(2)]
    text = requests.get(states[-1]["result"], timeout=10).text

    assert (started.status_code, second.status_code) == (202, 429)
    assert [one["status"] for one in states] == ["PROCESSING", "COMPLETE"]
    assert text.splitlines()[0] == '"Record ID","email","lifecyclestage"'
    assert [line.split('"')[1] for line in text.splitlines()[1:]] == customers(box)


def state(call: Call, started: requests.Response) -> Any:
    """Return the state of an export."""
    return call("GET", f"/crm/v3/exports/export/async/tasks/{started.json()['id']}/status").json()


def test_two_records_are_associated_and_dissociated(box: Sandbox, call: Call) -> None:
    """By the default type; an unknown id is an error."""
    contact = customers(box)[0]
    deal = next(box.hubspot.tables["deals"].live()).id
    path = f"/crm/v4/objects/contacts/{contact}/associations"
    made = call("PUT", f"{path}/default/deals/{deal}").json()
    linked = box.hubspot.associated("contacts", int(contact), "deals")
    call("DELETE", f"{path}/deals/{deal}")

    assert made["results"][0]["associationSpec"]["associationTypeId"] == 4
    assert deal in linked
    assert deal not in box.hubspot.associated("contacts", int(contact), "deals")
    assert call("PUT", f"{path}/default/deals/404").status_code == 400


def test_a_token_has_its_scopes(box: Sandbox, call: Call) -> None:
    """A wrong token is an error."""
    description = call("GET", f"/oauth/v1/access-tokens/{box.hubspot_token}").json()

    assert "crm.objects.contacts.read" in description["scopes"]
    assert call("GET", "/oauth/v1/access-tokens/nonsense").status_code == 401


def test_a_list_is_found_by_its_whole_name(call: Call) -> None:
    """Of its object type; part of the name does not match."""
    path = "/crm/v3/lists/object-type-id/0-1/name"

    assert call("GET", f"{path}/Customers").json()["list"]["listId"] == "1"
    assert call("GET", f"{path}/Custom").status_code == 404


def test_properties_are_read_and_archived_by_their_names(call: Call) -> None:
    """An unknown name makes a 207; HubSpot's own properties cannot be archived."""
    path = "/crm/v3/properties/contacts/batch"
    archived_ = call(
        "POST", f"{path}/archive", {"inputs": [{"name": "bant_need"}, {"name": "none"}]}
    )
    body = {"archived": False, "inputs": [{"name": "email"}, {"name": "bant_need"}]}
    read = call("POST", f"{path}/read", body)
    archived = call("POST", f"{path}/read", body | {"archived": True})
    own = call("POST", f"{path}/archive", {"inputs": [{"name": "email"}]})

    assert (archived_.status_code, read.status_code, own.status_code) == (204, 207, 400)
    assert read.json()["errors"][0]["context"] == {"name": ["bant_need"]}
    assert [one["name"] for one in archived.json()["results"]] == ["bant_need"]


@pytest.mark.parametrize(
    "path",
    [
        "/crm/v3/properties/contacts/groups/none",
        "/crm/v3/pipelines/deals/default/stages/none",
        "/marketing/v3/forms/none",
        "/settings/v3/users/none",
        "/email/public/v1/events/1/none",
        "/email/public/v1/campaigns/1",
    ],
)
def test_an_unknown_one_is_not_found(call: Call, path: str) -> None:
    """The error is JSON."""
    answer = call("GET", path)

    assert (answer.status_code, answer.json()["message"]) == (404, "resource not found")


def test_a_mail_event_is_read_by_the_two_parts_of_its_key(box: Sandbox, call: Call) -> None:
    """Its id alone is not a key."""
    event = box.hubspot.email_events[0]
    path = f"/email/public/v1/events/{event['created']}/{event['id']}"

    assert call("GET", path).json() == event
