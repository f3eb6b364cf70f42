"""Custom fields by the Tooling API, and who sees them."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox.server import Sandbox, running

SCORE = {"type": "Number", "label": "Score", "precision": 18, "scale": 2}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Serve a small org."""
    with running(people=5, seed=3, rate_limits=False) as sandbox:
        yield sandbox


def call(sandbox: Sandbox, method: str, path: str, body: Any = None) -> requests.Response:
    """Send a call with the session that is printed at the start."""
    headers = {"Authorization": f"Bearer {sandbox.salesforce_token}"}
    url = f"{sandbox.url}/services/data/v60.0{path}"
    return requests.request(method, url, json=body, headers=headers, timeout=10)


def described(sandbox: Sandbox) -> dict[str, Any]:
    """Return the fields of a lead that the user sees, by name."""
    answer = call(sandbox, "GET", "/sobjects/Lead/describe").json()
    return {field["name"]: field for field in answer["fields"]}


def test_a_new_field_is_seen_once_a_permission_set_grants_it(sandbox: Sandbox) -> None:
    """CustomField alone lists it before."""
    body = {"FullName": "Lead.New_Score__c", "Metadata": SCORE}
    created = call(sandbox, "POST", "/tooling/sobjects/CustomField", body)
    soql = "SELECT Id FROM CustomField WHERE DeveloperName = 'New_Score'"
    listed = call(sandbox, "GET", f"/tooling/query?q={soql}").json()
    before = described(sandbox)
    granted = {
        "SobjectType": "Lead",
        "Field": "Lead.New_Score__c",
        "PermissionsRead": True,
        "PermissionsEdit": True,
    }
    of_set = call(sandbox, "POST", "/sobjects/PermissionSet", {"Name": "x", "Label": "x"}).json()
    set_id = of_set["id"]
    call(sandbox, "POST", "/sobjects/FieldPermissions", granted | {"ParentId": set_id})
    unassigned = described(sandbox)
    user = sandbox.salesforce.user_id
    assignment = {"AssigneeId": user, "PermissionSetId": set_id}
    call(sandbox, "POST", "/sobjects/PermissionSetAssignment", assignment)

    assert (created.status_code, listed["totalSize"]) == (201, 1)
    assert "New_Score__c" not in before | unassigned
    assert described(sandbox)["New_Score__c"]["updateable"] is True


def test_a_picklist_is_read_changed_and_written_back(sandbox: Sandbox) -> None:
    """The metadata holds the values in their order."""
    soql = (
        "SELECT Id FROM CustomField WHERE DeveloperName = 'onefunnel_standing' "
        "AND TableEnumOrId = 'Lead'"
    )
    id = call(sandbox, "GET", f"/tooling/query?q={soql}").json()["records"][0]["Id"]
    metadata = call(sandbox, "GET", f"/tooling/sobjects/CustomField/{id}").json()["Metadata"]
    values = metadata["valueSet"]["valueSetDefinition"]["value"]
    values.append({"valueName": "evangelist", "label": "Evangelist", "default": False})

    changed = call(sandbox, "PATCH", f"/tooling/sobjects/CustomField/{id}", {"Metadata": metadata})

    options = [
        one["value"] for one in described(sandbox)["onefunnel_standing__c"]["picklistValues"]
    ]
    assert (changed.status_code, options[-1]) == (204, "evangelist")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(
            {"FullName": "Lead.Budget__c", "Metadata": SCORE},
            "DUPLICATE_DEVELOPER_NAME",
            id="twice",
        ),
        pytest.param(
            {"FullName": "Lead.X__c", "Metadata": {"type": "Number", "label": "X"}},
            "REQUIRED_FIELD_MISSING",
            id="no precision",
        ),
        pytest.param(
            {"FullName": "Lead.X__c", "Metadata": {"type": "Colour", "label": "X"}},
            "INVALID_TYPE",
            id="unknown type",
        ),
    ],
)
def test_a_wrong_definition_is_refused(sandbox: Sandbox, body: Any, code: str) -> None:
    """With the code in the shape of all REST errors."""
    refused = call(sandbox, "POST", "/tooling/sobjects/CustomField", body)

    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, code)
