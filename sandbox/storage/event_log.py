"""A log of events, newest first: compressed entries, and changed entries uncompressed."""

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

import numpy as np
import orjson

from sandbox.storage.compression import SequentialLines

Entry = dict[str, Any]
_WEEK: Final = 7 * 86_400_000


class EventLog(Sequence[Entry]):
    """A log by time in epoch milliseconds. Added entries are readable after `pack`."""

    def __init__(self) -> None:
        """Start without content."""
        self._weeks: dict[int, tuple[array[int], SequentialLines]] = defaultdict(_week)
        self._negated_times = array("q")
        self._packed = SequentialLines()
        self._unpacked: dict[int, Entry] = {}

    def add(self, at: int, entry: Entry) -> None:
        """Add an entry, in any order."""
        ago, packed = self._weeks[at // _WEEK]
        ago.append(-at)
        packed.add(orjson.dumps(entry))

    def pack(self) -> None:
        """Sort and compress all entries, week by week; the sort is stable."""
        for week in sorted(self._weeks, reverse=True):
            ago, packed = self._weeks.pop(week)
            lines = list(packed)
            for at in np.argsort(np.array(ago), kind="stable").tolist():
                self._negated_times.append(ago[at])
                self._packed.add(lines[at])

    def between(self, since: int, until: int) -> range:
        """Return the indexes of the entries in [since, until]."""
        return range(
            bisect_left(self._negated_times, -until), bisect_right(self._negated_times, -since)
        )

    def timestamp(self, place: int) -> int:
        """Return the time of an entry."""
        return -self._negated_times[place]

    def read(self, place: int) -> Entry:
        """Return an entry for reading only."""
        entry: Entry = self._unpacked.get(place) or orjson.loads(self._packed[place])
        return entry

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._negated_times)

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entries for reading only."""
        lines = enumerate(self._packed)
        return (self._unpacked.get(place) or orjson.loads(line) for place, line in lines)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> list[Entry]: ...
    def __getitem__(self, place: int | slice) -> Entry | list[Entry]:
        """Return an entry, or several; changes to it are kept."""
        if isinstance(place, slice):
            return [self[one] for one in range(len(self))[place]]
        place = range(len(self))[place]
        return self._unpacked.setdefault(place, self.read(place))


def _week() -> "tuple[array[int], SequentialLines]":
    return array("q"), SequentialLines()
