"""What puts back what a run replaced: its changes the other way round, where they still stand."""

from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.lifecycle_columns import RANKED_COLUMNS
from config.mapping import Mapping
from models import Catalog, Field
from transforms.planning.crm_values import raw_text, rule_hash, still_equals, to_crm_text
from transforms.planning.foreign import UNDO
from transforms.planning.holds import RECORD_KEY, Materialize
from transforms.planning.plan import Plan
from transforms.staging.fields import SourceTables

CHANGED_AFTER_RUN = "changed_after_run"
"""Why a field is not put back: it no longer holds what the run wrote."""

NOT_MAPPED = "not_mapped"
"""Why a field is not restored: the mapping no longer writes it, so its value is not read."""

NOT_IN_RUN = "not_in_run"


def undo(
    written: ir.Table,
    records: ir.Table,
    landed: SourceTables,
    mappings: Map[str, Mapping],
    catalogs: Map[str, Catalog],
    *,
    materialize: Materialize,
) -> Plan:
    """Plan to write `before` back in every field that still holds `after`.

    In:     written(crm, object, record_id, person_id, field, before, after, backward, status): what
            the run wrote, or (status unknown) may have; `records` as they are known; the landed
            tables that hold what was observed
    Out:    a plan like any other; `held` lists the fields that changed since, and those that are no
            longer written at all
    """
    live = records.filter(~records.deleted).select(*RECORD_KEY, "person_id")
    written = materialize("undo_written", written.semi_join(live, RECORD_KEY))
    compared = [_unmapped(written, mappings)] + [
        _compared(written, crm, object, name, mapping, landed, catalogs[crm])
        for crm, mapping in mappings.items()
        for object, fields in mapping.write.items()
        for name in fields
    ]
    both = materialize("undo", ibis.union(*compared))
    changes = both.filter(both.hold_reason.isnull(), ~both.crm_value.identical_to(both.after))
    changes = materialize("plan_changes", changes.drop("crm_value", "hold_reason"))
    held = materialize("plan_held", both.filter(both.hold_reason.notnull()))
    return Plan(changes, held, materialize("plan_verdicts", _record_statuses(live, changes, held)))


def _unmapped(written: ir.Table, mappings: Map[str, Mapping]) -> ir.Table:
    """What the run wrote into fields that the mapping no longer has, so that they are not read."""
    named = [
        f"{crm}:{object}:{name}"
        for crm, mapping in mappings.items()
        for object, fields in mapping.write.items()
        for name in fields
    ]
    name = written.crm + ":" + written.object + ":" + written.field
    gone = written.filter(~name.isin(named), written.status == "written")
    return _plan_rows(gone, crm_value=ibis.null("string"), hold_reason=ibis.literal(NOT_MAPPED))


def _compared(
    written: ir.Table,
    crm: str,
    object: str,
    name: str,
    mapping: Mapping,
    landed: SourceTables,
    catalog: Catalog,
) -> ir.Table:
    """Hold what the run wrote into one field against what the field holds now."""
    field, write = catalog[object][name], mapping.write[object][name]
    table = landed[crm][object]
    seen = table.select(seen_id=table[mapping.system_fields.id].cast("string"), seen=table[name])
    mine = written.filter(written.crm == crm, written.object == object, written.field == name)
    both = mine.join(seen, mine.record_id == seen.seen_id)
    is_ours = still_equals(both.seen, both.after, field)
    # no response, and the field had to be cleared first: the run ended after the clear
    was_emptied = (
        (both.status == "unknown") & both.backward & to_crm_text(both.seen, field).isnull()
    )
    both = both.filter((both.status == "written") | was_emptied)
    return _plan_rows(
        both,
        crm_value=to_crm_text(both.seen, field),
        hold_reason=(is_ours | was_emptied).ifelse(
            ibis.null("string"), ibis.literal(CHANGED_AFTER_RUN)
        ),
        before=raw_text(both.seen),
        after=_as_written(both.before, field),
        # to put an earlier stage back it has to be emptied first, whatever its rank
        backward=ibis.literal(write.backward == "clear_first"),
        clear_first=ibis.literal(write.backward == "clear_first"),
        is_stage=ibis.literal(write.from_ in RANKED_COLUMNS),
        rule_hash=ibis.literal(rule_hash(write, field)),
    )


def _plan_rows(
    both: ir.Table, *, crm_value: ir.Value, hold_reason: ir.StringValue, **known: ir.Value
) -> ir.Table:
    """A row of a plan; columns without a value are those of a field that is not read."""
    unread = {
        "before": ibis.null("string"),
        "after": both.before,
        "backward": ibis.literal(False),
        "clear_first": ibis.literal(False),
        "is_stage": ibis.literal(False),
        "rule_hash": ibis.null("string"),
    }
    return both.select(
        *RECORD_KEY,
        "person_id",
        "field",
        crm_value=crm_value,
        hold_reason=hold_reason,
        reason=ibis.literal(UNDO) + both.run_id,
        was_overwritten=ibis.literal(False),
        **(unread | known),
    )


def _as_written(value: ir.StringValue, field: Field) -> ir.StringValue:
    """What stood there before, in the digits of a second that CRMs take."""
    if field.type == "datetime":
        return value.re_replace(r"(\.\d{3})\d+Z$", r"\1Z")
    return value


def _record_statuses(live: ir.Table, changes: ir.Table, held: ir.Table) -> ir.Table:
    planned = changes.select(*RECORD_KEY).distinct().mutate(is_planned=ibis.literal(True))
    left = held.group_by(*RECORD_KEY).aggregate(hold_reason=held.hold_reason.min())
    both = live.left_join(planned, RECORD_KEY).drop(f"{name}_right" for name in RECORD_KEY)
    both = both.left_join(left, RECORD_KEY)
    status = ibis.cases(
        (both.is_planned.notnull(), "planned"),
        (both.hold_reason.notnull(), "held"),
        else_="excluded",
    )
    reason = ibis.cases(
        (both.is_planned.notnull(), ""),
        (both.hold_reason.notnull(), both.hold_reason),
        else_=NOT_IN_RUN,
    )
    return both.select(*RECORD_KEY, "person_id", status=status, reason=reason)
