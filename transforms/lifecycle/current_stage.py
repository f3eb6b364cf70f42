"""Where everybody stands: entries raise; silence, closings and the end of a stage take back."""

from collections.abc import Callable

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from transforms.lifecycle.cycles import inactive_after
from transforms.staging.literals import int64
from transforms.staging.timestamps import NEVER, days_to_microseconds, null_to_never

Materialize = Callable[[str, ir.Table], ir.Table]

_CLOSING, _EXPIRY, _SILENCE = range(3)
"""Of several causes at one moment the first of these is the one in `cause`."""


def recycle_rank(definition: Definition) -> int:
    """The rank that the recycled fall back to."""
    return definition.stage_ids.index(definition.recycled.to) if definition.recycled else 0


def recyclings(
    entries: ir.Table,
    cycles: ir.Table,
    closings: ir.Table,
    definition: Definition,
    *,
    as_of: int,
    materialize: Materialize,
) -> ir.Table:
    """Find when those who stood above `recycled.to` fell back to it, and why.

    By a long silence, by an event that closes the cycle, or because they stood in a stage for as
    long as it lasts.

    In:     entries(who, cycle, rank, at, by_final), cycles as `cycles.cycles` gives them, closings
            as `closing_events` does
    Out:    who, cycle int64 (the last one that had started), at int64 (us, the recycling), rank
            int64 (of the stage they fell from), cause string (the kind of the closing event,
            `expired`, or NULL: silence); people who never fell have no row
    Source: docs/definition.md, "Recycling".
    """
    if definition.recycled is None:
        return _no_resets(entries).mutate(cycle=int64(0), rank=int64(0)).drop("place")
    open_until = cycles.select("who", "final").distinct()
    above = entries.filter(entries["rank"] > recycle_rank(definition))
    above = materialize("entries_above", above.select("who", "at", "rank"))
    resets = _silences(entries, cycles, definition).union(_closings(cycles, closings, definition))
    resets = _until(resets, open_until, as_of=as_of)
    # from the top down: who falls from a higher stage no longer stands in a lower one
    for rank, stage in reversed(list(enumerate(definition.stages))):
        if stage.expires_days is not None:
            resets = materialize(f"resets_{rank}", resets)
            length = days_to_microseconds(stage.expires_days)
            expired = _until(_expired(above, rank, length), open_until, as_of=as_of)
            resets = resets.union(_standing_only(expired, resets, above, rank))
    fallen = materialize("fallen", _fallen(materialize("resets", resets), above))
    started = cycles.select("who", "cycle", "start")
    both = fallen.join(started, [fallen.who == started.who, started.start <= fallen.at])
    return both.group_by("who", "at", "rank", "cause").aggregate(cycle=both.cycle.max())


def _no_resets(entries: ir.Table) -> ir.Table:
    """The shape of moments that take back: who, at, place (the first at a moment counts), cause."""
    nothing = entries.filter(ibis.literal(False))
    return nothing.select("who", "at", place=int64(0), cause=ibis.null("string"))


def _silences(entries: ir.Table, cycles: ir.Table, definition: Definition) -> ir.Table:
    spans = _active_spans(entries, cycles, definition)
    return spans.select(
        "who",
        at=spans.end + inactive_after(definition),
        place=int64(_SILENCE),
        cause=ibis.null("string"),
    )


def _closings(cycles: ir.Table, closings: ir.Table, definition: Definition) -> ir.Table:
    if not definition.closing_kinds:
        return _no_resets(closings)
    closed = cycles.filter(cycles.closed < NEVER).select("who", at="closed")
    named = closed.join(closings, ["who", "at"])
    return named.select("who", "at", place=int64(_CLOSING), cause=named.kind)


def _until(resets: ir.Table, open_until: ir.Table, *, as_of: int) -> ir.Table:
    """Keep what is not to come, and what comes before the final stage."""
    both = resets.filter(resets.at <= as_of).join(open_until, "who")
    return both.filter(both.at < both.final).select(*resets.columns)


def _expired(above: ir.Table, rank: int, length: int) -> ir.Table:
    """The ends of the time that a stage lasts, where nothing above was entered meanwhile.

    Out: the columns of `_no_resets`, and entered (us): the last entry before
    """
    reached = above.filter(above["rank"] >= rank).select("who", "at").distinct()
    following = reached.at.lead(1).over(group_by=reached.who, order_by=reached.at)
    reached = reached.mutate(following=following.fill_null(NEVER))
    ended = reached.filter(reached.following - reached.at > length)
    return ended.select(
        "who",
        at=ended.at + length,
        place=int64(_EXPIRY),
        cause=ibis.literal("expired"),
        entered=ended.at,
    )


def _standing_only(expired: ir.Table, resets: ir.Table, above: ir.Table, rank: int) -> ir.Table:
    """Keep the ends of those who stand in exactly this stage: not lower, and not higher."""
    earlier = resets.select("who", reset="at")
    before = expired.left_join(
        earlier, [expired.who == earlier.who, earlier.reset < expired.at]
    ).drop("who_right")
    last = before.group_by(expired.columns).aggregate(reset=before.reset.max().fill_null(-NEVER))
    last = last.filter(last.entered > last.reset)
    higher = above.filter(above["rank"] > rank).select("who", above="at")
    is_higher = [
        last.who == higher.who,
        higher.above <= last.entered,
        higher.above > last.reset,
    ]
    return last.anti_join(higher, is_higher).select(*resets.columns)


def _fallen(resets: ir.Table, above: ir.Table) -> ir.Table:
    """The recyclings: each is from the highest entry since the one before.

    Out: who, at, cause, rank
    """
    # several at one moment are one: a closing goes before an end, an end before a silence
    firsts = resets.group_by("who", "at").aggregate(
        cause=resets.cause.argmin(resets.place), place=resets.place.min()
    )
    journey = ibis.window(group_by=firsts.who, order_by=firsts.at)
    spans = firsts.select(
        "who",
        "cause",
        until="at",
        since=firsts.at.lag(1).over(journey).fill_null(-NEVER),
    )
    inside = [above.who == spans.who, above.at > spans.since, above.at <= spans.until]
    both = spans.join(above, inside)
    return both.group_by("who", "cause", at=both.until).aggregate(rank=both["rank"].max())


def _active_spans(entries: ir.Table, journeys: ir.Table, definition: Definition) -> ir.Table:
    """The stretches without a long silence of people who ever stood above `recycled.to`.

    Out: who, island, end (us)
    """
    quiet = inactive_after(definition)
    above = entries.filter(entries["rank"] > recycle_rank(definition))
    active = journeys.filter(journeys.first_activity < NEVER).semi_join(above, "who")
    parts = active.select("who", begin=active.first_activity, end=active.last)
    # distinct: equal rows have no order, which two windows need to agree on
    parts = parts.union(above.select("who", begin=above.at, end=above.at), distinct=True)
    order = [parts.begin, parts.end]
    earlier = ibis.window(group_by=parts.who, order_by=order, rows=(None, -1))
    reached = parts.end.max().over(earlier)
    parts = parts.mutate(fresh=(reached.isnull() | (parts.begin - reached > quiet)).ifelse(1, 0))
    upto = ibis.window(group_by=parts.who, order_by=[parts.begin, parts.end], rows=(None, 0))
    numbered = parts.mutate(island=parts.fresh.sum().over(upto))
    return numbered.group_by("who", "island").aggregate(end=numbered.end.max())


def standing(
    entries: ir.Table,
    recycling_rows: ir.Table,
    cycles: ir.Table,
    definition: Definition,
) -> ir.Table:
    """Say where each person stands, since when, and what their journey left behind.

    Out:    who, rank, since, recycled_at (us or NEVER), fell_from (rank, NULL: never), fell_by
            (`cause` of `recyclings`), is_recycled boolean (the last change was a recycling),
            is_quiet (and no cycle started since), furthest (rank), cycle, entry_cycle (that entered
            the stage; NULL after a recycling)
    Source: docs/definition.md, "Where a person stands".
    """
    base = recycle_rank(definition)
    last = recycling_rows.group_by("who").aggregate(recycled_at=recycling_rows.at.max())
    from_rank = recycling_rows.join(
        last, [recycling_rows.who == last.who, recycling_rows.at == last.recycled_at]
    )
    from_rank = from_rank.select(
        "who", "recycled_at", fell_from=from_rank["rank"], fell_by=from_rank.cause
    )
    rows = entries.left_join(from_rank, "who").drop("who_right")
    fresh = rows.recycled_at.isnull() | (rows.at > rows.recycled_at)
    rows = rows.mutate(fresh=fresh)
    tops = rows.group_by("who").aggregate(
        top=rows["rank"].max(where=rows.fresh),
        furthest=rows["rank"].max(),
        recycled_at=rows.recycled_at.max(),
        fell_from=rows.fell_from.max(),
        fell_by=rows.fell_by.max(),
    )
    stands = tops.mutate(is_recycled=tops.recycled_at.notnull() & (tops.top.fill_null(-1) <= base))
    stands = stands.mutate(rank=ibis.ifelse(stands.is_recycled, base, stands.top))
    rise = rows.filter(rows.fresh).join(stands.select("who", "rank"), ["who", "rank"])
    rise = rise.group_by("who").aggregate(
        risen=rise.at.min(), entry_cycle=rise.cycle.argmin(rise.at)
    )
    both = stands.left_join(rise, "who").drop("who_right")
    lives = cycles.group_by("who").aggregate(
        cycle=cycles.cycle.max(), last_start=cycles.start.max()
    )
    both = both.join(lives, "who")
    return both.select(
        "who",
        "rank",
        "furthest",
        "cycle",
        "is_recycled",
        "fell_from",
        "fell_by",
        since=ibis.ifelse(both.is_recycled, both.recycled_at, both.risen),
        recycled_at=null_to_never(both.recycled_at),
        is_quiet=both.is_recycled & (both.last_start <= both.recycled_at),
        entry_cycle=ibis.ifelse(both.is_recycled, ibis.null("int64"), both.entry_cycle),
    )


def stage_dates(entries: ir.Table, definition: Definition) -> ir.Table:
    """Give the one moment reported for each stage.

    Up to `recycled.to` it is the first entry ever; above, the last entry by a rule below the
    final one, else the final stage's moment.

    Out:    who, `<stage>_at` for every stage but the first (us, NULL: never entered)
    """
    base = recycle_rank(definition)
    rank, at = entries["rank"], entries.at
    moments = {}
    for nth, stage in enumerate(definition.stage_ids[1:], start=1):
        here = rank == nth
        if nth <= base:
            moments[f"{stage}_at"] = at.min(where=here)
        else:
            by_rule = at.max(where=here & ~entries.by_final)
            moments[f"{stage}_at"] = ibis.coalesce(by_rule, at.max(where=here))
    return entries.group_by("who").aggregate(**moments)
