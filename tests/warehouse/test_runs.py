"""What the journal max_entries: for good what was meant to change, for a while all the rest."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from models import Outcome, OutcomeStatus
from warehouse import changes, runs
from warehouse.runs import Run
from warehouse.warehouse import Warehouse, open_warehouse

LAST = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/w.duckdb")
    with open_warehouse() as found:
        yield found


def outcome(status: OutcomeStatus) -> Outcome:
    """What became of the one record that ended so."""
    return Outcome("contacts", record_id=status, status=status, reason="", at=LAST)


def ended(warehouse: Warehouse, *, runs_ago: int, status: OutcomeStatus) -> None:
    """A run some days ago, and the outcome of a record in it."""
    run = Run("1-be350c52", started_at=LAST - timedelta(days=runs_ago), run_id=str(runs_ago))
    runs.save_run(warehouse, run)
    changes.write_outcomes(warehouse, run.run_id, "hubspot", [outcome(status)])


def kept(warehouse: Warehouse) -> list[tuple[str, str]]:
    rows = warehouse.table("outcomes").order_by("run_id", "status").to_pyarrow().to_pylist()
    return [(row["run_id"], row["status"]) for row in rows]


def test_of_old_runs_only_what_was_meant_to_change_is_kept(warehouse, monkeypatch):
    """Night after night nearly all records are right already."""
    monkeypatch.setattr(runs, "RETAINED_RUNS", 2)
    ended(warehouse, runs_ago=1, status="unchanged")
    ended(warehouse, runs_ago=2, status="excluded")
    ended(warehouse, runs_ago=3, status="unchanged")
    ended(warehouse, runs_ago=4, status="excluded")
    ended(warehouse, runs_ago=5, status="written")
    ended(warehouse, runs_ago=6, status="quarantined")

    runs.prune_unchanged(warehouse)

    assert kept(warehouse) == [
        ("1", "unchanged"),
        ("2", "excluded"),
        ("5", "written"),
        ("6", "quarantined"),
    ]


def test_what_was_meant_to_change_is_never_open_again(warehouse, monkeypatch):
    """It was found to be so already: an `apply` of that run must not write it after all."""
    monkeypatch.setattr(runs, "RETAINED_RUNS", 0)
    ended(warehouse, runs_ago=3, status="unchanged")
    meant = {"run_id": "3", "crm": "hubspot", "object": "contacts", "record_id": "unchanged"}
    warehouse.append(
        "changes",
        pa.Table.from_pylist([meant], schema=changes.CHANGES.to_pyarrow()),
        changes.CHANGES,
    )

    runs.prune_unchanged(warehouse)

    assert kept(warehouse) == [("3", "unchanged")]


def test_a_first_run_has_nothing_to_forget(warehouse):
    """No table has a row yet."""
    runs.prune_unchanged(warehouse)

    assert kept(warehouse) == []
