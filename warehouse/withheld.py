"""Withheld fields, and decisions about them: frozen by a run; retried or accepted by an admin.

The table `withheld` has the fields that the last plan does not write; `decisions` only grows.
"""

from datetime import UTC, datetime

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from errors import ConfigError
from transforms.identity.known_records import PERSON_HOLDS
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


RETRYABLE_HOLDS = ("refused", "frozen", *PERSON_HOLDS, "review", "manual_change")
"""The hold reasons that a `retry` removes."""


def write_history(warehouse: Warehouse) -> WriteHistory:
    """Return what earlier runs sent, field by field, with its outcome, and the decisions."""
    changes = warehouse.ensure_table("changes", CHANGES)
    outcomes = warehouse.ensure_table("outcomes", OUTCOMES)
    ended = outcomes.filter(outcomes.status.isin(["written", "quarantined"]))
    unknown = unknown_outcomes(warehouse).mutate(
        status=ibis.literal("unknown"),
        **{name: ibis.null("string") for name in ("error_code", "error", "field")},
    )
    with_outcome = ended.select(*unknown.columns).union(unknown).rename(refused_field="field")
    return WriteHistory(
        changes.inner_join(with_outcome, OUTCOME_KEY),
        warehouse.ensure_table("decisions", DECISIONS),
    )


def fields_written(
    warehouse: Warehouse, run_id: str, *, record_id: str | None = None, field: str | None = None
) -> ir.Table:
    """Return the fields that a run wrote, or (status unknown) may have written.

    `record_id` and `field` select one record or one field; None selects all.
    """
    attempts = write_history(warehouse).attempts
    mine = attempts.filter(attempts.run_id == run_id, attempts.status.isin(["written", "unknown"]))
    if record_id is not None:
        mine = mine.filter(mine.record_id == record_id)
    return mine if field is None else mine.filter(mine.field == field)


def require_written(
    warehouse: Warehouse, run_id: str, *, record_id: str | None, field: str | None
) -> None:
    """Make sure that a run wrote what is selected.

    Raises: ConfigError: it did not, so that nothing would be undone.
    """
    if record_id is None and field is None:
        return
    if not _count(fields_written(warehouse, run_id, record_id=record_id, field=field)):
        raise ConfigError(
            f"run {run_id} wrote nothing to the selected record or field: "
            f"`python sync.py show {run_id}` lists what it wrote"
        )


def save_withheld(warehouse: Warehouse, run: Run, withheld: ir.Table) -> None:
    """Store the withheld fields of a plan; a field stays frozen until a retry."""
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
    """Store that the next run writes fields that were refused, frozen or changed in the CRM.

    None selects all. Return how many fields of the last plan this concerns.
    """
    decision = {"crm": crm, "object": None, "record_id": record_id, "field": field, "value": None}
    row = pa.Table.from_pylist(
        [decision], schema=ibis.schema(dict.fromkeys(decision, "string")).to_pyarrow()
    )
    _append_decisions(warehouse, "retry", ibis.memtable(row))
    return _count(_withheld(warehouse, RETRYABLE_HOLDS, crm=crm, field=field, record_id=record_id))


def accept(
    warehouse: Warehouse, *, crm: str | None, field: str | None, record_id: str | None
) -> int:
    """Store that fields under review keep their CRM value, while it stays; return how many."""
    held = _withheld(warehouse, ("review",), crm=crm, field=field, record_id=record_id)
    _append_decisions(warehouse, "accept", held.mutate(value=held.crm_value))
    return _count(held)


def _withheld(warehouse: Warehouse, holds: tuple[str, ...], **filters: str | None) -> ir.Table:
    """The fields that the last plan withheld for one of these reasons; None selects all."""
    held = warehouse.ensure_table("withheld", WITHHELD)
    conditions = [held[name] == value for name, value in filters.items() if value is not None]
    return held.filter(held.hold_reason.isin(holds), *conditions)


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


def _append_decisions(warehouse: Warehouse, decision: str, fields: ir.Table) -> None:
    """Add a decision about fields(crm, object, record_id, field, value)."""
    now = datetime.now(UTC).replace(tzinfo=None)
    decisions = fields.mutate(at=ibis.literal(now, "timestamp(6)"), decision=ibis.literal(decision))
    warehouse.append("decisions", decisions, DECISIONS)
