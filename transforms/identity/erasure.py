"""Records that no longer exist in any form in their CRM, and the landed rows about them."""

from collections.abc import Collection, Iterator
from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.mapping import Mapping
from transforms.identity.matching import record_emails
from transforms.staging.fields import as_text


def seen_records(
    record_history: ir.Table, previous_records: ir.Table, mappings: Map[str, Mapping]
) -> ir.Table:
    """Every record of the kinds that are mapped which some run has seen: key, crm, object, id.

    In:     kept: `record_history`; before: the `records` of the run before
    """
    columns = ("key", "crm", "object")
    seen = record_history.select(*columns).union(previous_records.select(*columns)).distinct()
    kinds = [
        (seen.crm == crm) & (seen.object == object)
        for crm, mapping in mappings.items()
        for object in mapping.records
    ]
    seen = seen.filter(ibis.or_(*kinds))
    return seen.mutate(id=seen.key.substr(seen.crm.length() + seen.object.length() + 2))


def erased_records(seen: ir.Table, source_records: ir.Table, merged_keys: ir.Table) -> ir.Table:
    """Those of `seen` that are neither live, nor deleted, nor merged into another.

    In:     seen as `known` gives it; read, merged(a, b) as `records` gives them
    """
    return seen.anti_join(source_records, "key").anti_join(
        merged_keys.select(key=merged_keys.b), "key"
    )


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
