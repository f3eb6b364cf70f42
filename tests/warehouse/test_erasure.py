"""Who was erased in a CRM is nowhere in the warehouse after the next run, but for the journal."""

from collections.abc import Iterator
from typing import Any

import pytest

from run_helpers import configured_sandbox, run_sync, table_rows
from sandbox.hubspot.store import Record
from sandbox.server import Sandbox
from warehouse.warehouse import open_warehouse

TABLES = ("records", "people", "events", "record_history", "field_history", "lifecycle")
LANDED = ("contacts", "contacts_history", "form_submissions", "email_events", "page_views")


@pytest.fixture
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with configured_sandbox(tmp_path_factory.mktemp("erasure"), people=60) as sandbox:
        run_sync(write=False)
        yield sandbox


def busy_contact(sandbox: Sandbox) -> Record:
    """A contact that only HubSpot has and that is in all of its logs."""
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
    return next(
        one
        for one in sandbox.hubspot.tables["contacts"].live()
        if (email := one.properties.get("email", "")) in submitted
        and email in mailed
        and str(one.id) in viewed
        and email.lower() not in shared
    )


def telling(*words: str) -> list[str]:
    """The tables that still hold one of some words in any column."""
    with open_warehouse() as warehouse:
        tables = {name: warehouse.table(name) for name in TABLES}
        tables |= warehouse.source_tables("hubspot", LANDED)
        return [
            name
            for name, table in tables.items()
            if any(word in str(table.to_pyarrow().to_pylist()).lower() for word in words)
        ]


def test_an_erased_contact_leaves_nothing_behind(sandbox: Sandbox) -> None:
    """No version, no history, no submission, no e-mail event, no page view."""
    contact = busy_contact(sandbox)
    words = f"'{contact.id}'", contact.properties["email"].lower()
    assert {"record_history", *LANDED} <= set(telling(*words))
    sandbox.hubspot.erase(sandbox.hubspot.tables["contacts"], contact)

    told = run_sync(write=False)

    assert telling(*words) == []
    assert any("1 records disappeared" in finding for finding in told.warnings)


def test_whoever_shares_the_address_keeps_what_it_did(sandbox: Sandbox) -> None:
    """Another contact of the CRM has it: the submissions may be theirs."""
    contact = busy_contact(sandbox)
    email = contact.properties["email"]
    other = next(one for one in sandbox.hubspot.tables["contacts"].live() if one is not contact)
    sandbox.hubspot.edit(sandbox.hubspot.tables["contacts"], other, {"hs_additional_emails": email})
    sandbox.hubspot.erase(sandbox.hubspot.tables["contacts"], contact)

    run_sync(write=False)

    kept = telling(email.lower())
    assert {"form_submissions", "email_events"} <= set(kept)
    assert telling(f"'{contact.id}'") == []


def test_who_was_merged_keeps_the_past(sandbox: Sandbox) -> None:
    """The record continues under another id."""
    contact = busy_contact(sandbox)
    contacts = sandbox.hubspot.tables["contacts"]
    other = next(one for one in contacts.live() if one is not contact)
    before = len(landed("form_submissions")), len(table_rows("record_history"))
    sandbox.hubspot.merge(contacts, contact, other)

    run_sync(write=False)

    after = len(landed("form_submissions")), len(table_rows("record_history"))
    assert after[0] == before[0]
    assert after[1] > before[1]


def test_a_lead_that_was_purged_is_forgotten(sandbox: Sandbox) -> None:
    """Emptied from the recycle bin: its versions go with it."""
    leads = sandbox.salesforce.tables["Lead"]
    gone = next(id for id, row in leads.items() if not row.get("IsDeleted"))
    del leads[gone]

    run_sync(write=False)

    assert not any(gone in row["key"] for row in table_rows("record_history"))


def test_another_account_erases_nobody(sandbox: Sandbox) -> None:
    """If most records disappear at once, nothing is erased and a warning says so."""
    contacts = sandbox.hubspot.tables["contacts"]
    before = len(table_rows("record_history"))
    for contact in list(contacts.live())[5:]:
        sandbox.hubspot.erase(contacts, contact)

    told = run_sync(write=False)

    assert len(table_rows("record_history")) >= before
    assert any("another account" in finding for finding in told.warnings)


def landed(object: str) -> list[dict[str, Any]]:
    with open_warehouse() as warehouse:
        return list(warehouse.source_tables("hubspot", [object])[object].to_pyarrow().to_pylist())
