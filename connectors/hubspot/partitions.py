"""One long list, read from several places at once.

A list comes by ascending id, and its cursor is the next id. HubSpot does not document this. So a
reader that starts in the middle is checked. The reader before it continues past that start, by
cursors that HubSpot gave, until the very record appears with which it began; and where HubSpot
refuses a beginning, or answers from somewhere else, nothing is begun in the middle any more.
"""

from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from connectors.concurrency import max_concurrency, submit
from connectors.extract.arrow import Page, PageToken, Row
from connectors.http import PaginationLoopGuard, RepeatedPageError
from connectors.retry import POLICY
from errors import RejectedError

ListPage = dict[str, Any]
Fetch = Callable[[str | None], ListPage]
"""Gives the page behind a cursor; None is the first."""

MIN_PAGES_TO_SPLIT = 4
"""Pages that a range may still hold at least, before another reader begins in its middle."""


@dataclass
class Partition:
    """What one reader has yet to read: behind `after`, up to the record `until` (None: the end).

    `last` is the id read last, `bound` an id above all ids of the range.
    """

    after: str | None
    last: int
    until: int | None
    upper_bound: int = 0
    page_span: int = 0
    is_split: bool = False
    restarted_at: int | None = None
    repeats: int = 0
    loop_guard: PaginationLoopGuard = field(
        default_factory=lambda: PaginationLoopGuard("HubSpot: GET of a list")
    )

    def add_page(self, page: ListPage) -> tuple[list[Row], bool]:
        """Take the rows of a page that belong here, and say whether it was the last one."""
        records = page["results"]
        rows = [one for one in records if self._contains(int(one["id"]))]
        after = next_page_cursor(page)
        try:
            self.loop_guard.check(*next_page_cursors(page))
            self.after, self.repeats = after, 0
        except RepeatedPageError:
            # it came before: the same page is asked for again
            self.repeats += 1
            if self.repeats >= POLICY.max_attempts:
                raise
        if rows:
            newest = int(rows[-1]["id"])
            self.page_span, self.last = newest - self.last, newest
        is_met = bool(records) and self.until is not None and int(records[-1]["id"]) >= self.until
        return rows, after is None or is_met

    def restart(self) -> bool:
        """Go back to the beginning, and say whether that helps: not twice from the same record."""
        if self.after is None or self.restarted_at == self.last:
            return False
        self.after, self.restarted_at = None, self.last
        self.loop_guard = PaginationLoopGuard("HubSpot: GET of a list")
        return True

    def _contains(self, id: int) -> bool:
        return id > self.last and (self.until is None or id < self.until)


def read_partitions(
    fetch: Fetch, page_token: PageToken, greatest_id: Callable[[], int]
) -> Generator[Page, None, None]:
    """Read a list to its end; a position is what each reader has yet to read.

    `newest` gives the greatest id there is, and is asked when there is more than one page.
    """
    ranges = [Partition(*one) for one in page_token] if page_token else [Partition(None, 0, None)]
    reading = _PartitionReader(fetch, ranges, greatest_id)
    with ThreadPoolExecutor(max_concurrency()) as threads:
        try:
            while reading.partitions:
                reading.submit_requests(threads)
                for future in wait(reading.in_flight, return_when=FIRST_COMPLETED).done:
                    yield reading.handle_response(future), reading.page_token()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


class _PartitionReader:
    """The readers of one list. All that is decided is decided in one thread."""

    def __init__(self, fetch: Fetch, ranges: list[Partition], newest: Callable[[], int]) -> None:
        self.partitions = ranges
        self.in_flight: dict[Future[ListPage], tuple[Partition, int | None]] = {}
        self._fetch = fetch
        self._greatest_id = newest
        self._upper_bound = 0
        self._may_split = True

    def page_token(self) -> PageToken:
        return [[one.after, one.last, one.until] for one in self.partitions] or None

    def submit_requests(self, threads: ThreadPoolExecutor) -> None:
        """Ask for the next page of each range, and begin others in the middle of the longest."""
        busy = {id(one) for one, middle in self.in_flight.values() if middle is None}
        for one in self.partitions:
            if id(one) not in busy:
                self._submit(threads, one, one.after, None)
        while len(self.in_flight) < max_concurrency() and (longest := self._partition_to_split()):
            longest.is_split = True
            middle = (longest.last + longest.upper_bound) // 2
            self._submit(threads, longest, str(middle), middle)

    def handle_response(self, future: "Future[ListPage]") -> list[Row]:
        """Take in an answer, and give its rows."""
        one, middle = self.in_flight.pop(future)
        if middle is not None:
            return self._start_partition(one, middle, future)
        try:
            answer = future.result()
        except RejectedError:
            # HubSpot forgot the cursor: only from the beginning on is there another to be had
            if not one.restart():
                raise
            return []
        rows, is_done = one.add_page(answer)
        if is_done:
            self.partitions.remove(one)
        return rows

    def _submit(
        self, threads: ThreadPoolExecutor, one: Partition, after: str | None, middle: int | None
    ) -> None:
        self.in_flight[submit(threads, partial(self._fetch, after))] = (one, middle)

    def _partition_to_split(self) -> Partition | None:
        """Choose the range that is worth another reader most."""
        free = [one for one in self.partitions if one.page_span and not one.is_split]
        if not self._may_split or not free:
            return None
        self._upper_bound = self._upper_bound or self._greatest_id() + 1
        for one in free:
            one.upper_bound = one.upper_bound or one.until or self._upper_bound
        longest = max(free, key=lambda one: one.upper_bound - one.last)
        is_worth_it = longest.upper_bound - longest.last > MIN_PAGES_TO_SPLIT * longest.page_span
        return longest if is_worth_it else None

    def _start_partition(
        self, one: Partition, middle: int, future: "Future[ListPage]"
    ) -> list[Row]:
        """Let a new range begin where HubSpot says there is a record, if that can be trusted."""
        one.is_split = False
        try:
            answer = future.result()
        except RejectedError:
            self._may_split = False
            return []
        first = int(answer["results"][0]["id"]) if answer["results"] else None
        if one not in self.partitions or (first is not None and one.last >= first >= middle):
            return []  # its reader has come so far meanwhile
        if first is None or (one.until is not None and first >= one.until):
            one.upper_bound = middle
            return []
        if first < middle:
            self._may_split = False
            return []
        new = Partition(None, first - 1, one.until, one.upper_bound)
        one.until, one.upper_bound = first, middle
        rows, is_done = new.add_page(answer)
        if not is_done:
            self.partitions.insert(self.partitions.index(one) + 1, new)
        return rows


def next_page_cursors(page: Row) -> list[str]:
    """Read where the next page begins, as a list that is empty behind the last page."""
    cursor = next_page_cursor(page)
    return [] if cursor is None else [cursor]


def next_page_cursor(page: Row) -> str | None:
    """Read where the next page begins."""
    after = ((page.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)
