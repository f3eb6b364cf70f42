"""The landed rows about records that were deleted for good in their CRM."""

from collections.abc import Collection, Iterator
from collections.abc import Mapping as Map

import ibis.expr.types as ir

from config.mapping import Mapping
from transforms.identity.matching import record_emails
from transforms.staging.fields import as_text


def erased_emails(
    erased_rows: ir.Table,
    record_history: ir.Table,
    previous_records: ir.Table,
    source_records: ir.Table,
) -> ir.Table:
    """The addresses of erased records that no other record of the CRM has: crm, address."""
    own = record_history.select("key", address=as_text(record_history.email).lower())
    theirs = own.union(record_emails(previous_records)).filter(lambda one: one.address.notnull())
    theirs = (
        theirs.join(erased_rows.select("key", "crm"), "key").select("crm", "address").distinct()
    )
    others = record_emails(source_records).join(source_records.select("key", "crm"), "key")
    return theirs.anti_join(others, ["crm", "address"])


def rows_to_delete(
    crm: str,
    mapping: Mapping,
    landed: Map[str, ir.Table],
    logs: Collection[str],
    *,
    erased_rows: ir.Table,
    owned_emails: ir.Table,
) -> Iterator[tuple[str, ir.Table]]:
    """Return objects, each with the values of one column that identify rows of erased records.

    `logs` are the objects whose rows a CRM does not count, so no row check finds the erased rows;
    owned(crm, address) as `addresses_of` gives it.
    """
    for object, history in mapping.histories():
        ids = erased_rows.filter(erased_rows.crm == crm, erased_rows.object == object).id
        yield history.object, _matching_values(landed[history.object], history.record, ids)
    for object in logs:
        source = mapping.objects.get(object)
        for column, targets in source.person_keys.items() if source is not None else ():
            for target in targets if "." not in column else ():
                mine = erased_rows.filter(erased_rows.crm == crm, erased_rows.object == target).id
                names = (
                    owned_emails.filter(owned_emails.crm == crm).address
                    if target == "email"
                    else mine
                )
                yield object, _matching_values(landed[object], column, names)


def _matching_values(table: ir.Table, column: str, names: ir.StringColumn) -> ir.Table:
    text = as_text(table[column])
    is_named = text.isin(names) | text.lower().isin(names)
    return table.filter(is_named).select(column).distinct()
