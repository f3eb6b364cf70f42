"""What is wrong in the CRMs: desired minus observed, field by field, and nothing else."""

from collections.abc import Mapping as Map
from datetime import datetime
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from config.lifecycle_columns import RANKED_COLUMNS
from config.mapping import FieldWrite, Mapping
from models import Catalog, Field
from transforms.planning.crm_values import raw_text, rule_hash, to_crm_text
from transforms.planning.foreign import with_foreign
from transforms.planning.holds import (
    HOLD_REASONS,
    RECORD_KEY,
    Materialize,
    WriteHistory,
    apply_hold_rules,
    hold_absent,
)
from transforms.staging.fields import SourceTables

NUMBER_TOLERANCE = 0.005
"""Numbers closer than this are one: both CRMs keep two decimals."""


class Plan(NamedTuple):
    """All changes of a run, and a status for every live record.

    changes:  crm, object, record_id, person_id, field, before, after (text; NULL: empty), reason,
              backward boolean (the CRM has a higher stage), is_stage boolean,
              was_overwritten boolean (another program replaced the value written last),
              is_foreign boolean (the value that stands there was never written by a run),
              rule_hash (of the mapping and the catalog of the field)
    held:     differences that are not written: the same, crm_value (before, as text like after),
              hold_reason, error_code, error, field_at_fault (NULL: a set was rejected)
    verdicts: crm, object, record_id, person_id, status (planned / unchanged / held / quarantined /
              excluded), reason, error_code, error, field; one row per record that is not deleted
    """

    changes: ir.Table
    held: ir.Table
    record_statuses: ir.Table


def plan(
    records: ir.Table,
    lifecycle: ir.Table,
    landed: SourceTables,
    mappings: Map[str, Mapping],
    catalogs: Map[str, Catalog],
    definition: Definition,
    *,
    write_history: WriteHistory,
    absent: ir.Table | None = None,
    held_people: ir.Table,
    as_of: datetime,
    materialize: Materialize,
) -> Plan:
    """Say what is wrong in each CRM, and what becomes of every record.

    In:     records(crm, object, record_id, person_id, deleted, read_only), `lifecycle`, the landed
            tables that hold what was observed; absent(crm, object, record_id): records of people
            of whom a CRM does not show a record (None: there are none);
            held_people(person_id, hold_reason, held_since)
    Source: docs/writing.md, "Only what is wrong".
    """
    live = records.filter(~records.deleted)
    live = live.select(*RECORD_KEY, "person_id", "read_only")
    compared = [
        _differences(
            crm, object, name, write, live, lifecycle, landed, mapping, catalog, definition
        )
        for crm, mapping in mappings.items()
        for catalog in (catalogs[crm],)
        for object, fields in mapping.write.items()
        for name, write in fields.items()
    ]
    wrong = materialize("wrong", ibis.union(*compared) if len(compared) > 1 else compared[0])
    judged = apply_hold_rules(
        wrong,
        write_history,
        held_people=held_people,
        volatile_fields=[
            (crm, *field)
            for crm, mapping in mappings.items()
            for field in mapping.volatile_fields()
        ],
        as_of=as_of,
        materialize=materialize,
    )
    if absent is not None:
        judged = hold_absent(judged, absent)
    judged = materialize("plan_judged", judged)
    changes = judged.filter(judged.hold_reason.isnull())
    return Plan(
        materialize(
            "plan_changes",
            with_foreign(changes, write_history.attempts).drop(
                "crm_value", "hold_reason", "error_code", "error", "field_at_fault"
            ),
        ),
        materialize("plan_held", judged.filter(judged.hold_reason.notnull())),
        materialize("plan_verdicts", _record_statuses(live, lifecycle, judged, mappings)),
    )


def _differences(
    crm: str,
    object: str,
    name: str,
    write: FieldWrite,
    live: ir.Table,
    lifecycle: ir.Table,
    landed: SourceTables,
    mapping: Mapping,
    catalog: Catalog,
    definition: Definition,
) -> ir.Table:
    """Hold what one field should say against what it says: one row per record in which it errs."""
    field = catalog[object][name]
    table = landed[crm][object]
    seen = table.select(seen_id=table[mapping.system_fields.id].cast("string"), seen=table[name])
    answer = lifecycle.select(
        answer_id="person_id",
        wanted=lifecycle[write.from_],
        reason=_reason(lifecycle, write),
    )
    mine = live.filter(live.crm == crm, live.object == object, ~live.read_only)
    both = mine.join(answer, mine.person_id == answer.answer_id)
    both = both.join(seen, both.record_id == seen.seen_id)
    both = both.mutate(
        before=raw_text(both.seen),
        crm_value=to_crm_text(both.seen, field),
        after=_translated(both.wanted, write, field),
    )
    backward = _is_backward(both, write, definition)
    wrong = both.mutate(backward=backward).filter(~_is_equal(both, write, field))
    return wrong.select(
        *RECORD_KEY,
        "person_id",
        "before",
        "crm_value",
        "after",
        "reason",
        "backward",
        clear_first=wrong.backward & ibis.literal(write.backward == "clear_first"),
        field=ibis.literal(name),
        is_stage=ibis.literal(write.from_ in RANKED_COLUMNS),
        is_ahead=wrong.backward & ibis.literal(write.backward == "never"),
        policy=ibis.literal(write.on_manual_change),
        rule_hash=ibis.literal(rule_hash(write, field)),
    )


def _reason(lifecycle: ir.Table, write: FieldWrite) -> ir.StringValue:
    if write.from_ in RANKED_COLUMNS:
        return lifecycle.reasons.nullif("").fill_null(lifecycle.stage)
    return ibis.literal(write.from_)


def _translated(value: ir.Value, write: FieldWrite, field: Field) -> ir.StringValue:
    if not write.values:
        return to_crm_text(value, field)
    words = ((value == ours, theirs[0]) for ours, theirs in write.values.items())
    return ibis.cases(*words, else_=to_crm_text(value, field))


def _is_equal(both: ir.Table, write: FieldWrite, field: Field) -> ir.BooleanValue:
    """Whether the CRM already says it, or something that is taken as right."""
    same = both.crm_value.identical_to(both.after)
    for ours, theirs in write.values.items():
        if len(theirs) > 1:
            same = same | ((both.wanted == ours) & both.crm_value.isin(theirs)).fill_null(False)
    if field.type in ("number", "integer") and both.wanted.type().is_numeric():
        apart = (both.seen.cast("float64") - both.wanted.cast("float64")).abs()
        limit = max(write.min_change or 0, NUMBER_TOLERANCE)
        return same | (apart < limit).fill_null(False)
    return same


def _is_backward(both: ir.Table, write: FieldWrite, definition: Definition) -> ir.BooleanValue:
    """Whether the CRM holds a higher stage than ours, or one that is no word for a lower one."""
    if write.from_ not in RANKED_COLUMNS:
        return ibis.literal(False)
    ranks = {stage: rank for rank, stage in enumerate(definition.stage_ids)}
    words = [
        (word, ranks[ours])
        for ours, theirs in write.values.items()
        if ours in ranks
        for word in theirs
    ]
    words += [(ours, rank) for ours, rank in ranks.items() if ours not in write.values]
    highest = len(ranks)
    seen = ibis.cases(*((both.crm_value == word, rank) for word, rank in words), else_=highest)
    mine = ibis.cases(*((both.after == word, rank) for word, rank in words), else_=highest)
    return both.crm_value.notnull() & ~(seen < mine)


def _record_statuses(
    live: ir.Table, lifecycle: ir.Table, judged: ir.Table, mappings: Map[str, Mapping]
) -> ir.Table:
    key = list(RECORD_KEY)
    planned = judged.filter(judged.hold_reason.isnull()).select(*key).distinct()
    planned = planned.mutate(is_planned=ibis.literal(True))
    both = live.left_join(planned, key).drop(f"{name}_right" for name in key)
    both = both.left_join(_first_holds(judged), key)
    answered = lifecycle.select(answered_id="person_id")
    both = both.left_join(answered, both.person_id == answered.answered_id)
    written = [f"{crm}:{o}" for crm, m in mappings.items() for o, fs in m.write.items() if fs]
    is_written = (both.crm + ":" + both.object).isin(written)
    out = both.read_only | ~is_written | both.answered_id.isnull()
    status = ibis.cases(
        (out, "excluded"),
        (both.is_planned.fill_null(False), "planned"),
        (both.hold_reason == "refused", "quarantined"),
        (both.hold_reason.notnull(), "held"),
        else_="unchanged",
    )
    reason = ibis.cases(
        (both.read_only, "converted"),
        (~is_written, "not_mapped"),
        (both.answered_id.isnull(), "no_lifecycle"),
        (status.isin(["held", "quarantined"]), both.hold_reason),
        else_="",
    )
    told = both.mutate(status=status, reason=reason)
    return told.select(
        *key, "person_id", "status", "reason", "error_code", "error", field=told.held_field
    )


def _first_holds(judged: ir.Table) -> ir.Table:
    """The hold reason of each record: of several the first in `HOLD_REASONS`."""
    rank = ibis.cases(
        *((judged.hold_reason == hold, rank) for rank, hold in enumerate(HOLD_REASONS))
    )
    held = judged.filter(judged.hold_reason.notnull()).mutate(rank=rank)
    nth = ibis.row_number().over(group_by=RECORD_KEY, order_by=[held.rank, held.field])
    first = held.mutate(nth=nth)
    first = first.filter(first.nth == 0)
    return first.select(*RECORD_KEY, "hold_reason", "error_code", "error", held_field=first.field)
