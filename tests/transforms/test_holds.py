"""What is wrong and is left alone: refusals that are remembered, tugs-of-war, people's changes."""

from datetime import datetime, timedelta

import ibis
import pyarrow as pa
import pytest

from transforms.planning.holds import WriteHistory, apply_hold_rules

NOW = datetime(2026, 5, 1, 12)
KEY = {"crm": "hubspot", "object": "contacts", "record_id": "1", "field": "stage"}
VOLATILE = [("hubspot", "contacts", "points")]
HELD = {"person_id": "anna", "hold_reason": "person_split", "held_since": NOW - timedelta(days=1)}
WRONG = {
    **KEY,
    "person_id": "anna",
    "crm_value": "lead",
    "after": "mql",
    "policy": "overwrite",
    "is_ahead": False,
    "rule_hash": "f1",
}
ATTEMPT = {
    **KEY,
    "run_id": "r1",
    "after": "mql",
    "rule_hash": "f1",
    "was_overwritten": False,
    "backward": False,
    "status": "written",
    "refused_field": None,
    "error_code": None,
    "error": None,
    "at": NOW - timedelta(days=1),
}
DECISION = {
    "at": NOW,
    "decision": "retry",
    **dict.fromkeys(("crm", "object", "record_id", "field", "value")),
}


def days_ago(days):
    return NOW - timedelta(days=days)


def wrong(**what):
    """A field that is wrong."""
    return WRONG | what


def wrote(after="mql", **what):
    """A write of an earlier run."""
    at = what.get("at", ATTEMPT["at"])
    return ATTEMPT | {"after": after, "run_id": f"{at}"} | what


def refused(after="mql", **what):
    """A refusal that names the field."""
    refusal = {
        "status": "quarantined",
        "refused_field": "stage",
        "error_code": "BAD",
        "error": "no",
    }
    return wrote(after, **refusal | what)


def retried(**what):
    """What an admin said; what is not named stands for all."""
    return DECISION | what


def accepted(value, **what):
    """A value that an admin leaves as it is."""
    return DECISION | KEY | {"decision": "accept", "value": value} | what


def frozen(**what):
    """What a run froze."""
    return DECISION | KEY | {"decision": "frozen", "at": days_ago(30)} | what


def table(rows, like):
    types = {bool: pa.bool_(), datetime: pa.timestamp("us")}
    fields = [(name, types.get(type(value), pa.string())) for name, value in like.items()]
    return ibis.memtable(pa.Table.from_pylist(rows, schema=pa.schema(fields)))


@pytest.fixture(scope="module")
def store():
    engine = ibis.duckdb.connect(threads=1)
    yield lambda name, made: engine.create_table(name, made, overwrite=True)
    engine.disconnect()


def judged(fields, attempts=(), decisions=(), *, held=(), store):
    past = WriteHistory(table(list(attempts), ATTEMPT), table(list(decisions), DECISION))
    rows = apply_hold_rules(
        table(fields, WRONG),
        past,
        held_people=table(list(held), HELD),
        volatile_fields=VOLATILE,
        as_of=NOW,
        materialize=store,
    )
    return rows.order_by("record_id", "field").to_pyarrow().to_pylist()


def hold_of(field, attempts=(), decisions=(), *, store):
    [row] = judged([field], attempts, decisions, store=store)
    return row["hold_reason"]


@pytest.mark.parametrize(
    ("field", "attempts", "decisions", "hold"),
    [
        pytest.param(wrong(), [], [], None, id="never tried"),
        pytest.param(wrong(), [refused()], [], "refused", id="the same again"),
        pytest.param(wrong(after="sql"), [refused()], [], None, id="another value"),
        pytest.param(wrong(rule_hash="f2"), [refused()], [], None, id="another mapping or catalog"),
        pytest.param(
            wrong(after=None), [refused(None)], [], "refused", id="to clear it was refused"
        ),
        pytest.param(
            wrong(), [refused(refused_field="STAGE")], [], "refused", id="spelt in another case"
        ),
        pytest.param(wrong(), [refused(), wrote(at=NOW)], [], None, id="taken since"),
        pytest.param(wrong(), [refused()], [retried()], None, id="retried"),
        pytest.param(wrong(), [refused()], [retried(field="stage")], None, id="this field retried"),
        pytest.param(
            wrong(), [refused()], [retried(field="x")], "refused", id="another field retried"
        ),
        pytest.param(wrong(), [refused()], [retried(crm="x")], "refused", id="another crm retried"),
        pytest.param(
            wrong(), [refused()], [retried(record_id="1")], None, id="this record retried"
        ),
        pytest.param(
            wrong(), [refused()], [retried(at=days_ago(2))], "refused", id="retried before"
        ),
    ],
)
def test_a_refused_field_is_sent_again_only_when_something_changed(
    field, attempts, decisions, hold, store
):
    """Its value, its mapping, the catalog, or an admin's word."""
    assert hold_of(field, attempts, decisions, store=store) == hold


def test_a_remembered_refusal_brings_its_cause(store):
    """Equal causes are one issue."""
    [row] = judged([wrong()], [refused()], store=store)

    assert (row["error_code"], row["error"]) == ("BAD", "no")


def test_the_other_fields_of_a_record_are_written(store):
    """One refused field does not hold up the rest."""
    rows = judged([wrong(), wrong(field="score")], [refused(), refused(field="score")], store=store)

    assert {row["field"]: row["hold_reason"] for row in rows} == {
        "score": None,
        "stage": "refused",
    }


@pytest.mark.parametrize(
    ("decisions", "hold"),
    [
        pytest.param([], "person_split", id="without a retry"),
        pytest.param([retried(at=days_ago(2))], "person_split", id="retried before"),
        pytest.param([retried(record_id="1")], None, id="retried since"),
        pytest.param([retried(record_id="2")], "person_split", id="another record retried"),
    ],
)
def test_who_is_held_for_review_is_written_after_a_retry_only(decisions, hold, store):
    """Every field of every record of the person."""
    fields = [wrong(), wrong(field="score"), wrong(record_id="3", person_id="bob")]
    rows = judged(fields, (), decisions, held=[HELD], store=store)

    assert [row["hold_reason"] for row in rows] == [hold, hold, None]


def unnamed(**what):
    """A refusal that names no field."""
    return refused(refused_field=None, run_id="r1", **what)


@pytest.mark.parametrize(
    ("fields", "attempts", "decisions", "holds"),
    [
        pytest.param(
            [wrong(), wrong(field="score")],
            [unnamed(), unnamed(field="score")],
            [],
            {"refused"},
            id="the same set",
        ),
        pytest.param(
            [wrong()], [unnamed(), unnamed(field="score")], [], {None}, id="a part of the set"
        ),
        pytest.param([wrong(), wrong(field="score")], [unnamed()], [], {None}, id="a larger set"),
        pytest.param(
            [wrong(), wrong(field="score", after="9")],
            [unnamed(), unnamed(field="score")],
            [],
            {None},
            id="one value is another",
        ),
        pytest.param(
            [wrong(), wrong(field="score")],
            [unnamed(), unnamed(field="score")],
            [retried()],
            {None},
            id="retried",
        ),
        pytest.param(
            [wrong()],
            [unnamed(), wrote(at=NOW, run_id="r2")],
            [],
            {None},
            id="taken since",
        ),
    ],
)
def test_a_refusal_without_a_field_holds_that_set_of_changes(
    fields, attempts, decisions, holds, store
):
    """The CRM does not say which of them it was."""
    rows = judged(fields, attempts, decisions, store=store)

    assert {row["hold_reason"] for row in rows} == holds


def points(after="9", **what):
    """The score, which is another number each night."""
    return {"field": "points", "after": after} | what


@pytest.mark.parametrize(
    ("fields", "attempts", "holds"),
    [
        pytest.param(
            [wrong(), wrong(**points("8"))],
            [unnamed(), unnamed(**points())],
            {"stage": "refused", "points": "refused"},
            id="the score faded",
        ),
        pytest.param(
            [wrong()],
            [unnamed(), unnamed(**points())],
            {"stage": "refused"},
            id="the score is near enough to the CRM's today",
        ),
        pytest.param(
            [wrong(), wrong(**points())],
            [unnamed()],
            {"stage": "refused", "points": "refused"},
            id="the score was near enough then",
        ),
        pytest.param(
            [wrong(after="sql"), wrong(**points("8"))],
            [unnamed(), unnamed(**points())],
            {"stage": None, "points": None},
            id="the stage is another",
        ),
        pytest.param(
            [wrong(**points("8"))],
            [unnamed(), unnamed(**points())],
            {"points": None},
            id="the stage is right by now",
        ),
        pytest.param(
            [wrong(**points("8"))],
            [unnamed(**points())],
            {"points": "refused"},
            id="the score alone was refused",
        ),
        pytest.param(
            [wrong(), wrong(**points("8", rule_hash="f2"))],
            [unnamed(), unnamed(**points())],
            {"stage": None, "points": None},
            id="the mapping of the score changed",
        ),
        pytest.param(
            [wrong(), wrong(**points("8"))],
            [refused(**points(), refused_field="points")],
            {"stage": None, "points": "refused"},
            id="the CRM named the score",
        ),
    ],
)
def test_a_value_that_fades_does_not_make_a_refused_set_another_one(fields, attempts, holds, store):
    """Else the same refused records would be sent each night."""
    rows = judged(fields, attempts, store=store)

    assert {row["field"]: row["hold_reason"] for row in rows} == holds


@pytest.mark.parametrize(
    ("policy", "attempts", "decisions", "hold"),
    [
        pytest.param("overwrite", [wrote()], [], None, id="ours wins"),
        pytest.param("keep", [wrote()], [], "manual_change", id="theirs stays"),
        pytest.param("review", [wrote()], [], "review", id="a person decides"),
        pytest.param("keep", [], [], None, id="never ours before"),
        pytest.param("keep", [wrote("lead")], [], None, id="still what we wrote"),
        pytest.param("keep", [wrote()], [retried()], None, id="keep, retried"),
        pytest.param("review", [wrote()], [retried()], None, id="review, retried"),
        pytest.param(
            "review", [wrote()], [retried(at=days_ago(2))], "review", id="the retry was used"
        ),
        pytest.param("review", [wrote()], [accepted("lead")], "accepted", id="accepted"),
        pytest.param("review", [wrote()], [accepted("sql")], "review", id="changed once more"),
        pytest.param(
            "review", [wrote()], [accepted("lead", at=days_ago(1)), retried()], None, id="both"
        ),
    ],
)
def test_what_people_changed_is_treated_as_the_mapping_says(
    policy, attempts, decisions, hold, store
):
    """A manual change is a value that is neither what we wrote last nor what we want."""
    assert hold_of(wrong(policy=policy), attempts, decisions, store=store) == hold


def emptied(days):
    """A run that wanted to move the field back some days ago and then died."""
    return wrote("lead", at=days_ago(days), status="unknown", backward=True)


@pytest.mark.parametrize(
    ("attempts", "hold"),
    [
        pytest.param([wrote(at=days_ago(3)), emptied(1)], None, id="by us"),
        pytest.param([wrote(at=days_ago(1)), emptied(3)], "manual_change", id="before we wrote"),
        pytest.param([wrote(at=days_ago(1))], "manual_change", id="by a person"),
    ],
)
def test_what_a_run_emptied_and_did_not_set_is_no_manual_change(attempts, hold, store):
    """Else it would stay empty for good."""
    assert hold_of(wrong(crm_value=None, policy="keep"), attempts, store=store) == hold


def tug(*days):
    """Writes some days ago, all but the first after another program set the field back."""
    return [wrote(at=days_ago(day), was_overwritten=nth > 0) for nth, day in enumerate(days)]


@pytest.mark.parametrize(
    ("attempts", "decisions", "hold"),
    [
        pytest.param(tug(3, 2), [], None, id="set back twice"),
        pytest.param(tug(3, 2, 1), [], "frozen", id="set back three times"),
        pytest.param(tug(9, 8, 1), [], None, id="one of them is too long ago"),
        pytest.param(
            [*tug(3, 2), wrote("lead", at=days_ago(1), was_overwritten=True)],
            [],
            None,
            id="ours now",
        ),
        pytest.param(tug(3, 2, 1), [retried()], None, id="retried"),
        pytest.param([wrote()], [frozen()], "frozen", id="frozen long ago"),
        pytest.param([wrote()], [frozen(), retried()], None, id="frozen, then retried"),
    ],
)
def test_a_field_that_is_set_back_three_times_in_seven_days_is_frozen(
    attempts, decisions, hold, store
):
    """Two programs must not overwrite each other without end."""
    assert hold_of(wrong(), attempts, decisions, store=store) == hold


def test_a_crm_that_is_ahead_is_left_so(store):
    """The mapping says backward: never."""
    assert hold_of(wrong(is_ahead=True), store=store) == "crm_stage_higher"
