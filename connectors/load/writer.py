"""How changes reach a CRM, the same for all: group by group, several of them at a time.

What becomes of one group stands in `work`; what differs between CRMs each sink brings as `Hands`.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import count
from queue import SimpleQueue

from connectors.concurrency import max_concurrency
from connectors.load.batch_writer import BatchWriter, WriteState
from connectors.load.rejections import Batch, Rejections
from connectors.load.sink_spec import SinkSpec
from connectors.retry import ApiCaller
from models import Catalog, Outcome, RecordChange


def write_changes(
    changes: Iterable[RecordChange], sink: SinkSpec, catalog: Catalog, api_caller: ApiCaller
) -> Iterator[list[Outcome]]:
    """Write changes and yield, batch by batch, what became of each record.

    Once the quota is spent, or the CRM stays silent for longer than our patience, the rest is
    held without another call. `changes` are taken, and outcomes given, in the caller's thread.

    Raises: AccessError where login or permission is missing, after the outcomes so far.
    """
    course = WriteState(Rejections(sink.field_codes, sink.value_codes))
    in_flight = min(sink.max_concurrent_batches, max_concurrency())
    with ThreadPoolExecutor(in_flight, thread_name_prefix=api_caller.crm) as pool:
        flights = _InFlight(pool)
        try:
            for object, group in _group_by_object(changes, sink.compare_batch_size):
                while len(flights) == in_flight or flights.contains_any(group):
                    yield from flights.next_outcomes()
                if flights.failure:
                    break
                work = BatchWriter(object, sink, catalog, api_caller, course)
                flights.start(group, work.write(group))
            while flights:
                yield from flights.next_outcomes()
        finally:
            # whoever asked for the outcomes may have gone away: nothing more is begun
            course.stop_reason = course.stop_reason or "interrupted"
    if flights.failure:
        raise flights.failure


class _InFlight:
    """The groups on their way, each in a thread of its own, and the outcomes they send home."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._numbers = count()
        self._record_keys: dict[int, set[tuple[str, str]]] = {}
        self._futures: dict[int, Future[None]] = {}
        self._results: SimpleQueue[tuple[int, list[Outcome] | None]] = SimpleQueue()
        self.failure: BaseException | None = None

    def __len__(self) -> int:
        return len(self._futures)

    def contains_any(self, group: Batch) -> bool:
        """Tell whether a record of the group is on its way already: one change after the other."""
        records = {(change.object, change.record_id) for change in group}
        return any(not records.isdisjoint(aboard) for aboard in self._record_keys.values())

    def start(self, group: Batch, outcomes: Iterator[list[Outcome]]) -> None:
        number = next(self._numbers)
        self._record_keys[number] = {(change.object, change.record_id) for change in group}
        # the pauses that tests leave out are left out in the thread as well
        run = copy_context().run
        self._futures[number] = self._pool.submit(run, self._run, number, outcomes)

    def next_outcomes(self) -> list[list[Outcome]]:
        """Wait until a group has something to tell: its outcomes, or that it is done."""
        number, outcomes = self._results.get()
        if outcomes is None:
            del self._record_keys[number]
            ended = self._futures.pop(number)
            self.failure = self.failure or ended.exception()
        return [outcomes] if outcomes else []

    def _run(self, number: int, outcomes: Iterator[list[Outcome]]) -> None:
        try:
            for news in outcomes:
                self._results.put((number, news))
        finally:
            self._results.put((number, None))


def _group_by_object(changes: Iterable[RecordChange], size: int) -> Iterator[tuple[str, Batch]]:
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
