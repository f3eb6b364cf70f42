"""The journal: what every run meant to do, and what became of it. Nothing in it is rewritten."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from typing import Any
from uuid import uuid4

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from config.mapping import Mapping as CrmMapping
from connectors import Client
from errors import ConfigError, SyncError
from models import FieldChange, Outcome, RecordChange, WriteVolume
from transforms.planning.holds import RECORD_KEY
from transforms.planning.plan import Plan
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
CHANGES = ibis.schema(
    dict.fromkeys(
        (
            "run_id",
            "change_id",
            "crm",
            "object",
            "record_id",
            "person_id",
            "field",
            "before",
            "after",
            "reason",
        ),
        "string",
    )
    | {
        "backward": "boolean",
        "is_stage": "boolean",
        "was_overwritten": "boolean",
        "rule_hash": "string",
        "write_order": "int64",
    }
)
OUTCOMES = ibis.schema(
    {
        "run_id": "string",
        "crm": "string",
        "object": "string",
        "record_id": "string",
        "status": "string",
        "reason": "string",
        "error_code": "string",
        "error": "string",
        "field": "string",
        "attempts": "int64",
        "at": "timestamp(6)",
    }
)
OUTCOME_KEY = ("run_id", *RECORD_KEY)
STATUSES = ("written", "held", "quarantined", "unchanged", "excluded")
"""In exactly one of these every live record ends a run (`unknown` is settled by the next)."""

RESUMABLE = ("approval", "guard", "quota")
"""Why a whole record is held that `apply` goes on with."""

PRUNABLE_STATUSES = ("unchanged", "excluded")
RETAINED_RUNS = 60
"""Of so many runs every record's outcome is kept; of older ones, only of what was meant to change.

How many were left untouched stays in `runs.counts`.
"""

PAGE_RECORDS = 5_000
"""Records whose changes are held in memory at once."""


@dataclass
class Run:
    """One run as it goes; `status` is running, planned, stopped, done or interrupted."""

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
    """Store how a run stands, in place of what was stored of it."""
    row = {
        **asdict(run),
        "started_at": run.started_at.astimezone(UTC).replace(tzinfo=None),
        "ended_at": run.ended_at and run.ended_at.astimezone(UTC).replace(tzinfo=None),
        "counts": json.dumps(run.counts),
        "calls": json.dumps(run.calls),
        "waits": json.dumps(run.waits),
        "versions": json.dumps({name: version(name) for name in ("dlt", "duckdb")}),
    }
    mine = pa.Table.from_pylist([row], schema=RUNS.to_pyarrow())
    runs = warehouse.ensure_table("runs", RUNS).select(*RUNS)
    others = warehouse.materialize("runs_before", runs.filter(runs.run_id != run.run_id))
    with warehouse.transaction():
        # one table takes the other's place: killed in between, all runs would be forgotten
        warehouse.replace_table("runs", others.union(ibis.memtable(mine)))


@contextmanager
def track_run(run: Run, clients: Mapping[str, Client]) -> Iterator[None]:
    """Store how a run ends, also when it breaks off, with the calls it made."""
    try:
        yield
    except BaseException:
        run.status = "interrupted"
        # what went wrong first is what is told, also where the warehouse is what is wrong
        with suppress(SyncError):
            _finish_run(run, clients)
        raise
    _finish_run(run, clients)


def _finish_run(run: Run, clients: Mapping[str, Client]) -> None:
    run.ended_at = datetime.now(UTC)
    for crm, client in clients.items():
        before = Counter(run.calls.get(crm, {}))
        run.calls[crm] = dict(before + client.api_calls)
        waits = run.waits.get(crm, {})
        seconds = {kind: waits.get(kind, 0.0) + more for kind, more in client.waits.items()}
        run.waits[crm] = waits | {kind: round(some, 3) for kind, some in seconds.items()}
        run.waited_seconds += client.wait_seconds
    with open_warehouse() as warehouse:
        save_run(warehouse, run)
        if run.status == "interrupted":
            _mark_unknown(warehouse, run.run_id)


def _mark_unknown(warehouse: Warehouse, run_id: str) -> None:
    """Give the records that a run never came to an outcome as well: unknown, until `apply`."""
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    ended = outcomes.filter(outcomes.run_id == run_id)
    left = changes_of(warehouse, run_id).select(*RECORD_KEY).distinct().anti_join(ended, RECORD_KEY)
    _append_outcomes(
        warehouse,
        run_id,
        left.mutate(status=ibis.literal("unknown"), reason=ibis.literal("interrupted")),
    )


def hold_pending(
    warehouse: Warehouse,
    run_id: str,
    crm: str,
    reason: str,
    *,
    since: datetime,
    skip_first: int = 0,
) -> None:
    """Hold the records of a run that are not written now: all but the first so many."""
    todo = _open_changes(warehouse, run_id, crm, since=since)
    records = todo.select(*RECORD_KEY, "write_order").distinct()
    records = records.mutate(nth=ibis.row_number().over(order_by="write_order"))
    held = records.filter(records.nth >= skip_first).select(*RECORD_KEY)
    _append_outcomes(
        warehouse, run_id, held.mutate(status=ibis.literal("held"), reason=ibis.literal(reason))
    )


def _append_outcomes(warehouse: Warehouse, run_id: str, records: ir.Table) -> None:
    """Store outcomes that no CRM gave: of records(crm, object, record_id, status, reason, ...)."""
    now = datetime.now(UTC).replace(tzinfo=None)
    outcomes = records.mutate(
        run_id=ibis.literal(run_id), attempts=ibis.literal(0), at=ibis.literal(now, "timestamp(6)")
    )
    blank = {
        name: ibis.null("string")
        for name in ("error_code", "error", "field")
        if name not in records.columns
    }
    warehouse.append("outcomes", outcomes.mutate(**blank), OUTCOMES)


def mark_interrupted(warehouse: Warehouse) -> None:
    """Say of runs that were killed that they broke off: one that goes on would hold the file."""
    runs = warehouse.ensure_table("runs", RUNS)
    killed = runs.filter(runs.status == "running").select("run_id").to_pyarrow()["run_id"]
    for run_id in killed.to_pylist():
        run = load_run(warehouse, run_id)
        run.status = "interrupted"
        save_run(warehouse, run)
        _mark_unknown(warehouse, run_id)


def prune_unchanged(warehouse: Warehouse) -> None:
    """Let the outcomes of older runs go that say of nearly all records that nothing was wrong."""
    runs = warehouse.ensure_table("runs", RUNS)
    old = runs.order_by(ibis.desc("started_at")).limit(None, offset=RETAINED_RUNS).select("run_id")
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    untouched = outcomes.filter(outcomes.status.isin(PRUNABLE_STATUSES)).semi_join(old, "run_id")
    untouched = untouched.select(*OUTCOME_KEY)
    # without its outcome a change would be open again: `apply` of that run would write it
    meant = warehouse.ensure_table("changes", CHANGES)
    warehouse.delete_matching("outcomes", untouched.anti_join(meant, OUTCOME_KEY))


def write_plan(warehouse: Warehouse, run: Run, plan: Plan) -> None:
    """Store the changes of a run before the first call, and the outcome of all other records.

    Both or neither: the records of a run that is killed meanwhile would not add up.
    """
    save_run(warehouse, run)
    prune_unchanged(warehouse)
    with warehouse.transaction():
        warehouse.append("changes", _number_changes(plan.changes, run.run_id), CHANGES)
        _append_outcomes(
            warehouse,
            run.run_id,
            plan.record_statuses.filter(plan.record_statuses.status != "planned"),
        )


def _number_changes(changes: ir.Table, run_id: str) -> ir.Table:
    """Number the changes in the order of writing: the records whose stage is wrong come first."""
    records = changes.group_by(*RECORD_KEY).aggregate(is_first=changes.is_stage.any())
    order = [ibis.desc(records.is_first), *(records[name] for name in RECORD_KEY)]
    records = records.mutate(write_order=ibis.row_number().over(order_by=order))
    both = changes.inner_join(records, RECORD_KEY)
    number = both.write_order.cast("string")
    return both.mutate(
        run_id=ibis.literal(run_id),
        change_id=ibis.literal(f"{run_id}-") + number + "-" + both.field,
    )


def load_run(warehouse: Warehouse, run_id: str) -> Run:
    """Find a run that was stored before.

    Raises: ConfigError where no such run is known.
    """
    runs = warehouse.ensure_table("runs", RUNS)
    rows = runs.filter(runs.run_id == run_id).to_pyarrow().to_pylist()
    if not rows:
        raise ConfigError(f"no run {run_id} in this warehouse: `status` lists the runs there are")
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


def changes_of(warehouse: Warehouse, run_id: str) -> ir.Table:
    """The stored changes of a run."""
    changes = warehouse.ensure_table("changes", CHANGES)
    return changes.filter(changes.run_id == run_id)


def pending_changes(
    warehouse: Warehouse, run_id: str, crm: str, mapping: CrmMapping, *, since: datetime
) -> Iterator[RecordChange]:
    """Give the changes of a run that have no outcome yet, record by record, page by page."""
    todo = _open_changes(warehouse, run_id, crm, since=since)
    last = todo.write_order.max().to_pyarrow().as_py()
    for first in range(0, 0 if last is None else int(last) + 1, PAGE_RECORDS):
        page = todo.filter(todo.write_order.between(first, first + PAGE_RECORDS - 1))
        rows = page.order_by("write_order", "field").to_pyarrow().to_pylist()
        for _, fields in groupby(rows, key=lambda row: row["write_order"]):
            yield _record_change(list(fields), mapping)


def pending_volume(warehouse: Warehouse, run_id: str, crm: str, *, since: datetime) -> WriteVolume:
    """How much a run has yet to write in one CRM."""
    todo = _open_changes(warehouse, run_id, crm, since=since)
    counted = todo.aggregate(
        records=todo.write_order.nunique(),
        stages=todo.write_order.nunique(where=todo.is_stage),
        backward=todo.write_order.nunique(where=todo.is_stage & todo.backward),
    )
    [row] = counted.to_pyarrow().to_pylist()
    return WriteVolume(**row)


def write_outcomes(
    warehouse: Warehouse, run_id: str, crm: str, outcomes: Iterable[Outcome]
) -> None:
    """Store what became of some records."""
    rows = [
        {
            **asdict(one),
            "run_id": run_id,
            "crm": crm,
            "at": one.at.astimezone(UTC).replace(tzinfo=None),
        }
        for one in outcomes
    ]
    if any((row["status"], row["reason"]) == ("unchanged", "already_set") for row in rows):
        rows = list(_mark_confirmed(warehouse, crm, rows))
    if rows:
        table = pa.Table.from_pylist(rows, schema=OUTCOMES.to_pyarrow())
        warehouse.append("outcomes", table, OUTCOMES)


def _mark_confirmed(
    warehouse: Warehouse, crm: str, rows: Iterable[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Say written of what was so already, where it was so because we had sent it."""
    open_ones = unknown_outcomes(warehouse)
    mine = open_ones.filter(open_ones.crm == crm).select("object", "record_id").to_pyarrow()
    ours = {(row["object"], row["record_id"]) for row in mine.to_pylist()}
    for row in rows:
        is_ours = row["reason"] == "already_set" and (row["object"], row["record_id"]) in ours
        yield row | {"status": "written", "reason": ""} if is_ours else row


def unknown_outcomes(warehouse: Warehouse) -> ir.Table:
    """The records whose last outcome in a run is that nobody knows: of which run, and since when.

    Out: run_id, crm, object, record_id, at
    """
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    open_ones = outcomes.filter(outcomes.status == "unknown")
    open_ones = open_ones.group_by(*OUTCOME_KEY).aggregate(at=open_ones.at.max())
    return open_ones.anti_join(outcomes.filter(outcomes.status != "unknown"), OUTCOME_KEY)


def written_crms(warehouse: Warehouse) -> frozenset[str]:
    """The CRMs that some run has written to."""
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    written = outcomes.filter(outcomes.status == "written").select("crm").distinct()
    return frozenset(written.to_pyarrow()["crm"].to_pylist())


def _open_changes(warehouse: Warehouse, run_id: str, crm: str, *, since: datetime) -> ir.Table:
    """The changes without an outcome; what was held for later before `since` is open again."""
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    start = ibis.literal(since.astimezone(UTC).replace(tzinfo=None), "timestamp(6)")
    is_open = (outcomes.status == "unknown") | (
        (outcomes.status == "held") & outcomes.reason.isin(RESUMABLE) & (outcomes.at < start)
    )
    settled = outcomes.filter(outcomes.run_id == run_id, ~is_open)
    changes = changes_of(warehouse, run_id)
    return changes.filter(changes.crm == crm).anti_join(settled, RECORD_KEY)


def _record_change(fields: Sequence[dict[str, Any]], mapping: CrmMapping) -> RecordChange:
    first = fields[0]
    writes = mapping.write.get(first["object"], {})
    return RecordChange(
        first["object"],
        first["record_id"],
        tuple(
            FieldChange(
                one["field"],
                one["before"],
                one["after"],
                clear_first=one["backward"]
                and one["field"] in writes
                and writes[one["field"]].backward == "clear_first",
            )
            for one in fields
        ),
    )
