"""The journal's runs: a row per attempt to run, plan, apply or undo, also where it failed."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import ibis
import pyarrow as pa

from connectors import Client
from errors import (
    EXIT_ABOVE_LIMIT,
    EXIT_STOPPED_BY_GUARD,
    ConfigError,
    describe_error,
    exit_code,
)
from models import VERSION
from transforms.planning.plan import Plan
from warehouse import changes
from warehouse.warehouse import Warehouse

RUNS = ibis.schema(
    {
        "run_id": "string",
        "started_at": "timestamp(6)",
        "ended_at": "timestamp(6)",
        "command": "string",
        "status": "string",
        "exit_code": "int64",
        "error_class": "string",
        "error": "string",
        "plan_run_id": "string",
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
"""The last plans of which every outcome is kept.

Of older runs only the outcomes of records with changes are kept; `runs.counts` has the counts.
"""

KILLED = "Killed"
KILLED_TEXT = "the process ended without an error: it was killed, or the machine stopped"

FAILURES = ("failed", "interrupted")
SUCCESSES = ("planned", "done")

_TIMES = ("started_at", "ended_at")
_DOCUMENTS = ("counts", "calls", "waits")
_IN_MEMORY = ("fail_on", "writing_since", "clients")


@dataclass
class Run:
    """One attempt to run, plan, apply or undo.

    status:        running; planned, stopped (by the guard) or done; failed (by an error) or
                   interrupted (by a signal, or killed)
    plan_run_id:   of an `apply`: the run whose plan it writes
    error:         without values of records; error_class is the name of its class
    fail_on:       status of an outcome -> the number of records above which the exit code is 4
    writing_since: when it began to write
    clients:       the CRMs' clients, which count the calls
    """

    definition_id: str | None
    started_at: datetime
    run_id: str = ""
    ended_at: datetime | None = None
    status: str = "running"
    counts: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    waited_seconds: float = 0.0
    waits: dict[str, dict[str, float]] = field(default_factory=dict)
    command: str = "run"
    plan_run_id: str | None = None
    exit_code: int | None = None
    error_class: str | None = None
    error: str | None = None
    fail_on: Mapping[str, int] = field(default_factory=dict)
    writing_since: datetime | None = None
    clients: Mapping[str, Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run_id = self.run_id or f"{self.started_at:%Y%m%d-%H%M%S}-{uuid4().hex[:4]}"

    @property
    def planned_by(self) -> str:
        """The run whose plan this run writes: its own, except for `apply`."""
        return self.plan_run_id or self.run_id

    def end(self, error: BaseException | None = None) -> None:
        """Set status, exit code, and the calls made: after the last step, or after an error."""
        self.ended_at = datetime.now(UTC)
        for crm, client in self.clients.items():
            self.calls[crm] = dict(client.api_calls)
            self.waits[crm] = {kind: round(seconds, 3) for kind, seconds in client.waits.items()}
            self.waited_seconds += client.wait_seconds
        if error is None:
            self.exit_code = self._exit_code()
            return
        self.status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        self.exit_code = exit_code(error)
        self.error_class, self.error = type(error).__name__, describe_error(error)

    def _exit_code(self) -> int:
        if self.status == "stopped":
            return EXIT_STOPPED_BY_GUARD
        ended = Counter[str]()
        for row in self.counts.get("records", ()):
            # a record that waits for `apply` needs no correction
            if row["reason"] not in ("approval", "limit"):
                ended[row["status"]] += row["records"]
        is_above = any(ended[status] > limit for status, limit in self.fail_on.items())
        return EXIT_ABOVE_LIMIT if is_above else 0

    def as_json(self) -> dict[str, Any]:
        """Return what is stored of a run, the times as ISO 8601."""
        document = {
            one.name: getattr(self, one.name) for one in fields(self) if one.name not in _IN_MEMORY
        }
        return document | {name: document[name] and document[name].isoformat() for name in _TIMES}


def run_from_json(document: Mapping[str, Any]) -> Run:
    """Make a run of what `Run.as_json` gave."""
    times = {name: document[name] and datetime.fromisoformat(document[name]) for name in _TIMES}
    names = {one.name for one in fields(Run)}
    return Run(**{name: value for name, value in document.items() if name in names} | times)


def save_run(warehouse: Warehouse, run: Run) -> None:
    """Store the present state of a run, in place of its row before."""
    document = run.as_json()
    row = (
        document
        | {name: _stored_time(getattr(run, name)) for name in _TIMES}
        | {name: json.dumps(document[name]) for name in _DOCUMENTS}
        | {
            "versions": json.dumps(
                {"onefunnel": VERSION} | {name: version(name) for name in ("dlt", "duckdb")}
            )
        }
    )
    rows = pa.Table.from_pylist([row], schema=RUNS.to_pyarrow())
    warehouse.ensure_table("runs", RUNS)
    # one row, not the table: on PostgreSQL an attempt without the run lock stores its row meanwhile
    with warehouse.transaction():
        warehouse.delete_equal("runs", "run_id", run.run_id)
        warehouse.append("runs", rows, RUNS)


def _stored_time(time: datetime | None) -> datetime | None:
    return time and time.astimezone(UTC).replace(tzinfo=None)


def load_run(warehouse: Warehouse, run_id: str) -> Run:
    """Return a run that was stored before.

    Raises: ConfigError: the warehouse has no such run.
    """
    runs = warehouse.ensure_table("runs", RUNS)
    rows = runs.filter(runs.run_id == run_id).to_pyarrow().to_pylist()
    if not rows:
        raise ConfigError(f"the warehouse has no run {run_id}: `status` lists the runs")
    return run_from_row(rows[0])


def run_from_row(row: Mapping[str, Any]) -> Run:
    """Make a run of a row of `runs`; a row of an older release has no command."""
    stored = {name: row[name] for name in RUNS if name != "versions"}
    times = {name: row[name] and row[name].replace(tzinfo=UTC) for name in _TIMES}
    documents = {name: json.loads(row[name] or "{}") for name in _DOCUMENTS}
    defaults = {"command": row["command"] or "run", "waited_seconds": row["waited_seconds"] or 0.0}
    return Run(**stored | times | documents | defaults)


def load_plan(warehouse: Warehouse, run_id: str) -> Run:
    """Return the run that made a plan; `run_id` may be that of an `apply` of the plan.

    Raises: ConfigError: the warehouse has no such run.
    """
    run = load_run(warehouse, run_id)
    return load_run(warehouse, run.plan_run_id) if run.plan_run_id else run


def save_end(warehouse: Warehouse, run: Run) -> None:
    """Store how a run ended; what it may have written without an answer is `unknown`."""
    save_run(warehouse, run)
    since = run.writing_since if run.plan_run_id else run.started_at
    if run.status in FAILURES and since:
        changes.mark_unknown(warehouse, run.planned_by, since=since)


def mark_interrupted(warehouse: Warehouse) -> None:
    """Set killed runs to `interrupted`. The caller holds the run lock: no other run is active."""
    runs = warehouse.ensure_table("runs", RUNS)
    killed = runs.filter(runs.status == "running").select("run_id").to_pyarrow()["run_id"]
    for run_id in killed.to_pylist():
        run = load_run(warehouse, run_id)
        run.status, run.error_class, run.error = "interrupted", KILLED, KILLED_TEXT
        run.writing_since = run.started_at
        save_end(warehouse, run)


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
    outcomes = warehouse.ensure_table("outcomes", changes.OUTCOMES)
    # an attempt that failed before it had a plan has no outcomes
    runs = warehouse.ensure_table("runs", RUNS).semi_join(outcomes, "run_id")
    old = runs.order_by(ibis.desc("started_at")).limit(None, offset=RETAINED_RUNS).select("run_id")
    prunable = outcomes.filter(outcomes.status.isin(PRUNABLE_STATUSES)).semi_join(old, "run_id")
    prunable = prunable.select(*changes.OUTCOME_KEY)
    # a change without an outcome is pending: `apply` of that run would write it
    planned = warehouse.ensure_table("changes", changes.CHANGES)
    warehouse.delete_matching("outcomes", prunable.anti_join(planned, changes.OUTCOME_KEY))
