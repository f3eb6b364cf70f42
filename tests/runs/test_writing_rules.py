"""The rules of writing in whole runs: refused, held, undone, and carried to the next run."""

import json

import pytest

from config.loader import load_configuration
from run_helpers import (
    apply_plan,
    configured_sandbox,
    count_write_calls,
    edit_contact,
    live_record_count,
    outcome_counts,
    run_cli,
    run_sync,
    table_rows,
    undo,
)
from sandbox.salesforce.validation_rules import validation_rule
from session import connect_all
from warehouse import status, withheld
from warehouse.status import person_changes
from warehouse.warehouse import open_warehouse

pytestmark = pytest.mark.long  # whole runs


def open_issues():
    with open_warehouse() as warehouse:
        return status.status(warehouse, load_configuration()).open_issues


def stages(sandbox):
    """The stage of every record in both CRMs."""
    contacts = sandbox.hubspot.tables["contacts"].records
    stage = {id: record.properties.get("lifecyclestage") for id, record in contacts.items()}
    leads = sandbox.salesforce.tables["Lead"].values()
    return stage | {row["Id"]: row.get("Lifecycle_Stage__c") for row in leads}


def last_changes(field):
    """The changes of one field in the last run."""
    last = max(row["run_id"] for row in table_rows("runs"))
    return [row for row in table_rows("changes") if row["field"] == field and row["run_id"] == last]


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    """A Salesforce that refuses the stage `Prospect`, after three runs."""
    with configured_sandbox(tmp_path_factory.mktemp("refusing"), people=25) as sandbox:
        validation_rule(
            sandbox.salesforce,
            "Lead",
            "Lifecycle_Stage__c = 'Prospect'",
            "not yet",
            fields=("Lifecycle_Stage__c",),
        )
        first = run_sync()
        second = run_sync()
        before = count_write_calls(sandbox)
        yield sandbox, first, second, run_sync(), before


def test_a_refused_field_is_remembered_and_costs_no_call(refusing):
    """The second run writes the other fields of the record; the third run writes nothing."""
    sandbox, first, second, third, before = refusing

    refused = outcome_counts(first)["quarantined", "refused"]
    assert refused > 0
    assert "Lifecycle_Stage__c" not in {row["field"] for row in second.field_changes}
    assert outcome_counts(third)["quarantined", "refused"] == refused
    assert count_write_calls(sandbox) == before


def test_show_names_refused_records_with_the_message_of_the_rule(refusing):
    """Also in a later run, which does not send the value again."""
    _, first, _, third, _ = refusing
    shown = [
        json.loads(run_cli("show", run.run.run_id, "--outcome", "quarantined", "--json").stdout)
        for run in (first, third)
    ]

    assert all(shown)
    assert {row["crm_message"] for rows in shown for row in rows} == {"not yet"}
    assert {row["record_id"] for row in shown[0]} == {row["record_id"] for row in shown[1]}


def test_equal_causes_are_one_open_issue_with_its_remedy(refusing):
    """It names the refused option and says what to do."""
    *_, third, _ = refusing
    issues = [row for row in open_issues() if row["status"] == "quarantined"]

    [issue] = [row for row in issues if "Prospect" in row.values()]

    refused = outcome_counts(third)["quarantined", "refused"]
    assert sum(row["records"] for row in issues) == refused
    assert issue["field"] == "Lifecycle_Stage__c"
    assert "validation rule" in issue["fix"]


def test_the_outcomes_add_up_with_remembered_refusals(refusing):
    """Every live record has exactly one of the five outcomes."""
    _, _, second, third, _ = refusing

    totals = [sum(outcome_counts(report).values()) for report in (second, third)]

    assert totals == [live_record_count()] * 2


def test_retry_sends_a_refused_field_again(refusing):
    """The admin has removed the validation rule and says `retry`."""
    sandbox, *_ = refusing
    sandbox.salesforce.rules["Lead"].clear()
    with open_warehouse() as warehouse:
        withheld.retry(warehouse, crm="salesforce", field=None, record_id=None)

    report = run_sync()

    assert outcome_counts(report)["quarantined", "refused"] == 0
    assert last_changes("Lifecycle_Stage__c")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The sandbox after a first run, and the stages from before it."""
    with configured_sandbox(tmp_path_factory.mktemp("undo"), people=60) as sandbox:
        before = stages(sandbox)
        yield sandbox, before, run_sync()


def test_undo_restores_every_field_that_did_not_change_since(written):
    """The one field that a person changed since keeps its value and is listed."""
    sandbox, before, first = written
    edited = next(row["record_id"] for row in last_changes("lifecyclestage") if row["before"])
    edit_contact(sandbox, edited, lifecyclestage="evangelist")

    report = undo(first.run.run_id)

    after = stages(sandbox)
    differing = {id for id, stage in after.items() if (stage or None) != (before[id] or None)}
    assert differing == {int(edited)}
    assert [(row["field"], row["records"]) for row in report.withheld] == [("lifecyclestage", 1)]
    assert sum(outcome_counts(report).values()) == live_record_count()


def test_an_undo_can_be_previewed_and_undone(written):
    """It is a run like any other."""
    sandbox, _, _ = written
    undo_id = max(row["run_id"] for row in table_rows("runs"))
    before = count_write_calls(sandbox)

    report = undo(undo_id, write=False)

    assert (report.run.status, count_write_calls(sandbox)) == ("planned", before)
    assert outcome_counts(report)["held", "approval"] > 0


@pytest.mark.usefixtures("written")
def test_the_history_of_a_person_lists_what_was_written():
    """A person is named by an address or by the id of a record."""
    contact = next(row for row in table_rows("records") if row["email"] and row["crm"] == "hubspot")

    with open_warehouse() as warehouse:
        by_address = person_changes(warehouse, load_configuration(), contact["email"])
        by_id = person_changes(warehouse, load_configuration(), contact["record_id"])

    assert {row["record_id"] for row in by_address} >= {contact["record_id"]}
    assert {row["status"] for row in by_address} == {"written"}
    assert by_id


@pytest.mark.usefixtures("written")
def test_the_guard_holds_every_record_until_apply():
    """The outcomes of a stopped run add up as well; `apply` writes what the guard held."""
    stopped = run_sync()
    applied = apply_plan(stopped.run.run_id)

    live = live_record_count()
    assert stopped.run.status == "stopped"
    assert outcome_counts(stopped)["held", "guard"] > 0
    assert sum(outcome_counts(stopped).values()) == live
    assert sum(outcome_counts(applied).values()) == live
    assert outcome_counts(applied)["held", "guard"] == 0


@pytest.mark.long
def test_a_field_that_is_overwritten_three_times_is_frozen(written):
    """It is reported and no longer written until `retry`; tests/transforms/test_holds.py: rules."""
    sandbox, _, _ = written
    contacts = [row for row in table_rows("records") if row["crm"] == "hubspot"]
    contact = next(row["record_id"] for row in contacts if not row["deleted"])
    counts = []
    for _ in range(4):
        edit_contact(sandbox, contact, onefunnel_next_action="something else")
        run_id = run_sync().run.run_id
        changes = [row for row in table_rows("changes") if row["run_id"] == run_id]
        counts.append(sum(row["record_id"] == contact for row in changes))

    assert counts == [1, 1, 0, 0]
    assert ("onefunnel_next_action", "frozen") in {
        (row["field"], row["reason"]) for row in open_issues()
    }


def test_below_the_quota_reserve_stages_are_written_first(tmp_path, monkeypatch):
    """One call is left above it. The other records are held; the next run writes them."""
    with configured_sandbox(tmp_path, people=25) as sandbox:
        planned = run_sync(write=False)
        used = sandbox.hubspot.daily_used
        connect_all(load_configuration())
        calls_to_connect = sandbox.hubspot.daily_used - used
        left = sandbox.hubspot.daily_limit - sandbox.hubspot.daily_used - calls_to_connect
        monkeypatch.setenv("QUOTA__RESERVE", str(left - 1))
        first = apply_plan(planned.run.run_id)
        between = count_write_calls(sandbox)
        monkeypatch.setenv("QUOTA__RESERVE", "0")
        second = run_sync()

        assert outcome_counts(first)["held", "quota"] > 0
        assert sum(outcome_counts(first).values()) == live_record_count()
        assert (second.run.status, count_write_calls(sandbox) > between) == ("done", True)
        assert outcome_counts(second)["held", "quota"] == 0
