"""Which ids a CRM and the warehouse do not share, found with few questions.

A CRM can count the records whose ids lie between two others. Where it counts as many as are
landed, nothing is asked any more; where it does not, each half is counted. One record that came
and one that went hide each other in a count: where that costs little, the ids are compared instead.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import ibis.expr.types as ir

from connectors.concurrency import map_ordered

FULL_CHECK_INTERVAL = timedelta(days=1)
SortKey = Any
"""What ids are ordered by: a number or a text."""

IdPages = Iterator[tuple[set[str], set[str]]]
"""Those that are landed, and those the CRM has, of one stretch."""


@dataclass(frozen=True)
class RemoteIds:
    """How to ask a CRM for the live records of one object.

    Ranges are above the first rank, up to and with the second; None is open. `present` says which
    of some ids the CRM really has, whatever its counts and lists say. `leaf` ids come in one call;
    up to `listed` of them are asked for whenever there is a reason to.
    """

    count: Callable[[SortKey | None, SortKey | None], int]
    ids: Callable[[SortKey | None, SortKey | None], set[str]]
    existing: Callable[[Sequence[str]], set[str]]
    page_size: int
    max_listed: int = 20_000


@dataclass(frozen=True)
class IdDiff:
    """What was found. `counted` and `landed` are live records."""

    remote_count: int
    landed_count: int
    missing: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Tell whether what was found explains how the counts differ."""
        return self.landed_count - len(self.deleted) + len(self.missing) == self.remote_count


@dataclass(frozen=True)
class Differences:
    """What is wrong with the landed rows of one object, and since when all of them were swept.

    `relinked` belong to other people than landed, of the `bare` the history was not landed.
    """

    id_diff: IdDiff
    reassociated: tuple[str, ...] = ()
    without_history: tuple[str, ...] = ()
    full_check_at: datetime | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Give the ids of what was not landed, or not with its history."""
        return (*self.id_diff.missing, *self.without_history)


def is_full_check_due(last_full_check: datetime | None, now: datetime) -> bool:
    """Say whether it is time again to look at all that is landed of an object."""
    return last_full_check is None or now - last_full_check >= FULL_CHECK_INTERVAL


def diff_ids(live: ir.Table, remote: RemoteIds, *, is_full_check: bool = False) -> IdDiff:
    """Compare live(id, rank), which is unique, with what a CRM has.

    All ids are compared where they come in one call; where they come in few, for a sweep, and
    when the count differs.
    """
    landed = _count(live)
    is_listed = landed <= (remote.max_listed if is_full_check else remote.page_size)
    counted = 0 if is_listed else remote.count(None, None)
    if is_listed or counted != landed <= remote.max_listed:
        pairs = list(_compare_all(live, remote))
        counted = sum(len(there) for _, there in pairs)
    else:
        pairs = list(_diff_by_bisection(live, remote, None, None, counted))
    landed_only = {id for here, there in pairs for id in here - there}
    remote_only = {id for here, there in pairs for id in there - here}
    gone = landed_only - remote.existing(sorted(landed_only)) if landed_only else landed_only
    return IdDiff(counted, landed, tuple(sorted(remote_only)), tuple(sorted(gone)))


def _compare_all(live: ir.Table, remote: RemoteIds) -> IdPages:
    """Give all ids, stretch by stretch; several stretches are asked for at a time."""
    rows = live.order_by("rank").to_pyarrow()
    starts = range(0, max(1, len(rows)), remote.page_size)
    stretches = [rows.slice(start, remote.page_size) for start in starts]
    ends = [None, *(one["rank"][-1].as_py() for one in stretches[:-1]), None]
    asked = (partial(remote.ids, above, up_to) for above, up_to in pairwise(ends))
    for stretch, there in zip(stretches, map_ordered(asked), strict=True):
        yield set(stretch["id"].to_pylist()), there


def _diff_by_bisection(
    live: ir.Table, remote: RemoteIds, above: SortKey | None, up_to: SortKey | None, counted: int
) -> IdPages:
    """Give the ids of stretches in which counts differ."""
    landed = _count(live)
    if landed == counted:
        return
    if landed <= remote.page_size:
        here = set(live.id.to_pyarrow().to_pylist())
        there = remote.ids(above, up_to) if counted else set()
        yield here, there
        return
    by_rank = live.order_by("rank").select("rank").limit(1, offset=landed // 2 - 1)
    middle = by_rank.to_pyarrow()["rank"][0].as_py()
    left = remote.count(above, middle)
    yield from _diff_by_bisection(live.filter(live.rank <= middle), remote, above, middle, left)
    right = live.filter(live.rank > middle)
    yield from _diff_by_bisection(right, remote, middle, up_to, counted - left)


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())
