"""Joins by e-mail on every engine against the same rule in plain Python."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis.backends.sql import SQLBackend

import engines
from input_tables import EXAMPLES, PATIENT
from reference_identity import IdentityRecord, joined
from transforms.identity.email_joins import join_by_email
from warehouse.warehouse import SCRATCH_DATASET, Warehouse

START = datetime(2026, 1, 1)
WORLDS = 12
"""Small worlds per example: they are computed at once, and share no address."""


@pytest.fixture(
    scope="module", params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def warehouse(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    with getattr(engines, request.param)() as engine:
        yield opened(engine)


def opened(engine: SQLBackend) -> Warehouse:
    engine.create_database(SCRATCH_DATASET)
    return Warehouse(engine)


@st.composite
def world(draw: st.DrawFn) -> list[IdentityRecord]:
    """Up to nine records; links make groups of them, and none or some were known before."""
    known_as = draw(st.sampled_from([[None], [None, None, "p", "q"]]))
    return [
        IdentityRecord(
            f"r{number}",
            START + timedelta(days=draw(st.integers(0, 3))),
            f"r{draw(st.integers(0, number))}",
            draw(st.frozensets(st.sampled_from("xyz"), max_size=2)),
            draw(st.sampled_from(known_as)),
        )
        for number in range(draw(st.integers(1, 9)))
    ]


def computed(
    worlds: list[list[IdentityRecord]], max_size: int, warehouse: Warehouse
) -> list[dict[str, tuple[str, bool]]]:
    """What the engine joins, world by world."""
    records, addresses, linked, known = [], [], [], []
    for nth, ones in enumerate(worlds):
        for one in ones:
            key = f"{nth}-{one.key}"
            records.append({"key": key, "created_at": one.born})
            linked.append({"key": key, "component": f"{nth}-{one.linked}"})
            addresses += [{"key": key, "address": f"{nth}-{name}"} for name in one.addresses]
            if one.known_as:
                known.append({"key": key, "person_id": f"{nth}-{one.known_as}"})
    joins = join_by_email(
        stored(warehouse, "addresses", addresses, key=pa.string(), address=pa.string()),
        stored(warehouse, "given_links", linked, key=pa.string(), component=pa.string()),
        stored(warehouse, "given", records, key=pa.string(), created_at=pa.timestamp("us")),
        stored(warehouse, "known", known, key=pa.string(), person_id=pa.string()),
        max_size=max_size,
        connected_components=warehouse.connected_components,
        materialize=warehouse.materialize,
    )
    rows = warehouse.materialize("joins", joins).to_pyarrow().to_pylist()
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(row["component"], []).append(row["key"])
    answers: list[dict[str, tuple[str, bool]]] = [{} for _ in worlds]
    for row in rows:
        nth, _, key = row["key"].partition("-")
        first = min(groups[row["component"]]).partition("-")[2]
        answers[int(nth)][key] = first, row["email_match_ok"]
    return answers


def stored(warehouse: Warehouse, name: str, rows: list[dict[str, object]], **types: pa.DataType):
    table = pa.Table.from_pylist(rows, schema=pa.schema(types))
    return warehouse.materialize(name, ibis.memtable(table))


def test_the_engine_joins_what_the_rule_joins(warehouse: Warehouse) -> None:
    """Links, addresses, known people and ages in every combination, around the limit."""

    @settings(PATIENT, max_examples=EXAMPLES[warehouse.engine.name])
    @given(st.lists(world(), min_size=WORLDS, max_size=WORLDS), st.integers(2, 5))
    def agree(worlds: list[list[IdentityRecord]], max_size: int) -> None:
        assert computed(worlds, max_size, warehouse) == [joined(one, max_size) for one in worlds]

    agree()
