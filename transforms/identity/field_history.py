"""What the CRMs tell of the past of a field: the values it held, each from when to when."""

from collections.abc import Iterable
from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.mapping import CanonicalField, FieldRead, History, Mapping, People
from transforms.staging.canonical import canonical, landed
from transforms.staging.fields import Landed, as_text, column, record_key, rows

SCHEMA = ibis.schema(
    {
        "key": "string",
        "crm": "string",
        "object": "string",
        "field": "string",
        "told_from": "timestamp(6)",
        "since": "timestamp(6)",
        "until": "timestamp(6)",
        "value": "string",
        "is_told": "boolean",
    }
)


def field_history(
    mappings: Map[str, Mapping], pulled: Landed, config: People, asked: Iterable[str]
) -> ir.Table:
    """Say which values the fields asked for held, in our words, and when.

    Entries of a history that change nothing in our words are passed over.

    Out:    key, crm, object, field (canonical); told_from: from when on this value is told (NULL:
            from the creation); since: when the field took it (NULL: before all changes told);
            until (NULL: it holds still); value as text (NULL: empty), is_told (FALSE: it changed,
            and nobody tells to what)
    Source: docs/people.md, "Since when".
    """
    wanted = [name for name in asked if name in config.fields]
    listed = [
        _spells(entries, history).mutate(crm=ibis.literal(crm), object=ibis.literal(object))
        for crm, mapping in mappings.items()
        for object, history in mapping.histories()
        if (entries := _entries(crm, object, mapping, history, pulled[crm], config, wanted))
        is not None
    ]
    nothing = ibis.memtable(SCHEMA.to_pyarrow().empty_table())
    return ibis.union(nothing, *(spells.select(*SCHEMA) for spells in listed))


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
    told, now = pulled[history.object], rows(mapping, pulled, object)
    entries = told.select(
        key=record_key(crm, object, told[history.record]),
        theirs=told[history.field],
        at=told[history.at].cast("timestamp(6)"),
        place=told[mapping.columns.id].cast("string"),
        # of all fields and records: from then on the CRM keeps, and has not yet forgotten, changes
        began=told[history.at].cast("timestamp(6)").min().over(ibis.window()),
        value=as_text(told[history.value]),
        before=as_text(told[history.before]) if history.before else ibis.null("string"),
    )
    reads = mapping.records[object].fields
    ours = [
        _in_our_words(entries, name, reads[name], config.fields[name], now)
        for name in wanted
        # a column of a parent has its history there
        if name in reads and "." not in reads[name].field
    ]
    return ibis.union(*ours) if ours else None


def _in_our_words(
    entries: ir.Table, name: str, read: FieldRead, field: CanonicalField, now: ir.Table
) -> ir.Table:
    """The entries of one field: field, key, at, place, began, value, before, is_told."""
    type = now[column(read.field)].type()
    mine = entries.filter(entries.theirs == read.field, entries.at.notnull())

    def ours(text: ir.StringValue) -> ir.StringValue:
        return canonical(landed(text, type), name, read, field).cast("string")

    # of long texts a CRM tells that they changed, and nothing else
    is_told = mine.value.notnull() | mine.before.notnull()
    return mine.select(
        ibis.literal(name).name("field"),
        "key",
        "at",
        "place",
        "began",
        value=ours(mine.value),
        before=ours(mine.before),
        is_told=is_told,
    )


def _spells(entries: ir.Table, history: History) -> ir.Table:
    """From the moments of change to the time between them: the columns of `SCHEMA`, less whose.

    The values of all fields are told at once: a window for each would cost as many.
    """
    changes = _with_before(entries) if history.before else _without_before(entries, history)
    line = ibis.window(group_by=[changes.key, changes.field], order_by=[changes.at, changes.place])
    # what the next change found there is nearer to the truth than what this one left
    is_found = changes.before_told.lead(1).over(line).fill_null(False)
    after = changes.select(
        "key",
        "field",
        told_from=changes.at,
        since=changes.at,
        until=changes.at.lead(1).over(line),
        value=ibis.ifelse(is_found, changes.before.lead(1).over(line), changes.value),
        is_told=is_found | changes.is_told,
    )
    first = changes.filter(changes.at.lag(1).over(line).isnull()).select(
        "key",
        "field",
        told_from="began" if history.before else ibis.null("timestamp(6)"),
        since=ibis.null("timestamp(6)"),
        until="at",
        value="before",
        is_told="before_told",
    )
    spells = first.union(after)
    at_once = (spells.told_from >= spells.until).fill_null(False)
    return spells.filter(~at_once)


def _with_before(entries: ir.Table) -> ir.Table:
    """The changes of a history that tells both values."""
    is_change = ~entries.value.identical_to(entries.before) | ~entries.is_told
    return entries.filter(is_change).mutate(before_told=entries.is_told)


def _without_before(entries: ir.Table, history: History) -> ir.Table:
    """The changes of a history that tells new values: nothing stood there before the first."""
    line = ibis.window(group_by=[entries.key, entries.field], order_by=[entries.at, entries.place])
    is_first = entries.at.lag(1).over(line).isnull()
    earlier = entries.value.lag(1).over(line)
    count = entries.count().over(ibis.window(group_by=[entries.key, entries.field]))
    is_whole = count < history.keeps if history.keeps else ibis.literal(True)
    told = entries.mutate(
        before=earlier,
        before_told=~is_first | is_whole,
        is_told=ibis.literal(True),
        is_change=is_first | ~entries.value.identical_to(earlier),
    )
    return told.filter(told.is_change).drop("is_change")
