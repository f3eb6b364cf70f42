"""Where everybody stands: stories anyone can check, the referee on random lives, every engine."""

from collections import defaultdict
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from ibis.backends.sql import SQLBackend

from config.definition import Definition
from engines import ENGINES, EVERY_ENGINE, load_rows
from input_tables import EVENTS, EXAMPLES, FIELD_SINCE, PATIENT, PEOPLE, SOAK
from reference_implementation import referee
from strategies import (
    LifecycleInputs,
    definitions,
    edge_instants,
    event_rows,
    field_dates,
    person_rows,
)
from transforms.lifecycle.lifecycle import lifecycle

Row = dict[str, Any]
Table = dict[Any, Row]


@pytest.fixture(scope="module", params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest) -> Iterator[SQLBackend]:
    with ENGINES[request.param]() as connected:
        yield connected


@pytest.fixture(scope="module")
def duckdb() -> Iterator[SQLBackend]:
    with ENGINES["duckdb"]() as connected:
        yield connected


def answer(engine: SQLBackend, definition: Row, world: LifecycleInputs) -> tuple[Table, Table]:
    """Give the rows of `lifecycle` by person, and those of `stage_history` by all they hold."""

    def store(name: str, table: ir.Table) -> ir.Table:
        return engine.create_table(f"step_{name}", table, overwrite=True)

    told = lifecycle(
        load_rows(engine, "people", pa.Table.from_pylist(world.people, schema=PEOPLE)),
        load_rows(
            engine, "field_since", pa.Table.from_pylist(world.field_since, schema=FIELD_SINCE)
        ),
        load_rows(engine, "events", pa.Table.from_pylist(world.events, schema=EVENTS)),
        Definition.model_validate(definition),
        as_of=world.as_of,
        materialize=store,
    )
    stands = told.lifecycle.drop("definition_id").to_pyarrow().to_pylist()
    return by_person(stands), by_value(told.stage_history.to_pyarrow().to_pylist())


def judged(definition: Row, world: LifecycleInputs) -> tuple[Table, Table]:
    """Give the same as the referee sees it."""
    stands, history = referee(
        definition, world.people, world.field_since, world.events, world.as_of
    )
    return by_person(stands), by_value(history)


def by_person(rows: list[Row]) -> Table:
    assert len({row["person_id"] for row in rows}) == len(rows)
    return {row["person_id"]: row for row in rows}


def by_value(rows: list[Row]) -> Table:
    found = {tuple(sorted(row.items())): row for row in rows}
    assert len(found) == len(rows)
    return found


# --- stories --------------------------------------------------------------------------------------

NOW = datetime(2026, 3, 1, 12)

DEFINITION: Row = {
    "version": "1",
    "events": {
        "page_view": {"points": 1, "channel": "web", "max_per_day": 3},
        "white_paper": {"points": 8, "channel": "web"},
        "webinar": {"points": 12, "channel": "event"},
        "demo_request": {"points": 40, "channel": "web"},
        "email_open": {"points": 1, "channel": "email", "max_per_day": 1, "activity": False},
        "email_reply": {"points": 25, "channel": "email"},
        "call": {"points": 25, "channel": "phone", "direction": "two_way"},
        "email_sent": {"channel": "email", "direction": "outbound"},
        "complaint": {"points": -30, "direction": "internal"},
        "deal_won": {"channel": "sales", "direction": "internal"},
    },
    "score": {
        "half_life_days": 30,
        "fit": [{"points": 15, "when": {"field": "industry", "in": ["Software"]}}],
        "grades": {"A": 15, "B": 1},
    },
    "qualification": {
        "framework": "BANT",
        "criteria": {
            "budget": {"field": "budget", "gte": 5000},
            "need": {"field": "need", "known": True},
        },
    },
    "stages": [
        {"id": "suspect", "action": "nurture"},
        {
            "id": "lead",
            "action": "nurture",
            "enter": {
                "any": [
                    {"event": ["white_paper", "webinar", "demo_request"]},
                    {"event": "page_view", "count": 5, "within_days": 30},
                ]
            },
        },
        {
            "id": "mql",
            "action": "qualify",
            "follow_up": {"within_hours": 72},
            "enter": {
                "all": [
                    {"stage": "lead"},
                    {"any": [{"score": "total", "gte": 40}, {"channels": 3, "within_days": 30}]},
                ]
            },
        },
        {
            "id": "sql",
            "action": "call",
            "follow_up": {"within_hours": 24, "by": ["email_sent", "call"]},
            "enter": {
                "any": [
                    {"event": "demo_request"},
                    {"all": [{"stage": "mql"}, {"event": ["email_reply", "call"]}]},
                    {"all": [{"stage": "mql"}, {"qualified": 2}]},
                ]
            },
        },
        {"id": "customer", "final": True, "enter": {"event": "deal_won"}},
    ],
    "recycled": {"to": "lead", "after_inactive_days": 120},
    "disqualified": {"field": "lead_status", "is": "Unqualified"},
    "contact": {
        "contactable": {"field": "opted_out", "is_not": True},
        "pressure": {"within_days": 30, "high": 2, "stop": 3},
    },
}


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@dataclass(frozen=True)
class Story:
    """Events and fields of a person, and the expected result."""

    did: list[tuple[str, datetime]]
    told: Row
    person: Row = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)


STORIES = {
    "never did anything": Story(
        [], {"stage": "suspect", "status": "open", "reasons": "", "cycle": 0}
    ),
    "left an identity": Story(
        [("white_paper", days_ago(1))], {"stage": "lead", "next_action": "nurture"}
    ),
    "asked for a demo: need not be an mql first": Story(
        [("demo_request", days_ago(1))],
        {
            "stage": "sql",
            "mql_at": days_ago(1),
            "reasons": "demo_request on 2026-02-28",
            "follow_up_due": NOW,
        },
    ),
    "asked, then silent too long: recycled": Story(
        [("demo_request", days_ago(200))],
        {
            "stage": "lead",
            "standing": "recycled",
            "stage_since": days_ago(80),
            "recycled_at": days_ago(80),
            "reasons": "recycled from sql on 2025-12-11",
            "furthest_stage": "sql",
            "follow_up_due": None,
        },
    ),
    "a touch is no sign of life": Story(
        [("demo_request", days_ago(200)), ("email_sent", days_ago(100))],
        {"standing": "recycled"},
    ),
    "active again at the last moment: not recycled": Story(
        [("demo_request", days_ago(200)), ("page_view", days_ago(80))],
        {"standing": "sql", "cycle": 1},
    ),
    "came back: lead is remembered, mql must be reached again": Story(
        [("demo_request", days_ago(300)), ("page_view", days_ago(2)), ("webinar", days_ago(1))],
        {"stage": "lead", "status": "open", "cycle": 2},
        {"industry": "software"},
    ),
    "used three channels within 30 days": Story(
        [("page_view", days_ago(12)), ("webinar", days_ago(11)), ("call", days_ago(10))],
        {
            "stage": "sql",
            "mql_at": days_ago(10),
            "reasons": "webinar on 2026-02-18; 3 channels within 30 days on 2026-02-19; "
            "call on 2026-02-19",
        },
    ),
    "one channel had left the window when the third came": Story(
        [
            ("webinar", days_ago(90)),
            ("page_view", days_ago(40)),
            ("email_reply", days_ago(35)),
            ("page_view", days_ago(1)),
        ],
        {"stage": "lead", "mql_at": None},
    ),
    "exactly one window ago is out": Story(
        [("webinar", days_ago(31)), ("page_view", days_ago(2)), ("email_reply", days_ago(1))],
        {"stage": "lead", "mql_at": None},
    ),
    "three views of a day are admitted": Story(
        [("page_view", days_ago(9 + n / 24)) for n in range(5)],
        {"stage": "suspect", "engagement": 2.43},
    ),
    "the date of a fit line makes an mql": Story(
        [("webinar", days_ago(2)), ("webinar", days_ago(2)), ("white_paper", days_ago(2))],
        {"stage": "mql", "mql_at": days_ago(1), "grade": "A", "fit": 15.0},
        {"industry": " SOFTWARE "},
        {"industry": days_ago(1)},
    ),
    "0.565 is rounded as it reads, not as a double holds it": Story(
        [("page_view", days_ago(24.7103168))], {"engagement": 0.57}
    ),
    "bought, and silence does not take it back": Story(
        [("webinar", days_ago(350)), ("deal_won", days_ago(340))],
        {
            "status": "won",
            "stage": "customer",
            "next_action": "none",
            "reasons": "deal_won on 2025-03-26",
        },
    ),
    "disqualified by sales": Story(
        [("demo_request", days_ago(1))],
        {
            "stage": "sql",
            "standing": "disqualified",
            "disqualified_at": days_ago(0.5),
            "next_action": "none",
        },
        {"lead_status": "unqualified"},
        {"lead_status": days_ago(0.5)},
    ),
    "pressed three times without an answer: pause": Story(
        [("demo_request", days_ago(9)), *(("email_sent", days_ago(n)) for n in (1, 2, 3))],
        {"touches": 3, "pressure": "stop", "next_action": "pause", "follow_up_due": None},
    ),
    "opted out: no call": Story(
        [("demo_request", days_ago(1))],
        {"contactable": False, "next_action": "none"},
        {"opted_out": True},
    ),
    "what happens tomorrow is not known today": Story(
        [("white_paper", days_ago(1)), ("deal_won", days_ago(-1))], {"stage": "lead"}
    ),
}

FALLING = deepcopy(DEFINITION)
"""With a lost opportunity, an MQL that expires, mass mails, and a fit that makes an MQL."""

FALLING["events"] |= {
    "mailing": {"channel": "email", "direction": "outbound", "touch": 0.2},
    "opportunity_lost": {"direction": "internal"},
}
FALLING["recycled"]["by"] = "opportunity_lost"
FALLING["stages"][2]["expires_days"] = 20
FALLING["stages"][2]["enter"]["all"][1]["any"].append({"score": "fit", "gte": 15})

FORTY_POINTS = [(kind, days_ago(40)) for kind in ("webinar", "webinar", "white_paper")] + [
    ("white_paper", days_ago(40))
]

FALLING_STORIES = {
    "a lost opportunity sends back at once": Story(
        [("demo_request", days_ago(30)), ("opportunity_lost", days_ago(12))],
        {
            "stage": "lead",
            "standing": "recycled",
            "stage_since": days_ago(12),
            "recycled_at": days_ago(12),
            "reasons": "recycled from sql on 2026-02-17 (opportunity_lost)",
            "sql_at": days_ago(30),
            "cycle": 1,
        },
    ),
    "active after a lost opportunity: a new cycle, however soon": Story(
        [
            ("demo_request", days_ago(30)),
            ("opportunity_lost", days_ago(12)),
            ("page_view", days_ago(11)),
        ],
        {"stage": "lead", "status": "open", "cycle": 2, "recycled_at": days_ago(12)},
    ),
    "an activity at the very moment belongs to what is closed": Story(
        [("demo_request", days_ago(12)), ("opportunity_lost", days_ago(12))],
        {"stage": "lead", "standing": "recycled", "cycle": 1, "sql_at": days_ago(12)},
    ),
    "of two lost opportunities the first closes": Story(
        [
            ("demo_request", days_ago(30)),
            ("opportunity_lost", days_ago(12)),
            ("opportunity_lost", days_ago(6)),
        ],
        {"standing": "recycled", "recycled_at": days_ago(12)},
    ),
    "a lost opportunity of a lead changes no stage": Story(
        [("white_paper", days_ago(30)), ("opportunity_lost", days_ago(12))],
        {"stage": "lead", "standing": "lead", "recycled_at": None},
    ),
    "bought, then lost another: stays a customer": Story(
        [("deal_won", days_ago(30)), ("opportunity_lost", days_ago(12))],
        {"stage": "customer", "status": "won", "recycled_at": None},
    ),
    "lost, then bought without any activity": Story(
        [
            ("demo_request", days_ago(30)),
            ("opportunity_lost", days_ago(12)),
            ("deal_won", days_ago(3)),
        ],
        {"stage": "customer", "status": "won", "recycled_at": days_ago(12)},
    ),
    "the points from before a lost opportunity make no mql again": Story(
        [
            *((kind, days_ago(20)) for kind in ("webinar", "email_reply", "email_reply")),
            ("opportunity_lost", days_ago(12)),
            ("page_view", days_ago(2)),
            ("webinar", days_ago(1)),
        ],
        {"stage": "lead", "cycle": 2, "mql_at": days_ago(20), "engagement": 51.74},
    ),
    "a field that comes true after a lost opportunity is of the next cycle": Story(
        [("white_paper", days_ago(30)), ("opportunity_lost", days_ago(12))],
        {"stage": "lead", "mql_at": None},
        {"industry": "software"},
        {"industry": days_ago(5)},
    ),
    "an mql who enters no higher stage expires": Story(
        FORTY_POINTS,
        {
            "stage": "lead",
            "standing": "recycled",
            "stage_since": days_ago(20),
            "reasons": "recycled from mql on 2026-02-09 (expired)",
            "cycle": 1,
        },
    ),
    "expired, and further interest in the same cycle makes no mql again": Story(
        [*FORTY_POINTS, ("webinar", days_ago(10))], {"stage": "lead", "standing": "recycled"}
    ),
    "expired, but a higher stage can be entered": Story(
        [*FORTY_POINTS, ("demo_request", days_ago(5))],
        {"stage": "sql", "status": "open", "mql_at": days_ago(40), "recycled_at": days_ago(20)},
    ),
    "moved up in time: does not expire, and an sql does not either": Story(
        [*FORTY_POINTS, ("demo_request", days_ago(30))], {"stage": "sql", "recycled_at": None}
    ),
    "moved up at the last moment": Story(
        [*FORTY_POINTS, ("demo_request", days_ago(20))], {"stage": "sql", "recycled_at": None}
    ),
    "lost at the moment at which it expires: the event is the cause": Story(
        [*FORTY_POINTS, ("opportunity_lost", days_ago(20))],
        {"reasons": "recycled from mql on 2026-02-09 (opportunity_lost)"},
    ),
    "four mass mails and two of our own": Story(
        [
            ("demo_request", days_ago(9)),
            *(("mailing", days_ago(n)) for n in (1, 2, 3, 4)),
            *(("email_sent", days_ago(n)) for n in (1, 2)),
        ],
        {"touches": 2.8, "pressure": "high", "next_action": "call"},
    ),
    "a fifth mass mail is too much": Story(
        [
            ("demo_request", days_ago(9)),
            *(("mailing", days_ago(n)) for n in (1, 2, 3, 4, 5)),
            *(("email_sent", days_ago(n)) for n in (1, 2)),
        ],
        {"touches": 3.0, "pressure": "stop", "next_action": "pause"},
    ),
    "a good fit makes an mql of a lead": Story(
        [("white_paper", days_ago(1))],
        {
            "stage": "mql",
            "reasons": "white_paper on 2026-02-28; score fit >= 15 on 2026-02-28",
        },
        {"industry": "software"},
    ),
}


def stories(told: dict[str, Story]) -> LifecycleInputs:
    """The people of all stories in one world; they are called by the titles."""
    world = LifecycleInputs([], [], [], NOW)
    nobody = dict.fromkeys(PEOPLE.names) | {"created_at": days_ago(400), "email": "a@b.example"}
    for title, one in told.items():
        who = {"person_id": title}
        world.people.append(nobody | one.person | who)
        world.field_since.extend(who | {"field": f, "since": at} for f, at in one.since.items())
        world.events.extend(
            who | {"event_id": f"{title} {n}", "kind": kind, "at": at, "duplicate_of": None}
            for n, (kind, at) in enumerate(one.did)
        )
    return world


@pytest.fixture(scope="module")
def told(engine: SQLBackend) -> Table:
    """Where the people of all stories stand: one run for each definition."""
    plain, _ = answer(engine, DEFINITION, stories(STORIES))
    falling, _ = answer(engine, FALLING, stories(FALLING_STORIES))
    return plain | falling


@pytest.mark.parametrize("title", STORIES | FALLING_STORIES)
def test_the_story_ends_as_told(told: Table, title: str) -> None:
    """docs/definition.md, a sentence at a time."""
    expected = (STORIES | FALLING_STORIES)[title].told

    assert {name: told[title][name] for name in expected} == expected


@pytest.mark.parametrize(
    "section", ["score", "qualification", "recycled", "disqualified", "contact"]
)
@pytest.mark.long
def test_of_a_section_that_is_absent_there_is_no_such_thing(
    duckdb: SQLBackend, section: str
) -> None:
    """docs/definition.md, "The parts of the file": the leaves that ask for it are never true."""
    definition = {name: part for name, part in DEFINITION.items() if name != section}

    assert answer(duckdb, definition, stories(STORIES)) == judged(definition, stories(STORIES))


# --- random lives ---------------------------------------------------------------------------------


@st.composite
def cases(draw: DrawFn) -> tuple[Row, LifecycleInputs]:
    """A definition and a crowd: many small groups of people on the same few instants.

    Many, because a run costs the same for one person and for a hundred.
    """
    definition = draw(definitions(with_new_words=True))
    if "score" in definition and draw(st.sampled_from((False, False, True))):
        # so short that the running sums cannot be kept in one double from the first event on
        definition["score"]["half_life_days"] = draw(st.sampled_from((0.02, 0.001)))
    instants = draw(edge_instants(definition))
    world = LifecycleInputs([], [], [], draw(st.sampled_from(instants[len(instants) // 2 :])))
    for nth in range(draw(st.sampled_from((1, 30, 30, 30)))):
        names = [f"{name} {nth}" for name in ("anna", "bob", "Bob")]
        names = names[: draw(st.sampled_from((1, 1, 2, 3)))]
        events = [of_group(nth, row) for row in draw(event_rows(definition, names, instants))]
        world.events.extend(events)
        world.people.extend(draw(person_rows(name, events, instants)) for name in names)
        for name in names:
            world.field_since.extend(draw(field_dates(name, instants)))
    return definition, world


def of_group(nth: int, event: Row) -> Row:
    """Make the event ids of one group differ from those of the others."""
    original = event["duplicate_of"] and f"{event['duplicate_of']} {nth}"
    return event | {"event_id": f"{event['event_id']} {nth}", "duplicate_of": original}


def test_the_engine_agrees_with_the_referee(engine: SQLBackend) -> None:
    """Every row and every column, for any definition and any history."""

    @settings(PATIENT, max_examples=EXAMPLES[engine.name] * (50 if SOAK else 1))
    @given(cases())
    def agrees(case: tuple[Row, LifecycleInputs]) -> None:
        assert answer(engine, *case) == judged(*case)

    agrees()


@settings(PATIENT, max_examples=200 if SOAK else 3)
@given(cases(), st.randoms(use_true_random=False))
@pytest.mark.long
def test_the_order_of_rows_is_irrelevant(
    duckdb: SQLBackend, case: tuple[Row, LifecycleInputs], random: Random
) -> None:
    definition, world = case
    shuffled = replace(
        world,
        people=random.sample(world.people, len(world.people)),
        field_since=random.sample(world.field_since, len(world.field_since)),
        events=random.sample(world.events, len(world.events)),
    )

    assert answer(duckdb, definition, shuffled) == answer(duckdb, definition, world)


@settings(PATIENT, max_examples=200 if SOAK else 3)
@given(cases())
@pytest.mark.long
def test_nobody_is_judged_by_what_others_did(
    duckdb: SQLBackend, case: tuple[Row, LifecycleInputs]
) -> None:
    definition, world = case
    annas = {row["person_id"] for row in world.people if row["person_id"].startswith("anna")}
    alone = replace(
        world,
        people=[row for row in world.people if row["person_id"] in annas],
        events=[row for row in world.events if row["person_id"] in annas],
    )
    stands, history = answer(duckdb, definition, world)

    assert answer(duckdb, definition, alone) == (
        {who: row for who, row in stands.items() if who in annas},
        {key: row for key, row in history.items() if row["person_id"] in annas},
    )


@pytest.mark.long
@settings(PATIENT, max_examples=200 if SOAK else 3)
@given(cases())
def test_an_earlier_as_of_knows_what_was_known_then(
    duckdb: SQLBackend, case: tuple[Row, LifecycleInputs]
) -> None:
    definition, world = case
    world = replace(world, as_of=sorted({row["created_at"] for row in world.people})[-1])
    known = replace(
        world,
        people=[row for row in world.people if row["created_at"] <= world.as_of],
        events=[row for row in world.events if row["at"] <= world.as_of],
    )

    assert answer(duckdb, definition, world) == answer(duckdb, definition, known)


# --- engines that cannot be had here --------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery", "databricks", "trino"])
def test_it_compiles_for_engines_that_are_far_away(dialect: str) -> None:
    statements: dict[str, str] = defaultdict(str)

    def store(name: str, table: ir.Table) -> ir.Table:
        statements[name] = str(ibis.to_sql(table, dialect=dialect))
        return ibis.table(table.schema(), name=name)

    told = lifecycle(
        ibis.table(ibis.Schema.from_pyarrow(PEOPLE), name="people"),
        ibis.table(ibis.Schema.from_pyarrow(FIELD_SINCE), name="field_since"),
        ibis.table(ibis.Schema.from_pyarrow(EVENTS), name="events"),
        Definition.model_validate(DEFINITION),
        as_of=NOW,
        materialize=store,
    )
    store("lifecycle", told.lifecycle)
    store("stage_history", told.stage_history)

    assert all(text.startswith(("SELECT", "WITH")) for text in statements.values())
