"""Rules of the administrator, upserts by an external id, and composite requests."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox.salesforce.validation_rules import duplicate_rule, validation_rule
from sandbox.server import Sandbox, running

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROOT = "/services/data/v60.0"
ADA = {"LastName": "Lovelace", "Company": "Engines", "Email": "ada@example.com"}
Call = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def org() -> Iterator[Sandbox]:
    with running(people=20, seed=5, now=NOW, rate_limits=False) as sandbox:
        yield sandbox


@pytest.fixture
def box(org: Sandbox) -> Iterator[Sandbox]:
    """The org without rules."""
    yield org
    org.salesforce.rules.clear()


@pytest.fixture
def call(box: Sandbox) -> Call:
    """Send one request."""

    def sent(method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        return requests.request(
            method,
            f"{box.url}{path if path.startswith('/') else f'{ROOT}/{path}'}",
            json=body,
            headers={"Authorization": f"Bearer {box.salesforce_token}", **headers},
            timeout=10,
        )

    return sent


def test_a_validation_rule_fails_with_the_administrators_message(box: Sandbox, call: Call) -> None:
    """The rule checks the record after the write."""
    when = "Status = 'Qualified' AND Title = null"
    validation_rule(box.salesforce, "Lead", when, "Qualified leads need a title")
    answer = call("POST", "sobjects/Lead", ADA | {"Status": "Qualified"})

    assert answer.status_code == 400
    assert answer.json() == [
        {
            "message": "Qualified leads need a title",
            "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "fields": [],
        }
    ]


def test_a_rule_can_be_a_failing_flow(box: Sandbox, call: Call) -> None:
    """Planned over HTTP, with the code of a flow."""
    code = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"
    rule = {"object": "Lead", "when": "Rating = 'Hot'", "message": "flow failed", "code": code}
    call("POST", "/_sandbox/salesforce/rules", rule)
    answer = call("POST", "sobjects/Lead", ADA | {"Rating": "Hot"})

    assert answer.json()[0]["errorCode"] == code


def test_the_error_of_a_duplicate_names_the_other_record(box: Sandbox, call: Call) -> None:
    """Under a key that the API misspells."""
    duplicate_rule(box.salesforce, "Lead", "Email")
    first = call("POST", "sobjects/Lead", ADA | {"Email": "copy@example.com"}).json()["id"]
    answer = call("POST", "sobjects/Lead", ADA | {"Email": "COPY@example.com"})

    assert answer.json()[0]["errorCode"] == "DUPLICATES_DETECTED"
    matched = answer.json()[0]["duplicateResut"]["matchResults"][0]["matchRecords"]
    assert [one["record"]["Id"] for one in matched] == [first]


@pytest.mark.parametrize(("blocks", "status"), [(False, 201), (True, 400)])
def test_a_header_allows_duplicates_that_only_alert(
    box: Sandbox, call: Call, blocks: bool, status: int
) -> None:
    """Not those that block."""
    duplicate_rule(box.salesforce, "Lead", "LastName", blocks=blocks)
    call("POST", "sobjects/Lead", ADA, **{"Sforce-Duplicate-Rule-Header": "allowSave=true"})
    answer = call(
        "POST", "sobjects/Lead", ADA, **{"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    )

    assert answer.status_code == status


def test_an_upsert_creates_a_record_and_then_updates_it(call: Call) -> None:
    """201, then 200, of one id."""
    path = "sobjects/Lead/Legacy_Id__c/A-1"
    made, changed = call("PATCH", path, ADA), call("PATCH", path, {"Title": "Countess"})

    assert (made.status_code, changed.status_code) == (201, 200)
    assert made.json() == changed.json() | {"created": True}
    assert changed.json()["created"] is False


def test_a_shared_external_id_returns_the_urls(call: Call) -> None:
    """300, and nothing is written."""
    ids = [
        call("POST", "sobjects/Lead", ADA | {"Legacy_Id__c": "A-2"}).json()["id"] for _ in range(2)
    ]
    answer = call("PATCH", "sobjects/Lead/Legacy_Id__c/A-2", {"Title": "Countess"})

    assert answer.status_code == 300
    assert answer.json() == [f"{ROOT}/sobjects/Lead/{one}" for one in ids]


def test_a_collection_is_upserted_record_by_record(call: Call) -> None:
    """Each says whether it is new; only one without the id fails."""
    records = [
        {"attributes": {"type": "Lead"}, **ADA, "Legacy_Id__c": "A-3"},
        {"attributes": {"type": "Lead"}, **ADA},
        {"attributes": {"type": "Lead"}, "Legacy_Id__c": "A-3", "Title": "Countess"},
    ]
    answer = call("PATCH", "composite/sobjects/Lead/Legacy_Id__c", {"records": records}).json()

    assert [(one["success"], one["created"]) for one in answer] == [
        (True, True),
        (False, False),
        (True, False),
    ]


def test_a_request_can_use_an_earlier_response(call: Call) -> None:
    """In its URL and in its body."""
    requested = [
        {
            "method": "POST",
            "url": f"{ROOT}/sobjects/Account",
            "referenceId": "firm",
            "body": {"Name": "Engines"},
        },
        {
            "method": "POST",
            "url": f"{ROOT}/sobjects/Contact",
            "referenceId": "ada",
            "body": {"LastName": "Lovelace", "AccountId": "@{firm.id}"},
        },
        {"method": "GET", "url": f"{ROOT}/sobjects/Contact/@{{ada.id}}", "referenceId": "read"},
        {"method": "GET", "url": f"{ROOT}/sobjects/Contact/@{{unknown.id}}", "referenceId": "none"},
    ]
    results = call("POST", "composite", {"compositeRequest": requested}).json()["compositeResponse"]

    assert [one["httpStatusCode"] for one in results] == [201, 201, 200, 400]
    assert results[2]["body"]["AccountId"] == results[0]["body"]["id"]
    assert results[3]["body"][0]["errorCode"] == "PROCESSING_HALTED"


def test_a_graph_is_one_transaction(call: Call) -> None:
    """Another graph of the same call is independent."""
    good = {
        "method": "POST",
        "url": f"{ROOT}/sobjects/Account",
        "referenceId": "good",
        "body": {"Name": "Graph Ltd"},
    }
    bad = good | {"referenceId": "bad", "body": {"Nothing__c": "x"}}
    graphs = [
        {"graphId": "one", "compositeRequest": [good]},
        {"graphId": "two", "compositeRequest": [good, bad]},
    ]
    results = call("POST", "composite/graph", {"graphs": graphs}).json()["graphs"]
    query = "query?q=SELECT COUNT() FROM Account WHERE Name = 'Graph Ltd'"

    assert [one["isSuccessful"] for one in results] == [True, False]
    assert call("GET", query).json()["totalSize"] == 1
