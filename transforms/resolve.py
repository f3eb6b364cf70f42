"""From landed tables to people and what happened to them: the whole resolution in order."""

from collections.abc import Mapping as Map
from datetime import datetime
from typing import NamedTuple, Protocol

import ibis.expr.types as ir

from config.definition import Definition
from config.mapping import Mapping, People, with_sources
from transforms import events
from transforms.identity import field_history, matching, record_history, survivorship
from transforms.staging import enrichment
from transforms.staging.fields import Landed


class Tools(Protocol):
    """What the engine does for us: keep a table, find connected components, spell addresses."""

    def step(self, name: str, table: ir.Table, /) -> ir.Table:
        """Keep a table on the way."""

    def store(self, name: str, table: ir.Table, /) -> ir.Table:
        """Keep a table of the answer."""

    def kept(self, name: str, /) -> ir.Table | None:
        """Look up a table that an earlier run kept; None where there is none yet."""

    def grow(self, name: str, rows: ir.Table, /) -> None:
        """Add rows to a table that is never rewritten; it may have more columns than before."""

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
    as_of: datetime,
    tools: Tools,
) -> Resolved:
    """Find the people behind the records of all CRMs, and assign them what happened.

    What changed since the run before is added to `record_history`, seen at `as_of`.

    Source: docs/people.md.
    """
    read = tools.step("records_read", matching.read_records(mappings, landed, config))
    happened = tools.step("happenings_read", events.happenings(mappings, landed))
    spelling = tools.spelling(matching.odd_addresses(read, happened))
    known = matching.records(
        read, mappings, landed, config, spelling=spelling, cluster=tools.cluster, store=tools.step
    )
    known = tools.step("records_known", known)
    changed = record_history.versions(
        known,
        mappings,
        config,
        kept=tools.kept("record_history"),
        before=tools.kept("records"),
        as_of=as_of,
    )
    # before `records`: a run that is killed in between finds these versions kept, and adds none
    tools.grow("record_history", tools.step("versions", changed))
    known = tools.store("records", known)
    happened = tools.step("happenings", matching.respelt(happened, "who", spelling=spelling))
    names = tools.step("identities", matching.identities(known, spelling=spelling))
    placed = tools.store("events", events.events(happened, names, definition, store=tools.step))
    persons = enrichment.enrich(survivorship.people(known, placed, config), config)
    asked = definition.fields()
    told = field_history.field_history(mappings, landed, config, with_sources(asked))
    told = tools.store("field_history", told)
    since = survivorship.field_since(known, told.filter(told.until.isnull()), config, asked)
    return Resolved(
        known,
        tools.store("people", persons),
        tools.store("field_since", since),
        placed,
        happened,
    )
