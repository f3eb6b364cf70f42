"""The states of a change while it is written, and the table of what each answer leads to."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from models import OutcomeStatus


class State(StrEnum):
    """What happens next with a change."""

    TO_COMPARE = auto()  # read the record: is it as the plan saw it?
    TO_WRITE = auto()  # send it
    BATCH_REJECTED = auto()  # one record makes the batch fail: find it
    BUSY = auto()  # the CRM takes no call now: wait
    LOCKED = auto()  # another process locks the row: wait, then smaller batches
    OVERLOADED = auto()  # the record meets a fault of the CRM that passes: wait, smaller batches
    UNKNOWN = auto()  # no response: read whether it was written
    UNCONFIRMED = auto()  # a response that may hide another value: read which value is there
    ARRIVED = auto()  # the CRM has the value


class Answer(StrEnum):
    """What a step found for one change."""

    AS_PLANNED = auto()
    ALREADY_SET = auto()
    ALREADY_APPLIED = auto()
    NOT_SET = auto()
    CHANGED = auto()
    MISSING = auto()
    UNREADABLE = auto()
    ACCEPTED = auto()
    REJECTED = auto()
    BATCH_REJECTED = auto()
    BUSY = auto()
    LOCKED = auto()
    OVERLOADED = auto()
    NO_RESPONSE = auto()
    UNCONFIRMED = auto()
    WAITED = auto()
    EXHAUSTED = auto()


@dataclass(frozen=True)
class End:
    """The outcome with which a change ends; an empty reason comes from the answer itself."""

    status: OutcomeStatus
    reason: str = ""


REJECTED = End("quarantined", "refused")
MISSING = End("excluded")

NEXT: Final[Mapping[tuple[State, Answer], State | End]] = {
    (State.TO_COMPARE, Answer.AS_PLANNED): State.TO_WRITE,
    (State.TO_COMPARE, Answer.ALREADY_SET): End("unchanged", "already_set"),
    (State.TO_COMPARE, Answer.ALREADY_APPLIED): State.ARRIVED,
    (State.TO_COMPARE, Answer.CHANGED): End("held", "changed_in_crm"),
    (State.TO_COMPARE, Answer.MISSING): MISSING,
    (State.TO_COMPARE, Answer.REJECTED): REJECTED,
    (State.TO_COMPARE, Answer.UNREADABLE): REJECTED,
    (State.TO_WRITE, Answer.ACCEPTED): State.ARRIVED,
    (State.TO_WRITE, Answer.REJECTED): REJECTED,
    (State.TO_WRITE, Answer.BATCH_REJECTED): State.BATCH_REJECTED,
    (State.TO_WRITE, Answer.BUSY): State.BUSY,
    (State.TO_WRITE, Answer.LOCKED): State.LOCKED,
    (State.TO_WRITE, Answer.OVERLOADED): State.OVERLOADED,
    (State.TO_WRITE, Answer.NO_RESPONSE): State.UNKNOWN,
    (State.TO_WRITE, Answer.UNCONFIRMED): State.UNCONFIRMED,
    (State.BATCH_REJECTED, Answer.REJECTED): REJECTED,
    (State.BUSY, Answer.WAITED): State.TO_COMPARE,
    (State.LOCKED, Answer.WAITED): State.TO_COMPARE,
    (State.LOCKED, Answer.EXHAUSTED): End("held", "row_locked"),
    (State.OVERLOADED, Answer.WAITED): State.TO_COMPARE,
    (State.OVERLOADED, Answer.EXHAUSTED): End("held", "unavailable"),
    (State.UNKNOWN, Answer.ALREADY_SET): State.ARRIVED,
    (State.UNKNOWN, Answer.NOT_SET): State.TO_WRITE,
    (State.UNKNOWN, Answer.EXHAUSTED): End("held", "unavailable"),
    (State.UNKNOWN, Answer.CHANGED): End("held", "changed_in_crm"),
    (State.UNKNOWN, Answer.MISSING): MISSING,
    (State.UNKNOWN, Answer.REJECTED): REJECTED,
    (State.UNKNOWN, Answer.UNREADABLE): End("unknown", "no_response"),
    (State.UNCONFIRMED, Answer.ALREADY_SET): State.ARRIVED,
    (State.UNCONFIRMED, Answer.NOT_SET): End("held", "crm_stage_higher"),
    (State.UNCONFIRMED, Answer.EXHAUSTED): End("held", "crm_stage_higher"),
    (State.UNCONFIRMED, Answer.CHANGED): End("held", "crm_stage_higher"),
    (State.UNCONFIRMED, Answer.MISSING): MISSING,
    (State.UNCONFIRMED, Answer.REJECTED): REJECTED,
    (State.UNCONFIRMED, Answer.UNREADABLE): End("unknown", "no_response"),
}
"""State x answer -> the next state, or the outcome. tests/connectors/test_writer.py: row by row."""

UNSETTLED: Final = (State.UNKNOWN, State.UNCONFIRMED)
"""States in which a write was sent and its result is not known yet."""
