"""A definition tried on the history: what was planted is found, and nothing leaks back in time."""

import re
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import synthetic_worlds
from analysis.backtest import backtest
from cli.render import html
from config.definition import Definition
from engines import ENGINES, load_rows
from input_tables import EVENTS, FIELD_SINCE, PATIENT, PEOPLE
from reference_implementation import (
    Below,
    Case,
    counted,
    cycles_of,
    final_truth,
    patience,
    referee,
    true_since,
)
from strategies import definitions, lifecycle_inputs
from synthetic_worlds import NOW, RULES, WITHIN_DAYS, named_definition
from transforms.evaluation.snapshots import month_ends, snapshots, states, union_all
from transforms.lifecycle.lifecycle import compute_steps
from transforms.staging.timestamps import from_datetime

NAMED = named_definition()


def tried(world, *others, months=6, within_days=WITHIN_DAYS):
    with synthetic_worlds.synthetic_warehouse(world) as warehouse:
        return backtest(
            warehouse,
            [NAMED, *others],
            within_days=within_days,
            months=months,
            on_progress=lambda _: None,
        )


# --- what was planted -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large():
    return tried(synthetic_worlds.generate_tables(4000))


@pytest.mark.long
def test_the_planted_effect_is_found_within_its_error(large):
    """People who attended a webinar buy three times as often; a paper changes nothing."""
    kinds = {mark.signal: mark for mark in large.results[0].kinds}

    low, high = kinds["webinar"].confidence_interval
    assert low < 3 < high < 1.5 * low
    low, high = kinds["paper"].confidence_interval
    assert low < 1 < high


def test_what_makes_a_customer_is_no_signal(large):
    """A purchase does not predict itself, and outbound mails show what sales expected."""
    assert {mark.signal for mark in large.results[0].kinds} == {
        "visit",
        "paper",
        "webinar",
        "reply",
    }


# --- the same by counting -------------------------------------------------------------------------

SMALL = synthetic_worlds.generate_tables(150, seed=4, base_rate=0.06)
MOMENTS = month_ends(NOW, within_days=WITHIN_DAYS, months=6)


def won_at(person_id, world=SMALL):
    return next(
        (e["at"] for e in world.events if (e["person_id"], e["kind"]) == (person_id, "won")), None
    )


def at_month_ends():
    """Everybody who was known at a month's end and no customer: (moment, lifecycle row, bought)."""
    for moment in MOMENTS:
        rows, _ = referee(RULES, SMALL.people, SMALL.field_since, SMALL.events, moment)
        for row in rows:
            won = won_at(row["person_id"])
            if won is None or won > moment:
                soon = won is not None and won <= moment + timedelta(days=WITHIN_DAYS)
                yield moment, row, soon


@pytest.fixture(scope="module")
def counted_by_hand():
    return list(at_month_ends())


@pytest.fixture(scope="module")
def small():
    return tried(SMALL)


def test_people_and_purchases_are_those_counted_by_hand(small, counted_by_hand):
    """Known at the month's end, no customer yet, bought within the window."""
    bought = [row["person_id"] for _, row, soon in counted_by_hand if soon]

    assert (small.people, small.converted, small.buyers) == (
        len(counted_by_hand),
        len(bought),
        len(set(bought)),
    )


def test_where_people_stood_is_what_the_referee_says(small, counted_by_hand):
    """Every stage: how many stood there at a month's end, how many of them bought."""
    stood = Counter(row["stage"] for _, row, _ in counted_by_hand)
    bought = Counter(row["stage"] for _, row, soon in counted_by_hand if soon)

    found = {row["stage"]: (row["people"], row["became"]) for row in small.results[0].by_stage}
    assert found == {stage: (stood[stage], bought[stage]) for stage in stood}


def test_precision_and_recall_of_a_stage_equal_a_plain_count(small, counted_by_hand):
    """Of those in it or above, who bought; of those who bought, who was in it or above."""
    hot = [soon for _, row, soon in counted_by_hand if row["stage"] == "hot"]
    bought = sum(soon for _, _, soon in counted_by_hand)

    mark = {mark.signal: mark for mark in small.results[0].stages}["hot"]
    assert mark.precision == sum(hot) / len(hot)
    assert mark.recall == sum(hot) / bought
    assert mark.baseline == (bought - sum(hot)) / (len(counted_by_hand) - len(hot))


def test_the_error_of_the_lift_is_that_of_people_and_not_of_month_ends(small, counted_by_hand):
    """The linearised variance of a ratio of shares, with all month ends of a person as one."""
    yes = [soon for _, row, soon in counted_by_hand if row["stage"] == "hot"]
    no = [soon for _, row, soon in counted_by_hand if row["stage"] != "hot"]
    weight = {True: (sum(yes) / len(yes), sum(yes)), False: (sum(no) / len(no), -sum(no))}
    of_person = defaultdict(float)
    for _, row, soon in counted_by_hand:
        share, bought = weight[row["stage"] == "hot"]
        of_person[row["person_id"]] += (soon - share) / bought

    mark = {mark.signal: mark for mark in small.results[0].stages}["hot"]
    assert mark.error == pytest.approx(sum(part**2 for part in of_person.values()) ** 0.5)


def test_the_curve_of_the_score_equals_a_plain_count(small, counted_by_hand):
    """Of those with 20 points and more, who bought."""
    high = [soon for _, row, soon in counted_by_hand if row["score"] >= 20]

    row = next(row for row in small.results[0].curve if row["points"] >= 20)
    assert (row["people"], row["precision"]) == (len(high), sum(high) / len(high))


def leaf_holds(leaf, moment, person_id):
    """Whether a leaf is true in the cycle that is under way, by the referee's own reading."""
    person = next(row for row in SMALL.people if row["person_id"] == person_id)
    since = {r["field"]: r["since"] for r in SMALL.field_since if r["person_id"] == person_id}
    case = Case(RULES, person, since, counted(RULES, person_id, SMALL.events, moment), moment)
    cycle = cycles_of(case, final_truth(case))[-1]
    acts = [
        event.at
        for event in case.events
        if event.at >= cycle.start and event.kind not in ("mail", "won")
    ]
    under_way = moment - max(acts, default=cycle.start) <= patience(case)
    return under_way and true_since(leaf, case, cycle, Below({}, frozenset())) is not None


LEAVES = {
    "3 visit": {"event": "visit", "count": 3},
    "score total >= 25": {"score": "total", "gte": 25},
    "2 channels within 30 days": {"channels": 2, "within_days": 30},
}


@pytest.mark.parametrize("text", LEAVES)
def test_precision_and_recall_of_a_threshold_equal_a_plain_count(small, counted_by_hand, text):
    """A threshold is met where its leaf is true in the cycle under way."""
    met = [
        soon
        for moment, row, soon in counted_by_hand
        if leaf_holds(LEAVES[text], moment, row["person_id"])
    ]

    mark = {mark.signal: mark for mark in small.results[0].thresholds}[text]
    assert (mark.yes, mark.yes_converted) == (len(met), sum(met))


def first_entries():
    """When everybody first entered each stage, as the referee sees it now."""
    _, history = referee(RULES, SMALL.people, SMALL.field_since, SMALL.events, NOW)
    firsts = defaultdict(dict)
    for row in sorted(history, key=lambda row: row["entered_at"], reverse=True):
        firsts[row["person_id"]][row["stage"]] = row["entered_at"]
    return firsts.values()


def test_conversion_counts_those_who_had_the_whole_time(small):
    """From fan to hot: who converted within the window, in how many days; no late ones."""
    cohort = [one for one in first_entries() if one.get("fan", datetime.min) >= MOMENTS[0]]
    limit = NOW - timedelta(days=WITHIN_DAYS)
    old = [one for one in cohort if one["fan"] <= limit]
    took = [(one["hot"] - one["fan"]) / timedelta(days=1) for one in old if "hot" in one]
    took = [days for days in took if days <= WITHIN_DAYS]

    row = next(row for row in small.results[0].conversions if row["stage"] == "fan")
    assert (row["people"], row["went_on"], row["recent"]) == (
        len(old),
        len(took),
        len(cohort) - len(old),
    )
    assert row["median_days"] == pytest.approx(median(took))


def test_people_entering_a_stage_are_counted_by_month(small):
    """Each person once a month, however often they entered."""
    _, history = referee(RULES, SMALL.people, SMALL.field_since, SMALL.events, NOW)
    hot = {
        (row["entered_at"].month, row["person_id"])
        for row in history
        if row["stage"] == "hot" and row["entered_at"] >= MOMENTS[0]
    }

    found = {
        row["month"].month: row["people"]
        for row in small.results[0].entered
        if row["stage"] == "hot"
    }
    assert found == Counter(month for month, _ in hot)


# --- no look ahead --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine():
    with ENGINES["duckdb"]() as connected:
        yield connected


def at_once(engine, rules, world, moments):
    """What `states` says of everybody at several moments: stage and score by moment and person."""
    model, until = Definition.model_validate(rules), moments[-1]

    def store(name, table):
        return engine.create_table(name, table, overwrite=True)

    known = (
        load_rows(engine, "people", pa.Table.from_pylist(world.people, schema=PEOPLE)),
        load_rows(
            engine, "field_since", pa.Table.from_pylist(world.field_since, schema=FIELD_SINCE)
        ),
        load_rows(engine, "events", pa.Table.from_pylist(world.events, schema=EVENTS)),
    )
    parts = [snapshots(known, model.fields(), moment=moment, until=until) for moment in moments]
    people, since, events = (
        store(f"lives_{nth}", union_all(tables))
        for nth, tables in enumerate(zip(*parts, strict=True))
    )
    steps = compute_steps(people, since, events, model, as_of=until, materialize=store)
    found = states(steps, model, as_of=from_datetime(until), within_days=7)
    rows = found.join(people.select("of", "month_end", life="person_id"), "life")
    return {
        (row["month_end"], row["of"]): (model.stage_ids[row["rank"]], round(row["score"], 2))
        for row in rows.to_pyarrow().to_pylist()
    }


@pytest.mark.long
@settings(parent=PATIENT, max_examples=10)
@given(data=st.data())
def test_many_moments_at_once_say_what_the_referee_says_of_each(engine, data):
    """To move lives in time changes nothing: all lengths and UTC days stay what they are."""
    rules = data.draw(definitions())
    world = data.draw(lifecycle_inputs(rules))
    moments = [datetime(2026, 1, 31), datetime(2026, 2, 2), datetime(2026, 3, 1)]

    together = at_once(engine, rules, world, moments)

    alone = {
        (moment, row["person_id"]): (row["stage"], pytest.approx(row["score"], abs=0.011))
        for moment in moments
        for row in referee(rules, world.people, world.field_since, world.events, moment)[0]
    }
    assert together == alone


@pytest.mark.long
def test_what_happens_after_a_month_end_changes_nothing_at_it():
    """Events of the last months show who bought, but not the earlier stages."""
    last = MOMENTS[-1]
    later = [
        {
            "event_id": f"late{nth}",
            "person_id": row["person_id"],
            "kind": kind,
            "at": last + timedelta(days=1),
            "duplicate_of": None,
        }
        for nth, row in enumerate(SMALL.people)
        for kind in ("webinar", "paper", "reply")
    ]
    busier = replace(SMALL, events=SMALL.events + later)

    before, after = tried(SMALL).results[0], tried(busier).results[0]

    assert (before.by_stage, before.scores, before.thresholds) == (
        after.by_stage,
        after.scores,
        after.thresholds,
    )


@pytest.mark.long
def test_a_field_set_after_a_month_end_was_not_set_at_it():
    """Its points count from the date in the history."""
    last = MOMENTS[-1]
    told = [
        {"person_id": row["person_id"], "field": "industry", "since": last + timedelta(days=1)}
        for row in SMALL.people
    ]
    nobody = [row | {"industry": None} for row in SMALL.people]

    late = tried(replace(SMALL, field_since=told)).results[0]
    never = tried(replace(SMALL, people=nobody, field_since=[])).results[0]

    assert late.scores == never.scores


# --- two definitions, too little history ----------------------------------------------------------


@pytest.mark.long
def test_two_definitions_are_judged_by_the_same_people_and_outcome():
    """Another idea of a customer changes where people stand, not who bought."""
    stages = [*RULES["stages"][:3], {"id": "buyer", "final": True, "enter": {"event": "webinar"}}]
    other = named_definition("other.yaml", stages=stages)

    ours, theirs = tried(SMALL, other).results

    assert sum(row["people"] for row in ours.by_stage) == sum(
        row["people"] for row in theirs.by_stage
    )
    assert sum(row["became"] for row in ours.by_stage) == sum(
        row["became"] for row in theirs.by_stage
    )


def test_a_history_shorter_than_the_window_is_said_to_be_too_short():
    """No outcome can be measured; the funnel is shown all the same."""
    told = tried(synthetic_worlds.generate_tables(20, months=2), within_days=300)

    assert (told.month_ends, told.people) == ((), 0)
    assert "too short" in told.notes[0]
    assert told.results[0].entered


def test_of_three_customers_nothing_is_concluded():
    """It says how many there are, and that they are too few."""
    told = tried(synthetic_worlds.generate_tables(60, base_rate=0.004))

    assert told.buyers < 10
    assert "too few to judge" in told.notes[-1]
    assert {mark.lift for mark in told.results[0].kinds} == {None}


def test_the_page_shows_what_the_tables_say_and_nobody_by_name(small, tmp_path):
    """Every chart has its numbers beside it, and the library that draws it comes along."""
    path = tmp_path / "page.html"

    html.backtest_page(small, path)

    text = path.read_text()
    ours = text[text.index("<main>") : text.index("</main>")]
    assert re.findall("<h2>(.*?)</h2>", ours)[:3] == [
        "Conversion to the next stage",
        "People entering each stage, month by month",
        "Lift by stage",
    ]
    assert f"{small.buyers}</b><span>different people" in ours
    assert not re.search(r"\bp\d+\b|@", ours)
    assert not re.search(r"<(script|link)[^>]*\s(src|href)=", text)


def test_month_ends_leave_a_whole_window_for_the_outcome():
    """On 15 March, with 28 days, the last end of a month to judge is that of January."""
    assert month_ends(datetime(2026, 3, 15), within_days=28, months=3) == [
        datetime(2025, 12, 1),
        datetime(2026, 1, 1),
        datetime(2026, 2, 1),
    ]
