"""Worlds in which we know who buys and why, because we made it so."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import ibis
import pyarrow as pa

from analysis.month_end_snapshots import NamedDefinition
from config.definition import Definition
from config.loader import load_configuration
from transforms.identity import record_history
from transforms.identity.field_history import FIELD_HISTORY_SCHEMA as HISTORY
from warehouse.runs import Run, save_run
from warehouse.warehouse import SCRATCH_DATASET, Warehouse

Row = dict[str, Any]

TIMESTAMP = pa.timestamp("us")
PEOPLE = pa.schema(
    {"person_id": pa.string(), "created_at": TIMESTAMP, "industry": pa.string()},
)
FIELD_SINCE = pa.schema({"person_id": pa.string(), "field": pa.string(), "since": TIMESTAMP})
EVENTS = pa.schema(
    {
        "event_id": pa.string(),
        "person_id": pa.string(),
        "kind": pa.string(),
        "at": TIMESTAMP,
        "duplicate_of": pa.string(),
    }
)

NOW = datetime(2026, 3, 15, 9)
WITHIN_DAYS = 28
"""No month is shorter: what happens within it is between two month ends."""

RULES: Row = {
    "version": "1",
    "events": {
        "visit": {"points": 2, "channel": "web", "max_per_day": 2},
        "paper": {"points": 20, "channel": "web"},
        "webinar": {"points": 5, "channel": "event"},
        "reply": {"points": 10, "channel": "email", "direction": "two_way"},
        "mail": {"channel": "email", "direction": "outbound"},
        "won": {"direction": "internal"},
    },
    "score": {
        "half_life_days": 30,
        "fit": [{"points": 5, "when": {"field": "industry", "is": "software"}}],
    },
    "stages": [
        {"id": "known", "action": "wait"},
        {
            "id": "fan",
            "action": "write",
            "enter": {
                "any": [{"event": ["paper", "webinar"]}, {"event": "visit", "count": 3}],
            },
        },
        {
            "id": "hot",
            "action": "call",
            "follow_up": {"within_hours": 24},
            "enter": {
                "all": [
                    {"stage": "fan"},
                    {
                        "any": [
                            {"score": "total", "gte": 25},
                            {"channels": 2, "within_days": 30},
                        ]
                    },
                ]
            },
        },
        {"id": "buyer", "final": True, "enter": {"event": "won"}},
    ],
    "recycled": {"to": "fan", "after_inactive_days": 60},
}


@dataclass(frozen=True)
class SyntheticTables:
    """The tables of a world, as rows."""

    people: list[Row]
    events: list[Row]
    field_since: list[Row]


def definition(**changed: Any) -> Definition:
    """The rules of this world, some of them changed."""
    return Definition.model_validate(RULES | changed)


def generate_tables(
    people: int, *, months: int = 9, seed: int = 1, base_rate: float = 0.02
) -> SyntheticTables:
    """Make a world in which a person who attended a webinar last month buys three times as often.

    White papers are read as often and change nothing. Each month a person attends, reads, visits,
    replies and is written to by chance; after its end they buy, by chance, within 28 days.
    """
    chance = Random(seed)
    months_begin = [_month_before(NOW, back) for back in range(months, 0, -1)]
    rows = [
        {
            "person_id": f"p{nth}",
            "created_at": months_begin[0] + timedelta(hours=chance.random() * 24 * 30 * months / 2),
            "industry": chance.choice(("software", "retail", None)),
        }
        for nth in range(people)
    ]
    events = []
    for row in rows:
        events += _person_events(row, months_begin, chance, base_rate)
    numbered = [
        row | {"event_id": f"e{nth}", "duplicate_of": None} for nth, row in enumerate(events)
    ]
    since = [
        {"person_id": row["person_id"], "field": "industry", "since": row["created_at"]}
        for row in rows[::2]
    ]
    return SyntheticTables(rows, numbered, since)


def _month_before(at: datetime, months: int) -> datetime:
    years, month = divmod(at.year * 12 + at.month - 1 - months, 12)
    return datetime(years, month + 1, 1)


MONTHLY_CHANCES = {"webinar": 0.15, "paper": 0.15, "visit": 0.3, "reply": 0.1, "mail": 0.2}


def _person_events(
    person: Row, months_begin: list[datetime], chance: Random, base: float
) -> Iterator[Row]:
    attended = False
    for begin in months_begin:
        if person["created_at"] > begin:
            continue
        if chance.random() < (3 * base if attended else base):
            yield _event(person, "won", begin + timedelta(days=chance.uniform(0.1, 27.9)))
            return
        did = [kind for kind, share in MONTHLY_CHANCES.items() if chance.random() < share]
        attended = "webinar" in did
        # from the 4th day on: within 28 days of the month's end, however long the month
        yield from (
            _event(person, kind, begin + timedelta(days=chance.uniform(4, 27))) for kind in did
        )


def _event(person: Row, kind: str, at: datetime) -> Row:
    return {"person_id": person["person_id"], "kind": kind, "at": at}


CONFIGURATION = load_configuration()


def named_definition(name: str = "lifecycle.yaml", **changed: Any) -> NamedDefinition:
    """The rules of this world as a configuration, some of them changed."""
    return NamedDefinition(name, replace(CONFIGURATION, definition=definition(**changed)))


@contextmanager
def synthetic_warehouse(contents: SyntheticTables) -> Iterator[Warehouse]:
    """Put a world into a warehouse, as if a run had pulled it just now.

    Everybody has one record, and the CRM has a history of the industry.
    """
    engine = ibis.duckdb.connect(threads=1)
    try:
        warehouse = Warehouse(engine)
        engine.create_database(SCRATCH_DATASET)
        tables = {
            "people": (contents.people, PEOPLE),
            "field_since": (contents.field_since, FIELD_SINCE),
            "events": (contents.events, EVENTS),
            "records": (list(_records(contents)), RECORDS.to_pyarrow()),
            "record_history": (
                [],
                record_history.record_history_schema(CONFIGURATION.people).to_pyarrow(),
            ),
            "field_history": (list(_field_history(contents)), HISTORY.to_pyarrow()),
        }
        for name, (rows, schema) in tables.items():
            warehouse.replace_table(name, ibis.memtable(pa.Table.from_pylist(rows, schema=schema)))
        save_run(warehouse, Run("1-planted", started_at=NOW, status="done"))
        yield warehouse
    finally:
        engine.disconnect()


TYPES = {"text": "string", "number": "float64", "integer": "int64", "datetime": "timestamp(6)"}
RECORDS = ibis.schema(
    {
        "key": "string",
        "crm": "string",
        "object": "string",
        "record_id": "string",
        "person_id": "string",
        "created_at": "timestamp(6)",
        "updated_at": "timestamp(6)",
        "deleted": "boolean",
        "read_only": "boolean",
        **{
            name: TYPES.get(field.type, field.type)
            for name, field in CONFIGURATION.people.fields.items()
        },
    }
)


def _records(world: SyntheticTables) -> Iterator[Row]:
    changed = {row["person_id"]: row["since"] for row in world.field_since}
    for row in world.people:
        yield {
            "key": f"hubspot:contacts:{row['person_id']}",
            "crm": "hubspot",
            "object": "contacts",
            "record_id": row["person_id"],
            "deleted": False,
            "read_only": False,
            "updated_at": changed.get(row["person_id"], row["created_at"]),
            **row,
        }


def _field_history(world: SyntheticTables) -> Iterator[Row]:
    """Empty before the given date, and the present value since then."""
    said = {row["person_id"]: row["industry"] for row in world.people}
    for row in world.field_since:
        spell = {
            "key": f"hubspot:contacts:{row['person_id']}",
            "crm": "hubspot",
            "object": "contacts",
            "field": row["field"],
            "value_known": True,
        }
        since = row["since"]
        yield spell | {"until": since}
        yield spell | {"tracked_from": since, "since": since, "value": said[row["person_id"]]}
