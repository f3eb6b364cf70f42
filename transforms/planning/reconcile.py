"""Settle changes without a response: the landed values show what was written."""

from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.mapping import Mapping
from models import Catalog, Field
from transforms.planning.crm_values import still_equals
from transforms.planning.holds import RECORD_KEY
from transforms.staging.fields import SourceTables


def find_applied(
    unknown_outcomes: ir.Table,
    landed: SourceTables,
    mappings: Map[str, Mapping],
    catalogs: Map[str, Catalog],
) -> ir.Table:
    """Find the records that show all that was to be written: a record is written whole or not.

    In:     unanswered(run_id, crm, object, record_id, field, after)
    Out:    run_id, crm, object, record_id
    """
    shown = [
        _shown(
            unknown_outcomes.filter(
                unknown_outcomes.crm == crm,
                unknown_outcomes.object == object,
                unknown_outcomes.field == name,
            ),
            landed[crm][object].select(mapping.system_fields.id, name),
            catalogs[crm][object][name],
        )
        for crm, mapping in mappings.items()
        for object, fields in mapping.write.items()
        for name in fields
    ]
    key = ("run_id", *RECORD_KEY)
    asked = unknown_outcomes.group_by(*key).aggregate(asked=unknown_outcomes.count())
    there = ibis.union(*shown) if len(shown) > 1 else shown[0]
    there = there.group_by(*key).aggregate(there=there.count())
    both = asked.inner_join(there, key)
    return both.filter(both.there == both.asked).select(*key)


def _shown(unanswered: ir.Table, table: ir.Table, field: Field) -> ir.Table:
    """The records that show what was to be written into one field; `table` is its key and it."""
    key, name = table.columns
    seen = table.select(seen_id=table[key].cast("string"), seen=table[name])
    both = unanswered.join(seen, unanswered.record_id == seen.seen_id)
    return both.filter(still_equals(both.seen, both.after, field)).select("run_id", *RECORD_KEY)
