"""A warehouse that was restored or copied, and is behind the CRMs, stops with its plan."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from run_helpers import CommandResult, configured_sandbox, count_write_calls, run_cli, run_sync
from sandbox.mutations import OTHER_USER, Edit, apply_edit
from sandbox.salesforce import writes
from sandbox.server import Sandbox

pytestmark = pytest.mark.long  # whole runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("restored")


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """A backup is taken after a run; the run of the next day writes into a new record."""
    with configured_sandbox(folder, people=30) as sandbox:
        run_sync()
        shutil.copy(folder / "warehouse.duckdb", folder / "backup.duckdb")
        sandbox.skew_clocks(timedelta(days=1).total_seconds())
        create_records(sandbox)
        people_edit(sandbox, 13)
        run_sync()
        yield sandbox


def create_records(sandbox: Sandbox) -> None:
    """Give a person of each CRM another record, by e-mail."""
    hubspot, salesforce = sandbox.hubspot, sandbox.salesforce
    contacts = hubspot.tables["contacts"]
    email = {contact.properties.get("email") for contact in contacts.live()} - {None}
    lead = {"LastName": "New", "Company": "New", "Email": min(filter(None, email))}
    hubspot.create(contacts, {"email": lead["Email"]})
    with salesforce.acting_as(OTHER_USER):
        writes.create(salesforce, salesforce.schema["Lead"], lead)


def people_edit(sandbox: Sandbox, score: int) -> None:
    """Set a score by hand, so that the next plan has a change in each CRM."""
    edits = [
        Edit(crm="hubspot", object="contacts", set={"onefunnel_score": score}),
        Edit(crm="salesforce", object="Lead", set={"onefunnel_score__c": score}),
    ]
    for edit in edits:
        apply_edit(edit, sandbox)


@pytest.fixture(scope="module")
def newest(sandbox: Sandbox) -> CommandResult:
    """A run of the warehouse that wrote last, after an edit by a person."""
    people_edit(sandbox, 14)
    return run_cli("run")


@pytest.fixture(scope="module")
def restored(newest: CommandResult, sandbox: Sandbox, folder: Path) -> tuple[CommandResult, int]:
    """A run of the backup, and how many calls it wrote with."""
    for file in folder.glob("warehouse.duckdb*"):
        file.unlink()
    shutil.copy(folder / "backup.duckdb", folder / "warehouse.duckdb")
    people_edit(sandbox, 15)
    writes = count_write_calls(sandbox)
    return run_cli("run"), count_write_calls(sandbox) - writes


def test_the_warehouse_that_wrote_last_runs_on(newest):
    """An edit by a person is no sign of another warehouse."""
    assert newest.exit_code == 0, newest.stdout


@pytest.mark.parametrize("crm", ["HubSpot", "Salesforce"])
def test_a_restored_warehouse_stops_with_its_plan(restored, crm):
    """Exit code 3, no call that writes, and the cause."""
    result, writes = restored
    text = " ".join(result.stdout.split())

    assert (result.exit_code, writes) == (3, 0)
    assert f"This warehouse is behind {crm}" in text
    assert "restored from a backup or copied, or another installation writes" in text


@pytest.mark.usefixtures("restored")
def test_first_goes_on_with_it():
    """A person has looked; the run after it is an ordinary one."""
    first, second = run_cli("run", "--first"), run_cli("run")

    assert (first.exit_code, second.exit_code) == (0, 0), first.stdout + second.stdout
