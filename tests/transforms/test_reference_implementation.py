"""The reference implementation against histories computed by hand.

Day n is n days after 2026-01-01 00:00 UTC: day(31) is 1 February, day(59) 1 March.
"""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_implementation import Row, referee
from strategies import LifecycleInputs, definitions, lifecycle_inputs

TICK = timedelta(microseconds=1)
NEW_YEAR = datetime(2026, 1, 1)
LATER = NEW_YEAR + timedelta(days=100)

EVENTS: Row = {
    "page": {"points": 1, "channel": "web"},
    "visit": {"points": 1, "channel": "web", "max_per_day": 2},
    "paper": {"points": 8, "channel": "web"},
    "webinar": {"points": 12, "channel": "event"},
    "demo": {"points": 40, "channel": "web"},
    "survey": {},
    "open": {"points": 1, "channel": "email", "activity": False},
    "reply": {"points": 25, "channel": "email"},
    "call": {"points": 25, "channel": "phone", "direction": "two_way"},
    "attempt": {"channel": "phone", "direction": "outbound"},
    "mail": {"channel": "email", "direction": "outbound"},
    "note": {"points": 5, "channel": "desk", "direction": "internal"},
    "deal": {"channel": "sales", "direction": "internal", "activity": True},
    "won": {"channel": "sales", "direction": "internal"},
    "lost": {"channel": "sales", "direction": "internal"},
    "mailing": {"channel": "email", "direction": "outbound", "touch": 0.2},
}
SCORE: Row = {
    "half_life_days": 30,
    "fit": [
        {"points": 20, "when": {"field": "industry", "in": ["Software"]}},
        {"points": 15, "when": {"field": "employees", "gte": 50}},
    ],
    "grades": {"A": 30, "B": 15, "C": 1},
}
LEAD: Row = {"id": "lead", "action": "nurture", "enter": {"event": "paper"}}
MQL: Row = {"id": "mql", "action": "qualify", "enter": {"event": "webinar"}}
SQL: Row = {"id": "sql", "action": "call", "enter": {"event": "demo"}}
CUSTOMER: Row = {"id": "customer", "final": True, "enter": {"event": "won"}}
NOBODY: Row = {
    "industry": None,
    "need": None,
    "lead_status": None,
    "employees": None,
    "budget": None,
    "opted_out": None,
    "bounced": None,
    "timeline": None,
}


def day(number: float, *, ticks: int = 0) -> datetime:
    """Day `number` plus some microseconds."""
    return NEW_YEAR + timedelta(days=number) + ticks * TICK


def ladder(*stages: Row, **sections: Any) -> Row:
    """A definition with these stages above suspect."""
    first = {"id": "suspect", "action": "nurture"}
    return {"version": "1", "events": EVENTS, "stages": [first, *stages], **sections}


def one(enter: Row, **sections: Any) -> Row:
    """A definition with one stage to enter, called lead."""
    return ladder({"id": "lead", "action": "call", "enter": enter}, **sections)


def recycled(days: int, to: str = "lead", **by: list[str]) -> Row:
    """The section `recycled`."""
    return {"to": to, "after_inactive_days": days, **by}


def event(kind: str, at: datetime, number: int = 0, **more: Any) -> Row:
    """One event of Anna's."""
    row = {"event_id": f"e{number}", "person_id": "anna", "kind": kind, "at": at}
    return {**row, "duplicate_of": None, **more}


def judged(
    definition: Row,
    did: list[tuple[str, datetime]] | list[Row],
    *,
    as_of: datetime = LATER,
    created_at: datetime = NEW_YEAR,
    since: dict[str, datetime] | None = None,
    **fields: Any,
) -> tuple[Row, list[Row]]:
    """Anna's lifecycle row and stage_history rows."""
    anna = {"person_id": "anna", "email": "anna@example.com", "created_at": created_at}
    dates = [
        {"person_id": "anna", "field": field, "since": at} for field, at in (since or {}).items()
    ]
    events = [row if isinstance(row, dict) else event(*row, n) for n, row in enumerate(did)]
    [row], history = referee(definition, [{**anna, **NOBODY, **fields}], dates, events, as_of)
    return row, history


def lifecycle(*args: Any, **more: Any) -> Row:
    """Anna's lifecycle row."""
    return judged(*args, **more)[0]


def history(*args: Any, **more: Any) -> list[tuple[int, str, datetime]]:
    """Anna's stage_history as (cycle, stage, entered_at), oldest first."""
    rows = sorted(judged(*args, **more)[1], key=lambda row: row["entered_at"])
    return [(row["cycle"], row["stage"], row["entered_at"]) for row in rows]


# --- 7.1: leaves ----------------------------------------------------------------------------------


def test_an_event_leaf_is_true_at_the_first_such_event():
    """7.1 event: K at days 5 and 9, so true since day 5."""
    row = lifecycle(one({"event": ["paper", "webinar"]}), [("webinar", day(9)), ("paper", day(5))])

    assert (row["stage"], row["lead_at"], row["stage_since"]) == ("lead", day(5), day(5))


@pytest.mark.parametrize(
    ("second", "lead_at"),
    [
        pytest.param(day(37), None, id="exactly 30 days later: the window is open at its start"),
        pytest.param(day(37, ticks=-1), day(37, ticks=-1), id="a microsecond less"),
        pytest.param(day(7), day(7), id="at the same instant"),
    ],
)
def test_a_window_is_open_at_its_start_and_closed_at_its_end(second, lead_at):
    """7.1 event: two papers in (at - 30 days, at]."""
    leaf = {"event": "paper", "count": 2, "within_days": 30}

    row = lifecycle(one(leaf), [("paper", day(7)), ("paper", second)])

    assert row["lead_at"] == lead_at


def test_a_count_runs_over_all_kinds_of_a_list_and_without_a_window_over_the_whole_cycle():
    """7.1 event: n in all; the third of any of the two kinds comes on day 90."""
    leaf = {"event": ["paper", "webinar"], "count": 3}
    did = [("paper", day(1)), ("webinar", day(2)), ("demo", day(3)), ("paper", day(90))]

    assert lifecycle(one(leaf), did)["lead_at"] == day(90)


def test_any_takes_the_earliest_part_and_all_the_latest():
    """7.1: all(any(9, 4), 6) is max(min(9, 4), 6) = 6."""
    rule = {"all": [{"any": [{"event": "demo"}, {"event": "paper"}]}, {"event": "webinar"}]}
    did = [("demo", day(9)), ("paper", day(4)), ("webinar", day(6))]

    assert lifecycle(one(rule), did)["lead_at"] == day(6)


def test_all_with_a_part_that_is_not_true_is_not_true():
    """7.1: NULL in `all` is NULL."""
    rule = {"all": [{"event": "demo"}, {"event": "paper"}]}

    assert lifecycle(one(rule), [("demo", day(9))])["stage"] == "suspect"


@pytest.mark.parametrize(
    ("late", "stage"),
    [
        pytest.param(timedelta(), "lead", id="40 * 0.5 + 25 is 45"),
        pytest.param(TICK, "lead", id="44.999999999995 is 45 to six decimals"),
        pytest.param(timedelta(seconds=1), "suspect", id="44.999995 is not"),
    ],
)
def test_a_score_is_rounded_to_six_decimals_before_it_is_compared(late, stage):
    """7.2 rule 3: a demo (40) one half-life ago and a reply (25) now.

    A second late: 40 * 0.5 ** (1 + 1 / 2592000) = 20 * (1 - 2.67e-7) = 19.9999947.
    """
    definition = one({"score": "engagement", "gte": 45}, score=SCORE)

    row = lifecycle(definition, [("demo", day(10)), ("reply", day(40) + late)])

    assert row["stage"] == stage


def test_events_of_one_instant_enter_the_score_together():
    """7.2 rule 1: 8 + 12 at day 3 reach 20 at once; neither does alone."""
    definition = one({"score": "engagement", "gte": 20}, score=SCORE)

    assert lifecycle(definition, [("paper", day(3)), ("webinar", day(3))])["lead_at"] == day(3)


def test_total_takes_a_fit_line_in_on_its_date():
    """7.1 score: 40 at day 0; at day 15 it is 28.28, and with the fit line (20) 48.28 >= 45."""
    definition = one({"score": "total", "gte": 45}, score=SCORE)
    known = {"industry": " SOFTWARE ", "since": {"industry": day(15)}}

    row = lifecycle(definition, [("demo", day(0))], as_of=day(30), **known)

    assert (row["lead_at"], row["fit"], row["score"]) == (day(15), 20, 40)


def test_engagement_alone_takes_no_fit():
    """7.1 score: engagement is 40 and never 45, whatever the fit."""
    definition = one({"score": "engagement", "gte": 45}, score=SCORE)

    assert lifecycle(definition, [("demo", day(0))], industry="software")["stage"] == "suspect"


def test_the_start_of_a_cycle_is_a_moment_of_the_score():
    """7.1 score: both fit lines (35) are true since created_at, where the first cycle starts."""
    definition = one({"score": "total", "gte": 35}, score=SCORE)

    row = lifecycle(definition, [], created_at=day(2), industry="software", employees=50)

    assert row["lead_at"] == day(2)


def test_channels_counts_distinct_channels_of_admitted_activity():
    """7.1 channels: web twice, none, an open (no activity), a mail to her; on day 6 the second."""
    did = [
        ("page", day(1)),
        ("paper", day(2)),
        ("survey", day(3)),
        ("open", day(4)),
        ("mail", day(5)),
        ("reply", day(6)),
    ]

    assert lifecycle(one({"channels": 2}), did)["lead_at"] == day(6)


def test_channels_leave_the_window_at_its_open_start():
    """7.1 channels: web (day 1) is not in (1, 31]; email (day 31) and web (day 40) in (10, 40]."""
    leaf = {"channels": 2, "within_days": 30}
    did = [("page", day(1)), ("reply", day(31)), ("page", day(40))]

    assert lifecycle(one(leaf), did)["lead_at"] == day(40)


@pytest.mark.parametrize(
    ("since", "lead_at"),
    [
        pytest.param({}, day(2), id="unknown: created_at"),
        pytest.param({"need": day(7)}, day(7), id="its own date"),
        pytest.param({"need": day(1)}, day(2), id="older than the person: where the cycle starts"),
        pytest.param({"need": day(50)}, day(50), id="at as_of"),
        pytest.param({"need": day(50, ticks=1)}, None, id="after as_of: not true yet"),
    ],
)
def test_a_field_leaf_is_true_since_the_field_took_its_value(since, lead_at):
    """7.1 field, and the paragraph below the table."""
    leaf = {"field": "need", "known": True}

    row = lifecycle(one(leaf), [], need="x", since=since, created_at=day(2), as_of=day(50))

    assert row["lead_at"] == lead_at


@pytest.mark.parametrize(
    ("field", "value", "tests", "holds"),
    [
        ("need", " Yes ", {"is": "yES"}, True),
        ("need", "no", {"is": "yes"}, False),
        ("need", None, {"is": "yes"}, False),
        ("need", "no", {"is_not": "yes"}, True),
        ("need", "YES", {"is_not": " yes"}, False),
        ("need", None, {"is_not": "yes"}, True),
        ("need", "B", {"in": ["a", "b"]}, True),
        ("need", "c", {"in": ["a", "b"]}, False),
        ("need", "  ", {"in": ["a", "b"]}, False),
        ("need", "c", {"not_in": ["a", "b"]}, True),
        ("need", " A", {"not_in": ["a", "b"]}, False),
        ("need", " ", {"not_in": ["a", "b"]}, True),
        ("need", "x", {"known": True}, True),
        ("need", " ", {"known": True}, False),
        ("need", "x", {"known": False}, False),
        ("need", " ", {"known": False}, True),
        ("opted_out", True, {"is": True}, True),
        ("opted_out", False, {"is_not": True}, True),
        ("opted_out", None, {"is_not": True}, True),
        ("opted_out", None, {"is": False}, False),
        ("employees", 10, {"gt": 10}, False),
        ("employees", 11, {"gt": 10}, True),
        ("employees", 10, {"gte": 10, "lt": 50}, True),
        ("employees", 50, {"gte": 10, "lt": 50}, False),
        ("employees", None, {"lt": 50}, False),
        ("budget", 5000.0, {"lte": 5000}, True),
        ("timeline", date(2026, 3, 1), {"lte": date(2026, 3, 1)}, True),
        ("timeline", date(2026, 3, 1), {"lt": "2026-03-01"}, False),
        ("timeline", None, {"gt": date(2026, 3, 1)}, False),
    ],
)
def test_field_tests_compare_text_loosely_and_null_strictly(field, value, tests, holds):
    """7.1 field tests: trimmed, lower case, blank is NULL; NULL fails all but three tests."""
    row = lifecycle(one({"field": field, **tests}), [], **{field: value})

    assert (row["stage"] == "lead") is holds


def test_qualified_is_true_when_the_nth_criterion_became_true():
    """7.1 qualified: criteria since days 9, 3 and 5, a fourth not at all: the second is day 5."""
    criteria = {
        "budget": {"field": "budget", "gte": 5000},
        "need": {"field": "need", "known": True},
        "authority": {"field": "employees", "gte": 1},
        "timeline": {"field": "timeline", "known": True},
    }
    definition = one({"qualified": 2}, qualification={"framework": "BANT", "criteria": criteria})
    since = {"budget": day(9), "need": day(3), "employees": day(5)}

    row = lifecycle(definition, [], budget=5000, need="x", employees=1, since=since)

    assert (row["lead_at"], row["qualified"], row["reasons"]) == (
        day(5),
        3,
        "2 of BANT on 2026-01-06",
    )


def test_a_stage_leaf_looks_at_the_rules_from_the_stage_up_to_below_the_asking_one():
    """7.1 stage: in the rule of sql the webinar (mql) of day 3 will do for {stage: lead}."""
    asks = {**SQL, "enter": {"all": [{"stage": "lead"}, {"event": "demo"}]}}

    row = lifecycle(ladder(LEAD, MQL, asks), [("webinar", day(3)), ("demo", day(4))])

    assert (row["stage"], row["stage_since"]) == ("sql", day(4))


def test_a_stage_leaf_is_not_satisfied_by_the_final_stage():
    """7.1 stage, U < T, and 7.3 rule 1: won on day 1 raises no sql rule of its own."""
    asks = {**SQL, "enter": {"all": [{"stage": "lead"}, {"event": "demo"}]}}

    row = lifecycle(ladder(LEAD, asks, CUSTOMER), [("won", day(1)), ("demo", day(4))])

    assert (row["sql_at"], row["customer_at"]) == (day(1), day(1))


MQL_OF_LEAD: Row = {**MQL, "enter": {"all": [{"stage": "lead"}, {"event": "webinar"}]}}
SQL_OF_MQL: Row = {**SQL, "enter": {"all": [{"stage": "mql"}, {"event": "demo"}]}}


def test_a_stage_up_to_recycled_to_is_remembered_from_the_start_of_a_later_cycle():
    """7.1 stage: lead in cycle 1; cycle 2 starts on day 20, with a webinar: an mql at once."""
    definition = ladder(LEAD, MQL_OF_LEAD, recycled=recycled(10))

    row = lifecycle(definition, [("paper", day(0)), ("webinar", day(20))], as_of=day(25))

    assert (row["stage"], row["stage_since"], row["reasons"]) == (
        "mql",
        day(20),
        "webinar on 2026-01-21",
    )


def test_a_stage_above_recycled_to_is_not_remembered():
    """7.1 stage: mql in cycle 1, but in cycle 2 the demo finds no mql."""
    definition = ladder(LEAD, MQL_OF_LEAD, SQL_OF_MQL, recycled=recycled(10))
    did = [("paper", day(0)), ("webinar", day(1)), ("demo", day(20))]

    row = lifecycle(definition, did, as_of=day(25))

    assert (row["stage"], row["sql_at"]) == ("lead", None)


# --- 7.2: which events count, and cycles ----------------------------------------------------------


def test_people_who_come_after_as_of_are_left_out():
    """7.2 rule 1."""
    person = {"person_id": "anna", "email": None, "created_at": day(2, ticks=1), **NOBODY}

    assert referee(one({"event": "paper"}), [person], [], [], day(2)) == ([], [])


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(event("paper", day(100, ticks=1)), id="in the future"),
        pytest.param(event("paper", day(1), duplicate_of="e9"), id="a duplicate"),
        pytest.param(event("fax", day(1)), id="of an unknown kind"),
        pytest.param(event("paper", day(1), person_id=None), id="without a person"),
        pytest.param(event("paper", day(1), person_id="bob"), id="of another person"),
    ],
)
def test_what_is_not_counted_does_nothing(row):
    """7.2 rule 1."""
    definition = one({"event": "paper"}, score=SCORE, recycled=recycled(10))

    found = lifecycle(definition, [row])

    assert (found["stage"], found["score"], found["cycle"]) == ("suspect", 0, 0)


def test_max_per_day_admits_the_first_of_a_utc_day():
    """7.2 rule 2: three visits before midnight and one at midnight; the third is not admitted."""
    did = [("visit", day(4, ticks=-n)) for n in (3, 2, 1, 0)]

    row = lifecycle(one({"event": "visit", "count": 3}, score=SCORE), did, as_of=day(4))

    assert (row["lead_at"], row["engagement"]) == (day(4), 3)


def test_what_is_not_admitted_is_still_activity():
    """7.2 rule 2: the third visit of day 0 keeps cycle 1 going until the paper, 10 days later."""
    visits = [("visit", day(0, ticks=n)) for n in (0, 1, 2)]
    definition = one({"event": "paper"}, recycled=recycled(10))

    assert lifecycle(definition, [*visits, ("paper", day(10, ticks=2))])["cycle"] == 1


@pytest.mark.parametrize(
    ("second", "cycle"), [(day(11), 1), (day(11, ticks=1), 2)], ids=["exactly", "a tick more"]
)
def test_a_cycle_ends_where_the_gap_is_greater_than_the_patience(second, cycle):
    """7.2 rule 4: activity at day 1 and 10 days later."""
    definition = one({"event": "paper"}, recycled=recycled(10))

    assert lifecycle(definition, [("page", day(1)), ("page", second)])["cycle"] == cycle


@pytest.mark.parametrize(
    ("first", "cycle"),
    [
        pytest.param(day(10), 1, id="in time: cycle 1 starts at created_at"),
        pytest.param(day(10, ticks=1), 0, id="too late: then cycle 0 does"),
    ],
)
def test_what_lies_before_the_first_activity_has_a_cycle(first, cycle):
    """7.2 rule 4: a field known at created_at is true in the first cycle, whichever that is."""
    definition = one({"field": "need", "known": True}, recycled=recycled(10))

    rows = history(definition, [("page", first)], need="x")

    assert rows[:2] == [(cycle, "suspect", day(0)), (cycle, "lead", day(0))]


def test_without_activity_there_is_cycle_0_only():
    """7.2 rule 4: a mail to her and a note about her are no activity."""
    row = lifecycle(one({"event": "note"}, recycled=recycled(10)), [("note", day(9))])

    assert (row["cycle"], row["lead_at"]) == (0, day(9))


@pytest.mark.parametrize(
    ("at", "lead_at"),
    [
        pytest.param(day(15), day(15), id="within the limit of the cycle"),
        pytest.param(day(15, ticks=1), None, id="later: of no cycle"),
        pytest.param(day(30), day(30), id="together with the activity that starts cycle 2"),
    ],
)
def test_other_events_belong_to_a_cycle_until_its_patience_runs_out(at, lead_at):
    """7.2 rule 4: pages at days 5 and 30, limit 10 days, a note in between."""
    definition = one({"event": "note"}, recycled=recycled(10))

    row = lifecycle(definition, [("page", day(5)), ("note", at), ("page", day(30))])

    assert row["lead_at"] == lead_at


def test_events_of_no_cycle_still_count_for_engagement():
    """7.2 rule 3: the note (5) of day 20 is of no cycle, and worth 3.97 at the paper (8) of day 30.

    5 * 0.5 ** (10 / 30) = 3.9685; the page of day 0 adds 0.5: 12.47 in all, 8.5 without the note.
    """
    definition = one({"score": "engagement", "gte": 11}, score=SCORE, recycled=recycled(10))
    did = [("page", day(0)), ("note", day(20)), ("paper", day(30))]

    assert lifecycle(definition, did)["lead_at"] == day(30)


def test_counts_do_not_cross_cycles():
    """7.1 event: one paper in each of two cycles is not two papers."""
    leaf = {"event": "paper", "count": 2}
    definition = one(leaf, recycled=recycled(10))

    assert lifecycle(definition, [("paper", day(0)), ("paper", day(20))])["stage"] == "suspect"


def test_no_cycle_starts_after_a_final_stage_was_entered():
    """7.2 rule 4: won on day 5, a paper on day 50."""
    definition = ladder(LEAD, CUSTOMER, recycled=recycled(10))

    row = lifecycle(definition, [("page", day(0)), ("won", day(5)), ("paper", day(50))])

    assert (row["cycle"], row["stage"], row["lead_at"]) == (1, "customer", day(5))


def test_a_cycle_may_start_together_with_the_final_stage():
    """7.2 rule 4, 7.3 rule 1: not after it; and the final stage belongs to the last one started."""
    definition = ladder(LEAD, CUSTOMER, recycled=recycled(10))

    rows = history(definition, [("page", day(0)), ("page", day(50)), ("won", day(50))])

    assert rows == [(1, "suspect", day(0)), (2, "lead", day(50)), (2, "customer", day(50))]


# --- 7.3: from rules to the stage -----------------------------------------------------------------


def test_the_first_stage_is_entered_at_created_at_without_reasons():
    """7.3 rules 1, 2 and 7; created at as_of is early enough (7.2 rule 1)."""
    row, rows = judged(one({"event": "paper"}), [], created_at=day(3), as_of=day(3))

    assert (row["stage"], row["status"], row["stage_since"], row["reasons"]) == (
        "suspect",
        "open",
        day(3),
        "",
    )
    assert rows == [{"person_id": "anna", "cycle": 0, "stage": "suspect", "entered_at": day(3)}]


def test_what_becomes_true_with_the_next_cycle_is_not_true_in_this_one():
    """7.3 rule 1: a field since day 20, when cycle 2 starts: entered in cycle 2, not in 1."""
    definition = one({"field": "need", "known": True}, recycled=recycled(10, "suspect"))
    did = [("page", day(0)), ("page", day(20))]

    rows = history(definition, did, need="x", since={"need": day(20)}, as_of=day(25))

    assert rows == [(1, "suspect", day(0)), (2, "lead", day(20))]


def test_a_field_leaf_is_true_again_from_the_start_of_each_cycle():
    """7.1 below the table: since day 3, recycled on day 13, in cycle 2 since its start."""
    definition = one({"field": "need", "known": True}, recycled=recycled(10, "suspect"))
    did = [("page", day(0)), ("page", day(20))]

    rows = history(definition, did, need="x", since={"need": day(3)}, as_of=day(25))

    assert rows == [
        (1, "suspect", day(0)),
        (1, "lead", day(3)),
        (1, "recycled", day(13)),
        (2, "lead", day(20)),
    ]


def test_the_final_rule_sees_events_of_all_cycles_and_of_none():
    """7.3 rule 1: two won, one in cycle 1 and one long after: final at the second, in cycle 1."""
    final = {**CUSTOMER, "enter": {"event": "won", "count": 2}}
    definition = ladder(LEAD, final, recycled=recycled(10))

    rows = history(definition, [("page", day(0)), ("won", day(1)), ("won", day(60))])

    assert rows == [(1, "suspect", day(0)), (1, "lead", day(60)), (1, "customer", day(60))]


def test_entering_a_stage_enters_those_below():
    """7.3 rule 2: a demo first; the paper comes too late to matter."""
    row = lifecycle(ladder(LEAD, MQL, SQL), [("demo", day(4)), ("paper", day(6))])

    assert (row["lead_at"], row["mql_at"], row["sql_at"]) == (day(4), day(4), day(4))


def test_decay_never_lowers_a_stage():
    """7.3 rule 3: 40 on day 0 is 0.000000 at last; without recycling she stays."""
    definition = one({"score": "engagement", "gte": 40}, score=SCORE)

    row = lifecycle(definition, [("demo", day(0))], as_of=day(3000))

    assert (row["stage"], row["engagement"]) == ("lead", 0)


@pytest.mark.parametrize(
    ("as_of", "stage", "status", "standing", "recycled_at"),
    [
        pytest.param(day(14, ticks=-1), "mql", "open", "mql", None, id="not yet"),
        pytest.param(day(14), "lead", "recycled", "recycled", day(14), id="exactly"),
    ],
)
def test_silence_recycles_from_above(as_of, stage, status, standing, recycled_at):
    """7.3 rules 3 and 4: mql on day 4, then nothing for 10 days."""
    definition = ladder(LEAD, MQL, recycled=recycled(10))

    row = lifecycle(definition, [("webinar", day(4))], as_of=as_of)

    assert (row["stage"], row["status"], row["recycled_at"]) == (stage, status, recycled_at)
    assert row["standing"] == standing


def test_activity_at_the_last_instant_of_the_patience_keeps_the_stage():
    """7.3 rule 3: (r, r + 10 days] is closed at its end: not recycled on day 14, but on day 24."""
    definition = ladder(LEAD, MQL, recycled=recycled(10))

    row = lifecycle(definition, [("webinar", day(4)), ("page", day(14))])

    assert (row["recycled_at"], row["cycle"]) == (day(24), 1)


def test_silence_takes_nothing_from_recycled_to_or_below():
    """7.3 rule 3: a lead stays an open lead."""
    row = lifecycle(ladder(LEAD, MQL, recycled=recycled(10)), [("paper", day(4))])

    assert (row["stage"], row["status"], row["recycled_at"]) == ("lead", "open", None)


def test_an_entry_above_recycled_to_restarts_the_patience():
    """7.3 rule 3: a webinar on day 0, sql by a field on day 8: recycled on day 18, from sql."""
    definition = ladder(LEAD, MQL, {**SQL, "enter": {"field": "need", "known": True}})
    definition["recycled"] = recycled(10)

    row = lifecycle(definition, [("webinar", day(0))], need="x", since={"need": day(8)})

    assert (row["recycled_at"], row["reasons"]) == (day(18), "recycled from sql on 2026-01-19")


def test_a_new_cycle_starts_from_where_they_stand():
    """7.3 rules 3 and 6: sql by a field on day 8 outlives cycle 1; cycle 2 changes nothing."""
    definition = ladder(LEAD, MQL, {**SQL, "enter": {"field": "budget", "gte": 1}})
    definition["recycled"] = recycled(10)
    did = [("page", day(0)), ("webinar", day(15))]
    known = {"budget": 1.0, "since": {"budget": day(8)}}

    row, rows = judged(definition, did, as_of=day(20), **known)

    # the budget is still there in cycle 2, so that cycle enters sql itself, at its start
    assert (row["stage"], row["stage_since"], row["cycle"]) == ("sql", day(8), 2)
    assert [(r["cycle"], r["stage"], r["entered_at"]) for r in rows] == [
        (1, "suspect", day(0)),
        (1, "lead", day(8)),
        (1, "mql", day(8)),
        (1, "sql", day(8)),
        (2, "lead", day(15)),
        (2, "mql", day(15)),
        (2, "sql", day(15)),
    ]


def test_one_cycle_can_be_recycled_twice():
    """7.3 rules 3, 6: a webinar on day 0, recycled on 10; sql by a field on 50, recycled on 60."""
    definition = ladder(LEAD, MQL, {**SQL, "enter": {"field": "need", "known": True}})
    definition["recycled"] = recycled(10)

    rows = history(definition, [("webinar", day(0))], need="x", since={"need": day(50)})

    assert rows == [
        (1, "suspect", day(0)),
        (1, "lead", day(0)),
        (1, "mql", day(0)),
        (1, "recycled", day(10)),
        (1, "sql", day(50)),
        (1, "recycled", day(60)),
    ]


def test_dates_up_to_recycled_to_are_of_the_first_entry_and_above_of_the_last():
    """7.3 rule 5: webinars on days 2 and 40; the recycling of day 12 stays on record."""
    definition = ladder(LEAD, MQL, recycled=recycled(10))

    row = lifecycle(definition, [("webinar", day(2)), ("webinar", day(40))], as_of=day(45))

    assert (row["lead_at"], row["mql_at"], row["recycled_at"]) == (day(2), day(40), day(12))
    assert (row["status"], row["furthest_stage"], row["cycle"]) == ("open", "mql", 2)


def test_a_date_above_is_never_emptied_by_a_new_cycle():
    """7.3 rules 4, 5: mql in cycle 1, only a page in cycle 2: an open lead since the recycling."""
    definition = ladder(LEAD, MQL, recycled=recycled(10))

    row = lifecycle(definition, [("webinar", day(2)), ("page", day(40))])

    assert (row["stage"], row["status"], row["mql_at"]) == ("lead", "open", day(2))
    assert (row["stage_since"], row["furthest_stage"]) == (day(12), "mql")


@pytest.mark.parametrize(
    ("did", "sql_at"),
    [
        pytest.param(
            [("won", day(50))], day(50), id="never by a rule of its own: with the final stage"
        ),
        pytest.param([("demo", day(1)), ("won", day(50))], day(1), id="in an earlier cycle"),
        pytest.param([("demo", day(45)), ("won", day(50))], day(45), id="in this cycle"),
        pytest.param(
            [("demo", day(1)), ("demo", day(50)), ("won", day(50))], day(50), id="at once"
        ),
        pytest.param(
            [("demo", day(1)), ("won", day(50)), ("demo", day(51))], day(1), id="too late"
        ),
    ],
)
def test_dates_above_prefer_an_entry_by_a_rule_below_the_final_one(did, sql_at):
    """7.3 rule 5: a page on day 41 starts the cycle in which she buys on day 50."""
    definition = ladder(LEAD, SQL, CUSTOMER, recycled=recycled(10))

    row = lifecycle(definition, [*did, ("page", day(41))])

    assert (row["sql_at"], row["customer_at"], row["status"]) == (sql_at, day(50), "won")


@pytest.mark.parametrize(
    ("did", "status", "standing"),
    [
        pytest.param([("paper", day(6))], "disqualified", "disqualified", id="outranks open"),
        pytest.param([("demo", day(6))], "disqualified", "disqualified", id="outranks recycled"),
        pytest.param([("won", day(6))], "won", "customer", id="but not won"),
    ],
)
def test_disqualified_is_a_status_with_a_date_and_no_stage(did, status, standing):
    """7.3 rules 4 and 5: bounced without a known date: created_at, in every case."""
    definition = ladder(LEAD, SQL, CUSTOMER, recycled=recycled(10))
    definition["disqualified"] = {"any": [{"field": "bounced", "is": True}, {"event": "note"}]}

    row = lifecycle(definition, did, bounced=True)

    assert (row["status"], row["standing"]) == (status, standing)
    assert row["disqualified_at"] == day(0)


# --- 7.3, rule 7: reasons -------------------------------------------------------------------------


def test_reasons_name_the_leaves_oldest_first_with_stage_leaves_replaced():
    """7.3 rule 7: sql asks for mql (lead and 2 channels) and a call."""
    mql = {**MQL, "enter": {"all": [{"channels": 2, "within_days": 30}, {"stage": "lead"}]}}
    sql = {
        **SQL,
        "enter": {"any": [{"event": "demo"}, {"all": [{"event": "call"}, {"stage": "mql"}]}]},
    }
    did = [("paper", day(31)), ("webinar", day(50)), ("call", day(60))]

    row = lifecycle(ladder(LEAD, mql, sql), did)

    assert row["reasons"] == (
        "paper on 2026-02-01; 2 channels within 30 days on 2026-02-20; call on 2026-03-02"
    )


def test_reasons_of_equal_dates_stand_as_written():
    """7.3 rule 7: of `any` the part written first, of `all` both in the order of the rule."""
    rule = {"all": [{"any": [{"event": "webinar"}, {"event": "page"}]}, {"event": "demo"}]}

    row = lifecycle(one(rule), [("demo", day(1)), ("page", day(1)), ("webinar", day(1))])

    assert row["reasons"] == "webinar on 2026-01-02; demo on 2026-01-02"


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        ({"event": ["demo", "paper", "page"]}, "paper"),
        ({"event": ["paper", "page"], "within_days": 30}, "paper"),
        ({"event": "page", "count": 2, "within_days": 30}, "2 page within 30 days"),
        ({"event": ["page", "paper"], "count": 3}, "3 page/paper"),
        ({"channels": 1}, "1 channels"),
        ({"score": "engagement", "gte": 9.5}, "score engagement >= 9.5"),
        ({"score": "total", "gte": 10.0}, "score total >= 10"),
        ({"qualified": 1}, "1 criteria"),
        ({"field": "budget", "gte": 5000}, "budget >= 5000"),
        ({"field": "employees", "gte": 10, "lt": 50}, "employees >= 10 and < 50"),
        ({"field": "industry", "in": ["Software", "finance"]}, "industry in Software, finance"),
        ({"field": "industry", "not_in": ["a"]}, "industry not in a"),
        ({"field": "industry", "is_not": "y"}, "industry is not y"),
        ({"field": "opted_out", "is": True}, "opted_out is true"),
        ({"field": "need", "known": True}, "need known"),
        ({"field": "lead_status", "known": False}, "lead_status not known"),
        ({"field": "timeline", "gt": date(2026, 1, 9)}, "timeline > 2026-01-09"),
    ],
)
def test_every_leaf_has_its_wording(leaf, text):
    """7.3 rule 7: all true on day 1; of several kinds then, the one written first."""
    qualification = {"criteria": {"need": {"field": "need", "known": True}}}
    definition = one(leaf, score=SCORE, qualification=qualification)
    fields = {"budget": 5000, "employees": 10, "industry": "software", "opted_out": True, "need": 1}
    did = [("page", day(1)), ("page", day(1)), ("paper", day(1))]
    timeline = date(2026, 1, 10)

    row = lifecycle(definition, did, created_at=day(1), timeline=timeline, **fields)

    assert row["reasons"] == f"{text} on 2026-01-02"


# --- 7.2 rule 3 and 7.4: numbers, courtesy and speed ----------------------------------------------


def test_what_is_stored_is_rounded_to_two_half_away_from_zero():
    """7.2 rule 3: a page after three half-lives is 0.125, with fit 35 35.125."""
    definition = one({"event": "paper"}, score=SCORE)

    row = lifecycle(
        definition, [("page", day(0))], as_of=day(90), industry="software", employees=50
    )

    assert (row["engagement"], row["score"], row["fit"], row["grade"]) == (0.13, 35.13, 35, "A")


@pytest.mark.parametrize(
    ("fields", "grade"),
    [({"industry": "software"}, "B"), ({"employees": 50}, "B"), ({"employees": 49}, "D")],
)
def test_grade_is_the_first_letter_whose_floor_fit_reaches(fields, grade):
    """7.2 rule 3: 20 and 15 are B (from 15), 0 is D."""
    assert lifecycle(one({"event": "paper"}, score=SCORE), [], **fields)["grade"] == grade


PRESSURE: Row = {"within_days": 30, "high": 2, "stop": 3}


@pytest.mark.parametrize(
    ("touched", "touches", "pressure", "next_action"),
    [
        pytest.param([day(75)], 1, "ok", "call", id="one"),
        pytest.param([day(75), day(76)], 2, "high", "call", id="high"),
        pytest.param([day(75), day(76), day(100)], 3, "stop", "pause", id="stop"),
        pytest.param(
            [day(71), day(72), day(76)], 1, "ok", "call", id="not at or before her activity"
        ),
    ],
)
def test_pressure_counts_touches_since_her_last_activity(touched, touches, pressure, next_action):
    """7.4: her last activity is day 72, as_of day 100."""
    definition = one({"event": "paper"}, contact={"pressure": PRESSURE})
    did = [("paper", day(72)), *(("mail", at) for at in touched)]

    row = lifecycle(definition, did)

    assert (row["touches"], row["pressure"], row["next_action"]) == (touches, pressure, next_action)


def test_touches_leave_the_window_at_its_open_start():
    """7.4: (70, 100], so the mail of day 70 is out; she never did anything herself."""
    definition = one({"event": "paper"}, contact={"pressure": PRESSURE})

    assert lifecycle(definition, [("mail", day(70)), ("mail", day(70, ticks=1))])["touches"] == 1


@pytest.mark.parametrize(
    ("did", "fields", "next_action"),
    [
        pytest.param([("demo", day(99))], {}, "call", id="the action of the stage"),
        pytest.param([("demo", day(9))], {}, "nurture", id="recycled"),
        pytest.param(
            [("demo", day(9)), *[("mail", day(99))] * 3], {}, "pause", id="pressure first"
        ),
        pytest.param([("demo", day(99))], {"opted_out": True}, "none", id="not contactable"),
        pytest.param([("demo", day(99))], {"bounced": True}, "none", id="disqualified"),
        pytest.param([("won", day(99))], {}, "none", id="won"),
    ],
)
def test_next_action_asks_whether_then_how_often_then_what(did, fields, next_action):
    """7.4: none, else pause, else nurture, else the action."""
    definition = ladder(LEAD, SQL, CUSTOMER, recycled=recycled(10))
    definition["disqualified"] = {"field": "bounced", "is": True}
    definition["contact"] = {"contactable": {"field": "opted_out", "is_not": True}}
    definition["contact"]["pressure"] = PRESSURE

    assert lifecycle(definition, did, **fields)["next_action"] == next_action


@pytest.mark.parametrize(
    ("by", "then", "due"),
    [
        pytest.param({}, ("page", day(6)), day(8), id="no follow-up"),
        pytest.param({}, ("mail", day(5)), None, id="at the same instant"),
        pytest.param({}, ("mail", day(5, ticks=-1)), day(8), id="before"),
        pytest.param({}, ("call", day(9)), None, id="two-way, even late"),
        pytest.param({"by": ["attempt"]}, ("call", day(6)), day(8), id="not one of those named"),
        pytest.param({"by": ["note"]}, ("note", day(6)), None, id="one of those named"),
    ],
)
def test_follow_up_is_due_until_somebody_followed_up(by, then, due):
    """7.4: lead on day 5, to be followed up within 72 hours."""
    stage = {**LEAD, "follow_up": {"within_hours": 72, **by}}

    assert lifecycle(ladder(stage), [("paper", day(5)), then])["follow_up_due"] == due


@pytest.mark.parametrize(
    ("did", "fields", "due"),
    [
        pytest.param([("webinar", day(5))], {}, None, id="recycled"),
        pytest.param([("webinar", day(5)), ("page", day(90))], {}, day(16), id="open again"),
        pytest.param([("webinar", day(99))], {"opted_out": True}, None, id="not contactable"),
    ],
)
def test_follow_up_is_never_due_where_nobody_should(did, fields, due):
    """7.4: recycled on day 15 to lead, to follow up within a day, once a new cycle started."""
    lead = {**LEAD, "follow_up": {"within_hours": 24}}
    contact = {"contactable": {"field": "opted_out", "is_not": True}}
    definition = ladder(lead, MQL, recycled=recycled(10), contact=contact)

    assert lifecycle(definition, did, **fields)["follow_up_due"] == due


# --- 7.2.5: closings ------------------------------------------------------------------------------


def closable(*kinds: str) -> Row:
    """Up to customer, closed by these kinds, else recycled after 10 days."""
    return ladder(LEAD, MQL, SQL, CUSTOMER, recycled=recycled(10, by=list(kinds)))


def test_a_closing_recycles_at_its_instant():
    """7.2.5, 7.3.3: mql on day 1, lost on day 3; it would have lapsed on day 11."""
    did = [("webinar", day(1)), ("lost", day(3))]

    row = lifecycle(closable("lost"), did, as_of=day(20))

    assert (row["stage"], row["status"], row["stage_since"]) == ("lead", "recycled", day(3))
    assert (row["recycled_at"], row["cycle"]) == (day(3), 1)
    assert row["reasons"] == "recycled from mql on 2026-01-04 (lost)"
    assert (1, "recycled", day(3)) in history(closable("lost"), did)


def test_activity_after_a_closing_starts_a_cycle_whatever_the_gap():
    """7.2.5: lost on day 3, back a microsecond later."""
    back = day(3, ticks=1)

    row = lifecycle(
        closable("lost"), [("webinar", day(1)), ("lost", day(3)), ("webinar", back)], as_of=day(5)
    )

    assert (row["stage"], row["status"], row["cycle"]) == ("mql", "open", 2)
    assert (row["mql_at"], row["lead_at"], row["reasons"]) == (
        back,
        day(1),
        "webinar on 2026-01-04",
    )


def test_activity_at_the_instant_of_a_closing_stays_and_is_entered_before_the_fall():
    """7.2.5, 7.3.3: demo and lost on day 3: sql is entered, and they fall from there."""
    did = [("webinar", day(1)), ("lost", day(3)), ("demo", day(3))]

    row = lifecycle(closable("lost"), did, as_of=day(5))

    assert (row["stage"], row["sql_at"], row["cycle"]) == ("lead", day(3), 1)
    assert row["reasons"] == "recycled from sql on 2026-01-04 (lost)"


@pytest.mark.parametrize(
    ("opened", "lead_at"),
    [
        pytest.param(day(2), day(2), id="at the closing"),
        pytest.param(day(3), None, id="between the closing and the next cycle"),
        pytest.param(day(4), day(4), id="at the start of the next cycle"),
    ],
)
def test_what_lies_between_a_closing_and_the_next_cycle_belongs_to_none(opened, lead_at):
    """7.2.5: lost on day 2, the next activity on day 4."""
    definition = one({"event": "open"}, recycled=recycled(10, to="suspect", by=["lost"]))
    did = [("page", day(1)), ("lost", day(2)), ("open", opened), ("page", day(4))]

    assert lifecycle(definition, did)["lead_at"] == lead_at


def test_a_cycle_is_closed_once():
    """7.2.5: the second loss finds the cycle closed."""
    did = [("webinar", day(1)), ("lost", day(3)), ("lost", day(4))]

    assert lifecycle(closable("lost"), did, as_of=day(5))["recycled_at"] == day(3)


@pytest.mark.parametrize(
    ("lost", "cycles"),
    [
        pytest.param(day(1), [0, 1, 1], id="before the first activity"),
        pytest.param(day(0), [0, 1, 1], id="when she was created"),
        pytest.param(day(2), [1, 1, 1, 1], id="together with it: mql is entered, and falls"),
    ],
)
def test_a_closing_before_the_first_activity_makes_cycle_0(lost, cycles):
    """7.2.4: the first activity, a webinar on day 2, comes after a closing."""
    did = [("lost", lost), ("webinar", day(2))]

    assert [row[0] for row in history(closable("lost"), did, as_of=day(5))] == cycles


def test_a_closing_kind_may_be_activity():
    """7.2.5: a deal closes cycle 1, the next deal starts cycle 2 and closes it at once."""
    did = [("deal", day(3)), ("deal", day(4)), ("page", day(5))]

    assert lifecycle(closable("deal"), did, as_of=day(6))["cycle"] == 3


def test_a_cycle_that_starts_and_is_closed_at_one_instant_leaves_them_recycled():
    """7.3.4: no cycle started after the recycling of day 20."""
    mql = {**MQL, "enter": {"event": "deal"}}
    definition = ladder(LEAD, mql, recycled=recycled(10, by=["deal"]))

    row = lifecycle(definition, [("deal", day(20))], as_of=day(21))

    assert (row["stage"], row["status"], row["cycle"]) == ("lead", "recycled", 1)


@pytest.mark.parametrize("lost", [day(2), day(3)])
def test_nothing_closes_a_cycle_once_the_final_stage_is_entered(lost):
    """7.2.5: won on day 2."""
    row = lifecycle(closable("lost"), [("webinar", day(1)), ("won", day(2)), ("lost", lost)])

    assert (row["stage"], row["status"], row["recycled_at"]) == ("customer", "won", None)


def test_the_final_stage_may_be_entered_after_a_closing():
    """7.3.1: lost on day 3, won on day 4 all the same, in the cycle that was closed."""
    did = [("webinar", day(1)), ("lost", day(3)), ("won", day(4))]

    row = lifecycle(closable("lost"), did, as_of=day(5))

    assert (row["stage"], row["recycled_at"]) == ("customer", day(3))
    assert (1, "customer", day(4)) in history(closable("lost"), did, as_of=day(5))


@pytest.mark.parametrize(("more", "mql_at"), [([], None), ([("page", day(6))], day(6))])
def test_what_becomes_true_after_a_closing_is_not_true_in_that_cycle(more, mql_at):
    """7.3.1: the need is known since day 5, lost on day 3: true only in a next cycle."""
    mql = {**MQL, "enter": {"field": "need", "known": True}}
    definition = ladder(LEAD, mql, recycled=recycled(10, by=["lost"]))
    did = [("paper", day(1)), ("lost", day(3)), *more]

    row = lifecycle(definition, did, as_of=day(9), need="crm", since={"need": day(5)})

    assert row["mql_at"] == mql_at


def test_of_closing_events_at_one_instant_the_smallest_id_gives_the_reason():
    """7.3.7: e1 is a note, e2 the loss."""
    did = [event("webinar", day(1)), event("lost", day(3), 2), event("note", day(3), 1)]

    row = lifecycle(closable("lost", "note"), did, as_of=day(5))

    assert row["reasons"] == "recycled from mql on 2026-01-04 (note)"


@pytest.mark.parametrize(
    ("lost", "entered"),
    [
        pytest.param(day(1), [(1, day(1))], id="at the closing: not in cycle 2"),
        pytest.param(day(2), [(1, day(1))], id="before the closing: not in cycle 2"),
        pytest.param(day(1, ticks=-1), [(1, day(1))], id="after the closing of cycle 0"),
    ],
)
def test_after_a_closing_engagement_counts_what_came_after_it(lost, entered):
    """7.1, score: a paper of day 1 is worth 4 on day 31, with the page 5: what is stored."""
    definition = one({"score": "engagement", "gte": 5}, score=SCORE)
    definition["recycled"] = recycled(40, to="suspect", by=["lost"])
    did = [("paper", day(1)), ("lost", lost), ("page", day(31))]

    row = lifecycle(definition, did, as_of=day(31))
    rows = history(definition, did, as_of=day(31))

    assert row["engagement"] == row["score"] == 5
    assert [(cycle, at) for cycle, stage, at in rows if stage == "lead"] == entered


# --- 7.3.3: expiry --------------------------------------------------------------------------------


def expiring(days: int, *, inactive: int, **by: list[str]) -> Row:
    """A person who stands in mql falls after some days."""
    return ladder(
        LEAD, {**MQL, "expires_days": days}, SQL, CUSTOMER, recycled=recycled(inactive, **by)
    )


@pytest.mark.parametrize(
    ("as_of", "stage", "status"),
    [(day(6, ticks=-1), "mql", "open"), (day(6), "lead", "recycled")],
)
def test_a_stage_expires_whatever_they_do(as_of, stage, status):
    """7.3.3: mql on day 1, expired on day 6 in the middle of activity."""
    did = [("webinar", day(1)), ("page", day(3)), ("page", day(5))]

    row = lifecycle(expiring(5, inactive=30), did, as_of=as_of)

    assert (row["stage"], row["status"]) == (stage, status)
    if stage == "lead":
        assert row["reasons"] == "recycled from mql on 2026-01-07 (expired)"


def test_after_an_expiry_the_cycle_goes_on_but_not_into_the_same_stage():
    """7.3.3: another webinar on day 7 changes nothing, a demo on day 8 does."""
    did = [("webinar", day(1)), ("webinar", day(7))]

    before = lifecycle(expiring(5, inactive=30), did, as_of=day(9))
    after = lifecycle(expiring(5, inactive=30), [*did, ("demo", day(8))], as_of=day(9))

    assert (before["stage"], before["status"], before["mql_at"]) == ("lead", "recycled", day(1))
    assert (after["stage"], after["status"], after["cycle"]) == ("sql", "open", 1)


@pytest.mark.parametrize(("demo", "recycled_at"), [(day(6), None), (day(6, ticks=1), day(6))])
def test_an_entry_at_the_very_instant_comes_before_an_expiry(demo, recycled_at):
    """7.3.3: mql on day 1 expires on day 6, unless they enter sql by then."""
    row = lifecycle(expiring(5, inactive=30), [("webinar", day(1)), ("demo", demo)], as_of=day(9))

    assert (row["stage"], row["stage_since"], row["recycled_at"]) == ("sql", demo, recycled_at)


def test_an_entry_in_a_later_cycle_postpones_an_expiry():
    """7.3.3: sql on day 3 by the need, again on day 5 with cycle 2: it expires on day 10, not 8."""
    sql = {**SQL, "expires_days": 5, "enter": {"field": "need", "known": True}}
    definition = ladder(LEAD, MQL, sql, recycled=recycled(3))
    did = [("webinar", day(1)), ("page", day(5)), ("page", day(7)), ("page", day(9))]

    row = lifecycle(definition, did, as_of=day(10), need="crm", since={"need": day(3)})

    assert (row["cycle"], row["sql_at"], row["recycled_at"]) == (2, day(5), day(10))


@pytest.mark.parametrize(
    ("days", "inactive", "recycled_at", "why"),
    [
        pytest.param(10, 10, day(11), " (expired)", id="at one instant: one recycling"),
        pytest.param(5, 10, day(6), " (expired)", id="the expiry first"),
        pytest.param(10, 5, day(6), "", id="the inactivity first"),
    ],
)
def test_an_expiry_together_with_inactivity(days, inactive, recycled_at, why):
    """7.3.3: mql on day 1, then nothing; the later of the two finds them in lead."""
    definition = expiring(days, inactive=inactive)

    row = lifecycle(definition, [("webinar", day(1))], as_of=day(30))
    rows = history(definition, [("webinar", day(1))], as_of=day(30))

    assert [at for _, stage, at in rows if stage == "recycled"] == [recycled_at]
    assert row["reasons"] == f"recycled from mql on {recycled_at.date()}{why}"


def test_a_closing_gives_the_reason_where_a_stage_expires_at_the_same_instant():
    """7.3.7: lost on day 6, when mql expires."""
    definition = expiring(5, inactive=30, by=["lost"])

    row = lifecycle(definition, [("webinar", day(1)), ("lost", day(6))], as_of=day(9))

    assert row["reasons"] == "recycled from mql on 2026-01-07 (lost)"


# --- 7.1: fit; 7.4: touch and contactable ---------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "entered"),
    [
        pytest.param(day(5), [(1, day(5)), (2, day(30))], id="before the start of cycle 2"),
        pytest.param(day(30), [(2, day(30))], id="at its start"),
        pytest.param(day(35), [(2, day(35))], id="after its start"),
        pytest.param(day(101), [], id="to come"),
    ],
)
def test_a_fit_leaf_looks_at_the_fit_lines_alone(since, entered):
    """7.1, score: 20 points for her industry, which is known since; cycles from days 0 and 30."""
    definition = one({"score": "fit", "gte": 20}, score=SCORE)
    definition["recycled"] = recycled(10, to="suspect")
    did = [("demo", day(1)), ("demo", day(30))]

    rows = history(definition, did, industry="software", since={"industry": since})

    assert [(cycle, at) for cycle, stage, at in rows if stage == "lead"] == entered


def test_a_fit_leaf_gives_its_reason():
    """7.3.7: as the other scores."""
    row = lifecycle(one({"score": "fit", "gte": 20}, score=SCORE), [], industry="software")

    assert row["reasons"] == "score fit >= 20 on 2026-01-01"


@pytest.mark.parametrize(
    ("mails", "mailings", "touches", "pressure"),
    [
        (0, 9, 1.8, "ok"),
        (0, 10, 2, "high"),
        (1, 5, 2, "high"),
        (0, 14, 2.8, "high"),
        (0, 15, 3, "stop"),
        (2, 5, 3, "stop"),
    ],
)
def test_a_mailing_is_a_fifth_of_a_touch(mails, mailings, touches, pressure):
    """7.4: high from 2, stop from 3, added up exactly."""
    definition = one({"event": "paper"}, contact={"pressure": PRESSURE})
    did = [*[("mail", day(80))] * mails, *[("mailing", day(90))] * mailings]

    row = lifecycle(definition, did)

    assert (row["touches"], row["pressure"]) == (touches, pressure)


@pytest.mark.parametrize(("since", "holds"), [(LATER, True), (LATER + TICK, False)])
def test_contactable_holds_where_it_is_true_since_as_of_or_earlier(since, holds):
    """7.4: what is dated after as_of is not true yet."""
    contactable = {"contactable": {"field": "opted_out", "is_not": True}}
    definition = one({"event": "paper"}, contact=contactable)

    row = lifecycle(definition, [], opted_out=False, since={"opted_out": since})

    assert row["contactable"] is holds


def test_sections_that_are_absent_are_no_such_thing():
    """Section 7: score 0, grade D, one cycle, contactable, pressure ok; no window for touches."""
    row = lifecycle(one({"event": "paper"}), [("page", day(0)), ("mail", day(1))], as_of=day(900))

    assert (row["score"], row["engagement"], row["fit"], row["grade"]) == (0, 0, 0, "D")
    assert (row["contactable"], row["pressure"], row["touches"]) == (True, "ok", 1)
    assert (row["cycle"], row["qualified"], row["disqualified_at"]) == (1, 0, None)


@pytest.mark.parametrize(("kind", "cycle"), [("deal", 1), ("note", 0), ("open", 0), ("call", 1)])
def test_activity_is_inbound_and_two_way_unless_the_kind_says_otherwise(kind, cycle):
    """Section 4: an internal kind may say true, a mail open says false."""
    assert lifecycle(one({"event": "paper"}), [(kind, day(0))])["cycle"] == cycle


# --- properties -----------------------------------------------------------------------------------


@given(st.data())
def test_the_order_of_rows_is_irrelevant(data):
    """A history is a set: the order of its rows does not matter."""
    definition = data.draw(definitions(with_new_words=True))
    world: LifecycleInputs = data.draw(lifecycle_inputs(definition))
    rows = (world.people, world.field_since, world.events)

    forwards = referee(definition, *rows, world.as_of)
    backwards = referee(definition, *(list(reversed(table)) for table in rows), world.as_of)

    assert (backwards[0][::-1], sorted(map(str, backwards[1]))) == (
        forwards[0],
        sorted(map(str, forwards[1])),
    )


@given(st.data())
def test_people_do_not_matter_to_each_other(data):
    """Each person alone gets the row they get in company."""
    definition = data.draw(definitions(with_new_words=True))
    world: LifecycleInputs = data.draw(lifecycle_inputs(definition))
    rest = (world.field_since, world.events, world.as_of)

    together = referee(definition, world.people, *rest)[0]
    alone = [row for person in world.people for row in referee(definition, [person], *rest)[0]]

    assert alone == together
