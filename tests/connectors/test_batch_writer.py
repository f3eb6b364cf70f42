"""The state table of the batch writer, row by row, against a sink with scripted responses."""

import logging
from collections.abc import Sequence
from datetime import timedelta

import pytest

from connectors.load.sink_spec import SinkSpec
from connectors.load.write_states import NEXT
from connectors.load.writer import write_changes
from connectors.rate_limiter import RateLimiter
from connectors.retry import ApiCaller, no_sleep
from errors import (
    QuotaError,
    RejectedError,
    RetryableError,
    RowLockedError,
    UnconfirmedWriteError,
    UnknownOutcomeError,
)
from models import FieldChange, RecordChange

PLANNED, SET, OTHER, EMPTY = ({"stage": value} for value in ("lead", "mql", "sql", None))
REJECTED = RejectedError("value", code="BAD")
FIELD_REJECTED = RejectedError("field", code="NO_FIELD", field="stage")
BUSY = RetryableError("busy")
LOCKED = RowLockedError("locked")
LOST = UnknownOutcomeError("lost")
UNCONFIRMED = UnconfirmedWriteError("another value?")
UP = FieldChange("stage", "lead", "mql")
DOWN = FieldChange("stage", "sql", "mql", clear_first=True)


class Raised:
    """A response that is an exception for the whole batch."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class ScriptedSink:
    """Returns its responses in order; the last one again and again."""

    def __init__(self, reads: Sequence[object], writes: Sequence[object]) -> None:
        self._responses = {"read": list(reads), "write": list(writes)}

    def read(self, _object, ids, _fields):
        response = self._next("read")
        if isinstance(response, RejectedError):
            raise response
        return dict.fromkeys(ids, response)

    def write(self, _object, changes):
        return dict.fromkeys((change.record_id for change in changes), self._next("write"))

    def _next(self, kind):
        responses = self._responses[kind]
        response = responses.pop(0) if len(responses) > 1 else responses[0]
        if isinstance(response, Raised):
            raise response.error
        return response


ROWS = [
    ("to_compare as_planned", UP, [PLANNED], [None], ("written", "")),
    ("to_compare already_set", UP, [SET], [None], ("unchanged", "already_set")),
    ("to_compare changed", UP, [OTHER], [None], ("held", "changed_in_crm")),
    ("to_compare missing", UP, ["merged"], [None], ("excluded", "merged")),
    ("to_compare unreadable", UP, [REJECTED], [None], ("quarantined", "refused")),
    ("to_compare rejected", UP, [FIELD_REJECTED], [None], ("quarantined", "refused")),
    ("to_compare already_applied", DOWN, [OTHER, EMPTY], [Raised(BUSY), None], ("written", "")),
    ("to_write accepted", UP, [PLANNED], [None], ("written", "")),
    ("to_write rejected", UP, [PLANNED], [REJECTED], ("quarantined", "refused")),
    ("to_write batch_rejected", UP, [PLANNED], [Raised(REJECTED)], ("quarantined", "refused")),
    ("batch_rejected rejected", UP, [PLANNED], [Raised(REJECTED)], ("quarantined", "refused")),
    ("to_write busy", UP, [PLANNED], [Raised(BUSY), None], ("written", "")),
    ("busy waited", UP, [PLANNED], [Raised(BUSY), None], ("written", "")),
    ("to_write locked", UP, [PLANNED], [LOCKED, None], ("written", "")),
    ("locked waited", UP, [PLANNED], [LOCKED, None], ("written", "")),
    ("locked exhausted", UP, [PLANNED], [LOCKED], ("held", "row_locked")),
    ("to_write overloaded", UP, [PLANNED], [BUSY, None], ("written", "")),
    ("overloaded waited", UP, [PLANNED], [BUSY, None], ("written", "")),
    ("overloaded exhausted", UP, [PLANNED], [BUSY], ("held", "unavailable")),
    ("to_write no_response", UP, [PLANNED, SET], [Raised(LOST)], ("written", "")),
    ("unknown already_set", UP, [PLANNED, SET], [LOST], ("written", "")),
    ("unknown not_set", UP, [PLANNED], [LOST, None], ("written", "")),
    ("unknown exhausted", UP, [PLANNED], [LOST], ("held", "unavailable")),
    ("unknown changed", UP, [PLANNED, OTHER], [LOST], ("held", "changed_in_crm")),
    ("unknown missing", UP, [PLANNED, "deleted"], [LOST], ("excluded", "deleted")),
    ("unknown rejected", UP, [PLANNED, FIELD_REJECTED], [LOST], ("quarantined", "refused")),
    ("unknown unreadable", UP, [PLANNED, REJECTED], [LOST], ("unknown", "no_response")),
    ("to_write unconfirmed", UP, [PLANNED, SET], [UNCONFIRMED], ("written", "")),
    ("unconfirmed already_set", UP, [PLANNED, SET], [UNCONFIRMED], ("written", "")),
    ("unconfirmed not_set", UP, [PLANNED], [UNCONFIRMED], ("held", "crm_stage_higher")),
    ("unconfirmed changed", UP, [PLANNED, OTHER], [UNCONFIRMED], ("held", "crm_stage_higher")),
    (
        "unconfirmed exhausted",
        UP,
        [PLANNED],
        [LOST, LOST, UNCONFIRMED],
        ("held", "crm_stage_higher"),
    ),
    ("unconfirmed missing", UP, [PLANNED, "deleted"], [UNCONFIRMED], ("excluded", "deleted")),
    (
        "unconfirmed rejected",
        UP,
        [PLANNED, FIELD_REJECTED],
        [UNCONFIRMED],
        ("quarantined", "refused"),
    ),
    ("unconfirmed unreadable", UP, [PLANNED, REJECTED], [UNCONFIRMED], ("unknown", "no_response")),
]


def write_one(sink: ScriptedSink, field: FieldChange) -> list[tuple[str, str]]:
    """Write one change of one record and return status and reason of its outcomes."""
    spec = SinkSpec(
        read=sink.read,
        write=sink.write,
        read_batch_size=10,
        write_batch_size=10,
        compare_batch_size=10,
        timestamp_resolution=timedelta(seconds=1),
        field_codes=frozenset({"NO_FIELD"}),
        value_codes=frozenset(),
        excluded={},
    )
    caller = ApiCaller("test", {"all": RateLimiter(100, 1)})
    change = RecordChange("contacts", "1", (field,))
    with no_sleep():
        batches = list(write_changes([change], spec, {}, caller))
    return [(outcome.status, outcome.reason) for batch in batches for outcome in batch]


@pytest.mark.parametrize(
    ("row", "field", "reads", "writes", "outcome"), ROWS, ids=[row for row, *_ in ROWS]
)
def test_a_row_of_the_table_leads_to_its_outcome(row, field, reads, writes, outcome, caplog):
    """The change passes the row and ends with exactly one outcome."""
    caplog.set_level(logging.DEBUG, logger="onefunnel.write")
    state, answer = row.split()

    outcomes = write_one(ScriptedSink(reads, writes), field)

    assert f"state={state} answer={answer} " in caplog.text
    assert outcomes == [outcome]


def test_every_row_of_the_table_is_tested():
    """A new row needs a line above."""
    assert {tuple(row.split()) for row, *_ in ROWS} == {tuple(map(str, key)) for key in NEXT}


@pytest.mark.parametrize("answer", [QuotaError("spent"), BUSY], ids=["quota", "unavailable"])
def test_an_outage_while_reading_back_leaves_the_outcome_unknown(answer):
    """The write was sent; without a read its result is not known."""
    outcomes = write_one(ScriptedSink([PLANNED, Raised(answer)], [LOST]), UP)

    assert outcomes == [("unknown", "no_response")]


def test_a_cleared_field_gets_its_value_back_when_the_new_one_is_rejected():
    """The record keeps its old value and is quarantined for the new one."""
    sink = ScriptedSink([OTHER], [None, REJECTED, None])

    assert write_one(sink, DOWN) == [("quarantined", "refused")]


def test_a_cleared_field_that_cannot_be_restored_is_unknown():
    """The CRM has no value now: the next run must see that."""
    sink = ScriptedSink([OTHER], [None, REJECTED])

    assert write_one(sink, DOWN) == [("unknown", "cleared_not_set")]
