"""Reading HubSpot's older APIs over HTTP."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox.server import Sandbox, running

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Get = Callable[..., Any]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with running(people=150, seed=7, now=NOW, rate_limits=False) as sandbox:
        yield sandbox


@pytest.fixture
def get(box: Sandbox) -> Get:
    """Read a path with the account's token."""

    def got(path: str, **query: Any) -> Any:
        headers = {"Authorization": f"Bearer {box.hubspot_token}"}
        answer = requests.get(box.url + path, params=query, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    return got


def ids(box: Sandbox, name: str) -> list[int]:
    """Return the ids of the live records of an object."""
    return [one.id for one in box.hubspot.tables[name].live()]


def paged(get: Get, path: str, key: str, more: str, **query: Any) -> list[dict[str, Any]]:
    """Read all pages by `offset`."""
    page = get(path, **query)
    rest = paged(get, path, key, more, **query | {"offset": page["offset"]}) if page[more] else []
    return [*page[key], *rest]


def test_companies_come_in_pages_with_the_requested_properties(box: Sandbox, get: Get) -> None:
    """Each value with its time and source."""
    found = paged(
        get, "/companies/v2/companies/paged", "companies", "has-more", limit=7, properties="name"
    )

    assert [one["companyId"] for one in found] == ids(box, "companies")
    assert {tuple(one["properties"]) for one in found} == {("name",)}
    assert isinstance(found[0]["properties"]["name"]["timestamp"], int)


def test_a_single_company_has_every_value(box: Sandbox, get: Get) -> None:
    """With its versions."""
    id = ids(box, "companies")[0]
    found = get(f"/companies/v2/companies/{id}")

    assert found["properties"]["hs_object_id"]["value"] == str(id)
    assert found["properties"]["name"]["versions"][0]["name"] == "name"


def test_deals_have_their_associations_on_request(box: Sandbox, get: Get) -> None:
    """Else the lists are empty."""
    linked, plain = (
        paged(
            get,
            "/deals/v1/deal/paged",
            "deals",
            "hasMore",
            limit=2,
            includeAssociations=is_requested,
        )
        for is_requested in ("true", "false")
    )

    assert [one["dealId"] for one in linked] == ids(box, "deals")
    assert all(one["associations"]["associatedVids"] for one in linked)
    assert not any(one["associations"]["associatedVids"] for one in plain)


@pytest.mark.parametrize("path", ["/companies/v2/companies", "/deals/v1/deal"])
def test_recent_changes_come_newest_first(get: Get, path: str) -> None:
    """With their number."""
    page = get(f"{path}/recent/modified", count=3)
    changed = [one["properties"]["hs_lastmodifieddate"]["value"] for one in page["results"]]

    assert changed == sorted(changed, reverse=True)
    assert page["total"] >= len(changed) == 3


@pytest.mark.parametrize(
    "path", ["/companies/v2/companies/1", "/deals/v1/deal/1", "/engagements/v1/engagements/1"]
)
def test_an_unknown_record_is_a_json_error(box: Sandbox, path: str) -> None:
    """Today's API returns a page of HTML."""
    headers = {"Authorization": f"Bearer {box.hubspot_token}"}
    answer = requests.get(box.url + path, headers=headers, timeout=10)

    assert (answer.status_code, answer.json()["message"]) == (404, "resource not found")


@pytest.mark.parametrize(
    "path",
    [
        "/companies/v2/properties",
        "/properties/v1/deals/properties",
        "/properties/v2/contact/properties",
    ],
)
def test_definitions_are_a_list(get: Get, path: str) -> None:
    """With the flags at their old places."""
    found = {one["name"]: one for one in get(path)}

    assert found["hs_object_id"]["readOnlyValue"]
    assert not found["hs_object_id"]["deleted"]


def test_pipelines_have_three_formats(get: Get) -> None:
    """Of one account."""
    first, second = get("/deals/v1/pipelines"), get("/crm-pipelines/v1/pipelines/deals")
    today = get("/crm/v3/pipelines/deals")["results"][0]["stages"]

    assert [one["stageId"] for one in first[0]["stages"]] == [one["id"] for one in today]
    assert [one["stageId"] for one in second["results"][0]["stages"]] == [
        one["id"] for one in today
    ]


def test_engagements_of_all_types_are_one_log(box: Sandbox, get: Get) -> None:
    """Each with its associations and the metadata of its type."""
    found = paged(get, "/engagements/v1/engagements/paged", "results", "hasMore", limit=50)
    kinds = ("emails", "calls", "meetings", "notes", "tasks")

    assert len(found) == sum(len(ids(box, kind)) for kind in kinds)
    assert any(one["associations"]["contactIds"] for one in found)
    assert get(f"/engagements/v1/engagements/{found[0]['engagement']['id']}") == found[0]


def test_engagements_are_read_from_a_time(get: Get) -> None:
    """The cursor starts after the last entry; none is lost, and none comes twice."""
    path = "/engagements/v1/engagements/modified/after"
    pages = [get(path, after=0, limit=20)]
    while pages[-1]["hasMore"]:
        pages.append(get(path, after=pages[-1]["after"], limit=20))
    found = [one["engagement"]["id"] for page in pages for one in page["results"]]
    recent = get("/engagements/v1/engagements/recent/modified", count=1)

    assert len(found) == len(set(found)) == recent["total"]
    assert recent["results"][0]["engagement"]["id"] == found[-1]


def test_mailings_have_the_counts_of_their_events(get: Get) -> None:
    """The list has the ids, each single mailing its counts."""
    found = get("/email/public/v1/campaigns/by-id", limit=500)["campaigns"]
    one = get(f"/email/public/v1/campaigns/{found[0]['id']}")

    assert found[0]["lastUpdatedTime"] >= found[-1]["lastUpdatedTime"]
    assert one["counters"]["sent"] == one["numIncluded"] > 0


def test_opt_outs_are_a_timeline(box: Sandbox, get: Get) -> None:
    """Of addresses and subscription types."""
    opt_outs = get("/email/public/v1/subscriptions/timeline", limit=1000)["timeline"]
    definition = get("/email/public/v1/subscriptions")["subscriptionDefinitions"][0]
    left = [one for one in box.hubspot.email_events if one["type"] == "STATUSCHANGE"]

    assert [one["recipient"] for one in opt_outs] == [one["recipient"] for one in left]
    assert {one["changes"][0]["subscriptionId"] for one in opt_outs} == {definition["id"]}


@pytest.mark.parametrize(
    ("path", "key"),
    [
        pytest.param("/automation/v3/workflows", "workflows", id="workflows"),
        pytest.param("/marketing-emails/v1/emails", "objects", id="mails"),
        pytest.param("/crm/v3/schemas", "results", id="custom objects"),
        pytest.param("/crm-object-schemas/2026-03/schemas", "results", id="dated"),
        pytest.param("/crm/v4/objects/tickets", "results", id="tickets"),
        pytest.param("/crm/v3/owners?archived=true", "results", id="former owners"),
    ],
)
def test_a_missing_feature_is_an_empty_list(get: Get, path: str, key: str) -> None:
    """Not an error."""
    assert get(path)[key] == []


def test_forms_users_and_teams_exist(box: Sandbox, get: Get) -> None:
    """Users are the owners."""
    forms, users = get("/forms/v2/forms"), get("/settings/v3/users", limit=5)
    [team] = get("/settings/v3/users/teams")["results"]

    assert {one["guid"] for one in forms} == set(box.hubspot.forms)
    assert users["results"][0]["id"] in team["userIds"]
    assert len(get("/settings/v3/users", limit=500)["results"]) == len(team["userIds"])


def test_an_object_type_is_described_with_its_properties(box: Sandbox, get: Get) -> None:
    """Also by its type id."""
    schema = get("/crm-object-schemas/v3/schemas/0-1")

    assert schema["fullyQualifiedName"] == "CONTACT"
    assert len(schema["properties"]) == len(box.hubspot.tables["contacts"].properties)


def test_associations_v3_have_names_instead_of_labels(box: Sandbox, get: Get) -> None:
    """A batch reads many; a record without one makes a 207."""
    companies = ids(box, "companies")
    inputs = [{"id": str(one)} for one in [*companies, 1]]
    answer = requests.post(
        f"{box.url}/crm/v3/associations/company/contact/batch/read",
        json={"inputs": inputs},
        headers={"Authorization": f"Bearer {box.hubspot_token}"},
        timeout=10,
    )
    first = answer.json()["results"][0]
    alone = get(f"/crm/v3/objects/companies/{first['from']['id']}/associations/contacts")

    assert answer.status_code == 207
    assert alone["results"] == first["to"]
    assert first["to"][0]["type"] == "company_to_contact"


def test_an_unknown_path_returns_html(box: Sandbox) -> None:
    """HubSpot's gateway does so."""
    answer = requests.get(f"{box.url}/crm/v9/nothing", timeout=10)

    assert (answer.status_code, answer.headers["Content-Type"]) == (
        404,
        "text/html;charset=iso-8859-1",
    )
