"""What became of changes that nobody answered for: the CRM, read anew, shows it."""

from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.mapping import Mapping
from models import Catalog, Field
from transforms.planning.crm_values import is_still
from transforms.planning.holds import RECORD
from transforms.staging.fields import Landed


def found_written(
    unanswered: ir.Table,
    landed: Landed,
    mappings: Map[str, Mapping],
    catalogs: Map[str, Catalog],
) -> ir.Table:
    """Find the records that show all that was to be written: a record is written whole or not.

    In:     unanswered(run_id, crm, object, record_id, field, after)
    Out:    run_id, crm, object, record_id
    """
    shown = [
        _shown(
            unanswered.filter(
                unanswered.crm == crm, unanswered.object == object, unanswered.field == name
            ),
            landed[crm][object].select(mapping.columns.id, name),
            catalogs[crm][object][name],
        )
        for crm, mapping in mappings.items()
        for object, fields in mapping.write.items()
        for name in fields
    ]
    key = ("run_id", *RECORD)
    asked = unanswered.group_by(*key).aggregate(asked=unanswered.count())
    there = ibis.union(*shown) if len(shown) > 1 else shown[0]
    there = there.group_by(*key).aggregate(there=there.count())
    both = asked.inner_join(there, key)
    return both.filter(both.there == both.asked).select(*key)


def _shown(unanswered: ir.Table, table: ir.Table, field: Field) -> ir.Table:
    """The records that show what was to be written into one field; `table` is its key and it."""
    key, name = table.columns
    seen = table.select(seen_id=table[key].cast("string"), seen=table[name])
    both = unanswered.join(seen, unanswered.record_id == seen.seen_id)
    return both.filter(is_still(both.seen, both.after, field)).select("run_id", *RECORD)
