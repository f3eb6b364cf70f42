"""First moments: when the event, channel and score leaves became true, per cycle or per person."""

from collections.abc import Iterable, Sequence

import ibis
import ibis.expr.types as ir

from transforms.activity import by_kind, kinds_where
from transforms.definition import ChannelsLeaf, Definition, EventLeaf, Leaf
from transforms.instants import days, or_never

Keys = Sequence[str]


def first_moments(
    admitted: ir.Table, leaves: Iterable[Leaf], definition: Definition, by: Keys
) -> list[tuple[Leaf, ir.Table]]:
    """Give each event and channels leaf a table: the keys and `since` (us), only where true.

    In:     admitted(*by, at int64 us, kind), the admitted events of a cycle or of a person
    Source: docs/definition.md, "True since".
    """
    firsts: list[tuple[Leaf, ir.Table]] = []
    for leaf in dict.fromkeys(leaves):
        match leaf:
            case EventLeaf():
                firsts.append((leaf, _first_of_count(admitted, leaf, by)))
            case ChannelsLeaf():
                firsts.append((leaf, _first_of_channels(admitted, leaf, definition, by)))
    return firsts


def _first_of_count(admitted: ir.Table, leaf: EventLeaf, by: Keys) -> ir.Table:
    """The first moment at which `count` events lie in the window that ends there."""
    meant = admitted.filter(admitted.kind.isin(leaf.event))
    if leaf.count > 1:
        journey = ibis.window(group_by=list(by), order_by=meant.at)
        nth_before = meant.at.lag(leaf.count - 1).over(journey)
        meant = meant.mutate(nth_before=nth_before)
        meant = meant.filter(meant.nth_before.notnull())
        if leaf.within_days is not None:
            # half-open: what happened exactly one window ago is out
            meant = meant.filter(meant.at - meant.nth_before < days(leaf.within_days))
    return meant.group_by(list(by)).aggregate(since=meant.at.min())


def _first_of_channels(
    admitted: ir.Table, leaf: ChannelsLeaf, definition: Definition, by: Keys
) -> ir.Table:
    """The first activity with which `channels` distinct channels lie in the window."""
    shown = kinds_where(definition, lambda kind: kind.is_activity and kind.channel is not None)
    seen = admitted.filter(admitted.kind.isin(shown))
    named = by_kind(seen.kind, definition, lambda kind: kind.channel or "", otherwise="")
    seen = seen.select(*by, "at", channel=named)
    if leaf.within_days is None:
        return _first_of_all_channels(seen, leaf.channels, by)
    return _first_of_window(seen, leaf.channels, days(leaf.within_days), by)


def _first_of_all_channels(seen: ir.Table, n: int, by: Keys) -> ir.Table:
    firsts = seen.group_by([*by, "channel"]).aggregate(at=seen.at.min())
    journey = ibis.window(group_by=list(by), order_by=[firsts.at, firsts.channel])
    ranked = firsts.mutate(nth=ibis.row_number().over(journey))
    nth = ranked.filter(ranked.nth == n - 1)
    return nth.select(*by, since=nth.at)


def _first_of_window(seen: ir.Table, n: int, width: int, by: Keys) -> ir.Table:
    """Sweep over the stretches during which each channel is in the window, and count them.

    A channel comes into the window with an activity that follows none in the window before it,
    and leaves it one window after the last of such a row of activities.
    """
    line = ibis.window(group_by=[*by, "channel"], order_by=seen.at)
    neighbours = seen.mutate(before=seen.at.lag(1).over(line), after=seen.at.lead(1).over(line))
    comes = neighbours.before.isnull() | (neighbours.at - neighbours.before >= width)
    leaves = neighbours.after.notnull() & (neighbours.after - neighbours.at >= width)
    coming = neighbours.filter(comes).select(*by, "at", step=ibis.literal(1, "int64"))
    left = neighbours.filter(leaves)
    leaving = left.select(*by, at=left.at + width, step=ibis.literal(-1, "int64"))
    steps = coming.union(leaving)
    journey = ibis.window(group_by=list(by), order_by=steps.at, range=(None, 0))
    counts = steps.mutate(in_window=steps.step.sum().over(journey))
    reached = counts.filter(counts.in_window >= n, counts.step == 1)
    return reached.group_by(list(by)).aggregate(since=reached.at.min())


def attach(rows: ir.Table, firsts: Iterable[tuple[str, ir.Table]], by: Keys) -> ir.Table:
    """Join tables of first moments to their keys' rows, each as one column; NEVER where absent."""
    for name, first in firsts:
        moved = first.select(**{f"key_{key}": first[key] for key in by}, **{name: first.since})
        rows = rows.left_join(moved, [rows[key] == moved[f"key_{key}"] for key in by])
        rows = rows.drop(*(f"key_{key}" for key in by))
        rows = rows.mutate(**{name: or_never(rows[name])})
    return rows
