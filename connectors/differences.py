"""Which ids a CRM and the warehouse do not share, found with few questions.

A CRM can count the records whose ids lie between two others. Where it counts as many as are
landed, nothing is asked any more; where it does not, each half is counted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis.expr.types as ir

Rank = Any
"""What ids are ordered by: a number or a text."""


@dataclass(frozen=True)
class Shelf:
    """How to ask a CRM for the live records of one object.

    Ranges are above the first rank, up to and with the second; None is open. `present` says which
    of some ids the CRM really has, whatever its counts and lists say. `leaf` ids are cheap to list.
    """

    count: Callable[[Rank | None, Rank | None], int]
    ids: Callable[[Rank | None, Rank | None], set[str]]
    present: Callable[[Sequence[str]], set[str]]
    leaf: int


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
    """What is wrong with the landed rows of one object, and since when all of them were swept."""

    differences: Differences
    relinked: tuple[str, ...] = ()
    swept_at: datetime | None = None


def differences(live: ir.Table, shelf: Shelf) -> Differences:
    """Compare live(id, rank), which is unique, with what a CRM has."""
    counted, landed = shelf.count(None, None), _count(live)
    ours: set[str] = set()
    theirs: set[str] = set()
    for here, there in _differing(live, shelf, None, None, counted):
        ours |= here
        theirs |= there
    gone = ours - shelf.present(sorted(ours)) if ours else ours
    return Differences(counted, landed, tuple(sorted(theirs)), tuple(sorted(gone)))


def _differing(
    live: ir.Table, shelf: Shelf, above: Rank | None, up_to: Rank | None, counted: int
) -> Iterator[tuple[set[str], set[str]]]:
    """Give the ids that only we have, and those that only the CRM has, where counts differ."""
    landed = _count(live)
    if landed == counted:
        return
    if landed <= shelf.leaf:
        here = set(live.id.to_pyarrow().to_pylist())
        there = shelf.ids(above, up_to) if counted else set()
        yield here - there, there - here
        return
    by_rank = live.order_by("rank").select("rank").limit(1, offset=landed // 2 - 1)
    middle = by_rank.to_pyarrow()["rank"][0].as_py()
    left = shelf.count(above, middle)
    yield from _differing(live.filter(live.rank <= middle), shelf, above, middle, left)
    right = live.filter(live.rank > middle)
    yield from _differing(right, shelf, middle, up_to, counted - left)


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())
