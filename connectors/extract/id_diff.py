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

from connectors.concurrency import ahead

SWEEP_EVERY = timedelta(days=1)
Rank = Any
"""What ids are ordered by: a number or a text."""

Ids = Iterator[tuple[set[str], set[str]]]
"""Those that are landed, and those the CRM has, of one stretch."""


@dataclass(frozen=True)
class Shelf:
    """How to ask a CRM for the live records of one object.

    Ranges are above the first rank, up to and with the second; None is open. `present` says which
    of some ids the CRM really has, whatever its counts and lists say. `leaf` ids come in one call;
    up to `listed` of them are asked for whenever there is a reason to.
    """

    count: Callable[[Rank | None, Rank | None], int]
    ids: Callable[[Rank | None, Rank | None], set[str]]
    present: Callable[[Sequence[str]], set[str]]
    leaf: int
    listed: int = 20_000


@dataclass(frozen=True)
class Differences:
    """What was found. `counted` and `landed` are live records."""

    counted: int
    landed: int
    missed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def is_proven(self) -> bool:
        """Tell whether what was found explains how the counts differ."""
        return self.landed - len(self.gone) + len(self.missed) == self.counted


@dataclass(frozen=True)
class Gaps:
    """What is wrong with the landed rows of one object, and since when all of them were swept.

    `relinked` belong to other people than landed, of the `bare` the history was not landed.
    """

    differences: Differences
    relinked: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    swept_at: datetime | None = None

    @property
    def missed(self) -> tuple[str, ...]:
        """Give the ids of what was not landed, or not with its history."""
        return (*self.differences.missed, *self.bare)


def is_due(swept_at: datetime | None, now: datetime) -> bool:
    """Say whether it is time again to look at all that is landed of an object."""
    return swept_at is None or now - swept_at >= SWEEP_EVERY


def differences(live: ir.Table, shelf: Shelf, *, is_sweep: bool = False) -> Differences:
    """Compare live(id, rank), which is unique, with what a CRM has.

    All ids are compared where they come in one call; where they come in few, for a sweep, and
    when the count differs.
    """
    landed = _count(live)
    is_listed = landed <= (shelf.listed if is_sweep else shelf.leaf)
    counted = 0 if is_listed else shelf.count(None, None)
    if is_listed or counted != landed <= shelf.listed:
        pairs = list(_all(live, shelf))
        counted = sum(len(there) for _, there in pairs)
    else:
        pairs = list(_differing(live, shelf, None, None, counted))
    ours = {id for here, there in pairs for id in here - there}
    theirs = {id for here, there in pairs for id in there - here}
    gone = ours - shelf.present(sorted(ours)) if ours else ours
    return Differences(counted, landed, tuple(sorted(theirs)), tuple(sorted(gone)))


def _all(live: ir.Table, shelf: Shelf) -> Ids:
    """Give all ids, stretch by stretch; several stretches are asked for at a time."""
    rows = live.order_by("rank").to_pyarrow()
    starts = range(0, max(1, len(rows)), shelf.leaf)
    stretches = [rows.slice(start, shelf.leaf) for start in starts]
    ends = [None, *(one["rank"][-1].as_py() for one in stretches[:-1]), None]
    asked = (partial(shelf.ids, above, up_to) for above, up_to in pairwise(ends))
    for stretch, there in zip(stretches, ahead(asked), strict=True):
        yield set(stretch["id"].to_pylist()), there


def _differing(
    live: ir.Table, shelf: Shelf, above: Rank | None, up_to: Rank | None, counted: int
) -> Ids:
    """Give the ids of stretches in which counts differ."""
    landed = _count(live)
    if landed == counted:
        return
    if landed <= shelf.leaf:
        here = set(live.id.to_pyarrow().to_pylist())
        there = shelf.ids(above, up_to) if counted else set()
        yield here, there
        return
    by_rank = live.order_by("rank").select("rank").limit(1, offset=landed // 2 - 1)
    middle = by_rank.to_pyarrow()["rank"][0].as_py()
    left = shelf.count(above, middle)
    yield from _differing(live.filter(live.rank <= middle), shelf, above, middle, left)
    right = live.filter(live.rank > middle)
    yield from _differing(right, shelf, middle, up_to, counted - left)


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())
