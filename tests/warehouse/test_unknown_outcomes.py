"""Writes without a response: the CRM value settles the outcome, and the journal keeps it."""

import shutil
from collections import Counter

import pytest
import requests
from rich.console import Console

from cli.render.progress import progress_bars
from config.loader import CONFIG_FOLDER, load_configuration
from run_helpers import configured_sandbox, run_sync, table_rows
from sandbox.faults import Fault
from sync import apply_run, undo_run


@pytest.fixture
def sandbox(tmp_path):
    with configured_sandbox(tmp_path, people=20) as sandbox:
        yield sandbox


def drop_responses(sandbox, effect="commit_then_drop"):
    """From the first write on, HubSpot's responses are lost and no record can be read."""
    # the first call is the empty batch that asks whether writing is permitted
    sandbox.faults.plan(Fault(path="/batch/update", effect=effect, times=None, after=1))

    def from_now_on(moment, method, path, body):
        if moment == "asked" and "/contacts/batch/update" in path and b'"inputs":[]' not in body:
            sandbox.faults.plan(Fault(path="/contacts/batch/read", status=503, times=None))

    sandbox.faults.watch(from_now_on)


def stages(sandbox):
    contacts = sandbox.hubspot.tables["contacts"].records
    return {id: record.properties.get("lifecyclestage") or None for id, record in contacts.items()}


def all_begin(sandbox):
    """A mapping in which no stage moves back."""
    for record in sandbox.hubspot.tables["contacts"].live():
        record.properties["lifecyclestage"] = "subscriber"


def undone(run_id, mappings=CONFIG_FOLDER):
    with progress_bars(Console(quiet=True)) as shown:
        return undo_run(load_configuration(mappings), run_id, write=True, bars=shown)


def applied(run_id):
    with progress_bars(Console(quiet=True)) as shown:
        return apply_run(load_configuration(), run_id, bars=shown)


def ended(run_id):
    """How many contacts ended a run in each way, by their last outcome."""
    last = {
        row["record_id"]: (row["status"], row["reason"])
        for row in sorted(table_rows("outcomes"), key=lambda row: row["at"])
        if (row["run_id"], row["crm"]) == (run_id, "hubspot")
    }
    meant = {row["record_id"] for row in table_rows("changes") if row["run_id"] == run_id}
    return Counter(last[id] for id in last if id in meant)


@pytest.mark.long
def test_an_undo_restores_writes_without_a_response(sandbox):
    """The CRM shows that the values were written, although the run got no response."""
    all_begin(sandbox)
    before = stages(sandbox)
    drop_responses(sandbox)
    first = run_sync()
    sandbox.faults.reset()
    told = ended(first.run.run_id), stages(sandbox) != before

    undone(first.run.run_id)

    assert (told[0].keys(), told[1]) == ({("unknown", "no_response")}, True)
    assert ended(first.run.run_id).keys() == {("written", "")}
    assert stages(sandbox) == before


@pytest.mark.long
def test_an_undo_takes_back_what_was_only_emptied(sandbox):
    """A stage that had to be emptied before it could go back, when the calls of the day ended."""
    before = stages(sandbox)
    spent = {"status": "error", "message": "", "policyName": "DAILY"}
    spent_day = Fault(path="/batch/update", status=429, body=spent, after=2, times=None)
    sandbox.faults.plan(spent_day)
    first = run_sync()
    sandbox.faults.reset()
    emptied = ended(first.run.run_id)["unknown", "cleared_not_set"]

    undone(first.run.run_id)

    assert emptied > 0
    assert stages(sandbox) == before


@pytest.mark.long
def test_what_never_arrived_is_not_taken_for_written(sandbox):
    """The next run writes it, and it is that run's."""
    all_begin(sandbox)
    drop_responses(sandbox, effect="reset")
    first = run_sync()
    sandbox.faults.reset()
    second = run_sync()
    run_sync()

    assert ended(first.run.run_id).keys() == {("unknown", "no_response")}
    assert ended(second.run.run_id).keys() == {("written", "")}


@pytest.mark.long
def test_apply_says_written_of_what_the_broken_run_had_written(sandbox):
    """The CRM has the values of that run."""
    all_begin(sandbox)
    drop_responses(sandbox)
    first = run_sync()
    sandbox.faults.reset()

    applied(first.run.run_id)

    assert ended(first.run.run_id).keys() == {("written", "")}


def delete(sandbox, record_id):
    requests.delete(
        f"{sandbox.url}/crm/v3/objects/contacts/{record_id}",
        headers={"Authorization": f"Bearer {sandbox.hubspot_token}"},
        timeout=10,
    ).raise_for_status()


def without(field, folder):
    """Mappings of which HubSpot's no longer writes a field."""
    copy = shutil.copytree(CONFIG_FOLDER, folder / "mappings")
    lines = (copy / "hubspot.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.strip().startswith(f"{field}:"))
    (copy / "hubspot.yaml").write_text(kept, encoding="utf-8")
    return copy


@pytest.mark.long
def test_an_undo_accounts_for_live_records_and_can_be_undone(sandbox, tmp_path):
    """Deleted records are left out, unmapped fields are listed, all digits are restored."""
    contacts = sandbox.hubspot.tables["contacts"]
    odd, gone = (str(record.id) for record in list(contacts.live())[:2])
    held = contacts.records[int(odd)].properties
    held["onefunnel_score"] = "12345.678"
    first = run_sync()
    ours = held["onefunnel_score"]
    written = {
        row["record_id"] for row in table_rows("changes") if row["field"] == "lifecyclestage"
    }
    delete(sandbox, gone)

    undo = undone(first.run.run_id, without("onefunnel_next_action", tmp_path))
    theirs = held["onefunnel_score"]
    undone(undo.run.run_id)

    assert {odd, gone} <= written
    assert sum(row["records"] for row in undo.records) == live()
    assert {(row["field"], row["hold_reason"]) for row in undo.withheld} == {
        ("onefunnel_next_action", "not_mapped")
    }
    assert (theirs, held["onefunnel_score"]) == ("12345.678", ours)


def live():
    return sum(not row["deleted"] for row in table_rows("records"))
