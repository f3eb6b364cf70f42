"""First moments: when the event and channels leaves became true, per cycle or per person."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import ibis
import ibis.expr.types as ir

from config.definition import ChannelsLeaf, Definition, EventLeaf, Leaf
from transforms.lifecycle.cycles import by_kind, kind_numbers, kinds_where
from transforms.staging.literals import int64
from transforms.staging.timestamps import NEVER, days_to_microseconds, null_to_never

Keys = Sequence[str]


def first_true_at(
    admitted: ir.Table, columns: Mapping[Leaf, str], definition: Definition, by: Keys
) -> Iterator[ir.Table]:
    """Give tables of the keys and, where true, the first moments (us) of event and channels leaves.

    In:     admitted(*by, at int64 us, kind), the admitted events of a cycle or of a person;
            columns: the leaves and the names of their columns
    Source: docs/definition.md, "True since".
    """
    once = {leaf: name for leaf, name in columns.items() if _is_once(leaf)}
    if once:
        yield _first_of_kinds(admitted, once, definition, by)
    for leaf, name in columns.items():
        match leaf:
            case EventLeaf(count=count) if count > 1:
                yield _first_of_count(admitted, leaf, definition, by).rename({name: "since"})
            case ChannelsLeaf():
                yield _first_of_channels(admitted, leaf, definition, by).rename({name: "since"})


def _is_once(leaf: Leaf) -> bool:
    return isinstance(leaf, EventLeaf) and leaf.count == 1


def _first_of_kinds(
    admitted: ir.Table, columns: Mapping[Leaf, str], definition: Definition, by: Keys
) -> ir.Table:
    """The first events of each list of kinds, all lists in one pass."""
    asked = {
        name: kind_numbers(leaf.event, definition)
        for leaf, name in columns.items()
        if isinstance(leaf, EventLeaf)
    }
    meant = admitted.filter(admitted.kind.isin(sorted({n for ns in asked.values() for n in ns})))
    return meant.group_by(list(by)).aggregate(
        **{name: meant.at.min(where=meant.kind.isin(kinds)) for name, kinds in asked.items()}
    )


def _first_of_count(
    admitted: ir.Table, leaf: EventLeaf, definition: Definition, by: Keys
) -> ir.Table:
    """The first moment at which `count` events lie in the window that ends there."""
    meant = admitted.filter(admitted.kind.isin(kind_numbers(leaf.event, definition)))
    journey = ibis.window(group_by=list(by), order_by=meant.at)
    meant = meant.mutate(nth_before=meant.at.lag(leaf.count - 1).over(journey))
    meant = meant.filter(meant.nth_before.notnull())
    if leaf.within_days is not None:
        # half-open: what happened exactly one window ago is out
        meant = meant.filter(meant.at - meant.nth_before < days_to_microseconds(leaf.within_days))
    return meant.group_by(list(by)).aggregate(since=meant.at.min())


def _first_of_channels(
    admitted: ir.Table, leaf: ChannelsLeaf, definition: Definition, by: Keys
) -> ir.Table:
    """The first activity with which `channels` distinct channels lie in the window."""
    shown = kinds_where(definition, lambda kind: kind.is_activity and kind.channel is not None)
    seen = admitted.filter(admitted.kind.isin(shown))
    names = sorted({kind.channel for kind in definition.events.values() if kind.channel})
    channel = by_kind(
        seen.kind,
        definition,
        lambda kind: names.index(kind.channel) if kind.channel else -1,
        default=-1,
    )
    seen = seen.select(*by, "at", channel=channel)
    firsts = seen.group_by([*by, "channel"]).aggregate(at=seen.at.min())
    journey = ibis.window(group_by=list(by), order_by=[firsts.at, firsts.channel])
    ranked = firsts.mutate(nth=ibis.row_number().over(journey), begin=firsts.at.min().over(journey))
    # no moment can come before the one that has seen them all
    all_seen = ranked.filter(ranked.nth == leaf.channels - 1).select(*by, "begin", since=ranked.at)
    if leaf.within_days is None:
        return all_seen.drop("begin")
    width = days_to_microseconds(leaf.within_days)
    at_once = all_seen.since - all_seen.begin < width
    seen = seen.semi_join(all_seen.filter(~at_once), list(by))
    later = _first_of_window(seen, leaf.channels, width, range(len(names)), by)
    return all_seen.filter(at_once).drop("begin").union(later)


def _first_of_window(
    seen: ir.Table, n: int, width: int, channels: Iterable[int], by: Keys
) -> ir.Table:
    """The first time at which the wanted number of channels is inside one window."""
    journey = ibis.window(group_by=list(by), order_by=seen.at, range=(None, 0))
    never = int64(-NEVER)
    lasts = {
        f"last_{one}": ibis.ifelse(seen.channel == one, seen.at, never).max().over(journey)
        for one in channels
    }
    told = seen.mutate(**lasts)
    # half-open: what happened exactly one window ago is out
    near = ((told[name] > told.at - width).ifelse(1, 0) for name in lasts)
    reached = told.filter(sum(near, int64(0)) >= n)
    return reached.group_by(list(by)).aggregate(since=reached.at.min())


def join_columns(rows: ir.Table, tables: Iterable[ir.Table], by: Keys) -> ir.Table:
    """Join tables of first moments to their keys' rows; NEVER where they have none."""
    joined, added = rows, []
    for nth, table in enumerate(tables):
        joined = joined.left_join(table, list(by), rname=f"{{name}}_of_{nth}")
        added += [name for name in table.columns if name not in by]
    return joined.select(*rows.columns, **{name: null_to_never(joined[name]) for name in added})
