"""Salesforce's other resources: searches, trees, the catalog, XML."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
import requests

from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import Field
from sandbox.server import Sandbox, running

REST = "/services/data/v60.0"
BULK = "/services/async/60.0"
Call = Callable[..., requests.Response]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    with running(people=60, seed=7, now=now, rate_limits=False) as sandbox:
        yield sandbox


@pytest.fixture
def call(box: Sandbox) -> Call:
    """Send one request in the first session."""

    def sent(method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        token = box.salesforce_token
        usual = {"Authorization": f"Bearer {token}", "X-SFDC-Session": token}
        kind = {"data": body.encode()} if isinstance(body, str) else {"json": body}
        url = box.url + path
        return requests.request(method, url, headers=usual | headers, timeout=10, **kind)

    return sent


def some(box: Sandbox, name: str) -> Row:
    """Return a live record."""
    return next(one for one in box.salesforce.tables[name].all() if not one.get("IsDeleted"))


def sosl(words: str, version: str = "60.0") -> str:
    """Write a search in SOSL as a path."""
    return f"/services/data/v{version}/search/?q={quote(words)}"


def test_words_are_found_in_the_searched_fields(box: Sandbox, call: Call) -> None:
    """In a scope of fields, in objects with fields, conditions and order."""
    contact = some(box, "Contact")
    text = f'FIND {{"{contact["LastName"]}"}} IN NAME FIELDS RETURNING Contact(Id, LastName '
    text += f"WHERE Id = '{contact['Id']}' ORDER BY LastName LIMIT 5), Lead(Id)"
    found = call("GET", sosl(text)).json()["searchRecords"]

    assert found[0]["attributes"]["type"] == "Contact"
    assert found[0]["Id"] == contact["Id"]
    assert found[0]["LastName"] == contact["LastName"]


def test_older_versions_return_a_list(call: Call) -> None:
    """Before 37.0."""
    assert isinstance(call("GET", sosl("FIND {example}", "36.0")).json(), list)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("FIND Anna", "MALFORMED_SEARCH"),
        ("FIND {a}", "MALFORMED_SEARCH"),
        ("FIND {Anna} RETURNING", "MALFORMED_SEARCH"),
        ("FIND {Anna} RETURNING Nothing(Id)", "INVALID_TYPE"),
        ("FIND {Anna} RETURNING Lead(Nothing)", "INVALID_FIELD"),
    ],
)
def test_an_invalid_search_is_an_error(call: Call, text: str, code: str) -> None:
    """With its own codes, and with those of queries."""
    refused = call("GET", sosl(text))

    assert refused.status_code == 400
    assert refused.json()[0]["errorCode"] == code


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_search_can_have_parameters(call: Call, method: str) -> None:
    """In the URL or in the body."""
    path = f"{REST}/parameterizedSearch"
    urls = {"GET": f"{path}?q=example&sobject=Lead&Lead.fields=id,name&Lead.limit=2", "POST": path}
    body = {"q": "example", "fields": ["id", "name"], "sobjects": [{"name": "Lead", "limit": 2}]}
    found = call(method, urls[method], body if method == "POST" else None).json()["searchRecords"]

    assert [sorted(one) for one in found] == [["Id", "Name", "attributes"]] * 2


def test_a_record_is_read_and_deleted_by_its_external_id(box: Sandbox, call: Call) -> None:
    """An unknown one is not found."""
    box.salesforce.define("Lead", Field("Key__c", "string", 40, external=True))
    path = f"{REST}/sobjects/Lead/Key__c/k1"
    made = call("PATCH", path, {"LastName": "Smith", "Company": "Smith Ltd"})
    read = call("GET", f"{path}?fields=LastName")

    assert read.json()["LastName"] == "Smith"
    assert read.json()["attributes"]["url"].endswith(made.json()["id"])
    assert call("DELETE", path).status_code == 204
    assert call("GET", path).status_code == 404


def test_records_that_share_an_external_id_are_listed(box: Sandbox, call: Call) -> None:
    """By their URLs, with 300."""
    box.salesforce.define("Lead", Field("Key__c", "string", 40, external=True))
    lead = {"LastName": "Smith", "Company": "Smith Ltd", "Key__c": "k2"}
    ids = [call("POST", f"{REST}/sobjects/Lead", lead).json()["id"] for _ in range(2)]
    several = call("GET", f"{REST}/sobjects/Lead/Key__c/k2")

    assert several.status_code == 300
    assert sorted(several.json()) == sorted(f"{REST}/sobjects/Lead/{one}" for one in ids)


def test_relationships_return_parents_and_children(box: Sandbox, call: Call) -> None:
    """A parent as a record, children as a query result."""
    contact = next(one for one in box.salesforce.tables["Contact"].all() if one.get("AccountId"))
    up = call("GET", f"{REST}/sobjects/Contact/{contact['Id']}/Account?fields=Name").json()
    down = call("GET", f"{REST}/sobjects/Account/{contact['AccountId']}/Contacts?fields=Id").json()

    assert up["attributes"]["type"] == "Account"
    assert contact["Id"] in [one["Id"] for one in down["records"]]
    assert call("GET", f"{REST}/sobjects/Contact/{contact['Id']}/Nothing").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/sobjects/Lead/describe/layouts",
        "/sobjects/Lead/listviews",
        "/sobjects/Lead/quickActions/New",
        "/tooling/sobjects/ApexClass/describe",
        "/chatter/users/me",
        "/analytics/reports",
        "/actions",
    ],
)
def test_a_missing_feature_is_not_found(call: Call, path: str) -> None:
    """Like an unknown object or resource."""
    missed = call("GET", REST + path)

    assert missed.status_code == 404
    assert missed.json()[0]["errorCode"] == "NOT_FOUND"


def test_a_tree_is_created_in_one_call(box: Sandbox, call: Call) -> None:
    """With the child records."""
    below = {"attributes": {"type": "Contact", "referenceId": "c"}, "LastName": "Smith"}
    above = {"attributes": {"type": "Account", "referenceId": "a"}, "Name": "Smith Ltd"}
    tree = {"records": [above | {"Contacts": {"records": [below]}}]}
    made = call("POST", f"{REST}/composite/tree/Account", tree)
    ids = {one["referenceId"]: one["id"] for one in made.json()["results"]}

    assert made.status_code == 201
    assert made.json()["hasErrors"] is False
    assert box.salesforce.tables["Contact"][ids["c"]]["AccountId"] == ids["a"]


def test_a_tree_with_an_error_creates_nothing(box: Sandbox, call: Call) -> None:
    """The response has only the errors."""
    before = len(box.salesforce.tables["Account"])
    below = {"attributes": {"type": "Contact", "referenceId": "c"}, "FirstName": "No last name"}
    above = {"attributes": {"type": "Account", "referenceId": "a"}, "Name": "Smith Ltd"}
    tree = {"records": [above | {"Contacts": {"records": [below]}}]}
    refused = call("POST", f"{REST}/composite/tree/Account", tree)

    assert refused.status_code == 400
    assert refused.json()["hasErrors"] is True
    assert [one["referenceId"] for one in refused.json()["results"]] == ["c"]
    assert refused.json()["results"][0]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert len(box.salesforce.tables["Account"]) == before


@pytest.mark.parametrize("root", [f"{REST}/query", f"{REST}/tooling/query"])
def test_queries_return_the_catalog(box: Sandbox, call: Call, root: str) -> None:
    """Objects and their fields as records."""
    text = "SELECT QualifiedApiName, DataType FROM FieldDefinition"
    text += " WHERE EntityDefinition.QualifiedApiName = 'Lead'"
    found = call("GET", f"{root}?q={quote(text)}").json()["records"]

    assert [one["QualifiedApiName"] for one in found] == list(box.salesforce.schema["Lead"].fields)


def test_only_the_tooling_api_has_custom_fields(call: Call) -> None:
    """For a query of the data API the object is unknown."""
    text = quote("SELECT Id, DeveloperName FROM CustomField WHERE TableEnumOrId = 'Lead'")

    assert call("GET", f"{REST}/tooling/query?q={text}").json()["totalSize"] > 0
    assert call("GET", f"{REST}/query?q={text}").json()[0]["errorCode"] == "INVALID_TYPE"


def test_long_catalogs_come_in_pages(call: Call) -> None:
    """With a locator, as all queries."""
    text = quote("SELECT Id FROM FieldDefinition")
    headers = {"Sforce-Query-Options": "batchSize=200"}
    first = call("GET", f"{REST}/tooling/query?q={text}", None, **headers).json()
    second = call("GET", first["nextRecordsUrl"]).json()

    assert first["done"] is False
    assert len(first["records"]) == 200
    assert second["records"]


def test_a_query_has_a_plan(call: Call) -> None:
    """Number of matching rows, of how many."""
    text = quote("SELECT Id FROM Lead")
    plan = call("GET", f"{REST}/query?explain={text}").json()["plans"][0]

    assert plan["sobjectType"] == "Lead"
    assert plan["leadingOperationType"] == "TableScan"
    assert 0 < plan["cardinality"] <= plan["sobjectCardinality"]


def test_a_parameter_overrides_the_method(box: Sandbox, call: Call) -> None:
    """For clients that cannot send PATCH."""
    path = f"{REST}/sobjects/Account/{some(box, 'Account')['Id']}"

    assert call("POST", f"{path}?_HttpMethod=PATCH", {"Name": "Other Ltd"}).status_code == 204
    assert call("GET", path).json()["Name"] == "Other Ltd"


def test_a_token_has_an_owner(box: Sandbox, call: Call) -> None:
    """At the URL in the token response."""
    login = {
        "grant_type": "client_credentials",
        "client_id": box.client_id,
        "client_secret": box.client_secret,
    }
    session = requests.post(f"{box.url}/services/oauth2/token", data=login, timeout=10).json()
    owner = call("GET", session["id"].removeprefix("https://login.salesforce.com")).json()

    assert owner["username"] == box.salesforce.credentials.username
    assert owner["urls"]["rest"] == f"{box.url}/services/data/v{{version}}/"
    assert owner["id"] == session["id"]


def test_a_token_is_introspected(box: Sandbox) -> None:
    """With the client secret."""
    credentials = {"client_id": box.client_id, "client_secret": box.client_secret}
    url = f"{box.url}/services/oauth2/introspect"
    good, bad = (
        requests.post(url, data=credentials | {"token": token}, timeout=10).json()
        for token in (box.salesforce_token, "none")
    )

    assert good["active"] is True
    assert bad == {"active": False}
    assert requests.post(url, data={"token": "x"}, timeout=10).status_code == 401


def job(call: Call, **fields: str) -> str:
    """Open a job of Bulk API 1.0 in XML, and return its id."""
    inside = "".join(f"<{name}>{one}</{name}>" for name, one in fields.items())
    body = f"<jobInfo>{inside}<contentType>XML</contentType></jobInfo>"
    made = call("POST", f"{BULK}/job", body, **{"Content-Type": "application/xml"})
    return made.text.partition("<id>")[2].partition("</id>")[0]


def texts_of(answer: requests.Response, name: str) -> list[str]:
    """Return the texts of all elements with a name."""
    return [one.partition(f"</{name}>")[0] for one in answer.text.split(f"<{name}>")[1:]]


def test_query_rows_come_in_xml(box: Sandbox, call: Call) -> None:
    """With their type, as the SOAP API writes them."""
    id = job(call, operation="query", object="Account")
    batch = texts_of(call("POST", f"{BULK}/job/{id}/batch", "SELECT Id, Name FROM Account"), "id")[
        0
    ]
    here = f"{BULK}/job/{id}/batch/{batch}/result"
    result = texts_of(call("GET", here), "result")[0]
    found = call("GET", f"{here}/{result}")

    assert found.headers["Content-Type"] == "application/xml"
    assert texts_of(found, "type")[0] == "Account"
    assert some(box, "Account")["Id"] in texts_of(found, "Id")


def test_rows_are_written_in_xml(box: Sandbox, call: Call) -> None:
    """Their results come in the order of the rows."""
    id = job(call, operation="insert", object="Lead")
    row = "<sObject><LastName>Smith</LastName><Company>Smith Ltd</Company></sObject>"
    rows = f"<sObjects>{row}<sObject><Company>No name</Company></sObject></sObjects>"
    batch = texts_of(call("POST", f"{BULK}/job/{id}/batch", rows), "id")[0]
    outcomes = call("GET", f"{BULK}/job/{id}/batch/{batch}/result")
    made = texts_of(outcomes, "id")[0]

    assert texts_of(outcomes, "success") == ["true", "false"]
    assert texts_of(outcomes, "statusCode") == ["REQUIRED_FIELD_MISSING"]
    assert box.salesforce.tables["Lead"][made]["LastName"] == "Smith"


def test_a_query_is_split_into_chunks_by_id(box: Sandbox, call: Call) -> None:
    """The sent batch is not processed; the batches of the chunks have all rows."""
    headers = {"Sforce-Enable-PKChunking": "chunkSize=10"}
    body = {"operation": "query", "object": "Lead", "contentType": "JSON"}
    id = call("POST", f"{BULK}/job", body, **headers).json()["id"]
    sent = call("POST", f"{BULK}/job/{id}/batch", "SELECT Id FROM Lead").json()
    batches = call("GET", f"{BULK}/job/{id}/batch").json()["batchInfo"]
    counts = [one["numberRecordsProcessed"] for one in batches]
    leads = [one for one in box.salesforce.tables["Lead"].all() if not one.get("IsDeleted")]

    assert sent["state"] == "NotProcessed"
    assert {one["state"] for one in batches[1:]} == {"Completed"}
    assert sum(counts) == len(leads) > 10
    assert max(counts) == 10


def test_a_compound_address_has_parts(box: Sandbox, call: Call) -> None:
    """It can be read, but not be written, and not in bulk."""
    lead = {"LastName": "Smith", "Company": "Smith Ltd", "City": "Tallahassee", "Country": "USA"}
    id = call("POST", f"{REST}/sobjects/Lead", lead).json()["id"]
    text = f"SELECT Address, City FROM Lead WHERE Id = '{id}'"
    found = call("GET", f"{REST}/query?q={quote(text)}").json()["records"][0]
    written = call("PATCH", f"{REST}/sobjects/Lead/{id}", {"Address": {"city": "Miami"}})
    body = {"operation": "query", "query": text}
    bulk = call("POST", f"{REST}/jobs/query", body)

    assert found["Address"] == {
        "city": "Tallahassee",
        "country": "USA",
        "geocodeAccuracy": None,
        "latitude": None,
        "longitude": None,
        "postalCode": None,
        "state": None,
        "street": None,
    }
    assert written.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    assert bulk.status_code == 400


def test_parts_of_an_address_name_the_compound_field(call: Call) -> None:
    """In describe, where extractors read it."""
    fields = call("GET", f"{REST}/sobjects/Contact/describe").json()["fields"]
    whole = {one["name"]: one["compoundFieldName"] for one in fields}

    assert whole["MailingCity"] == whole["MailingCountry"] == "MailingAddress"
    assert whole["MailingAddress"] is None


def test_the_organization_is_a_record(call: Call) -> None:
    """Clients query it to check their login."""
    text = quote("SELECT Id, Name, OrganizationType, IsSandbox FROM Organization")
    found = call("GET", f"{REST}/query?q={text}").json()

    assert found["totalSize"] == 1
    assert found["records"][0]["Id"].startswith("00D")
