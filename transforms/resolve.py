"""From landed tables to people and what happened to them: the whole resolution in order."""

from collections.abc import Mapping as Map
from typing import NamedTuple, Protocol

import ibis.expr.types as ir

from transforms import enrich, events, people, records
from transforms.definition import Definition
from transforms.mapping import Mapping, People
from transforms.rows import Landed


class Tools(Protocol):
    """What the engine does for us: keep a table, find connected components, spell addresses."""

    def step(self, name: str, table: ir.Table, /) -> ir.Table:
        """Keep a table on the way."""

    def store(self, name: str, table: ir.Table, /) -> ir.Table:
        """Keep a table of the answer."""

    def cluster(self, nodes: ir.Table, edges: ir.Table, /) -> ir.Table:
        """Find connected components: nodes(key), edges(a, b) -> (key, component)."""

    def spelling(self, addresses: ir.Table, /) -> ir.Table:
        """Spell addresses in NFKC: addresses(address) -> (address, normal)."""


class Resolved(NamedTuple):
    """Who there is and what happened; `happenings` also holds what led to nobody."""

    records: ir.Table
    people: ir.Table
    field_since: ir.Table
    events: ir.Table
    happenings: ir.Table


def resolve(
    mappings: Map[str, Mapping],
    landed: Landed,
    config: People,
    definition: Definition,
    *,
    tools: Tools,
) -> Resolved:
    """Find the people behind the records of all CRMs, and assign them what happened.

    Source: docs/people.md.
    """
    read = tools.step("records_read", records.read_records(mappings, landed, config))
    happened = tools.step("happenings_read", events.happenings(mappings, landed))
    spelling = tools.spelling(records.odd_addresses(read, happened))
    known = records.records(
        read, mappings, landed, config, spelling=spelling, cluster=tools.cluster, store=tools.step
    )
    known = tools.store("records", known)
    happened = tools.step("happenings", records.respelt(happened, "who", spelling=spelling))
    names = tools.step("identities", records.identities(known, spelling=spelling))
    placed = tools.store("events", events.events(happened, names, definition, store=tools.step))
    persons = enrich.enrich(people.people(known, placed, config), config)
    since = people.field_since(known, mappings, landed, config, definition.fields())
    return Resolved(
        known,
        tools.store("people", persons),
        tools.store("field_since", since),
        placed,
        happened,
    )
