"""Write one group of changes into a CRM: compare, clear, write, confirm, retry.

Each change moves through the states of `write_states`. A step, a read or a write of a batch, gives
each change of the batch an `Answer`. The table `NEXT` says its next state or the outcome with which
it ends. One loop, `BatchWriter._work_off`, takes the steps.
"""

import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from more_itertools import chunked

from connectors.load.rejections import Batch, Rejections, split_batch
from connectors.load.sink_spec import RemoteRecord, SinkSpec
from connectors.load.values import values_equal
from connectors.load.write_states import MISSING, NEXT, REJECTED, UNSETTLED, Answer, End, State
from connectors.retry import POLICY, ApiCaller
from errors import (
    QuotaError,
    RejectedError,
    RetryableError,
    RowLockedError,
    SyncError,
    UnconfirmedWriteError,
    UnknownOutcomeError,
)
from models import Catalog, FieldChange, Outcome, RecordChange

LOG = logging.getLogger("onefunnel.write")

MAX_RESENDS = 3
"""A write without a response is sent at most this many times."""


@dataclass(frozen=True)
class StepResult:
    """What a step found for one change; `detail`: the error, or the word for a missing record."""

    change: RecordChange
    answer: Answer
    detail: SyncError | str | None = None


@dataclass(frozen=True)
class WorkItem:
    """Changes in one state, to be sent in batches of at most `size` records or as a bulk job."""

    state: State
    changes: Batch
    size: int
    is_bulk: bool = False
    error: SyncError | None = None


@dataclass
class WriteState:
    """What all groups of a run share; when `stop_reason` is set, nothing more is sent."""

    rejections: Rejections
    stop_reason: str = ""


@dataclass
class Phase:
    """One of clear, write and restore, with the changes whose values the CRM has by now.

    Clear and restore are helpers: a value that is there already counts as written by them.
    """

    is_helper: bool = False
    arrived: dict[str, RecordChange] = field(default_factory=dict)


class BatchWriter:
    """Writes the changes of one group and gives each of them an outcome."""

    def __init__(
        self,
        object: str,
        sink: SinkSpec,
        catalog: Catalog,
        api_caller: ApiCaller,
        state: WriteState,
    ) -> None:
        self._object = object
        self._sink = sink
        self._fields = catalog.get(object, {})
        self._api_caller = api_caller
        self._state = state
        self._attempts: Counter[str] = Counter()
        self._lock_keys: dict[str, str] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._reported_count = 0
        self._steps = {
            State.TO_COMPARE: self._compare,
            State.TO_WRITE: self._send,
            State.BATCH_REJECTED: self._isolate,
            State.BUSY: self._wait_for_crm,
            State.LOCKED: self._wait_for_record,
            State.OVERLOADED: self._wait_for_record,
            State.UNKNOWN: self._read_back,
            State.UNCONFIRMED: self._read_back,
        }

    def write(self, changes: Batch) -> Iterator[list[Outcome]]:
        """Write the changes and yield the new outcomes, batch by batch.

        Raises: AccessError where login or permission is missing, after the outcomes so far.
        """
        planned: Batch = []
        with self._stop_on_outage():
            planned = self._select_planned(changes)
        yield self._new_outcomes()
        for part in self._parts(changes if self._state.stop_reason else planned):
            cleared = Phase(is_helper=True)
            try:
                with self._stop_on_outage():
                    self._write_part(part, cleared)
            except SyncError:
                yield self._new_outcomes()
                raise
            self._hold_unsent(part, cleared)
            yield self._new_outcomes()

    @contextmanager
    def _stop_on_outage(self) -> Iterator[None]:
        """Let an exhausted quota and a CRM that stays unavailable stop all groups of the run."""
        try:
            yield
        except (QuotaError, RetryableError) as error:
            # the outcomes have the reason only; the error says since when, or until when
            LOG.warning("write.stopped crm=%s error=%s", self._api_caller.crm, error)
            is_quota = isinstance(error, QuotaError)
            self._state.stop_reason = "quota" if is_quota else "unavailable"

    def _select_planned(self, changes: Batch) -> Batch:
        """Compare all changes of the group first; return those that the CRM still needs."""
        if self._state.stop_reason:
            return []
        item = WorkItem(State.TO_COMPARE, changes, self._sink.write_batch_size)
        planned = [
            change
            for follow_up in self._follow_ups(item, self._compare(item, Phase()), Phase())
            for change in follow_up.changes
        ]
        # records of one account lock each other: they are written in one batch, not in two
        return sorted(planned, key=lambda change: self._lock_keys.get(change.record_id, ""))

    def _parts(self, changes: Batch) -> Iterable[Batch]:
        return (
            [changes] if self._is_bulk(changes) else chunked(changes, self._sink.write_batch_size)
        )

    def _is_bulk(self, changes: Batch) -> bool:
        return self._sink.bulk_write is not None and len(changes) >= self._sink.bulk_min_records

    def _write_part(self, part: Batch, cleared: Phase) -> None:
        """Clear the fields that take a value only when empty, write, restore what was rejected."""
        if self._state.stop_reason:
            return
        self._deliver(_clearing_changes(part), cleared)
        written = Phase()
        try:
            pending = [change for change in part if change.record_id not in self._outcomes]
            self._deliver(
                [
                    _after_clearing(change) if change.record_id in cleared.arrived else change
                    for change in pending
                ],
                written,
            )
            self._restore(cleared)
        finally:
            for change in written.arrived.values():
                self._add_outcome(change, End("written"))
            for change in self._left_cleared(cleared):
                self._add_outcome(change, End("unknown", "cleared_not_set"))

    def _restore(self, cleared: Phase) -> None:
        """Write the previous value of each field that was cleared for a value it did not get."""
        left = self._left_cleared(cleared)
        outcomes = {change.record_id: self._outcomes.pop(change.record_id) for change in left}
        restored = Phase(is_helper=True)
        try:
            self._deliver(list(map(_restoring_change, left)), restored, may_be_bulk=False)
        finally:
            for record_id in restored.arrived:
                self._outcomes[record_id] = outcomes[record_id]
                del cleared.arrived[record_id]

    def _left_cleared(self, cleared: Phase) -> Batch:
        """Return the cleared changes whose record ended without its new value."""
        return [
            change
            for record_id, change in cleared.arrived.items()
            if (outcome := self._outcomes.get(record_id))
            and (outcome.status == "quarantined" or outcome.reason in ("row_locked", "unavailable"))
        ]

    def _hold_unsent(self, part: Batch, cleared: Phase) -> None:
        """Give an outcome to the changes that were not sent because the run was stopped."""
        for change in part:
            if change.record_id in self._outcomes:
                continue
            if change.record_id in cleared.arrived:
                self._add_outcome(change, End("unknown", "cleared_not_set"))
            else:
                self._add_outcome(change, End("held", self._state.stop_reason))

    # --- the loop -------------------------------------------------------------------------------

    def _deliver(self, changes: Batch, phase: Phase, *, may_be_bulk: bool = True) -> None:
        """Send changes until each of them has arrived or has an outcome."""
        size = self._sink.write_batch_size
        if may_be_bulk and self._is_bulk(changes):
            self._work_off([WorkItem(State.TO_WRITE, changes, size, is_bulk=True)], phase)
        else:
            parts = chunked(changes, size)
            self._work_off([WorkItem(State.TO_WRITE, part, size) for part in parts], phase)

    def _work_off(self, items: Iterable[WorkItem], phase: Phase) -> None:
        """Take one step after the other until no change is left in any state."""
        work = deque(items)
        try:
            while work:
                # the item stays in `work` until its step has ended: the step may raise
                results = list(self._steps[work[0].state](work[0], phase))
                work.extendleft(reversed(self._follow_ups(work.popleft(), results, phase)))
        except BaseException:
            for item in work:
                if item.state in UNSETTLED:
                    for change in item.changes:
                        self._add_outcome(change, End("unknown", "no_response"))
            raise

    def _follow_ups(
        self, item: WorkItem, results: Iterable[StepResult], phase: Phase
    ) -> list[WorkItem]:
        """Look up in `NEXT` what each result leads to; return the work that it leaves."""
        waiting: dict[State, list[StepResult]] = defaultdict(list)
        for result in results:
            following = NEXT[item.state, result.answer]
            LOG.debug("batch.step state=%s answer=%s next=%s", item.state, result.answer, following)
            if isinstance(following, End):
                self._end(result, following)
            elif following is State.ARRIVED:
                phase.arrived[result.change.record_id] = result.change
            else:
                waiting[following].append(result)
        # first settle what was sent: a later error must not leave it open
        states = sorted(waiting, key=lambda state: state not in UNSETTLED)
        return [
            follow_up for state in states for follow_up in self._items(state, waiting[state], item)
        ]

    def _items(
        self, state: State, results: Sequence[StepResult], previous: WorkItem
    ) -> Iterator[WorkItem]:
        changes = [result.change for result in results]
        # records of one account lock each other: the fewer in a batch, the fewer locks it needs,
        # and the less a trigger has to do in one transaction
        is_crowded = previous.state in (State.LOCKED, State.OVERLOADED)
        size = max(1, len(changes) // 2) if is_crowded else previous.size
        if state is State.TO_WRITE:
            yield from (WorkItem(state, part, size) for part in chunked(changes, size))
            return
        detail = results[0].detail
        yield WorkItem(
            state, changes, size, error=detail if isinstance(detail, SyncError) else None
        )

    # --- the steps ------------------------------------------------------------------------------

    def _compare(self, item: WorkItem, phase: Phase) -> Iterator[StepResult]:
        """Read the records and compare them with what the plan saw and wants."""
        for change, record in self._read_records(item.changes):
            if not isinstance(record, Mapping):
                yield self._unavailable(change, record)
                continue
            fields = [
                # a field found empty counts as cleared: an earlier run may have ended in between
                field if record.get(field.field) else _mark_cleared(field)
                for field in change.fields
            ]
            differing = tuple(
                field for field in fields if not self._has_value(record, field, field.after)
            )
            if not differing:
                yield StepResult(
                    change, Answer.ALREADY_APPLIED if phase.is_helper else Answer.ALREADY_SET
                )
            elif all(self._has_value(record, field, field.before) for field in differing):
                yield StepResult(replace(change, fields=differing), Answer.AS_PLANNED)
            else:
                yield StepResult(change, Answer.CHANGED)

    def _send(self, item: WorkItem, _: Phase) -> Iterator[StepResult]:
        """Send a batch, without the changes whose rejection is known from an earlier batch."""
        changes = []
        for change in item.changes:
            if error := self._state.rejections.match(change):
                yield StepResult(change, Answer.REJECTED, error)
            else:
                changes.append(change)
        if not changes:
            return
        self._attempts.update(change.record_id for change in changes)
        write = self._sink.bulk_write if item.is_bulk else None
        try:
            answers = (write or self._sink.write)(self._object, changes)
        except RejectedError as error:
            yield from (StepResult(change, Answer.BATCH_REJECTED, error) for change in changes)
        except RetryableError as error:
            # a bulk job waits by itself: what it raises after that is an outage
            if item.is_bulk:
                raise
            yield from (StepResult(change, Answer.BUSY, error) for change in changes)
        except UnknownOutcomeError as error:
            yield from (StepResult(change, Answer.NO_RESPONSE, error) for change in changes)
        else:
            for change in changes:
                error_of_record = answers[change.record_id]
                yield StepResult(change, _answer(error_of_record), error_of_record)

    def _isolate(self, item: WorkItem, phase: Phase) -> Iterator[StepResult]:
        """Find the record that makes a batch fail, with as few calls as its error allows.

        The lock lets other groups wait meanwhile: then they know the cause and do not search too.
        """
        error, rejections = cast(RejectedError, item.error), self._state.rejections
        with rejections.lock:
            if len(item.changes) == 1:
                yield StepResult(item.changes[0], Answer.REJECTED, error)
                return
            if any(map(rejections.match, item.changes)) or rejections.add(item.changes, error):
                parts: Sequence[Batch] = [item.changes]
            else:
                parts = split_batch(item.changes, error.field)
            self._work_off([WorkItem(State.TO_WRITE, part, item.size) for part in parts], phase)

    def _wait_for_crm(self, item: WorkItem, _: Phase) -> Iterator[StepResult]:
        """Wait as long as the CRM asks; then compare again, because a person may have edited."""
        error = cast(RetryableError, item.error)
        self._api_caller.wait_or_raise(error, self._highest_attempt(item))
        return (StepResult(change, Answer.WAITED) for change in item.changes)

    def _wait_for_record(self, item: WorkItem, _: Phase) -> Iterator[StepResult]:
        """Wait for a record that is locked; then compare again: another process changed it."""
        attempt = self._highest_attempt(item)
        if attempt >= POLICY.max_attempts:
            return (StepResult(change, Answer.EXHAUSTED) for change in item.changes)
        self._api_caller.back_off(attempt)
        return (StepResult(change, Answer.WAITED) for change in item.changes)

    def _read_back(self, item: WorkItem, _: Phase) -> Iterator[StepResult]:
        """Read what became of changes whose write has no clear response."""
        if item.state is State.UNKNOWN:
            # the CRM may still be working on the request
            self._api_caller.back_off(self._highest_attempt(item))
        for change, record in self._read_records(item.changes):
            if not isinstance(record, Mapping):
                yield self._unavailable(change, record)
            elif all(self._has_value(record, field, field.after) for field in change.fields):
                yield StepResult(change, Answer.ALREADY_SET)
            elif not all(self._has_value(record, field, field.before) for field in change.fields):
                yield StepResult(change, Answer.CHANGED)
            elif self._attempts[change.record_id] >= MAX_RESENDS:
                yield StepResult(change, Answer.EXHAUSTED)
            else:
                yield StepResult(change, Answer.NOT_SET)

    # --- reading, comparing, outcomes -----------------------------------------------------------

    def _read_records(
        self, changes: Batch
    ) -> list[tuple[RecordChange, RemoteRecord | RejectedError]]:
        """Read the records of changes; a record that the CRM does not return is `deleted`."""
        records = self._read_or_split(changes)
        for record_id, record in records.items():
            if isinstance(record, Mapping):
                self._lock_keys[record_id] = record.get(self._sink.lock_field) or ""
        return [(change, records.get(change.record_id, "deleted")) for change in changes]

    def _read_or_split(self, changes: Batch) -> dict[str, RemoteRecord | RejectedError]:
        """Read a batch; where the CRM rejects it, find the change that names a missing field."""
        try:
            return dict(self._read(changes))
        except RejectedError as error:
            rejections = self._state.rejections
            if rejections.add(changes, error):
                rejected = {
                    change.record_id: match
                    for change in changes
                    if (match := rejections.match(change))
                }
                others = [change for change in changes if change.record_id not in rejected]
                return {**rejected, **(self._read_or_split(others) if others else {})}
            if len(changes) == 1:
                return {changes[0].record_id: error}
            left, right = split_batch(changes, error.field)
            return {**self._read_or_split(left), **self._read_or_split(right)}

    def _unavailable(self, change: RecordChange, record: str | RejectedError) -> StepResult:
        if not isinstance(record, RejectedError):
            return StepResult(change, Answer.MISSING, record)
        is_known = self._state.rejections.match(change) is not None
        return StepResult(change, Answer.REJECTED if is_known else Answer.UNREADABLE, record)

    def _read(self, changes: Batch) -> Mapping[str, RemoteRecord]:
        fields = sorted(
            {field.field for change in changes for field in change.fields}
            | ({self._sink.lock_field} & self._fields.keys())
        )
        ids = [change.record_id for change in changes]
        parts = chunked(ids, self._sink.read_batch_size)
        records = [self._sink.read(self._object, part, fields) for part in parts]
        return {id: record for part in records for id, record in part.items()}

    def _has_value(
        self, record: Mapping[str, str | None], field: FieldChange, text: str | None
    ) -> bool:
        in_catalog = self._fields.get(field.field)
        return values_equal(
            record.get(field.field),
            text,
            in_catalog.type if in_catalog else "text",
            timestamp_resolution=self._sink.timestamp_resolution,
        )

    def _highest_attempt(self, item: WorkItem) -> int:
        return max(self._attempts[change.record_id] for change in item.changes)

    def _end(self, result: StepResult, end: End) -> None:
        """Give a change the outcome of the table; a rejection is remembered for other batches."""
        if end is MISSING:
            self._add_outcome(result.change, replace(end, reason=str(result.detail)))
        elif end is REJECTED and isinstance(result.detail, RejectedError):
            if reason := self._sink.excluded.get(result.detail.code):
                self._add_outcome(result.change, End("excluded", reason))
                return
            self._add_outcome(result.change, end, result.detail)
            self._state.rejections.add([result.change], result.detail)
        else:
            self._add_outcome(result.change, end)

    def _add_outcome(
        self, change: RecordChange, end: End, error: RejectedError | None = None
    ) -> None:
        self._outcomes[change.record_id] = Outcome(
            object=self._object,
            record_id=change.record_id,
            status=end.status,
            reason=end.reason,
            at=datetime.now(UTC),
            attempts=self._attempts[change.record_id],
            error_code=error.code if error else None,
            error=str(error) if error else None,
            field=error.field if error else None,
            crm_message=error.crm_message if error else None,
        )

    def _new_outcomes(self) -> list[Outcome]:
        """Return the outcomes since the last call."""
        outcomes = list(self._outcomes.values())[self._reported_count :]
        self._reported_count += len(outcomes)
        return outcomes


def _answer(error: SyncError | None) -> Answer:
    """Say what the response for one record of a batch means."""
    match error:
        case None:
            return Answer.ACCEPTED
        case RejectedError():
            return Answer.REJECTED
        case RowLockedError():
            return Answer.LOCKED
        case RetryableError():
            return Answer.OVERLOADED
        case UnconfirmedWriteError():
            return Answer.UNCONFIRMED
    return Answer.NO_RESPONSE


# --- fields that take a value only when they are empty ----------------------------------------
# HubSpot accepts a lower `lifecyclestage` and silently keeps the higher one, unless the property is
# empty. So such a field is cleared in one request and set in the next.


def _clearing_changes(changes: Batch) -> Batch:
    """Return the changes that only clear what must be empty first."""
    reduced = [
        replace(
            change,
            fields=tuple(replace(f, after=None) for f in change.fields if _needs_clearing(f)),
        )
        for change in changes
    ]
    return [change for change in reduced if change.fields]


def _after_clearing(change: RecordChange) -> RecordChange:
    """Return the change that remains when the clearing has arrived."""
    return replace(change, fields=tuple(map(_mark_cleared, change.fields)))


def _mark_cleared(field: FieldChange) -> FieldChange:
    return replace(field, before=None) if _needs_clearing(field) else field


def _restoring_change(change: RecordChange) -> RecordChange:
    """Return the change that writes the previous values of a clearing change."""
    fields = (replace(field, before=None, after=field.before) for field in change.fields)
    return replace(change, fields=tuple(fields))


def _needs_clearing(field: FieldChange) -> bool:
    return field.clear_first and field.before is not None and field.after is not None
