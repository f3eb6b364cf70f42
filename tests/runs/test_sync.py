"""Whole runs against both CRMs of the sandbox, over real HTTP."""

from collections import Counter, namedtuple
from datetime import datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from analysis.explain import explain
from config.loader import load_configuration
from errors import AccessError
from reference_implementation import referee
from run_helpers import (
    apply_plan,
    configured_sandbox,
    count_write_calls,
    edit_contact,
    live_record_count,
    run_sync,
    table_rows,
)
from transforms.lifecycle.lifecycle import lifecycle
from warehouse.warehouse import open_warehouse

FirstRun = namedtuple("FirstRun", "sandbox report")
SecondRun = namedtuple("SecondRun", "report write_calls people_before")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The sandbox after a first run, and the report of that run."""
    with configured_sandbox(tmp_path_factory.mktemp("first")) as sandbox:
        yield FirstRun(sandbox, run_sync())


@pytest.fixture(scope="module")
def second(first):
    """A run right after the first one."""
    before = count_write_calls(first.sandbox)
    people = {row["person_id"]: row for row in table_rows("people")}
    report = run_sync()
    return SecondRun(report, count_write_calls(first.sandbox) - before, people)


def test_every_live_record_ends_in_exactly_one_outcome(first):
    """Written, unchanged, held, quarantined and excluded add up to the records."""
    outcomes = [row for row in table_rows("outcomes") if row["run_id"] == first.report.run.run_id]
    live = [row for row in table_rows("records") if not row["deleted"]]

    counts = Counter((row["crm"], row["object"], row["record_id"]) for row in outcomes)
    assert counts == Counter((row["crm"], row["object"], row["record_id"]) for row in live)


def test_the_outcomes_of_the_report_add_up_to_the_live_records(first):
    """What the report prints counts the same records."""
    assert sum(row["records"] for row in first.report.records) == live_record_count()


def test_hubspot_shows_the_stage_of_the_definition(first):
    """The API returns the stage of each contact's person."""
    options = load_configuration().mappings["hubspot"].write["contacts"]["lifecyclestage"].values
    stage = {row["person_id"]: row["stage"] for row in table_rows("lifecycle")}
    contacts = [
        row for row in table_rows("records") if row["crm"] == "hubspot" and not row["deleted"]
    ]

    stored = first.sandbox.hubspot.tables["contacts"].records

    differing = [
        row["record_id"]
        for row in contacts
        if stored[int(row["record_id"])].properties["lifecyclestage"]
        not in options[stage[row["person_id"]]]
    ]
    assert (differing, len(contacts) > 50) == ([], True)


@pytest.mark.usefixtures("first")
def test_a_converted_lead_is_never_written():
    """It is read-only in Salesforce; the contact that it became is written instead."""
    converted = {row["record_id"] for row in table_rows("records") if row["read_only"]}
    changed = {row["record_id"] for row in table_rows("changes")}

    assert (len(converted) > 0, converted & changed) == (True, set())


@pytest.mark.usefixtures("first")
def test_the_lifecycle_equals_the_reference_implementation():
    """Plain Python computes the same tables, person by person, from docs/definition.md."""
    definition = YAML(typ="safe").load(Path("mappings/lifecycle.yaml"))
    computed = table_rows("lifecycle")

    lifecycle_rows, history = referee(
        definition,
        table_rows("people"),
        table_rows("field_since"),
        table_rows("events"),
        computed[0]["as_of"],
    )

    expected = {row["person_id"]: row for row in lifecycle_rows}
    differing = [
        (row["person_id"], column, row[column], expected[row["person_id"]][column])
        for row in computed
        for column in row.keys() - {"definition_id"}
        if row[column] != expected[row["person_id"]][column]
    ]
    assert (differing, len(computed)) == ([], len(expected))
    assert sorted(table_rows("stage_history"), key=_entry) == sorted(history, key=_entry)


def _entry(row):
    return row["person_id"], row["entered_at"], row["cycle"], row["stage"]


@pytest.mark.usefixtures("first")
def test_a_receipt_adds_up_to_the_stored_score():
    """The points of its lines are the score, to the cent."""
    stored = max(table_rows("lifecycle"), key=lambda row: row["engagement"])

    with open_warehouse() as warehouse:
        [receipt] = explain(warehouse, load_configuration(), stored["person_id"])

    points = [row["left"] for row in (*receipt.contributions, *receipt.fit)]
    assert round(sum(points), 2) == stored["score"]


@pytest.mark.usefixtures("first")
def test_a_person_is_found_by_any_spelling_of_the_address():
    """Upper case and spaces name the same person."""
    record = next(row for row in table_rows("records") if row["email"] and not row["deleted"])

    with open_warehouse() as warehouse:
        receipts = explain(warehouse, load_configuration(), f" {record['email'].upper()} ")

    assert record["person_id"] in [receipt.person_id for receipt in receipts]


@pytest.mark.usefixtures("first")
def test_people_created_later_are_not_in_the_past():
    """`as_of` leaves them out."""
    created = sorted(row["created_at"] for row in table_rows("people"))
    as_of = datetime.combine(created[len(created) // 2], datetime.min.time())

    with open_warehouse() as warehouse:
        inputs = warehouse.inputs_as_of(load_configuration(), as_of=as_of)
        tables = lifecycle(
            *inputs[:3],
            load_configuration().definition,
            as_of=as_of,
            materialize=warehouse.materialize,
        )
        people = tables.lifecycle.count().to_pyarrow().as_py()

    assert people == sum(at <= as_of for at in created)


def test_after_a_run_the_crms_do_not_disagree(first, second):
    """Both show the stage of the one definition."""
    assert (first.report.disagreeing > 10, second.report.disagreeing) == (True, 0)


def test_a_second_run_writes_nothing(second):
    """A change exists only where the CRM differs from the definition."""
    report = second.report

    assert (report.run.status, report.field_changes, second.write_calls) == ("done", [], 0)


def test_written_values_do_not_change_the_people(second):
    """Survivorship must not depend on which record was written last."""
    assert {row["person_id"]: row for row in table_rows("people")} == second.people_before


@pytest.mark.long
def test_a_plan_is_applied_except_where_a_person_edited_the_record(tmp_path):
    """A dry run writes nothing; `apply` writes its plan and holds a record changed since."""
    with configured_sandbox(tmp_path, people=40) as sandbox:
        planned = run_sync(write=False)
        edited = next(
            row["record_id"]
            for row in table_rows("changes")
            if row["field"] == "lifecyclestage" and row["before"] == "lead"
        )
        writes = count_write_calls(sandbox)
        edit_contact(sandbox, edited, lifecyclestage="evangelist")
        applied = apply_plan(planned.run.run_id)

        outcomes = [row for row in table_rows("outcomes") if row["record_id"] == edited]
        last = max(outcomes, key=lambda row: row["at"])
        live = live_record_count()
        assert (planned.run.status, writes, applied.run.status) == ("planned", 0, "done")
        assert sum(row["records"] for row in planned.records) == live
        assert sum(row["records"] for row in applied.records) == live
        assert (last["status"], last["reason"]) == ("held", "changed_in_crm")
        assert run_sync().disagreeing == 0


@pytest.mark.long
def test_empty_crms_are_not_an_error(tmp_path):
    """The run ends as done, with no people."""
    with configured_sandbox(tmp_path, people=0):
        report = run_sync()

        assert (report.run.status, report.people, report.records) == ("done", 0, [])


@pytest.fixture(scope="module")
def odd_values(tmp_path_factory):
    """One run over values in unusual forms: short ids, a full-width address, long decimals."""
    with configured_sandbox(tmp_path_factory.mktemp("odd"), people=40) as sandbox:
        contacts = sandbox.hubspot.tables["contacts"]
        linked = [
            record
            for record in contacts.records.values()
            if record.properties.get("salesforceleadid")
        ]
        for record in linked:
            record.properties["salesforceleadid"] = record.properties["salesforceleadid"][:15]
            record.properties.pop("email", None)
            record.properties.pop("salesforcecontactid", None)
        named = next(record for record in contacts.live() if record not in linked)
        named.properties["email"] = "anna.wide@example.com"
        submissions = sandbox.hubspot.submissions
        submissions[next(iter(submissions))][0]["values"] = [
            {"name": "email", "value": "\uff21\uff4e\uff4e\uff41.wide@example.com"}
        ]
        for record in contacts.records.values():
            record.properties["onefunnel_score"] = "1234.56789"
        yield linked, named, run_sync()


@pytest.mark.long
def test_an_id_of_15_characters_links_like_the_id_of_18(odd_values):
    """Salesforce writes both forms; spreadsheets lose the last three characters."""
    linked, _, _ = odd_values
    person = {row["key"]: row["person_id"] for row in table_rows("records")}

    unlinked = [
        record.id
        for record in linked
        if f"hubspot:contacts:{record.id}" in person
        and not any(
            key.startswith(f"salesforce:Lead:{record.properties['salesforceleadid']}")
            for key, person_id in person.items()
            if person_id == person[f"hubspot:contacts:{record.id}"]
        )
    ]
    assert (len(linked) > 0, unlinked) == (True, [])


@pytest.mark.long
def test_a_full_width_address_is_the_same_address(odd_values):
    """A form submission with it belongs to the contact with the plain address."""
    _, contact, _ = odd_values
    person = {row["key"]: row["person_id"] for row in table_rows("records")}

    objects = {
        row["source_object"]
        for row in table_rows("events")
        if row["person_id"] == person[f"hubspot:contacts:{contact.id}"]
    }

    assert "form_submissions" in objects


@pytest.mark.long
def test_more_decimals_than_we_write_are_not_an_edit(odd_values):
    """The sink compares with the value that the CRM holds, not with a rounded one."""
    *_, report = odd_values

    assert [row for row in report.records if row["status"] == "held"] == []


@pytest.mark.long
def test_a_missing_write_permission_stops_before_the_first_write(tmp_path):
    """Neither CRM is written. The plan is stored: `apply` writes it once the scope is granted."""
    with configured_sandbox(tmp_path, people=25) as sandbox:
        sandbox.hubspot.denied_scopes.add("crm.objects.contacts.write")
        with pytest.raises(AccessError, match=r"crm\.objects\.contacts\.write"):
            run_sync()
        run = table_rows("runs")[0]
        between = Counter(row["status"] for row in table_rows("outcomes"))
        sandbox.hubspot.denied_scopes.clear()
        settled = apply_plan(run["run_id"])

        assert run["status"] == "failed"
        assert between["unknown"] > 0
        assert between["written"] == 0
        assert {row["status"] for row in settled.records} == {"written", "excluded"}
        assert sum(row["records"] for row in settled.records) == sum(between.values())
