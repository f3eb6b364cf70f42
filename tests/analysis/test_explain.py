"""Receipts as a salesperson reads them: docs/operations.md, `explain`."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.explain import Receipt, explain
from analysis.supporting_events import allocate_rounding
from config.definition import Definition
from config.loader import Configuration, load_configuration
from errors import ConfigError
from transforms.identity.field_history import FIELD_HISTORY_SCHEMA as FIELD_HISTORY
from transforms.identity.record_history import record_history_schema as record_history
from transforms.lifecycle.lifecycle import lifecycle
from transforms.staging.enrichment import enrich
from warehouse.people_lookup import find_person_ids
from warehouse.warehouse import SCRATCH_DATASET, Warehouse

NOW = datetime(2026, 6, 1, 12)
ANNA = "salesforce:Lead:00Q000000000001AAA"
EVENTS = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("event_id", "person_id", "kind", "crm", "source_object", "source_id")
        ),
        ("at", pa.timestamp("us")),
        ("duplicate_of", pa.string()),
    ]
)
DEFINITION: dict[str, Any] = {
    "version": "1",
    "events": {
        "page_view": {"points": 1, "channel": "web", "max_per_day": 2},
        "white_paper": {"points": 8, "channel": "web"},
        "newsletter": {"points": 5, "channel": "email"},
        "webinar": {"points": 12, "channel": "event"},
        "demo_request": {"points": 40, "channel": "web"},
        "call_connected": {"points": 25, "channel": "phone", "direction": "two_way"},
        "deal_won": {"direction": "internal"},
    },
    "score": {
        "half_life_days": 30,
        "fit": [{"points": 15, "when": {"field": "industry", "in": ["software", "finance"]}}],
    },
    "qualification": {
        "framework": "BANT",
        "criteria": {
            "budget": {"field": "budget", "gte": 5000},
            "need": {"field": "need", "known": True},
            "timeline": {"field": "timeline", "known": True},
        },
    },
    "stages": [
        {"id": "suspect", "action": "nurture"},
        {
            "id": "lead",
            "action": "nurture",
            "enter": {
                "any": [
                    {"event": ["white_paper", "newsletter"]},
                    {"event": "page_view", "count": 5, "within_days": 30},
                ]
            },
        },
        {
            "id": "mql",
            "label": "MQL",
            "action": "qualify",
            "enter": {
                "all": [
                    {"stage": "lead"},
                    {"any": [{"score": "total", "gte": 50}, {"channels": 3, "within_days": 30}]},
                ]
            },
        },
        {
            "id": "sql",
            "label": "Prospect",
            "action": "call",
            "enter": {
                "any": [
                    {"event": "demo_request"},
                    {"all": [{"stage": "mql"}, {"event": "call_connected"}, {"qualified": 2}]},
                ]
            },
        },
        {"id": "customer", "label": "Customer", "final": True, "enter": {"event": "deal_won"}},
    ],
    "recycled": {"to": "lead", "after_inactive_days": 120},
    "disqualified": {"field": "lead_status", "in": ["unqualified"]},
}


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Warehouse]:
    """A warehouse in memory."""
    engine = ibis.duckdb.connect(threads=1)
    engine.create_database(SCRATCH_DATASET)
    yield Warehouse(engine)
    engine.disconnect()


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    """The shipped files with a definition of our own."""
    return replace(load_configuration(), definition=Definition.model_validate(DEFINITION))


@pytest.fixture
def receipt(warehouse: Warehouse, configuration: Configuration) -> Any:
    """Make Anna's receipt: what she did, by days ago, and what the CRMs say of her."""

    def made(*did: tuple[str, float], who: str = f" {ANNA} ", **fields: Any) -> Receipt:
        _fill(warehouse, configuration, did, fields)
        [found] = explain(warehouse, configuration, who)
        return found

    return made


def _fill(
    warehouse: Warehouse,
    configuration: Configuration,
    did: tuple[tuple[str, float], ...],
    fields: dict[str, Any],
) -> None:
    events = [
        {
            "event_id": f"hubspot:forms:{number}:{kind}",
            "person_id": ANNA,
            "kind": kind,
            "crm": "hubspot",
            "source_object": "forms",
            "source_id": str(number),
            "at": NOW - timedelta(days=ago),
        }
        for number, (kind, ago) in enumerate(did)
    ]
    born = NOW - timedelta(days=max([ago for _, ago in did], default=0) + 1)
    person = {"person_id": ANNA, "created_at": born, "email": "anna@example.com", **fields}
    config = configuration.people
    types = {"text": "string", "integer": "int64", "number": "float64", "boolean": "boolean"}
    columns = {name: types.get(field.type, field.type) for name, field in config.fields.items()}
    wide = ibis.schema({"person_id": "string", "created_at": "timestamp(6)", **columns})
    people = pa.Table.from_pylist([person], schema=wide.to_pyarrow())
    record = {
        "key": ANNA,
        "crm": "salesforce",
        "object": "Lead",
        "record_id": "00Q000000000001AAA",
        "additional_emails": "a@other.example;b@other.example",
        "deleted": False,
        "read_only": False,
        "updated_at": born,
    }
    tables = {
        "people": enrich(ibis.memtable(people), config),
        "records": ibis.memtable(people).mutate(
            **{name: ibis.literal(value) for name, value in record.items()}
        ),
        "events": ibis.memtable(pa.Table.from_pylist(events, schema=EVENTS)),
        "field_since": ibis.memtable(pa.table({"person_id": [""], "field": [""], "since": [born]})),
        "record_history": ibis.memtable(record_history(config).to_pyarrow().empty_table()),
        "field_history": ibis.memtable(FIELD_HISTORY.to_pyarrow().empty_table()),
        "runs": ibis.memtable(
            pa.table({"started_at": [NOW], "plan_run_id": pa.nulls(1, "string")})
        ),
    }
    stored = {name: warehouse.replace_table(name, table) for name, table in tables.items()}
    parts = (stored[name] for name in ("people", "field_since", "events"))
    warehouse.save_lifecycle(
        lifecycle(*parts, configuration.definition, as_of=NOW, materialize=warehouse.materialize)
    )


PAPER, LETTER, WEBINAR = ("white_paper", 5), ("newsletter", 3), ("webinar", 2)


@pytest.mark.parametrize(
    ("did", "fields", "said"),
    [
        pytest.param(
            [],
            {},
            "lead needs a white_paper or newsletter, or 5 page_view within 30 days",
            id="nothing yet",
        ),
        pytest.param(
            [("page_view", 40), ("page_view", 4), ("page_view", 3)],
            {},
            "lead needs a white_paper or newsletter, "
            "or 3 more page_view within 30 days (2 of 5 so far)",
            id="events in the window count",
            marks=pytest.mark.long,
        ),
        pytest.param(
            [("page_view", 4), ("page_view", 4), ("page_view", 4)],
            {},
            "lead needs a white_paper or newsletter, "
            "or 3 more page_view within 30 days (2 of 5 so far)",
            id="two a day are admitted",
            marks=pytest.mark.long,
        ),
        pytest.param(
            [PAPER, LETTER],
            {"industry": "Software"},
            "MQL needs 23.21 more points (26.79 of 50), "
            "or 1 more channel within 30 days (so far email, web)",
            id="alternatives",
            marks=pytest.mark.long,
        ),
        pytest.param(
            [PAPER, LETTER, WEBINAR],
            {"budget": 3000.0},
            "Prospect needs a demo_request, or a call_connected "
            "and 2 more of budget, need or timeline (0 of 2 so far)",
            id="all of several",
            marks=pytest.mark.long,
        ),
        pytest.param(
            [PAPER, LETTER, WEBINAR],
            {"budget": 6000.0, "need": "yes"},
            "Prospect needs a demo_request, or a call_connected",
            id="what holds is not asked for",
            marks=pytest.mark.long,
        ),
        pytest.param([("demo_request", 1)], {}, "Customer needs a deal_won", id="the last step"),
        pytest.param([PAPER, ("deal_won", 1)], {}, "", id="at the top"),
        pytest.param(
            [("white_paper", 300), ("newsletter", 299), ("webinar", 298)],
            {},
            "MQL needs 49.98 more points (0.03 of 50), or 3 channels within 30 days; "
            "after the long inactivity, counts and channels start again",
            id="recycled",
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_the_next_stage_needs_is_said_in_words(
    receipt: Any, did: list[tuple[str, float]], fields: dict[str, Any], said: str
) -> None:
    """With the window, and what there is of it already."""
    assert receipt(*did, **fields).missing == said


def test_behind_a_reason_stand_its_events(receipt: Any) -> None:
    """Which white paper, and where it is logged."""
    anna = receipt(("white_paper", 50), PAPER, LETTER, WEBINAR)

    assert [
        (row["text"], [event["record_id"] for event in row["events"]]) for row in anna.reasons
    ] == [
        ("white_paper", ["0"]),
        ("3 channels within 30 days", ["1", "2", "3"]),
    ]


def test_behind_a_score_stands_what_it_was_made_of_then(receipt: Any) -> None:
    """The events with the points they were worth, and the profile."""
    anna = receipt(("white_paper", 35), *[("call_connected", 5)] * 2, industry="finance")

    score = anna.reasons[-1]
    assert score["text"] == ("score total >= 50 (69.00: 54.00 for activity, 15.00 for fit)")
    assert [(event["kind"], event["left"]) for event in score["events"]] == [
        ("white_paper", 4.0),
        ("call_connected", 25.0),
        ("call_connected", 25.0),
    ]


def test_the_recycled_see_their_last_sign_of_life(receipt: Any) -> None:
    """And what they fell from."""
    anna = receipt(("white_paper", 300), ("newsletter", 299), ("webinar", 298))

    [reason] = anna.reasons
    assert (reason["text"], [event["kind"] for event in reason["events"]]) == (
        "recycled from mql",
        ["webinar"],
    )


def test_the_disqualified_see_by_what(receipt: Any) -> None:
    """Beside the reasons of their stage."""
    anna = receipt(PAPER, lead_status="Unqualified")

    assert (
        [row["text"] for row in anna.disqualified],
        anna.reasons[0]["text"],
    ) == (
        ["lead_status in unqualified"],
        "white_paper",
    )


def test_a_criterion_says_what_it_asks_for_and_what_there_is(receipt: Any) -> None:
    """Met or not."""
    anna = receipt(PAPER, budget=3000.0, need="a crane")

    assert [(row["rule"], row["met"], row["now"]) for row in anna.criteria] == [
        ("budget >= 5000", False, "budget: 3000"),
        ("need known", True, "need: a crane"),
        ("timeline known", False, "timeline: empty"),
    ]


def test_every_contribution_names_its_event(receipt: Any) -> None:
    """Newest first, with what is left of its points."""
    anna = receipt(("white_paper", 30), ("page_view", 0), industry="finance")

    rows = [(row["kind"], row["record_id"], row["left"]) for row in anna.contributions]
    assert (rows, anna.fit[0]["text"], anna.lifecycle["score"]) == (
        [("page_view", "1", 1.0), ("white_paper", "0", 4.0)],
        "industry: finance",
        20.0,
    )


@given(st.lists(st.floats(-100, 100), max_size=30))
def test_what_is_shown_adds_up_and_is_off_by_less_than_a_cent(points: list[float]) -> None:
    """The lines of a receipt add up to the score."""
    total = float(round(sum(Decimal(repr(round(one, 6))) for one in points), 2)) + 0.0

    shown = allocate_rounding(points, total)

    assert round(sum(shown), 2) == round(total, 2)
    assert all(abs(cents - exact) < 0.0101 for cents, exact in zip(shown, points, strict=True))


@pytest.mark.parametrize(
    "who",
    [
        "ANNA@example.com",
        "b@other.example",
        "00Q000000000001AAA",
        "00Q000000000001",
        "salesforce:Lead:00Q000000000001AAA",
    ],
)
def test_somebody_is_found_by_any_name_a_crm_has_for_them(
    warehouse: Warehouse, configuration: Configuration, who: str
) -> None:
    """An address, another one, a record id in either length, our own key."""
    _fill(warehouse, configuration, [PAPER], {})

    assert find_person_ids(warehouse, configuration, who) == [ANNA]


def test_who_was_not_known_yet_has_no_receipt(
    receipt: Any, warehouse: Warehouse, configuration: Configuration
) -> None:
    """It says so, with the day."""
    receipt(PAPER)

    with pytest.raises(ConfigError, match="has no record that was created by 2026-01-01"):
        explain(warehouse, configuration, ANNA, as_of=datetime(2026, 1, 1))
