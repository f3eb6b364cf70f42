"""Random schedules of faults, and what must hold after each: for the tests and for `make soak`.

A schedule says what is to be written, what goes wrong at which call, and what people do to which
record just before the CRM answers a call that asks for it. It is carried out by the real sinks,
over HTTP, against both CRMs of the sandbox; then the run after it, in which nothing goes wrong.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from hypothesis import strategies as st

from connector_helpers import hubspot_client, salesforce_client
from connectors import Client, connector
from connectors.retry import no_sleep
from errors import SyncError
from models import Catalog, FieldChange, Outcome, RecordChange
from sandbox.faults import Fault
from sandbox.server import Sandbox, running

Values = dict[str, str | None]

EDITED_SCORE = "99"
"""What people write into a score: neither what stood there nor what we want."""


@dataclass(frozen=True)
class ConcurrentChange:
    """What happens to one record just before the CRM answers the nth call that asks for it."""

    record: int
    call: Literal["read", "write"]
    nth: int
    action: Literal["edit", "delete", "merge"]


@dataclass(frozen=True)
class Schedule:
    """One run: how many records, which of them are special and how, and what goes wrong."""

    crm: str
    records: int
    special: Mapping[int, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    concurrent_changes: tuple[ConcurrentChange, ...] = ()
    locked: Mapping[int, int] = field(default_factory=dict)
    uses_bulk: bool = False
    aborts_job: bool = False


# --- what can be planned ----------------------------------------------------------------------

SCORE_FIELD = {"hubspot": "onefunnel_score", "salesforce": "onefunnel_score__c"}
STANDING_FIELD = {"hubspot": "onefunnel_standing", "salesforce": "Lifecycle_Stage__c"}
STAGE_FIELD = "lifecyclestage"


def record_case(crm: str, kind: str) -> tuple[Values, tuple[FieldChange, ...]]:
    """Give what a record holds, and what is to be changed in it."""
    score = SCORE_FIELD[crm]
    up = FieldChange(score, None, "64")
    match kind:
        case "clear":
            return {score: "12"}, (FieldChange(score, "12", None),)
        case "stale":
            return {score: EDITED_SCORE}, (FieldChange(score, "12", "64"),)
        case "done":
            return {score: "64"}, (up,)
        case "climb" if crm == "hubspot":
            return {STAGE_FIELD: "lead"}, (
                FieldChange(STAGE_FIELD, "lead", "salesqualifiedlead"),
                up,
            )
        case "fall" if crm == "hubspot":
            return {STAGE_FIELD: "customer"}, (
                FieldChange(STAGE_FIELD, "customer", "lead", True),
                up,
            )
        case "ahead" if crm == "hubspot":
            return {STAGE_FIELD: "customer"}, (FieldChange(STAGE_FIELD, "customer", "lead"),)
        case "poison":
            return {}, (up, FieldChange(STANDING_FIELD[crm], None, "no such option"))
        case "poisoned fall" if crm == "hubspot":
            fall = FieldChange(STAGE_FIELD, "customer", "lead", True)
            return {STAGE_FIELD: "customer"}, (
                fall,
                FieldChange(STANDING_FIELD[crm], None, "no such option"),
            )
        case "wrong type":
            return {}, (FieldChange(score, None, "much"),)
    return {}, (up,)


CASES = (
    "clear",
    "stale",
    "done",
    "climb",
    "fall",
    "ahead",
    "poison",
    "poisoned fall",
    "wrong type",
)
UNWRITABLE_CASES = frozenset({"ahead", "poison", "poisoned fall", "wrong type"})
"""What no run can write."""


# --- what can go wrong ------------------------------------------------------------------------


def _hubspot(status: int, policy: str = "", category: str = "", **headers: str) -> dict[str, Any]:
    body = {"status": "error", "message": "no", "policyName": policy, "category": category}
    return {"status": status, "body": body, "headers": headers}


def _salesforce(status: int, code: str, message: str = "no", **headers: str) -> dict[str, Any]:
    body = [{"errorCode": code, "message": message}]
    return {"status": status, "body": body, "headers": headers}


ERROR_RESPONSES = {
    "hubspot": (
        _hubspot(429, "TEN_SECONDLY_ROLLING"),
        _hubspot(429, "TEN_SECONDLY_ROLLING", **{"Retry-After": "2"}),
        _hubspot(429, "DAILY"),
        _hubspot(477, **{"Retry-After": "86400"}),
        _hubspot(423),
        _hubspot(408),
        _hubspot(409, category="CONFLICT"),
        _hubspot(400, category="SOMETHING_NEW"),
        _hubspot(401, category="EXPIRED_AUTHENTICATION"),
        _hubspot(403, category="MISSING_SCOPES"),
    ),
    "salesforce": (
        _salesforce(429, ""),
        _salesforce(503, "SERVER_UNAVAILABLE", **{"Retry-After": "2"}),
        _salesforce(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        _salesforce(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded."),
        _salesforce(400, "UNABLE_TO_LOCK_ROW"),
        _salesforce(400, "SOMETHING_NEW"),
        _salesforce(409, "CONFLICT"),
        _salesforce(401, "INVALID_SESSION_ID"),
        _salesforce(403, "API_DISABLED_FOR_ORG"),
    ),
}
GATEWAY_ERRORS = tuple({"status": status, "body": "<html>"} for status in (500, 502, 503, 504))
PATHS = {
    "hubspot": ("/batch/read", "/batch/update"),
    "salesforce": ("/composite/sobjects/Lead", "/composite/sobjects", "/jobs/ingest", "Results"),
}


def fault_strategy(crm: str) -> st.SearchStrategy[Fault]:
    """Give one thing that goes wrong, once or a few times, perhaps for long."""
    answers = st.sampled_from((*ERROR_RESPONSES[crm], *GATEWAY_ERRORS))
    lost = st.sampled_from([{"effect": "reset"}, {"effect": "commit_then_drop"}])
    late = st.sampled_from(GATEWAY_ERRORS).map(
        lambda answer: {**answer, "effect": "commit_then_refuse"}
    )
    return st.builds(
        lambda path, after, times, how: Fault(path=path, after=after, times=times, **how),
        st.sampled_from(PATHS[crm]),
        st.integers(0, 4),
        st.sampled_from([1, 1, 1, 2, 3, 9]),
        st.one_of(answers, lost, late),
    )


def schedule_strategy() -> st.SearchStrategy[Schedule]:
    """Give any schedule."""
    return st.sampled_from(["hubspot", "salesforce"]).flatmap(_schedule_of)


def _schedule_of(crm: str) -> st.SearchStrategy[Schedule]:
    number = st.integers(0, 20)
    return st.builds(
        Schedule,
        crm=st.just(crm),
        records=st.sampled_from([1, 7, 7, 25, 25, 240]),
        special=st.dictionaries(number, st.sampled_from(CASES), max_size=6),
        faults=st.lists(fault_strategy(crm), max_size=5).map(tuple),
        concurrent_changes=st.lists(
            st.one_of(
                st.builds(
                    ConcurrentChange, number, st.just("read"), st.integers(1, 3), st.just("edit")
                ),
                st.builds(
                    ConcurrentChange,
                    number,
                    st.sampled_from(["read", "write"]),
                    st.integers(1, 3),
                    st.sampled_from(["delete", "merge"]),
                ),
            ),
            max_size=3,
        ).map(tuple),
        locked=st.dictionaries(number, st.integers(1, 8), max_size=3),
        uses_bulk=st.booleans(),
        aborts_job=st.booleans(),
    )


# --- the two CRMs, as the schedules use them --------------------------------------------------


class SandboxCrm:
    """One CRM of a sandbox, with new records for every schedule."""

    def __init__(self, name: str, sandbox: Sandbox) -> None:
        self.name = name
        self.sandbox = sandbox
        self.object = "contacts" if name == "hubspot" else "Lead"
        self._ids: list[str] = []
        self.catalog: Catalog = connector(name).catalog(self.client(), [self.object])

    def client(self, *, uses_bulk: bool = False) -> Client:
        if self.name == "hubspot":
            return hubspot_client(self.sandbox)
        return salesforce_client(self.sandbox, bulk_min_records=1 if uses_bulk else 10**6)

    def prepare_records(self, values: list[Values]) -> list[str]:
        """Let as many records hold these values, and give their ids."""
        alive = [id for id in self._ids if self.is_alive(id)]
        missing = len(values) - len(alive)
        self._ids = alive + [self._new() for _ in range(missing)]
        ids = self._ids[: len(values)]
        for id, held in zip(ids, values, strict=True):
            for name in (SCORE_FIELD[self.name], STANDING_FIELD[self.name], STAGE_FIELD):
                self.set(id, name, held.get(name))
        return ids

    def _new(self) -> str:
        if self.name == "hubspot":
            store = self.sandbox.hubspot
            return str(store.create(store.tables["contacts"], {}).id)
        org = self.sandbox.salesforce
        id = org.new_id("00Q")
        stamps = {"CreatedDate": org.stamp(), "SystemModstamp": org.stamp()}
        org.put("Lead", {"Id": id, "LastName": "L", "Company": "C", "IsDeleted": False, **stamps})
        return id

    def is_alive(self, id: str) -> bool:
        if self.name == "hubspot":
            found = self.sandbox.hubspot.tables["contacts"].find(id)
            return found is not None and str(found.id) == id
        return not self.sandbox.salesforce.tables["Lead"][id]["IsDeleted"]

    def set(self, id: str, name: str, value: str | None) -> None:
        if self.name == "salesforce":
            number = name == SCORE_FIELD[self.name] and value is not None
            self.sandbox.salesforce.tables["Lead"][id][name] = int(value) if number else value
            return
        found = self.sandbox.hubspot.tables["contacts"].find(id)
        assert found
        found.history.pop(name, None)
        if value is None:
            found.properties.pop(name, None)
        else:
            found.properties[name] = value

    def value_of(self, id: str, name: str) -> str | None:
        if self.name == "salesforce":
            value = self.sandbox.salesforce.tables["Lead"][id].get(name)
            return None if value is None else str(value).removesuffix(".0")
        found = self.sandbox.hubspot.tables["contacts"].find(id)
        assert found
        return found.properties.get(name)

    def delete(self, id: str) -> None:
        if self.name == "salesforce":
            self.sandbox.salesforce.tables["Lead"][id]["IsDeleted"] = True
            return
        contacts = self.sandbox.hubspot.tables["contacts"]
        found = contacts.find(id)
        assert found
        self.sandbox.hubspot.archive(contacts, found)

    def merge(self, id: str) -> None:
        """Merge a record into one that is no part of the run."""
        other = self._new()
        if self.name == "salesforce":
            self.sandbox.salesforce.merge(other, id)
            return
        contacts = self.sandbox.hubspot.tables["contacts"]
        winner, loser = contacts.find(other), contacts.find(id)
        assert winner
        assert loser
        self.sandbox.hubspot.merge(contacts, winner, loser)


class ConcurrentUsers:
    """Concurrent edits: at each call they do what the schedule says."""

    def __init__(self, crm: SandboxCrm, ids: list[str], schedule: Schedule) -> None:
        self._crm = crm
        self._actions = {
            (ids[one.record], one.call, one.nth): one.action
            for one in schedule.concurrent_changes
            if one.record < len(ids)
        }
        self._call_counts: Counter[tuple[str, str]] = Counter()
        self._broken_job = schedule.aborts_job
        self.edited: set[str] = set()

    def __call__(self, moment: str, method: str, path: str, body: bytes) -> None:
        if self._broken_job and (moment, method) == ("done", "PATCH") and "/jobs/" in path:
            self._abort_job(path)
        call = _call_type(method, path)
        if moment == "done" or call is None:
            return
        for id in re.findall(r'"(\d{5,18}|00Q\w{15})"', body.decode()):
            self._call_counts[id, call] += 1
            act = self._actions.pop((id, call, self._call_counts[id, call]), None)
            if act and self._crm.is_alive(id):
                self._act_on(act, id)

    def _act_on(self, act: str, id: str) -> None:
        match act:
            case "edit":
                self._crm.set(id, SCORE_FIELD[self._crm.name], EDITED_SCORE)
                self.edited.add(id)
            case "delete":
                self._crm.delete(id)
            case "merge":
                self._crm.merge(id)

    def _abort_job(self, path: str) -> None:
        """Let a job end as aborted, with half of what it did on no list."""
        job = self._crm.sandbox.salesforce.jobs[path.rsplit("/", 1)[1]]
        if job.state == "UploadComplete":
            job.state = "Aborted"
            del job.succeeded[::2], job.failed[::2]


def _call_type(method: str, path: str) -> str | None:
    if path.endswith("/batch/read") or path.endswith("/composite/sobjects/Lead"):
        return "read"
    is_write = path.endswith("/batch/update") or method == "PUT"
    return "write" if is_write or path.endswith("/composite/sobjects") else None


# --- what must hold ---------------------------------------------------------------------------


@dataclass(frozen=True)
class SandboxCrms:
    """Both CRMs."""

    crms: Mapping[str, SandboxCrm]


@contextmanager
def serve_crms() -> Iterator[SandboxCrms]:
    """Serve both CRMs without waits."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with (
        running(people=5, seed=3, now=now, rate_limits=False) as sandbox,
        no_sleep(),
    ):
        yield SandboxCrms({name: SandboxCrm(name, sandbox) for name in ("hubspot", "salesforce")})


def find_violations(schedule: Schedule, crms: SandboxCrms) -> list[str]:
    """Carry a schedule out, and the run after it, and say what should not be."""
    crm = crms.crms[schedule.crm]
    kinds = [schedule.special.get(number, "score") for number in range(schedule.records)]
    plans = [record_case(crm.name, kind) for kind in kinds]
    ids = crm.prepare_records([held for held, _ in plans])
    changes = [
        RecordChange(crm.object, id, fields) for id, (_, fields) in zip(ids, plans, strict=True)
    ]
    before = {id: held for id, (held, _) in zip(ids, plans, strict=True)}
    client = crm.client(uses_bulk=schedule.uses_bulk)
    people = ConcurrentUsers(crm, ids, schedule)
    crm.sandbox.faults.reset()
    crm.sandbox.faults.watch(people)
    for fault in schedule.faults:
        crm.sandbox.faults.plan(fault)
    locked = {ids[number]: times for number, times in schedule.locked.items() if number < len(ids)}
    for id, times in locked.items() if crm.name == "salesforce" else ():
        crm.sandbox.salesforce.lock([id], times=times)
    outcomes, broken = _run(crm, client, changes)
    problems = _wrong_outcome_counts(outcomes, ids, broken=broken)
    problems += [
        f"{change.record_id}: {text}"
        for change in changes
        if change.record_id in outcomes and crm.is_alive(change.record_id)
        for text in _wrong_values(
            crm, change, outcomes[change.record_id][-1], before, people.edited
        )
    ]
    crm.sandbox.faults.reset()
    crm.sandbox.salesforce.unlock()
    return problems + _second_run_violations(crm, changes, kinds, people.edited)


def _run(
    crm: SandboxCrm, client: Client, changes: list[RecordChange]
) -> tuple[dict[str, list[Outcome]], bool]:
    outcomes: dict[str, list[Outcome]] = {}
    try:
        for batch in connector(crm.name).write(client, changes, crm.catalog):
            for one in batch:
                outcomes.setdefault(one.record_id, []).append(one)
    except SyncError:
        return outcomes, True
    return outcomes, False


def _wrong_outcome_counts(
    outcomes: Mapping[str, list[Outcome]], ids: list[str], *, broken: bool
) -> list[str]:
    often = [f"{id}: {len(found)} outcomes" for id, found in outcomes.items() if len(found) > 1]
    lost = [f"{id}: no outcome" for id in ids if id not in outcomes and not broken]
    return often + lost


def _wrong_values(
    crm: SandboxCrm,
    change: RecordChange,
    outcome: Outcome,
    before: Mapping[str, Values],
    edited: set[str],
) -> Iterator[str]:
    """Say where a live record holds what its outcome does not allow."""
    id, outcome_text = change.record_id, f"{outcome.status}/{outcome.reason}"
    for field_change in change.fields:
        name = field_change.field
        now, then = crm.value_of(id, name), before[id].get(name)
        if id in edited and name == SCORE_FIELD[crm.name]:
            allowed = {EDITED_SCORE}
        elif outcome.status in ("written", "unchanged"):
            allowed = {field_change.after}
        elif outcome.status == "unknown":
            allowed = {then, field_change.after, None}
        elif id in edited or outcome.reason == "crm_stage_higher":
            allowed = {then, field_change.after}
        else:
            allowed = {then}
        if now not in allowed:
            yield f"{outcome_text}, but {name} is {now} and not one of {allowed}"


def _second_run_violations(
    crm: SandboxCrm, changes: list[RecordChange], kinds: list[str], edited: set[str]
) -> list[str]:
    """Run once more with a new plan from the CRM values: all records end right."""
    left = {
        change.record_id: kind
        for change, kind in zip(changes, kinds, strict=True)
        if crm.is_alive(change.record_id) and change.record_id not in edited
    }
    again = [
        replace(
            change, fields=tuple(_replanned(crm, change.record_id, one) for one in change.fields)
        )
        for change in changes
        if change.record_id in left
    ]
    outcomes, broken = _run(crm, crm.client(), again)
    problems = ["the run after it broke off"] if broken else []
    for change in again:
        kind, own = left[change.record_id], outcomes.get(change.record_id, [])
        right = {"quarantined", "held"} if kind in UNWRITABLE_CASES else {"written", "unchanged"}
        if crm.name == "salesforce" and kind in ("ahead", "poisoned fall"):
            right = {"written", "unchanged"}
        if [one.status in right for one in own] != [True]:
            ended = [f"{one.status}/{one.reason}/{one.error_code}" for one in own]
            problems.append(f"{change.record_id}: {kind} ended the second run as {ended}")
    return problems


def _replanned(crm: SandboxCrm, id: str, change: FieldChange) -> FieldChange:
    return replace(change, before=crm.value_of(id, change.field))
