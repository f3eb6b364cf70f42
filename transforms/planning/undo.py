"""What puts back what a run replaced: its changes the other way round, where they still stand."""

from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.lifecycle_columns import RANKED
from config.mapping import Mapping
from models import Catalog, Field
from transforms.planning.crm_values import as_it_stands, fingerprint, is_still, spelt
from transforms.planning.holds import RECORD, Store
from transforms.planning.plan import Plan
from transforms.staging.fields import Landed

TOUCHED = "changed_since"
"""Why a field is not put back: it no longer holds what the run wrote."""

UNMAPPED = "not_mapped"
"""Why a field is not put back: the mapping no longer writes it, so nobody looks what it holds."""

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

    In:     written(crm, object, record_id, person_id, field, before, after, backward, status): what
            the run wrote, or (status unknown) may have; `records` as they are known; the landed
            tables that hold what was observed
    Out:    a plan like any other; `held` lists what somebody has touched since, and what is no
            longer written at all
    """
    live = records.filter(~records.deleted).select(*RECORD, "person_id")
    written = store("undo_written", written.semi_join(live, RECORD))
    compared = [_unmapped(written, mappings)] + [
        _compared(written, crm, object, name, mapping, landed, catalogs[crm])
        for crm, mapping in mappings.items()
        for object, fields in mapping.write.items()
        for name in fields
    ]
    both = store("undo", ibis.union(*compared))
    changes = both.filter(both.hold.isnull(), ~both.shown.identical_to(both.after))
    changes = store("plan_changes", changes.drop("shown", "hold"))
    held = store("plan_held", both.filter(both.hold.notnull()))
    return Plan(changes, held, store("plan_verdicts", _verdicts(live, changes, held)))


def _unmapped(written: ir.Table, mappings: Map[str, Mapping]) -> ir.Table:
    """What the run wrote into fields that the mapping no longer names: nobody reads them now."""
    named = [
        f"{crm}:{object}:{name}"
        for crm, mapping in mappings.items()
        for object, fields in mapping.write.items()
        for name in fields
    ]
    name = written.crm + ":" + written.object + ":" + written.field
    gone = written.filter(~name.isin(named), written.status == "written")
    return _planned(gone, shown=ibis.null("string"), hold=ibis.literal(UNMAPPED))


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
    is_ours = is_still(both.seen, both.after, field)
    # nobody answered for it, and it had to be emptied first: so far the run came
    was_emptied = (both.status == "unknown") & both.backward & spelt(both.seen, field).isnull()
    both = both.filter((both.status == "written") | was_emptied)
    return _planned(
        both,
        shown=spelt(both.seen, field),
        hold=(is_ours | was_emptied).ifelse(ibis.null("string"), ibis.literal(TOUCHED)),
        before=as_it_stands(both.seen),
        after=_as_written(both.before, field),
        # to put an earlier stage back it has to be emptied first, whatever its rank
        backward=ibis.literal(write.backward == "clear_first"),
        is_stage=ibis.literal(write.from_ in RANKED),
        fingerprint=ibis.literal(fingerprint(write, field)),
    )


def _planned(
    both: ir.Table, *, shown: ir.Value, hold: ir.StringValue, **known: ir.Value
) -> ir.Table:
    """A row of a plan; what is not `known` is as of a field that nobody reads."""
    unread = {
        "before": ibis.null("string"),
        "after": both.before,
        "backward": ibis.literal(False),
        "is_stage": ibis.literal(False),
        "fingerprint": ibis.null("string"),
    }
    return both.select(
        *RECORD,
        "person_id",
        "field",
        shown=shown,
        hold=hold,
        reason=ibis.literal("undo of ") + both.run_id,
        overruled=ibis.literal(False),
        **(unread | known),
    )


def _as_written(value: ir.StringValue, field: Field) -> ir.StringValue:
    """What stood there before, in the digits of a second that CRMs take."""
    if field.type == "datetime":
        return value.re_replace(r"(\.\d{3})\d+Z$", r"\1Z")
    return value


def _verdicts(live: ir.Table, changes: ir.Table, held: ir.Table) -> ir.Table:
    planned = changes.select(*RECORD).distinct().mutate(is_planned=ibis.literal(True))
    left = held.group_by(*RECORD).aggregate(hold=held.hold.min())
    both = live.left_join(planned, RECORD).drop(f"{name}_right" for name in RECORD)
    both = both.left_join(left, RECORD)
    status = ibis.cases(
        (both.is_planned.notnull(), "planned"),
        (both.hold.notnull(), "held"),
        else_="excluded",
    )
    reason = ibis.cases(
        (both.is_planned.notnull(), ""),
        (both.hold.notnull(), both.hold),
        else_=OUT_OF_SCOPE,
    )
    return both.select(*RECORD, "person_id", status=status, reason=reason)
