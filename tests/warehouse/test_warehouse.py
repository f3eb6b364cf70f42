"""Tables of an older release are used by the next one."""

import os
import signal
import subprocess
import sys
from contextlib import nullcontext, suppress

import dlt
import ibis
import pyarrow as pa
import pytest

from engines import postgres_server
from errors import SyncError
from warehouse.dlt_runner import run_dlt
from warehouse.warehouse import Warehouse, open_warehouse

OF_OLD = ibis.schema({"run_id": "string", "status": "string"})
OF_NOW = ibis.schema({"run_id": "string", "field": "string", "status": "string"})


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/w.duckdb")
    with open_warehouse() as found:
        yield found


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request, tmp_path, monkeypatch):
    """Settings that lead to a warehouse on that engine."""
    monkeypatch.setenv("DESTINATION__NAME", request.param)
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/w.duckdb")
    with postgres_server() if request.param == "postgres" else nullcontext() as address:
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address or "")
        yield request.param


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

    read = warehouse.ensure_table("outcomes", OF_NOW)

    assert read.field.to_pyarrow().to_pylist() == [None]


KILLED = """
import os, signal
import pyarrow as pa
from test_warehouse import OF_OLD, OF_NOW
from warehouse.warehouse import open_warehouse

with open_warehouse() as warehouse:
    warehouse.append("outcomes", pa.table({"run_id": ["1"], "status": ["held"]}), OF_OLD)
    with warehouse.transaction():
        new = pa.table({"run_id": ["2"], "field": ["Email"], "status": ["written"]})
        warehouse.append("outcomes", new, OF_NOW)
        warehouse.append("made_now", new, OF_NOW)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_is_written_together_is_there_whole_or_not_at_all(engine):
    """Rows, columns and tables alike; what was there before stays."""
    found = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", KILLED], env=found)

    with open_warehouse() as warehouse:
        assert ended.returncode == -signal.SIGKILL
        assert warehouse.table("outcomes").to_pyarrow().to_pylist() == [
            {"run_id": "1", "status": "held"}
        ]
        assert not warehouse.has("made_now")


def test_what_is_written_together_and_breaks_off_is_taken_back(engine):
    """The warehouse can be used on."""
    one = pa.table({"run_id": ["1"], "status": ["held"]})
    with open_warehouse() as warehouse:
        with suppress(SyncError), warehouse.transaction():
            warehouse.append("outcomes", one, OF_OLD)
            raise SyncError("interrupted")
        had = warehouse.has("outcomes")
        with warehouse.transaction():
            warehouse.append("outcomes", one, OF_OLD)

        assert (had, warehouse.table("outcomes").count().to_pyarrow().as_py()) == (False, 1)


def setting_while_landing(tmp_path, monkeypatch, name: str) -> object:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/w.duckdb")

    def look(pipeline: dlt.Pipeline) -> object:
        with pipeline.sql_client() as client:
            return client.execute_sql(f"SELECT current_setting('{name}')")[0][0]

    return run_dlt("hubspot", look)


def test_rows_are_not_moved_together_while_a_pull_lands_them(tmp_path, monkeypatch):
    """A checkpoint that does so takes more memory the larger the table."""
    assert setting_while_landing(tmp_path, monkeypatch, "max_vacuum_tasks") == 0


def test_rows_are_moved_together_once_the_pull_is_over(tmp_path, monkeypatch):
    """What a pull puts off is done when the warehouse is next written to."""
    setting_while_landing(tmp_path, monkeypatch, "max_vacuum_tasks")

    with open_warehouse() as warehouse:
        told = warehouse.engine.raw_sql("SELECT current_setting('max_vacuum_tasks')").fetchone()
        assert told[0] > 0


def test_what_the_user_sets_for_duckdb_stays(tmp_path, monkeypatch):
    """DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG is his."""
    own = "DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG"
    monkeypatch.setenv(own, '{"max_vacuum_tasks": 7}')

    assert setting_while_landing(tmp_path, monkeypatch, "max_vacuum_tasks") == 7
