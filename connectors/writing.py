"""How a change reaches a CRM, the same for all: look, write, settle doubts, account for everyone.

What differs, reading and writing one batch, each sink brings as its `Hands`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from more_itertools import chunked

from connectors.compare import same
from connectors.resilience import TRIES, Traffic
from contract import Catalog, FieldChange, Outcome, OutcomeStatus, RecordChange
from errors import QuotaError, RefusedError, RetryableError, SyncError, UnclearError

Seen = Mapping[str, str | None] | str
"""What a CRM holds of one record; a word where it holds no such record: deleted, merged."""

Changes = dict[str, RecordChange]

RESENDS = 3
"""A batch that nobody answered for is sent at most so often."""


@dataclass(frozen=True)
class Hands:
    """What one CRM's sink can do, and how much at once.

    `read` takes an object, ids and fields. `write` answers with None for what was written and
    an error for what was not: refused, to be sent again (retryable), or to be looked at (unclear).
    It raises RefusedError where one record spoils the batch, and UnclearError where nobody knows.

    `field_codes` are the refusals of a field whatever its value, `value_codes` those of a value
    whatever its record; `excluded` are refusals of a record that is nobody's to change any more.
    """

    read: Callable[[str, Sequence[str], Sequence[str]], Mapping[str, Seen]]
    write: Callable[[str, Sequence[RecordChange]], Mapping[str, SyncError | None]]
    reads_at_once: int
    writes_at_once: int
    instant: timedelta
    field_codes: frozenset[str]
    value_codes: frozenset[str]
    excluded: Mapping[str, str]


class _Refused:
    """What a CRM refused once and would refuse whenever it is repeated."""

    def __init__(self) -> None:
        self.fields: dict[tuple[str, str | None], RefusedError] = {}
        self.values: dict[tuple[str, str, str | None], RefusedError] = {}

    def of(self, object: str, change: FieldChange) -> RefusedError | None:
        by_field = self.fields.get((object, change.field))
        return by_field or self.values.get((object, change.field, change.after))


def carry_out(
    changes: Iterable[RecordChange], hands: Hands, catalog: Catalog, traffic: Traffic
) -> Iterator[list[Outcome]]:
    """Write changes and yield, batch by batch, what became of each record.

    Once the quota is spent, or the CRM stays silent for longer than our patience, the rest is
    held without another call.

    Raises: AccessError where login or permission is missing.
    """
    stopped = ""
    refused = _Refused()
    for object, group in _grouped(changes, hands.reads_at_once):
        work = _Work(object, hands, catalog, traffic, refused)
        stopped = stopped or _attempt(work.compare, group)
        if work.outcomes:
            yield work.taken()
        for part in chunked(group if stopped else work.todo, hands.writes_at_once):
            try:
                stopped = stopped or _attempt(work.send_all, part)
            except SyncError:
                yield work.taken()
                raise
            work.hold(part, stopped)
            yield work.taken()


def _attempt(step: Callable[[list[RecordChange]], None], part: list[RecordChange]) -> str:
    try:
        step(part)
    except QuotaError:
        return "quota"
    except RetryableError:
        return "unavailable"
    return ""


def _grouped(
    changes: Iterable[RecordChange], size: int
) -> Iterator[tuple[str, list[RecordChange]]]:
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


class _Work:
    """The changes of one object on their way, and what became of those that arrived."""

    def __init__(
        self,
        object: str,
        hands: Hands,
        catalog: Catalog,
        traffic: Traffic,
        refused: _Refused,
    ) -> None:
        self._object = object
        self._hands = hands
        self._fields = catalog.get(object, {})
        self._traffic = traffic
        self._refused = refused
        self._attempts: Counter[str] = Counter()
        self._emptied: Changes = {}
        self.todo: list[RecordChange] = []
        self.outcomes: dict[str, Outcome] = {}

    def compare(self, changes: list[RecordChange]) -> None:
        """Look before writing: keep in `todo` what is still as the plan saw it."""
        seen = self._read(changes)
        for change in changes:
            now = seen.get(change.record_id, "deleted")
            if isinstance(now, str):
                self._end(change, "excluded", now)
                continue
            wrong = tuple(f for f in change.fields if not self._is(now, f, f.after))
            if not wrong:
                self._end(change, "unchanged", "already_so")
            elif all(self._is(now, field, field.before) for field in wrong):
                self.todo.append(replace(change, fields=wrong))
            else:
                self._end(change, "held", "changed_meanwhile")

    def send_all(self, changes: list[RecordChange]) -> None:
        """Write; a field that moves back only when empty is emptied in a call of its own before."""
        self._emptied = {}
        self._send(_emptying(changes), self._emptied)
        written: Changes = {}
        try:
            self._send([self._rest(one) for one in changes if self._is_open(one)], written)
        finally:
            for change in written.values():
                self._end(change, "written", "")
        self._refill([one for one in self._emptied.values() if self._ended_without_value(one)])

    def hold(self, changes: list[RecordChange], reason: str) -> None:
        """Account for what was not sent any more."""
        for change in changes:
            if self._is_open(change) and change.record_id in self._emptied:
                self._end(change, "unknown", "emptied_only")
            elif self._is_open(change):
                self._end(change, "held", reason)

    def taken(self) -> list[Outcome]:
        """Hand over the outcomes since the last time."""
        outcomes = list(self.outcomes.values())
        self.outcomes = {}
        return outcomes

    def _send(self, changes: list[RecordChange], written: Changes) -> None:
        """Write what can be written, and add it to `written`; give all others their outcome."""
        changes = [change for change in changes if not self._is_hopeless(change)]
        if not changes:
            return
        self._attempts.update(change.record_id for change in changes)
        try:
            answers = self._hands.write(self._object, changes)
        except RefusedError as error:
            self._send_in_parts(changes, written, error)
            return
        except UnclearError:
            self._settle(changes, written)
            return
        locked, unclear = [], []
        for change in changes:
            answer = answers[change.record_id]
            if answer is None:
                written[change.record_id] = change
            elif isinstance(answer, RefusedError):
                self._refuse(change, answer)
            elif isinstance(answer, RetryableError):
                locked.append(change)
            else:
                unclear.append(change)
        self._verify(unclear, written)
        self._send_locked(locked, written)

    def _is_hopeless(self, change: RecordChange) -> bool:
        """Refuse at once what was refused before: equal causes cost one refusal, not a hundred."""
        for field in change.fields:
            error = self._refused.of(self._object, field)
            if error:
                self._end(change, "quarantined", "refused", error)
                return True
        return False

    def _send_in_parts(
        self, changes: list[RecordChange], written: Changes, error: RefusedError
    ) -> None:
        """Find by halves who spoils a batch, unless it is a field that spoils every record."""
        if len(changes) == 1:
            self._refuse(changes[0], error)
        elif error.code in self._hands.field_codes and _names(changes, error.field):
            self._refused.fields[self._object, error.field] = error
            self._send(changes, written)
        else:
            half = len(changes) // 2
            self._send(changes[:half], written)
            self._send(changes[half:], written)

    def _send_locked(self, changes: list[RecordChange], written: Changes) -> None:
        """Send again in smaller parts: records of one account lock each other out."""
        if not changes:
            return
        attempt = max(self._attempts[change.record_id] for change in changes)
        if attempt >= TRIES:
            for change in changes:
                self._end(change, "held", "row_locked")
            return
        self._traffic.back_off(attempt)
        for part in chunked(changes, max(1, len(changes) // 2)):
            self._send(part, written)

    def _settle(self, changes: list[RecordChange], written: Changes) -> None:
        """Nobody answered: look what happened, and send again what did not."""
        again = []
        for change, now in self._read_back(changes):
            if all(self._is(now, field, field.after) for field in change.fields):
                written[change.record_id] = change
            elif not all(self._is(now, field, field.before) for field in change.fields):
                self._end(change, "held", "changed_meanwhile")
            elif self._attempts[change.record_id] >= RESENDS:
                self._end(change, "held", "unavailable")
            else:
                again.append(change)
        self._send(again, written)

    def _verify(self, changes: list[RecordChange], written: Changes) -> None:
        """Look whether an accepted value was kept: a CRM may know better and say nothing."""
        for change, now in self._read_back(changes):
            if all(self._is(now, field, field.after) for field in change.fields):
                written[change.record_id] = change
            else:
                self._end(change, "held", "crm_ahead")

    def _read_back(
        self, changes: list[RecordChange]
    ) -> Iterator[tuple[RecordChange, Mapping[str, str | None]]]:
        """Read records after a write; where not even that works, nobody knows what they hold."""
        try:
            seen = self._read(changes) if changes else {}
        except (QuotaError, RetryableError):
            for change in changes:
                self._end(change, "unknown", "no_answer")
            raise
        for change in changes:
            now = seen.get(change.record_id, "deleted")
            if isinstance(now, str):
                self._end(change, "excluded", now)
            else:
                yield change, now

    def _is_open(self, change: RecordChange) -> bool:
        return change.record_id not in self.outcomes

    def _rest(self, change: RecordChange) -> RecordChange:
        return _after_emptying(change) if change.record_id in self._emptied else change

    def _ended_without_value(self, change: RecordChange) -> bool:
        ended = self.outcomes[change.record_id]
        return ended.status == "quarantined" or ended.reason in ("row_locked", "unavailable")

    def _refill(self, emptied: list[RecordChange]) -> None:
        """Put back what was emptied for a value that then was not taken."""
        ended = {change.record_id: self.outcomes.pop(change.record_id) for change in emptied}
        refilled: Changes = {}
        try:
            self._send([_refilling(change) for change in emptied], refilled)
        finally:
            self.outcomes.update({record_id: ended[record_id] for record_id in refilled})

    def _read(self, changes: list[RecordChange]) -> Mapping[str, Seen]:
        fields = sorted({field.field for change in changes for field in change.fields})
        return self._hands.read(self._object, [change.record_id for change in changes], fields)

    def _is(self, now: Mapping[str, str | None], field: FieldChange, text: str | None) -> bool:
        known = self._fields.get(field.field)
        type = known.type if known else "text"
        return same(now.get(field.field), text, type, instant=self._hands.instant)

    def _refuse(self, change: RecordChange, error: RefusedError) -> None:
        if reason := self._hands.excluded.get(error.code):
            self._end(change, "excluded", reason)
            return
        self._end(change, "quarantined", "refused", error)
        for field in change.fields:
            if field.field == error.field and error.code in self._hands.value_codes:
                self._refused.values[self._object, field.field, field.after] = error

    def _end(
        self,
        change: RecordChange,
        status: OutcomeStatus,
        reason: str,
        error: RefusedError | None = None,
    ) -> None:
        self.outcomes[change.record_id] = Outcome(
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


def _names(changes: Iterable[RecordChange], field: str | None) -> bool:
    return any(one.field == field for change in changes for one in change.fields)


def _emptying(changes: list[RecordChange]) -> list[RecordChange]:
    """Make the changes that only empty what has to be empty first."""
    reduced = [
        replace(change, fields=tuple(replace(f, after=None) for f in change.fields if _first(f)))
        for change in changes
    ]
    return [change for change in reduced if change.fields]


def _after_emptying(change: RecordChange) -> RecordChange:
    fields = (replace(field, before=None) if _first(field) else field for field in change.fields)
    return replace(change, fields=tuple(fields))


def _refilling(change: RecordChange) -> RecordChange:
    fields = (replace(field, before=None, after=field.before) for field in change.fields)
    return replace(change, fields=tuple(fields))


def _first(field: FieldChange) -> bool:
    return field.clear_first and field.before is not None and field.after is not None
