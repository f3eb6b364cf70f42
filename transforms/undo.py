"""What puts back what a run replaced: its changes the other way round, where they still stand."""

from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from contract import Catalog, Field
from transforms.answers import RANKED
from transforms.holds import RECORD, Store
from transforms.mapping import Mapping
from transforms.plan import Plan
from transforms.rows import Landed
from transforms.spelling import as_it_stands, fingerprint, spelt

TOUCHED = "changed_since"
"""Why a field is not put back: it no longer holds what the run wrote."""

OUT_OF_SCOPE = "not in that run"


def undo(
    written: ir.Table,
    records: ir.Table,
    landed: Landed,
    mappings: Map[str, Mapping],
    catalogs: Map[str, Catalog],
    *,
    store: Store,
) -> Plan:
    """Plan to write `before` back in every field that still holds `after`.

    In:     written(crm, object, record_id, person_id, field, before, after): what the run wrote;
            `records` as they are known; the landed tables that hold what was observed
    Out:    a plan like any other; `held` lists what somebody has touched since
    """
    compared = [
        _compared(written, crm, object, name, mapping, landed, catalogs[crm])
        for crm, mapping in mappings.items()
        for object, fields in mapping.write.items()
        for name in fields
    ]
    both = store("undo", ibis.union(*compared) if len(compared) > 1 else compared[0])
    changes = both.filter(both.hold.isnull(), ~both.shown.identical_to(both.after))
    changes = store("plan_changes", changes.drop("shown", "hold"))
    held = store("plan_held", both.filter(both.hold.notnull()))
    return Plan(changes, held, store("plan_verdicts", _verdicts(records, changes, held)))


def _compared(
    written: ir.Table,
    crm: str,
    object: str,
    name: str,
    mapping: Mapping,
    landed: Landed,
    catalog: Catalog,
) -> ir.Table:
    """Hold what the run wrote into one field against what the field holds now."""
    field, write = catalog[object][name], mapping.write[object][name]
    table = landed[crm][object]
    seen = table.select(seen_id=table[mapping.columns.id].cast("string"), seen=table[name])
    mine = written.filter(written.crm == crm, written.object == object, written.field == name)
    both = mine.join(seen, mine.record_id == seen.seen_id)
    both = both.mutate(shown=spelt(both.seen, field), was=_as_written(both.before, field))
    is_ours = both.shown.identical_to(both.after)
    # to put an earlier stage back it has to be emptied first, whatever its rank
    return both.select(
        *RECORD,
        "person_id",
        "field",
        "shown",
        before=as_it_stands(both.seen),
        after=both.was,
        reason=ibis.literal("undo of ") + both.run_id,
        backward=ibis.literal(write.backward == "clear_first"),
        is_stage=ibis.literal(write.from_ in RANKED),
        overruled=ibis.literal(False),
        fingerprint=ibis.literal(fingerprint(write, field)),
        hold=is_ours.ifelse(ibis.null("string"), ibis.literal(TOUCHED)),
    )


def _as_written(value: ir.StringValue, field: Field) -> ir.StringValue:
    """What stood there before, in the digits of a second that CRMs take."""
    if field.type == "datetime":
        return value.re_replace(r"(\.\d{3})\d+Z$", r"\1Z")
    return value


def _verdicts(records: ir.Table, changes: ir.Table, held: ir.Table) -> ir.Table:
    live = records.filter(~records.deleted).select(*RECORD, "person_id")
    planned = changes.select(*RECORD).distinct().mutate(is_planned=ibis.literal(True))
    touched = held.select(*RECORD).distinct().mutate(is_touched=ibis.literal(True))
    both = live.left_join(planned, RECORD).drop(f"{name}_right" for name in RECORD)
    both = both.left_join(touched, RECORD)
    status = ibis.cases(
        (both.is_planned.notnull(), "planned"),
        (both.is_touched.notnull(), "held"),
        else_="excluded",
    )
    reason = ibis.cases(
        (both.is_planned.notnull(), ""),
        (both.is_touched.notnull(), TOUCHED),
        else_=OUT_OF_SCOPE,
    )
    return both.select(*RECORD, "person_id", status=status, reason=reason)
