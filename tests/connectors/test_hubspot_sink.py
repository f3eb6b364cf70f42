"""Writing to HubSpot: every record has its outcome, and the account holds what the outcome says."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from connector_helpers import hubspot_client, small_sandbox, write_outcomes
from connectors import Client
from errors import AccessError
from models import FieldChange, Outcome, RecordChange
from sandbox.faults import Effect, Fault
from sandbox.hubspot.store import Record
from sandbox.server import Sandbox

Apply = Callable[..., list[Outcome]]


@pytest.fixture(scope="module")
def crm() -> Iterator[Sandbox]:
    with small_sandbox(people=20) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(crm: Sandbox) -> Sandbox:
    crm.faults.reset()
    crm.hubspot.ended_versions = {}
    return crm


@pytest.fixture(params=[pytest.param("v3", marks=pytest.mark.long), "2026-09"])
def version(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    """The version of HubSpot's API that the test runs on; with a dated one no other answers."""
    is_dated = request.param != "v3"
    sandbox.hubspot.ended_versions = {"v3": 404, "v4": 410} if is_dated else {}
    return str(request.param)


@pytest.fixture
def client(sandbox: Sandbox, version: str) -> Client:
    return hubspot_client(sandbox, api_version=version)


@pytest.fixture
def apply(client: Client) -> Apply:
    def run(*changes: RecordChange) -> list[Outcome]:
        return write_outcomes("hubspot", client, changes)

    return run


def new(sandbox: Sandbox, **values: str) -> str:
    """Make a contact and give its id."""
    store = sandbox.hubspot
    return str(store.create(store.tables["contacts"], values).id)


def several(sandbox: Sandbox, count: int) -> list[str]:
    return [new(sandbox) for _ in range(count)]


def found(sandbox: Sandbox, record_id: str) -> Record:
    record = sandbox.hubspot.tables["contacts"].find(record_id)
    assert record
    return record


def held_by(sandbox: Sandbox, record_id: str, name: str) -> str | None:
    return found(sandbox, record_id).properties.get(name)


def change(record_id: str, *fields: FieldChange) -> RecordChange:
    return RecordChange("contacts", record_id, fields)


def score(before: str | None, after: str | None) -> FieldChange:
    return FieldChange("onefunnel_score", before, after)


def standing(after: str) -> FieldChange:
    return FieldChange("onefunnel_standing", None, after)


def missing_scope(path: str, scope: str) -> Fault:
    body = {
        "status": "error",
        "category": "MISSING_SCOPES",
        "context": {"requiredGranularScopes": [scope]},
    }
    return Fault(path=path, status=403, body=body)


def test_changes_are_written(sandbox: Sandbox, apply: Apply) -> None:
    """A hundred and more, in batches of a hundred."""
    ids = several(sandbox, 140)

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    assert {one.record_id for one in outcomes if one.status == "written"} == set(ids)
    assert {held_by(sandbox, id, "onefunnel_score") for id in ids} == {"64"}


def test_a_second_apply_finds_everything_done(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """64 and 64.0 are one number: no write call is made."""
    id = new(sandbox)
    apply(change(id, score(None, "64")))
    before = client.api_calls["write"]

    (outcome,) = apply(change(id, score(None, "64.0")))

    assert outcome.status == "unchanged"
    assert client.api_calls["write"] == before


def test_a_field_is_emptied(sandbox: Sandbox, apply: Apply) -> None:
    """By empty text; null would be ignored."""
    id = new(sandbox, onefunnel_score="12")

    (outcome,) = apply(change(id, score("12", None)))

    assert outcome.status == "written"
    assert held_by(sandbox, id, "onefunnel_score") is None


def test_a_record_somebody_changed_meanwhile_is_held(sandbox: Sandbox, apply: Apply) -> None:
    """The next run plans it again."""
    id = new(sandbox, onefunnel_score="13")

    (outcome,) = apply(change(id, score("12", "64")))

    assert (outcome.status, outcome.reason) == ("held", "changed_in_crm")
    assert held_by(sandbox, id, "onefunnel_score") == "13"


def test_a_stage_that_would_move_back_is_held_as_crm_ahead(sandbox: Sandbox, apply: Apply) -> None:
    """HubSpot answers 200 and changes nothing: only a read shows it."""
    id = new(sandbox, lifecyclestage="customer")

    (outcome,) = apply(change(id, FieldChange("lifecyclestage", "customer", "lead")))

    assert (outcome.status, outcome.reason) == ("held", "crm_stage_higher")
    assert held_by(sandbox, id, "lifecyclestage") == "customer"


def test_a_stage_moves_back_when_it_is_emptied_first(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """In two requests: the order inside one is not kept."""
    id = new(sandbox, lifecyclestage="customer")

    (outcome,) = apply(change(id, FieldChange("lifecyclestage", "customer", "lead", True)))

    assert outcome.status == "written"
    assert held_by(sandbox, id, "lifecyclestage") == "lead"
    assert client.api_calls["write"] == 2


def test_an_emptied_stage_comes_back_where_the_record_is_refused(
    sandbox: Sandbox, apply: Apply
) -> None:
    """A refusal of another field must not leave the record without its stage."""
    id = new(sandbox, lifecyclestage="customer")

    (outcome,) = apply(
        change(
            id,
            FieldChange("lifecyclestage", "customer", "lead", True),
            standing("no such option"),
        )
    )

    assert outcome.status == "quarantined"
    assert outcome.error_code == "INVALID_OPTION"
    assert held_by(sandbox, id, "lifecyclestage") == "customer"


def test_one_bad_value_spoils_only_its_own_record(sandbox: Sandbox, apply: Apply) -> None:
    """HubSpot refuses the batch without saying whose value it was: halves find it."""
    ids = several(sandbox, 30)
    bad = change(ids[17], standing("no such option"))
    good = [change(id, standing("lead")) for id in ids if id != ids[17]]

    outcomes = {one.record_id: one for one in apply(bad, *good)}

    quarantined = outcomes.pop(ids[17])
    assert quarantined.status == "quarantined"
    assert quarantined.field == "onefunnel_standing"
    assert "onefunnel_standing" in (quarantined.error or "")
    assert {one.status for one in outcomes.values()} == {"written"}


def test_equal_causes_cost_one_refusal(sandbox: Sandbox, client: Client, apply: Apply) -> None:
    """What was refused once is refused again without asking, in later batches too."""
    ids = several(sandbox, 130)

    outcomes = apply(*(change(id, standing("no such option")) for id in ids))

    assert {(one.status, one.error_code) for one in outcomes} == {("quarantined", "INVALID_OPTION")}
    assert client.api_calls["write"] <= 8


def test_who_does_not_write_the_refused_field_is_written_at_once(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """The refusal names the field; equal values of it are refused or taken together."""
    ids = several(sandbox, 90)
    innocent = [change(id, score(None, "7")) for id in ids[:60]]
    good = [change(id, standing("lead")) for id in ids[60:85]]
    bad = [change(id, standing("no such option")) for id in ids[85:]]

    outcomes = apply(*bad, *good, *innocent)

    assert Counter(one.status for one in outcomes) == {"written": 85, "quarantined": 5}
    assert (
        client.api_calls["write"] == 5
    )  # all; those without the field; those with it; each of its two values


def test_many_batches_are_on_their_way_at_a_time(sandbox: Sandbox, apply: Apply) -> None:
    """A slow answer does not hold up the batches after it."""
    ids = several(sandbox, 1_000)
    sandbox.faults.plan(Fault(path="/batch/", effect="delay", seconds=0.5, times=None))
    began = time.monotonic()

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    assert {one.status for one in outcomes} == {"written"}
    assert time.monotonic() - began < 20 * 0.5


def looks(sandbox: Sandbox) -> int:
    """How often contacts were read to compare them."""
    calls = sandbox.faults.calls()["hubspot"]
    return sum(times for call, times in calls.items() if call.endswith("/batch/read"))


def test_a_stage_that_climbs_is_not_read_back(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """HubSpot keeps its own value only where ours stands earlier in the list of stages."""
    id = new(sandbox, lifecyclestage="lead")

    (outcome,) = apply(change(id, FieldChange("lifecyclestage", "lead", "salesqualifiedlead")))

    assert outcome.status == "written"
    assert looks(sandbox) == 1  # the one before


def test_an_unknown_property_is_found_at_the_first_refusal(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """It is wrong whatever its value: all records that name it are refused together."""
    ids = several(sandbox, 20)
    bad = [change(id, FieldChange("shoe_size", None, "44")) for id in ids[:10]]
    good = [change(id, score(None, "1")) for id in ids[10:]]

    outcomes = apply(*bad, *good)

    assert [one.status for one in outcomes].count("quarantined") == 10
    assert [one.status for one in outcomes].count("written") == 10
    assert client.api_calls["write"] == 2


def test_merged_and_archived_records_are_excluded(sandbox: Sandbox, apply: Apply) -> None:
    """The response of a batch read shows which."""
    store, contacts = sandbox.hubspot, sandbox.hubspot.tables["contacts"]
    archived, winner, loser = several(sandbox, 3)
    store.archive(contacts, found(sandbox, archived))
    store.merge(contacts, found(sandbox, winner), found(sandbox, loser))

    outcomes = apply(change(archived, score(None, "1")), change(loser, score(None, "1")))

    assert {one.record_id: (one.status, one.reason) for one in outcomes} == {
        archived: ("excluded", "deleted"),
        loser: ("excluded", "merged"),
    }


def test_a_write_whose_answer_was_lost_is_found_by_reading(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """It is not sent a second time."""
    id = new(sandbox)
    sandbox.faults.plan(Fault(path="/batch/update", effect="commit_then_drop"))

    (outcome,) = apply(change(id, score(None, "64")))

    assert outcome.status == "written"
    assert client.api_calls["write"] == 1


def test_a_write_that_was_cut_off_is_sent_again(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """After reading that it did not happen."""
    id = new(sandbox)
    sandbox.faults.plan(Fault(path="/batch/update", effect="reset"))

    (outcome,) = apply(change(id, score(None, "64")))

    assert (outcome.status, outcome.attempts) == ("written", 2)
    assert client.api_calls["write"] == 2


def test_a_write_is_unknown_where_not_even_reading_helps(sandbox: Sandbox, apply: Apply) -> None:
    """Nothing is guessed; the rest is held without another try."""
    first, second = several(sandbox, 2)
    sandbox.faults.plan(Fault(path="/batch/update", effect="reset", times=None))
    sandbox.faults.plan(Fault(path="/batch/read", status=503, times=None, after=1))

    (outcome,) = apply(change(first, score(None, "64")))

    assert (outcome.status, outcome.reason) == ("unknown", "no_response")
    assert held_by(sandbox, second, "onefunnel_score") is None


def test_spent_quota_holds_the_rest(sandbox: Sandbox, apply: Apply) -> None:
    """The records written before have the outcome `written`."""
    ids = several(sandbox, 150)
    body = {
        "status": "error",
        "message": "You have reached your daily limit.",
        "policyName": "DAILY",
    }
    sandbox.faults.plan(Fault(path="/batch/update", status=429, body=body, after=1, times=None))

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    written = {one.record_id for one in outcomes if one.status == "written"}
    assert len(written) in (50, 100)
    assert written == {id for id in ids if held_by(sandbox, id, "onefunnel_score") == "64"}
    assert {one.reason for one in outcomes if one.record_id not in written} == {"quota"}


def test_a_missing_scope_stops_writing_and_is_named(sandbox: Sandbox, apply: Apply) -> None:
    """No record can be written: there is no use in trying the others."""
    id = new(sandbox)
    sandbox.faults.plan(missing_scope("/batch/update", "crm.objects.contacts.write"))

    with pytest.raises(AccessError, match=r"crm\.objects\.contacts\.write"):
        apply(change(id, score(None, "64")))


def test_a_missing_scope_ends_all_batches_on_their_way(sandbox: Sandbox, apply: Apply) -> None:
    """Each of them meets it; the first to say so is enough."""
    ids = several(sandbox, 500)
    sandbox.faults.plan(replace(missing_scope("/batch/update", "contacts.write"), times=None))

    with pytest.raises(AccessError, match=r"contacts\.write"):
        apply(*(change(id, score(None, "64")) for id in ids))


def test_a_stage_set_after_it_was_emptied_is_read_back(sandbox: Sandbox, apply: Apply) -> None:
    """A person may have set a higher stage in between, which HubSpot keeps silently."""
    id = new(sandbox, lifecyclestage="customer")

    def somebody_sets(moment: str, _: str, path: str, body: bytes) -> None:
        if (moment, b'"lifecyclestage": ""' in body) == ("done", True) and "update" in path:
            found(sandbox, id).properties["lifecyclestage"] = "opportunity"

    sandbox.faults.watch(somebody_sets)
    (outcome,) = apply(change(id, FieldChange("lifecyclestage", "customer", "lead", True)))

    assert held_by(sandbox, id, "lifecyclestage") == "opportunity"
    assert (outcome.status, outcome.reason) == ("held", "crm_stage_higher")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no results"),
        pytest.param([], id="a list"),
        pytest.param({"status": "COMPLETE", "results": None}, id="results that are not results"),
        pytest.param({"status": "COMPLETE", "results": []}, id="not a word of the records"),
        pytest.param({"status": "COMPLETE", "results": [None]}, id="null for the records"),
    ],
)
def test_what_an_answer_does_not_mention_is_settled_by_reading(
    sandbox: Sandbox, apply: Apply, body: object
) -> None:
    """The status says 200 all the same: what is not there is sent again."""
    ids = several(sandbox, 2)
    sandbox.faults.plan(Fault(path="/batch/update", status=200, body=body))

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    assert [(one.status, one.attempts) for one in outcomes] == [("written", 2)] * 2
    assert {held_by(sandbox, id, "onefunnel_score") for id in ids} == {"64"}


def test_only_what_an_answer_leaves_out_is_sent_again(sandbox: Sandbox, apply: Apply) -> None:
    """Fewer results than inputs."""
    first, second, third = several(sandbox, 3)
    told = {"id": first, "properties": {"onefunnel_score": "64"}}
    body = {"status": "COMPLETE", "results": [told]}
    fault = Fault(path="/batch/update", effect="commit_then_refuse", status=200, body=body)
    sandbox.faults.plan(fault)

    def somebody_edits(moment: str, _: str, path: str, __: bytes) -> None:
        if moment == "done" and "update" in path:
            found(sandbox, third).properties["onefunnel_score"] = "13"

    sandbox.faults.watch(somebody_edits)
    outcomes = {
        one.record_id: one
        for one in apply(*(change(id, score(None, "64")) for id in (first, second, third)))
    }

    assert {id: (one.status, one.reason, one.attempts) for id, one in outcomes.items()} == {
        first: ("written", "", 1),
        second: ("written", "", 1),
        third: ("held", "changed_in_crm", 1),
    }


@pytest.mark.parametrize("results", [[], [None]])
@pytest.mark.parametrize(
    ("effect", "expected"),
    [("refuse", ("held", "unavailable", 3)), ("commit_then_refuse", ("written", "", 1))],
)
def test_answers_without_results_are_settled_by_reading_and_then_named(
    sandbox: Sandbox,
    client: Client,
    apply: Apply,
    results: list[None],
    effect: Effect,
    expected: tuple[str, str, int],
) -> None:
    """However often: what was written is found, what was not is sent three times and held."""
    ids = several(sandbox, 2)
    body = {"status": "COMPLETE", "results": results}
    fault = Fault(path="/batch/update", effect=effect, status=200, body=body, times=None)
    sandbox.faults.plan(fault)

    outcomes = apply(*(change(id, score(None, "64")) for id in ids))

    assert [(one.status, one.reason, one.attempts) for one in outcomes] == [expected] * 2
    assert client.api_calls["write"] == expected[2]


def test_a_number_with_more_digits_than_we_keep_is_the_one_we_saw(
    sandbox: Sandbox, apply: Apply
) -> None:
    """HubSpot stores one third with twenty digits; no person changed it."""
    id = new(sandbox, onefunnel_score="33.33333333333333333333")

    (outcome,) = apply(change(id, score("33.333333333333336", "64.0")))

    assert (outcome.status, outcome.reason) == ("written", "")


def test_ids_of_refused_records_may_be_numbers(sandbox: Sandbox, apply: Apply) -> None:
    """As HubSpot's older APIs write them."""
    id = new(sandbox)
    error = {"category": "OBJECT_NOT_FOUND", "message": "", "context": {"ids": [int(id)]}}
    body = {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [error]}
    sandbox.faults.plan(Fault(path="/batch/update", status=207, body=body))

    (outcome,) = apply(change(id, score(None, "64")))

    assert (outcome.status, outcome.reason) == ("excluded", "deleted")


def test_an_answer_that_cannot_be_unpacked_counts_as_lost(sandbox: Sandbox, apply: Apply) -> None:
    """Before the write it is asked for again, after it the record is read."""
    id = new(sandbox)
    broken = Fault(path="/batch/", status=200, body="no gzip", headers={"Content-Encoding": "gzip"})
    sandbox.faults.plan(broken)
    sandbox.faults.plan(replace(broken, path="/batch/update"))

    (outcome,) = apply(change(id, score(None, "64")))

    assert (outcome.status, outcome.attempts) == ("written", 2)


def test_what_had_to_wait_is_looked_at_again(sandbox: Sandbox, apply: Apply) -> None:
    """The CRM may ask for minutes, and people work on meanwhile."""
    edited, other = several(sandbox, 2)
    too_fast = Fault(path="/batch/update", status=429, headers={"Retry-After": "60"})
    sandbox.faults.plan(too_fast)

    def somebody_edits(moment: str, _: str, path: str, __: bytes) -> None:
        if moment == "asked" and "update" in path:
            found(sandbox, edited).properties.setdefault("onefunnel_score", "13")

    sandbox.faults.watch(somebody_edits)
    outcomes = {
        one.record_id: one
        for one in apply(*(change(id, score(None, "64")) for id in (edited, other)))
    }

    assert (outcomes[edited].status, outcomes[edited].reason) == ("held", "changed_in_crm")
    assert held_by(sandbox, edited, "onefunnel_score") == "13"
    assert (outcomes[other].status, outcomes[other].attempts) == ("written", 2)


def test_a_crm_that_has_no_time_is_given_up_after_six_tries(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """What was not written is held."""
    id = new(sandbox)
    sandbox.faults.plan(Fault(path="/batch/update", status=429, times=None))

    (outcome,) = apply(change(id, score(None, "64")))

    assert (outcome.status, outcome.reason, outcome.attempts) == ("held", "unavailable", 6)
    assert client.api_calls["write"] == 6


NEEDS_PHONE = {
    "object": "contacts",
    "property": "onefunnel_standing",
    "value": "lead",
    "requires": "phone",
}


@pytest.fixture
def rules(sandbox: Sandbox) -> Iterator[list[dict[str, str]]]:
    """The conditional rules of the account, which the newest version obeys."""
    yield sandbox.hubspot.conditional_rules
    sandbox.hubspot.conditional_rules.clear()


def test_a_property_that_a_rule_requires_puts_only_its_record_aside(
    sandbox: Sandbox, rules: list[dict[str, str]]
) -> None:
    """The refusal names a property that was not sent: nothing is learned against it."""
    client = hubspot_client(sandbox, api_version="2026-09")
    rules.append(NEEDS_PHONE)
    bare, *others = several(sandbox, 10)
    phone = FieldChange("phone", None, "+47 1")
    wanted = [change(bare, standing("lead"), score(None, "1"))]
    wanted += [change(id, standing("lead"), phone) for id in others]

    outcomes = {one.record_id: one for one in write_outcomes("hubspot", client, wanted)}

    refused = outcomes.pop(bare)
    assert (refused.status, refused.error_code) == (
        "quarantined",
        "MISSING_CONDITIONAL_REQUIRED_PROPERTY",
    )
    assert refused.field is None
    assert "phone has no value" in (refused.error or "")
    assert "fill it in HubSpot" in (refused.error or "")
    assert {one.status for one in outcomes.values()} == {"written"}
    assert held_by(sandbox, bare, "onefunnel_score") is None


def test_a_rule_that_every_record_breaks_ends(
    sandbox: Sandbox, rules: list[dict[str, str]]
) -> None:
    """All are put aside, and no batch is sent again and again."""
    client = hubspot_client(sandbox, api_version="2026-09")
    rules.append(NEEDS_PHONE)
    ids = several(sandbox, 8)

    outcomes = write_outcomes("hubspot", client, [change(id, standing("lead")) for id in ids])

    assert {one.status for one in outcomes} == {"quarantined"}
    assert client.api_calls["write"] == 15


@pytest.mark.parametrize("older", ["v3", "2026-03"])
def test_older_versions_do_not_look_at_the_rules(
    sandbox: Sandbox, rules: list[dict[str, str]], older: str
) -> None:
    """What they accept is written."""
    client = hubspot_client(sandbox, api_version=older)
    rules.append(NEEDS_PHONE)
    id = new(sandbox)

    (outcome,) = write_outcomes("hubspot", client, [change(id, standing("lead"))])

    assert outcome.status == "written"


def test_a_date_that_hubspot_adjusts_is_written(sandbox: Sandbox) -> None:
    """What came back counts. A warning names the field: the next run finds another value."""
    client = hubspot_client(sandbox, api_version="2026-09")
    same_day, other_text = several(sandbox, 2)
    sent = {same_day: "2026-09-30T10:30:00Z", other_text: "1790721000"}

    outcomes = write_outcomes(
        "hubspot",
        client,
        [change(id, FieldChange("bant_timeline", None, value)) for id, value in sent.items()],
    )

    assert [one.status for one in outcomes] == ["written", "written"]
    assert held_by(sandbox, same_day, "bant_timeline") == "2026-09-30"
    assert held_by(sandbox, other_text, "bant_timeline") == "2026-09-29"
    (warning,) = client.warnings
    assert "contacts.bant_timeline" in warning
    assert "1790721000" not in warning


def test_a_record_that_is_merged_before_the_write_spoils_no_other(
    sandbox: Sandbox, client: Client, apply: Apply
) -> None:
    """HubSpot refuses the whole batch and names none: its records are looked at once more."""
    store, contacts = sandbox.hubspot, sandbox.hubspot.tables["contacts"]
    winner, loser, *others = several(sandbox, 12)

    def merge(moment: str, _method: str, path: str, _body: bytes) -> None:
        if moment == "asked" and "/batch/update" in path and contacts.is_live(int(loser)):
            store.merge(contacts, found(sandbox, winner), found(sandbox, loser))

    sandbox.faults.watch(merge)

    outcomes = apply(*(change(id, score(None, "7")) for id in (loser, *others)))

    by_id = {one.record_id: one for one in outcomes}
    assert (by_id[loser].status, by_id[loser].reason) == ("excluded", "merged")
    assert {by_id[id].status for id in others} == {"written"}
    assert client.api_calls["write"] == 2


def test_spaces_around_a_value_are_no_reason_to_refuse(sandbox: Sandbox, apply: Apply) -> None:
    """HubSpot announced it and did not do it."""
    id = new(sandbox)

    (outcome,) = apply(change(id, standing(" lead ")))

    assert outcome.status == "written"
    assert held_by(sandbox, id, "onefunnel_standing") == "lead"
