"""What was decided about single fields: frozen by a run, tried again or accepted by an admin.

`held` is what the last plan found wrong and left alone; `decisions` is kept for good.
"""

from datetime import UTC, datetime

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from transforms.planning.holds import FIELD_KEY, RECORD_KEY, WriteHistory
from warehouse.changes import CHANGES, OUTCOME_KEY, OUTCOMES, unknown_outcomes
from warehouse.runs import Run
from warehouse.warehouse import Warehouse

DECISIONS = ibis.schema(
    {"at": "timestamp(6)"} | dict.fromkeys(("decision", *FIELD_KEY, "value"), "string")
)
WITHHELD = ibis.schema(
    dict.fromkeys(
        (
            "run_id",
            *RECORD_KEY,
            "person_id",
            "field",
            "field_at_fault",
            "crm_value",
            "after",
            "reason",
            "hold_reason",
            "error_code",
            "error",
        ),
        "string",
    )
)


RETRYABLE_HOLDS = ("refused", "frozen", "review", "manual_change")
"""What is left alone no longer once somebody says `retry`."""


def write_history(warehouse: Warehouse) -> WriteHistory:
    """What earlier runs sent, field by field, with what became of it, and what was decided."""
    changes = warehouse.ensure_table("changes", CHANGES)
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    ended = outcomes.filter(outcomes.status.isin(["written", "quarantined"]))
    in_doubt = unknown_outcomes(warehouse).mutate(
        status=ibis.literal("unknown"),
        **{name: ibis.null("string") for name in ("error_code", "error", "field")},
    )
    with_outcome = ended.select(*in_doubt.columns).union(in_doubt).rename(refused_field="field")
    return WriteHistory(
        changes.inner_join(with_outcome, OUTCOME_KEY),
        warehouse.ensure_table("decisions", DECISIONS),
    )


def fields_written(warehouse: Warehouse, run_id: str) -> ir.Table:
    """What a run wrote, or (status unknown) may have written, field by field."""
    attempts = write_history(warehouse).attempts
    return attempts.filter(attempts.run_id == run_id, attempts.status.isin(["written", "unknown"]))


def save_withheld(warehouse: Warehouse, run: Run, withheld: ir.Table) -> None:
    """Store what is wrong now and is left alone; what is frozen stays so until a retry."""
    withheld = withheld.mutate(run_id=ibis.literal(run.run_id)).select(*WITHHELD)
    withheld = warehouse.replace_table("withheld", withheld)
    decisions = warehouse.ensure_table("decisions", DECISIONS)
    retried = decisions.filter(decisions.decision == "retry").at.max()
    is_known = (decisions.at > retried.as_scalar()).fill_null(True)
    known = decisions.filter(decisions.decision == "frozen", is_known)
    frozen = withheld.filter(withheld.hold_reason == "frozen").anti_join(known, FIELD_KEY)
    _append_decisions(warehouse, "frozen", frozen.mutate(value=frozen.crm_value))


def retry(
    warehouse: Warehouse, *, crm: str | None, field: str | None, record_id: str | None
) -> int:
    """Let the next run write what was refused, frozen or changed by people; None stands for all.

    Gives how many fields the last plan left alone for one of these reasons.
    """
    decision = {"crm": crm, "object": None, "record_id": record_id, "field": field, "value": None}
    one = pa.Table.from_pylist(
        [decision], schema=ibis.schema(dict.fromkeys(decision, "string")).to_pyarrow()
    )
    _append_decisions(warehouse, "retry", ibis.memtable(one))
    return _count(_withheld(warehouse, RETRYABLE_HOLDS, crm=crm, field=field, record_id=record_id))


def accept(
    warehouse: Warehouse, *, crm: str | None, field: str | None, record_id: str | None
) -> int:
    """Leave what people put in place of ours, as long as it stays; give how many fields."""
    held = _withheld(warehouse, ("review",), crm=crm, field=field, record_id=record_id)
    _append_decisions(warehouse, "accept", held.mutate(value=held.crm_value))
    return _count(held)


def _withheld(warehouse: Warehouse, holds: tuple[str, ...], **filters: str | None) -> ir.Table:
    """What the last plan left alone for one of these reasons; None stands for all."""
    held = warehouse.ensure_table("withheld", WITHHELD)
    named = [held[name] == one for name, one in filters.items() if one is not None]
    return held.filter(held.hold_reason.isin(holds), *named)


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


def _append_decisions(warehouse: Warehouse, decision: str, fields: ir.Table) -> None:
    """Add a decision about fields(crm, object, record_id, field, value)."""
    now = datetime.now(UTC).replace(tzinfo=None)
    decisions = fields.mutate(at=ibis.literal(now, "timestamp(6)"), decision=ibis.literal(decision))
    warehouse.append("decisions", decisions, DECISIONS)
