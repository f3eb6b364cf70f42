"""Planned faults, manual changes during a run, wrong clocks, and the scenarios."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from sandbox.faults import Fault, Faults
from sandbox.mutations import Edit, apply_edit
from sandbox.scenarios import IMPORT_SIZE, SCENARIOS, link_later
from sandbox.server import Sandbox

pytest_plugins = ["sandbox.pytest_plugin"]

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CONTACTS = "/crm/v3/objects/contacts"
Start = Callable[..., Sandbox]


def get(box: Sandbox, path: str, **query: Any) -> requests.Response:
    """Read from either CRM."""
    token = box.salesforce_token if path.startswith("/services") else box.hubspot_token
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(box.url + path, params=query, headers=headers, timeout=10)


def soql(box: Sandbox, query: str) -> list[dict[str, Any]]:
    """Query Salesforce."""
    response = get(box, "/services/data/v60.0/query", q=query).json()
    records: list[dict[str, Any]] = response["records"]
    return records


def test_a_probability_fails_the_same_calls_again() -> None:
    """The seed decides which; another seed fails others."""

    def struck(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.plan(Fault(path="/contacts", probability=0.3, times=None))
        return [faults.take("GET", CONTACTS) is not None for _ in range(200)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert 40 < sum(struck(1)) < 80


def test_faults_are_planned_by_the_fixture_and_by_a_list_over_http(crms: Start) -> None:
    """Each fails one call."""
    box = crms(faults=[Fault(path="/contacts", status=502)])
    planned = [{"path": "/companies", "status": 500}, {"path": "/deals", "status": 504}]
    requests.post(f"{box.url}/_sandbox/faults", json=planned, timeout=10)

    statuses = [get(box, f"/crm/v3/objects/{name}").status_code for name in ("contacts",) * 2]
    assert statuses == [502, 200]
    assert get(box, "/crm/v3/objects/companies").status_code == 500
    assert get(box, "/crm/v3/objects/deals").status_code == 504


def test_a_slow_body_is_complete_and_late(crms: Start) -> None:
    """Its headers arrive at once."""
    box = crms(faults=[Fault(path=CONTACTS, effect="slow_body", seconds=0.5)])
    began = time.monotonic()
    answer = get(box, CONTACTS, limit=100)

    assert time.monotonic() - began > 0.4
    assert answer.elapsed < timedelta(seconds=0.4)
    assert len(answer.json()["results"]) > 5


def test_clocks_can_be_skewed(crms: Start) -> None:
    """In the header Date and in time stamps of both CRMs."""
    box = crms()
    requests.post(f"{box.url}/_sandbox/clock", json={"skew_seconds": -3600}, timeout=10)
    contact = next(box.hubspot.tables["contacts"].live())
    headers = {"Authorization": f"Bearer {box.hubspot_token}"}
    answer = requests.patch(
        f"{box.url}{CONTACTS}/{contact.id}",
        json={"properties": {"city": "Oslo"}},
        headers=headers,
        timeout=10,
    )

    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    date = parsedate_to_datetime(answer.headers["Date"])
    assert abs(date - an_hour_ago) < timedelta(seconds=30)
    assert abs(box.salesforce.clock() - an_hour_ago) < timedelta(seconds=30)
    assert contact.history["city"][-1][0] / 1000 < an_hour_ago.timestamp() + 30


def test_a_user_edits_a_record_before_a_call(crms: Start) -> None:
    """A user can move a stage back, an API call cannot; the history names the user."""
    edit = {"crm": "hubspot", "object": "contacts", "set": {"lifecyclestage": "subscriber"}}
    box = crms(faults=[Fault(path="/owners", effect="edit", edit=edit)])
    contact = next(box.hubspot.tables["contacts"].live())
    get(box, "/crm/v3/owners")

    assert contact.properties["lifecyclestage"] == "subscriber"
    assert contact.history["lifecyclestage"][-1][1:] == ("subscriber", "CRM_UI")


def test_a_field_is_renamed_and_an_option_removed_in_both_crms(crms: Start) -> None:
    """A renamed field keeps its values; records keep the value of a removed option."""
    box = crms(people=40)
    drift = [
        {"crm": "hubspot", "object": "contacts", "rename": {"bant_need": "need"}},
        {"crm": "hubspot", "object": "contacts", "remove_options": {"lifecyclestage": ["lead"]}},
        {"crm": "salesforce", "object": "Lead", "rename": {"Need__c": "Needs__c"}},
        {"crm": "salesforce", "object": "Lead", "remove": ["Phone"]},
    ]
    statuses = [
        requests.post(f"{box.url}/_sandbox/edit", json=one, timeout=10).status_code for one in drift
    ]
    names = {one["name"] for one in get(box, "/crm/v3/properties/contacts").json()["results"]}
    stages = get(box, "/crm/v3/properties/contacts/lifecyclestage").json()["options"]
    described = get(box, "/services/data/v60.0/sobjects/Lead/describe").json()["fields"]
    fields = {one["name"] for one in described}

    assert statuses == [204] * 4
    assert ("need" in names, "bant_need" in names) == (True, False)
    assert "lead" not in {one["value"] for one in stages}
    assert ("Needs__c" in fields, "Need__c" in fields, "Phone" in fields) == (True, False, False)
    assert soql(box, "SELECT Id FROM Lead WHERE Needs__c != null")


def test_an_edit_can_use_up_the_daily_limit(crms: Start) -> None:
    """Each CRM then returns its own error."""
    box = crms()
    apply_edit(Edit(crm="hubspot", spend_quota=True), box)
    apply_edit(Edit(crm="salesforce", spend_quota=True), box)

    assert get(box, CONTACTS).json()["policyName"] == "DAILY"
    refused = get(box, "/services/data/v60.0/limits").json()
    assert refused[0]["errorCode"] == "REQUEST_LIMIT_EXCEEDED"


def test_a_lead_is_converted_between_two_runs(crms: Start) -> None:
    """It refers to a contact of a new account, which has its activity."""
    box = crms(people=60)
    busy = soql(box, "SELECT WhoId FROM Task WHERE Who.Type = 'Lead'")
    leads = box.salesforce.tables["Lead"]
    lead = next(one["WhoId"] for one in busy if not leads[one["WhoId"]].get("IsConverted"))
    apply_edit(Edit(crm="salesforce", object="Lead", ids=(lead,), convert=True), box)
    [converted] = soql(box, f"SELECT IsConverted, ConvertedContactId FROM Lead WHERE Id = '{lead}'")

    assert converted["IsConverted"] is True
    assert soql(box, f"SELECT Id FROM Task WHERE WhoId = '{lead}'") == []
    assert soql(box, f"SELECT Id FROM Task WHERE WhoId = '{converted['ConvertedContactId']}'")


def test_an_edit_of_an_unknown_record_is_an_error(crms: Start) -> None:
    """The message says what is wrong."""
    box = crms()
    edit = {"crm": "hubspot", "object": "contacts", "rename": {"nothing": "something"}}
    answer = requests.post(f"{box.url}/_sandbox/edit", json=edit, timeout=10)

    assert (answer.status_code, "nothing" in answer.text) == (400, True)


def test_an_import_has_one_time_stamp(crms: Start) -> None:
    """More records than a search returns."""
    box = crms(people=5, now=NOW, scenario="one_timestamp")
    stamps = [one.updated_at for one in box.hubspot.tables["contacts"].live()]
    query = "SELECT COUNT(Id) n FROM Lead GROUP BY SystemModstamp HAVING COUNT(Id) > 1000"

    assert stamps.count(stamps[-1]) == IMPORT_SIZE
    assert [one["n"] for one in soql(box, query)] == [IMPORT_SIZE]


def test_merges_form_chains(crms: Start) -> None:
    """The winner of a merge lost a later one; every old id returns the last record."""
    box = crms(people=60, scenario="merge_chains")
    rows = box.salesforce.tables["Lead"]
    lost = [one["MasterRecordId"] for one in rows.values() if one.get("MasterRecordId")]
    longest = max(
        (one.properties.get("hs_merged_object_ids", "") for one in contacts(box)), key=len
    )
    old = longest.split(";")

    assert [id for id in lost if rows[id].get("MasterRecordId")]
    assert len(old) >= 4
    assert len({get(box, f"{CONTACTS}/{id}").json()["id"] for id in old}) == 1


def contacts(box: Sandbox) -> list[Any]:
    """All live contacts."""
    return list(box.hubspot.tables["contacts"].live())


def test_a_formula_changes_without_a_time_stamp(crms: Start) -> None:
    """It is read-only and calculated."""
    box = crms(people=40, scenario="formula")
    [before] = soql(box, "SELECT Id, Fit_Formula__c, SystemModstamp FROM Lead LIMIT 1")
    box.salesforce.tables["Lead"][before["Id"]]["NumberOfEmployees"] = 9900
    [after] = soql(box, "SELECT Id, Fit_Formula__c, SystemModstamp FROM Lead LIMIT 1")

    assert after["Fit_Formula__c"] >= 99 > before["Fit_Formula__c"]
    assert after["SystemModstamp"] == before["SystemModstamp"]


def test_associations_can_be_added_later(crms: Start) -> None:
    """The time stamps of the e-mails stay."""
    box = crms(people=60, scenario="unlinked")
    emails = list(box.hubspot.tables["emails"].live())
    stamps = [one.updated_at for one in emails]
    before = [box.hubspot.associated("emails", one.id, "contacts") for one in emails]
    link_later(box)

    assert not any(before)
    assert all(box.hubspot.associated("emails", one.id, "contacts") for one in emails)
    assert [one.updated_at for one in emails] == stamps


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_both_crms_serve_every_scenario(crms: Start, scenario: str) -> None:
    """Also without other people."""
    box = crms(people=12, now=NOW, scenario=scenario)

    page = get(box, CONTACTS, limit=100, properties="firstname,lastname").json()["results"]
    assert page
    assert soql(box, "SELECT Id, FirstName, LastName FROM Lead LIMIT 50")


def test_both_crms_serve_an_empty_account(crms: Start) -> None:
    """No records, and the whole catalog."""
    box = crms(people=0)

    assert get(box, CONTACTS).json() == {"results": []}
    assert soql(box, "SELECT Id FROM Lead") == []
    assert get(box, "/crm/v3/properties/contacts").json()["results"]


@pytest.mark.parametrize(
    ("control", "body"),
    [
        pytest.param("faults", '{"effect": "explode"}', id="an unknown effect"),
        pytest.param("faults", '{"efect": "refuse"}', id="an unknown key"),
        pytest.param("faults", "{", id="no JSON"),
        pytest.param("edit", '{"crm": "hubspot", "sett": {}}', id="an unknown edit"),
        pytest.param("clock", "{}", id="no clock"),
        pytest.param("salesforce/hide", '{"object": "Leed", "fields": []}', id="no such object"),
        pytest.param("salesforce/rules", "[]", id="a list"),
        pytest.param("hubspot", "none", id="no settings"),
    ],
)
def test_an_invalid_control_call_is_an_error(crms: Start, control: str, body: str) -> None:
    """The response says why; no fault is planned."""
    box = crms()
    answer = requests.post(f"{box.url}/_sandbox/{control}", data=body, timeout=10)

    assert answer.status_code == 400
    assert answer.json()
    assert box.faults.planned() == []
