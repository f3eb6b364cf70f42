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

from connectors import Client
from contract import FieldChange, Outcome, RecordChange
from errors import ConfigError, SyncError
from transforms.mapping import Mapping as CrmMapping
from transforms.plan import Plan
from warehouse import Warehouse, opened

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
    | {"backward": "boolean", "nth_record": "int64"}
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
STATUSES = ("written", "held", "quarantined", "unchanged", "excluded")
"""In exactly one of these every live record ends a run (`unknown` is settled by the next)."""

PAGE = 5_000
"""Records whose changes are held in memory at once."""


@dataclass
class Run:
    """One run as it goes; `status` is running, planned, stopped, done or broken off."""

    definition_id: str
    started_at: datetime
    run_id: str = ""
    ended_at: datetime | None = None
    status: str = "running"
    counts: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    waited_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.run_id = self.run_id or f"{self.started_at:%Y%m%d-%H%M%S}-{uuid4().hex[:4]}"


def save(warehouse: Warehouse, run: Run) -> None:
    """Store how a run stands, in place of what was stored of it."""
    row = {
        **asdict(run),
        "started_at": run.started_at.astimezone(UTC).replace(tzinfo=None),
        "ended_at": run.ended_at and run.ended_at.astimezone(UTC).replace(tzinfo=None),
        "counts": json.dumps(run.counts),
        "calls": json.dumps(run.calls),
        "versions": json.dumps({name: version(name) for name in ("dlt", "duckdb")}),
    }
    mine = pa.Table.from_pylist([row], schema=RUNS.to_pyarrow())
    if warehouse.has("runs"):
        runs = warehouse.table("runs")
        others = warehouse.step("runs_before", runs.filter(runs.run_id != run.run_id))
        warehouse.store("runs", others.union(ibis.memtable(mine)))
    else:
        warehouse.append("runs", mine, RUNS)


@contextmanager
def recorded(run: Run, clients: Mapping[str, Client]) -> Iterator[None]:
    """Store how a run ends, also when it breaks off, with the calls it made."""
    try:
        yield
    except BaseException:
        run.status = "broken off"
        # what went wrong first is what is told, also where the warehouse is what is wrong
        with suppress(SyncError):
            _end(run, clients)
        raise
    _end(run, clients)


def _end(run: Run, clients: Mapping[str, Client]) -> None:
    run.ended_at = datetime.now(UTC)
    for crm, client in clients.items():
        before = Counter(run.calls.get(crm, {}))
        run.calls[crm] = dict(before + client.calls)
        run.waited_seconds += client.waited
    with opened() as warehouse:
        save(warehouse, run)
        if run.status == "broken off":
            _leave_open(warehouse, run.run_id)


def _leave_open(warehouse: Warehouse, run_id: str) -> None:
    """Give the records that a run never came to an outcome as well: unknown, until `apply`."""
    if not warehouse.has("changes") or not warehouse.has("outcomes"):
        return
    key = ["crm", "object", "record_id"]
    outcomes = warehouse.table("outcomes")
    ended = outcomes.filter(outcomes.run_id == run_id)
    left = changes_of(warehouse, run_id).select(*key).distinct().anti_join(ended, key)
    warehouse.append("outcomes", _outcomes(left, run_id, "unknown", "broken off"), OUTCOMES)


def _outcomes(
    records: ir.Table, run_id: str, status: ir.Value | str, reason: ir.Value | str
) -> ir.Table:
    """Outcomes that no CRM gave: of records(crm, object, record_id)."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return records.mutate(
        run_id=ibis.literal(run_id),
        status=status if isinstance(status, ir.Value) else ibis.literal(status),
        reason=reason if isinstance(reason, ir.Value) else ibis.literal(reason),
        error_code=ibis.null("string"),
        error=ibis.null("string"),
        field=ibis.null("string"),
        attempts=ibis.literal(0),
        at=ibis.literal(now, "timestamp(6)"),
    )


def _close_killed(warehouse: Warehouse) -> None:
    """Say of runs that were killed that they broke off: one that goes on would hold the file."""
    if not warehouse.has("runs"):
        return
    runs = warehouse.table("runs")
    killed = runs.filter(runs.status == "running").select("run_id").to_pyarrow()["run_id"]
    for run_id in killed.to_pylist():
        run = load(warehouse, run_id)
        run.status = "broken off"
        save(warehouse, run)
        _leave_open(warehouse, run_id)


def write_plan(warehouse: Warehouse, run: Run, planned: Plan) -> Plan:
    """Store the changes of a run before the first call, and the outcome of all other records.

    Gives back the plan as it was stored.
    """
    plan = Plan(
        warehouse.step("plan_changes", planned.changes),
        warehouse.step("plan_verdicts", planned.verdicts),
    )
    _close_killed(warehouse)
    save(warehouse, run)
    order = [plan.changes.crm, plan.changes.object, plan.changes.record_id]
    numbered = plan.changes.mutate(
        run_id=ibis.literal(run.run_id),
        nth_record=ibis.dense_rank().over(order_by=order),
        nth=ibis.row_number().over(order_by=[*order, plan.changes.field]),
    )
    changes = numbered.mutate(change_id=numbered.run_id + "-" + numbered.nth.cast("string"))
    warehouse.append("changes", changes, CHANGES)
    settled = plan.verdicts.filter(plan.verdicts.status != "planned")
    outcomes = _outcomes(settled, run.run_id, settled.status, settled.reason)
    warehouse.append("outcomes", outcomes, OUTCOMES)
    return plan


def load(warehouse: Warehouse, run_id: str) -> Run:
    """Find a run that was stored before.

    Raises: ConfigError where no such run is known.
    """
    runs = warehouse.table("runs") if warehouse.has("runs") else None
    found = runs.filter(runs.run_id == run_id).to_pyarrow().to_pylist() if runs is not None else []
    if not found:
        raise ConfigError(f"no run {run_id} in this warehouse: `status` lists the runs there are")
    [row] = found
    return Run(
        row["definition_id"],
        row["started_at"].replace(tzinfo=UTC),
        row["run_id"],
        status=row["status"],
        counts=json.loads(row["counts"]),
        calls=json.loads(row["calls"]),
        waited_seconds=row["waited_seconds"],
    )


def changes_of(warehouse: Warehouse, run_id: str) -> ir.Table:
    """The stored changes of a run."""
    changes = warehouse.table("changes")
    return changes.filter(changes.run_id == run_id)


def pending(
    warehouse: Warehouse, run_id: str, crm: str, mapping: CrmMapping
) -> Iterator[RecordChange]:
    """Give the changes of a run that have no outcome yet, record by record, page by page."""
    todo = _unsettled(warehouse, run_id, crm)
    last = todo.nth_record.max().to_pyarrow().as_py()
    for first in range(0, 0 if last is None else int(last) + 1, PAGE):
        page = todo.filter(todo.nth_record.between(first, first + PAGE - 1))
        rows = page.order_by("nth_record", "field").to_pyarrow().to_pylist()
        for _, fields in groupby(rows, key=lambda row: row["nth_record"]):
            yield _record_change(list(fields), mapping)


def pending_count(warehouse: Warehouse, run_id: str, crm: str) -> int:
    """How many records a run has yet to write in one CRM."""
    return int(_unsettled(warehouse, run_id, crm).nth_record.nunique().to_pyarrow().as_py())


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
    if rows:
        table = pa.Table.from_pylist(rows, schema=OUTCOMES.to_pyarrow())
        warehouse.append("outcomes", table, OUTCOMES)


def account(warehouse: Warehouse, run_id: str) -> list[dict[str, Any]]:
    """Count the records of a run per crm, status and reason: every live record exactly once.

    What a plan would write and nobody has applied yet is `planned`.
    """
    if not warehouse.has("outcomes"):
        return []
    outcomes = warehouse.table("outcomes")
    key = ["crm", "object", "record_id"]
    ended = _ended(outcomes.filter(outcomes.run_id == run_id))
    open_ones = changes_of(warehouse, run_id).select(*key).distinct().anti_join(ended, key)
    planned = open_ones.select("crm", status=ibis.literal("planned"), reason=ibis.literal(""))
    ended = ended.select("crm", "status", "reason").union(planned)
    counted = ended.group_by("crm", "status", "reason").aggregate(records=ended.count())
    return list(counted.order_by("crm", "status", "reason").to_pyarrow().to_pylist())


@dataclass(frozen=True)
class Status:
    """The last runs, newest first, and what of the newest waits for somebody.

    runs: run_id, status, seconds, definition_id, records (per outcome), calls;
    waiting: crm, object, status, reason, error_code, error, records
    """

    runs: list[dict[str, Any]]
    waiting: list[dict[str, Any]]


def status(warehouse: Warehouse, *, most: int = 10) -> Status:
    """Sum up the last runs."""
    if not warehouse.has("runs"):
        return Status([], [])
    runs = warehouse.table("runs").order_by(ibis.desc("started_at")).limit(most)
    rows = runs.to_pyarrow().to_pylist()
    outcomes = warehouse.table("outcomes") if warehouse.has("outcomes") else None
    counted = _counted(outcomes, [row["run_id"] for row in rows]) if outcomes is not None else {}
    told = [
        {
            "run_id": row["run_id"],
            "status": row["status"],
            "started_at": row["started_at"].replace(tzinfo=UTC).isoformat(),
            "seconds": ((row["ended_at"] or row["started_at"]) - row["started_at"]).total_seconds(),
            "definition_id": row["definition_id"],
            "records": counted.get(row["run_id"], {}),
            "calls": sum(sum(kinds.values()) for kinds in json.loads(row["calls"]).values()),
        }
        for row in rows
    ]
    waiting = _waiting(outcomes, rows[0]["run_id"]) if outcomes is not None and rows else []
    return Status(told, waiting)


def _counted(outcomes: ir.Table, run_ids: list[str]) -> dict[str, dict[str, int]]:
    mine = _ended(outcomes.filter(outcomes.run_id.isin(run_ids)))
    counts = mine.group_by("run_id", "status").aggregate(records=mine.count())
    told: dict[str, dict[str, int]] = {}
    for row in counts.to_pyarrow().to_pylist():
        told.setdefault(row["run_id"], {})[row["status"]] = row["records"]
    return told


def _waiting(outcomes: ir.Table, run_id: str) -> list[dict[str, Any]]:
    ended = _ended(outcomes.filter(outcomes.run_id == run_id))
    mine = ended.filter(ended.status.isin(["held", "quarantined", "unknown"]))
    key = ["crm", "object", "status", "reason", "error_code"]
    grouped = mine.group_by(key).aggregate(records=mine.count(), error=mine.error.max())
    return list(grouped.order_by(ibis.desc("records")).to_pyarrow().to_pylist())


def _ended(outcomes: ir.Table) -> ir.Table:
    """The last outcome of each record in each run: `apply` settles what was unknown."""
    last = {
        name: outcomes[name].argmax(outcomes.at)
        for name in ("status", "reason", "error_code", "error")
    }
    return outcomes.group_by("run_id", "crm", "object", "record_id").aggregate(**last)


def written_to(warehouse: Warehouse) -> frozenset[str]:
    """The CRMs that some run has written to."""
    if not warehouse.has("outcomes"):
        return frozenset()
    outcomes = warehouse.table("outcomes")
    written = outcomes.filter(outcomes.status == "written").select("crm").distinct()
    return frozenset(written.to_pyarrow()["crm"].to_pylist())


def _unsettled(warehouse: Warehouse, run_id: str, crm: str) -> ir.Table:
    changes = changes_of(warehouse, run_id)
    settled = warehouse.table("outcomes")
    settled = settled.filter(settled.run_id == run_id, settled.status != "unknown")
    key = ["crm", "object", "record_id"]
    return changes.filter(changes.crm == crm).anti_join(settled, key)


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
