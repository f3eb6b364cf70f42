"""One group of changes on its way into a CRM: look, write, settle doubts, account for everyone."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from more_itertools import chunked

from connectors.load.clear_first import (
    after_clearing,
    clearing_changes,
    mark_cleared,
    restoring_change,
)
from connectors.load.rejections import Batch, Rejections, split_batch
from connectors.load.sink_spec import RemoteRecord, SinkSpec, UnconfirmedWriteError, WriteBatch
from connectors.load.values import values_equal
from connectors.retry import MAX_ATTEMPTS, ApiCaller
from errors import QuotaError, RejectedError, RetryableError, SyncError, UnknownOutcomeError
from models import Catalog, FieldChange, Outcome, OutcomeStatus, RecordChange

WrittenChanges = dict[str, RecordChange]

MAX_RESENDS = 3
"""What nobody answered for is sent at most so often."""


@dataclass
class WriteState:
    """What all groups of a run share; once `stopped` says why, nothing is sent any more."""

    rejections: Rejections
    stop_reason: str = ""


class BatchWriter:
    """The changes of one group, and what became of those that arrived."""

    def __init__(
        self,
        object: str,
        sink: SinkSpec,
        catalog: Catalog,
        api_caller: ApiCaller,
        state: WriteState,
    ) -> None:
        """Begin with nothing done."""
        self._object = object
        self._sink = sink
        self._fields = catalog.get(object, {})
        self._api_caller = api_caller
        self._state = state
        self._pending: Batch = []
        self._lock_of: dict[str, str] = {}
        self._attempts: Counter[str] = Counter()
        self._cleared: WrittenChanges = {}
        self._outcomes: dict[str, Outcome] = {}
        self._reported_count = 0

    def write(self, changes: Batch) -> Iterator[list[Outcome]]:
        """Carry the changes out, and yield batch by batch what became of each.

        Raises: AccessError where login or permission is missing.
        """
        self._run_step(self._compare, changes)
        yield self._new_outcomes()
        for part in self._batches(changes if self._state.stop_reason else self._pending):
            try:
                self._run_step(self._send_all, part)
            except SyncError:
                yield self._new_outcomes()
                raise
            self._hold_unsent(part)
            yield self._new_outcomes()

    def _run_step(self, step: Callable[[Batch], None], changes: Batch) -> None:
        """Take a step, unless the run is stopped; say so where no further one can be taken."""
        if self._state.stop_reason:
            return
        try:
            step(changes)
        except QuotaError:
            self._state.stop_reason = "quota"
        except RetryableError:
            self._state.stop_reason = "unavailable"

    def _batches(self, changes: Batch) -> Iterator[Batch]:
        if self._is_bulk(changes):
            return iter([changes])
        return chunked(changes, self._sink.write_batch_size)

    def _is_bulk(self, changes: Batch) -> bool:
        return self._sink.bulk_write is not None and len(changes) >= self._sink.bulk_min_records

    def _compare(self, changes: Batch) -> None:
        """Look before writing: keep as to be done what is still as the plan saw it."""
        self._pending = self._select_pending(changes)
        self._pending.sort(key=lambda change: self._lock_of.get(change.record_id, ""))

    def _select_pending(self, changes: Batch, written: WrittenChanges | None = None) -> Batch:
        """Look, and end all but what is as it was; what had to be emptied and is has been."""
        todo = []
        for change, now in self._current_records(changes):
            fields = [
                field if now.get(field.field) else mark_cleared(field) for field in change.fields
            ]
            wrong = tuple(field for field in fields if not self._has_value(now, field, field.after))
            if not wrong and written is not None and written is self._cleared:
                written[change.record_id] = change
            elif not wrong:
                self._add_outcome(change, "unchanged", "already_set")
            elif all(self._has_value(now, field, field.before) for field in wrong):
                todo.append(replace(change, fields=wrong))
            else:
                self._add_outcome(change, "held", "changed_in_crm")
        return todo

    def _send_all(self, changes: Batch) -> None:
        """Write; a field that moves back only when empty is emptied in a call of its own before."""
        self._cleared = {}
        self._send_batches(clearing_changes(changes), self._cleared)
        written: WrittenChanges = {}
        try:
            self._send_batches(
                [self._after_clearing(one) for one in changes if self._is_pending(one)], written
            )
            self._restore_cleared(list(filter(self._is_left_cleared, self._cleared.values())))
        finally:
            for change in written.values():
                self._add_outcome(change, "written", "")
            for change in filter(self._is_left_cleared, self._cleared.values()):
                self._add_outcome(change, "unknown", "cleared_not_set")

    def _send_batches(self, changes: Batch, written: WrittenChanges) -> None:
        if self._is_bulk(changes):
            self._send(changes, written, by=self._sink.bulk_write)
        else:
            self._send_parts(changes, written, size=self._sink.write_batch_size)

    def _send(
        self, changes: Batch, written: WrittenChanges, *, by: WriteBatch | None = None
    ) -> None:
        """Write what can be written, and add it to `written`; give all others their outcome."""
        changes = [change for change in changes if not self._reject_known(change)]
        if not changes:
            return
        self._attempts.update(change.record_id for change in changes)
        try:
            answers = (by or self._sink.write)(self._object, changes)
        except RejectedError as spoiled:
            with self._state.rejections.lock:
                self._isolate_rejected(changes, written, spoiled)
            return
        except RetryableError as not_now:
            if by:
                raise
            self._api_caller.wait_or_raise(
                not_now, max(self._attempts[one.record_id] for one in changes)
            )
            again = self._select_pending(changes, written)
            self._send_parts(again, written, size=self._sink.write_batch_size)
            return
        except UnknownOutcomeError as nobody_knows:
            answers = dict.fromkeys((change.record_id for change in changes), nobody_knows)
        locked, unclear = [], []
        for change in changes:
            match answers[change.record_id]:
                case None:
                    written[change.record_id] = change
                case RejectedError() as error:
                    self._reject(change, error)
                case RetryableError():
                    locked.append(change)
                case _:
                    unclear.append(change)
        self._resolve_unknown(unclear, answers, written)
        self._send_locked(locked, written)

    def _reject_known(self, change: RecordChange) -> bool:
        """Refuse at once what was refused before: equal causes cost one refusal, not a hundred."""
        error = self._state.rejections.match(change)
        if error:
            self._add_outcome(change, "quarantined", "refused", error)
        return error is not None

    def _isolate_rejected(
        self, changes: Batch, written: WrittenChanges, error: RejectedError
    ) -> None:
        """Find who spoils a batch, by as few calls as the refusal allows."""
        refusals = self._state.rejections
        if len(changes) == 1:
            self._reject(changes[0], error)
        elif any(map(refusals.match, changes)) or refusals.add(changes, error):
            self._send(changes, written)
        else:
            for part in split_batch(changes, error.field):
                self._send(part, written)

    def _resolve_unknown(
        self, changes: Batch, answers: Mapping[str, SyncError | None], written: WrittenChanges
    ) -> None:
        """Look what happened where nobody said so, and send again what did not happen."""
        again = []
        if any(
            not isinstance(answers[change.record_id], UnconfirmedWriteError) for change in changes
        ):
            # the CRM may still be busy with it
            self._api_caller.back_off(max(self._attempts[change.record_id] for change in changes))
        for change, now in self._current_records(changes, if_silent="unknown"):
            if all(self._has_value(now, field, field.after) for field in change.fields):
                written[change.record_id] = change
            elif isinstance(answers[change.record_id], UnconfirmedWriteError):
                self._add_outcome(change, "held", "crm_stage_higher")
            elif not all(self._has_value(now, field, field.before) for field in change.fields):
                self._add_outcome(change, "held", "changed_in_crm")
            elif self._attempts[change.record_id] >= MAX_RESENDS:
                self._add_outcome(change, "held", "unavailable")
            else:
                again.append(change)
        self._send_parts(again, written, size=self._sink.write_batch_size)

    def _send_locked(self, changes: Batch, written: WrittenChanges) -> None:
        """Send again in smaller parts: records of one account lock each other out."""
        if not changes:
            return
        attempt = max(self._attempts[change.record_id] for change in changes)
        if attempt >= MAX_ATTEMPTS:
            for change in changes:
                self._add_outcome(change, "held", "row_locked")
            return
        self._api_caller.back_off(attempt)
        # who held the row has changed it, perhaps just what we are about to write
        changes = self._select_pending(changes, written)
        self._send_parts(changes, written, size=max(1, len(changes) // 2))

    def _send_parts(self, changes: Batch, written: WrittenChanges, *, size: int) -> None:
        for part in chunked(changes, min(size, self._sink.write_batch_size)):
            self._send(part, written)

    def _restore_cleared(self, emptied: Batch) -> None:
        """Put back what was emptied for a value that then was not taken."""
        ended = {change.record_id: self._outcomes.pop(change.record_id) for change in emptied}
        refilled: WrittenChanges = {}
        try:
            again = [restoring_change(change) for change in emptied]
            self._send_parts(again, refilled, size=self._sink.write_batch_size)
        finally:
            for record_id in refilled:
                self._outcomes[record_id] = ended[record_id]
                del self._cleared[record_id]

    def _is_left_cleared(self, change: RecordChange) -> bool:
        """Tell whether a record was given up while what had to be emptied first was empty."""
        ended = self._outcomes.get(change.record_id)
        if ended is None:
            return False
        return ended.status == "quarantined" or ended.reason in ("row_locked", "unavailable")

    def _after_clearing(self, change: RecordChange) -> RecordChange:
        return after_clearing(change) if change.record_id in self._cleared else change

    def _current_records(
        self, changes: Batch, *, if_silent: OutcomeStatus | None = None
    ) -> Iterator[tuple[RecordChange, Mapping[str, str | None]]]:
        """Read records as they are, and end those that are no more.

        `if_silent` is what becomes of them where they cannot be read either.
        """
        try:
            seen = self._read_or_split(changes, if_silent)
        except (QuotaError, RetryableError):
            for change in changes if if_silent else ():
                self._add_outcome(change, if_silent or "unknown", "no_response")
            raise
        for change in filter(self._is_pending, changes):
            now = seen.get(change.record_id, "deleted")
            if isinstance(now, str):
                self._add_outcome(change, "excluded", now)
            else:
                self._lock_of[change.record_id] = now.get(self._sink.lock_field) or ""
                yield change, now

    def _read_or_split(
        self, changes: Batch, if_silent: OutcomeStatus | None
    ) -> Mapping[str, RemoteRecord]:
        try:
            return self._read(changes)
        except RejectedError as error:
            parts = self._split_unreadable(changes, error, if_silent)
            found = [self._read_or_split(part, if_silent) for part in parts]
            return {id: record for part in found for id, record in part.items()}

    def _split_unreadable(
        self, changes: Batch, error: RejectedError, if_silent: OutcomeStatus | None
    ) -> Iterable[Batch]:
        """Part who spoils a reading from the others, such as who names a field that is gone."""
        if self._state.rejections.add(changes, error):
            return [[change for change in changes if not self._reject_known(change)]]
        if len(changes) > 1:
            return split_batch(changes, error.field)
        if if_silent:
            self._add_outcome(changes[0], if_silent, "no_response")
        else:
            self._reject(changes[0], error)
        return []

    def _read(self, changes: Batch) -> Mapping[str, RemoteRecord]:
        fields = sorted(
            {field.field for change in changes for field in change.fields}
            | ({self._sink.lock_field} & self._fields.keys())
        )
        ids = [change.record_id for change in changes]
        parts = chunked(ids, self._sink.read_batch_size)
        read = [self._sink.read(self._object, part, fields) for part in parts]
        return {id: record for part in read for id, record in part.items()}

    def _has_value(
        self, now: Mapping[str, str | None], field: FieldChange, text: str | None
    ) -> bool:
        known = self._fields.get(field.field)
        type = known.type if known else "text"
        return values_equal(
            now.get(field.field), text, type, timestamp_resolution=self._sink.timestamp_resolution
        )

    def _reject(self, change: RecordChange, error: RejectedError) -> None:
        if reason := self._sink.excluded.get(error.code):
            self._add_outcome(change, "excluded", reason)
            return
        self._add_outcome(change, "quarantined", "refused", error)
        self._state.rejections.add([change], error)

    def _hold_unsent(self, changes: Batch) -> None:
        """Account for what was not sent any more."""
        for change in changes:
            if not self._is_pending(change):
                continue
            if change.record_id in self._cleared:
                self._add_outcome(change, "unknown", "cleared_not_set")
            else:
                self._add_outcome(change, "held", self._state.stop_reason)

    def _is_pending(self, change: RecordChange) -> bool:
        return change.record_id not in self._outcomes

    def _add_outcome(
        self,
        change: RecordChange,
        status: OutcomeStatus,
        reason: str,
        error: RejectedError | None = None,
    ) -> None:
        self._outcomes[change.record_id] = Outcome(
            object=self._object,
            record_id=change.record_id,
            status=status,
            reason=reason,
            at=datetime.now(UTC),
            attempts=self._attempts[change.record_id],
            error_code=error.code if error else None,
            error=str(error) if error else None,
            field=error.field if error else None,
        )

    def _new_outcomes(self) -> list[Outcome]:
        """Hand over the outcomes since the last time."""
        news = list(self._outcomes.values())[self._reported_count :]
        self._reported_count += len(news)
        return news
