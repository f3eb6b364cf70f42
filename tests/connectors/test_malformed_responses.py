"""Answers no CRM should give: asked for again, put aside and counted, or found by the proof."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from connector_helpers import (
    ExtractHarness,
    add_blank_records,
    add_leads,
    hubspot_client,
    salesforce_client,
)
from connectors import root_sync_error
from connectors.hubspot.associations import associations_of
from connectors.hubspot.catalog import ASSOCIATED_CONTACTS
from connectors.salesforce.estimate import BULK_MIN_ROWS
from errors import RetryableError
from models import FieldSelection
from sandbox.faults import Fault
from sandbox.server import Sandbox

CONTACTS: FieldSelection = {"contacts": ("email",)}
LEADS: FieldSelection = {"Lead": ("Company",)}
LIVE = "SELECT count(*) FROM contacts WHERE NOT archived"
LONG = "x" * 5_000_000
TIMES = {"createdAt": "0001-01-01T00:00:00Z", "updatedAt": "2026-02-01T00:00:00Z"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<html><body>Bad gateway</body></html>", id="a proxy's page"),
        pytest.param('{"results": [{"id": "5', id="cut off"),
        pytest.param([], id="a list"),
        pytest.param({}, id="nothing"),
        pytest.param({"results": None}, id="no records"),
        pytest.param({"results": [None, "x"]}, id="records that are not objects"),
    ],
)
def test_a_page_that_is_none_is_asked_for_again(
    sandbox: Sandbox, tmp_path: Path, body: Any
) -> None:
    """The status says 200 all the same."""
    add_blank_records(sandbox, "contacts", 300)
    warehouse = ExtractHarness("hubspot", tmp_path)
    sandbox.faults.plan(Fault(path="/objects/contacts", status=200, body=body, after=2))

    warehouse.extract(hubspot_client(sandbox), CONTACTS)

    assert warehouse.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"properties": {"email": "x"}}, id="without id"),
        pytest.param({"id": "x", "properties": {"email": "x"}}, id="a word as its id"),
        pytest.param({"id": "1"}, id="without properties"),
    ],
)
def test_what_is_no_record_is_left_out_and_counted(
    sandbox: Sandbox, tmp_path: Path, record: dict[str, Any]
) -> None:
    """And the page that had it in place of others is made good by the proof."""
    client = hubspot_client(sandbox)
    warehouse = ExtractHarness("hubspot", tmp_path)
    nobody = {"results": [record]}
    sandbox.faults.plan(Fault(path="/objects/contacts", status=200, body=nobody, after=1))

    warehouse.extract(client, CONTACTS, verify=True)

    live = sum(1 for _ in sandbox.hubspot.tables["contacts"].live())
    assert client.type_mismatches["contacts", "id"] == 1
    assert warehouse.query(LIVE) == [(live,)]
    assert warehouse.row_checks[0].missing == live


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<html><body>Maintenance</body></html>", id="a page for people"),
        pytest.param({"totalSize": 3, "done": True}, id="no records"),
        pytest.param(
            {"totalSize": 1, "done": True, "records": [None]}, id="rows that are not objects"
        ),
        pytest.param({"done": True, "records": []}, id="no count"),
    ],
)
def test_rows_that_are_none_are_asked_for_again(
    sandbox: Sandbox, tmp_path: Path, body: Any
) -> None:
    """Of a query, behind the count."""
    warehouse = ExtractHarness("salesforce", tmp_path)
    sandbox.faults.plan(Fault(path="/queryAll", status=200, body=body, after=1))

    warehouse.extract(salesforce_client(sandbox), LEADS)

    assert warehouse.count("Lead") == len(sandbox.salesforce.tables["Lead"])


@pytest.mark.parametrize(
    ("path", "after"),
    [
        pytest.param("/describe", 0, id="the fields"),
        pytest.param("/queryAll", 0, id="a count"),
        pytest.param("/jobs/query", 0, id="a job"),
        pytest.param("/jobs/query", 1, id="the state of a job"),
    ],
)
def test_an_answer_without_what_was_asked_for_is_none(
    sandbox: Sandbox, tmp_path: Path, path: str, after: int
) -> None:
    """Such as the JSON of a proxy, with a good status."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    warehouse = ExtractHarness("salesforce", tmp_path)
    upstream = {"status": "error", "message": "upstream"}
    sandbox.faults.plan(Fault(path=path, status=200, body=upstream, after=after))

    warehouse.extract(salesforce_client(sandbox), LEADS, verify=True)

    assert warehouse.count("Lead") == len(sandbox.salesforce.tables["Lead"])


@pytest.mark.parametrize("path", ["/properties/contacts", "/contacts/search"])
def test_an_answer_of_hubspot_without_what_was_asked_for_is_none(
    sandbox: Sandbox, tmp_path: Path, path: str
) -> None:
    """A search without a count, or fields that are not objects."""
    warehouse = ExtractHarness("hubspot", tmp_path)
    sandbox.faults.plan(Fault(path=path, status=200, body={"status": "error", "results": [1]}))

    warehouse.extract(hubspot_client(sandbox), CONTACTS, verify=True)

    assert warehouse.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<html><body>Maintenance</body></html>", id="no CSV"),
        pytest.param('"Id","CreatedDate"\n"00Q', id="cut off"),
    ],
)
def test_csv_that_came_cut_off_is_asked_for_again(
    sandbox: Sandbox, tmp_path: Path, body: str
) -> None:
    """Its header says how many rows there should be."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    warehouse = ExtractHarness("salesforce", tmp_path)
    told = {"Sforce-NumberOfRecords": str(BULK_MIN_ROWS), "Sforce-Locator": "null"}
    sandbox.faults.plan(Fault(path="/results", status=200, body=body, headers=told))

    warehouse.extract(salesforce_client(sandbox), LEADS)

    assert warehouse.count("Lead") == len(sandbox.salesforce.tables["Lead"])


@pytest.mark.parametrize(
    ("object", "path"),
    [
        pytest.param("contacts", "/contacts/search", id="search"),
        pytest.param("form_submissions", "/submissions/", id="form submissions"),
        pytest.param("email_events", "/email/public/", id="e-mail events"),
        pytest.param("page_views", "/events/v3/", id="page views"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        pytest.param('{"results": [', marks=pytest.mark.long),
        pytest.param({"events": None}, marks=pytest.mark.long),
    ],
)
def test_no_page_of_hubspot_is_skipped_because_it_was_none(
    sandbox: Sandbox, tmp_path: Path, object: str, path: str, body: Any
) -> None:
    """Whatever is read: it is asked for again."""
    warehouse = ExtractHarness("hubspot", tmp_path)
    warehouse.extract(hubspot_client(sandbox), {object: ()})
    add_blank_records(sandbox, "contacts", 1)
    rows = warehouse.count(object)
    sandbox.faults.plan(Fault(path=path, status=200, body=body))
    client = hubspot_client(sandbox)

    warehouse.extract(client, {object: ()})

    assert warehouse.count(object) == rows + (object == "contacts")
    assert (not client.failed_objects, client.wait_seconds > 0) == (True, True)


@pytest.mark.parametrize(
    ("object", "path", "body"),
    [
        pytest.param(
            "form_submissions",
            "/submissions/",
            {"results": [{"submittedAt": None, "values": []}]},
            id="a submission",
        ),
        pytest.param(
            "email_events",
            "/email/public/",
            {"hasMore": False, "events": [{"type": "OPEN", "created": 1}, {"id": "1"}]},
            id="e-mail events",
        ),
        pytest.param("page_views", "/events/v3/", {"results": [{"objectId": "1"}]}, id="a view"),
        pytest.param(
            "list_memberships",
            "/lists/4/memberships",
            {"results": [{"membershipTimestamp": None}]},
            id="a member",
        ),
    ],
)
def test_what_of_a_log_has_no_id_is_left_out_and_counted(
    sandbox: Sandbox, tmp_path: Path, object: str, path: str, body: Any
) -> None:
    """There is nothing by which a second look could know it again."""
    client = hubspot_client(sandbox)
    warehouse = ExtractHarness("hubspot", tmp_path)
    sandbox.faults.plan(Fault(path=path, status=200, body=body))

    warehouse.extract(client, {object: ()})

    assert client.type_mismatches[object, "id"] == len(next(iter(body.values())) or body["events"])


def contact(id: object, **values: object) -> dict[str, Any]:
    return {"id": id, "properties": values, "archived": False, **TIMES}


def test_odd_values_of_hubspot_are_landed_as_they_are(sandbox: Sandbox, tmp_path: Path) -> None:
    """Year 1, five megabytes of text, a number where text belongs, and text where a number does."""
    wanted: FieldSelection = {"contacts": ("email", "company", "num_conversion_events")}
    odd = [
        contact("7", email=12.5, company=LONG, num_conversion_events="3"),
        contact("8", email=None, company=None, num_conversion_events="many"),
    ]
    client = hubspot_client(sandbox)
    warehouse = ExtractHarness("hubspot", tmp_path)
    sandbox.faults.plan(Fault(path="/objects/contacts", status=200, body={"results": odd}, after=1))

    warehouse.extract(client, wanted)

    landed = warehouse.query(
        "SELECT email, length(company), num_conversion_events, year(createdAt) FROM contacts"
        " WHERE id IN ('7', '8') ORDER BY id"
    )
    assert landed == [("12.5", len(LONG), 3.0, 1), (None, None, None, 1)]
    assert client.type_mismatches == {("contacts", "num_conversion_events"): 1}


@pytest.mark.parametrize(
    ("object", "path", "body"),
    [
        pytest.param(
            "contacts", "/objects/contacts", {"paging": {"next": {"after": "1"}}}, id="list"
        ),
        pytest.param(
            "email_events",
            "/email/public/",
            {"hasMore": True, "offset": "", "events": []},
            id="e-mail events",
        ),
        pytest.param(
            "page_views", "/events/v3/", {"paging": {"next": {"after": "MA"}}}, id="page views"
        ),
    ],
)
def test_an_empty_page_of_hubspot_ends_nothing_while_there_is_a_next(
    sandbox: Sandbox, tmp_path: Path, object: str, path: str, body: Any
) -> None:
    """Only the page that names no next one is the last."""
    store = sandbox.hubspot
    rows = {
        "contacts": store.tables["contacts"].records,
        "email_events": store.email_events,
        "page_views": store.events["e_visited_page"],
    }
    warehouse = ExtractHarness("hubspot", tmp_path)
    looks = int(object == "contacts")
    empty = {"results": [], **body}
    sandbox.faults.plan(Fault(path=path, method="GET", status=200, body=empty, after=looks))

    warehouse.extract(hubspot_client(sandbox), {object: ()})

    assert warehouse.count(object) == len(rows[object])


def test_an_empty_page_of_a_search_ends_nothing_either(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its own cursor leads on."""
    warehouse = ExtractHarness("hubspot", tmp_path)
    warehouse.extract(hubspot_client(sandbox), CONTACTS)
    add_blank_records(sandbox, "contacts", 3)
    body = {"total": 3, "results": [], "paging": {"next": {"after": "0"}}}
    sandbox.faults.plan(Fault(path="/contacts/search", status=200, body=body))

    warehouse.extract(hubspot_client(sandbox), CONTACTS)

    assert warehouse.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)


@pytest.mark.parametrize(
    ("object", "method", "path", "body"),
    [
        pytest.param(
            "contacts",
            "POST",
            "/contacts/search",
            {"total": 9, "results": [contact("1", email="a")]},
            id="search",
        ),
        pytest.param(
            "contacts", "POST", "/contacts/search", {"total": 9, "results": []}, id="empty"
        ),
        pytest.param(
            "contacts",
            "GET",
            "/objects/contacts",
            {"results": [contact("1", email="a")]},
            id="archive",
        ),
        pytest.param(
            "email_events",
            "GET",
            "/email/public/",
            {"hasMore": True, "offset": "x", "events": []},
            id="e-mail events",
        ),
        pytest.param(
            "list_memberships",
            "POST",
            "/lists/search",
            {"hasMore": True, "offset": 0, "lists": []},
            id="lists",
        ),
        pytest.param(
            "form_submissions", "GET", "/submissions/", {"results": []}, id="form submissions"
        ),
        pytest.param("page_views", "GET", "/events/v3/", {"results": []}, id="page views"),
        pytest.param("owners", "GET", "/owners", {"results": []}, id="owners"),
    ],
)
@pytest.mark.long
def test_a_page_of_hubspot_that_repeats_breaks_the_pull_off(
    sandbox: Sandbox, tmp_path: Path, object: str, method: str, path: str, body: Any
) -> None:
    """The message names the list; the reader does not loop without end."""
    warehouse = ExtractHarness("hubspot", tmp_path)
    warehouse.extract(hubspot_client(sandbox), {object: ()})
    again = body | {"paging": {"next": {"after": "x"}}}
    sandbox.faults.plan(Fault(path=path, method=method, status=200, body=again, times=None))

    with pytest.raises(PipelineStepFailed) as broken:
        warehouse.extract(hubspot_client(sandbox), {object: ()})

    assert "same page again and again" in str(root_sync_error(broken.value))


@pytest.mark.parametrize(
    ("object", "method", "path", "body", "looks"),
    [
        pytest.param(
            "contacts",
            "GET",
            "/objects/contacts",
            {"paging": {"next": {"after": "1"}}},
            1,
            id="list",
        ),
        pytest.param(
            "contacts",
            "POST",
            "/contacts/search",
            {"total": 300, "paging": {"next": {"after": "0"}}},
            0,
            id="search",
        ),
        pytest.param(
            "email_events",
            "GET",
            "/email/public/",
            {"hasMore": True, "offset": "", "events": []},
            0,
            id="e-mail events",
        ),
        pytest.param(
            "form_submissions",
            "GET",
            "/submissions/",
            {"paging": {"next": {"after": "MA"}}},
            0,
            id="submissions",
        ),
        pytest.param(
            "page_views",
            "GET",
            "/events/v3/",
            {"paging": {"next": {"after": "MA"}}},
            0,
            id="page views",
        ),
        pytest.param(
            "owners", "GET", "/owners", {"paging": {"next": {"after": "0"}}}, 0, id="owners"
        ),
    ],
)
@pytest.mark.long
def test_a_page_of_hubspot_that_comes_twice_is_asked_for_again(
    sandbox: Sandbox,
    tmp_path: Path,
    object: str,
    method: str,
    path: str,
    body: dict[str, Any],
    looks: int,
) -> None:
    """Once: the third answer is another one, and nothing is left out."""
    folders = tmp_path / "whole", tmp_path / "twice"
    for folder in folders:
        folder.mkdir()
    whole, warehouse = (ExtractHarness("hubspot", folder) for folder in folders)
    whole.extract(hubspot_client(sandbox), {object: ()})
    if method == "POST":
        warehouse.extract(hubspot_client(sandbox), {object: ()})
        add_blank_records(sandbox, "contacts", 3)
        whole.extract(hubspot_client(sandbox), {object: ()})
    page = {"results": [], **body}
    sandbox.faults.plan(
        Fault(path=path, method=method, status=200, body=page, after=looks, times=2)
    )

    warehouse.extract(hubspot_client(sandbox), {object: ()})

    assert sandbox.faults.planned() == []
    assert warehouse.count(object) == whole.count(object) > 0


def test_links_that_come_twice_are_asked_for_again(sandbox: Sandbox) -> None:
    """The rest of what a deal is linked to."""
    client, store = hubspot_client(sandbox), sandbox.hubspot
    deal = store.create(store.tables["deals"], {})
    contacts = [one.id for one in store.tables["contacts"].live()][:3]
    for contact in contacts:
        store.associate("deals", deal.id, "contacts", contact)
    id = str(deal.id)
    link = {"toObjectId": "7", "associationTypes": []}
    result = {"from": {"id": id}, "to": [link], "paging": {"next": {"after": "0"}}}
    fault = Fault(path="/associations/", status=200, body={"results": [result]})
    sandbox.faults.plan(replace(fault, times=2))

    found = associations_of(client, "deals", [id])

    assert sandbox.faults.planned() == []
    listed = found[id][ASSOCIATED_CONTACTS.name] or ""
    assert set(listed.split(";")) == {"7", *map(str, contacts)}


def test_links_that_repeat_break_the_pull_off(sandbox: Sandbox) -> None:
    """The message names the list."""
    result = {"from": {"id": "5"}, "to": [], "paging": {"next": {"after": "x"}}}
    fault = Fault(path="/associations/", status=200, body={"results": [result]}, times=None)
    sandbox.faults.plan(fault)

    with pytest.raises(RetryableError, match=r"deals.*same page again and again"):
        associations_of(hubspot_client(sandbox), "deals", ["5"])


def test_calls_that_were_too_many_are_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    """Each is made again."""
    client = hubspot_client(sandbox)
    too_fast = {"message": "You have reached your secondly limit.", "category": "RATE_LIMITS"}
    sandbox.faults.plan(Fault(path="/contacts/search", status=429, body=too_fast, times=2))

    ExtractHarness("hubspot", tmp_path).extract(client, CONTACTS, verify=True)

    assert client.throttled == 2


def test_a_row_of_salesforce_without_id_is_left_out_and_counted(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The last of a page too, behind which the next one would begin."""
    client = salesforce_client(sandbox)
    warehouse = ExtractHarness("salesforce", tmp_path)
    rows = [{"Id": "00Qak0000000001AAA", "Company": "A"}, {"Company": "B"}]
    page = {"totalSize": 2, "done": True, "records": rows}
    sandbox.faults.plan(Fault(path="/queryAll", status=200, body=page, after=1))

    warehouse.extract(client, LEADS)

    assert (warehouse.count("Lead"), client.type_mismatches["Lead", "Id"]) == (1, 1)


def test_an_empty_page_of_salesforce_ends_nothing_while_there_is_a_next(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Only the page that says it is done is the last."""
    warehouse = ExtractHarness("salesforce", tmp_path)
    rows = [{"Id": "00Qak0000000001AAA", "Company": "A"}]
    empty = {"totalSize": 1, "done": False, "records": [], "nextRecordsUrl": "/services/data/next"}
    last = {"totalSize": 1, "done": True, "records": rows}
    sandbox.faults.plan(Fault(path="/queryAll", status=200, body=empty, after=1))
    sandbox.faults.plan(Fault(path="/services/data/next", status=200, body=last))

    warehouse.extract(salesforce_client(sandbox), LEADS)

    assert warehouse.count("Lead") == 1


def test_a_page_of_salesforce_that_repeats_breaks_the_pull_off(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Of a query."""
    warehouse = ExtractHarness("salesforce", tmp_path)
    again = {"totalSize": 9, "done": False, "records": [], "nextRecordsUrl": "/services/data/next"}
    sandbox.faults.plan(Fault(path="/queryAll", status=200, body=again, after=1))
    sandbox.faults.plan(Fault(path="/services/data/next", status=200, body=again, times=None))

    with pytest.raises(PipelineStepFailed) as broken:
        warehouse.extract(salesforce_client(sandbox), LEADS)

    assert "same page again and again" in str(root_sync_error(broken.value))


def test_a_page_of_salesforce_that_comes_twice_is_asked_for_again(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Once: the third answer is the last page."""
    warehouse = ExtractHarness("salesforce", tmp_path)
    first = {"Id": "00Qak0000000001AAA", "Company": "A"}
    page = {"totalSize": 2, "done": False, "records": [first], "nextRecordsUrl": "/services/next"}
    last = {"totalSize": 2, "done": True, "records": [first | {"Id": "00Qak0000000002AAA"}]}
    sandbox.faults.plan(Fault(path="/queryAll", status=200, body=page, after=1))
    sandbox.faults.plan(Fault(path="/services/next", status=200, body=page))
    sandbox.faults.plan(Fault(path="/services/next", status=200, body=last))

    warehouse.extract(salesforce_client(sandbox), LEADS)

    assert warehouse.query('SELECT "Id" FROM "Lead" ORDER BY 1') == [
        ("00Qak0000000001AAA",),
        ("00Qak0000000002AAA",),
    ]


def test_a_page_of_a_job_that_comes_twice_is_asked_for_again(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Once: the third answer is the last page."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    warehouse = ExtractHarness("salesforce", tmp_path)
    head = '"Id","CreatedDate","SystemModstamp","IsDeleted","Company"\n'
    page = Fault(
        path="/results",
        status=200,
        body=f'{head}"00Qak0000000001AAA","","","","A"\n',
        headers={"Sforce-NumberOfRecords": "1", "Sforce-Locator": "again"},
        times=2,
    )
    last = Fault(
        path="/results",
        status=200,
        body=f'{head}"00Qak0000000002AAA","","","","A"\n',
        headers={"Sforce-NumberOfRecords": "1", "Sforce-Locator": "null"},
    )
    sandbox.faults.plan(page)
    sandbox.faults.plan(last)

    warehouse.extract(salesforce_client(sandbox), LEADS)

    assert warehouse.query('SELECT "Id" FROM "Lead" ORDER BY 1') == [
        ("00Qak0000000001AAA",),
        ("00Qak0000000002AAA",),
    ]


def test_a_page_of_a_job_that_repeats_breaks_the_pull_off(sandbox: Sandbox, tmp_path: Path) -> None:
    """Of a bulk job."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    warehouse = ExtractHarness("salesforce", tmp_path)
    told = {"Sforce-NumberOfRecords": "0", "Sforce-Locator": "again"}
    sandbox.faults.plan(Fault(path="/results", status=200, body="", headers=told, times=None))

    with pytest.raises(PipelineStepFailed) as broken:
        warehouse.extract(salesforce_client(sandbox), LEADS)

    assert "same page again and again" in str(root_sync_error(broken.value))


def test_odd_values_of_salesforce_are_landed_as_they_are(sandbox: Sandbox, tmp_path: Path) -> None:
    """By a query: year 1, five megabytes of text, a number for text, text for a number."""
    wanted: FieldSelection = {"Lead": ("Company", "Title", "NumberOfEmployees", "ConvertedDate")}
    odd = {"Company": LONG, "Title": 12.5, "NumberOfEmployees": "3", "ConvertedDate": "0001-01-01"}
    rows = [{"Id": "7", **odd}, {"Id": "8", "NumberOfEmployees": "many"}]
    client = salesforce_client(sandbox)
    warehouse = ExtractHarness("salesforce", tmp_path)
    page = {"totalSize": 2, "done": True, "records": rows}
    sandbox.faults.plan(Fault(path="/queryAll", status=200, body=page, after=1))

    warehouse.extract(client, wanted)

    assert odd_leads(warehouse) == [(len(LONG), "12.5", 3, 1), (None, None, None, None)]
    assert client.type_mismatches == {("Lead", "NumberOfEmployees"): 1}


def test_odd_values_of_a_job_are_landed_as_they_are(sandbox: Sandbox, tmp_path: Path) -> None:
    """A row without id is left out."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    wanted: FieldSelection = {"Lead": ("Company", "Title", "NumberOfEmployees", "ConvertedDate")}
    names = "Id,CreatedDate,SystemModstamp,IsDeleted,Company,Title,NumberOfEmployees,ConvertedDate"
    rows = (f'7,,,,"{LONG}",12.5,3,0001-01-01', "8,,,,,,many,", ",,,,unknown,,,")
    csv = "\n".join((names, *rows, ""))
    told = {"Sforce-NumberOfRecords": "3", "Sforce-Locator": "null"}
    client = salesforce_client(sandbox)
    warehouse = ExtractHarness("salesforce", tmp_path)
    sandbox.faults.plan(Fault(path="/results", status=200, body=csv, headers=told))

    warehouse.extract(client, wanted)

    assert odd_leads(warehouse) == [(len(LONG), "12.5", 3, 1), (None, None, None, None)]
    assert client.type_mismatches == {("Lead", "NumberOfEmployees"): 1, ("Lead", "Id"): 1}


def odd_leads(warehouse: ExtractHarness) -> list[tuple[Any, ...]]:
    return warehouse.query(
        """SELECT length("Company"), "Title", "NumberOfEmployees", year("ConvertedDate")
           FROM "Lead" ORDER BY "Id" """
    )
