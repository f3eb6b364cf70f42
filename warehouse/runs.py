"""The journal's runs: one row per run, and how a run ends."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import ibis
import pyarrow as pa

from connectors import Client
from errors import ConfigError, SyncError
from models import VERSION
from transforms.planning.plan import Plan
from warehouse import changes
from warehouse.warehouse import Warehouse, open_warehouse

RUNS = ibis.schema(
    {
        "run_id": "string",
        "started_at": "timestamp(6)",
        "ended_at": "timestamp(6)",
        "status": "string",
        "definition_id": "string",
        "counts": "string",
        "calls": "string",
        "waited_seconds": "float64",
        "waits": "string",
        "versions": "string",
    }
)
PRUNABLE_STATUSES = ("unchanged", "excluded")
RETAINED_RUNS = 60
"""The last runs of which every outcome is kept.

Of older runs only the outcomes of records with changes are kept; `runs.counts` has the counts.
"""


@dataclass
class Run:
    """One run; `status` is running, planned, stopped, done or interrupted."""

    definition_id: str
    started_at: datetime
    run_id: str = ""
    ended_at: datetime | None = None
    status: str = "running"
    counts: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    waited_seconds: float = 0.0
    waits: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run_id = self.run_id or f"{self.started_at:%Y%m%d-%H%M%S}-{uuid4().hex[:4]}"


def save_run(warehouse: Warehouse, run: Run) -> None:
    """Store the present state of a run, in place of its row before."""
    row = {
        **asdict(run),
        "started_at": run.started_at.astimezone(UTC).replace(tzinfo=None),
        "ended_at": run.ended_at and run.ended_at.astimezone(UTC).replace(tzinfo=None),
        "counts": json.dumps(run.counts),
        "calls": json.dumps(run.calls),
        "waits": json.dumps(run.waits),
        "versions": json.dumps(
            {"onefunnel": VERSION} | {name: version(name) for name in ("dlt", "duckdb")}
        ),
    }
    run_row = pa.Table.from_pylist([row], schema=RUNS.to_pyarrow())
    runs = warehouse.ensure_table("runs", RUNS).select(*RUNS)
    others = warehouse.materialize("runs_before", runs.filter(runs.run_id != run.run_id))
    with warehouse.transaction():
        # the table is replaced: without a transaction a crash in between would lose all runs
        warehouse.replace_table("runs", others.union(ibis.memtable(run_row)))


def load_run(warehouse: Warehouse, run_id: str) -> Run:
    """Return a run that was stored before.

    Raises: ConfigError: the warehouse has no such run.
    """
    runs = warehouse.ensure_table("runs", RUNS)
    rows = runs.filter(runs.run_id == run_id).to_pyarrow().to_pylist()
    if not rows:
        raise ConfigError(f"the warehouse has no run {run_id}: `status` lists the runs")
    [row] = rows
    return Run(
        row["definition_id"],
        row["started_at"].replace(tzinfo=UTC),
        row["run_id"],
        status=row["status"],
        counts=json.loads(row["counts"]),
        calls=json.loads(row["calls"]),
        waited_seconds=row["waited_seconds"],
        waits=json.loads(row["waits"] or "{}"),
    )


@contextmanager
def track_run(run: Run, clients: Mapping[str, Client]) -> Iterator[None]:
    """Store how a run ends, with the API calls it made; `interrupted` after an error."""
    try:
        yield
    except BaseException:
        run.status = "interrupted"
        # the first error is the one to report, also where the warehouse is the cause
        with suppress(SyncError):
            _finish_run(run, clients)
        raise
    _finish_run(run, clients)


def _finish_run(run: Run, clients: Mapping[str, Client]) -> None:
    run.ended_at = datetime.now(UTC)
    for crm, client in clients.items():
        # added: `apply` continues a run that made calls before
        run.calls[crm] = dict(Counter(run.calls.get(crm, {})) + client.api_calls)
        waits = run.waits.get(crm, {})
        run.waits[crm] = waits | {
            kind: round(waits.get(kind, 0.0) + seconds, 3) for kind, seconds in client.waits.items()
        }
        run.waited_seconds += client.wait_seconds
    with open_warehouse() as warehouse:
        save_run(warehouse, run)
        if run.status == "interrupted":
            changes.mark_unknown(warehouse, run.run_id)


def mark_interrupted(warehouse: Warehouse) -> None:
    """Set killed runs to `interrupted`. The caller holds the run lock: no other run is active."""
    runs = warehouse.ensure_table("runs", RUNS)
    killed = runs.filter(runs.status == "running").select("run_id").to_pyarrow()["run_id"]
    for run_id in killed.to_pylist():
        run = load_run(warehouse, run_id)
        run.status = "interrupted"
        save_run(warehouse, run)
        changes.mark_unknown(warehouse, run_id)


def written_crms(warehouse: Warehouse) -> frozenset[str]:
    """Return the CRMs of which this journal knows a write, or a run that had nothing to write."""
    runs = warehouse.ensure_table("runs", RUNS)
    done = runs.filter(runs.status == "done").run_id.to_pyarrow().to_pylist()
    return changes.written_crms(warehouse, done)


def write_plan(warehouse: Warehouse, run: Run, plan: Plan) -> None:
    """Store a run, its changes, and the outcome of each record that needs no write.

    This comes before the first write call. Old outcomes are pruned.
    """
    save_run(warehouse, run)
    prune_unchanged(warehouse)
    changes.append_plan(warehouse, run.run_id, plan)


def prune_unchanged(warehouse: Warehouse) -> None:
    """Delete the outcomes of older runs for records that had no change."""
    runs = warehouse.ensure_table("runs", RUNS)
    old = runs.order_by(ibis.desc("started_at")).limit(None, offset=RETAINED_RUNS).select("run_id")
    outcomes = warehouse.ensure_table("outcomes", changes.OUTCOMES)
    prunable = outcomes.filter(outcomes.status.isin(PRUNABLE_STATUSES)).semi_join(old, "run_id")
    prunable = prunable.select(*changes.OUTCOME_KEY)
    # a change without an outcome is pending: `apply` of that run would write it
    planned = warehouse.ensure_table("changes", changes.CHANGES)
    warehouse.delete_matching("outcomes", prunable.anti_join(planned, changes.OUTCOME_KEY))
