"""What is wrong in the CRMs: desired minus observed, field by field, and nothing else."""

from collections.abc import Mapping as Map
from datetime import datetime
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from config.lifecycle_columns import RANKED
from config.mapping import FieldWrite, Mapping
from models import Catalog, Field
from transforms.planning.crm_values import as_it_stands, fingerprint, spelt
from transforms.planning.holds import HOLDS, RECORD, Past, Store, judge
from transforms.staging.fields import Landed

SAME_NUMBER = 0.005
"""Numbers closer than this are one: both CRMs keep two decimals."""


class Plan(NamedTuple):
    """All changes of a run, and a verdict for every live record.

    changes:  crm, object, record_id, person_id, field, before, after (text; NULL: empty), reason,
              backward boolean (the CRM holds a higher stage than ours), is_stage boolean,
              overruled boolean (something else replaced what we wrote last), fingerprint (of the
              mapping and the catalog of the field)
    held:     what is wrong and not written: the same, shown (before, spelt like after), hold (why),
              error_code, error, cause (the field; NULL where a set of changes was refused)
    verdicts: crm, object, record_id, person_id, status (planned / unchanged / held / quarantined /
              excluded), reason, error_code, error, field; one row per record that is not deleted
    """

    changes: ir.Table
    held: ir.Table
    verdicts: ir.Table


def plan(
    records: ir.Table,
    lifecycle: ir.Table,
    landed: Landed,
    mappings: Map[str, Mapping],
    catalogs: Map[str, Catalog],
    definition: Definition,
    *,
    past: Past,
    as_of: datetime,
    store: Store,
) -> Plan:
    """Say what is wrong in each CRM, and what becomes of every record.

    In:     records(crm, object, record_id, person_id, deleted, read_only), `lifecycle`, the landed
            tables that hold what was observed
    Source: docs/writing.md, "Only what is wrong".
    """
    live = records.filter(~records.deleted)
    live = live.select(*RECORD, "person_id", "read_only")
    compared = [
        _wrong(crm, object, name, write, live, lifecycle, landed, mapping, catalog, definition)
        for crm, mapping in mappings.items()
        for catalog in (catalogs[crm],)
        for object, fields in mapping.write.items()
        for name, write in fields.items()
    ]
    wrong = store("wrong", ibis.union(*compared) if len(compared) > 1 else compared[0])
    judged = store("plan_judged", judge(wrong, past, as_of=as_of, store=store))
    changes = judged.filter(judged.hold.isnull())
    return Plan(
        store("plan_changes", changes.drop("shown", "hold", "error_code", "error", "cause")),
        store("plan_held", judged.filter(judged.hold.notnull())),
        store("plan_verdicts", _verdicts(live, lifecycle, judged, mappings)),
    )


def _wrong(
    crm: str,
    object: str,
    name: str,
    write: FieldWrite,
    live: ir.Table,
    lifecycle: ir.Table,
    landed: Landed,
    mapping: Mapping,
    catalog: Catalog,
    definition: Definition,
) -> ir.Table:
    """Hold what one field should say against what it says: one row per record in which it errs."""
    field = catalog[object][name]
    table = landed[crm][object]
    seen = table.select(seen_id=table[mapping.columns.id].cast("string"), seen=table[name])
    answer = lifecycle.select(
        answer_id="person_id",
        wanted=lifecycle[write.from_],
        reason=_because(lifecycle, write),
    )
    mine = live.filter(live.crm == crm, live.object == object, ~live.read_only)
    both = mine.join(answer, mine.person_id == answer.answer_id)
    both = both.join(seen, both.record_id == seen.seen_id)
    both = both.mutate(
        before=as_it_stands(both.seen),
        shown=spelt(both.seen, field),
        after=_translated(both.wanted, write, field),
    )
    backward = _is_backward(both, write, definition)
    wrong = both.mutate(backward=backward).filter(~_is_right(both, write, field))
    return wrong.select(
        *RECORD,
        "person_id",
        "before",
        "shown",
        "after",
        "reason",
        "backward",
        field=ibis.literal(name),
        is_stage=ibis.literal(write.from_ in RANKED),
        is_ahead=wrong.backward & ibis.literal(write.backward == "never"),
        policy=ibis.literal(write.on_manual_change),
        fingerprint=ibis.literal(fingerprint(write, field)),
    )


def _because(lifecycle: ir.Table, write: FieldWrite) -> ir.StringValue:
    if write.from_ in RANKED:
        return lifecycle.reasons.nullif("").fill_null(lifecycle.stage)
    return ibis.literal(write.from_)


def _translated(value: ir.Value, write: FieldWrite, field: Field) -> ir.StringValue:
    if not write.values:
        return spelt(value, field)
    words = ((value == ours, theirs[0]) for ours, theirs in write.values.items())
    return ibis.cases(*words, else_=spelt(value, field))


def _is_right(both: ir.Table, write: FieldWrite, field: Field) -> ir.BooleanValue:
    """Whether the CRM already says it, or something that is taken as right."""
    same = both.shown.identical_to(both.after)
    for ours, theirs in write.values.items():
        if len(theirs) > 1:
            same = same | ((both.wanted == ours) & both.shown.isin(theirs)).fill_null(False)
    if field.type in ("number", "integer") and both.wanted.type().is_numeric():
        apart = (both.seen.cast("float64") - both.wanted.cast("float64")).abs()
        limit = max(write.min_change or 0, SAME_NUMBER)
        return same | (apart < limit).fill_null(False)
    return same


def _is_backward(both: ir.Table, write: FieldWrite, definition: Definition) -> ir.BooleanValue:
    """Whether the CRM holds a higher stage than ours, or one that is no word for a lower one."""
    if write.from_ not in RANKED:
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
    seen = ibis.cases(*((both.shown == word, rank) for word, rank in words), else_=highest)
    mine = ibis.cases(*((both.after == word, rank) for word, rank in words), else_=highest)
    return both.shown.notnull() & ~(seen < mine)


def _verdicts(
    live: ir.Table, lifecycle: ir.Table, judged: ir.Table, mappings: Map[str, Mapping]
) -> ir.Table:
    key = list(RECORD)
    planned = judged.filter(judged.hold.isnull()).select(*key).distinct()
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
        (both.hold == "refused", "quarantined"),
        (both.hold.notnull(), "held"),
        else_="unchanged",
    )
    reason = ibis.cases(
        (both.read_only, "converted"),
        (~is_written, "no mapping"),
        (both.answered_id.isnull(), "not known yet"),
        (status.isin(["held", "quarantined"]), both.hold),
        else_="",
    )
    told = both.mutate(status=status, reason=reason)
    return told.select(
        *key, "person_id", "status", "reason", "error_code", "error", field=told.held_field
    )


def _first_holds(judged: ir.Table) -> ir.Table:
    """The hold that is told of each record, of several the first of `HOLDS`."""
    rank = ibis.cases(*((judged.hold == hold, rank) for rank, hold in enumerate(HOLDS)))
    held = judged.filter(judged.hold.notnull()).mutate(rank=rank)
    nth = ibis.row_number().over(group_by=RECORD, order_by=[held.rank, held.field])
    first = held.mutate(nth=nth)
    first = first.filter(first.nth == 0)
    return first.select(*RECORD, "hold", "error_code", "error", held_field=first.field)
