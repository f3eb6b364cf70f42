"""Web-to-lead forms that name a customer's address, sent over HTTP between two runs.

Then the customer's own address changes, in one of the two CRMs.
"""

from collections.abc import Iterator

import pytest
import requests

from analysis.run_report import Report
from run_helpers import configured_sandbox, edit_contact, run_cli, run_sync, table_rows
from sandbox.server import Sandbox

FORMS = 12
"""With the customer's own records more than `max_cluster_size`."""

pytestmark = pytest.mark.long


def send_forms(sandbox: Sandbox, email: str) -> None:
    """Create leads as web-to-lead does: it knows no record, and takes any address."""
    lead = {"LastName": "Anybody", "Company": "Unknown", "Email": email, "Status": "Open"}
    for _ in range(FORMS):
        requests.post(
            f"{sandbox.url}/services/data/v62.0/sobjects/Lead",
            json=lead,
            headers={"Authorization": f"Bearer {sandbox.salesforce_token}"},
            timeout=10,
        ).raise_for_status()


def customer() -> tuple[str, str]:
    """A customer whom e-mail joins: the person's id, and the address."""
    won = {row["person_id"] for row in table_rows("lifecycle") if row["status"] == "won"}
    parts: dict[tuple[str, str], set[str]] = {}
    for row in table_rows("records"):
        if row["person_id"] in won and row["email"] and not row["deleted"]:
            parts.setdefault((row["person_id"], row["email"]), set()).add(row["linked_id"])
    return next(who for who, linked in sorted(parts.items()) if len(linked) > 1)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with configured_sandbox(tmp_path_factory.mktemp("strangers"), people=120) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def after(sandbox: Sandbox) -> tuple[str, str, Report]:
    """The customer, the address, and the run after the forms came."""
    run_sync()
    person, email = customer()
    send_forms(sandbox, email)
    return person, email, run_sync()


@pytest.fixture(scope="module")
def split(sandbox: Sandbox, after: tuple[str, str, Report]) -> tuple[Report, str]:
    """Then the customer's HubSpot contact gets another address: the run, and the contact's id."""
    person, email, _ = after
    [contact] = [
        row["record_id"]
        for row in table_rows("records")
        if (row["person_id"], row["crm"], row["email"]) == (person, "hubspot", email)
    ]
    edit_contact(sandbox, contact, email="another.address@example.com")
    return run_sync(), contact


def test_the_customer_is_neither_moved_nor_written(after):
    """Who they are, their stage, and what both CRMs hold stay as they are."""
    person, _, report = after
    [answer] = [row for row in table_rows("lifecycle") if row["person_id"] == person]
    written = [
        row
        for row in table_rows("changes")
        if row["run_id"] == report.run.run_id and row["person_id"] == person and row["is_stage"]
    ]

    assert (answer["status"], written) == ("won", [])


def test_the_forms_are_people_of_their_own_and_reported(after):
    """Each is a lead without an address match."""
    person, email, report = after
    named = [row for row in table_rows("records") if row["email"] == email]
    apart = [row for row in named if row["person_id"] != person]

    assert [row["email_match_ok"] for row in apart] == [False] * FORMS
    assert any(f"{FORMS} records were not matched by e-mail" in line for line in report.warnings)


def test_a_customer_whose_records_no_longer_share_an_address_is_held_and_reported(split):
    """HubSpot keeps `customer`, though the contact alone has no order any more."""
    report, contact = split
    outcomes = {
        (row["status"], row["reason"])
        for row in table_rows("outcomes")
        if (row["run_id"], row["record_id"]) == (report.run.run_id, contact)
    }
    [warning] = [line for line in report.warnings if "(person_split)" in line]

    assert outcomes == {("held", "person_split")}
    assert f"hubspot:contacts:{contact}" in warning
    assert "no link was changed" in " ".join(run_cli("status").stdout.split())
