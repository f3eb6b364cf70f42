"""How changes reach a CRM, the same for all: group by group, several of them at a time.

What becomes of one group stands in `work`; what differs between CRMs each sink brings as `Hands`.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import count
from queue import SimpleQueue

from connectors.concurrency import most
from connectors.load.batch_writer import Course, Work
from connectors.load.rejections import Batch, Refusals
from connectors.load.sink_spec import Hands
from connectors.retry import Traffic
from models import Catalog, Outcome, RecordChange


def carry_out(
    changes: Iterable[RecordChange], hands: Hands, catalog: Catalog, traffic: Traffic
) -> Iterator[list[Outcome]]:
    """Write changes and yield, batch by batch, what became of each record.

    Once the quota is spent, or the CRM stays silent for longer than our patience, the rest is
    held without another call. `changes` are taken, and outcomes given, in the caller's thread.

    Raises: AccessError where login or permission is missing, after the outcomes so far.
    """
    course = Course(Refusals(hands.field_codes, hands.value_codes))
    in_flight = min(hands.in_flight, most())
    with ThreadPoolExecutor(in_flight, thread_name_prefix=traffic.crm) as pool:
        flights = _Flights(pool)
        try:
            for object, group in _grouped(changes, hands.together):
                while len(flights) == in_flight or flights.carry(group):
                    yield from flights.news()
                if flights.failure:
                    break
                work = Work(object, hands, catalog, traffic, course)
                flights.start(group, work.outcomes(group))
            while flights:
                yield from flights.news()
        finally:
            # whoever asked for the outcomes may have gone away: nothing more is begun
            course.stopped = course.stopped or "broken off"
    if flights.failure:
        raise flights.failure


class _Flights:
    """The groups on their way, each in a thread of its own, and the outcomes they send home."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._numbers = count()
        self._aboard: dict[int, set[tuple[str, str]]] = {}
        self._flying: dict[int, Future[None]] = {}
        self._home: SimpleQueue[tuple[int, list[Outcome] | None]] = SimpleQueue()
        self.failure: BaseException | None = None

    def __len__(self) -> int:
        return len(self._flying)

    def carry(self, group: Batch) -> bool:
        """Tell whether a record of the group is on its way already: one change after the other."""
        records = {(change.object, change.record_id) for change in group}
        return any(not records.isdisjoint(aboard) for aboard in self._aboard.values())

    def start(self, group: Batch, outcomes: Iterator[list[Outcome]]) -> None:
        number = next(self._numbers)
        self._aboard[number] = {(change.object, change.record_id) for change in group}
        # the pauses that tests leave out are left out in the thread as well
        run = copy_context().run
        self._flying[number] = self._pool.submit(run, self._fly, number, outcomes)

    def news(self) -> list[list[Outcome]]:
        """Wait until a group has something to tell: its outcomes, or that it is done."""
        number, outcomes = self._home.get()
        if outcomes is None:
            del self._aboard[number]
            ended = self._flying.pop(number)
            self.failure = self.failure or ended.exception()
        return [outcomes] if outcomes else []

    def _fly(self, number: int, outcomes: Iterator[list[Outcome]]) -> None:
        try:
            for news in outcomes:
                self._home.put((number, news))
        finally:
            self._home.put((number, None))


def _grouped(changes: Iterable[RecordChange], size: int) -> Iterator[tuple[str, Batch]]:
    """Gather changes of one object, no record twice, as they come."""
    waiting: dict[str, dict[str, RecordChange]] = {}
    for change in changes:
        group = waiting.setdefault(change.object, {})
        if len(group) == size or change.record_id in group:
            yield change.object, list(group.values())
            group.clear()
        group[change.record_id] = change
    for object, group in waiting.items():
        if group:
            yield object, list(group.values())
