"""Who is in no CRM any more in any form, and which landed rows still tell of them."""

from collections.abc import Collection, Iterator
from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.mapping import Mapping
from transforms.identity.matching import addresses
from transforms.staging.fields import as_text


def known(kept: ir.Table, before: ir.Table, mappings: Map[str, Mapping]) -> ir.Table:
    """Every record of the kinds that are mapped which some run has seen: key, crm, object, id.

    In:     kept: `record_history`; before: the `records` of the run before
    """
    columns = ("key", "crm", "object")
    seen = kept.select(*columns).union(before.select(*columns)).distinct()
    kinds = [
        (seen.crm == crm) & (seen.object == object)
        for crm, mapping in mappings.items()
        for object in mapping.records
    ]
    seen = seen.filter(ibis.or_(*kinds))
    return seen.mutate(id=seen.key.substr(seen.crm.length() + seen.object.length() + 2))


def erased(seen: ir.Table, read: ir.Table, merged: ir.Table) -> ir.Table:
    """Those of `seen` that are neither live, nor deleted, nor merged into another.

    In:     seen as `known` gives it; read, merged(a, b) as `records` gives them
    """
    return seen.anti_join(read, "key").anti_join(merged.select(key=merged.b), "key")


def addresses_of(gone: ir.Table, kept: ir.Table, before: ir.Table, read: ir.Table) -> ir.Table:
    """The addresses of those who are gone that nobody else of their CRM has: crm, address."""
    own = kept.select("key", address=as_text(kept.email).lower())
    theirs = own.union(addresses(before)).filter(lambda one: one.address.notnull())
    theirs = theirs.join(gone.select("key", "crm"), "key").select("crm", "address").distinct()
    others = addresses(read).join(read.select("key", "crm"), "key")
    return theirs.anti_join(others, ["crm", "address"])


def traces(
    crm: str,
    mapping: Mapping,
    landed: Map[str, ir.Table],
    logs: Collection[str],
    *,
    gone: ir.Table,
    owned: ir.Table,
) -> Iterator[tuple[str, ir.Table]]:
    """Give objects, each with the values of one column by which its rows tell of who is gone.

    `logs` are the objects whose rows a CRM does not count, so that nobody misses what it erased;
    owned(crm, address) as `addresses_of` gives it.
    """
    for object, history in mapping.histories():
        ids = gone.filter(gone.crm == crm, gone.object == object).id
        yield history.object, _naming(landed[history.object], history.record, ids)
    for object in logs:
        source = mapping.objects.get(object)
        for column, targets in source.people.items() if source is not None else ():
            for target in targets if "." not in column else ():
                mine = gone.filter(gone.crm == crm, gone.object == target).id
                names = owned.filter(owned.crm == crm).address if target == "email" else mine
                yield object, _naming(landed[object], column, names)


def _naming(table: ir.Table, column: str, names: ir.StringColumn) -> ir.Table:
    text = as_text(table[column])
    is_named = text.isin(names) | text.lower().isin(names)
    return table.filter(is_named).select(column).distinct()
