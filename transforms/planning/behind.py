"""Whether a CRM has newer values of ours than the journal knows: then the warehouse is behind.

It was restored from a backup or copied, or another installation writes into the same account.
"""

from collections.abc import Mapping as Map
from datetime import timedelta

import ibis
import ibis.expr.types as ir

from config.lifecycle_columns import RANKED_COLUMNS
from config.mapping import Mapping
from models import Catalog
from transforms.planning.crm_values import to_crm_text
from transforms.planning.foreign import with_foreign
from transforms.planning.holds import FIELD_KEY, RECORD_KEY
from transforms.staging.fields import SourceTables

CLOCK_TOLERANCE = timedelta(minutes=10)
"""By how much the clock of a CRM may differ from ours, and an outcome be later than its write."""

MAX_SUSPECTS = 100
"""Records per CRM and record type whose writers are asked for: one is enough."""

MAX_OWN = 20
"""Records per CRM and record type whose history shows by which name a CRM knows us."""

WRITERS = ibis.schema(
    dict.fromkeys((*FIELD_KEY, "value", "writer"), "string")
    | {"is_own": "boolean", "at": "timestamp(6)"}
)
"""`models.ValueWriter` with CRM and record type."""

_VALUES = ibis.schema(
    dict.fromkeys((*FIELD_KEY, "crm_value"), "string")
    | {"updated_at": "timestamp(6)", "last_at": "timestamp(6)"}
)


def suspects(
    landed: SourceTables,
    mappings: Map[str, Mapping],
    catalogs: Map[str, Catalog],
    attempts: ir.Table,
) -> ir.Table:
    """Find the values that no run wrote, in records modified after the last write of the journal.

    Of the fields that only onefunnel computes, such as the score: a stage is set by people and by
    other programs too, some of them with our login.

    In:     the landed tables; attempts as in `WriteHistory`
    Out:    crm, object, record_id, field, updated_at, last_at: the last write into the CRM that the
            journal knows; no row for a CRM without one
    """
    sent = attempts.filter(attempts.status.isin(["written", "unknown"]))
    last = sent.group_by("crm").aggregate(last_at=sent["at"].max())
    values = [
        _values(crm, object, name, landed, mapping, catalogs[crm], last)
        for crm, mapping in mappings.items()
        for object, fields in mapping.write.items()
        for name, write in fields.items()
        if write.from_ not in RANKED_COLUMNS
    ]
    nothing = ibis.memtable(_VALUES.to_pyarrow().empty_table())
    dated = with_foreign(ibis.union(nothing, *values), attempts)
    return dated.filter(dated.is_foreign).drop("is_foreign", "crm_value")


def _values(
    crm: str,
    object: str,
    name: str,
    landed: SourceTables,
    mapping: Mapping,
    catalog: Catalog,
    last: ir.Table,
) -> ir.Table:
    """The values of one written field in the live records that were modified later."""
    table, system = landed[crm][object], mapping.system_fields
    seen = table.filter(~table[system.deleted].fill_null(False)).mutate(
        seen_crm=ibis.literal(crm), seen_at=lambda t: t[system.updated_at].cast("timestamp(6)")
    )
    late = seen.inner_join(last, seen.seen_crm == last.crm)
    late = late.filter(late.seen_at > late.last_at + ibis.interval(CLOCK_TOLERANCE))
    return late.select(
        crm="seen_crm",
        object=ibis.literal(object),
        record_id=late[system.id].cast("string"),
        field=ibis.literal(name),
        crm_value=to_crm_text(late[name], catalog[object][name]),
        updated_at="seen_at",
        last_at="last_at",
    )


def records_to_ask(suspects: ir.Table, attempts: ir.Table) -> ir.Table:
    """Choose the records whose writers are asked for: the newest suspects, and the last written.

    The history of the latter shows who we are. Without a suspect there is none to ask for.

    Out: crm, object, record_id
    """
    newest = suspects.group_by(*RECORD_KEY).aggregate(at=suspects.updated_at.max())
    written = attempts.filter(attempts.status == "written")
    written = written.group_by(*RECORD_KEY).aggregate(at=written["at"].max())
    written = written.semi_join(suspects, ["crm", "object"])
    return _newest(newest, MAX_SUSPECTS).union(_newest(written, MAX_OWN), distinct=True)


def _newest(records: ir.Table, count: int) -> ir.Table:
    nth = ibis.row_number().over(
        group_by=["crm", "object"], order_by=[ibis.desc("at"), "record_id"]
    )
    return records.mutate(nth=nth).filter(lambda t: t.nth < count).select(*RECORD_KEY)


def written_later(suspects: ir.Table, writers: ir.Table, attempts: ir.Table) -> ir.Table:
    """Count the suspects that were written by us: by our user, or by the app we write as.

    Where a CRM does not say who we are, the values that the journal knows show it. Where it
    remembers the last writer of a whole record only, that one counts for each of its fields.

    In:     suspects as above; writers: `WRITERS`; attempts as in `WriteHistory`
    Out:    crm, values, last_at
    """
    known = _own_names(writers, attempts)
    own = writers.left_join(known, ["crm", "writer"]).drop("crm_right", "writer_right")
    own = own.mutate(is_ours=own.is_own.fill_null(own.is_known.fill_null(False)))
    newest = ibis.row_number().over(group_by=FIELD_KEY, order_by=ibis.desc("at"))
    last = own.mutate(nth=newest).filter(lambda t: t.nth == 0)
    last = last.filter(last.is_ours).select(*RECORD_KEY, of_field="field", written_at=last["at"])
    both = suspects.inner_join(last, RECORD_KEY)
    is_field = (both.of_field == both.field).fill_null(True)
    later = both.filter(is_field, both.written_at > both.last_at + ibis.interval(CLOCK_TOLERANCE))
    return later.group_by("crm").aggregate(values=later.count(), last_at=later.last_at.max())


def _own_names(writers: ir.Table, attempts: ir.Table) -> ir.Table:
    """The writers of values that the journal knows: crm, writer, is_known."""
    written = attempts.filter(attempts.status == "written")
    written = written.select(*FIELD_KEY, value="after", wrote_at=written["at"])
    both = writers.inner_join(written, [*FIELD_KEY, "value"])
    apart = ibis.interval(CLOCK_TOLERANCE)
    is_same = both["at"].between(both.wrote_at - apart, both.wrote_at + apart)
    return both.filter(is_same).select("crm", "writer").distinct().mutate(is_known=True)
