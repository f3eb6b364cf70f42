"""Who is who: every record of every CRM, and the person it stands for."""

from collections.abc import Iterable
from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from config.mapping import Mapping, People
from transforms.identity.email_joins import ConnectedComponents, Materialize, join_by_email
from transforms.identity.known_records import Known
from transforms.staging.canonical import map_value, null_of
from transforms.staging.fields import (
    SourceTables,
    as_text,
    column_name,
    matches,
    record_key,
    rows_with_parents,
    split_values,
)


def read_records(mappings: Map[str, Mapping], landed: SourceTables, people: People) -> ir.Table:
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


def non_ascii_emails(source_records: ir.Table, raw_events: ir.Table) -> ir.Table:
    """The addresses with characters beyond ASCII, which may be spelt in several ways: address.

    In:     read as `read_records` gives it, happened(who) as `events.happenings` does
    """
    address = (
        record_emails(source_records)
        .select("address")
        .union(raw_events.select(address=raw_events.who))
    )
    return address.filter(address.address.re_search("[^ -~]")).select("address").distinct()


def records(
    source_records: ir.Table,
    mappings: Map[str, Mapping],
    landed: SourceTables,
    people: People,
    known: Known,
    *,
    normalized_emails: ir.Table,
    connected_components: ConnectedComponents,
    materialize: Materialize,
) -> ir.Table:
    """Say which person each record stands for.

    In:     read as `read_records` gives it; spelling(address, normal): the NFKC form of the
            addresses `odd_addresses` named; known: the state of the last run
    Out:    read, with person_id (the key of the person's oldest record), linked_id (the same for
            the records that links alone join) and email_match_ok boolean (FALSE: not joined by
            address, for the group would be too large)
    Source: docs/people.md, "One person".
    """
    merged = materialize(
        "merged", _with_full_keys(merged_records(mappings, landed), source_records)
    )
    links = materialize(
        "record_links", _with_full_keys(_links(mappings, landed), source_records).union(merged)
    )
    keys = ibis.union(source_records.select("key"), links.select(key="a"), links.select(key="b"))
    linked = materialize("linked", connected_components(keys.distinct(), links))
    joined = join_by_email(
        identifying_emails(source_records, people, normalized_emails=normalized_emails),
        linked,
        source_records,
        known.records,
        max_size=people.max_cluster_size,
        connected_components=connected_components,
        materialize=materialize,
    )
    # what was merged away answers under its new id: no one writes to it any more
    gone = merged.select(gone=merged.b).distinct()
    both = source_records.left_join(gone, source_records.key == gone.gone)
    source_records = both.mutate(deleted=both.deleted | both.gone.notnull()).drop("gone")
    placed = source_records.join(joined, "key")
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
    record, columns = mapping.records[object], mapping.system_fields
    table = rows_with_parents(mapping, landed, object)
    id = table[columns.id].cast("string")
    fields = {}
    for name, field in people.fields.items():
        read = record.fields.get(name)
        fields[name] = (
            null_of(field)
            if read is None
            else map_value(table[column_name(read.field)], name, read, field)
        )
    more = record.additional_emails
    return table.select(
        key=record_key(crm, object, id),
        short_key=record_key(crm, object, _short_id(id, mapping)),
        crm=ibis.literal(crm),
        object=ibis.literal(object),
        record_id=id,
        created_at=table[columns.created_at].cast("timestamp(6)"),
        updated_at=table[columns.updated_at].cast("timestamp(6)"),
        deleted=table[columns.deleted].fill_null(False),
        read_only=matches(table, record.read_only) if record.read_only else ibis.literal(False),
        additional_emails=as_text(table[more]).lower() if more else ibis.null("string"),
        **fields,
    )


def _links(mappings: Map[str, Mapping], landed: SourceTables) -> ir.Table:
    """Which records name which others by id: a, b (keys)."""
    return _edges(
        _link_edges(crm, object, mappings, landed[crm], field, target)
        for crm, mapping in mappings.items()
        for object in mapping.records
        for field, target in mapping.links_of(object).items()
        if target.partition(".")[0] in mappings  # a CRM without a mapping file is off
    )


def merged_records(mappings: Map[str, Mapping], landed: SourceTables) -> ir.Table:
    """Which records took in which others: a, and b that is gone (keys)."""
    return _edges(
        _link_edges(crm, object, mappings, landed[crm], record.merged_ids, f"{crm}.{object}")
        for crm, mapping in mappings.items()
        for object, record in mapping.records.items()
        if record.merged_ids is not None
    )


def _edges(listed: Iterable[ir.Table]) -> ir.Table:
    # from Arrow: Ibis needs pandas for a memtable of a dict
    empty = ibis.memtable(pa.table({"a": [""], "b": [""]}))
    return ibis.union(empty.filter(ibis.literal(False)), *listed)


def _link_edges(
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
    named = table.select(id=table[mappings[crm].system_fields.id], other=split_values(table[field]))
    named = named.filter(named.other.notnull()).unnest("other")
    other = _short_id(as_text(named.other), mappings[to_crm])
    edges = named.select(
        a=record_key(crm, object, named.id), b=record_key(to_crm, to_object, other)
    )
    return edges.filter(edges.b.notnull())


def _short_id(id: ir.StringValue, mapping: Mapping) -> ir.StringValue:
    """The part of an id that identifies the record: Salesforce writes 15 or 18 characters."""
    characters = mapping.system_fields.id_match_length
    return id if characters is None else id.left(characters)


def _with_full_keys(edges: ir.Table, read: ir.Table) -> ir.Table:
    """Put the key of the record in place of a short one; what is no record stays as it is."""
    known = read.select("short_key", full=read.key)
    both = edges.left_join(known, edges.b == known.short_key)
    both = both.select("a", b=both.full.fill_null(both.b))
    return both.filter(both.a != both.b)


def record_emails(source_records: ir.Table) -> ir.Table:
    """Every address of every record: key, address (lower case)."""
    own = source_records.select("key", address=source_records.email)
    more = source_records.select("key", address=split_values(source_records.additional_emails))
    more = more.filter(more.address.notnull()).unnest("address")
    both = own.union(more.select("key", address=as_text(more.address)))
    return both.filter(both.address.notnull())


def normalize_column(table: ir.Table, column: str, *, normalized_emails: ir.Table) -> ir.Table:
    """Spell the addresses of a column in one way, so that equal ones are equal text."""
    spelt = normalized_emails.select(odd=normalized_emails.address, normal=normalized_emails.normal)
    both = table.left_join(spelt, table[column] == spelt.odd)
    one_way = both.normal.lower().fill_null(both[column])
    return both.mutate(**{column: one_way}).drop("odd", "normal")


def identifying_emails(
    source_records: ir.Table, people: People, *, normalized_emails: ir.Table
) -> ir.Table:
    """The addresses that identify one person, in one spelling: key, address."""
    both = normalize_column(
        record_emails(source_records), "address", normalized_emails=normalized_emails
    )
    return both.filter(~_is_role(both, people))


def address_owners(
    records: ir.Table, people: People, known: Known, *, normalized_emails: ir.Table
) -> ir.Table:
    """Whom each address identifies: address, person_id.

    Of several people who share an address it stays with the one whose it was in the last run; a
    record that claims it later does not take it. Where no person had it, the oldest record has
    it, and a role address (info@) identifies none of them.
    """
    claims = normalize_column(
        record_emails(records), "address", normalized_emails=normalized_emails
    ).join(records.select("key", "person_id", "created_at"), "key")
    before = known.records.select(before_key="key", person_before="person_id")
    claims = claims.left_join(before, claims.key == before.before_key)
    had = known.addresses.select(had="address", had_by="person_id")
    claims = claims.left_join(had, [claims.address == had.had, claims.person_before == had.had_by])
    claims = claims.mutate(was_theirs=claims.had.notnull(), is_role=_is_role(claims, people))
    of_address = ibis.window(group_by=claims.address)
    first, last = (
        ends.over(of_address) for ends in (claims.person_id.min(), claims.person_id.max())
    )
    nth = ibis.row_number().over(
        group_by=claims.address,
        order_by=[claims.was_theirs.desc(), claims.created_at, claims.key],
    )
    ranked = claims.mutate(nth=nth, is_shared=first != last)
    owned = ranked.filter(ranked.nth == 0, ranked.was_theirs | ~ranked.is_role | ~ranked.is_shared)
    return owned.select("address", "person_id")


def event_identities(records: ir.Table, owners: ir.Table) -> ir.Table:
    """By what an event may name a person: who (a record's key or an address), person_id.

    In:     owners(address, person_id) as `address_owners` gives it
    """
    by_key = records.select("person_id", who=records.key)
    return by_key.union(owners.select("person_id", who=owners.address))


def _is_role(table: ir.Table, people: People) -> ir.BooleanValue:
    return table.address.split("@")[0].isin([name.lower() for name in people.role_addresses])
