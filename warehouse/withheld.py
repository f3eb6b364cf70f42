"""What was decided about single fields: frozen by a run, tried again or accepted by an admin.

`held` is what the last plan found wrong and left alone; `decisions` is kept for good.
"""

from datetime import UTC, datetime

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from transforms.planning.holds import FIELD, RECORD, Past
from warehouse.runs import CHANGES, KEY, OUTCOMES, Run, unanswered
from warehouse.warehouse import Warehouse

DECISIONS = ibis.schema(
    {"at": "timestamp(6)"} | dict.fromkeys(("decision", *FIELD, "value"), "string")
)
HELD = ibis.schema(
    dict.fromkeys(
        (
            "run_id",
            *RECORD,
            "person_id",
            "field",
            "cause",
            "shown",
            "after",
            "reason",
            "hold",
            "error_code",
            "error",
        ),
        "string",
    )
)


RETRIED = ("refused", "frozen", "review", "manual_change")
"""What is left alone no longer once somebody says `retry`."""


def past(warehouse: Warehouse) -> Past:
    """What earlier runs sent, field by field, with what became of it, and what was decided."""
    changes = warehouse.ledger("changes", CHANGES)
    outcomes = warehouse.ledger("outcomes", OUTCOMES)
    ended = outcomes.filter(outcomes.status.isin(["written", "quarantined"]))
    in_doubt = unanswered(warehouse).mutate(
        status=ibis.literal("unknown"),
        **{name: ibis.null("string") for name in ("error_code", "error", "field")},
    )
    told = ended.select(*in_doubt.columns).union(in_doubt).rename(refused_field="field")
    return Past(changes.inner_join(told, KEY), warehouse.ledger("decisions", DECISIONS))


def written(warehouse: Warehouse, run_id: str) -> ir.Table:
    """What a run wrote, or (status unknown) may have written, field by field."""
    attempts = past(warehouse).attempts
    return attempts.filter(attempts.run_id == run_id, attempts.status.isin(["written", "unknown"]))


def write_held(warehouse: Warehouse, run: Run, held: ir.Table) -> None:
    """Store what is wrong now and is left alone; what is frozen stays so until a retry."""
    held = held.mutate(run_id=ibis.literal(run.run_id)).select(*HELD)
    held = warehouse.store("held", held)
    decisions = warehouse.ledger("decisions", DECISIONS)
    retried = decisions.filter(decisions.decision == "retry").at.max()
    is_known = (decisions.at > retried.as_scalar()).fill_null(True)
    known = decisions.filter(decisions.decision == "frozen", is_known)
    frozen = held.filter(held.hold == "frozen").anti_join(known, FIELD)
    _decide(warehouse, "frozen", frozen.mutate(value=frozen.shown))


def retry(
    warehouse: Warehouse, *, crm: str | None, field: str | None, record_id: str | None
) -> int:
    """Let the next run write what was refused, frozen or changed by people; None stands for all.

    Gives how many fields the last plan left alone for one of these reasons.
    """
    asked = {"crm": crm, "object": None, "record_id": record_id, "field": field, "value": None}
    one = pa.Table.from_pylist(
        [asked], schema=ibis.schema(dict.fromkeys(asked, "string")).to_pyarrow()
    )
    _decide(warehouse, "retry", ibis.memtable(one))
    return _count(_held(warehouse, RETRIED, crm=crm, field=field, record_id=record_id))


def accept(
    warehouse: Warehouse, *, crm: str | None, field: str | None, record_id: str | None
) -> int:
    """Leave what people put in place of ours, as long as it stays; give how many fields."""
    held = _held(warehouse, ("review",), crm=crm, field=field, record_id=record_id)
    _decide(warehouse, "accept", held.mutate(value=held.shown))
    return _count(held)


def _held(warehouse: Warehouse, holds: tuple[str, ...], **asked: str | None) -> ir.Table:
    """What the last plan left alone for one of these reasons; None stands for all."""
    held = warehouse.ledger("held", HELD)
    named = [held[name] == one for name, one in asked.items() if one is not None]
    return held.filter(held.hold.isin(holds), *named)


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


def _decide(warehouse: Warehouse, decision: str, fields: ir.Table) -> None:
    """Add a decision about fields(crm, object, record_id, field, value)."""
    now = datetime.now(UTC).replace(tzinfo=None)
    told = fields.mutate(at=ibis.literal(now, "timestamp(6)"), decision=ibis.literal(decision))
    warehouse.append("decisions", told, DECISIONS)
