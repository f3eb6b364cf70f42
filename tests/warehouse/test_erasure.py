"""Who was erased in a CRM leaves the warehouse, once there is evidence; absence alone is none."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analysis.run_report import Report
from run_helpers import configured_sandbox, run_cli, run_sync, table_rows
from sandbox.hubspot.store import Record
from sandbox.server import Sandbox
from warehouse.warehouse import open_warehouse

pytestmark = pytest.mark.long

TABLES = ("records", "people", "events", "record_history", "field_history", "lifecycle")
LANDED = ("contacts", "contacts_history", "form_submissions", "email_events", "page_views")


@dataclass(frozen=True)
class Erasures:
    """Three contacts were erased or merged and two leads purged; a plan, and a run a day later."""

    sandbox: Sandbox
    planned: Report
    report: Report
    tables_before: list[str]
    tables_after_plan: list[str]
    held: set[str]
    erased: Record
    erased_with_shared_email: Record
    merged: Record
    merged_rows_before: tuple[int, int]
    purged_leads: tuple[str, str]


@pytest.fixture(scope="module")
def erasures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Erasures]:
    with configured_sandbox(tmp_path_factory.mktemp("erasure"), people=150) as sandbox:
        leads = sandbox.salesforce.tables["Lead"]
        live, binned, *_ = (
            id
            for id, row in leads.items()
            if not row.get("IsDeleted") and not row.get("IsConverted")
        )
        sandbox.salesforce.put("Lead", leads[binned] | {"IsDeleted": True})
        run_sync(write=False)
        contacts = sandbox.hubspot.tables["contacts"]
        erased, shared, merged, *_ = busy_contacts(sandbox)
        other, target, *_ = [
            contact for contact in contacts.live() if contact not in (erased, shared, merged)
        ]
        before = tables_with(*words_of(erased))
        rows_before = rows_of(merged)
        email = shared.properties["email"]
        sandbox.hubspot.edit(contacts, other, {"hs_additional_emails": email})
        sandbox.hubspot.erase(contacts, shared)
        sandbox.hubspot.erase(contacts, erased)
        sandbox.hubspot.merge(contacts, merged, target)
        del leads[live], leads[binned]
        planned = run_sync(write=False)
        after_plan = tables_with(*words_of(erased))
        held = {
            row["record_id"]
            for row in table_rows("outcomes")
            if row["run_id"] == planned.run.run_id and row["reason"] == "absent"
        }
        # a day later a full check is due, which looks up the deleted records as well
        sandbox.skew_clocks(timedelta(hours=25).total_seconds())
        report = run_sync(as_of=datetime.now(UTC) + timedelta(hours=25))
        yield Erasures(
            sandbox,
            planned,
            report,
            before,
            after_plan,
            held,
            erased,
            shared,
            merged,
            rows_before,
            (live, binned),
        )


def busy_contacts(sandbox: Sandbox) -> list[Record]:
    """Contacts that only HubSpot has and that are in all of its logs."""
    submitted = {
        value["value"]
        for some in sandbox.hubspot.submissions.values()
        for one in some
        for value in one["values"]
        if value["name"] == "email"
    }
    mailed = {one["recipient"] for one in sandbox.hubspot.email_events}
    viewed = {one["objectId"] for one in sandbox.hubspot.events["e_visited_page"]}
    leads = (
        *sandbox.salesforce.tables["Lead"].values(),
        *sandbox.salesforce.tables["Contact"].values(),
    )
    shared = {str(row.get("Email")).lower() for row in leads}
    return [
        one
        for one in sandbox.hubspot.tables["contacts"].live()
        if (email := one.properties.get("email", "")) in submitted
        and email in mailed
        and str(one.id) in viewed
        and email.lower() not in shared
    ]


def tables_with(*words: str) -> list[str]:
    """Return the tables that have one of some words in any column."""
    with open_warehouse() as warehouse:
        tables = {name: warehouse.table(name) for name in TABLES}
        tables |= warehouse.source_tables("hubspot", LANDED)
        return [
            name
            for name, table in tables.items()
            if any(word in str(table.to_pyarrow().to_pylist()).lower() for word in words)
        ]


def words_of(contact: Record) -> tuple[str, str]:
    return f"'{contact.id}'", contact.properties["email"].lower()


def rows_of(contact: Record) -> tuple[int, int]:
    """Count the form submissions and the record versions of a contact."""
    email = contact.properties["email"].lower()
    submissions = [row for row in landed("form_submissions") if email in str(row).lower()]
    versions = [
        row
        for row in table_rows("record_history")
        if row["key"] == f"hubspot:contacts:{contact.id}"
    ]
    return len(submissions), len(versions)


def test_a_plan_deletes_nothing_that_is_absent(erasures: Erasures) -> None:
    """The token may have lost sight of it. Nothing is written for its person meanwhile."""
    assert set(erasures.tables_after_plan) == set(erasures.tables_before)
    assert str(erasures.erased.id) in erasures.held
    assert any("does not show 2 contacts" in warning for warning in erasures.planned.warnings)


def test_an_erased_contact_leaves_no_row(erasures: Erasures) -> None:
    """After the waiting time: no version, history, submission, e-mail event or page view."""
    assert {"record_history", *LANDED} <= set(erasures.tables_before)
    assert tables_with(*words_of(erasures.erased)) == []
    assert any("deleted for good" in warning for warning in erasures.report.warnings)


def test_activity_of_a_shared_address_stays(erasures: Erasures) -> None:
    """Another contact has the address: the submissions may belong to it."""
    key, email = words_of(erasures.erased_with_shared_email)

    assert {"form_submissions", "email_events"} <= set(tables_with(email))
    assert tables_with(key) == []


def test_a_merged_contact_keeps_its_past(erasures: Erasures) -> None:
    """The record continues under another id."""
    submissions, versions = rows_of(erasures.merged)

    assert (submissions, versions) == erasures.merged_rows_before
    assert versions > 0


def test_a_purged_lead_leaves_no_version(erasures: Erasures) -> None:
    """It left Salesforce's recycle bin, before or after an extract saw it there."""
    keys = {row["key"] for row in table_rows("record_history")}
    assert keys.isdisjoint(f"salesforce:Lead:{id}" for id in erasures.purged_leads)


def test_all_that_belongs_to_an_erased_contact_is_read_again_when_it_returns(
    erasures: Erasures,
) -> None:
    """Its rows in the logs lie before the cursors: the logs are read from the beginning."""
    contacts = erasures.sandbox.hubspot.tables["contacts"]
    contacts.records[erasures.erased.id] = erasures.erased
    contacts.invalidate_order()

    run_sync(write=False)

    assert set(tables_with(*words_of(erasures.erased))) == set(erasures.tables_before)


def test_many_absent_records_wait_for_a_person(erasures: Erasures) -> None:
    """However long they are absent: it may be the permissions of the login."""
    contacts = erasures.sandbox.hubspot.tables["contacts"]
    before = len(table_rows("record_history"))
    for contact in list(contacts.live())[5:]:
        erasures.sandbox.hubspot.erase(contacts, contact)
    run_sync(write=False)
    later = datetime.now(UTC) + timedelta(days=9)

    report = run_sync(as_of=later)
    waiting = len(table_rows("record_history"))
    assert run_cli("absent", "--confirm", "hubspot").exit_code == 0
    run_sync(as_of=later)

    assert waiting >= before
    assert any("absent --confirm hubspot" in warning for warning in report.warnings)
    assert sum(row["crm"] == "hubspot" for row in table_rows("records")) < 15


def landed(object: str) -> list[dict[str, Any]]:
    with open_warehouse() as warehouse:
        return list(warehouse.source_tables("hubspot", [object])[object].to_pyarrow().to_pylist())
