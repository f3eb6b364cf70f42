"""Point-in-time values compared with the real history: docs/people.md."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ibis.backends.sql import SQLBackend

import engines
from config.mapping import Mapping, People
from transforms.identity.field_history import field_history
from transforms.identity.point_in_time import HistoryTables, Inputs, inputs_as_of
from transforms.identity.record_history import new_versions

Row = dict[str, Any]
PEOPLE = People.model_validate(
    {"fields": {"email": "text", "need": "text", "employees": "integer"}}
)
START = datetime(2026, 1, 1)
INSTANT = pa.timestamp("us")


def mapping(history: Row | None) -> Mapping:
    """A CRM whose contacts have two fields, of which `need` may have a history."""
    columns = {"id": "id", "created_at": "born", "updated_at": "seen", "deleted": "gone"}
    record = {"fields": {"need": "need", "employees": "size"}, "history": history}
    return Mapping.model_validate({"system_fields": columns, "records": {"contacts": record}})


NEW = {"object": "past", "record": "id", "field": "field", "at": "at", "value": "new"}
CRMS = {"bare": mapping(None), "new": mapping(NEW), "both": mapping({**NEW, "before": "old"})}
"""No history; one with new values; one with old and new values, from some day on."""


@pytest.fixture(scope="module")
def duckdb() -> Iterator[SQLBackend]:
    """DuckDB in memory."""
    with engines.duckdb() as engine:
        yield engine


@dataclass(frozen=True)
class Life:
    """What really happened to one record: days, and what was entered on them."""

    crm: str
    born: int
    needs: dict[int, str | None]
    sizes: dict[int, int | None]
    died: int | None

    def need(self, at: float) -> str | None:
        """What the field with a history held."""
        return _latest(self.needs, at)

    def size(self, at: float) -> int | None:
        """What the field without one held."""
        return _latest(self.sizes, at)

    def touched(self, at: float) -> float:
        """When it was last modified."""
        days = [self.born, *self.needs, *self.sizes, *([] if self.died is None else [self.died])]
        return max(day for day in days if day <= at)

    def entries(self, begun: int, until: float) -> Iterator[tuple[int, str | None, str | None]]:
        """The rows of the CRM's history: day, old value, new value."""
        before = None
        for day, value in sorted(self.needs.items()):
            value_known = self.crm == "new" or day >= begun
            if value != before and day <= until and value_known and self.crm != "bare":
                yield day, before, value
            before = value


def _latest(values: dict[int, Any], at: float) -> Any:
    return next((values[day] for day in sorted(values, reverse=True) if day <= at), None)


def on(day: float) -> datetime:
    """An instant of these lives."""
    return START + timedelta(days=day)


@st.composite
def life(draw: st.DrawFn) -> Life:
    """Draw a life of forty days, every change on a day of its own."""
    days = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8, unique=True).map(sorted))
    born, *later = days
    died = later.pop() if later and draw(st.booleans()) else None
    crm = draw(st.sampled_from(sorted(CRMS)))
    words, counts = st.sampled_from(["a", "b", None]), st.sampled_from([5, 50, None])
    mine = {day: draw(st.booleans()) for day in later}
    needs = {day: draw(words) for day in (born, *later) if mine.get(day, True)}
    sizes = {day: draw(counts) for day in (born, *later) if not mine.get(day, False)}
    return Life(crm, born, needs, sizes, died)


@dataclass(frozen=True)
class World:
    """Lives, the days on which a run looked, and the day that is asked about.

    `begun` is the day from which on the history of both values is kept.
    """

    lives: list[Life]
    runs: list[float]
    asked: float
    begun: int = 0

    def seen_last(self) -> float:
        """The day of the last run by then; none is day -1."""
        return max((run for run in self.runs if run <= self.asked), default=-1)


# runs and questions lie between days: what happens at the instant itself is another test's matter
halves = st.integers(0, 45).map(lambda day: day + 0.5)
worlds = st.builds(
    World,
    st.lists(life(), min_size=5, max_size=25),
    st.lists(halves, min_size=1, max_size=4, unique=True).map(sorted),
    halves,
    st.integers(0, 40),
)


def remembered(engine: SQLBackend, world: World) -> Inputs:
    """Let every run look, then ask."""
    history: pa.Table | None = None
    before: pa.Table | None = None
    for run in world.runs:
        records = _records(world, run)
        seen = new_versions(
            ibis.memtable(records),
            CRMS,
            PEOPLE,
            history=None if history is None else ibis.memtable(history),
            previous_records=None if before is None else ibis.memtable(before),
            as_of=on(run),
        )
        new = engine.to_pyarrow(seen)
        history = new if history is None else pa.concat_tables([history, new])
        before = records
    assert history is not None
    last = world.runs[-1]
    landed = {crm: _landed(world, crm, last) for crm in CRMS}
    memory = HistoryTables(
        engines.load_rows(engine, "records", _records(world, last)),
        engines.load_rows(engine, "record_history", history),
        engine.create_table(
            "field_history", field_history(CRMS, landed, PEOPLE, ["need"]), overwrite=True
        ),
        ibis.memtable(
            pa.table({"person_id": pa.array([], pa.string()), "at": pa.array([], INSTANT)})
        ),
    )
    store = partial(engine.create_table, overwrite=True)
    return inputs_as_of(
        memory, PEOPLE, ["need", "employees"], at=on(world.asked), materialize=store
    )


def _records(world: World, run: float) -> pa.Table:
    rows = [
        {
            "key": key(number, life),
            "person_id": key(number, life),
            "crm": life.crm,
            "object": "contacts",
            "created_at": on(life.born),
            "updated_at": on(life.touched(run)),
            "deleted": life.died is not None and life.died <= run,
            "email": None,
            "need": life.need(run),
            "employees": life.size(run),
        }
        for number, life in enumerate(world.lives)
        if life.born <= run
    ]
    kinds = dict.fromkeys(("key", "person_id", "crm", "object"), pa.string())
    kinds |= {"created_at": INSTANT, "updated_at": INSTANT, "deleted": pa.bool_()}
    kinds |= {"email": pa.string(), "need": pa.string(), "employees": pa.int64()}
    return pa.Table.from_pylist(rows, schema=pa.schema(list(kinds.items())))


def _landed(world: World, crm: str, run: float) -> dict[str, ibis.Table]:
    entries = [
        {"id": str(number), "field": "need", "at": on(day), "old": old, "new": new}
        for number, life in enumerate(world.lives)
        if life.crm == crm
        for day, old, new in life.entries(world.begun, run)
    ]
    texts = [(name, pa.string()) for name in ("id", "field", "old", "new")]
    past = pa.Table.from_pylist(entries, schema=pa.schema([*texts, ("at", INSTANT)]))
    contacts = pa.table({"id": ["0"], "need": [""], "size": [1]})
    return {"contacts": ibis.memtable(contacts), "past": ibis.memtable(past)}


def key(number: int, life: Life) -> str:
    """The key of a record, and of its person."""
    return f"{life.crm}:contacts:{number}"


def answers(engine: SQLBackend, world: World) -> dict[str, tuple[Row, Row]]:
    """Give each person's row, and what of it is unknown."""
    found = remembered(engine, world)
    people = {row["person_id"]: row for row in found.people.to_pyarrow().to_pylist()}
    gaps = {row["person_id"]: row for row in found.unknown.to_pyarrow().to_pylist()}
    return {person: (row, gaps[person]) for person, row in people.items()}


thorough = settings(
    derandomize=os.environ.get("HYPOTHESIS_PROFILE") != "soak",
    max_examples=20,
    deadline=None,
    # Hypothesis shrinks a world slowly, and a whole one shows as much
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.long
@given(worlds)
@thorough
def test_what_is_said_of_the_past_was_so_or_was_seen_last(duckdb: SQLBackend, world: World) -> None:
    """Nothing is invented: a value that no source has is empty and marked as unknown."""
    found = answers(duckdb, world)

    wrong = [
        (person, row, gaps)
        for number, life in enumerate(world.lives)
        for person, (row, gaps) in [(key(number, life), found.get(key(number, life), ({}, {})))]
        if row
        and not (
            _fits(row["need"], gaps["need"], life.need, world)
            and _fits(row["employees"], gaps["employees"], life.size, world)
        )
    ]
    assert wrong == []


def _fits(value: Any, is_unknown: bool, truth: Any, world: World) -> bool:
    seen = truth(world.seen_last()) if world.seen_last() >= 0 else truth(world.asked)
    return (value is None) if is_unknown else value in (truth(world.asked), seen)


@pytest.mark.long
@given(worlds)
@thorough
def test_those_are_known_who_were_there(duckdb: SQLBackend, world: World) -> None:
    """Who was deleted since was there then; who came later was not."""
    found = answers(duckdb, world)

    there = {
        key(number, life)
        for number, life in enumerate(world.lives)
        if life.born <= min(world.asked, world.runs[-1])
        and not (life.died is not None and life.died <= min(world.asked, world.runs[-1]))
    }
    assert set(found) == there


@pytest.mark.long
@given(worlds)
@thorough
def test_what_a_run_saw_is_never_unknown_to_it(duckdb: SQLBackend, world: World) -> None:
    """At the instant of a run its own tables are remembered, whatever came after."""
    asked = replace(world, asked=world.runs[0])

    found = answers(duckdb, asked)

    remembered = {person: (row["need"], row["employees"]) for person, (row, _) in found.items()}
    seen = {
        key(number, life): (life.need(asked.asked), life.size(asked.asked))
        for number, life in enumerate(world.lives)
        if key(number, life) in found
    }
    assert (
        remembered,
        [gaps for _, gaps in found.values() if gaps["need"] or gaps["employees"]],
    ) == (
        seen,
        [],
    )


@pytest.mark.long
@given(worlds.filter(lambda world: world.asked < world.runs[-1]))
@thorough
def test_a_whole_history_leaves_nothing_unknown(duckdb: SQLBackend, world: World) -> None:
    """A CRM that keeps every value since the creation answers for every instant."""
    found = answers(duckdb, world)

    told = {
        key(number, life): life
        for number, life in enumerate(world.lives)
        if life.crm == "new"
        and any(life.entries(world.begun, world.runs[-1]))
        and key(number, life) in found
    }
    assert {person: found[person][0]["need"] for person in told} == {
        person: life.need(world.asked) for person, life in told.items()
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param(5.5, None, id="before it was last modified: unknown"),
        pytest.param(10.5, 5, id="since then, and before anybody looked"),
        pytest.param(20.5, 5, id="between a run and the change"),
        pytest.param(30.5, 50, id="after the change"),
    ],
)
def test_a_field_without_history_is_remembered_by_the_runs(
    duckdb: SQLBackend, asked: float, said: int | None
) -> None:
    """What a run saw held since the record was last modified."""
    anna = Life("bare", 1, {10: "a"}, {1: 5, 30: 50}, None)

    [(row, gaps)] = answers(duckdb, World([anna], [15.5, 40.5], asked)).values()

    assert (row["employees"], gaps["employees"]) == (said, said is None)


def test_a_dated_last_change_outranks_what_was_seen_before_it(duckdb: SQLBackend) -> None:
    """Emptied after one run and modified again before the next, it was empty in between."""
    life = Life("new", 5, {5: "a", 8: None}, {5: 5, 15: 50}, None)

    found = answers(duckdb, World([life], runs=[5.5, 20.5], asked=10.5))

    assert [row["need"] for row, _ in found.values()] == [None]
