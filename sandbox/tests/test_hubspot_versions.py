"""The dated paths of HubSpot: what has one, and what differs from the numbered ones."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox.server import Sandbox, running

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DATES = ("2026-03", "2026-09")
FOUR_KEYS: dict[str, Any] = {
    "listIds": [],
    "processingTypes": [],
    "additionalProperties": [],
    "offset": 0,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(people=60, seed=11, now=NOW, rate_limits=False) as sandbox:
        yield sandbox


@pytest.fixture
def box(server: Sandbox) -> Iterator[Sandbox]:
    yield server
    server.hubspot.conditional_rules = []
    server.hubspot.ended_versions = {}
    server.hubspot.rate_limits = False
    server.hubspot.forms.pop("captured-1", None)


def call(
    box: Sandbox, method: str, path: str, body: Any = None, **parameters: Any
) -> requests.Response:
    headers = {"Authorization": f"Bearer {box.hubspot_token}"}
    return requests.request(
        method, box.url + path, json=body, params=parameters, headers=headers, timeout=10
    )


def new_contact(box: Sandbox, **values: str) -> str:
    store = box.hubspot
    return str(store.create(store.tables["contacts"], values).id)


def update(box: Sandbox, version: str, id: str, **values: str) -> requests.Response:
    path = "/crm/v3/objects/contacts" if version == "v3" else f"/crm/objects/{version}/contacts"
    body = {"inputs": [{"id": id, "properties": values}]}
    return call(box, "POST", f"{path}/batch/update", body)


@pytest.mark.parametrize("version", DATES)
@pytest.mark.parametrize(
    ("numbered", "dated"),
    [
        ("/crm/v3/objects/contacts", "/crm/objects/{}/contacts"),
        ("/crm/v3/properties/contacts", "/crm/properties/{}/contacts"),
        ("/crm/v3/owners", "/crm/owners/{}"),
        ("/crm/v3/pipelines/contacts", "/crm/pipelines/{}/contacts"),
        ("/crm/v3/lists/1/memberships", "/crm/lists/{}/1/memberships"),
        ("/events/v3/events", "/events/event-occurrences/{}"),
        ("/account-info/v3/details", "/account-info/{}/details"),
        ("/crm/v3/schemas", "/crm-object-schemas/{}/schemas"),
    ],
)
def test_a_dated_path_answers_as_the_numbered_one(
    box: Sandbox, version: str, numbered: str, dated: str
) -> None:
    """Only the links to the next page and a few added keys differ."""
    answers = [call(box, "GET", path).json() for path in (numbered, dated.format(version))]

    results = [answer.get("results") for answer in answers]
    assert answers[1]
    assert len(results[0] or ()) == len(results[1] or ())


@pytest.mark.parametrize(
    "path",
    [
        "/marketing/forms/2026-09",
        "/form-integrations/2026-09/submissions/forms/1",
        "/email/public/2026-09/events",
        "/crm/objects/2025-09/contacts",
        "/crm/objects/2027-03/contacts",
    ],
)
def test_what_has_no_dated_path_is_not_found(box: Sandbox, path: str) -> None:
    """An HTML page, as for any unknown path."""
    answer = call(box, "GET", path)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_the_next_link_of_a_dated_page_leads_to_another_version(box: Sandbox) -> None:
    """As in HubSpot's own examples: only `after` can be followed."""
    page = call(box, "GET", "/crm/objects/2026-09/contacts", limit=1).json()

    assert "/crm/v3/objects/contacts" in page["paging"]["next"]["link"]
    assert page["paging"]["next"]["after"]


def test_dated_associations_have_their_ids_as_text(box: Sandbox) -> None:
    """v4 writes numbers; both for many records and for one."""
    store = box.hubspot
    email = next(id for id in store.associations["emails", "contacts"])
    ids = {}
    for version, path in (
        ("v4", "/crm/v4/associations/emails/contacts/batch/read"),
        ("2026-09", "/crm/associations/2026-09/emails/contacts/batch/read"),
    ):
        answer = call(box, "POST", path, {"inputs": [{"id": str(email)}]}).json()
        ids[version] = answer["results"][0]["to"][0]["toObjectId"]
    path = f"/crm/objects/2026-09/emails/{email}/associations/contacts"
    (link, *_) = call(box, "GET", path).json()["results"]

    assert isinstance(ids["v4"], int)
    assert ids["2026-09"] == link["toObjectId"] == str(ids["v4"])


@pytest.mark.parametrize("absent", FOUR_KEYS)
def test_a_dated_search_of_lists_needs_four_keys(box: Sandbox, absent: str) -> None:
    """The numbered one needs none."""
    body = {key: value for key, value in FOUR_KEYS.items() if key != absent}

    assert call(box, "POST", "/crm/lists/2026-09/search", body).status_code == 400
    assert call(box, "POST", "/crm/v3/lists/search", body).status_code == 200
    full = call(box, "POST", "/crm/lists/2026-09/search", FOUR_KEYS)
    assert len(full.json()["lists"]) == len(box.hubspot.lists)


def test_a_conditional_rule_refuses_a_write_of_the_newest_version(box: Sandbox) -> None:
    """The refusal names the property that is missing; nothing is written."""
    box.hubspot.conditional_rules = [
        {"object": "contacts", "property": "lifecyclestage", "value": "lead", "requires": "phone"}
    ]
    id = new_contact(box)

    refused = update(box, "2026-09", id, bant_need="big")
    older = [update(box, version, id, bant_need=version) for version in ("v3", "2026-03")]
    filled = update(box, "2026-09", id, bant_need="big", phone="1")

    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["code"]) == (400, "MISSING_CONDITIONAL_REQUIRED_PROPERTY")
    assert error["context"] == {"propertyName": ["phone"]}
    assert [answer.status_code for answer in (*older, filled)] == [200, 200, 200]


@pytest.mark.parametrize(
    ("sent", "day"),
    [
        ("2026-09-30T10:30:00Z", "2026-09-30"),
        ("1790721000000", "2026-09-29"),
        ("1790721000", "2026-09-29"),
    ],
)
def test_the_newest_version_adjusts_a_date_and_says_so(box: Sandbox, sent: str, day: str) -> None:
    """Older ones refuse it. Seconds are taken for seconds."""
    id = new_contact(box)

    answer = update(box, "2026-09", id, bant_timeline=sent)

    (warning,) = answer.json()["warnings"]
    assert warning["category"] == "PROPERTY_VALUE_NORMALIZED"
    assert warning["context"]["normalizedValue"] == [day]
    stored = box.hubspot.tables["contacts"].read(id)
    assert stored
    assert stored.properties["bant_timeline"] == day
    assert update(box, "2026-03", id, bant_timeline="2026-09-30T10:30:00Z").status_code == 400


def test_spaces_around_a_value_are_accepted(box: Sandbox) -> None:
    """The refusal announced for 2025 was cancelled."""
    id = new_contact(box)

    assert update(box, "v3", id, onefunnel_standing=" lead ").status_code == 200
    stored = box.hubspot.tables["contacts"].read(id)
    assert stored
    assert stored.properties["onefunnel_standing"] == "lead"


def test_a_batch_refuses_an_id_that_was_merged_away(box: Sandbox) -> None:
    """A single update takes it, and changes the record that is left."""
    first, second = new_contact(box), new_contact(box)
    both = {"primaryObjectId": first, "objectIdToMerge": second}
    call(box, "POST", "/crm/v3/objects/contacts/merge", both)

    batch = update(box, "2026-09", second, bant_need="big")
    single = call(
        box, "PATCH", f"/crm/objects/2026-09/contacts/{second}", {"properties": {"bant_need": "1"}}
    )

    assert (batch.status_code, single.status_code) == (400, 200)
    assert single.json()["id"] not in (first, second)


@pytest.mark.parametrize("status", [404, 410])
def test_a_version_can_be_switched_off(box: Sandbox, status: int) -> None:
    """Where there is a dated path; the others go on."""
    box.hubspot.ended_versions = {"v3": status, "v4": status}

    ended = call(box, "GET", "/crm/v3/owners")
    labels = call(box, "GET", "/crm/v4/associations/deals/contacts/labels")
    going_on = [call(box, "GET", path) for path in ("/crm/owners/2026-09", "/marketing/v3/forms/")]

    assert (ended.status_code, labels.status_code) == (status, status)
    assert [answer.status_code for answer in going_on] == [200, 200]


def test_forms_of_other_types_are_left_out_without_a_word(box: Sandbox) -> None:
    """Unless their types, or all, are asked for."""
    known = next(iter(box.hubspot.forms.values()))
    box.hubspot.forms["captured-1"] = known | {"id": "captured-1", "formType": "captured"}

    def listed(**parameters: Any) -> set[str]:
        answer = call(box, "GET", "/marketing/v3/forms/", limit=100, **parameters)
        return {form["id"] for form in answer.json()["results"]}

    assert "captured-1" not in listed()
    assert listed(formTypes=["captured"]) == {"captured-1"}
    assert listed(formTypes="all") == set(box.hubspot.forms)
    assert call(box, "GET", "/marketing/v3/forms/", formTypes="popup").status_code == 400


def test_associations_have_a_limit_of_their_own(box: Sandbox) -> None:
    """150 calls in ten seconds, where other calls may be 190."""
    box.hubspot.rate_limits = True
    path = "/crm/associations/2026-09/deals/contacts/labels"
    statuses = [call(box, "GET", path).status_code for _ in range(152)]
    other = call(box, "GET", "/crm/owners/2026-09").status_code

    assert statuses[:150] == [200] * 150
    assert statuses[-1] == 429
    assert other == 200


@pytest.mark.parametrize(
    ("wrong", "error", "status"),
    [
        ("client_id", "invalid_client", "BAD_CLIENT_ID"),
        ("client_secret", "invalid_client", "BAD_CLIENT_SECRET"),
        ("refresh_token", "invalid_grant", "BAD_REFRESH_TOKEN"),
    ],
)
def test_the_token_endpoint_has_errors_of_its_own_form(
    box: Sandbox, wrong: str, error: str, status: str
) -> None:
    """`error` and `status`; no category."""
    form = {
        "grant_type": "refresh_token",
        "client_id": box.client_id,
        "client_secret": box.client_secret,
        "refresh_token": box.hubspot_refresh_token,
    } | {wrong: "wrong"}
    answer = requests.post(f"{box.url}/oauth/2026-09/token", data=form, timeout=10)

    body = answer.json()
    assert (answer.status_code, body["error"], body["status"]) == (400, error, status)
    assert "category" not in body
