"""From landed tables to people and what happened to them: the whole resolution in order."""

from collections.abc import Mapping as Map
from datetime import datetime
from typing import NamedTuple, Protocol

import ibis.expr.types as ir

from config.definition import Definition
from config.mapping import Mapping, People, with_sources
from transforms import events
from transforms.identity import field_history, matching, record_history, survivorship
from transforms.identity.known_records import Known
from transforms.staging import enrichment
from transforms.staging.fields import SourceTables


class TableStore(Protocol):
    """What the engine does for us: keep a table, find connected components, spell addresses."""

    def materialize(self, name: str, table: ir.Table, /) -> ir.Table:
        """Keep a table on the way."""

    def replace_table(self, name: str, table: ir.Table, /) -> ir.Table:
        """Keep a table of the answer."""

    def table_or_none(self, name: str, /) -> ir.Table | None:
        """Return a table of an earlier run, or None before the first run."""

    def append_evolving(self, name: str, rows: ir.Table, /) -> None:
        """Add rows to a table that is never rewritten; it may have more columns than before."""

    def connected_components(self, nodes: ir.Table, edges: ir.Table, /) -> ir.Table:
        """Find connected components: nodes(key), edges(a, b) -> (key, component)."""

    def normalize_emails(self, addresses: ir.Table, /) -> ir.Table:
        """Spell addresses in NFKC: addresses(address) -> (address, normal)."""


class ResolvedTables(NamedTuple):
    """People and their events; `raw_events` also has the activities without a person.

    address_owners: whom each address identifies: address, person_id
    """

    records: ir.Table
    people: ir.Table
    field_since: ir.Table
    events: ir.Table
    raw_events: ir.Table
    address_owners: ir.Table


def resolve(
    mappings: Map[str, Mapping],
    landed: SourceTables,
    config: People,
    definition: Definition,
    *,
    as_of: datetime,
    known_before: Known,
    table_store: TableStore,
) -> ResolvedTables:
    """Find the people behind the records of all CRMs, and assign them what happened.

    `known_before` is the state of the last run: what it joined stays joined.
    What changed since the run before is added to `record_history`, seen at `as_of`.

    Source: docs/people.md.
    """
    read = table_store.materialize("records_read", matching.read_records(mappings, landed, config))
    happened = table_store.materialize("happenings_read", events.raw_events(mappings, landed))
    spelling = table_store.normalize_emails(matching.non_ascii_emails(read, happened))
    known = matching.records(
        read,
        mappings,
        landed,
        config,
        known_before,
        normalized_emails=spelling,
        connected_components=table_store.connected_components,
        materialize=table_store.materialize,
    )
    known = table_store.materialize("records_known", known)
    changed = record_history.new_versions(
        known,
        mappings,
        config,
        history=table_store.table_or_none("record_history"),
        previous_records=table_store.table_or_none("records"),
        as_of=as_of,
    )
    # before `records`: a run that is killed in between finds these versions kept, and adds none
    table_store.append_evolving("record_history", table_store.materialize("versions", changed))
    known = table_store.replace_table("records", known)
    happened = table_store.materialize(
        "happenings", matching.normalize_column(happened, "who", normalized_emails=spelling)
    )
    owners = table_store.materialize(
        "address_owners",
        matching.address_owners(known, config, known_before, normalized_emails=spelling),
    )
    names = table_store.materialize("identities", matching.event_identities(known, owners))
    placed = table_store.replace_table(
        "events", events.events(happened, names, definition, materialize=table_store.materialize)
    )
    persons = enrichment.enrich(survivorship.people(known, placed, config), config)
    asked = definition.fields()
    told = field_history.field_history(mappings, landed, config, with_sources(asked))
    told = table_store.replace_table("field_history", told)
    since = survivorship.field_since(known, told.filter(told.until.isnull()), config, asked)
    return ResolvedTables(
        known,
        table_store.replace_table("people", persons),
        table_store.replace_table("field_since", since),
        placed,
        happened,
        owners,
    )
