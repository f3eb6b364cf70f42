"""Write changes into a CRM, group by group, several groups at a time.

`batch_writer` writes one group; a `SinkSpec` says what differs between CRMs.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import count
from queue import Empty, SimpleQueue

from connectors.concurrency import max_concurrency
from connectors.load.batch_writer import BatchWriter, WriteState
from connectors.load.rejections import Batch, Rejections
from connectors.load.sink_spec import SinkSpec
from connectors.retry import ApiCaller
from models import Catalog, Outcome, RecordChange

REPORT_SECONDS = 60.0
"""The caller hears at least this often, also while a Bulk job runs for two hours: it renews the run
lock, which expires after 15 minutes."""


def write_changes(
    changes: Iterable[RecordChange], sink: SinkSpec, catalog: Catalog, api_caller: ApiCaller
) -> Iterator[list[Outcome]]:
    """Write changes and yield the outcomes, batch by batch; an empty batch while one takes long.

    When the quota is exhausted, or the CRM stays unavailable longer than the retry policy allows,
    the rest is held without another call. The caller's thread reads `changes` and gets outcomes.

    Raises: AccessError where login or permission is missing, after the outcomes so far.
    """
    state = WriteState(Rejections(sink.field_codes, sink.value_codes))
    in_flight = min(sink.max_concurrent_batches, max_concurrency())
    with ThreadPoolExecutor(in_flight, thread_name_prefix=api_caller.crm) as pool:
        groups = _InFlight(pool)
        try:
            for object, group in _group_by_object(changes, sink.compare_batch_size):
                while len(groups) == in_flight or groups.contains_any(group):
                    yield from groups.next_outcomes()
                if groups.failure:
                    break
                writer = BatchWriter(object, sink, catalog, api_caller, state)
                groups.start(group, writer.write(group))
            while groups:
                yield from groups.next_outcomes()
        finally:
            # the caller may have stopped reading the outcomes: start no further batch
            state.stop_reason = state.stop_reason or "interrupted"
    if groups.failure:
        raise groups.failure


class _InFlight:
    """The groups being written, each in its own thread, and the queue of their outcomes."""

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
        """Say whether a record of the group is being written: its changes must keep their order."""
        records = {(change.object, change.record_id) for change in group}
        return any(not records.isdisjoint(keys) for keys in self._record_keys.values())

    def start(self, group: Batch, outcomes: Iterator[list[Outcome]]) -> None:
        number = next(self._numbers)
        self._record_keys[number] = {(change.object, change.record_id) for change in group}
        # `no_sleep` is a context variable: the thread needs the context of its caller
        run = copy_context().run
        self._futures[number] = self._pool.submit(run, self._run, number, outcomes)

    def next_outcomes(self) -> list[list[Outcome]]:
        """Wait until a group has new outcomes or has ended, or `REPORT_SECONDS` are over."""
        try:
            number, outcomes = self._results.get(timeout=REPORT_SECONDS)
        except Empty:
            return [[]]
        if outcomes is None:
            del self._record_keys[number]
            future = self._futures.pop(number)
            self.failure = self.failure or future.exception()
        return [outcomes] if outcomes else []

    def _run(self, number: int, outcomes: Iterator[list[Outcome]]) -> None:
        try:
            for batch in outcomes:
                self._results.put((number, batch))
        finally:
            self._results.put((number, None))


def _group_by_object(changes: Iterable[RecordChange], size: int) -> Iterator[tuple[str, Batch]]:
    """Group the changes by object, in their order; no group has a record twice."""
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
