"""Erased people leave the warehouse with the next run; only the journal keeps what was written."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from analysis.run_report import Report
from run_helpers import configured_sandbox, run_sync, table_rows
from sandbox.hubspot.store import Record
from sandbox.server import Sandbox
from warehouse.warehouse import open_warehouse

TABLES = ("records", "people", "events", "record_history", "field_history", "lifecycle")
LANDED = ("contacts", "contacts_history", "form_submissions", "email_events", "page_views")


@dataclass(frozen=True)
class Erasures:
    """A run after three contacts were erased or merged and one lead was purged."""

    sandbox: Sandbox
    report: Report
    tables_before: list[str]
    erased: Record
    erased_with_shared_email: Record
    merged: Record
    merged_rows_before: tuple[int, int]
    purged_lead: str


@pytest.fixture(scope="module")
def erasures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Erasures]:
    with configured_sandbox(tmp_path_factory.mktemp("erasure"), people=150) as sandbox:
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
        leads = sandbox.salesforce.tables["Lead"]
        purged = next(id for id, row in leads.items() if not row.get("IsDeleted"))
        del leads[purged]
        report = run_sync(write=False)
        yield Erasures(sandbox, report, before, erased, shared, merged, rows_before, purged)


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


def test_an_erased_contact_leaves_no_row(erasures: Erasures) -> None:
    """No version, no history, no submission, no e-mail event, no page view."""
    assert {"record_history", *LANDED} <= set(erasures.tables_before)
    assert tables_with(*words_of(erasures.erased)) == []
    assert any("records disappeared" in warning for warning in erasures.report.warnings)


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
    """It left Salesforce's recycle bin."""
    assert not any(erasures.purged_lead in row["key"] for row in table_rows("record_history"))


def test_most_records_at_once_are_not_an_erasure(erasures: Erasures) -> None:
    """It may be another account: nothing is erased, and a warning says so."""
    contacts = erasures.sandbox.hubspot.tables["contacts"]
    before = len(table_rows("record_history"))
    for contact in list(contacts.live())[5:]:
        erasures.sandbox.hubspot.erase(contacts, contact)

    report = run_sync(write=False)

    assert len(table_rows("record_history")) >= before
    assert any("account" in warning for warning in report.warnings)


def landed(object: str) -> list[dict[str, Any]]:
    with open_warehouse() as warehouse:
        return list(warehouse.source_tables("hubspot", [object])[object].to_pyarrow().to_pylist())
