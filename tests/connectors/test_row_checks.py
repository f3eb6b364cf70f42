"""Proving a pull: what counts do not explain is found, and read again."""

from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connector_helpers import (
    EXPIRED_CURSOR,
    ExtractHarness,
    add_leads,
    hubspot_client,
    live_lead,
    salesforce_client,
)
from connectors import connector
from connectors.extract.id_diff import RemoteIds, diff_ids
from models import FieldSelection
from run_helpers import configured_sandbox as whole_world
from run_helpers import run_sync
from sandbox.faults import Fault
from sandbox.hubspot.store import Record
from sandbox.server import Sandbox
from warehouse import row_checks
from warehouse.warehouse import open_warehouse

PEOPLE: FieldSelection = {"contacts": ("email",), "contacts_history": ("lifecyclestage",)}
EMAILS: FieldSelection = {"emails": ()}
LEADS: FieldSelection = {"Lead": ("Company",)}

ids = st.sets(st.integers(1, 400))


def some(sandbox: Sandbox, object: str, count: int) -> list[Record]:
    return list(sandbox.hubspot.tables[object].live())[:count]


def proof(warehouse: ExtractHarness) -> tuple[int, int, int, bool]:
    first = warehouse.row_checks[0]
    return first.missing, first.absent, first.reassociated, first.is_complete


def shelf(theirs: set[int], *, leaf: int, listed: int = 0) -> RemoteIds:
    def between(above: Any, up_to: Any) -> set[int]:
        return {one for one in theirs if (above or 0) < one <= (up_to or 10_000)}

    return RemoteIds(
        count=lambda above, up_to: len(between(above, up_to)),
        ids=lambda above, up_to: {str(one) for one in between(above, up_to)},
        existing=lambda asked: {one for one in asked if int(one) in theirs},
        page_size=leaf,
        max_listed=listed,
    )


@given(ids, ids, st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_whatever_was_missed_alone_is_found(landed: set[int], added: set[int], leaf: int) -> None:
    """Where nothing is gone, counts can hide nothing."""
    theirs = landed | added
    live = ibis.memtable(
        pa.table({"id": [str(one) for one in landed], "rank": pa.array(landed, pa.int64())})
    )

    found = diff_ids(live, shelf(theirs, leaf=leaf))

    assert set(found.missing) == {str(one) for one in added - landed}
    assert found.absent == ()
    assert found.is_complete


@given(ids, ids, st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_what_is_found_is_true(landed: set[int], theirs: set[int], leaf: int) -> None:
    """One that came may hide one that went; what is said is right all the same."""
    live = ibis.memtable(
        pa.table({"id": [str(one) for one in landed], "rank": pa.array(landed, pa.int64())})
    )

    found = diff_ids(live, shelf(theirs, leaf=leaf))

    assert {int(one) for one in found.absent} <= landed - theirs
    assert {int(one) for one in found.missing} <= theirs - landed
    assert found.is_complete


@given(ids, ids, st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_a_sweep_finds_whatever_differs(landed: set[int], theirs: set[int], leaf: int) -> None:
    """It compares all ids: nothing hides anything."""
    live = ibis.memtable(
        pa.table({"id": [str(one) for one in landed], "rank": pa.array(landed, pa.int64())})
    )

    found = diff_ids(live, shelf(theirs, leaf=leaf, listed=400), is_full_check=True)

    assert {int(one) for one in found.absent} == landed - theirs
    assert {int(one) for one in found.missing} == theirs - landed
    assert (found.landed_count, found.remote_count, found.is_complete) == (
        len(landed),
        len(theirs),
        True,
    )


@given(ids, ids, st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_where_a_count_differs_nothing_hides_anything(
    landed: set[int], theirs: set[int], leaf: int
) -> None:
    """Unless there are too many ids to compare them all."""
    assume(len(theirs) != len(landed))
    live = ibis.memtable(
        pa.table({"id": [str(one) for one in landed], "rank": pa.array(landed, pa.int64())})
    )

    found = diff_ids(live, shelf(theirs, leaf=leaf, listed=400))

    assert {int(one) for one in found.absent} == landed - theirs
    assert {int(one) for one in found.missing} == theirs - landed


def test_one_that_came_and_one_that_went_do_not_hide_each_other(
    sandbox: Sandbox, salesforce: ExtractHarness
) -> None:
    """Once a day, and where the ids cost no more than their count."""
    add_leads(sandbox.salesforce, 2100)
    salesforce.extract(salesforce_client(sandbox), LEADS)
    gone = live_lead(sandbox.salesforce)["Id"]
    del sandbox.salesforce.tables["Lead"][gone]
    add_leads(sandbox.salesforce, 1, SystemModstamp="2025-05-01T00:00:00.000+0000")

    salesforce.extract(salesforce_client(sandbox), LEADS, verify=True)

    assert proof(salesforce) == (1, 1, 0, True)


def test_a_day_has_one_sweep(sandbox: Sandbox, salesforce: ExtractHarness) -> None:
    """The other pulls count."""
    add_leads(sandbox.salesforce, 2100)
    client = salesforce_client(sandbox)
    salesforce.last_full_check["Lead"] = client.now()
    salesforce.extract(client, LEADS)

    salesforce.extract(client, LEADS, verify=True)

    assert salesforce.row_checks[0].full_check_at == salesforce.last_full_check["Lead"]


def test_a_pull_that_missed_nothing_is_proven_by_one_count(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """One search an object."""
    client = hubspot_client(sandbox)

    hubspot.extract(client, PEOPLE, verify=True)

    assert proof(hubspot) == (0, 0, 0, True)
    assert client.api_calls["search"] == 1


@pytest.mark.parametrize("full", [False, True])
def test_an_absent_contact_is_named_and_stays_landed(
    sandbox: Sandbox, hubspot: ExtractHarness, full: bool
) -> None:
    """It may be erased or out of sight: neither it nor its history is deleted here."""
    hubspot.extract(hubspot_client(sandbox), PEOPLE)
    (gone,) = some(sandbox, "contacts", 1)
    sandbox.hubspot.erase(sandbox.hubspot.tables["contacts"], gone)

    hubspot.extract(hubspot_client(sandbox), PEOPLE, verify=True, full=full)

    assert proof(hubspot) == (0, 1, 0, True)
    assert hubspot.verification.absent["contacts"] == (str(gone.id),)
    assert hubspot.query(f"SELECT id FROM contacts WHERE id = '{gone.id}'") != []
    assert hubspot.query(f"SELECT id FROM contacts_history WHERE id = '{gone.id}'") != []


def test_a_contact_that_returns_is_read_again(sandbox: Sandbox, hubspot: ExtractHarness) -> None:
    """While it is absent it is no difference; when HubSpot shows it again it is read."""
    contacts = sandbox.hubspot.tables["contacts"]
    hubspot.extract(hubspot_client(sandbox), PEOPLE)
    (hidden,) = some(sandbox, "contacts", 1)
    sandbox.hubspot.erase(contacts, hidden)
    hubspot.extract(hubspot_client(sandbox), PEOPLE, verify=True)
    hubspot.known_absent = hubspot.verification.absent
    hubspot.extract(hubspot_client(sandbox), PEOPLE, verify=True)
    assert proof(hubspot) == (0, 0, 0, True)
    hidden.properties["email"] = "changed@example.com"
    contacts.records[hidden.id] = hidden
    contacts.invalidate_order()

    hubspot.extract(hubspot_client(sandbox), PEOPLE, verify=True)

    assert proof(hubspot) == (1, 0, 0, True)
    assert hubspot.verification.returned == {"contacts": {str(hidden.id)}}
    landed = hubspot.query(f"SELECT email FROM contacts WHERE id = '{hidden.id}'")
    assert landed == [("changed@example.com",)]


def test_all_associations_are_compared_when_a_contact_returns(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """HubSpot left it out of them while it was out of sight."""
    wanted = PEOPLE | EMAILS
    contacts = sandbox.hubspot.tables["contacts"]
    hubspot.extract(hubspot_client(sandbox), wanted)
    linked = hubspot.query("SELECT id, associated_contacts FROM emails ORDER BY id")
    people = next(people for _, people in linked if people)
    hidden = contacts.records[int(people.split(";")[0])]
    emails = [int(id) for id, people in linked if str(hidden.id) in people.split(";")]
    sandbox.hubspot.erase(contacts, hidden)
    hubspot.extract(hubspot_client(sandbox), wanted, verify=True)
    hubspot.known_absent = hubspot.verification.absent
    contacts.records[hidden.id] = hidden
    contacts.invalidate_order()
    for email in emails:
        sandbox.hubspot.associate("emails", email, "contacts", hidden.id)
    hubspot.last_full_check = dict.fromkeys(wanted, hubspot_client(sandbox).now())

    hubspot.extract(hubspot_client(sandbox), wanted, verify=True)

    assert hubspot.query("SELECT id, associated_contacts FROM emails ORDER BY id") == linked


def test_contacts_that_were_merged_away_are_absent(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """They are in no list any more; the one they were merged into has their ids."""
    hubspot.extract(hubspot_client(sandbox), PEOPLE)
    first, second = some(sandbox, "contacts", 2)
    merged = sandbox.hubspot.merge(sandbox.hubspot.tables["contacts"], first, second)

    hubspot.extract(hubspot_client(sandbox), PEOPLE, verify=True)

    assert set(hubspot.verification.absent["contacts"]) == {str(first.id), str(second.id)}
    assert hubspot.query(f"SELECT id FROM contacts WHERE id = '{merged.id}'") != []
    assert proof(hubspot) == (0, 2, 0, True)


def test_a_contact_that_was_missed_is_read_with_its_history(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """Found by counting halves."""
    hubspot.extract(hubspot_client(sandbox), PEOPLE)
    (missed,) = some(sandbox, "contacts", 1)
    hubspot.query(f"DELETE FROM contacts WHERE id = '{missed.id}'")
    hubspot.query(f"DELETE FROM contacts_history WHERE id = '{missed.id}'")

    hubspot.extract(hubspot_client(sandbox), PEOPLE, verify=True)

    email = missed.properties.get("email")
    assert proof(hubspot) == (1, 0, 0, True)
    assert hubspot.query(f"SELECT email FROM contacts WHERE id = '{missed.id}'") == [(email,)]
    assert hubspot.query(f"SELECT count(*) FROM contacts_history WHERE id = '{missed.id}'") != [
        (0,)
    ]


def test_a_contact_that_came_behind_the_reader_of_histories_gets_its_own(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """It is landed itself, so no count differs; but a value needs a history row."""
    wanted = {"contacts": ("lifecyclestage",), "contacts_history": ("lifecyclestage",)}
    hubspot.extract(hubspot_client(sandbox), wanted)
    before = hubspot.count("contacts_history")
    staged = "SELECT id FROM contacts WHERE lifecyclestage IS NOT NULL AND NOT archived"
    hubspot.query(f"DELETE FROM contacts_history WHERE id IN ({staged} ORDER BY id LIMIT 1)")

    hubspot.extract(hubspot_client(sandbox), wanted, verify=True)

    assert proof(hubspot) == (1, 0, 0, True)
    assert hubspot.count("contacts_history") == before


def test_a_count_that_is_behind_deletes_nothing(sandbox: Sandbox, hubspot: ExtractHarness) -> None:
    """The index of the search is late: the records themselves are asked."""
    hubspot.extract(hubspot_client(sandbox), {"contacts": ()})
    before = hubspot.count("contacts")
    late = {"total": 7, "results": []}
    sandbox.faults.plan(Fault(path="/contacts/search", status=200, body=late, times=None))

    hubspot.extract(hubspot_client(sandbox), {"contacts": ()}, verify=True)

    assert hubspot.count("contacts") == before
    assert proof(hubspot) == (0, 0, 0, False)


def test_an_error_in_a_batch_is_no_deletion(sandbox: Sandbox, hubspot: ExtractHarness) -> None:
    """Only what HubSpot says is not there is not: for anything else it is asked again."""
    hubspot.extract(hubspot_client(sandbox), {"contacts": ()})
    before = hubspot.count("contacts")
    behind = {"total": 0, "results": []}
    trouble = {"status": "error", "category": "INTERNAL_ERROR", "context": {"ids": ["1"]}}
    half = {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [trouble]}
    sandbox.faults.plan(Fault(path="/contacts/search", status=200, body=behind, times=None))
    sandbox.faults.plan(Fault(path="/batch/read", status=207, body=half))

    hubspot.extract(hubspot_client(sandbox), {"contacts": ()}, verify=True)

    assert hubspot.count("contacts") == before


def test_an_error_among_associations_is_no_missing_link(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """As with records; to have none is an error of its own."""
    hubspot.extract(hubspot_client(sandbox), EMAILS)
    linked = "SELECT count(*) FROM emails WHERE associated_contacts <> ''"
    before = hubspot.query(linked)
    trouble = {"status": "error", "category": "INTERNAL_ERROR"}
    half = {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [trouble]}
    sandbox.faults.plan(Fault(path="/associations/", status=207, body=half))

    hubspot.extract(hubspot_client(sandbox), EMAILS, verify=True)

    assert (hubspot.query(linked), proof(hubspot)) == (before, (0, 0, 0, True))


def test_engagement_that_is_linked_anew_is_read_again(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """No date of the e-mail shows it: the associations themselves are compared."""
    hubspot.extract(hubspot_client(sandbox), EMAILS)
    (email,) = some(sandbox, "emails", 1)
    person = some(sandbox, "contacts", 9)[-1]
    sandbox.hubspot.associate("emails", email.id, "contacts", person.id)

    hubspot.extract(hubspot_client(sandbox), EMAILS, verify=True)

    [(people,)] = hubspot.query(f"SELECT associated_contacts FROM emails WHERE id = '{email.id}'")
    assert str(person.id) in people.split(";")
    assert proof(hubspot) == (0, 0, 1, True)


@pytest.mark.parametrize("full", [False, True])
def test_an_absent_lead_is_named_and_stays_landed(
    sandbox: Sandbox, salesforce: ExtractHarness, full: bool
) -> None:
    """Emptied from the recycle bin before anybody looked; or a sharing rule hides it."""
    salesforce.extract(salesforce_client(sandbox), LEADS)
    gone = live_lead(sandbox.salesforce)["Id"]
    del sandbox.salesforce.tables["Lead"][gone]

    salesforce.extract(salesforce_client(sandbox), LEADS, verify=True, full=full)

    assert salesforce.query(f"""SELECT "Id" FROM "Lead" WHERE "Id" = '{gone}'""") != []
    assert salesforce.verification.absent["Lead"] == (gone,)
    assert proof(salesforce) == (0, 1, 0, True)


def test_existing_ids_are_live_or_deleted(sandbox: Sandbox) -> None:
    """A record in the archive or in the recycle bin still exists."""
    contacts = sandbox.hubspot.tables["contacts"]
    live, archived, erased = some(sandbox, "contacts", 3)
    sandbox.hubspot.archive(contacts, archived)
    sandbox.hubspot.erase(contacts, erased)
    ids = [str(one.id) for one in (live, archived, erased)]
    leads = sandbox.salesforce.tables["Lead"]
    kept, deleted, purged, *_ = list(leads)
    sandbox.salesforce.put("Lead", leads[deleted] | {"IsDeleted": True})
    del leads[purged]

    found = connector("hubspot").existing_ids(hubspot_client(sandbox), "contacts", ids)
    rows = connector("salesforce").existing_ids(
        salesforce_client(sandbox), "Lead", [kept, deleted, purged]
    )

    assert found == set(ids[:2])
    assert rows == {kept, deleted}


def test_a_proof_asks_anew_where_the_server_forgot_its_cursor(
    sandbox: Sandbox, salesforce: ExtractHarness
) -> None:
    """From the beginning: it keeps nothing in between."""
    salesforce.extract(salesforce_client(sandbox), LEADS)
    add_leads(sandbox.salesforce, 1, SystemModstamp="2025-05-01T00:00:00.000+0000")
    cut = {"totalSize": 9, "done": False, "nextRecordsUrl": "/services/data/v60.0/query/x"}
    behind_the_pull_and_the_count = 2
    sandbox.faults.plan(
        Fault(
            path="/queryAll",
            status=200,
            body=cut | {"records": []},
            after=behind_the_pull_and_the_count,
        )
    )
    sandbox.faults.plan(Fault(path="/query/", status=400, body=EXPIRED_CURSOR))

    salesforce.extract(salesforce_client(sandbox), LEADS, verify=True)

    assert salesforce.count("Lead") == len(sandbox.salesforce.tables["Lead"])
    assert proof(salesforce) == (1, 0, 0, True)


def test_a_row_that_came_late_is_read(sandbox: Sandbox, salesforce: ExtractHarness) -> None:
    """A transaction may end hours after the instant its rows bear."""
    add_leads(sandbox.salesforce, 2100)
    salesforce.extract(salesforce_client(sandbox), LEADS)
    add_leads(sandbox.salesforce, 1, SystemModstamp="2025-05-01T00:00:00.000+0000")

    salesforce.extract(salesforce_client(sandbox), LEADS, verify=True)

    assert salesforce.count("Lead") == len(sandbox.salesforce.tables["Lead"])
    assert proof(salesforce) == (1, 0, 0, True)


def test_a_formula_is_read_anew_though_no_cursor_moved(
    sandbox: Sandbox, salesforce: ExtractHarness
) -> None:
    """Its object is read whole by every pull; the description says what is a formula."""
    client = salesforce_client(sandbox)
    path = "/services/data/v60.0/sobjects/Lead/describe"
    described: Any = client.get(path, expected_key="fields")  # type: ignore[attr-defined]
    formula = next(field for field in described["fields"] if field["name"] == "Company")
    formula["calculated"] = True
    sandbox.faults.plan(Fault(path="/Lead/describe", status=200, body=described, times=None))
    salesforce.extract(client, LEADS)
    lead = live_lead(sandbox.salesforce)
    sandbox.salesforce.put("Lead", lead | {"Company": "Another"})

    salesforce.extract(client, LEADS)

    landed = salesforce.query(f"""SELECT "Company" FROM "Lead" WHERE "Id" = '{lead["Id"]}'""")
    assert landed == [("Another",)]


@pytest.mark.long
def test_status_shows_when_each_object_was_last_proven(tmp_path: Path) -> None:
    """And what was repaired since the first extract."""
    with whole_world(tmp_path) as sandbox:
        run_sync(write=False)
        gone = next(sandbox.hubspot.tables["contacts"].live())
        sandbox.hubspot.erase(sandbox.hubspot.tables["contacts"], gone)
        run_sync(write=False)
        with open_warehouse() as warehouse:
            summary = row_checks.row_check_summary(warehouse)

    assert {(row["crm"], row["object"]) for row in summary} >= {
        ("hubspot", "contacts"),
        ("hubspot", "emails"),
        ("salesforce", "Lead"),
    }
    assert all(row["complete_at"] for row in summary)
    assert [row["absent"] for row in summary if row["object"] == "contacts"] == [1]
