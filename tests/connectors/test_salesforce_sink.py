"""Writing to Salesforce: every record has its outcome, and the org holds what the outcome says."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from connector_helpers import salesforce_client, small_sandbox, write_outcomes
from connectors import Client
from models import FieldChange, Outcome, RecordChange
from sandbox.faults import Effect, Fault
from sandbox.salesforce.rows import Row
from sandbox.salesforce.validation_rules import validation_rule
from sandbox.server import Sandbox

Apply = Callable[..., list[Outcome]]
SCORE = "onefunnel_score__c"


@pytest.fixture(scope="module")
def crm() -> Iterator[Sandbox]:
    with small_sandbox(people=20) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(crm: Sandbox) -> Sandbox:
    crm.faults.reset()
    return crm


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return salesforce_client(sandbox)


@pytest.fixture
def apply(client: Client) -> Apply:
    def run(*changes: RecordChange) -> list[Outcome]:
        return write_outcomes("salesforce", client, changes)

    return run


def new(sandbox: Sandbox, **values: object) -> str:
    """Make a lead and give its id."""
    store = sandbox.salesforce
    stamps = {"CreatedDate": store.stamp(), "SystemModstamp": store.stamp()}
    row: Row = {"Id": store.new_id("00Q"), "LastName": "L", "Company": "C", "IsDeleted": False}
    store.put("Lead", row | stamps | values)
    return str(row["Id"])


def contact(sandbox: Sandbox, account: str) -> str:
    """Make a contact of an account and give its id."""
    store = sandbox.salesforce
    stamps = {"CreatedDate": store.stamp(), "SystemModstamp": store.stamp()}
    row: Row = {"Id": store.new_id("003"), "LastName": "L", "AccountId": account}
    store.put("Contact", row | stamps | {"IsDeleted": False})
    return str(row["Id"])


def several(sandbox: Sandbox, count: int) -> list[str]:
    return [new(sandbox) for _ in range(count)]


def held_by(sandbox: Sandbox, record_id: str, name: str) -> object:
    return sandbox.salesforce.tables["Lead"][record_id].get(name)


def change(record_id: str, *fields: FieldChange) -> RecordChange:
    return RecordChange("Lead", record_id, fields)


def score(before: str | None, after: str | None) -> FieldChange:
    return FieldChange(SCORE, before, after)


def test_changes_are_written(sandbox: Sandbox, client: Client, apply: Apply) -> None:
    """Two hundred a call, read before in one."""
    ids = several(sandbox, 250)
    before = client.api_calls["read"]

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    assert {one.record_id for one in outcomes if one.status == "written"} == set(ids)
    assert {held_by(sandbox, id, SCORE) for id in ids} == {64}
    assert client.api_calls["write"] == 2
    assert client.api_calls["read"] - before == 2  # the description of Lead, the records


def test_values_are_written_as_their_type(sandbox: Sandbox, apply: Apply) -> None:
    """Numbers bare, instants in UTC; what Salesforce keeps reads back as the same value."""
    id = new(sandbox)
    fields = (
        score(None, "64.5"),
        FieldChange("HasOptedOutOfEmail", "false", "true"),
        FieldChange("onefunnel_stage_since__c", None, "2026-03-04T10:00:00.120+01:00"),
        FieldChange("Timeline__c", None, "2026-05-01"),
    )

    (outcome,) = apply(change(id, *fields))
    (again,) = apply(change(id, *fields))

    assert outcome.status == "written"
    assert held_by(sandbox, id, "HasOptedOutOfEmail") is True
    assert str(held_by(sandbox, id, "onefunnel_stage_since__c")).startswith("2026-03-04T09:00:00")
    assert again.status == "unchanged"


def test_a_second_apply_finds_everything_done(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """64 and 64.0 are one number: no write call is made."""
    id = new(sandbox, **{SCORE: 64})

    (outcome,) = apply(change(id, score(None, "64.0")))

    assert outcome.status == "unchanged"
    assert client.api_calls["write"] == 0


def test_a_field_is_emptied(sandbox: Sandbox, apply: Apply) -> None:
    """By null."""
    id = new(sandbox, **{SCORE: 12})

    (outcome,) = apply(change(id, score("12", None)))

    assert outcome.status == "written"
    assert held_by(sandbox, id, SCORE) is None


def test_a_record_somebody_changed_meanwhile_is_held(sandbox: Sandbox, apply: Apply) -> None:
    """The next run plans it again."""
    id = new(sandbox, **{SCORE: 13})

    (outcome,) = apply(change(id, score("12", "64")))

    assert (outcome.status, outcome.reason) == ("held", "changed_in_crm")
    assert held_by(sandbox, id, SCORE) == 13


def test_a_refused_record_names_code_and_field(sandbox: Sandbox, apply: Apply) -> None:
    """The other records of the batch are written."""
    bad, good = several(sandbox, 2)

    outcomes = apply(
        change(bad, FieldChange("Lifecycle_Stage__c", None, "Partner")),
        change(good, FieldChange("Lifecycle_Stage__c", None, "Prospect")),
    )

    statuses = {one.record_id: (one.status, one.error_code) for one in outcomes}
    assert statuses == {
        bad: ("quarantined", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        good: ("written", None),
    }
    assert {one.field for one in outcomes if one.error_code} == {"Lifecycle_Stage__c"}
    assert "Lifecycle_Stage__c" in "".join(one.error or "" for one in outcomes)
    assert "Partner" not in "".join(one.error or "" for one in outcomes)


def test_converted_and_deleted_leads_are_excluded(sandbox: Sandbox, apply: Apply) -> None:
    """Salesforce allows no change of them."""
    converted = new(sandbox, IsConverted=True)
    deleted = new(sandbox, IsDeleted=True)

    outcomes = apply(change(converted, score(None, "1")), change(deleted, score(None, "1")))

    assert {one.record_id: (one.status, one.reason) for one in outcomes} == {
        converted: ("excluded", "converted"),
        deleted: ("excluded", "deleted"),
    }


def test_locked_rows_are_sent_again_in_smaller_parts(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """Until the other process lets go."""
    ids = several(sandbox, 8)
    sandbox.salesforce.lock(ids[:4], times=1)

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    assert {one.status for one in outcomes} == {"written"}
    assert client.api_calls["write"] == 3
    assert client.wait_seconds > 0


def test_records_of_one_account_are_written_side_by_side(sandbox: Sandbox, apply: Apply) -> None:
    """So that no two calls wait for one account."""
    store = sandbox.salesforce
    accounts = [store.new_id("001") for _ in range(2)]
    ids = [contact(sandbox, accounts[number % 2]) for number in range(6)]

    outcomes = apply(*(RecordChange("Contact", id, (score(None, "64"),)) for id in ids))

    assert [one.record_id for one in outcomes] == [*ids[0::2], *ids[1::2]]


def test_a_row_is_looked_at_again_after_it_was_locked(sandbox: Sandbox, apply: Apply) -> None:
    """The process that locked it may have changed the same field."""
    id = new(sandbox)
    sandbox.salesforce.lock([id], times=1)

    def somebody_edits(moment: str, method: str, *_: object) -> None:
        if (moment, method) == ("done", "PATCH"):
            sandbox.salesforce.tables["Lead"][id][SCORE] = 13

    sandbox.faults.watch(somebody_edits)
    (outcome,) = apply(change(id, score(None, "64")))

    assert (outcome.status, outcome.reason) == ("held", "changed_in_crm")
    assert held_by(sandbox, id, SCORE) == 13


def test_a_row_that_stays_locked_is_held(sandbox: Sandbox, apply: Apply) -> None:
    """The number of attempts is limited; the next run tries again."""
    id = new(sandbox)
    sandbox.salesforce.lock([id], times=50)

    (outcome,) = apply(change(id, score(None, "64")))

    assert (outcome.status, outcome.reason, outcome.attempts) == ("held", "row_locked", 6)


def test_a_value_of_the_wrong_type_spoils_only_its_own_record(
    sandbox: Sandbox, apply: Apply
) -> None:
    """Salesforce refuses the whole call for it: halves find it."""
    ids = several(sandbox, 9)
    changes = [change(id, score(None, "1")) for id in ids[1:]]

    outcomes = apply(change(ids[0], score(None, "much")), *changes)

    statuses = {one.record_id: one.status for one in outcomes}
    assert statuses.pop(ids[0]) == "quarantined"
    assert set(statuses.values()) == {"written"}


def test_a_write_whose_answer_was_lost_is_found_by_reading(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """It is not sent a second time."""
    id = new(sandbox)
    sandbox.faults.plan(
        Fault(path="/composite/sobjects", method="PATCH", effect="commit_then_drop")
    )

    (outcome,) = apply(change(id, score(None, "64")))

    assert outcome.status == "written"
    assert client.api_calls["write"] == 1


def test_a_session_that_ends_between_batches_is_renewed(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """A refused session means nothing was written: the same call is made again."""
    id = new(sandbox)
    sandbox.salesforce.revoke()

    (outcome,) = apply(change(id, score(None, "64")))

    assert outcome.status == "written"
    assert client.api_calls["login"] == 2


def test_a_spent_day_holds_the_rest(sandbox: Sandbox, apply: Apply) -> None:
    """Without another call."""
    ids = several(sandbox, 3)
    body = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]
    sandbox.faults.plan(Fault(method="PATCH", status=403, body=body, times=None))

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    assert [(one.status, one.reason) for one in outcomes] == [("held", "quota")] * 3


@pytest.fixture
def by_job(sandbox: Sandbox) -> Client:
    """A client for which three records are many."""
    return salesforce_client(sandbox, bulk_min_records=3)


def test_many_changes_go_by_one_job(sandbox: Sandbox, by_job: Client) -> None:
    """Set, emptied and left alone: each row says so in its own way."""
    empty, full, other = new(sandbox), new(sandbox, **{SCORE: 12}), new(sandbox, **{SCORE: 12})
    since = FieldChange("onefunnel_stage_since__c", None, "2026-03-04T10:00:00.120+01:00")
    reasons = FieldChange("onefunnel_reasons__c", None, 'two "lines",\nand a comma')

    outcomes = write_outcomes(
        "salesforce",
        by_job,
        [
            change(empty, score(None, "64"), since),
            change(full, score("12", None)),
            change(other, reasons),
        ],
    )

    assert [one.status for one in outcomes] == ["written"] * 3
    assert [held_by(sandbox, id, SCORE) for id in (empty, full, other)] == [64, None, 12]
    assert held_by(sandbox, other, "onefunnel_reasons__c") == 'two "lines",\nand a comma'
    assert str(held_by(sandbox, empty, "onefunnel_stage_since__c")).startswith("2026-03-04T09:00")
    assert called(sandbox, "PATCH /services/data/v{version}/composite/sobjects") == 0


def called(sandbox: Sandbox, call: str) -> int:
    return sandbox.faults.calls()["salesforce"].get(call, 0)


def test_a_job_of_twenty_thousand_costs_a_dozen_calls(sandbox: Sandbox, by_job: Client) -> None:
    """Batches would cost a hundred."""
    ids = several(sandbox, 2_000)

    outcomes = write_outcomes("salesforce", by_job, [change(id, score(None, "64")) for id in ids])

    assert {one.status for one in outcomes} == {"written"}
    assert by_job.api_calls["write"] <= 8


def test_what_is_emptied_before_a_job_goes_by_batches(sandbox: Sandbox) -> None:
    """Where it is too little for a job of its own."""
    client = salesforce_client(sandbox, bulk_min_records=250)
    full = [new(sandbox, **{SCORE: 12}) for _ in range(210)]
    fall = [change(id, FieldChange(SCORE, "12", "64", True)) for id in full]
    rise = [change(id, score(None, "64")) for id in several(sandbox, 50)]

    outcomes = write_outcomes("salesforce", client, [*fall, *rise])

    assert {one.status for one in outcomes} == {"written"}
    assert called(sandbox, "PATCH /services/data/v{version}/composite/sobjects") == 2


def test_rows_that_a_job_refuses_are_told_apart(sandbox: Sandbox, by_job: Client) -> None:
    """A wrong option, a wrong type, a deleted lead and a converted one, beside a good one."""
    option, type, deleted, converted, good = several(sandbox, 5)
    changes = [
        change(option, FieldChange("Lifecycle_Stage__c", None, "Partner")),
        change(type, score(None, "much")),
        change(deleted, score(None, "1")),
        change(converted, score(None, "1")),
        change(good, score(None, "1")),
    ]
    leads = sandbox.salesforce.tables["Lead"]

    def meanwhile(moment: str, method: str, *_: object) -> None:
        if (moment, method) == ("asked", "PUT"):
            leads[deleted]["IsDeleted"] = leads[converted]["IsConverted"] = True

    sandbox.faults.watch(meanwhile)
    outcomes = {one.record_id: one for one in write_outcomes("salesforce", by_job, changes)}

    told = {id: (one.status, one.reason, one.error_code) for id, one in outcomes.items()}
    assert told == {
        option: ("quarantined", "refused", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        type: ("quarantined", "refused", "JSON_PARSER_ERROR"),
        deleted: ("excluded", "deleted", None),
        converted: ("excluded", "converted", None),
        good: ("written", "", None),
    }
    assert (outcomes[option].field, outcomes[type].field) == ("Lifecycle_Stage__c", SCORE)
    assert "Partner" not in str(outcomes)


def test_rows_a_job_found_locked_go_by_batches(sandbox: Sandbox, by_job: Client) -> None:
    """In smaller parts, after a pause."""
    ids = several(sandbox, 6)
    sandbox.salesforce.lock(ids[:2], times=1)

    outcomes = write_outcomes("salesforce", by_job, [change(id, score(None, "64")) for id in ids])

    assert [one.status for one in outcomes] == ["written"] * 6
    assert {one.record_id for one in outcomes if one.attempts == 2} == set(ids[:2])


def test_a_job_that_fails_is_settled_by_reading(sandbox: Sandbox, by_job: Client) -> None:
    """Some of its rows may have been written; the others go by batches, and say what is wrong."""
    ids = several(sandbox, 4)
    changes = [change(id, score(None, "64")) for id in ids[:3]]
    bad = change(ids[3], FieldChange("onefunnel_reasons__c", None, "demo"))

    def meanwhile(moment: str, method: str, *_: object) -> None:
        if (moment, method) == ("asked", "PUT"):
            sandbox.salesforce.hide("Lead", "onefunnel_reasons__c")

    sandbox.faults.watch(meanwhile)
    outcomes = {one.record_id: one for one in write_outcomes("salesforce", by_job, [*changes, bad])}
    sandbox.salesforce.show("Lead")

    refused = outcomes[ids[3]]
    assert [outcomes[id].status for id in ids] == ["written"] * 3 + ["quarantined"]
    assert (refused.error_code, refused.field) == ("INVALID_FIELD", "onefunnel_reasons__c")


def test_a_field_that_was_hidden_since_the_plan_stops_only_who_writes_it(
    sandbox: Sandbox, apply: Apply
) -> None:
    """Looking before writing finds it."""
    bad, good = several(sandbox, 2)

    outcomes = apply(
        change(bad, FieldChange("shoe_size__c", None, "44")), change(good, score(None, "64"))
    )

    assert {one.record_id: one.status for one in outcomes} == {bad: "quarantined", good: "written"}


@pytest.mark.parametrize("effect", ["commit_then_drop", "reset"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("POST", "/jobs/ingest", id="made"),
        pytest.param("PUT", "/batches", id="filled"),
        pytest.param("PATCH", "/jobs/ingest/", id="closed"),
        pytest.param("GET", "/jobs/ingest/", id="asked for"),
        pytest.param("GET", "/successfulResults", id="read"),
    ],
)
def test_a_job_outlives_a_lost_answer(
    sandbox: Sandbox, by_job: Client, method: str, path: str, effect: Effect
) -> None:
    """At whatever step: no batch is needed, no row is written twice."""
    ids = several(sandbox, 3)
    sandbox.faults.plan(Fault(method=method, path=path, effect=effect))

    outcomes = write_outcomes("salesforce", by_job, [change(id, score(None, "64")) for id in ids])

    assert [(one.status, one.attempts) for one in outcomes] == [("written", 1)] * 3
    assert {held_by(sandbox, id, SCORE) for id in ids} == {64}


def test_a_job_nobody_answers_for_is_unknown(sandbox: Sandbox, by_job: Client) -> None:
    """Where not even its records can be read."""
    ids = several(sandbox, 3)
    sandbox.faults.plan(Fault(method="GET", path="/jobs/ingest/", status=503, times=None))
    sandbox.faults.plan(Fault(path="/composite/sobjects/Lead", status=503, times=None, after=1))

    outcomes = write_outcomes("salesforce", by_job, [change(id, score(None, "64")) for id in ids])

    assert [(one.status, one.reason) for one in outcomes] == [("unknown", "no_response")] * 3


def left_behind(sandbox: Sandbox, client: Client, state: str, created: str) -> str:
    """Put a job of our user into the org, as a killed run leaves it."""
    body = {"object": "Lead", "operation": "update", "contentType": "CSV"}
    job = str(client.request_job("POST", "/services/data/v60.0/jobs/ingest", body)["id"])  # type: ignore[attr-defined]
    sandbox.salesforce.jobs[job].state = state
    sandbox.salesforce.jobs[job].created_at = created
    return job


def test_an_upload_that_a_killed_run_left_is_aborted(sandbox: Sandbox, by_job: Client) -> None:
    """It counts against the limit; a new open job may belong to another program."""
    old = left_behind(sandbox, by_job, "Open", "2026-03-01T00:00:00.000+0000")
    fresh = left_behind(sandbox, by_job, "Open", sandbox.salesforce.stamp())

    write_outcomes(
        "salesforce", by_job, [change(id, score(None, "64")) for id in several(sandbox, 3)]
    )

    jobs = sandbox.salesforce.jobs
    assert (jobs[old].state, jobs[fresh].state) == ("Aborted", "Open")


def test_a_job_that_a_killed_run_had_closed_is_waited_for(sandbox: Sandbox, by_job: Client) -> None:
    """It may write the same fields: the records are compared again after it."""
    running = left_behind(sandbox, by_job, "InProgress", sandbox.salesforce.stamp())

    outcomes = write_outcomes(
        "salesforce", by_job, [change(id, score(None, "64")) for id in several(sandbox, 3)]
    )

    assert sandbox.salesforce.jobs[running].state == "JobComplete"
    assert [one.status for one in outcomes] == ["written"] * 3


def test_a_session_is_renewed_once_for_all_who_met_its_end(sandbox: Sandbox) -> None:
    """Several calls may be on their way when it ends."""
    client = salesforce_client(sandbox)
    sandbox.salesforce.revoke()
    sandbox.faults.plan(Fault(path="/limits", effect="delay", seconds=0.2, times=4))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.check_connection(), range(4)))

    assert client.api_calls["login"] == 2


@pytest.mark.parametrize(
    "body",
    [
        pytest.param([], id="no answers"),
        pytest.param([{"success": True, "errors": []}] * 2, id="too few"),
        pytest.param({}, id="no list"),
        pytest.param([None] * 3, id="nothing about each"),
        pytest.param([{"id": "00Q000000000000AAA", "success": True}] * 3, id="of other records"),
    ],
)
def test_answers_that_do_not_fit_what_was_sent_are_settled_by_reading(
    sandbox: Sandbox, apply: Apply, body: object
) -> None:
    """The status is 200; the position of a result says which record it is about."""
    ids = several(sandbox, 3)
    sandbox.faults.plan(Fault(method="PATCH", status=200, body=body))

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    assert [(one.status, one.attempts) for one in outcomes] == [("written", 2)] * 3
    assert {held_by(sandbox, id, SCORE) for id in ids} == {64}


@pytest.mark.parametrize("body", [[], [None] * 2])
@pytest.mark.parametrize(
    ("effect", "expected"),
    [("refuse", ("held", "unavailable", 3)), ("commit_then_refuse", ("written", "", 1))],
)
def test_answers_without_results_are_settled_by_reading_and_then_named(
    sandbox: Sandbox,
    client: Client,
    apply: Apply,
    body: list[None],
    effect: Effect,
    expected: tuple[str, str, int],
) -> None:
    """However often: what was written is found, what was not is sent three times and held."""
    ids = several(sandbox, 2)
    sandbox.faults.plan(Fault(method="PATCH", effect=effect, status=200, body=body, times=None))

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    assert [(one.status, one.reason, one.attempts) for one in outcomes] == [expected] * 2
    assert client.api_calls["write"] == expected[2]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"id": "750"}, id="no state"),
        pytest.param({"id": "750", "state": None}, id="a null state"),
        pytest.param({"id": "750", "state": 7}, id="a number"),
        pytest.param({"id": "750", "state": "Paused"}, id="a state of tomorrow"),
        pytest.param([None], id="a list"),
    ],
)
def test_a_job_whose_state_is_absent_or_unknown_is_asked_for_again(
    sandbox: Sandbox, by_job: Client, body: object
) -> None:
    """The next answer has it: no row is sent twice."""
    ids = several(sandbox, 3)
    state = "/jobs/ingest/"
    sandbox.faults.plan(Fault(method="GET", path=state, status=200, body=body, times=2))

    outcomes = write_outcomes("salesforce", by_job, [change(id, score(None, "64")) for id in ids])

    assert [(one.status, one.attempts) for one in outcomes] == [("written", 1)] * 3


def test_a_job_that_never_has_a_state_is_settled_by_reading(
    sandbox: Sandbox, by_job: Client
) -> None:
    """Its rows were written: none is sent again."""
    ids = several(sandbox, 3)
    fault = Fault(
        method="GET",
        path="/jobs/ingest/",
        effect="commit_then_refuse",
        status=200,
        body={"id": "750"},
        times=None,
    )
    sandbox.faults.plan(fault)

    outcomes = write_outcomes("salesforce", by_job, [change(id, score(None, "64")) for id in ids])

    assert [(one.status, one.attempts) for one in outcomes] == [("written", 1)] * 3
    assert {held_by(sandbox, id, SCORE) for id in ids} == {64}


@pytest.mark.parametrize("body", [[], {}, [None] * 2, "<html>busy</html>"])
def test_a_look_that_shows_something_else_is_asked_for_again(
    sandbox: Sandbox, apply: Apply, body: object
) -> None:
    """A page of a proxy, or an answer about fewer records than were asked for."""
    ids = several(sandbox, 3)
    sandbox.faults.plan(Fault(path="/composite/sobjects/Lead", status=200, body=body))

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    assert [one.status for one in outcomes] == ["written"] * 3


def test_a_text_that_means_empty_in_a_job_goes_by_batches(sandbox: Sandbox, by_job: Client) -> None:
    """`#N/A` as a word of the org would empty the field."""
    ids = several(sandbox, 3)
    word = FieldChange("onefunnel_reasons__c", None, "#N/A")

    outcomes = write_outcomes("salesforce", by_job, [change(id, word) for id in ids])

    assert [one.status for one in outcomes] == ["written"] * 3
    assert {held_by(sandbox, id, "onefunnel_reasons__c") for id in ids} == {"#N/A"}


def test_an_answer_that_cannot_be_unpacked_counts_as_lost(sandbox: Sandbox, apply: Apply) -> None:
    """The record is read, and written."""
    id = new(sandbox)
    told = {"Content-Encoding": "gzip"}
    sandbox.faults.plan(Fault(method="PATCH", status=200, body="no gzip", headers=told))

    (outcome,) = apply(change(id, score(None, "64")))

    assert (outcome.status, outcome.attempts) == ("written", 2)


def test_what_somebody_emptied_while_we_waited_to_is_set(sandbox: Sandbox, apply: Apply) -> None:
    """It is as empty as it had to be."""
    id = new(sandbox, **{SCORE: 12})
    sandbox.salesforce.lock([id], times=1)

    def somebody_empties(moment: str, method: str, *_: object) -> None:
        if (moment, method) == ("done", "PATCH"):
            values = sandbox.salesforce.tables["Lead"][id]
            values[SCORE] = None if values[SCORE] == 12 else values[SCORE]

    sandbox.faults.watch(somebody_empties)
    (outcome,) = apply(change(id, FieldChange(SCORE, "12", "64", True)))

    assert outcome.status == "written"
    assert held_by(sandbox, id, SCORE) == 64


@pytest.fixture
def ruled(sandbox: Sandbox) -> Iterator[Sandbox]:
    """An org whose rule refuses the score 13."""
    validation_rule(sandbox.salesforce, "Lead", f"{SCORE} = 13", "Thirteen brings no luck")
    yield sandbox
    sandbox.salesforce.rules["Lead"].clear()


def test_the_message_of_a_validation_rule_is_in_the_outcome(ruled: Sandbox, apply: Apply) -> None:
    """The admin wrote it, and needs it to find the rule; the error has our own words only."""
    [outcome] = apply(change(new(ruled), score(None, "13")))

    assert (outcome.status, outcome.crm_message) == ("quarantined", "Thirteen brings no luck")
    assert "Thirteen" not in str(outcome.error)


def test_the_message_is_left_out_where_the_setup_cannot_be_read(
    ruled: Sandbox, apply: Apply
) -> None:
    """Nothing says then that the words are not those of a record."""
    ruled.faults.plan(Fault(path="/tooling/query", status=403, body=[], times=None))

    [outcome] = apply(change(new(ruled), score(None, "13")))

    assert (outcome.status, outcome.crm_message) == ("quarantined", None)


def test_the_message_of_a_trigger_is_left_out(ruled: Sandbox, apply: Apply) -> None:
    """Apex has the code of a validation rule, and its words may hold values of the record."""
    lead = new(ruled)
    error = {
        "statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "message": "anna@example.com is taken",
        "fields": [],
    }
    refusal = [{"id": lead, "success": False, "errors": [error]}]
    ruled.faults.plan(Fault(path="/composite/sobjects", method="PATCH", status=200, body=refusal))

    [outcome] = apply(change(lead, score(None, "7")))

    assert (outcome.status, outcome.crm_message) == ("quarantined", None)
