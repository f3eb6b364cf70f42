"""The SQL text of an expression is compiled once, and is what Ibis compiles."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest
from ibis.backends.sql import SQLBackend

from run_helpers import configured_sandbox, run_sync
from warehouse import warehouse as warehouse_module
from warehouse.compiled_sql import CompiledSql
from warehouse.warehouse import open_warehouse

DAYS = [datetime(2026, 12, 1, 8, 30, 5, 123456), datetime(2027, 1, 31)]
INSTANTS = [1_796_130_911_004_099, 1_796_217_311_000_000]
RUNS = ["20261201-083005-ab12", "20270131-000000-cd34"]


@pytest.fixture
def engine() -> Iterator[SQLBackend]:
    engine = ibis.duckdb.connect()
    engine.create_table("events", schema={"who": "int64", "at": "timestamp(6)", "kind": "string"})
    engine.create_table("lists", schema={"who": "int64", "names": "array<string>"})
    yield engine
    engine.disconnect()


def in_memory(rows: list[int]) -> ir.Table:
    return ibis.memtable(pa.table({"who": rows}))


VARIANTS = {
    "an instant as a timestamp": lambda events, n: events.filter(
        events.at < ibis.literal(DAYS[n], "timestamp(6)")
    ),
    "an instant as a number": lambda events, n: events.filter(events.who < INSTANTS[n]),
    "an instant as a text, and as a number": lambda events, n: events.mutate(
        text=ibis.literal(str(INSTANTS[n])).cast("int64"), number=ibis.literal(INSTANTS[n])
    ),
    "a run id, alone and in a text": lambda events, n: events.mutate(
        run_id=ibis.literal(RUNS[n]), reason=ibis.literal(f"undo {RUNS[n]}")
    ),
    "a table in memory": lambda events, n: events.semi_join(in_memory([n]), "who"),
    "a table with itself": lambda events, _: events.join(
        other := events.view(), events.who == other.who
    ).select("who", later=other.at),
}


@pytest.mark.parametrize("build", VARIANTS.values(), ids=list(VARIANTS))
def test_what_differs_between_runs_is_not_compiled_again(build: Any, engine: SQLBackend) -> None:
    """And the text is that of the values asked for."""
    sql, events = CompiledSql(), engine.table("events")

    for number in (0, 1, 0):
        table = build(events, number)
        assert sql.select(engine, table) == engine.compile(table)

    assert len(sql.texts) == 1


@pytest.mark.parametrize(
    "build",
    [
        lambda events: events.filter(events.kind == "call"),
        lambda events: events.filter(events.kind == "mail"),
        lambda events: events.filter(events.who == 1),
        lambda events: events.filter(events.who == 1.0),
        lambda events: events.mutate(at=events.at.cast("date")),
        lambda events: events.mutate(on=events.at.cast("date")),
        # two equal instants are not two different ones
        lambda events: events.filter((events.at > DAYS[0]) & (events.at < DAYS[0])),
        lambda events: events.filter((events.at > DAYS[0]) & (events.at < DAYS[1])),
    ],
)
def test_everything_else_is_compiled_apart(build: Any, engine: SQLBackend) -> None:
    """One key for all: a text of another expression would be a wrong answer."""
    sql, events = CompiledSql(), engine.table("events")
    others = [
        lambda events: events,
        lambda events: events.filter(events.kind == "visit"),
        lambda events: events.filter((events.at > DAYS[1]) & (events.at < DAYS[0])),
    ]
    for other in others:
        sql.select(engine, other(events))

    table = build(events)

    assert sql.select(engine, table) == engine.compile(table)


def test_a_column_that_changed_its_type_is_compiled_again(engine: SQLBackend) -> None:
    """The schema of every table is a part of the key."""
    sql = CompiledSql()
    sql.select(engine, engine.table("events"))
    engine.create_table("events", schema={"who": "string"}, overwrite=True)
    sql.select(engine, engine.table("events"))

    assert len(sql.texts) == 2


def test_the_next_process_takes_the_texts_from_the_warehouse(tmp_path, monkeypatch) -> None:
    """Those that were not used any more are gone."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/w.duckdb")
    kept: list[tuple[int, int]] = []
    for column in ("first", "second", "second"):
        monkeypatch.setattr("warehouse.warehouse.COMPILED", CompiledSql())
        with open_warehouse() as warehouse, warehouse.compiled_sql():
            loaded = dict(warehouse_module.COMPILED.texts)
            warehouse.materialize("numbers", ibis.range(3).unnest().name(column).as_table())
            kept.append((len(loaded), len(warehouse_module.COMPILED.texts)))

    assert kept == [(0, 1), (1, 2), (1, 1)]


@pytest.mark.long
def test_every_step_of_a_run_gets_the_text_that_ibis_compiles(tmp_path, monkeypatch) -> None:
    """In the second and the third run of a process; only names that Ibis draws differ."""
    asked: list[bool] = []

    class Compared(CompiledSql):
        def select(self, engine: SQLBackend, table: ir.Table) -> str:
            text, count = super().select(engine, table), len(self.texts)
            drawn = re.compile(r"ibis_table_unnest_\w+")
            fresh = engine.compile(table)
            assert drawn.sub("", text) == drawn.sub("", fresh)
            asked.append(count == len(self.texts))
            return text

    monkeypatch.setattr("warehouse.warehouse.COMPILED", Compared())
    with configured_sandbox(tmp_path, people=25):
        for _ in range(3):
            run_sync()

    assert len(asked) > 100
