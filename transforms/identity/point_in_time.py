"""What was known then: the people, as they stood in the CRMs at an instant of the past.

The matching of records is the present one; the field values are those of that time. Where no source
has the value of a field, it is NULL and `unknown` is true.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from config.mapping import People, with_sources
from transforms.identity import record_history as versions
from transforms.identity import survivorship
from transforms.staging import enrichment
from transforms.staging.canonical import null_of
from transforms.staging.casting import cast_text
from transforms.staging.literals import int64
from transforms.staging.timestamps import from_datetime, to_timestamp

Materialize = Callable[[str, ir.Table], ir.Table]


class HistoryTables(NamedTuple):
    """What is kept of the past: tables of the last run, and of all runs."""

    records: ir.Table
    record_history: ir.Table
    field_history: ir.Table
    events: ir.Table


class Inputs(NamedTuple):
    """What an answer is made of, as known at an instant.

    `unknown` has a row per person and a boolean per field asked: TRUE where they have no value
    because no source has the value of that time.
    """

    people: ir.Table
    field_since: ir.Table
    events: ir.Table
    unknown: ir.Table


def inputs_as_of(
    history_tables: HistoryTables,
    config: People,
    field_names: Iterable[str],
    *,
    at: datetime,
    materialize: Materialize,
) -> Inputs:
    """Give people, field_since and events as they were known at an instant.

    In:     `asked` are the canonical fields of the definition
    Source: docs/people.md, "What was known then".
    """
    field_names = tuple(field_names)
    told = [name for name in with_sources(field_names) if name in config.fields]
    now = to_timestamp(int64(from_datetime(at)))
    held = history_tables.field_history
    held = held.filter(held.tracked_from.isnull() | (held.tracked_from <= now))
    held = materialize("past_held", held.filter(held.until.isnull() | (held.until > now)))
    then = materialize("past_records", _records(history_tables, held, config, told, now))
    persons = survivorship.people(then, history_tables.events, config)
    persons = materialize("past_people", enrichment.enrich(persons, config))
    since = materialize("past_since", survivorship.field_since(then, held, config, field_names))
    return Inputs(
        persons,
        since,
        history_tables.events,
        materialize("past_unknown", _unknown(then, persons, told)),
    )


def _records(
    memory: HistoryTables, held: ir.Table, config: People, told: list[str], now: ir.TimestampValue
) -> ir.Table:
    """The records there were, saying what they said; of each field whether that is unknown.

    What comes first is believed: the value between two changes that the CRM dates, or after its
    last one where we have seen nothing newer; what we saw ourselves; the value before the first
    tracked change, without the date since when; the present value, where
    nothing has changed since.
    """
    row = _join_sources(memory, held, told, now)
    fields, unknown = {}, {}
    for name, field in config.fields.items():
        of = null_of(field).type()
        seen = row.then_key.notnull() & _is_among(name, row.then_mapped_fields)
        unchanged = row.updated_at <= now
        ways = [(seen, cast_text(row[f"then_{name}"], of))]
        if name in told:
            state, value = row[_state(name)], cast_text(row[_value(name)], of)
            is_newest = row.then_valid_from.isnull() | (row.then_valid_from <= row[_since(name)])
            ways = [
                (state == _DATED, value),
                ((state == _LAST) & is_newest, value),
                *ways,
                (state == _FIRST, value),
            ]
            tracked = state.isnull() & (row[_tracked(name)] <= now) & ~row.deleted
            unchanged = unchanged | state.isin([_LAST, _STILL]) | tracked
        ways.append((unchanged, row[name]))
        fields[name] = ibis.cases(*ways, else_=ibis.null(of))
        is_known = ibis.or_(*(fits.fill_null(False) for fits, _ in ways))
        unknown[_unknown_of(name)] = _is_among(name, row.read_now) & ~is_known
    return row.select(
        "key",
        "crm",
        "person_id",
        "created_at",
        deleted=row.then_deleted.fill_null(False),
        **fields,
        **unknown,
    )


_DATED, _LAST, _FIRST, _STILL = 4, 3, 2, 1
"""What a history says of the value at the instant: it stood between two changes, since the last one
to this day, before the first one, or to this day without a known value."""


def _join_sources(
    memory: HistoryTables, held: ir.Table, told: list[str], now: ir.TimestampValue
) -> ir.Table:
    """Each record that existed, with its version at that time and the values of its history."""
    there = memory.records.filter(memory.records.created_at <= now)
    seen = memory.record_history
    last = versions.latest(seen.filter(seen.valid_from <= now)).rename("then_{name}")
    reads = seen.group_by("crm", "object").aggregate(
        read_now=seen.mapped_fields.argmax(seen.seen_at)
    )
    row = there.left_join(last, there.key == last.then_key)
    for table, on in (
        (_history_values(held, told), ["key"]),
        (_tracked_since(memory.field_history, told), ["crm", "object"]),
        (reads, ["crm", "object"]),
    ):
        row = row.left_join(table, on).drop(*(f"{name}_right" for name in on))
    return row


def _history_values(held: ir.Table, told: list[str]) -> ir.Table:
    """The values of the CRMs' own histories per record: key, and three columns per field."""
    state = ibis.cases(
        (held.until.isnull(), ibis.ifelse(held.value_known, _LAST, _STILL)),
        (~held.value_known, 0),
        else_=ibis.ifelse(held.since.notnull(), _DATED, _FIRST),
    )
    # of each record and field one spell holds the instant
    mine = {name: held.field == name for name in told}
    return held.group_by("key").aggregate(
        **{_state(name): state.max(where=of) for name, of in mine.items()},
        **{_value(name): held.value.max(where=of & held.value_known) for name, of in mine.items()},
        **{_since(name): held.since.max(where=of) for name, of in mine.items()},
    )


def _tracked_since(history: ir.Table, told: list[str]) -> ir.Table:
    """Since when a CRM keeps the history of a field: crm, object, and a column per field.

    From its first entry of any record on: a record without one has not changed since then.
    """
    first = history.group_by("crm", "object", "field").aggregate(since=history.since.min())
    return first.group_by("crm", "object").aggregate(
        **{_tracked(name): first.since.max(where=first.field == name) for name in told}
    )


def _unknown(then: ir.Table, persons: ir.Table, told: list[str]) -> ir.Table:
    """People with an unknown value: person_id, and a boolean per field."""
    live = then.filter(~then.deleted)
    gaps = live.group_by("person_id").aggregate(
        **{_unknown_of(name): live[_unknown_of(name)].any() for name in told}
    )
    both = persons.join(gaps, "person_id")
    return both.select(
        "person_id", **{name: both[_unknown_of(name)] & both[name].isnull() for name in told}
    )


def _is_among(name: str, listed: ir.Value) -> ir.BooleanValue:
    return listed.fill_null("").contains(f",{name},")


def _state(name: str) -> str:
    return f"state__{name}"


def _value(name: str) -> str:
    return f"value__{name}"


def _since(name: str) -> str:
    return f"since__{name}"


def _tracked(name: str) -> str:
    return f"tracked__{name}"


def _unknown_of(name: str) -> str:
    return f"unknown__{name}"
