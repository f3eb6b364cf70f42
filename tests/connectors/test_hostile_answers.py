"""A token stays with its host, and an answer ends, whatever a server or a proxy sends."""

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dlt.pipeline.exceptions import PipelineStepFailed
from hostile_server import (
    HostileServer,
    body_answer,
    bomb,
    drip,
    endless,
    hostile_server,
    json_answer,
)

from account_setup.network import connection
from connector_helpers import (
    ExtractHarness,
    add_leads,
    hubspot_client,
    live_lead,
    salesforce_client,
    write_outcomes,
)
from connectors import answer_limits, connector, retry
from connectors.answer_limits import MAX_SECONDS, TIMEOUT, AnswerTooLargeError
from connectors.http import own_url
from connectors.hubspot.client import Settings as HubSpotSettings
from connectors.salesforce.auth import Settings as SalesforceSettings
from connectors.salesforce.estimate import BULK_MIN_ROWS
from errors import RetryableError, SyncError, UnknownOutcomeError
from models import FieldChange, FieldSelection, RecordChange
from sandbox.faults import Fault
from sandbox.server import Sandbox
from warehouse.run_lock import lock_ttl

BASE = "https://org.example.com"
MEBIBYTE = 1024**2
CONTACTS: FieldSelection = {"contacts": ("email",)}
LEADS: FieldSelection = {"Lead": ("Company",)}


@pytest.fixture(autouse=True)
def without_waits() -> Iterator[None]:
    """Repeat a call at once: what passes by itself is tried again for minutes."""
    with retry.no_sleep():
        yield


@pytest.fixture
def elsewhere() -> Iterator[HostileServer]:
    """Another host, which must not be called."""
    with hostile_server() as server:
        yield server


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    with hostile_server() as server:
        yield server


@pytest.fixture
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not repeat a call."""
    monkeypatch.setattr(retry, "POLICY", retry.RetryPolicy(max_attempts=1))


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mebibytes, 0.4 seconds, one attempt."""
    monkeypatch.setattr(answer_limits, "MAX_BYTES", 2 * MEBIBYTE)
    monkeypatch.setattr(answer_limits, "MAX_SECONDS", 0.4)
    monkeypatch.setattr(retry, "POLICY", retry.RetryPolicy(max_attempts=1))


def connect_hubspot(server: HostileServer) -> Any:
    settings = HubSpotSettings(access_token="t", base_url=f"http://{server}")
    return connector("hubspot").connect(settings)


def connect_salesforce(server: HostileServer, **login: str) -> Any:
    login = login or {"client_id": "c", "client_secret": "s"}
    settings = SalesforceSettings(instance_url=f"http://{server}", **login)
    return connector("salesforce").connect(settings)


def update_hubspot(crm: Any) -> object:
    return crm.update("contacts", [{"id": "1", "properties": {"email": "x"}}])


def update_salesforce(crm: Any) -> object:
    return crm.update([{"id": "1"}])


def log_in(server: HostileServer) -> HostileServer:
    """Connect, and give the server, which is where `call` of the login logs in again."""
    connect_salesforce(server)
    return server


WRITES = (update_hubspot, update_salesforce)
CALLS = {
    "HubSpot, a page": (connect_hubspot, lambda crm: crm.get("/x", expected_key="results")),
    "HubSpot, a batch": (connect_hubspot, lambda crm: crm.post("/x", {"inputs": []})),
    "HubSpot, a write": (connect_hubspot, update_hubspot),
    "Salesforce, a page": (connect_salesforce, lambda crm: crm.read_page("/x")),
    "Salesforce, rows of a job": (
        connect_salesforce,
        lambda crm: crm.read("/jobs/query/1/results", lambda answer: answer.body),
    ),
    "Salesforce, a list of jobs": (connect_salesforce, lambda crm: crm.request_job("GET", "/x")),
    "Salesforce, a write": (connect_salesforce, update_salesforce),
    "Salesforce, the login": (log_in, log_in),
}
any_call = pytest.mark.parametrize(("connect", "call"), CALLS.values(), ids=CALLS)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/services/data/x?a=1&b=%2F", "/services/data/x?a=1&b=%2F"),
        (f"{BASE}/services/x?a=1", "/services/x?a=1"),
        (f"{BASE}:443/x", "/x"),
        ("HTTPS://ORG.example.com/x", "/x"),
        ("services/x", "/services/x"),
        ("@evil.example.com/x", "/@evil.example.com/x"),
        (".evil.example.com/x", "/.evil.example.com/x"),
        (":80@evil.example.com/x", "/:80@evil.example.com/x"),
    ],
)
def test_an_address_of_the_host_is_a_path(url: str, path: str) -> None:
    """What is appended to the host begins with a slash: it can change neither host nor user."""
    assert own_url(BASE, url) == BASE + path
    assert own_url(f"{BASE}/gateway", path) == f"{BASE}/gateway{path}"


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example.com/x",
        "https://evil.example.com/x",
        "http://org.example.com/x",
        "https://org.example.com:444/x",
        "https://org.example.com@evil.example.com/x",
        "https://user@org.example.com/x",
        "https://org.example.com.evil.example.com/x",
        "https://org.example.com\\@evil.example.com/x",
        "https://org.example.com:port/x",
        "https://[x/y",
        "ftp://org.example.com/x",
        "file:///etc/passwd",
        "\thttps://evil.example.com/x",
    ],
)
def test_an_address_of_another_host_is_refused(url: str) -> None:
    """The message names the host of the settings, and nothing of the address."""
    with pytest.raises(SyncError, match=r"org\.example\.com") as raised:
        own_url(BASE, url)

    assert "evil" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["@{}/x", ".{}/x", "//{}/x", "http://{}/x", "https://{}/x", "http://127.0.0.1:1@{}/x"]
)
def test_the_next_page_is_read_from_the_same_host(
    sandbox: Sandbox, tmp_path: Path, elsewhere: HostileServer, url: str
) -> None:
    """The pull fails, or Salesforce refuses the path; the token stays."""
    page = {"totalSize": 9, "done": False, "records": [], "nextRecordsUrl": url.format(elsewhere)}
    sandbox.faults.plan(Fault(path="/queryAll", method="GET", status=200, body=page, after=1))

    with suppress(PipelineStepFailed):
        ExtractHarness("salesforce", tmp_path).extract(salesforce_client(sandbox), LEADS)

    calls = sandbox.faults.calls()["salesforce"]
    assert sum(count for call, count in calls.items() if call.endswith("/queryAll")) > 1
    assert elsewhere.requests == []


@pytest.mark.parametrize("url", ["@{}/x", "//{}/x", "http://{}/x"])
def test_the_next_page_of_a_list_of_jobs_is_read_from_the_same_host(
    sandbox: Sandbox, elsewhere: HostileServer, url: str
) -> None:
    """The list is read before a job writes."""
    page = {"records": [], "done": False, "nextRecordsUrl": url.format(elsewhere)}
    sandbox.faults.plan(Fault(path="/jobs/ingest", method="GET", status=200, body=page))
    client = salesforce_client(sandbox, bulk_min_records=1)
    lead = live_lead(sandbox.salesforce)
    company = FieldChange("Company", str(lead["Company"]), "b")

    with suppress(SyncError):
        write_outcomes("salesforce", client, [RecordChange("Lead", str(lead["Id"]), (company,))])

    assert any("/jobs/ingest" in call for call in sandbox.faults.calls()["salesforce"])
    assert elsewhere.requests == []


def test_pages_of_a_bulk_job_are_read_from_the_same_host(
    sandbox: Sandbox, tmp_path: Path, elsewhere: HostileServer
) -> None:
    """Of their addresses only the query is used, such as the locator."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    pages = {"resultPages": [{"resultUrl": f"{elsewhere}/x?locator=abc"}], "done": True}
    sandbox.faults.plan(Fault(path="/resultPages", status=200, body=pages))
    harness = ExtractHarness("salesforce", tmp_path)

    harness.extract(salesforce_client(sandbox), LEADS, checkpoint_rows=1_000)

    assert harness.count("Lead") == len(sandbox.salesforce.tables["Lead"])
    assert elsewhere.requests == []


def test_hubspots_next_page_is_a_cursor_and_no_address(
    sandbox: Sandbox, tmp_path: Path, elsewhere: HostileServer
) -> None:
    """`paging.next.link` is never followed."""
    paging = {"next": {"after": f"@{elsewhere}", "link": f"http://{elsewhere}/x"}}
    page = {"results": [], "total": 0, "paging": paging}
    sandbox.faults.plan(Fault(path="/objects/contacts", status=200, body=page, after=1, times=3))

    with suppress(PipelineStepFailed):
        ExtractHarness("hubspot", tmp_path).extract(hubspot_client(sandbox), CONTACTS)

    assert elsewhere.requests == []


def test_the_instance_of_a_token_is_not_called(
    hostile: HostileServer, elsewhere: HostileServer
) -> None:
    """The token goes to the host of the settings only."""
    hostile.login = json_answer(
        {"access_token": "planted-token", "instance_url": f"http://{elsewhere}"}
    )
    hostile.answer = json_answer(
        {"DailyApiRequests": {}, "totalSize": 0, "records": [], "done": True}
    )

    connect_salesforce(hostile).check_connection()

    assert "planted-token" in hostile.requests[-1]
    assert elsewhere.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@any_call
def test_a_redirect_is_not_followed(
    hostile: HostileServer, elsewhere: HostileServer, connect, call, status: int
) -> None:
    """By any call, of any client library; the login is one of them."""
    hostile.answer = body_answer(b"{}", status=status, headers={"Location": f"http://{elsewhere}"})
    if connect is call:
        hostile.login = hostile.answer

    with pytest.raises(SyncError):
        call(connect(hostile))

    assert hostile.requests
    assert elsewhere.requests == []


def rsa_key() -> str:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"client_id": "c", "client_secret": "planted"}, id="client credentials"),
        pytest.param({"client_id": "c", "username": "u", "private_key": rsa_key}, id="JWT"),
        pytest.param(
            {"username": "u", "password": "planted", "security_token": "planted"}, id="password"
        ),
    ],
)
def test_a_login_follows_no_redirect(
    hostile: HostileServer, elsewhere: HostileServer, settings, status: int
) -> None:
    """307 would send the body again, and the secrets in it."""
    hostile.login = hostile.answer = body_answer(
        b"<html>moved</html>", status=status, headers={"Location": f"http://{elsewhere}/login"}
    )
    made = {name: value() if callable(value) else value for name, value in settings.items()}

    with pytest.raises(SyncError):
        connect_salesforce(hostile, **made)

    assert hostile.requests
    assert elsewhere.requests == []


BOMBS = {
    "gzip": bomb(size=64 * MEBIBYTE),
    "gzip of an error": bomb(size=64 * MEBIBYTE, status=400),
    "gzip in gzip": bomb(size=512 * MEBIBYTE, layers=2),
    "plain": body_answer(bytes(3 * MEBIBYTE)),
    "an error": body_answer(bytes(3 * MEBIBYTE), status=400),
    "endless": endless,
}


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("answer", BOMBS.values(), ids=BOMBS)
@any_call
def test_an_answer_has_a_largest_size(hostile: HostileServer, connect, call, answer) -> None:
    """Compressed once or twice, with or without a length, whatever its status.

    A write may have been carried out: its records are read.
    """
    hostile.answer = answer
    if connect is call:
        hostile.login = hostile.answer
    tracemalloc.start()

    try:
        with pytest.raises((AnswerTooLargeError, UnknownOutcomeError)) as raised:
            call(connect(hostile))
        assert tracemalloc.get_traced_memory()[1] < 12 * MEBIBYTE
    finally:
        tracemalloc.stop()
    assert (raised.type is UnknownOutcomeError) == (call in WRITES)


DRIPS = {
    "the status line": b"HTTP/1.1 ",
    "a header": b"HTTP/1.1 200 OK\r\nX-Slow: ",
    "a body with a length": b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n",
    "a body without a length": b"HTTP/1.1 200 OK\r\n\r\n",
    "the length of a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an error": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9999999\r\n\r\n",
}


@pytest.mark.long
@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("head", DRIPS.values(), ids=DRIPS)
@any_call
def test_an_answer_has_a_longest_time(hostile: HostileServer, connect, call, head: bytes) -> None:
    """Byte by byte, no single read takes long."""
    hostile.answer = drip(head)
    if connect is call:
        hostile.login = hostile.answer
    begin = time.monotonic()

    with pytest.raises((RetryableError, UnknownOutcomeError)) as raised:
        call(connect(hostile))

    assert time.monotonic() - begin < 2
    assert (raised.type is UnknownOutcomeError) == (call in WRITES)


@pytest.mark.parametrize("checkpoint_rows", [1_000, 50_000], ids=["listed pages", "one page"])
def test_rows_too_long_for_one_answer_come_in_smaller_pages(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint_rows: int
) -> None:
    """Of a Bulk job, whose page has up to 50,000 rows."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS, Company="x" * 200)
    monkeypatch.setattr(answer_limits, "MAX_BYTES", 150_000)
    harness = ExtractHarness("salesforce", tmp_path)

    harness.extract(salesforce_client(sandbox), LEADS, checkpoint_rows=checkpoint_rows)

    assert harness.count("Lead") == len(sandbox.salesforce.tables["Lead"])


@pytest.mark.usefixtures("one_attempt")
@any_call
def test_a_body_that_cannot_be_decompressed_is_lost(hostile: HostileServer, connect, call) -> None:
    """It may be that of a proxy."""
    hostile.answer = body_answer(b"no gzip", headers={"Content-Encoding": "gzip"})
    if connect is call:
        hostile.login = hostile.answer

    with pytest.raises((RetryableError, UnknownOutcomeError)):
        call(connect(hostile))

    assert [one.status for one in connection(f"http://{hostile}")] == ["fault"]


def test_one_call_ends_before_the_run_lock_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is renewed between two pages, once a third of its time is over."""
    monkeypatch.delenv("LOCK__TTL_MINUTES", raising=False)
    longest_answer = timedelta(seconds=TIMEOUT[0] + MAX_SECONDS)

    assert lock_ttl() / 3 + retry.POLICY.max_time + longest_answer < lock_ttl()


def test_the_wait_for_a_bulk_job_is_reported(sandbox: Sandbox, tmp_path: Path) -> None:
    """A run renews its lock with every report."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    running = {"id": "750", "state": "InProgress"}
    fault = Fault(path="/jobs/query/", method="GET", status=200, body=running, times=5)
    sandbox.faults.plan(fault)
    harness = ExtractHarness("salesforce", tmp_path)

    harness.extract(salesforce_client(sandbox), LEADS)

    assert harness.progress_reports.count((0, None)) > 5
    assert harness.count("Lead") == len(sandbox.salesforce.tables["Lead"])
