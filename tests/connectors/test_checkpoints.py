"""An extract that is killed: the landed batches stay, and the next extract continues after them."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from connector_helpers import (
    EXPIRED_CURSOR,
    ExtractHarness,
    add_blank_records,
    add_leads,
    count_calls,
    hubspot_client,
    salesforce_client,
    small_sandbox,
)
from connectors.concurrency import MAX_CONCURRENCY
from connectors.salesforce.estimate import BULK_MIN_ROWS
from sandbox.faults import Fault
from sandbox.server import Sandbox
from sandbox.storage.event_log import EventLog

PART_ROWS = 500
"""Five pages of the list, two of a search."""


def pull_and_kill(sandbox: Sandbox, folder: Path, object: str, *, at_page: int) -> None:
    """Pull in a process of its own, and kill it while it waits for a page of the list."""
    path = f"/objects/{object}"
    sandbox.faults.plan(Fault(path=path, effect="delay", seconds=60, after=at_page - 1))
    script = Path(__file__).with_name("extract_once.py")
    arguments = [sandbox.url, sandbox.hubspot_token, str(folder), object, str(PART_ROWS)]
    with subprocess.Popen([sys.executable, str(script), *arguments]) as process:
        while count_calls(sandbox, path) < at_page and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    sandbox.faults.reset()


def most_calls_for(rows: int) -> int:
    """A page for each hundred; one that is not full where a reader ends or begins; three looks."""
    return rows // 100 + 2 * MAX_CONCURRENCY + 3


@pytest.mark.long
def test_a_killed_pull_goes_on_behind_its_last_part(sandbox: Sandbox, tmp_path: Path) -> None:
    """What was landed is not asked for again."""
    add_blank_records(sandbox, "contacts", 6000 - len(sandbox.hubspot.tables["contacts"].records))
    pull_and_kill(sandbox, tmp_path, "contacts", at_page=50)
    warehouse = ExtractHarness("hubspot", tmp_path)
    landed = warehouse.count("contacts")

    warehouse.extract(hubspot_client(sandbox), {"contacts": ()}, checkpoint_rows=PART_ROWS)

    assert landed >= (50 - 2 * MAX_CONCURRENCY) * 100 - PART_ROWS
    assert warehouse.count("contacts") == 6000
    assert count_calls(sandbox, "/objects/contacts") <= most_calls_for(6000 - landed) < 60


def test_a_pull_that_failed_goes_on_behind_its_last_part(sandbox: Sandbox, tmp_path: Path) -> None:
    """Of an engagement object with its contacts as well."""
    add_blank_records(sandbox, "notes", 6000 - len(sandbox.hubspot.tables["notes"].records))
    warehouse = ExtractHarness("hubspot", tmp_path)
    sandbox.faults.plan(Fault(path="/objects/notes", status=503, after=50, times=None))
    with pytest.raises(PipelineStepFailed):
        warehouse.extract(hubspot_client(sandbox), {"notes": ()}, checkpoint_rows=PART_ROWS)
    sandbox.faults.reset()
    landed = warehouse.count("notes")

    warehouse.extract(hubspot_client(sandbox), {"notes": ()}, checkpoint_rows=PART_ROWS)

    assert warehouse.count("notes") == 6000
    assert count_calls(sandbox, "/objects/notes") <= most_calls_for(6000 - landed) < 60


def test_an_increment_goes_on_as_well(sandbox: Sandbox, tmp_path: Path) -> None:
    """By ids above the last one landed; what was edited meanwhile comes with the next pull."""
    warehouse = ExtractHarness("hubspot", tmp_path)
    warehouse.extract(hubspot_client(sandbox), {"contacts": ()})
    before = warehouse.count("contacts")
    add_blank_records(sandbox, "contacts", 1000)
    sandbox.faults.plan(Fault(path="/contacts/search", status=503, after=4, times=None))
    with pytest.raises(PipelineStepFailed):
        warehouse.extract(hubspot_client(sandbox), {"contacts": ()}, checkpoint_rows=PART_ROWS)
    sandbox.faults.reset()

    warehouse.extract(hubspot_client(sandbox), {"contacts": ()}, checkpoint_rows=PART_ROWS)

    assert warehouse.count("contacts") == before + 1000
    assert count_calls(sandbox, "/contacts/search") == 2


def test_a_bulk_job_goes_on_at_its_next_page(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its results are kept for a week: no second job, and no page twice."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    sandbox.salesforce.result_rows = PART_ROWS
    warehouse = ExtractHarness("salesforce", tmp_path)
    sandbox.faults.plan(Fault(path="/results", status=503, after=2, times=None))
    with pytest.raises(PipelineStepFailed):
        warehouse.extract(salesforce_client(sandbox), {"Lead": ()}, checkpoint_rows=PART_ROWS)
    sandbox.faults.reset()
    again = salesforce_client(sandbox)

    warehouse.extract(again, {"Lead": ()}, checkpoint_rows=PART_ROWS)

    describe, look, pages_left, delete = 1, 1, 3, 1
    assert warehouse.count("Lead") == len(sandbox.salesforce.tables["Lead"])
    assert again.api_calls["read"] == describe + look + pages_left + delete


def test_a_bulk_job_that_is_gone_is_begun_anew(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its object alone is read again."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    sandbox.salesforce.result_rows = PART_ROWS
    warehouse = ExtractHarness("salesforce", tmp_path)
    sandbox.faults.plan(Fault(path="/results", status=503, after=2, times=None))
    with pytest.raises(PipelineStepFailed):
        warehouse.extract(salesforce_client(sandbox), {"Lead": ()}, checkpoint_rows=PART_ROWS)
    sandbox.faults.reset()
    sandbox.salesforce.jobs.clear()

    warehouse.extract(salesforce_client(sandbox), {"Lead": ()}, checkpoint_rows=PART_ROWS)

    assert warehouse.count("Lead") == len(sandbox.salesforce.tables["Lead"])


def test_a_bulk_job_that_is_gone_meanwhile_is_begun_anew(sandbox: Sandbox, tmp_path: Path) -> None:
    """In the same pull; its first pages come twice, and no row is missing."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    sandbox.salesforce.result_rows = PART_ROWS
    warehouse = ExtractHarness("salesforce", tmp_path)
    gone = [{"errorCode": "INVALIDJOBSTATE", "message": "no results"}]
    sandbox.faults.plan(Fault(path="/results", status=400, body=gone, after=2))

    warehouse.extract(salesforce_client(sandbox), {"Lead": ()}, checkpoint_rows=PART_ROWS)

    assert warehouse.count("Lead") == len(sandbox.salesforce.tables["Lead"])
    assert len(sandbox.salesforce.jobs) == 2 - 1  # the second one was deleted


def test_pages_of_a_job_are_listed_and_read_side_by_side(sandbox: Sandbox, tmp_path: Path) -> None:
    """Five of them a list: two lists here."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    sandbox.salesforce.result_rows = 300
    warehouse = ExtractHarness("salesforce", tmp_path)

    warehouse.extract(salesforce_client(sandbox), {"Lead": ()}, checkpoint_rows=PART_ROWS)

    counts = sandbox.faults.calls()["salesforce"]
    asked = {call.rsplit("/", 1)[1]: number for call, number in counts.items() if "/jobs/" in call}
    rows = len(sandbox.salesforce.tables["Lead"])
    assert warehouse.count("Lead") == rows
    assert (asked["resultPages"], asked["results"]) == (2, -(-rows // 300))


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param({"status": 404, "body": []}, id="not at all"),
        pytest.param({"status": 200, "body": {"resultPages": []}}, id="none of them"),
    ],
)
@pytest.mark.long
def test_pages_that_are_not_listed_are_read_one_behind_the_other(
    sandbox: Sandbox, tmp_path: Path, listed: dict[str, Any]
) -> None:
    """Each page says where the next begins."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    warehouse = ExtractHarness("salesforce", tmp_path)
    sandbox.faults.plan(Fault(path="/resultPages", **listed))

    warehouse.extract(salesforce_client(sandbox), {"Lead": ()}, checkpoint_rows=PART_ROWS)

    assert warehouse.count("Lead") == len(sandbox.salesforce.tables["Lead"])


def forgotten(path: str, *, after: int) -> Fault:
    no = {"status": "error", "category": "VALIDATION_ERROR", "message": "invalid cursor"}
    return Fault(path=path, method="GET", status=400, body=no, after=after)


@pytest.mark.parametrize("at_page", [1, 9], ids=["at its second page", "midway"])
@pytest.mark.long
def test_a_list_goes_on_where_hubspot_forgot_its_cursor(
    sandbox: Sandbox, tmp_path: Path, at_page: int
) -> None:
    """From its beginning: no other cursor can be trusted. What was read is not landed twice."""
    add_blank_records(sandbox, "contacts", 2500)
    client = hubspot_client(sandbox)
    warehouse = ExtractHarness("hubspot", tmp_path)
    before_the_list = 1
    sandbox.faults.plan(forgotten("/objects/contacts", after=before_the_list + at_page))

    rows = warehouse.extract(client, {"contacts": ()}, checkpoint_rows=PART_ROWS)

    assert not client.failed_objects
    assert rows == warehouse.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)


@pytest.mark.parametrize(
    ("object", "path"),
    [("email_events", "/email/public/"), ("page_views", "/events/v3/")],
)
def test_a_log_goes_on_where_hubspot_forgot_its_cursor(
    tmp_path: Path, object: str, path: str
) -> None:
    """Its cursors do not last; what comes twice the key removes."""
    with small_sandbox(people=400) as sandbox:
        client = hubspot_client(sandbox)
        warehouse = ExtractHarness("hubspot", tmp_path)
        store = sandbox.hubspot
        held = {"email_events": store.email_events, "page_views": store.events["e_visited_page"]}
        sandbox.faults.plan(forgotten(path, after=1))

        warehouse.extract(client, {object: ()})

        assert not client.failed_objects
        assert warehouse.count(object) == len(held[object]) > 1000


def test_submissions_go_on_where_hubspot_forgot_the_cursor(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Of that form alone."""
    client = hubspot_client(sandbox)
    warehouse = ExtractHarness("hubspot", tmp_path)
    form, some = next(iter(sandbox.hubspot.submissions.items()))
    many = sandbox.hubspot.submissions[form] = EventLog()
    for number in range(120):
        many.add(some.timestamp(0), {**some[0], "conversionId": str(number)})
    many.pack()
    sandbox.faults.plan(forgotten(f"/submissions/forms/{form}", after=1))

    warehouse.extract(client, {"form_submissions": ()})

    assert not client.failed_objects
    assert warehouse.count("form_submissions") == sum(
        map(len, sandbox.hubspot.submissions.values())
    )


def test_links_go_on_where_hubspot_forgot_their_cursor(sandbox: Sandbox, tmp_path: Path) -> None:
    """A record with more contacts than an answer holds is asked for from its first one."""
    store = sandbox.hubspot
    add_blank_records(sandbox, "contacts", 1200)
    contacts = [one.id for one in store.tables["contacts"].live()]
    email = store.create(store.tables["emails"], {})
    for contact in contacts:
        store.associate("emails", email.id, "contacts", contact)
    warehouse = ExtractHarness("hubspot", tmp_path)
    client = hubspot_client(sandbox)
    sandbox.faults.plan(forgotten("/associations/emails/", after=1))

    warehouse.extract(client, {"emails": ()})

    told = f"SELECT associated_contacts FROM emails WHERE id = '{email.id}'"
    assert not client.failed_objects
    assert warehouse.query(told)[0][0].split(";") == sorted(map(str, contacts))


def test_a_query_goes_on_where_the_server_forgot_its_cursor(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Behind the last row, though thousands share the instant of their edit."""
    warehouse = ExtractHarness("salesforce", tmp_path)
    warehouse.extract(salesforce_client(sandbox), {"Lead": ()})
    add_leads(sandbox.salesforce, 4500, SystemModstamp=sandbox.salesforce.stamp())
    sandbox.faults.plan(Fault(path="/query/", status=400, body=EXPIRED_CURSOR))

    warehouse.extract(salesforce_client(sandbox), {"Lead": ()})

    assert warehouse.count("Lead") == len(sandbox.salesforce.tables["Lead"])


def test_a_query_goes_on_behind_no_row_that_was_edited_meanwhile(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """It has the position of the query's start, but the time of its edit."""
    warehouse = ExtractHarness("salesforce", tmp_path)
    warehouse.extract(salesforce_client(sandbox), {"Lead": ()})
    before = warehouse.count("Lead")
    add_leads(sandbox.salesforce, 3)
    edited = {"Id": "00Q000000000001AAA", "SystemModstamp": "2999-01-01T00:00:00.000+0000"}
    page = {"totalSize": 4, "done": False, "nextRecordsUrl": "/services/data/v60.0/query/x"}
    first = Fault(path="/queryAll", status=200, body=page | {"records": [edited]})
    sandbox.faults.plan(first)
    sandbox.faults.plan(Fault(path="/query/", status=400, body=EXPIRED_CURSOR))

    warehouse.extract(salesforce_client(sandbox), {"Lead": ()})

    assert warehouse.count("Lead") == before + 3 + len([edited])


def test_a_query_whose_every_cursor_is_forgotten_stops_its_object(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Without a new page it is asked again only once."""
    client = salesforce_client(sandbox)
    warehouse = ExtractHarness("salesforce", tmp_path)
    bare = {"totalSize": 9, "done": False, "nextRecordsUrl": "/services/data/v60.0/query/x"}
    empty = bare | {"records": []}
    sandbox.faults.plan(Fault(path="/queryAll", status=200, body=empty, after=1, times=None))
    sandbox.faults.plan(Fault(path="/query/", status=400, body=EXPIRED_CURSOR, times=None))

    warehouse.extract(client, {"Lead": ()})

    assert client.failed_objects["Lead"].code == "INVALID_QUERY_LOCATOR"
