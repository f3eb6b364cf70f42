"""What happened, as the definition counts it: counted and admitted events, and their cycles."""

from collections.abc import Callable, Iterable
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from config.definition import Definition, Kind
from transforms.staging.literals import int64
from transforms.staging.timestamps import (
    MICROSECONDS_PER_DAY,
    NEVER,
    days_to_microseconds,
    null_to_never,
    to_microseconds,
)

NO_INACTIVITY_LIMIT = NEVER // 2
"""The longest gap, where the definition has no recycling: no person reaches it."""


def inactive_after(definition: Definition) -> int:
    """How long a silence ends a cycle, in microseconds."""
    recycled = definition.recycled
    return days_to_microseconds(recycled.after_inactive_days) if recycled else NO_INACTIVITY_LIMIT


def kind_table(definition: Definition) -> ir.Table:
    """Number the kinds: name string, number int16. Ten million numbers are light, names are not."""
    names = list(definition.events)
    numbers = pa.array(range(len(names)), pa.int16())
    return ibis.memtable(pa.table({"name": names, "number": numbers}))


def kind_numbers(names: Iterable[str], definition: Definition) -> list[int]:
    """The numbers of some kinds, in the order given."""
    known = list(definition.events)
    return [known.index(name) for name in names]


def kind_name(number: ir.Value, definition: Definition) -> ir.StringValue:
    """The name of the kind with this number."""
    names = list(definition.events)
    return ibis.cases(*((number == n, name) for n, name in enumerate(names)), else_="")


def kinds_where(definition: Definition, predicate: Callable[[Kind], bool]) -> list[int]:
    """The numbers of the kinds of which something is true."""
    return [number for number, kind in enumerate(definition.events.values()) if predicate(kind)]


def by_kind(
    kind: ir.Value, definition: Definition, value_of: Callable[[Kind], Any], *, default: Any
) -> ir.Value:
    """Look up something that the definition says of each kind; equal answers share a branch."""
    groups: dict[Any, list[int]] = {}
    for number, entry in enumerate(definition.events.values()):
        groups.setdefault(value_of(entry), []).append(number)
    branches = [
        (kind.isin(members), answer) for answer, members in groups.items() if answer != default
    ]
    return ibis.cases(*branches, else_=default) if branches else ibis.literal(default)


def countable(
    events: ir.Table, field_conditions: ir.Table, definition: Definition, *, as_of: int
) -> ir.Table:
    """Keep the events that count at `as_of`.

    In:     events(person_id, kind string, at timestamp, duplicate_of string)
    Out:    who int64, at int64 (us), kind int16 (its number, see `kinds`)
    Source: docs/definition.md, "Which events count".
    """
    once = events.filter(events.duplicate_of.isnull())
    moments = once.select("person_id", name=once.kind, at=to_microseconds(once.at))
    moments = moments.filter(moments.at <= as_of)
    named = moments.join(kind_table(definition), "name")
    return named.join(field_conditions.select("who", "person_id"), "person_id").select(
        "who", "at", kind=named.number
    )


def activity(countable_events: ir.Table, definition: Definition) -> ir.Table:
    """The moments at which a person showed interest: who, at."""
    shown = kinds_where(definition, lambda kind: kind.is_activity)
    return countable_events.filter(countable_events.kind.isin(shown)).select("who", "at")


def closing_events(
    events: ir.Table, field_conditions: ir.Table, definition: Definition, *, as_of: int
) -> ir.Table:
    """Keep the moments at which events of a kind in `recycled.by` happened.

    In:     events(event_id string, person_id, kind string, at timestamp, duplicate_of string)
    Out:    who, at (us), kind string (of several at one moment that of the smallest event_id)
    Source: docs/definition.md, "Recycling".
    """
    kinds = definition.closing_kinds
    once = events.filter(events.duplicate_of.isnull(), events.kind.isin(kinds))
    moments = once.select("person_id", "event_id", "kind", at=to_microseconds(once.at))
    moments = moments.filter(moments.at <= as_of)
    known = moments.join(field_conditions.select("who", "person_id", "created"), "person_id")
    # who was created later had no cycle yet that could be closed
    known = known.filter(known.at >= known.created)
    return known.group_by("who", "at").aggregate(kind=known.kind.argmin(known.event_id))


def admitted(countable_events: ir.Table, cycle_spans: ir.Table, definition: Definition) -> ir.Table:
    """Keep the events that earn points and fulfil rules, each in the cycle it belongs to.

    In:     counted as `counted` gives it, journeys as `cycles` does
    Out:    who, cycle (NULL: it belongs to none), at, kind
    Source: docs/definition.md, "Which events count" and "Cycles".
    """
    moments = cap_per_day(countable_events, definition)
    return assign_cycle(moments, cycle_spans, until=cycle_end(cycle_spans, definition))


def cycle_end(cycle_spans: ir.Table, definition: Definition) -> ir.IntegerValue:
    """Until when an event belongs to a cycle.

    Until its last activity plus the gap that ends it, and not after its closing.
    """
    return ibis.least(cycle_spans["last"] + inactive_after(definition), cycle_spans.closed)


def assign_cycle(events: ir.Table, cycle_spans: ir.Table, *, until: ir.IntegerValue) -> ir.Table:
    """Add to moments (who, at, ...) the cycle they fall into; NULL before its start or `until`."""
    is_first = cycle_spans.start == cycle_spans.created
    span = cycle_spans.select(
        "cycle",
        "start",
        "next_start",
        of=cycle_spans.who,
        until=until,
        since=ibis.ifelse(is_first, -NEVER, cycle_spans.start),
    )
    both = events.join(
        span, [events.who == span.of, events.at >= span.since, events.at < span.next_start]
    )
    inside = (both.at >= both.start) & (both.at <= both.until)
    return both.select(*events.columns, cycle=ibis.ifelse(inside, both.cycle, ibis.null("int64")))


def cap_per_day(countable_events: ir.Table, definition: Definition) -> ir.Table:
    """Keep the first `max_per_day` of each kind, person and UTC day."""
    limits = [kind.max_per_day for kind in definition.events.values()]
    limited = [number for number, limit in enumerate(limits) if limit is not None]
    if not limited:
        return countable_events
    free = countable_events.filter(countable_events.kind.notin(limited))
    bound = countable_events.filter(countable_events.kind.isin(limited))
    # of equal events at one time it makes no difference which is admitted
    # apart here, and no order by event_id is needed
    of_day = ibis.window(
        group_by=[bound.who, bound.kind, bound.at - bound.at % MICROSECONDS_PER_DAY],
        order_by=bound.at,
    )
    limit = by_kind(bound.kind, definition, lambda kind: kind.max_per_day or 0, default=0)
    bound = bound.mutate(is_within=ibis.row_number().over(of_day) < limit)
    return free.union(bound.filter(bound.is_within).drop("is_within"))


def cycles(
    field_conditions: ir.Table,
    activities: ir.Table,
    closings: ir.Table,
    final_since: ir.Table,
    definition: Definition,
) -> ir.Table:
    """Split each person's journey where they went quiet, and at what closes a cycle.

    In:     shown(who, at) as `activity` gives it, closings as `closing_events` does,
            final_since(who, final int64 us or NEVER)
    Out:    who, created, cycle int64, start, first_activity (NEVER: none), last (its last activity,
            or its start), closed (NEVER: by nothing), next_start (NEVER: the last cycle), final:
            all int64 us
    Source: docs/definition.md, "Cycles".
    """
    quiet = inactive_after(definition)
    people = field_conditions.select("who", "created").join(
        final_since.select("who", "final"), "who"
    )
    ended = closings.join(people.select("who", "final"), "who")
    ended = ended.filter(ended.at < ended.final).select("who", "at")
    pieces = _activity_streaks(activities, ended, definition)
    begun = pieces.join(people, "who")
    is_late = (begun.first - begun.created > quiet) | begun.is_after_closing
    from_creation = (begun.piece == 1) & ~is_late
    numbered = begun.select(
        "who",
        "created",
        "final",
        "last",
        cycle=begun.piece,
        start=ibis.ifelse(from_creation, begun.created, begun.first),
        first_activity=begun.first,
    )
    early = begun.filter(from_creation)
    silent = people.anti_join(early.select("who"), "who")
    zeroth = silent.select(
        "who",
        "created",
        "final",
        last=silent.created,
        cycle=int64(0),
        start=silent.created,
        first_activity=int64(NEVER),
    )
    both = numbered.union(zeroth)
    both = both.filter(both.start <= both.final)
    following = both.start.lead(1).over(group_by=both.who, order_by=both.cycle)
    both = both.mutate(next_start=following.fill_null(NEVER).cast("int64"))
    if not definition.closing_kinds:
        return both.mutate(closed=int64(NEVER))
    inside = [both.who == ended.who, ended.at >= both["last"], ended.at < both.next_start]
    closed = both.join(ended, inside).group_by("who", "cycle").aggregate(closed=ended.at.min())
    both = both.left_join(closed, ["who", "cycle"]).drop("who_right", "cycle_right")
    return both.mutate(closed=null_to_never(both.closed))


def _activity_streaks(shown: ir.Table, closings: ir.Table, definition: Definition) -> ir.Table:
    """The unbroken pieces of activity: who, piece (from 1), first, last (us), is_after_closing."""
    before = shown.mutate(before=shown.at.lag(1).over(group_by=shown.who, order_by=shown.at))
    before = before.mutate(closing=ibis.null("int64"))
    if definition.closing_kinds:
        before = _add_closing_before(before, closings)
    is_closed = (before.closing >= ibis.coalesce(before.before, -NEVER)).fill_null(False)
    is_silent = before.at - before.before > inactive_after(definition)
    before = before.mutate(is_after_closing=is_closed)
    starts = before.filter(before.before.isnull() | is_silent | before.is_after_closing)
    ends = shown.group_by("who").aggregate(latest=shown.at.max())
    starts = starts.join(ends, "who")
    journey = ibis.window(group_by=starts.who, order_by=starts.at)
    return starts.select(
        "who",
        "is_after_closing",
        piece=ibis.row_number().over(journey) + 1,
        first=starts.at,
        last=ibis.coalesce(starts.before.lead(1).over(journey), starts.latest),
    )


def _add_closing_before(activities: ir.Table, closings: ir.Table) -> ir.Table:
    """Add to activities the last closing before them: closing (us, NULL: none)."""
    rows = activities.select("who", "at", "before", is_activity=ibis.literal(True))
    # one microsecond later: an event at the instant of the closing is not after it
    marks = closings.select(
        "who", at=closings.at + 1, before=ibis.null("int64"), is_activity=ibis.literal(False)
    )
    both = rows.union(marks)
    upto = ibis.window(group_by=both.who, order_by=both.at, range=(None, 0))
    both = both.mutate(closing=(both.at - 1).max(where=~both.is_activity).over(upto))
    return both.filter(both.is_activity).drop("is_activity")
