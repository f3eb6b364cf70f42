"""Where everybody stands: entries raise, silence takes back."""

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from transforms.lifecycle.cycles import inactive_after
from transforms.staging.literals import int64
from transforms.staging.timestamps import NEVER, null_to_never


def recycle_rank(definition: Definition) -> int:
    """The rank that the recycled fall back to."""
    return definition.stage_ids.index(definition.recycled.to) if definition.recycled else 0


def recyclings(
    entries: ir.Table, cycles: ir.Table, definition: Definition, *, as_of: int
) -> ir.Table:
    """Find when those who stood above `recycled.to` went quiet and fell back.

    In:     entries(who, cycle, rank, at, by_final), journeys as `activity.cycles` gives them
    Out:    who, cycle int64 (that had gone quiet), at int64 (us, the recycling), rank int64 (of the
            stage they fell from); people who never lapsed have no row
    Source: docs/definition.md, "Recycling".
    """
    spans = _active_spans(entries, cycles, definition)
    fallen = spans.filter(spans["rank"] > recycle_rank(definition))
    fallen = fallen.select("who", "rank", at=fallen.end + inactive_after(definition))
    started = cycles.select("who", "cycle", "start", "final")
    both = fallen.join(started, [fallen.who == started.who, started.start <= fallen.at])
    both = both.filter(both.at <= as_of, both.at < both.final)
    return both.group_by("who", "at", "rank").aggregate(cycle=both.cycle.max())


def _active_spans(entries: ir.Table, journeys: ir.Table, definition: Definition) -> ir.Table:
    """The stretches without a long silence of people who ever stood above `recycled.to`.

    Out: who, island, end (us), rank (of the highest entry above `recycled.to`, else -1)
    """
    quiet = inactive_after(definition)
    above = entries.filter(entries["rank"] > recycle_rank(definition))
    active = journeys.filter(journeys.first_activity < NEVER).semi_join(above, "who")
    parts = active.select(
        "who", begin=active.first_activity, end=active.last, rank=int64(-1)
    ).union(above.select("who", begin=above.at, end=above.at, rank=above["rank"]))
    order = [parts.begin, parts.end, parts["rank"]]
    earlier = ibis.window(group_by=parts.who, order_by=order, rows=(None, -1))
    reached = parts.end.max().over(earlier)
    parts = parts.mutate(fresh=(reached.isnull() | (parts.begin - reached > quiet)).ifelse(1, 0))
    upto = ibis.window(
        group_by=parts.who, order_by=[parts.begin, parts.end, parts["rank"]], rows=(None, 0)
    )
    numbered = parts.mutate(island=parts.fresh.sum().over(upto))
    return numbered.group_by("who", "island").aggregate(
        end=numbered.end.max(), rank=numbered["rank"].max()
    )


def standing(
    entries: ir.Table,
    recycling_rows: ir.Table,
    cycles: ir.Table,
    definition: Definition,
) -> ir.Table:
    """Say where each person stands, since when, and what their journey left behind.

    Out:    who, rank, since, recycled_at (us or NEVER), fell_from (rank, NULL: never), is_recycled
            boolean (the last change was a recycling), is_quiet (and no cycle started since),
            furthest (rank), cycle, entry_cycle (that entered the stage; NULL after a recycling)
    Source: docs/definition.md, "Where a person stands".
    """
    base = recycle_rank(definition)
    last = recycling_rows.group_by("who").aggregate(recycled_at=recycling_rows.at.max())
    from_rank = recycling_rows.join(
        last, [recycling_rows.who == last.who, recycling_rows.at == last.recycled_at]
    )
    from_rank = from_rank.select("who", "recycled_at", fell_from=from_rank["rank"])
    rows = entries.left_join(from_rank, "who").drop("who_right")
    fresh = rows.recycled_at.isnull() | (rows.at > rows.recycled_at)
    rows = rows.mutate(fresh=fresh)
    tops = rows.group_by("who").aggregate(
        top=rows["rank"].max(where=rows.fresh),
        furthest=rows["rank"].max(),
        recycled_at=rows.recycled_at.max(),
        fell_from=rows.fell_from.max(),
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
