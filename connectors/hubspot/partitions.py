"""One long list, read from several places at once.

A list comes by ascending id, and its cursor is the next id: today, and nobody promises it. So what
is begun in the middle is not taken on trust. Whoever reads up to such a beginning reads on, by
cursors that HubSpot gave, until the very record appears with which it began; and where HubSpot
refuses a beginning, or answers from somewhere else, nothing is begun in the middle any more.
"""

from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from connectors.concurrency import launch, most
from connectors.extract.arrow import Page, Position, Row
from connectors.pagination_guard import Trail
from errors import RefusedError

Answer = dict[str, Any]
Fetch = Callable[[str | None], Answer]
"""Gives the page behind a cursor; None is the first."""

WORTH_SPLITTING = 4
"""Pages that a range may still hold at least, before another reader begins in its middle."""


@dataclass
class Range:
    """What one reader has yet to read: behind `after`, up to the record `until` (None: the end).

    `last` is the id read last, `bound` one that nothing in the range lies at or above.
    """

    after: str | None
    last: int
    until: int | None
    bound: int = 0
    span: int = 0
    is_halved: bool = False
    begun_anew_at: int | None = None
    trail: Trail = field(default_factory=lambda: Trail("HubSpot: GET of a list"))

    def take(self, answer: Answer) -> tuple[list[Row], bool]:
        """Take the rows of a page that belong here, and say whether it was the last one."""
        records = answer["results"]
        rows = [one for one in records if self._holds(int(one["id"]))]
        after = next_of(answer)
        self.after = after and self.trail.follow(after)
        if rows:
            newest = int(rows[-1]["id"])
            self.span, self.last = newest - self.last, newest
        is_met = bool(records) and self.until is not None and int(records[-1]["id"]) >= self.until
        return rows, after is None or is_met

    def begin_anew(self) -> bool:
        """Go back to the beginning, and say whether that helps: not twice from the same record."""
        if self.after is None or self.begun_anew_at == self.last:
            return False
        self.after, self.begun_anew_at = None, self.last
        self.trail = Trail("HubSpot: GET of a list")
        return True

    def _holds(self, id: int) -> bool:
        return id > self.last and (self.until is None or id < self.until)


def spread(fetch: Fetch, at: Position, newest: Callable[[], int]) -> Generator[Page, None, None]:
    """Read a list to its end; a position is what each reader has yet to read.

    `newest` gives the greatest id there is, and is asked when there is more than one page.
    """
    ranges = [Range(*one) for one in at] if at else [Range(None, 0, None)]
    reading = _Reading(fetch, ranges, newest)
    with ThreadPoolExecutor(most()) as threads:
        try:
            while reading.ranges:
                reading.launch(threads)
                for future in wait(reading.flying, return_when=FIRST_COMPLETED).done:
                    yield reading.taken(future), reading.position()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


class _Reading:
    """The readers of one list. All that is decided is decided in one thread."""

    def __init__(self, fetch: Fetch, ranges: list[Range], newest: Callable[[], int]) -> None:
        self.ranges = ranges
        self.flying: dict[Future[Answer], tuple[Range, int | None]] = {}
        self._fetch = fetch
        self._newest = newest
        self._bound = 0
        self._may_halve = True

    def position(self) -> Position:
        return [[one.after, one.last, one.until] for one in self.ranges] or None

    def launch(self, threads: ThreadPoolExecutor) -> None:
        """Ask for the next page of each range, and begin others in the middle of the longest."""
        busy = {id(one) for one, middle in self.flying.values() if middle is None}
        for one in self.ranges:
            if id(one) not in busy:
                self._ask(threads, one, one.after, None)
        while len(self.flying) < most() and (longest := self._longest()):
            longest.is_halved = True
            middle = (longest.last + longest.bound) // 2
            self._ask(threads, longest, str(middle), middle)

    def taken(self, future: "Future[Answer]") -> list[Row]:
        """Take in an answer, and give its rows."""
        one, middle = self.flying.pop(future)
        if middle is not None:
            return self._begun(one, middle, future)
        try:
            answer = future.result()
        except RefusedError:
            # HubSpot forgot the cursor: only from the beginning on is there another to be had
            if not one.begin_anew():
                raise
            return []
        rows, is_done = one.take(answer)
        if is_done:
            self.ranges.remove(one)
        return rows

    def _ask(
        self, threads: ThreadPoolExecutor, one: Range, after: str | None, middle: int | None
    ) -> None:
        self.flying[launch(threads, partial(self._fetch, after))] = (one, middle)

    def _longest(self) -> Range | None:
        """Choose the range that is worth another reader most."""
        free = [one for one in self.ranges if one.span and not one.is_halved]
        if not self._may_halve or not free:
            return None
        self._bound = self._bound or self._newest() + 1
        for one in free:
            one.bound = one.bound or one.until or self._bound
        longest = max(free, key=lambda one: one.bound - one.last)
        is_worth_it = longest.bound - longest.last > WORTH_SPLITTING * longest.span
        return longest if is_worth_it else None

    def _begun(self, one: Range, middle: int, future: "Future[Answer]") -> list[Row]:
        """Let a new range begin where HubSpot says there is a record, if that can be trusted."""
        one.is_halved = False
        try:
            answer = future.result()
        except RefusedError:
            self._may_halve = False
            return []
        first = int(answer["results"][0]["id"]) if answer["results"] else None
        if one not in self.ranges or (first is not None and one.last >= first >= middle):
            return []  # its reader has come so far meanwhile
        if first is None or (one.until is not None and first >= one.until):
            one.bound = middle
            return []
        if first < middle:
            self._may_halve = False
            return []
        new = Range(None, first - 1, one.until, one.bound)
        one.until, one.bound = first, middle
        rows, is_done = new.take(answer)
        if not is_done:
            self.ranges.insert(self.ranges.index(one) + 1, new)
        return rows


def next_of(answer: Row) -> str | None:
    """Read where the next page begins."""
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)
