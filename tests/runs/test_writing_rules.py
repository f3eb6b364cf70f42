"""The rules of writing in whole runs: what is refused, held, undone, carried to the next run."""

from collections import Counter

import pytest
import requests
from rich.console import Console

from cli.render.progress import progress_bars
from config.loader import load_configuration
from run_helpers import configured_sandbox, count_write_calls, run_sync, table_rows
from sandbox.salesforce.validation_rules import validation_rule
from sync import apply_run, undo_run
from warehouse import status, withheld
from warehouse.status import person_changes
from warehouse.warehouse import open_warehouse


def undone(run_id, *, write=True):
    with progress_bars(Console(quiet=True)) as shown:
        return undo_run(load_configuration(), run_id, write=write, bars=shown)


def applied(run_id):
    with progress_bars(Console(quiet=True)) as shown:
        return apply_run(load_configuration(), run_id, bars=shown)


def waiting():
    with open_warehouse() as warehouse:
        return status.status(warehouse, load_configuration()).open_issues


def counted(told):
    """Records per status and reason."""
    count = Counter()
    for row in told.records:
        count[row["status"], row["reason"]] += row["records"]
    return count


def live():
    return sum(not row["deleted"] for row in table_rows("records"))


def stages(sandbox):
    """What both CRMs show of everybody."""
    contacts = sandbox.hubspot.tables["contacts"].records
    shown = {id: record.properties.get("lifecyclestage") for id, record in contacts.items()}
    leads = sandbox.salesforce.tables["Lead"].values()
    return shown | {row["Id"]: row.get("Lifecycle_Stage__c") for row in leads}


def edit(sandbox, record_id, **properties):
    """Somebody sets properties of a HubSpot contact by hand."""
    answer = requests.patch(
        f"{sandbox.url}/crm/v3/objects/contacts/{record_id}",
        json={"properties": properties},
        headers={"Authorization": f"Bearer {sandbox.hubspot_token}"},
        timeout=10,
    )
    answer.raise_for_status()


def of_field(field):
    """What the last run changed in a field."""
    last = max(row["run_id"] for row in table_rows("runs"))
    return [row for row in table_rows("changes") if row["field"] == field and row["run_id"] == last]


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    """A Salesforce that takes no prospect, after two runs; with what the second did."""
    with configured_sandbox(tmp_path_factory.mktemp("refusing"), people=40) as sandbox:
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
    """The other fields of the record are written by the next run, and then nothing any more."""
    sandbox, first, second, third, before = refusing

    refused = counted(first)["quarantined", "refused"]
    assert refused > 0
    assert "Lifecycle_Stage__c" not in {row["field"] for row in second.writes}
    assert counted(third)["quarantined", "refused"] == refused
    assert count_write_calls(sandbox) == before


def test_equal_causes_are_one_finding_with_its_fix(refusing):
    """The refused option is named, and what to do about it."""
    *_, third, _ = refusing
    causes = [row for row in waiting() if row["status"] == "quarantined"]

    [told] = [row for row in causes if row["word"] == "Prospect"]

    assert sum(row["records"] for row in causes) == counted(third)["quarantined", "refused"]
    assert told["field"] == "Lifecycle_Stage__c"
    assert "validation rule" in told["fix"]


def test_the_account_adds_up_with_remembered_refusals(refusing):
    """Every live record is in exactly one of the five."""
    _, _, second, third, _ = refusing

    assert [sum(counted(told).values()) for told in (second, third)] == [live(), live()]


def test_a_retry_sends_it_again(refusing):
    """Somebody mended the rule, and says so."""
    sandbox, *_ = refusing
    sandbox.salesforce.rules["Lead"].clear()
    with open_warehouse() as warehouse:
        withheld.retry(warehouse, crm="salesforce", field=None, record_id=None)

    told = run_sync()

    assert counted(told)["quarantined", "refused"] == 0
    assert of_field("Lifecycle_Stage__c")


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    """A world after a first run, in which somebody then set back ten contacts and undid one."""
    with configured_sandbox(tmp_path_factory.mktemp("undo"), people=60) as sandbox:
        before = stages(sandbox)
        first = run_sync()
        yield sandbox, before, first


def test_an_undo_restores_what_nobody_touched_and_lists_the_rest(reviewed):
    """Every field but the one that somebody changed holds what it held before the run."""
    sandbox, before, first = reviewed
    touched = next(row["record_id"] for row in of_field("lifecyclestage") if row["before"])
    edit(sandbox, touched, lifecyclestage="evangelist")

    told = undone(first.run.run_id)

    after = stages(sandbox)
    differing = {id for id, stage in after.items() if (stage or None) != (before[id] or None)}
    assert differing == {int(touched)}
    assert [(row["field"], row["records"]) for row in told.withheld] == [("lifecyclestage", 1)]
    assert sum(counted(told).values()) == live()


def test_an_undo_is_a_run_that_can_be_previewed_and_undone(reviewed):
    """It is in the journal like any other."""
    sandbox, _, _ = reviewed
    undo_id = max(row["run_id"] for row in table_rows("runs"))
    before = count_write_calls(sandbox)

    told = undone(undo_id, write=False)

    assert (told.run.status, count_write_calls(sandbox)) == ("planned", before)
    assert counted(told)["held", "approval"] > 0


def test_everything_written_about_one_person_is_told(reviewed):
    """By their address, or by the id of a record."""
    contact = next(row for row in table_rows("records") if row["email"] and row["crm"] == "hubspot")

    with open_warehouse() as warehouse:
        by_address = person_changes(warehouse, load_configuration(), contact["email"])
        by_id = person_changes(warehouse, load_configuration(), contact["record_id"])

    assert {row["record_id"] for row in by_address} >= {contact["record_id"]}
    assert {row["status"] for row in by_address} == {"written"}
    assert by_id


def test_the_guard_holds_every_record_until_apply_releases_it(reviewed):
    """The account of a stopped run adds up as well; `apply` writes what it held."""
    stopped = run_sync()
    released = applied(stopped.run.run_id)

    assert stopped.run.status == "stopped"
    assert counted(stopped)["held", "guard"] > 0
    assert sum(counted(stopped).values()) == sum(counted(released).values()) == live()
    assert counted(released)["held", "guard"] == 0


def test_a_field_that_is_set_back_again_and_again_is_frozen(reviewed):
    """At the third set-back it is reported, and no longer written, until somebody says retry."""
    sandbox, _, _ = reviewed
    contacts = [row for row in table_rows("records") if row["crm"] == "hubspot"]
    contact = next(row["record_id"] for row in contacts if not row["deleted"])
    counts = []
    for _ in range(4):
        edit(sandbox, contact, onefunnel_next_action="something else")
        counts.append(len(written_in(run_sync(), contact)))

    assert counts == [1, 1, 0, 0]
    assert ("onefunnel_next_action", "frozen") in {
        (row["field"], row["reason"]) for row in waiting()
    }


def written_in(told, record_id):
    return [
        row
        for row in table_rows("changes")
        if row["run_id"] == told.run.run_id and row["record_id"] == record_id
    ]


def test_below_the_reserve_stages_go_first_and_the_rest_waits(tmp_path, monkeypatch):
    """What does not fit is held as quota, and the next run carries it on."""
    with configured_sandbox(tmp_path, people=40) as sandbox:
        monkeypatch.setenv("QUOTA__RESERVE", "624990")
        told = run_sync()
        between = count_write_calls(sandbox)
        monkeypatch.setenv("QUOTA__RESERVE", "0")
        later = run_sync()

        assert counted(told)["held", "quota"] > 0
        assert sum(counted(told).values()) == live()
        assert (later.run.status, count_write_calls(sandbox) > between) == ("done", True)
        assert run_sync().disagreeing == 0
