"""Find the ids that only the CRM or only the warehouse has, with few calls.

A CRM can count the records in a range of ids. Where the count equals that of the landed rows, the
range is done; else each half is counted. One missing and one absent record give equal counts: so
ids are compared instead of counts where that takes few calls.
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
"""The value by which ids are sorted: a number or a text."""

IdPages = Iterator[tuple[set[str], set[str]]]
"""The landed ids and the CRM's ids of each range."""


@dataclass(frozen=True)
class RemoteIds:
    """How to read the ids of the live records of one object.

    Ranges are half-open, (above, up to]; None is unbounded. `existing` returns which of some ids
    the CRM has; it must be exact, while `count` and `ids` may be late. `page_size` ids come in one
    call; up to `max_listed` ids are listed in a full check and where counts differ.
    """

    count: Callable[[SortKey | None, SortKey | None], int]
    ids: Callable[[SortKey | None, SortKey | None], set[str]]
    existing: Callable[[Sequence[str]], set[str]]
    page_size: int
    max_listed: int = 20_000


@dataclass(frozen=True)
class IdDiff:
    """The differing ids; both counts are of live records."""

    remote_count: int
    landed_count: int
    missing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Return whether the ids explain the difference of the counts."""
        return self.landed_count - len(self.absent) + len(self.missing) == self.remote_count


@dataclass(frozen=True)
class Differences:
    """How the landed rows of one object differ from the CRM, and when all were last compared.

    `reassociated` belong to other people than landed; `without_history` lack their landed history.
    """

    id_diff: IdDiff
    reassociated: tuple[str, ...] = ()
    without_history: tuple[str, ...] = ()
    full_check_at: datetime | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the ids of records that were not landed, or not with their history."""
        return (*self.id_diff.missing, *self.without_history)


def is_full_check_due(last_full_check: datetime | None, now: datetime) -> bool:
    """Return whether all landed rows of an object are due for a comparison."""
    return last_full_check is None or now - last_full_check >= FULL_CHECK_INTERVAL


def diff_ids(live: ir.Table, remote: RemoteIds, *, is_full_check: bool = False) -> IdDiff:
    """Compare live(id, rank), unique, with the ids of the CRM.

    All ids are compared where they come in one call, in a full check, and where the counts differ
    and few calls suffice. Else ranges are bisected.
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
    """Yield all ids, range by range; several ranges are requested at a time."""
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
    """Yield the ids of ranges whose counts differ."""
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
