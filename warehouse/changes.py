"""The journal's changes: what each run plans to write, and the outcome of every record.

Rows of `changes` and `outcomes` are appended, never updated.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from models import FieldChange, Outcome, RecordChange, WriteVolume
from transforms.planning.holds import RECORD_KEY
from transforms.planning.plan import Plan
from warehouse.warehouse import Warehouse

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
        "clear_first": "boolean",
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
        "crm_message": "string",
    }
)
OUTCOME_KEY = ("run_id", *RECORD_KEY)

RESUMABLE = ("approval", "guard", "quota", "limit")
"""Reasons of `held` records that `apply` writes."""

PAGE_RECORDS = 5_000
"""Records whose changes are in memory at once."""


def append_plan(warehouse: Warehouse, run_id: str, plan: Plan) -> None:
    """Store the changes of a run, and the outcome of each record that needs no write.

    Both in one transaction: after a crash in between, the records of the run would not add up.
    """
    with warehouse.transaction():
        warehouse.append("changes", _number_changes(plan.changes, run_id), CHANGES)
        statuses = plan.record_statuses
        _append_outcomes(warehouse, run_id, statuses.filter(statuses.status != "planned"))


def _number_changes(changes: ir.Table, run_id: str) -> ir.Table:
    """Number the changes in the order of writing: records with a wrong stage come first."""
    records = changes.group_by(*RECORD_KEY).aggregate(is_first=changes.is_stage.any())
    order = [ibis.desc(records.is_first), *(records[name] for name in RECORD_KEY)]
    records = records.mutate(write_order=ibis.row_number().over(order_by=order))
    numbered = changes.inner_join(records, RECORD_KEY)
    if "clear_first" not in numbered.columns:
        numbered = numbered.mutate(clear_first=ibis.literal(False))
    return numbered.mutate(
        run_id=ibis.literal(run_id),
        change_id=ibis.literal(f"{run_id}-")
        + numbered.write_order.cast("string")
        + "-"
        + numbered.field,
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
    """Hold the records of a run that are not written now: all after the first `skip_first`."""
    pending = _pending(warehouse, run_id, crm, since=since)
    records = pending.select(*RECORD_KEY, "write_order").distinct()
    records = records.mutate(nth=ibis.row_number().over(order_by="write_order"))
    held = records.filter(records.nth >= skip_first).select(*RECORD_KEY)
    _append_outcomes(
        warehouse, run_id, held.mutate(status=ibis.literal("held"), reason=ibis.literal(reason))
    )


def mark_unknown(warehouse: Warehouse, run_id: str, *, since: datetime) -> None:
    """Give the outcome `unknown` to each record that an interrupted run has left open.

    Those are the records of the plan `run_id` without an outcome since the writing began.
    """
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    ended = outcomes.filter(
        outcomes.run_id == run_id, ~_is_open(outcomes, since) | (outcomes.status == "unknown")
    )
    records = changes_of(warehouse, run_id).select(*RECORD_KEY).distinct()
    _append_outcomes(
        warehouse,
        run_id,
        records.anti_join(ended, RECORD_KEY).mutate(
            status=ibis.literal("unknown"), reason=ibis.literal("interrupted")
        ),
    )


def _append_outcomes(warehouse: Warehouse, run_id: str, records: ir.Table) -> None:
    """Store outcomes that need no CRM: of records(crm, object, record_id, status, reason, ...)."""
    now = datetime.now(UTC).replace(tzinfo=None)
    outcomes = records.mutate(
        run_id=ibis.literal(run_id), attempts=ibis.literal(0), at=ibis.literal(now, "timestamp(6)")
    )
    empty = {
        name: ibis.null("string")
        for name in ("error_code", "error", "field", "crm_message")
        if name not in records.columns
    }
    warehouse.append("outcomes", outcomes.mutate(**empty), OUTCOMES)


def changes_of(warehouse: Warehouse, run_id: str) -> ir.Table:
    """Return the stored changes of a run."""
    changes = warehouse.ensure_table("changes", CHANGES)
    return changes.filter(changes.run_id == run_id)


def pending_changes(
    warehouse: Warehouse, run_id: str, crm: str, *, since: datetime
) -> Iterator[RecordChange]:
    """Give the changes of a run that have no outcome yet, record by record, in write order."""
    pending = _pending(warehouse, run_id, crm, since=since)
    last = pending.write_order.max().to_pyarrow().as_py()
    for first in range(0, 0 if last is None else int(last) + 1, PAGE_RECORDS):
        page = pending.filter(pending.write_order.between(first, first + PAGE_RECORDS - 1))
        rows = page.order_by("write_order", "field").to_pyarrow().to_pylist()
        for _, fields in groupby(rows, key=lambda row: row["write_order"]):
            yield _record_change(list(fields))


def _record_change(fields: Sequence[dict[str, Any]]) -> RecordChange:
    return RecordChange(
        fields[0]["object"],
        fields[0]["record_id"],
        tuple(
            # NULL in rows of a release that did not store the flag
            FieldChange(row["field"], row["before"], row["after"], bool(row["clear_first"]))
            for row in fields
        ),
    )


def pending_volume(warehouse: Warehouse, run_id: str, crm: str, *, since: datetime) -> WriteVolume:
    """Count the records that a run has yet to write in one CRM."""
    pending = _pending(warehouse, run_id, crm, since=since)
    counts = pending.aggregate(
        records=pending.write_order.nunique(),
        stages=pending.write_order.nunique(where=pending.is_stage),
        backward=pending.write_order.nunique(where=pending.is_stage & pending.backward),
    )
    [row] = counts.to_pyarrow().to_pylist()
    return WriteVolume(**row)


def _pending(warehouse: Warehouse, run_id: str, crm: str, *, since: datetime) -> ir.Table:
    """Return the changes without a final outcome.

    Those are `unknown` ones, and those held for a resumable reason before `since`.
    """
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    final = outcomes.filter(outcomes.run_id == run_id, ~_is_open(outcomes, since))
    changes = changes_of(warehouse, run_id)
    return changes.filter(changes.crm == crm).anti_join(final, RECORD_KEY)


def _is_open(outcomes: ir.Table, since: datetime) -> ir.BooleanValue:
    """Whether an outcome is unknown, or held for a resumable reason before `since`."""
    start = ibis.literal(since.astimezone(UTC).replace(tzinfo=None), "timestamp(6)")
    return (outcomes.status == "unknown") | (_is_resumable(outcomes) & (outcomes.at < start))


def _is_resumable(outcomes: ir.Table) -> ir.BooleanValue:
    return (outcomes.status == "held") & outcomes.reason.isin(RESUMABLE)


def write_outcomes(
    warehouse: Warehouse, run_id: str, crm: str, outcomes: Iterable[Outcome]
) -> None:
    """Store the outcomes of some records of one CRM."""
    rows = [
        {
            **asdict(outcome),
            "run_id": run_id,
            "crm": crm,
            "at": outcome.at.astimezone(UTC).replace(tzinfo=None),
        }
        for outcome in outcomes
    ]
    if any((row["status"], row["reason"]) == ("unchanged", "already_set") for row in rows):
        rows = list(_mark_confirmed(warehouse, crm, rows))
    if rows:
        table = pa.Table.from_pylist(rows, schema=OUTCOMES.to_pyarrow())
        warehouse.append("outcomes", table, OUTCOMES)


def _mark_confirmed(
    warehouse: Warehouse, crm: str, rows: Iterable[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Turn `already_set` into `written` where an earlier run sent the value, outcome unknown."""
    unknown = unknown_outcomes(warehouse)
    sent = unknown.filter(unknown.crm == crm).select("object", "record_id").to_pyarrow()
    sent_records = {(row["object"], row["record_id"]) for row in sent.to_pylist()}
    for row in rows:
        is_confirmed = (
            row["reason"] == "already_set" and (row["object"], row["record_id"]) in sent_records
        )
        yield row | {"status": "written", "reason": ""} if is_confirmed else row


def last_outcomes(outcomes: ir.Table) -> ir.Table:
    """Return the last outcome of each record in each run: `apply` adds a second one."""
    newest = ibis.row_number().over(group_by=OUTCOME_KEY, order_by=ibis.desc("at"))
    return outcomes.mutate(nth=newest).filter(lambda t: t.nth == 0).drop("nth")


def unknown_outcomes(warehouse: Warehouse) -> ir.Table:
    """Return the records whose outcome in a run is `unknown`, and was at most held before.

    Out: run_id, crm, object, record_id, at
    """
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    unknown = outcomes.filter(outcomes.status == "unknown")
    unknown = unknown.group_by(*OUTCOME_KEY).aggregate(at=unknown.at.max())
    is_settled = (outcomes.status != "unknown") & ~_is_resumable(outcomes)
    return unknown.anti_join(outcomes.filter(is_settled), OUTCOME_KEY)


def written_crms(warehouse: Warehouse, done_runs: Collection[str]) -> frozenset[str]:
    """Return the CRMs that a run has written to, or had nothing to write to.

    `done_runs` are the runs that wrote their plan to the end, also where it was empty.
    """
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    is_known = (outcomes.status == "written") | outcomes.run_id.isin(list(done_runs))
    written = outcomes.filter(is_known).select("crm").distinct()
    return frozenset(written.to_pyarrow()["crm"].to_pylist())
