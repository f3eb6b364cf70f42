"""Tables that outlive a release: what an older one kept is gone on with."""

import ibis
import pyarrow as pa
import pytest

from warehouse import Warehouse, opened

OF_OLD = ibis.schema({"run_id": "string", "status": "string"})
OF_NOW = ibis.schema({"run_id": "string", "field": "string", "status": "string"})


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/w.duckdb")
    with opened() as found:
        yield found


def rows(warehouse: Warehouse) -> list[dict[str, str | None]]:
    return warehouse.table("outcomes").order_by("run_id").to_pyarrow().to_pylist()


def test_a_journal_of_an_older_release_gains_the_columns_it_lacks(warehouse):
    """What it holds stays, with the new column empty; values land under their own names."""
    warehouse.append("outcomes", pa.table({"run_id": ["1"], "status": ["held"]}), OF_OLD)

    new = pa.table({"run_id": ["2"], "field": ["Email"], "status": ["quarantined"]})
    warehouse.append("outcomes", new, OF_NOW)

    assert rows(warehouse) == [
        {"run_id": "1", "status": "held", "field": None},
        {"run_id": "2", "status": "quarantined", "field": "Email"},
    ]


def test_a_journal_of_an_older_release_can_be_read_by_its_new_columns(warehouse):
    """Also before anything was added to it."""
    warehouse.append("outcomes", pa.table({"run_id": ["1"], "status": ["held"]}), OF_OLD)

    read = warehouse.ledger("outcomes", OF_NOW)

    assert read.field.to_pyarrow().to_pylist() == [None]
