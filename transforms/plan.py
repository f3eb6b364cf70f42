"""What is wrong in the CRMs: desired minus observed, field by field, and nothing else."""

from collections.abc import Mapping as Map
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from contract import Catalog, Field
from transforms.answers import RANKED
from transforms.definition import Definition
from transforms.mapping import FieldWrite, Mapping
from transforms.rows import Landed, as_text

SAME_NUMBER = 0.005
"""Numbers closer than this are one: both CRMs keep two decimals."""


class Plan(NamedTuple):
    """All changes of a run, and a verdict for every live record.

    changes:  crm, object, record_id, person_id, field, before, after (text; NULL: empty), reason,
              backward boolean (the CRM holds a higher stage than ours)
    verdicts: crm, object, record_id, person_id, status (planned / unchanged / held / excluded),
              reason; one row per record that is not deleted
    """

    changes: ir.Table
    verdicts: ir.Table


def plan(
    records: ir.Table,
    lifecycle: ir.Table,
    landed: Landed,
    mappings: Map[str, Mapping],
    catalogs: Map[str, Catalog],
    definition: Definition,
) -> Plan:
    """Say what is wrong in each CRM, and what becomes of every record.

    In:     records(crm, object, record_id, person_id, deleted, read_only), `lifecycle`, the landed
            tables that hold what was observed
    Source: docs/writing.md, "Only what is wrong".
    """
    live = records.filter(~records.deleted)
    live = live.select("crm", "object", "record_id", "person_id", "read_only")
    compared = [
        _compared(crm, object, name, write, live, lifecycle, landed, mapping, catalog, definition)
        for crm, mapping in mappings.items()
        for catalog in (catalogs[crm],)
        for object, fields in mapping.write.items()
        for name, write in fields.items()
    ]
    both = ibis.union(*compared) if len(compared) > 1 else compared[0]
    changes = both.filter(both.verdict == "change").drop("verdict")
    return Plan(changes, _verdicts(live, lifecycle, both, mappings))


def _compared(
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
    """Hold what one field should say against what it says: one row per record."""
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
        before=_as_it_stands(both.seen),
        shown=_spelt(both.seen, field),
        after=_translated(both.wanted, write, field),
    )
    backward = _is_backward(both, write, definition)
    verdict = ibis.cases(
        (_is_right(both, write, field), "right"),
        (backward & ibis.literal(write.backward == "never"), "crm_ahead"),
        else_="change",
    )
    return both.select(
        "crm",
        "object",
        "record_id",
        "person_id",
        "before",
        "after",
        "reason",
        field=ibis.literal(name),
        backward=backward,
        verdict=verdict,
    )


def _because(lifecycle: ir.Table, write: FieldWrite) -> ir.StringValue:
    if write.from_ in RANKED:
        return lifecycle.reasons.nullif("").fill_null(lifecycle.stage)
    return ibis.literal(write.from_)


def _as_it_stands(value: ir.Value) -> ir.StringValue:
    """What the CRM holds, unrounded: the sink looks for just that before it writes."""
    if value.type().is_timestamp():
        return value.cast("timestamp(6)").strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.cast("string")


def _spelt(value: ir.Value, field: Field) -> ir.StringValue:
    """A value as text in the CRM's own type; what is empty is NULL."""
    match field.type:
        case "datetime" if value.type().is_timestamp():
            return value.cast("timestamp(6)").strftime("%Y-%m-%dT%H:%M:%SZ")
        case "date" if value.type().is_temporal():
            return value.cast("date").strftime("%Y-%m-%d")
        case "number" | "integer" if value.type().is_numeric():
            return value.cast("float64").round(2).cast("string")
    if value.type().is_timestamp():
        value = value.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = as_text(value)
    return text if field.max_length is None else as_text(text[: field.max_length])


def _translated(value: ir.Value, write: FieldWrite, field: Field) -> ir.StringValue:
    if not write.values:
        return _spelt(value, field)
    words = ((value == ours, theirs[0]) for ours, theirs in write.values.items())
    return ibis.cases(*words, else_=_spelt(value, field))


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
    live: ir.Table, lifecycle: ir.Table, compared: ir.Table, mappings: Map[str, Mapping]
) -> ir.Table:
    key = ["crm", "object", "record_id"]
    found = compared.group_by(key).aggregate(
        changes=(compared.verdict == "change").sum(),
        ahead=(compared.verdict == "crm_ahead").sum(),
    )
    both = live.left_join(found, key)
    answered = lifecycle.select(answered_id="person_id")
    both = both.left_join(answered, both.person_id == answered.answered_id)
    written = [f"{crm}:{o}" for crm, m in mappings.items() for o, fs in m.write.items() if fs]
    is_written = (both.crm + ":" + both.object).isin(written)
    out = both.read_only | ~is_written | both.answered_id.isnull()
    status = ibis.cases(
        (out, "excluded"),
        (both.changes.fill_null(0) > 0, "planned"),
        (both.ahead.fill_null(0) > 0, "held"),
        else_="unchanged",
    )
    reason = ibis.cases(
        (both.read_only, "converted"),
        (~is_written, "no mapping"),
        (both.answered_id.isnull(), "not known yet"),
        (status == "held", "crm_ahead"),
        else_="",
    )
    return both.select("crm", "object", "record_id", "person_id", status=status, reason=reason)
