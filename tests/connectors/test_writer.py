"""What is promised of every write, whatever the CRM does meanwhile."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from time import sleep

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.load import writer
from connectors.load.sink_spec import RemoteRecord, SinkSpec
from connectors.load.writer import write_changes
from connectors.rate_limiter import RateLimiter
from connectors.retry import ApiCaller, no_sleep
from errors import QuotaError, RejectedError, RetryableError, SyncError, UnknownOutcomeError
from models import FieldChange, Outcome, RecordChange

FAULTS = ("none", "lost before", "lost after", "locked", "busy", "spent")
POISON = "poison"


class FakeCrm:
    """Holds one field of each record; behaves as its script says, call by call."""

    def __init__(self, records: Mapping[str, str | None], faults: Sequence[str]) -> None:
        """Hold these records; once the script is used up, behave well."""
        self.records = dict(records)
        self._faults: Iterator[str] = iter(faults)
        self.writes = 0
        self.refused_field = "stage"

    def read(self, _: str, ids: Sequence[str], fields: Sequence[str]) -> Mapping[str, RemoteRecord]:
        """Read, unless the script says otherwise; what is not there was deleted."""
        self._raise(next(self._faults, "none"))
        return {id: {fields[0]: self.records[id]} for id in ids if id in self.records}

    def write(self, _: str, changes: Sequence[RecordChange]) -> Mapping[str, SyncError | None]:
        """Write all or none, unless scripted; one bad record makes the batch fail."""
        self.writes += 1
        fault = next(self._faults, "none")
        self._raise(fault)
        if fault == "lost before":
            raise UnknownOutcomeError("lost")
        if any(change.fields[0].after == POISON for change in changes):
            raise RejectedError("no", code="BAD", field=self.refused_field)
        locked = changes[0].record_id if fault == "locked" else None
        for change in changes:
            if change.record_id != locked:
                self.records[change.record_id] = change.fields[0].after
        if fault == "lost after":
            raise UnknownOutcomeError("lost")
        lock = RetryableError("locked")
        return {one.record_id: lock if one.record_id == locked else None for one in changes}

    def _raise(self, fault: str) -> None:
        if fault == "busy":
            raise RetryableError("busy")
        if fault == "spent":
            raise QuotaError("spent")


def carried_out(crm: FakeCrm, changes: list[RecordChange], *field_codes: str) -> list[Outcome]:
    hands = SinkSpec(
        read=crm.read,
        write=crm.write,
        read_batch_size=5,
        write_batch_size=3,
        compare_batch_size=5,
        timestamp_resolution=timedelta(seconds=1),
        field_codes=frozenset(field_codes),
        value_codes=frozenset({"BAD"}),
        excluded={},
    )
    with no_sleep():
        batches = write_changes(
            changes, hands, {}, ApiCaller("fake", {"general": RateLimiter(9, 1)})
        )
        return [outcome for batch in batches for outcome in batch]


def change(record_id: str, before: str | None, after: str | None) -> RecordChange:
    return RecordChange("contacts", record_id, (FieldChange("stage", before, after),))


values = st.sampled_from([None, "lead", "mql"])
plans = st.dictionaries(
    st.integers(0, 20).map(str),
    st.tuples(values, st.sampled_from([None, "lead", "mql", POISON])),
    max_size=12,
)
scripts = st.lists(st.sampled_from(FAULTS), max_size=12)


@settings(deadline=None)
@given(plans, scripts)
def test_every_record_has_one_outcome_and_the_crm_holds_what_it_says(
    plan: dict[str, tuple[str | None, str | None]], script: list[str]
) -> None:
    """Under any schedule of faults: nothing is lost, guessed, or half written."""
    crm = FakeCrm({id: before for id, (before, _) in plan.items()}, script)

    outcomes = carried_out(crm, [change(id, *values) for id, values in plan.items()])

    after = {id: values[1] for id, values in plan.items()}
    before = {id: values[0] for id, values in plan.items()}
    assert sorted(one.record_id for one in outcomes) == sorted(plan)
    done = {one.record_id for one in outcomes if one.status in ("written", "unchanged")}
    unknown = {one.record_id for one in outcomes if one.status == "unknown"}
    untouched = plan.keys() - done - unknown
    assert {id: crm.records[id] for id in done} == {id: after[id] for id in done}
    assert {id: crm.records[id] for id in untouched} == {id: before[id] for id in untouched}


@settings(deadline=None)
@given(plans)
def test_a_second_time_finds_nothing_to_write(
    plan: dict[str, tuple[str | None, str | None]],
) -> None:
    """But what was refused."""
    crm = FakeCrm({id: before for id, (before, _) in plan.items()}, ())
    changes = [change(id, *values) for id, values in plan.items()]
    carried_out(crm, changes)
    good = [one for one in changes if one.fields[0].after != POISON]
    crm.writes = 0

    outcomes = carried_out(crm, good)

    assert crm.writes == 0
    assert {one.status for one in outcomes} <= {"unchanged"}


def test_a_record_that_comes_twice_is_written_twice_in_turn() -> None:
    """No batch holds one record two times: both CRMs refuse that."""
    crm = FakeCrm({"1": None}, ())

    outcomes = carried_out(crm, [change("1", None, "lead"), change("1", "lead", "mql")])

    assert [one.status for one in outcomes] == ["written", "written"]
    assert crm.records == {"1": "mql"}


def test_a_refusal_that_names_a_field_nobody_sent_is_still_found() -> None:
    """A CRM may spell a field in another way than we do."""
    crm = FakeCrm({"1": None, "2": None}, ())
    crm.refused_field = "STAGE"

    outcomes = carried_out(crm, [change("1", None, POISON), change("2", None, "lead")], "BAD")

    assert {one.record_id: one.status for one in outcomes} == {"1": "quarantined", "2": "written"}


def test_the_caller_hears_of_a_batch_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets an empty batch, and renews the run lock."""
    monkeypatch.setattr(writer, "REPORT_SECONDS", 0.02)
    crm = FakeCrm({"1": None}, ())
    spec = SinkSpec(
        read=crm.read,
        write=lambda *batch: sleep(0.2) or crm.write(*batch),
        read_batch_size=5,
        write_batch_size=3,
        compare_batch_size=5,
        timestamp_resolution=timedelta(seconds=1),
        field_codes=frozenset(),
        value_codes=frozenset(),
        excluded={},
    )
    api_caller = ApiCaller("fake", {"general": RateLimiter(9, 1)})

    batches = list(writer.write_changes([change("1", None, "a")], spec, {}, api_caller))

    assert batches.count([]) > 3
    assert [outcome.status for batch in batches for outcome in batch] == ["written"]
