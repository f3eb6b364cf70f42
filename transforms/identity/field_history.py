"""The history of fields, as the CRMs store it: each value, from when to when."""

from collections.abc import Iterable
from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.mapping import CanonicalField, FieldRead, History, Mapping, People
from transforms.staging.canonical import cast_history, map_value
from transforms.staging.fields import (
    SourceTables,
    as_text,
    column_name,
    record_key,
    rows_with_parents,
)

FIELD_HISTORY_SCHEMA = ibis.schema(
    {
        "key": "string",
        "crm": "string",
        "object": "string",
        "field": "string",
        "tracked_from": "timestamp(6)",
        "since": "timestamp(6)",
        "until": "timestamp(6)",
        "value": "string",
        "value_known": "boolean",
    }
)


def field_history(
    mappings: Map[str, Mapping],
    landed_tables: SourceTables,
    config: People,
    field_names: Iterable[str],
) -> ir.Table:
    """Say which values the fields asked for held, in our words, and when.

    Entries of a history that change nothing in our words are passed over.

    Out:    key, crm, object, field (canonical); tracked_from: since when the CRM tracks it (NULL:
            from the creation); since: when the field took it (NULL: before all tracked changes);
            until (NULL: it holds still); value as text (NULL: empty); value_known (FALSE: it
            changed, and the new value is unknown)
    Source: docs/people.md, "Since when".
    """
    wanted = [name for name in field_names if name in config.fields]
    listed = [
        _value_periods(entries, history).mutate(crm=ibis.literal(crm), object=ibis.literal(object))
        for crm, mapping in mappings.items()
        for object, history in mapping.histories()
        if (entries := _entries(crm, object, mapping, history, landed_tables[crm], config, wanted))
        is not None
    ]
    nothing = ibis.memtable(FIELD_HISTORY_SCHEMA.to_pyarrow().empty_table())
    return ibis.union(nothing, *(spells.select(*FIELD_HISTORY_SCHEMA) for spells in listed))


def _entries(
    crm: str,
    object: str,
    mapping: Mapping,
    history: History,
    pulled: Map[str, ir.Table],
    config: People,
    wanted: list[str],
) -> ir.Table | None:
    """The entries of all fields asked for: field, and what `_in_our_words` gives."""
    told, now = pulled[history.object], rows_with_parents(mapping, pulled, object)
    entries = told.select(
        key=record_key(crm, object, told[history.record]),
        theirs=told[history.field],
        at=told[history.at].cast("timestamp(6)"),
        place=told[mapping.system_fields.id].cast("string"),
        # of all fields and records: from then on the CRM keeps, and has not yet forgotten, changes
        began=told[history.at].cast("timestamp(6)").min().over(ibis.window()),
        value=as_text(told[history.value]),
        before=as_text(told[history.before]) if history.before else ibis.null("string"),
    )
    reads = mapping.records[object].fields
    ours = [
        _mapped_entries(entries, name, reads[name], config.fields[name], now)
        for name in wanted
        # a column of a parent has its history there
        if name in reads and "." not in reads[name].field
    ]
    return ibis.union(*ours) if ours else None


def _mapped_entries(
    entries: ir.Table, name: str, read: FieldRead, field: CanonicalField, now: ir.Table
) -> ir.Table:
    """The entries of one field: field, key, at, place, began, value, before, value_known."""
    type = now[column_name(read.field)].type()
    mine = entries.filter(entries.theirs == read.field, entries.at.notnull())

    def ours(text: ir.StringValue) -> ir.StringValue:
        return map_value(cast_history(text, type), name, read, field).cast("string")

    # of a long text the history has the date of the change only
    value_known = mine.value.notnull() | mine.before.notnull()
    return mine.select(
        ibis.literal(name).name("field"),
        "key",
        "at",
        "place",
        "began",
        value=ours(mine.value),
        before=ours(mine.before),
        value_known=value_known,
    )


def _value_periods(entries: ir.Table, history: History) -> ir.Table:
    """From the moments of change to the time between them: the columns of `SCHEMA`, less whose.

    All fields share one window: a window per field would cost one pass per field.
    """
    changes = _with_before(entries) if history.before else _without_before(entries, history)
    line = ibis.window(group_by=[changes.key, changes.field], order_by=[changes.at, changes.place])
    # what the next change found there is nearer to the truth than what this one left
    is_found = changes.before_told.lead(1).over(line).fill_null(False)
    after = changes.select(
        "key",
        "field",
        tracked_from=changes.at,
        since=changes.at,
        until=changes.at.lead(1).over(line),
        value=ibis.ifelse(is_found, changes.before.lead(1).over(line), changes.value),
        value_known=is_found | changes.value_known,
    )
    first = changes.filter(changes.at.lag(1).over(line).isnull()).select(
        "key",
        "field",
        tracked_from="began" if history.before else ibis.null("timestamp(6)"),
        since=ibis.null("timestamp(6)"),
        until="at",
        value="before",
        value_known="before_told",
    )
    spells = first.union(after)
    at_once = (spells.tracked_from >= spells.until).fill_null(False)
    return spells.filter(~at_once)


def _with_before(entries: ir.Table) -> ir.Table:
    """The changes of a history with old and new values."""
    is_change = ~entries.value.identical_to(entries.before) | ~entries.value_known
    return entries.filter(is_change).mutate(before_told=entries.value_known)


def _without_before(entries: ir.Table, history: History) -> ir.Table:
    """The changes of a history with new values only: the field was empty before the first."""
    line = ibis.window(group_by=[entries.key, entries.field], order_by=[entries.at, entries.place])
    is_first = entries.at.lag(1).over(line).isnull()
    earlier = entries.value.lag(1).over(line)
    count = entries.count().over(ibis.window(group_by=[entries.key, entries.field]))
    is_whole = count < history.max_entries if history.max_entries else ibis.literal(True)
    told = entries.mutate(
        before=earlier,
        before_told=~is_first | is_whole,
        value_known=ibis.literal(True),
        is_change=is_first | ~entries.value.identical_to(earlier),
    )
    return told.filter(told.is_change).drop("is_change")
