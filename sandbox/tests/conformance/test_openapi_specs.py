"""Each request of the vendors' documents that the sandbox serves: taken, answered in the
documented shape, and refused once it is damaged."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson
import pytest
import requests
from openapi_specs import ABSENT, FOLDER, OpenApiDocuments

from sandbox.server import Sandbox

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=ABSENT)

PEOPLE = 150
OBJECTS, LINKS, PROPERTIES = "/crm/v3/objects", "/crm/v4/associations", "/crm/v3/properties"
REST = "/services/data/v60.0"
TODAY = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
SPAN = f"start={TODAY - timedelta(days=7)}Z&end={TODAY}Z".replace(" ", "T")
LINK = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}
PROPERTY = {
    "name": "shoe_size",
    "label": "Shoe size",
    "type": "enumeration",
    "fieldType": "select",
    "groupName": "contactinformation",
    "options": [{"label": "Large", "value": "l", "hidden": False, "displayOrder": 0}],
}
EXPORT = {
    "exportType": "LIST",
    "exportName": "all",
    "format": "CSV",
    "language": "EN",
    "objectType": "CONTACT",
    "objectProperties": ["email"],
    "exportInternalValuesOptions": ["NAMES"],
    "listId": "4",
    "overrideAssociatedObjectsPerDefinitionPerRowLimit": False,
}
FILTER = {"propertyName": "email", "operator": "HAS_PROPERTY"}
SEARCH = {
    "filterGroups": [{"filters": [FILTER]}],
    "properties": ["email"],
    "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
    "limit": 5,
    "after": "0",
}
RECORD = {"attributes": {"type": "Lead"}, "id": "$lead", "Title": "CFO"}

SCHEMAS, LISTS = "/crm-object-schemas/v3/schemas", "/crm/v3/lists"
KIND = {
    "name": "car",
    "labels": {"singular": "Car", "plural": "Cars"},
    "requiredProperties": ["vin"],
    "properties": [{"name": "vin", "label": "VIN", "type": "string", "fieldType": "text"}],
    "associatedObjects": ["CONTACT"],
}
LIST = {"name": "mine", "objectTypeId": "0-1", "processingType": "MANUAL"}

READS = (
    f"{OBJECTS}/contacts?limit=3&properties=email,phone&associations=companies",
    f"{OBJECTS}/contacts?limit=3&propertiesWithHistory=lifecyclestage",
    f"{OBJECTS}/contacts?archived=true",
    f"{OBJECTS}/contacts/$contact",
    f"{OBJECTS}/contacts/$contact?propertiesWithHistory=lifecyclestage&associations=companies",
    f"{OBJECTS}/companies?limit=3",
    f"{OBJECTS}/deals?limit=3",
    f"{OBJECTS}/emails?limit=3",
    f"{OBJECTS}/calls?limit=3",
    f"{OBJECTS}/meetings?limit=3",
    f"{OBJECTS}/notes?limit=3",
    f"{OBJECTS}/tasks?limit=3",
    f"{OBJECTS}/communications?limit=3",
    f"{OBJECTS}/2-3604285?limit=3",
    "/crm/v4/objects/contacts/$contact/associations/companies",
    f"{LINKS}/contacts/companies/labels",
    "/crm/v3/lists/?listIds=1",
    "/crm/v3/lists/1",
    "/crm/v3/lists/3/memberships?limit=2",
    "/crm/v3/lists/object-type-id/0-1/name/Customers",
    "/crm/v3/lists/records/0-1/$contact/memberships",
    "/crm/v3/lists/3/memberships/join-order?limit=2",
    "/oauth/v1/access-tokens/$token",
    f"{OBJECTS}/tickets",
    f"{PROPERTIES}/contacts",
    f"{PROPERTIES}/contacts/email",
    f"{PROPERTIES}/contacts/groups",
    f"{PROPERTIES}/contacts/groups/contactinformation",
    "/crm-object-schemas/v3/schemas",
    "/crm-object-schemas/v3/schemas/contacts",
    "/crm/v3/pipelines/deals/default/stages",
    "/crm/v3/pipelines/deals/default/stages/closedwon",
    "/settings/v3/users/?limit=2",
    "/settings/v3/users/4800000",
    "/settings/v3/users/roles",
    "/settings/v3/users/teams",
    "/marketing/v3/forms/$form",
    "/marketing/v3/emails/",
    "/email/public/v1/campaigns/$campaign",
    "/crm/v3/pipelines/deals",
    "/crm/v3/pipelines/contacts/contacts-lifecycle-pipeline",
    "/crm/v3/owners/?limit=2",
    "/account-info/v3/details",
    "/account-info/v3/api-usage/daily/private-apps",
    "/marketing/v3/forms/",
    "/form-integrations/v1/submissions/forms/$form?limit=3",
    "/email/public/v1/events?limit=3",
    "/events/v3/events/?objectType=contact&eventType=e_visited_page&limit=3",
    "/events/v3/events/event-types",
    "/services/oauth2/userinfo",
    "/services/data",
    REST,
    f"{REST}/limits",
    f"{REST}/limits/recordCount?sObjects=Lead,Contact",
    f"{REST}/sobjects",
    f"{REST}/sobjects/Lead/describe",
    f"{REST}/sobjects/Lead/$lead",
    f"{REST}/sobjects/Lead/updated?{SPAN}",
    f"{REST}/sobjects/Lead/deleted?{SPAN}",
    f"{REST}/query?q=SELECT Id, Owner.Name FROM Lead",
    f"{REST}/queryAll?q=SELECT COUNT() FROM Lead",
    f"{REST}/query?q=SELECT Nothing FROM Lead",
    f"{REST}/query",
    f"{REST}/jobs/query",
    f"{REST}/jobs/ingest",
)
WRITES: tuple[tuple[str, str, Any], ...] = (
    ("POST", f"{OBJECTS}/contacts", {"properties": {"email": "a@example.com"}}),
    (
        "POST",
        f"{OBJECTS}/contacts",
        {"properties": {}, "associations": [{"to": {"id": "$company"}, "types": [LINK]}]},
    ),
    ("PATCH", f"{OBJECTS}/contacts/$contact", {"properties": {"firstname": "Ana"}}),
    ("POST", f"{OBJECTS}/contacts/batch/create", {"inputs": [{"properties": {"phone": "1"}}]}),
    (
        "POST",
        f"{OBJECTS}/contacts/batch/read",
        {"inputs": [{"id": "$contact"}], "properties": ["email"], "propertiesWithHistory": []},
    ),
    ("POST", f"{OBJECTS}/contacts/batch/read", {"inputs": [{"id": "1"}], "properties": ["email"]}),
    (
        "POST",
        f"{OBJECTS}/contacts/batch/update",
        {"inputs": [{"id": "$contact", "properties": {"firstname": "Ana"}}]},
    ),
    (
        "POST",
        f"{OBJECTS}/contacts/batch/upsert",
        {"inputs": [{"id": "u@example.com", "idProperty": "email", "properties": {}}]},
    ),
    ("POST", f"{OBJECTS}/contacts/batch/archive", {"inputs": [{"id": "$contact"}]}),
    ("POST", f"{OBJECTS}/contacts/search", SEARCH),
    ("POST", f"{OBJECTS}/companies/search", {"limit": 3}),
    (
        "POST",
        f"{OBJECTS}/contacts/merge",
        {"primaryObjectId": "$contact", "objectIdToMerge": "$other"},
    ),
    *(
        (
            "POST",
            f"{OBJECTS}/{name}/merge",
            {"primaryObjectId": f"${name}1", "objectIdToMerge": f"${name}2"},
        )
        for name in ("companies", "deals")
    ),
    ("POST", f"{OBJECTS}/contacts/gdpr-delete", {"objectId": "$contact"}),
    ("POST", f"{LINKS}/contacts/companies/batch/read", {"inputs": [{"id": "$contact"}]}),
    (
        "POST",
        f"{LINKS}/contacts/companies/batch/create",
        {"inputs": [{"from": {"id": "$contact"}, "to": {"id": "$company"}, "types": [LINK]}]},
    ),
    (
        "POST",
        f"{LINKS}/contacts/companies/batch/archive",
        {"inputs": [{"from": {"id": "$contact"}, "to": [{"id": "$company"}]}]},
    ),
    (
        "POST",
        f"{LINKS}/contacts/companies/batch/associate/default",
        {"inputs": [{"from": {"id": "$contact"}, "to": {"id": "$company"}}]},
    ),
    ("PUT", "/crm/v4/objects/contacts/$contact/associations/companies/$company", [LINK]),
    ("PUT", "/crm/v4/objects/contacts/$contact/associations/default/companies/$company", None),
    ("DELETE", "/crm/v4/objects/contacts/$contact/associations/companies/$company", None),
    ("DELETE", f"{OBJECTS}/contacts/$contact", None),
    ("POST", "/crm/v3/lists/search", {"query": "", "count": 2}),
    ("PUT", "/crm/v3/lists/4/memberships/add", ["$contact", "$other", "404404"]),
    ("PUT", "/crm/v3/lists/4/memberships/remove", ["$contact"]),
    ("POST", f"{LISTS}/", LIST),
    ("PUT", f"{LISTS}/4/update-list-name?listName=ours", None),
    (
        "PUT",
        f"{LISTS}/4/memberships/add-and-remove",
        {"recordIdsToAdd": ["$contact"], "recordIdsToRemove": []},
    ),
    ("DELETE", f"{LISTS}/4/memberships", None),
    ("DELETE", f"{LISTS}/4", None),
    ("POST", SCHEMAS, KIND),
    ("POST", f"{PROPERTIES}/contacts/groups", {"name": "mine", "label": "Mine"}),
    ("POST", "/crm/v3/exports/export/async", EXPORT),
    ("POST", f"{PROPERTIES}/contacts", PROPERTY),
    ("POST", f"{PROPERTIES}/contacts/batch/create", {"inputs": [PROPERTY]}),
    (
        "POST",
        f"{PROPERTIES}/contacts/batch/read",
        {"archived": False, "inputs": [{"name": "email"}, {"name": "phone"}]},
    ),
    ("POST", f"{PROPERTIES}/contacts/batch/archive", {"inputs": [{"name": "bant_need"}]}),
    ("PATCH", f"{PROPERTIES}/contacts/onefunnel_score", {"label": "Score"}),
    ("POST", f"{REST}/sobjects/Lead", {"LastName": "Lawful", "Company": "Lawful Ltd"}),
    ("PATCH", f"{REST}/sobjects/Lead/$lead", {"Title": "CFO"}),
    ("PATCH", f"{REST}/composite/sobjects", {"allOrNone": False, "records": [RECORD]}),
    (
        "POST",
        f"{REST}/composite/sobjects",
        {"records": [{"attributes": {"type": "Lead"}, "LastName": "L", "Company": "C"}]},
    ),
    ("POST", f"{REST}/composite/sobjects/Lead", {"ids": ["$lead"], "fields": ["Title"]}),
    (
        "POST",
        f"{REST}/composite",
        {
            "allOrNone": False,
            "compositeRequest": [
                {"method": "GET", "url": f"{REST}/sobjects/Lead/$lead", "referenceId": "one"}
            ],
        },
    ),
    (
        "POST",
        f"{REST}/composite/batch",
        {"batchRequests": [{"method": "GET", "url": "v60.0/sobjects/Lead/$lead"}]},
    ),
    ("POST", f"{REST}/jobs/query", {"operation": "query", "query": "SELECT Id FROM Lead"}),
    (
        "POST",
        f"{REST}/jobs/ingest",
        {
            "object": "Lead",
            "operation": "update",
            "contentType": "CSV",
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        },
    ),
)
WITH_BODY = [one for one in WRITES if one[2] is not None]


class Caller:
    """Sends requests to a sandbox, with ids of its records in place of `$lead` and others."""

    def __init__(self, box: Sandbox) -> None:
        """Log in to both CRMs, and choose records."""
        contacts = [str(one.id) for one in box.hubspot.tables["contacts"].live()]
        tables = box.hubspot.tables
        merging = {
            f"${name}{at}": str(one.id)
            for name in ("companies", "deals")
            for at, one in enumerate(islice(tables[name].live(), 2), 1)
        }
        leads = box.salesforce.tables["Lead"].values()
        self.ids = merging | {
            "$contact": contacts[0],
            "$other": contacts[1],
            "$company": str(next(box.hubspot.tables["companies"].live()).id),
            "$token": box.hubspot_token,
            "$form": next(iter(box.hubspot.forms)),
            "$campaign": str(box.hubspot.email_events[0]["emailCampaignId"]),
            "$lead": next(
                one["Id"]
                for one in leads
                if not one.get("IsDeleted") and not one.get("IsConverted")
            ),
        }
        self.url = box.url
        self.tokens = {True: box.salesforce_token, False: box.hubspot_token}

    def send(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Send one request."""
        token = self.tokens[path.startswith("/services")]
        return requests.request(
            method,
            self.url + self.filled(path),
            data=None if body is None else self.filled(orjson.dumps(body).decode()).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            timeout=20,
        )

    def filled(self, text: str) -> str:
        """Replace placeholders with ids."""
        for name, id in self.ids.items():
            text = text.replace(name, id)
        return text


@pytest.fixture
def caller(box: Sandbox) -> Caller:
    """A caller of the sandbox of this test."""
    return Caller(box)


def test_reads_return_the_documented_response(caller: Caller) -> None:
    """The recorder in front of the sandbox fails the test if one does not."""
    statuses = {path: caller.send("GET", path).status_code for path in READS}

    assert set(statuses.values()) <= {200, 400}
    assert [path for path, status in statuses.items() if status == 400] == [
        f"{OBJECTS}/2-3604285?limit=3",
        f"{REST}/query?q=SELECT Nothing FROM Lead",
        f"{REST}/query",
    ]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda it: str(it)[-60:])
def test_writes_return_the_documented_response(
    caller: Caller, method: str, path: str, body: Any
) -> None:
    """The recorder in front of the sandbox fails the test if one does not."""
    assert caller.send(method, path, body).status_code in (200, 201, 202, 204, 207)


@pytest.mark.parametrize(("method", "path", "body"), WITH_BODY, ids=lambda it: str(it)[-60:])
def test_damaged_writes_are_errors(
    caller: Caller, documents: OpenApiDocuments, method: str, path: str, body: Any
) -> None:
    """One key left out or of another type, wherever the document requires it."""
    operation = documents.find(method, caller.filled(path))
    assert operation
    taken = {
        label: caller.send(method, path, damaged).status_code
        for label, damaged in operation.damaged(body)
    }

    assert {label: status for label, status in taken.items() if not 400 <= status < 500} == {}
