"""Which records an e-mail address joins, and why a stranger's record cannot undo it."""

from collections.abc import Callable

import ibis
import ibis.expr.types as ir

ConnectedComponents = Callable[[ir.Table, ir.Table], ir.Table]
"""Finds connected components: nodes(key), edges(a, b) -> (key, component)."""

Materialize = Callable[[str, ir.Table], ir.Table]


def join_by_email(
    addresses: ir.Table,
    linked: ir.Table,
    source_records: ir.Table,
    known_records: ir.Table,
    *,
    max_size: int,
    connected_components: ConnectedComponents,
    materialize: Materialize,
) -> ir.Table:
    """Join the groups that links made where they share an address, up to `max_size` records.

    Where a group would grow larger, the records that were one person in the last run and still
    share an address stay joined, and all others stay out. A group without a record of the last
    run takes its oldest parts in.

    In:     addresses(key, address): those that identify a person; linked(key, component);
            source_records(key, created_at); known_records(key, person_id) of the last run
    Out:    key, component, linked_id (the component before), email_match_ok boolean (FALSE: the
            record stayed out)
    Source: docs/people.md, "One person".
    """
    known = addresses.join(linked, "key").select("key", "address", "component")
    nodes = linked.select(key=linked.component).distinct()
    wider = materialize("wider", connected_components(nodes, _star(known, "address")))
    wider = wider.select(component=wider.key, wide=wider.component)
    both = source_records.select("key", "created_at").join(linked, "key").join(wider, "component")
    sizes = both.group_by("wide").aggregate(count=both.count(), parts=both.component.nunique())
    placed = both.join(sizes, "wide")
    is_too_large = (placed["count"] > max_size) & (placed.parts > 1)
    placed = materialize("placed", placed.mutate(is_too_large=is_too_large))

    crowded = placed.filter(placed.is_too_large).select("key", "created_at", "component", "wide")
    groups = materialize("join_groups", _allowed_groups(crowded, known_records, max_size))
    allowed = known.join(groups, "key").filter(lambda one: one.group.notnull())
    nodes = crowded.select(key=crowded.component).distinct()
    narrower = materialize(
        "narrower", connected_components(nodes, _star(allowed, "address", "group"))
    )
    narrower = narrower.select(component=narrower.key, narrow=narrower.component)
    parts = narrower.group_by("narrow").aggregate(joined=narrower.component.nunique())
    final = placed.left_join(narrower, "component").drop("component_right")
    final = final.left_join(parts, "narrow").drop("narrow_right")
    return final.select(
        "key",
        component=ibis.ifelse(final.is_too_large, final.narrow, final.wide),
        linked_id="component",
        email_match_ok=~final.is_too_large | (final.joined > 1).fill_null(False),
    )


def _star(known: ir.Table, *shared: str) -> ir.Table:
    """Edges(a, b) between the components that have the same values in some columns."""
    hubs = known.group_by(*shared).aggregate(hub=known.component.min())
    edges = known.join(hubs, shared)
    edges = edges.filter(edges.component != edges.hub)
    return edges.select(a=edges.component, b=edges.hub).distinct()


def _allowed_groups(crowded: ir.Table, known_records: ir.Table, max_size: int) -> ir.Table:
    """Within which group each record of a too large one may be joined: key, group (NULL: none).

    Where some of its records are known, that is the person of the last run; else it is the whole
    group for its oldest parts: as many as fit into `max_size`.
    """
    before = known_records.select(known_key="key", person_before="person_id")
    both = crowded.left_join(before, crowded.key == before.known_key).drop("known_key")
    has_known = both.person_before.notnull().any().over(ibis.window(group_by=both.wide))
    both = both.mutate(has_known=has_known)
    parts = both.group_by("wide", "component").aggregate(
        size=both.count(), born=both.created_at.min(), first=both.key.min()
    )
    in_order = ibis.cumulative_window(group_by=parts.wide, order_by=[parts.born, parts["first"]])
    fits = parts.mutate(fits=parts["size"].sum().over(in_order) <= max_size)
    both = both.join(fits.select("component", "fits"), "component")
    oldest = ibis.ifelse(both.fits, both.wide, ibis.null("string"))
    return both.select("key", group=ibis.ifelse(both.has_known, both.person_before, oldest))
