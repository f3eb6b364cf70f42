"""What happened, as the definition counts it: admitted events, and the cycles they fall into."""

from collections.abc import Callable
from typing import Any

import ibis
import ibis.expr.types as ir

from transforms.definition import Definition, Kind
from transforms.instants import DAY, NEVER, days, micros

FOREVER = NEVER // 2
"""The longest silence, where the definition recycles nobody: nobody is ever that quiet."""


def inactive_after(definition: Definition) -> int:
    """How long a silence ends a cycle, in microseconds."""
    recycled = definition.recycled
    return days(recycled.after_inactive_days) if recycled else FOREVER


def by_kind(
    kind: ir.Value, definition: Definition, of: Callable[[Kind], Any], *, otherwise: Any
) -> ir.Value:
    """Look up something that the definition says of each kind; equal answers share a branch."""
    groups: dict[Any, list[str]] = {}
    for name, entry in definition.events.items():
        groups.setdefault(of(entry), []).append(name)
    branches = [
        (kind.isin(names), answer) for answer, names in groups.items() if answer != otherwise
    ]
    return ibis.cases(*branches, else_=otherwise) if branches else ibis.literal(otherwise)


def kinds_where(definition: Definition, holds: Callable[[Kind], bool]) -> list[str]:
    """The kinds of which something is true."""
    return [name for name, kind in definition.events.items() if holds(kind)]


def counted(events: ir.Table, facts: ir.Table, definition: Definition, *, as_of: int) -> ir.Table:
    """Keep the events that count at `as_of`, and say which of them are admitted.

    In:     events(event_id, person_id, kind string, at timestamp, duplicate_of string)
    Out:    who int64, at int64 (us), kind string, admitted boolean
    Source: docs/definition.md, "Which events count".
    """
    at = micros(events.at)
    kept = events.filter(
        events.duplicate_of.isnull(), events.kind.isin(list(definition.events)), at <= as_of
    )
    kept = kept.select("person_id", "event_id", "kind", at=micros(kept.at))
    kept = kept.join(facts.select("who", "person_id"), "person_id")
    limits = {name: kind.max_per_day for name, kind in definition.events.items()}
    limited = [name for name, limit in limits.items() if limit is not None]
    free = kept.filter(kept.kind.notin(limited)) if limited else kept
    free = free.select("who", "at", "kind", admitted=ibis.literal(True))
    if not limited:
        return free
    bound = kept.filter(kept.kind.isin(limited))
    nth_of_day = ibis.row_number().over(
        group_by=[bound.who, bound.kind, bound.at // DAY], order_by=[bound.at, bound.event_id]
    )
    limit = by_kind(bound.kind, definition, lambda kind: kind.max_per_day or 0, otherwise=0)
    return free.union(bound.select("who", "at", "kind", admitted=nth_of_day < limit))


def activity(counted_events: ir.Table, definition: Definition) -> ir.Table:
    """The moments at which a person showed interest: who, at."""
    shown = kinds_where(definition, lambda kind: kind.is_activity)
    return counted_events.filter(counted_events.kind.isin(shown)).select("who", "at")


def cycles(
    facts: ir.Table, shown: ir.Table, final_since: ir.Table, definition: Definition
) -> ir.Table:
    """Split each person's journey where they went quiet.

    In:     shown(who, at) as `activity` gives it, final_since(who, final int64 us or NEVER)
    Out:    who, cycle int64, start, first_activity (NEVER: none), last (its last activity, or its
            start), next_start (NEVER: the last cycle), final: all int64 us
    Source: docs/definition.md, "Cycles".
    """
    quiet = inactive_after(definition)
    pieces = _pieces(shown, quiet)
    people = facts.select("who", "created").join(final_since, "who")
    begun = pieces.join(people, "who")
    from_creation = (begun.piece == 1) & (begun.first - begun.created <= quiet)
    numbered = begun.select(
        "who",
        cycle=begun.piece,
        start=ibis.ifelse(from_creation, begun.created, begun.first),
        first_activity=begun.first,
        last=begun.last,
        final=begun.final,
    )
    early = pieces.filter(pieces.piece == 1)
    early = early.join(people, "who").filter(early.first - people.created <= quiet)
    silent = people.anti_join(early.select("who"), "who")
    zeroth = silent.select(
        "who",
        cycle=ibis.literal(0, "int64"),
        start=silent.created,
        first_activity=ibis.literal(NEVER, "int64"),
        last=silent.created,
        final=silent.final,
    )
    both = numbered.union(zeroth)
    both = both.filter(both.start <= both.final)
    following = both.start.lead(1).over(group_by=both.who, order_by=both.cycle)
    return both.mutate(next_start=following.fill_null(NEVER).cast("int64"))


def in_cycle(
    moments: ir.Table, journeys: ir.Table, definition: Definition, *, lasting: bool = False
) -> ir.Table:
    """Assign moments (who, at, ...) to the cycle they belong to; others are left out.

    A cycle holds what lies between its start and its last activity plus the silence that ends
    it; with `lasting`, all until the next cycle starts.
    """
    quiet = inactive_after(definition)
    span = journeys.select(
        "who", "cycle", "start", until=journeys.next_start - 1 if lasting else journeys.last + quiet
    )
    inside = moments.join(
        span, [moments.who == span.who, moments.at >= span.start, moments.at <= span.until]
    )
    return inside.drop("who_right", "start", "until")


def _pieces(shown: ir.Table, quiet: int) -> ir.Table:
    """The unbroken pieces of activity: who, piece (from 1), first, last (us)."""
    before = shown.mutate(before=shown.at.lag(1).over(group_by=shown.who, order_by=shown.at))
    starts = before.filter(before.before.isnull() | (before.at - before.before > quiet))
    ends = shown.group_by("who").aggregate(latest=shown.at.max())
    starts = starts.join(ends, "who")
    journey = ibis.window(group_by=starts.who, order_by=starts.at)
    return starts.select(
        "who",
        piece=ibis.row_number().over(journey) + 1,
        first=starts.at,
        last=ibis.coalesce(starts.before.lead(1).over(journey), starts.latest),
    )
