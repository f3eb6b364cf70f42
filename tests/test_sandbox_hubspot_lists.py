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
    """Say who is one, by id."""
    stages = ("customer", "evangelist")
    live = box.hubspot.tables["contacts"].live()
    return [str(one.id) for one in live if one.properties.get("lifecyclestage") in stages]


def test_a_list_is_found_by_its_name_and_tells_its_size(box: Sandbox, call: Call) -> None:
    """Sizes are text, as all additional properties."""
    found = call("POST", "/crm/v3/lists/search", {"query": "cust"}).json()

    assert [one["name"] for one in found["lists"]] == ["Customers"]
    size = found["lists"][0]["additionalProperties"]["hs_list_size"]
    assert size == str(len(customers(box)))


def test_the_members_of_a_list_come_in_pages(call: Call) -> None:
    """Until one has no paging."""
    every = call("GET", "/crm/v3/lists/3/memberships").json()
    first = call("GET", "/crm/v3/lists/3/memberships?limit=2").json()
    after = first["paging"]["next"]["after"]
    rest = call("GET", f"/crm/v3/lists/3/memberships?after={after}").json()

    assert first["results"] + rest["results"] == every["results"]
    assert "paging" not in rest


def test_only_a_list_filled_by_hand_takes_members(box: Sandbox, call: Call) -> None:
    """Ids of nobody are told."""
    id = customers(box)[0]
    added = call("PUT", "/crm/v3/lists/4/memberships/add", [id, "404404"]).json()
    removed = call("PUT", "/crm/v3/lists/4/memberships/remove", [id]).json()

    assert (added["recordsIdsAdded"], added["recordIdsMissing"]) == ([id], ["404404"])
    assert removed["recordIdsRemoved"] == [id]
    assert call("PUT", "/crm/v3/lists/1/memberships/add", [id]).status_code == 400


def test_an_export_is_made_while_nobody_looks(box: Sandbox, call: Call) -> None:
    """Its file lies at an address that needs no token; one export at a time."""
    started = call("POST", "/crm/v3/exports/export/async", EXPORT)
    second = call("POST", "/crm/v3/exports/export/async", EXPORT)
    states = [state(call, started) for _ in range(2)]
    text = requests.get(states[-1]["result"], timeout=10).text

    assert (started.status_code, second.status_code) == (202, 429)
    assert [one["status"] for one in states] == ["PROCESSING", "COMPLETE"]
    assert text.splitlines()[0] == '"Record ID","email","lifecyclestage"'
    assert [line.split('"')[1] for line in text.splitlines()[1:]] == customers(box)


def state(call: Call, started: requests.Response) -> Any:
    """Ask how far an export is."""
    return call("GET", f"/crm/v3/exports/export/async/tasks/{started.json()['id']}/status").json()


def test_two_records_are_linked_and_unlinked(box: Sandbox, call: Call) -> None:
    """By the usual type of link; a link to nobody is refused."""
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


def test_a_token_tells_what_it_may(box: Sandbox, call: Call) -> None:
    """A wrong one is refused."""
    told = call("GET", f"/oauth/v1/access-tokens/{box.hubspot_token}").json()

    assert "crm.objects.contacts.read" in told["scopes"]
    assert call("GET", "/oauth/v1/access-tokens/nonsense").status_code == 401
