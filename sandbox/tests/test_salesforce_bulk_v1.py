"""The SOAP login and Bulk API 1.0, called by older clients over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
)

from sandbox.salesforce.xml import XmlError, leaves
from sandbox.server import Sandbox, running

ORGANIZATION = "00Dak0000000001"


class PlainHttp(HTTPAdapter):
    """Sends to the sandbox what a client would send to Salesforce."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        request.url = self.url + request.path_url
        return super().send(request, **options)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    with running(people=60, seed=7, now=now, rate_limits=False) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def session(sandbox: Sandbox) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("https://", PlainHttp(sandbox.url))
        yield session


@pytest.fixture
def bulk(sandbox: Sandbox, session: requests.Session) -> Any:
    """Bulk API 1.0 of simple-salesforce."""
    user = sandbox.salesforce.credentials
    return Salesforce(
        username=user.username,
        password=user.password,
        security_token=user.security_token,
        session=session,
    ).bulk


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        pytest.param({"password": "wrong"}, "INVALID_LOGIN", id="wrong password"),
        pytest.param({"username": "x@y.test"}, "INVALID_LOGIN", id="unlogin user"),
        pytest.param({"security_token": "no"}, "INVALID_LOGIN", id="wrong token"),
        pytest.param({"security_token": ""}, "LOGIN_MUST_USE_SECURITY_TOKEN", id="no token"),
        pytest.param({"version": "65.0"}, "UNSUPPORTED_API_VERSION", id="new version"),
    ],
)
def test_a_failed_soap_login_has_its_code(
    sandbox: Sandbox, session: requests.Session, parts: dict[str, str], code: str
) -> None:
    """Clients read the code in the detail of the fault."""
    login = sandbox.salesforce.credentials
    right = {
        "username": login.username,
        "password": login.password,
        "security_token": login.security_token,
    }
    with pytest.raises(SalesforceAuthenticationFailed, match=code):
        Salesforce(**{**right, **parts}, session=session)


def test_a_trusted_network_needs_no_security_token(
    sandbox: Sandbox, session: requests.Session
) -> None:
    """A client that names the organization logs in by password alone."""
    user = sandbox.salesforce.credentials
    sf = Salesforce(
        username=user.username,
        password=user.password,
        organizationId=ORGANIZATION,
        session=session,
    )

    assert sf.session_id in user.tokens


def test_xml_that_defines_entities_is_an_error() -> None:
    """Entities could expand without limit."""
    with pytest.raises(XmlError, match="document type"):
        leaves(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')


def test_a_query_in_json_returns_times_in_milliseconds(bulk: Any) -> None:
    """Unlike every other API; parents are nested."""
    query = "SELECT Id, CreatedDate, Owner.CreatedDate FROM Lead ORDER BY Id LIMIT 1"
    [found] = bulk.Lead.query(query)

    assert found["attributes"]["type"] == "Lead"
    assert datetime.fromtimestamp(found["CreatedDate"] / 1000, UTC).year >= 2024
    assert isinstance(found["Owner"]["CreatedDate"], int)


def test_query_all_returns_deleted_rows(bulk: Any) -> None:
    """And query does not."""
    everything = bulk.Lead.query_all("SELECT Id, IsDeleted FROM Lead")
    live = bulk.Lead.query("SELECT Id FROM Lead")

    assert len(everything) - len(live) == sum(one["IsDeleted"] for one in everything) > 0


def test_an_invalid_query_fails_its_batch(bulk: Any) -> None:
    """The job itself is created."""
    with pytest.raises(SalesforceGeneralError, match="INVALID_FIELD"):
        bulk.Lead.query("SELECT Nothing FROM Lead")


def test_an_unlogin_object_fails_the_job(bulk: Any) -> None:
    """With the error of this API."""
    with pytest.raises(SalesforceMalformedRequest, match="InvalidEntity"):
        bulk.Leed.query("SELECT Id FROM Leed")


def test_results_of_written_rows_come_in_their_order(bulk: Any) -> None:
    """A failed row does not fail others."""
    taken, refused = bulk.Lead.insert([{"LastName": "A", "Company": "B"}, {"Company": "C"}])
    [changed] = bulk.Lead.update([{"Id": taken["id"], "Title": "CTO"}])
    [found] = bulk.Lead.query(f"SELECT Title FROM Lead WHERE Id = '{taken['id']}'")
    [deleted] = bulk.Lead.delete([{"Id": taken["id"]}])

    assert (taken["created"], changed["created"], deleted["success"]) == (True, False, True)
    assert refused["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert found["Title"] == "CTO"


def test_an_upsert_uses_an_external_id(bulk: Any) -> None:
    """Created the first time, updated the second."""
    row = {"Legacy_Id__c": "old-1", "LastName": "A", "Company": "B"}
    news = [bulk.Lead.upsert([row], "Legacy_Id__c")[0]["created"] for _ in range(2)]

    assert news == [True, False]


def send_xml(sandbox: Sandbox, method: str, path: str, body: str = "", **headers: str) -> str:
    """Call Bulk API 1.0 in XML, and return the text of the response."""
    answer = requests.request(
        method,
        f"{sandbox.url}/services/async/60.0{path}",
        data=body.encode(),
        headers={"X-SFDC-Session": sandbox.salesforce_token, **headers},
        timeout=5,
    )
    return answer.text


def job(sandbox: Sandbox, operation: str) -> str:
    """Open a job for leads in CSV, and return its id."""
    content = "".join(
        f"<{name}>{value}</{name}>"
        for name, value in (("operation", operation), ("object", "Lead"), ("contentType", "CSV"))
    )
    namespace = "http://www.force.com/2009/06/asyncapi/dataload"
    body = f'<?xml version="1.0"?><jobInfo xmlns="{namespace}">{content}</jobInfo>'
    return leaves(send_xml(sandbox, "POST", "/job", body).encode())["id"]


def test_a_query_in_csv_has_its_state_in_xml(sandbox: Sandbox) -> None:
    """Batch, state, list of results, and rows."""
    path = f"/job/{job(sandbox, 'query')}"
    query = "SELECT Id FROM Lead ORDER BY Id LIMIT 1"
    batch = leaves(send_xml(sandbox, "POST", f"{path}/batch", query).encode())
    state = leaves(send_xml(sandbox, "GET", f"{path}/batch/{batch['id']}").encode())
    result = leaves(send_xml(sandbox, "GET", f"{path}/batch/{batch['id']}/result").encode())
    rows = send_xml(sandbox, "GET", f"{path}/batch/{batch['id']}/result/{result['result']}")
    closed = leaves(send_xml(sandbox, "POST", path, "<j><state>Closed</state></j>").encode())

    assert (batch["state"], state["state"], closed["state"]) == ("Queued", "Completed", "Closed")
    assert rows.startswith('"Id"\n"00Q')


def test_an_empty_query_result_is_a_text(sandbox: Sandbox) -> None:
    """In place of a header line."""
    path = f"/job/{job(sandbox, 'query')}/batch"
    query = "SELECT Id FROM Lead WHERE LastName = 'unknown'"
    batch = leaves(send_xml(sandbox, "POST", path, query).encode())["id"]
    result = leaves(send_xml(sandbox, "GET", f"{path}/{batch}/result").encode())["result"]

    rows = send_xml(sandbox, "GET", f"{path}/{batch}/result/{result}")
    assert rows == "Records not found for this query"


def test_results_of_csv_rows_are_csv(sandbox: Sandbox) -> None:
    """An empty value leaves a field, `#N/A` clears it; the sent rows can be read."""
    path = f"/job/{job(sandbox, 'insert')}/batch"
    sent = "LastName,Company,Title\nA,B,#N/A\nA,,\n"
    batch = leaves(send_xml(sandbox, "POST", path, sent).encode())["id"]
    lines = send_xml(sandbox, "GET", f"{path}/{batch}/result").splitlines()

    assert lines[0] == '"Id","Success","Created","Error"'
    assert '"true","true",""' in lines[1]
    assert "REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --" in lines[2]
    assert send_xml(sandbox, "GET", f"{path}/{batch}/request") == sent


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        pytest.param("GET", "/job/750ak0000000001AAA", "", "InvalidJob", id="no such job"),
        pytest.param("POST", "/job", "<j/>", "InvalidJob", id="no operation"),
        pytest.param("POST", "/job", "{", "InvalidXML", id="no XML"),
        pytest.param(
            "POST", "/job", "<j><operation>query</operation></j>", "InvalidEntity", id="no object"
        ),
        pytest.param("PUT", "/job", "", "METHOD_NOT_ALLOWED", id="method"),
    ],
)
def test_errors_have_their_own_keys(
    sandbox: Sandbox, method: str, path: str, body: str, code: str
) -> None:
    """`exceptionCode`, in XML unless JSON was sent."""
    assert leaves(send_xml(sandbox, method, path, body).encode())["exceptionCode"] == code


def test_an_ended_session_is_a_400(sandbox: Sandbox) -> None:
    """It has its own header; a counted batch uses the daily limit."""
    answer = requests.get(
        f"{sandbox.url}/services/async/60.0/job/1", headers={"X-SFDC-Session": "x"}, timeout=5
    )

    assert answer.status_code == 400
    assert leaves(answer.content)["exceptionCode"] == "InvalidSessionId"
