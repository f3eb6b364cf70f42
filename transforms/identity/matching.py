"""Who is who: every record of every CRM, and the person it stands for."""

from collections.abc import Callable, Iterable
from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.mapping import Mapping, People
from transforms.staging.canonical import canonical, missing
from transforms.staging.fields import Landed, as_text, column, fits, record_key, rows, words

Cluster = Callable[[ir.Table, ir.Table], ir.Table]
"""Finds connected components: nodes(key), edges(a, b) -> (key, component)."""

Store = Callable[[str, ir.Table], ir.Table]


def read_records(mappings: Map[str, Mapping], landed: Landed, people: People) -> ir.Table:
    """Line up the records of all CRMs in canonical terms.

    Out:    key string (crm:object:record_id), crm, object, record_id, email, additional_emails
            (joined with ;), created_at, updated_at timestamp, deleted, read_only boolean, and
            every field of `people.yaml` (NULL where this record type does not read it)
    Source: docs/people.md, "Records".
    """
    listed = [
        _of_type(crm, object, mapping, landed[crm], people)
        for crm, mapping in mappings.items()
        for object in mapping.records
    ]
    return ibis.union(*listed) if len(listed) > 1 else listed[0]


def odd_addresses(read: ir.Table, happened: ir.Table) -> ir.Table:
    """The addresses with characters beyond ASCII, which may be spelt in several ways: address.

    In:     read as `read_records` gives it, happened(who) as `events.happenings` does
    """
    address = addresses(read).select("address").union(happened.select(address=happened.who))
    return address.filter(address.address.re_search("[^ -~]")).select("address").distinct()


def records(
    read: ir.Table,
    mappings: Map[str, Mapping],
    landed: Landed,
    people: People,
    *,
    spelling: ir.Table,
    cluster: Cluster,
    store: Store,
) -> ir.Table:
    """Say which person each record stands for.

    In:     read as `read_records` gives it; spelling(address, normal): the NFKC form of the
            addresses `odd_addresses` named
    Out:    read, with person_id (the key of the person's oldest record) and by_email boolean
            (FALSE: a component too large to be joined by address)
    Source: docs/people.md, "One person".
    """
    merged = store("merged", _in_full(merges(mappings, landed), read))
    links = store("record_links", _in_full(_links(mappings, landed), read).union(merged))
    keys = ibis.union(read.select("key"), links.select(key="a"), links.select(key="b"))
    linked = store("linked", cluster(keys.distinct(), links))
    joined = _join_by_email(read, linked, people, spelling=spelling, cluster=cluster, store=store)
    # what was merged away answers under its new id: no one writes to it any more
    gone = merged.select(gone=merged.b).distinct()
    both = read.left_join(gone, read.key == gone.gone)
    read = both.mutate(deleted=both.deleted | both.gone.notnull()).drop("gone")
    placed = read.join(joined, "key")
    oldest = placed.mutate(
        nth=ibis.row_number().over(
            group_by=placed.component, order_by=[placed.created_at, placed.key]
        )
    )
    first = oldest.filter(oldest.nth == 0).select("component", person_id=oldest.key)
    return placed.join(first, "component").drop("component", "short_key")


def _of_type(
    crm: str, object: str, mapping: Mapping, landed: Map[str, ir.Table], people: People
) -> ir.Table:
    record, columns = mapping.records[object], mapping.columns
    table = rows(mapping, landed, object)
    id = table[columns.id].cast("string")
    fields = {}
    for name, field in people.fields.items():
        read = record.fields.get(name)
        fields[name] = (
            missing(field)
            if read is None
            else canonical(table[column(read.field)], name, read, field)
        )
    more = record.additional_emails
    return table.select(
        key=record_key(crm, object, id),
        short_key=record_key(crm, object, _short(id, mapping)),
        crm=ibis.literal(crm),
        object=ibis.literal(object),
        record_id=id,
        created_at=table[columns.created_at].cast("timestamp(6)"),
        updated_at=table[columns.updated_at].cast("timestamp(6)"),
        deleted=table[columns.deleted].fill_null(False),
        read_only=fits(table, record.read_only) if record.read_only else ibis.literal(False),
        additional_emails=as_text(table[more]).lower() if more else ibis.null("string"),
        **fields,
    )


def _links(mappings: Map[str, Mapping], landed: Landed) -> ir.Table:
    """Which records name which others by id: a, b (keys)."""
    return _edges(
        _named(crm, object, mappings, landed[crm], field, target)
        for crm, mapping in mappings.items()
        for object in mapping.records
        for field, target in mapping.links_of(object).items()
    )


def merges(mappings: Map[str, Mapping], landed: Landed) -> ir.Table:
    """Which records took in which others: a, and b that is gone (keys)."""
    return _edges(
        _named(crm, object, mappings, landed[crm], record.merged_ids, f"{crm}.{object}")
        for crm, mapping in mappings.items()
        for object, record in mapping.records.items()
        if record.merged_ids is not None
    )


def _edges(listed: Iterable[ir.Table]) -> ir.Table:
    nobody = ibis.memtable({"a": [""], "b": [""]}, schema={"a": "string", "b": "string"})
    return ibis.union(nobody.filter(ibis.literal(False)), *listed)


def _named(
    crm: str,
    object: str,
    mappings: Map[str, Mapping],
    landed: Map[str, ir.Table],
    field: str,
    target: str,
) -> ir.Table:
    """The records that a column of ids names: a (a key), b (a short key)."""
    table = landed[object]
    to_crm, _, to_object = target.partition(".")
    named = table.select(id=table[mappings[crm].columns.id], other=words(table[field]))
    named = named.filter(named.other.notnull()).unnest("other")
    other = _short(as_text(named.other), mappings[to_crm])
    edges = named.select(
        a=record_key(crm, object, named.id), b=record_key(to_crm, to_object, other)
    )
    return edges.filter(edges.b.notnull())


def _short(id: ir.StringValue, mapping: Mapping) -> ir.StringValue:
    """As much of an id as tells records apart."""
    characters = mapping.columns.id_characters
    return id if characters is None else id.left(characters)


def _in_full(edges: ir.Table, read: ir.Table) -> ir.Table:
    """Put the key of the record in place of a short one; what is no record stays as it is."""
    known = read.select("short_key", full=read.key)
    both = edges.left_join(known, edges.b == known.short_key)
    both = both.select("a", b=both.full.fill_null(both.b))
    return both.filter(both.a != both.b)


def addresses(read: ir.Table) -> ir.Table:
    """Every address of every record: key, address (lower case)."""
    own = read.select("key", address=read.email)
    more = read.select("key", address=words(read.additional_emails))
    more = more.filter(more.address.notnull()).unnest("address")
    both = own.union(more.select("key", address=as_text(more.address)))
    return both.filter(both.address.notnull())


def respelt(named: ir.Table, column: str, *, spelling: ir.Table) -> ir.Table:
    """Spell the addresses of a column in one way, so that equal ones are equal text."""
    spelt = spelling.select(odd=spelling.address, normal=spelling.normal)
    both = named.left_join(spelt, named[column] == spelt.odd)
    one_way = both.normal.lower().fill_null(both[column])
    return both.mutate(**{column: one_way}).drop("odd", "normal")


def identifying(read: ir.Table, people: People, *, spelling: ir.Table) -> ir.Table:
    """The addresses that identify one person, in one spelling: key, address."""
    both = respelt(addresses(read), "address", spelling=spelling)
    local = both.address.split("@")[0]
    if not people.role_addresses:
        return both
    return both.filter(local.notin([name.lower() for name in people.role_addresses]))


def _join_by_email(
    read: ir.Table,
    linked: ir.Table,
    people: People,
    *,
    spelling: ir.Table,
    cluster: Cluster,
    store: Store,
) -> ir.Table:
    """Join components that share an address, unless they would grow too large: key, component."""
    address = identifying(read, people, spelling=spelling)
    known = address.join(linked, "key").select("address", "component")
    star = known.group_by("address").aggregate(hub=known.component.min())
    edges = known.join(star, "address")
    edges = edges.filter(edges.component != edges.hub).select(a=edges.component, b=edges.hub)
    nodes = linked.select(key=linked.component).distinct()
    wider = store("wider", cluster(nodes, edges.distinct()))
    wider = wider.select(component=wider.key, wide=wider.component)
    both = read.select("key").join(linked, "key").join(wider, "component")
    sizes = both.group_by("wide").aggregate(count=both.count(), parts=both.component.nunique())
    judged = both.join(sizes, "wide")
    too_large = (judged["count"] > people.max_records) & (judged.parts > 1)
    return judged.select(
        "key",
        component=ibis.ifelse(too_large, judged.component, judged.wide),
        by_email=~too_large,
    )


def identities(records: ir.Table, *, spelling: ir.Table) -> ir.Table:
    """By what an event may name a person: who (a record's key or an address), person_id.

    An address that several people share names nobody; a role address of one person names them.
    """
    by_key = records.select("person_id", who=records.key)
    address = respelt(addresses(records), "address", spelling=spelling)
    owners = address.join(records.select("key", "person_id"), "key")
    owners = owners.group_by("address").aggregate(
        person_id=owners.person_id.min(), count=owners.person_id.nunique()
    )
    owners = owners.filter(owners["count"] == 1)
    return by_key.union(owners.select("person_id", who=owners.address))
