"""One group of changes on its way into a CRM: look, write, settle doubts, account for everyone."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from more_itertools import chunked

from connectors.load.clear_first import after_emptying, emptying, refilling, was_emptied
from connectors.load.rejections import Batch, Refusals, split
from connectors.load.sink_spec import DoubtError, Hands, Seen, Write
from connectors.load.values import same
from connectors.retry import TRIES, Traffic
from errors import QuotaError, RefusedError, RetryableError, SyncError, UnclearError
from models import Catalog, FieldChange, Outcome, OutcomeStatus, RecordChange

Written = dict[str, RecordChange]

RESENDS = 3
"""What nobody answered for is sent at most so often."""


@dataclass
class Course:
    """What all groups of a run share; once `stopped` says why, nothing is sent any more."""

    refusals: Refusals
    stopped: str = ""


class Work:
    """The changes of one group, and what became of those that arrived."""

    def __init__(
        self, object: str, hands: Hands, catalog: Catalog, traffic: Traffic, course: Course
    ) -> None:
        """Begin with nothing done."""
        self._object = object
        self._hands = hands
        self._fields = catalog.get(object, {})
        self._traffic = traffic
        self._course = course
        self._todo: Batch = []
        self._lock_of: dict[str, str] = {}
        self._attempts: Counter[str] = Counter()
        self._emptied: Written = {}
        self._ended: dict[str, Outcome] = {}
        self._told = 0

    def outcomes(self, changes: Batch) -> Iterator[list[Outcome]]:
        """Carry the changes out, and yield batch by batch what became of each.

        Raises: AccessError where login or permission is missing.
        """
        self._try(self._compare, changes)
        yield self._news()
        for part in self._parts(changes if self._course.stopped else self._todo):
            try:
                self._try(self._send_all, part)
            except SyncError:
                yield self._news()
                raise
            self._hold(part)
            yield self._news()

    def _try(self, step: Callable[[Batch], None], changes: Batch) -> None:
        """Take a step, unless the run is stopped; say so where no further one can be taken."""
        if self._course.stopped:
            return
        try:
            step(changes)
        except QuotaError:
            self._course.stopped = "quota"
        except RetryableError:
            self._course.stopped = "unavailable"

    def _parts(self, changes: Batch) -> Iterator[Batch]:
        if self._is_for_a_job(changes):
            return iter([changes])
        return chunked(changes, self._hands.writes_at_once)

    def _is_for_a_job(self, changes: Batch) -> bool:
        return self._hands.job is not None and len(changes) >= self._hands.job_from

    def _compare(self, changes: Batch) -> None:
        """Look before writing: keep as to be done what is still as the plan saw it."""
        self._todo = self._still_wrong(changes)
        self._todo.sort(key=lambda change: self._lock_of.get(change.record_id, ""))

    def _still_wrong(self, changes: Batch, written: Written | None = None) -> Batch:
        """Look, and end all but what is as it was; what had to be emptied and is has been."""
        todo = []
        for change, now in self._seen(changes):
            fields = [
                field if now.get(field.field) else was_emptied(field) for field in change.fields
            ]
            wrong = tuple(field for field in fields if not self._is(now, field, field.after))
            if not wrong and written is not None and written is self._emptied:
                written[change.record_id] = change
            elif not wrong:
                self._end(change, "unchanged", "already_so")
            elif all(self._is(now, field, field.before) for field in wrong):
                todo.append(replace(change, fields=wrong))
            else:
                self._end(change, "held", "changed_meanwhile")
        return todo

    def _send_all(self, changes: Batch) -> None:
        """Write; a field that moves back only when empty is emptied in a call of its own before."""
        self._emptied = {}
        self._send_first(emptying(changes), self._emptied)
        written: Written = {}
        try:
            self._send_first([self._rest(one) for one in changes if self._is_open(one)], written)
            self._refill(list(filter(self._is_without_value, self._emptied.values())))
        finally:
            for change in written.values():
                self._end(change, "written", "")
            for change in filter(self._is_without_value, self._emptied.values()):
                self._end(change, "unknown", "emptied_only")

    def _send_first(self, changes: Batch, written: Written) -> None:
        if self._is_for_a_job(changes):
            self._send(changes, written, by=self._hands.job)
        else:
            self._send_parts(changes, written, size=self._hands.writes_at_once)

    def _send(self, changes: Batch, written: Written, *, by: Write | None = None) -> None:
        """Write what can be written, and add it to `written`; give all others their outcome."""
        changes = [change for change in changes if not self._is_hopeless(change)]
        if not changes:
            return
        self._attempts.update(change.record_id for change in changes)
        try:
            answers = (by or self._hands.write)(self._object, changes)
        except RefusedError as spoiled:
            with self._course.refusals.search:
                self._narrow(changes, written, spoiled)
            return
        except RetryableError as not_now:
            if by:
                raise
            self._traffic.wait_for(not_now, max(self._attempts[one.record_id] for one in changes))
            again = self._still_wrong(changes, written)
            self._send_parts(again, written, size=self._hands.writes_at_once)
            return
        except UnclearError as nobody_knows:
            answers = dict.fromkeys((change.record_id for change in changes), nobody_knows)
        locked, unclear = [], []
        for change in changes:
            match answers[change.record_id]:
                case None:
                    written[change.record_id] = change
                case RefusedError() as error:
                    self._refuse(change, error)
                case RetryableError():
                    locked.append(change)
                case _:
                    unclear.append(change)
        self._settle(unclear, answers, written)
        self._send_locked(locked, written)

    def _is_hopeless(self, change: RecordChange) -> bool:
        """Refuse at once what was refused before: equal causes cost one refusal, not a hundred."""
        error = self._course.refusals.of(change)
        if error:
            self._end(change, "quarantined", "refused", error)
        return error is not None

    def _narrow(self, changes: Batch, written: Written, error: RefusedError) -> None:
        """Find who spoils a batch, by as few calls as the refusal allows."""
        refusals = self._course.refusals
        if len(changes) == 1:
            self._refuse(changes[0], error)
        elif any(map(refusals.of, changes)) or refusals.learn(changes, error):
            self._send(changes, written)
        else:
            for part in split(changes, error.field):
                self._send(part, written)

    def _settle(
        self, changes: Batch, answers: Mapping[str, SyncError | None], written: Written
    ) -> None:
        """Look what happened where nobody said so, and send again what did not happen."""
        again = []
        if any(not isinstance(answers[change.record_id], DoubtError) for change in changes):
            # the CRM may still be busy with it
            self._traffic.back_off(max(self._attempts[change.record_id] for change in changes))
        for change, now in self._seen(changes, if_silent="unknown"):
            if all(self._is(now, field, field.after) for field in change.fields):
                written[change.record_id] = change
            elif isinstance(answers[change.record_id], DoubtError):
                self._end(change, "held", "crm_ahead")
            elif not all(self._is(now, field, field.before) for field in change.fields):
                self._end(change, "held", "changed_meanwhile")
            elif self._attempts[change.record_id] >= RESENDS:
                self._end(change, "held", "unavailable")
            else:
                again.append(change)
        self._send_parts(again, written, size=self._hands.writes_at_once)

    def _send_locked(self, changes: Batch, written: Written) -> None:
        """Send again in smaller parts: records of one account lock each other out."""
        if not changes:
            return
        attempt = max(self._attempts[change.record_id] for change in changes)
        if attempt >= TRIES:
            for change in changes:
                self._end(change, "held", "row_locked")
            return
        self._traffic.back_off(attempt)
        # who held the row has changed it, perhaps just what we are about to write
        changes = self._still_wrong(changes, written)
        self._send_parts(changes, written, size=max(1, len(changes) // 2))

    def _send_parts(self, changes: Batch, written: Written, *, size: int) -> None:
        for part in chunked(changes, min(size, self._hands.writes_at_once)):
            self._send(part, written)

    def _refill(self, emptied: Batch) -> None:
        """Put back what was emptied for a value that then was not taken."""
        ended = {change.record_id: self._ended.pop(change.record_id) for change in emptied}
        refilled: Written = {}
        try:
            again = [refilling(change) for change in emptied]
            self._send_parts(again, refilled, size=self._hands.writes_at_once)
        finally:
            for record_id in refilled:
                self._ended[record_id] = ended[record_id]
                del self._emptied[record_id]

    def _is_without_value(self, change: RecordChange) -> bool:
        """Tell whether a record was given up while what had to be emptied first was empty."""
        ended = self._ended.get(change.record_id)
        if ended is None:
            return False
        return ended.status == "quarantined" or ended.reason in ("row_locked", "unavailable")

    def _rest(self, change: RecordChange) -> RecordChange:
        return after_emptying(change) if change.record_id in self._emptied else change

    def _seen(
        self, changes: Batch, *, if_silent: OutcomeStatus | None = None
    ) -> Iterator[tuple[RecordChange, Mapping[str, str | None]]]:
        """Read records as they are, and end those that are no more.

        `if_silent` is what becomes of them where they cannot be read either.
        """
        try:
            seen = self._found(changes, if_silent)
        except (QuotaError, RetryableError):
            for change in changes if if_silent else ():
                self._end(change, if_silent or "unknown", "no_answer")
            raise
        for change in filter(self._is_open, changes):
            now = seen.get(change.record_id, "deleted")
            if isinstance(now, str):
                self._end(change, "excluded", now)
            else:
                self._lock_of[change.record_id] = now.get(self._hands.locks) or ""
                yield change, now

    def _found(self, changes: Batch, if_silent: OutcomeStatus | None) -> Mapping[str, Seen]:
        try:
            return self._read(changes)
        except RefusedError as error:
            parts = self._still_readable(changes, error, if_silent)
            found = [self._found(part, if_silent) for part in parts]
            return {id: record for part in found for id, record in part.items()}

    def _still_readable(
        self, changes: Batch, error: RefusedError, if_silent: OutcomeStatus | None
    ) -> Iterable[Batch]:
        """Part who spoils a reading from the others, such as who names a field that is gone."""
        if self._course.refusals.learn(changes, error):
            return [[change for change in changes if not self._is_hopeless(change)]]
        if len(changes) > 1:
            return split(changes, error.field)
        if if_silent:
            self._end(changes[0], if_silent, "no_answer")
        else:
            self._refuse(changes[0], error)
        return []

    def _read(self, changes: Batch) -> Mapping[str, Seen]:
        fields = sorted(
            {field.field for change in changes for field in change.fields}
            | ({self._hands.locks} & self._fields.keys())
        )
        ids = [change.record_id for change in changes]
        parts = chunked(ids, self._hands.reads_at_once)
        read = [self._hands.read(self._object, part, fields) for part in parts]
        return {id: record for part in read for id, record in part.items()}

    def _is(self, now: Mapping[str, str | None], field: FieldChange, text: str | None) -> bool:
        known = self._fields.get(field.field)
        type = known.type if known else "text"
        return same(now.get(field.field), text, type, instant=self._hands.instant)

    def _refuse(self, change: RecordChange, error: RefusedError) -> None:
        if reason := self._hands.excluded.get(error.code):
            self._end(change, "excluded", reason)
            return
        self._end(change, "quarantined", "refused", error)
        self._course.refusals.learn([change], error)

    def _hold(self, changes: Batch) -> None:
        """Account for what was not sent any more."""
        for change in changes:
            if not self._is_open(change):
                continue
            if change.record_id in self._emptied:
                self._end(change, "unknown", "emptied_only")
            else:
                self._end(change, "held", self._course.stopped)

    def _is_open(self, change: RecordChange) -> bool:
        return change.record_id not in self._ended

    def _end(
        self,
        change: RecordChange,
        status: OutcomeStatus,
        reason: str,
        error: RefusedError | None = None,
    ) -> None:
        self._ended[change.record_id] = Outcome(
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

    def _news(self) -> list[Outcome]:
        """Hand over the outcomes since the last time."""
        news = list(self._ended.values())[self._told :]
        self._told += len(news)
        return news
