"""Recorded requests get the same status and the same schema from the sandbox."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
import requests
from openapi_specs import ABSENT, FOLDER

from sandbox.salesforce.schema import Field, SObject
from sandbox.server import Sandbox

at_hand = pytest.mark.skipif(not FOLDER.is_dir(), reason=ABSENT)

PEOPLE = 25
CREATE = {"inputs": [{"properties": {"email": "siena@example.com", "lastname": "Dyer"}}]}
KNOWN = "$email"
HUBSPOT: dict[str, Any] = {
    "batch__create__contacts__success": CREATE,
    "batch__create__contacts__err-conflict": {"inputs": [{"properties": {"email": KNOWN}}]},
    "batch__create__contacts__err-partial-success": {
        "inputs": [
            *CREATE["inputs"],
            {"properties": {"email": KNOWN}, "objectWriteTraceId": "second"},
        ]
    },
    "batch__update__contacts__success": {
        "inputs": [{"id": "$contact", "properties": {"firstname": "Siena"}}]
    },
    "batch__update__contacts__err-partial-success": {
        "inputs": [
            {"id": "$contact", "properties": {"firstname": "Siena"}},
            {"id": "404404", "properties": {"firstname": "Markus"}},
        ]
    },
    "batch__update__contacts__err-duplicate-ids": {
        "inputs": [{"id": "$contact", "properties": {"firstname": "Siena"}}] * 2
    },
    "batch__update__contacts__err-many-invalid-properties": {
        "inputs": [{"id": "$contact", "properties": {"first000name": "Siena"}}]
    },
    "post-auth__account-info": None,
    "search__error-invalid-object": {"limit": 3},
}
SALESFORCE: dict[str, Any] = {
    "batch__create__contacts__err-bad-request": {"records": []},
    "batch__create__contacts__partial-but-allOrNone": {
        "allOrNone": True,
        "records": [
            {"attributes": {"type": "Contact"}, "FirstName": "Siena"},
            {"attributes": {"type": "Contact"}, "LastName": "Blevins"},
        ],
    },
    "batch__create__contacts__success": {
        "records": [{"attributes": {"type": "Contact"}, "LastName": "Blevins"}] * 2
    },
    "batch__update__contacts__err-each-no-ids": {
        "records": [{"attributes": {"type": "Contact"}, "LastName": "Blevins"}] * 2
    },
    "bulk__read-launch-job-account": {"operation": "query", "query": "SELECT Id FROM Account"},
    "bulk__write__launch-job-opportunity": {
        "object": "Opportunity",
        "operation": "upsert",
        "externalIdFieldName": "external_id__c",
        "contentType": "CSV",
        "lineEnding": "LF",
    },
    "rest__composite-graph-create": None,
    "rest__composite-graph-single-create-error": None,
    "rest__create-invalid-api-version": None,
    "rest__create-invalid-field": None,
    "rest__create-invalid-picklist-value": None,
    "rest__create-required-field-missing": None,
    "rest__create-unknown-object": None,
    "rest__create": None,
    "rest__query-malformed-soql": None,
    "rest__query-unknown-column": None,
    "rest__query-with-associated-data": None,
    "rest__query-with-subquery": None,
    "rest__query": None,
    "rest__update-malformed-id": None,
    "unknown-object": None,
}


@pytest.fixture
def send(box: Sandbox) -> Callable[[str, str, Any], tuple[dict[str, Any], requests.Response]]:
    """Send a recorded request to the sandbox, with a body if the recording lacks one."""
    _add_objects(box)
    contact = next(
        one for one in box.hubspot.tables["contacts"].live() if one.properties.get("email")
    )

    def sent(crm: str, name: str, body: Any) -> tuple[dict[str, Any], requests.Response]:
        example = orjson.loads((FOLDER / crm / "examples" / f"{name}.json").read_bytes())
        example_request = example["request"]
        content = orjson.dumps(example_request.get("body") if body is None else body).decode()
        content = content.replace("$contact", str(contact.id))
        content = content.replace("$email", contact.properties["email"])
        token = box.hubspot_token if crm == "hubspot" else box.salesforce_token
        query = example_request.get("query") or (
            {"q": "SELECT Id FROM Accout"} if "unknown" in name else {}
        )
        answer = requests.request(
            example_request["method"],
            box.url + example_request["path"],
            params=query,
            data=None if example_request["method"] == "GET" else content.encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            timeout=10,
        )
        return example["response"], answer

    return sent


def _add_objects(box: Sandbox) -> None:
    """Add the objects and fields of the recordings to the org."""
    org = box.salesforce
    name = Field("Name", "string", 80)
    rating = Field("Rating__c", "picklist", 255, values=("Excellent",), restricted=True)
    movie = {"Name": name, "Rating__c": rating, "ReleaseDate__c": Field("ReleaseDate__c", "date")}
    website = Field("Website__c", "url", 255, required=True)
    org.add(SObject("Movie__c", "a00", movie))
    org.add(SObject("Spaceship__c", "a01", {"Name": name, "Website__c": website}))
    org.define("Opportunity", Field("external_id__c", "string", 40, external=True))


@at_hand
@pytest.mark.parametrize("name", HUBSPOT)
def test_hubspot_responds_as_recorded(send: Any, name: str) -> None:
    """The properties of a record depend on the account, all else does not."""
    recorded, answer = send("hubspot", name, HUBSPOT[name])

    assert answer.status_code == recorded["status"]
    assert missing(recorded["body"], answer.json()) == []


@at_hand
@pytest.mark.parametrize("name", SALESFORCE)
def test_salesforce_responds_as_recorded(send: Any, name: str) -> None:
    """Errors have the same code, too."""
    recorded, answer = send("salesforce", name, SALESFORCE[name])

    assert answer.status_code == recorded["status"]
    assert missing(recorded["body"], answer.json()) == []
    assert codes(answer.json()) == codes(recorded["body"])


STAMP = "2019-04-16T12:20:33.000+0000"
IN_PUBLIC = {
    "a page of companies of version 2": (
        ("GET", "/companies/v2/companies/paged?limit=1", None),
        200,
        {
            "has-more": True,
            "offset": 2,
            "companies": [
                {
                    "portalId": 1,
                    "companyId": 1,
                    "isDeleted": False,
                    "properties": {},
                    "additionalDomains": [],
                    "stateChanges": [],
                    "mergeAudits": [],
                }
            ],
        },
    ),
    "a company of version 2 that is not there": (
        ("GET", "/companies/v2/companies/0", None),
        404,
        {"status": "error", "message": "resource not found", "correlationId": ""},
    ),
    "the deals' pipelines of version 1": (
        ("GET", "/deals/v1/pipelines", None),
        200,
        [
            {
                "pipelineId": "default",
                "label": "Sales Pipeline",
                "active": True,
                "displayOrder": 0,
                "staticDefault": True,
                "stages": [
                    {
                        "stageId": "",
                        "label": "",
                        "probability": 0.2,
                        "active": True,
                        "displayOrder": 0,
                        "closedWon": False,
                    }
                ],
            }
        ],
    ),
    "a body with a list in place of an object": (
        ("POST", "/crm/v3/objects/contacts/batch/update", {"inputs": [[]]}),
        400,
        {"status": "error", "message": "Invalid input JSON on line 3", "correlationId": ""},
    ),
    "a body that lacks what is required": (
        ("POST", "/crm/v3/objects/contacts/batch/update", {}),
        400,
        {"status": "error", "message": "", "correlationId": "", "category": "VALIDATION_ERROR"},
    ),
    "a job of Bulk API 1.0": (
        (
            "POST",
            "/services/async/45.0/job",
            {"operation": "query", "object": "Lead", "contentType": "CSV"},
        ),
        201,
        {
            "apexProcessingTime": 0,
            "apiActiveProcessingTime": 0,
            "apiVersion": 45.0,
            "assignmentRuleId": None,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "createdById": "",
            "createdDate": STAMP,
            "externalIdFieldName": None,
            "fastPathEnabled": False,
            "id": "",
            "numberBatchesCompleted": 1,
            "numberBatchesFailed": 0,
            "numberBatchesInProgress": 0,
            "numberBatchesQueued": 0,
            "numberBatchesTotal": 1,
            "numberRecordsFailed": 0,
            "numberRecordsProcessed": 664280,
            "numberRetries": 0,
            "object": "Lead",
            "operation": "query",
            "state": "Closed",
            "systemModstamp": STAMP,
            "totalProcessingTime": 0,
        },
    ),
}
"""Recordings of public projects without values: request, status, response."""


@pytest.mark.parametrize("name", IN_PUBLIC)
def test_responses_match_public_recordings(box: Sandbox, name: str) -> None:
    """Without a file outside of this project."""
    (method, path, body), status, recorded = IN_PUBLIC[name]
    headers = {
        "Authorization": f"Bearer {box.hubspot_token}",
        "X-SFDC-Session": box.salesforce_token,
    }
    answer = requests.request(method, box.url + path, json=body, headers=headers, timeout=10)

    assert answer.status_code == status
    assert missing(recorded, answer.json()) == []


def missing(recorded: Any, actual: Any, path: str = "$") -> list[str]:
    """Return the keys of a recorded response that are missing here or have another type."""
    match recorded, actual:
        case dict(), dict():
            depends = recorded and path.endswith(".properties")
            names = {"createdate": ""} if depends else recorded
            return [
                fault
                for name in names
                for fault in (
                    missing(recorded[name], actual[name], f"{path}.{name}")
                    if name in actual
                    else [f"{path}.{name}"]
                )
            ]
        case [first, *_], [other, *_]:
            return missing(first, other, f"{path}[0]")
        case [], list():
            return []
        case _:
            return [] if type(recorded) is type(actual) else [f"{path}: {type(actual).__name__}"]


def codes(body: Any) -> list[str]:
    """Return the error codes of a response."""
    errors = body if isinstance(body, list) else []
    inner = [error for one in errors for error in one.get("errors", [])]
    return [one.get("errorCode") or one.get("statusCode", "") for one in [*errors, *inner]]
