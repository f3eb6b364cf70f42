"""Killed at whatever moment, a run leaves nothing that the next one does not make right.

The run is a process of its own, killed by SIGKILL just before a call takes effect at the CRM, or
just after it did and before the answer leaves.
"""

import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from rich.console import Console

from cli.render.progress import progress_bars
from config.loader import load_configuration
from connectors.retry import no_sleep
from run_helpers import configured_sandbox, run_sync, sandbox_environment, table_rows
from sandbox.faults import Fault, Moment
from sandbox.server import Sandbox
from sync import apply_run
from warehouse import runs, status
from warehouse.warehouse import Warehouse, open_warehouse

State = dict[str, dict[str, Any]]
"""What a CRM's records hold, by id."""

KILLED = -signal.SIGKILL


@dataclass
class Planned:
    """A plan that waits to be applied: where it is, what both CRMs hold, what they should."""

    sandbox: Sandbox
    folder: Path
    run_id: str
    before: dict[str, State]
    after: dict[str, State]


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planned]:
    """Extract and plan once, apply without a crash, keep the result, and restore the CRMs."""
    folder = tmp_path_factory.mktemp("crashes")
    with configured_sandbox(folder, people=12) as sandbox:
        run_id = run_sync(write=False).run.run_id
        shutil.copy(folder / "warehouse.duckdb", folder / "planned.duckdb")
        before = deepcopy(held(sandbox))
        apply(run_id)
        yield Planned(sandbox, folder, run_id, before, deepcopy(held(sandbox)))


@pytest.fixture
def plan(planned: Planned) -> Planned:
    """The same plan, not yet applied."""
    shutil.copy(planned.folder / "planned.duckdb", planned.folder / "warehouse.duckdb")
    (planned.folder / "warehouse.duckdb.wal").unlink(missing_ok=True)
    for name, records in held(planned.sandbox).items():
        for id, values in records.items():
            values.clear()
            values.update(planned.before[name][id])
    planned.sandbox.salesforce.jobs.clear()
    planned.sandbox.faults.reset()
    return planned


def held(sandbox: Sandbox) -> dict[str, State]:
    """The stored values of all records that a run writes to."""
    contacts = sandbox.hubspot.tables["contacts"].records
    return {
        "contacts": {str(id): record.properties for id, record in contacts.items()},
        "Lead": sandbox.salesforce.tables["Lead"],
        "Contact": sandbox.salesforce.tables["Contact"],
    }


def written(state: Mapping[str, State], *left_out: str) -> dict[str, State]:
    """Only the fields that a run writes."""
    fields = {
        (object, field)
        for mapping in load_configuration().mappings.values()
        for object, writes in mapping.write.items()
        for field in writes
        if not field.startswith(left_out)
    }
    return {
        name: {
            id: {field: value for field, value in values.items() if (name, field) in fields}
            for id, values in records.items()
        }
        for name, records in state.items()
    }


def apply(run_id: str) -> None:
    with progress_bars(Console(quiet=True)) as shown:
        apply_run(load_configuration(), run_id, bars=shown)


def in_a_process(settings: Mapping[str, str], run_id: str) -> None:
    """Apply a plan, or without one run as a whole."""
    os.environ.update(settings)
    with no_sleep():
        apply(run_id) if run_id else run_sync()


def forking() -> ForkServerContext:
    """Import our modules once, and fork each process from there."""
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sync", "run_helpers"])
    return context


def settings_of(plan: Planned) -> dict[str, str]:
    return sandbox_environment(plan.sandbox, plan.folder)


def killed(plan: Planned, run_id: str, moment: Moment, call: str, nth: int, **settings: str) -> int:
    """Run in a process until the nth such call, kill it there, and say how it ended."""
    process = forking().Process(target=in_a_process, args=(settings_of(plan) | settings, run_id))
    method, path = call.split()
    if moment == "asked":
        plan.sandbox.faults.plan(Fault(method=method, path=path, effect="reset", after=nth - 1))
    seen = 0

    def kill(at: Moment, by: str, of: str, _: bytes) -> None:
        nonlocal seen
        seen += at == moment and by == method and path in of
        if seen == nth and process.is_alive() and process.pid:
            os.kill(process.pid, signal.SIGKILL)

    plan.sandbox.faults.watch(kill)
    process.start()
    process.join(120)
    plan.sandbox.faults.reset()
    return process.exitcode or 0


BY_BATCHES = [
    pytest.param("asked", "POST /contacts/batch/read", 1, id="plan stored, nothing sent"),
    pytest.param("asked", "POST /contacts/batch/update", 1, id="looked, nothing sent"),
    pytest.param("done", "POST /contacts/batch/update", 1, id="stages emptied, no response"),
    pytest.param("asked", "POST /contacts/batch/update", 2, id="stages emptied, not set"),
    pytest.param("done", "POST /contacts/batch/update", 2, id="stages set, no response"),
    pytest.param("asked", "POST /composite/sobjects/", 1, id="first CRM done, second not begun"),
    pytest.param("asked", "PATCH /composite/sobjects", 1, id="second CRM looked at"),
    pytest.param("done", "PATCH /composite/sobjects", 1, id="first object written, no response"),
    pytest.param("asked", "PATCH /composite/sobjects", 2, id="first object journalled"),
    pytest.param("done", "PATCH /composite/sobjects", 2, id="all written, no response"),
]
BY_JOB = [
    pytest.param("done", "POST /jobs/ingest", 1, id="job made"),
    pytest.param("done", "PUT /batches", 1, id="job filled"),
    pytest.param("asked", "PATCH /jobs/ingest/", 1, id="job not closed"),
    pytest.param("done", "PATCH /jobs/ingest/", 1, id="job closed"),
    pytest.param("done", "GET /jobs/ingest/", 1, id="job asked for"),
    pytest.param("done", "GET /successfulResults", 1, id="job read, not journalled"),
]


@pytest.mark.parametrize(("moment", "call", "nth"), BY_BATCHES)
def test_apply_goes_on_where_a_run_was_killed(
    plan: Planned, moment: Moment, call: str, nth: int
) -> None:
    """Both CRMs end as after an undisturbed run, and every record has its outcome."""
    assert killed(plan, plan.run_id, moment, call, nth) == KILLED

    apply(plan.run_id)

    assert written(held(plan.sandbox)) == written(plan.after)
    assert outcomes(plan.run_id) <= {"written", "unchanged", "excluded"}


@pytest.mark.parametrize(("moment", "call", "nth"), BY_JOB)
def test_apply_goes_on_where_a_job_was_left(
    plan: Planned, moment: Moment, call: str, nth: int
) -> None:
    """What it wrote is found by looking; what it did not is written."""
    by_job = {"SOURCES__SALESFORCE__BULK_MIN_RECORDS": "1"}
    assert killed(plan, plan.run_id, moment, call, nth, **by_job) == KILLED

    apply(plan.run_id)

    assert written(held(plan.sandbox)) == written(plan.after)
    assert outcomes(plan.run_id) <= {"written", "unchanged", "excluded"}


def outcomes(run_id: str) -> set[str]:
    """The outcomes there are in a run, which add up to its records."""
    with open_warehouse() as warehouse:
        return {row["status"] for row in status.outcome_counts(warehouse, run_id)}


@pytest.mark.parametrize(
    ("call", "nth"),
    [
        pytest.param("POST /contacts/batch/update", 2, id="between emptying and setting a stage"),
        pytest.param("GET /queryAll", 3, id="while it pulls"),
    ],
)
def test_the_next_run_ends_right(plan: Planned, call: str, nth: int) -> None:
    """It extracts again and plans the rest; scores have decayed a little since."""
    assert killed(plan, "", "asked", call, nth) == KILLED

    told = run_sync()

    assert written(held(plan.sandbox), SCORES) == written(plan.after, SCORES)
    assert {row["status"] for row in told.records} <= {"written", "unchanged", "excluded"}


def until_changes(settings: Mapping[str, str]) -> None:
    """Run, and die as soon as the changes of the plan are written, before any outcome."""

    def watch(frame: FrameType, event: str, _: object) -> None:
        is_appended = event == "return" and frame.f_code is Warehouse.append.__code__
        if is_appended and frame.f_locals["name"] == "changes":
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    in_a_process(settings, "")


def test_a_plan_is_stored_whole_or_not_at_all(plan: Planned) -> None:
    """Of its records some would have an outcome and some none: they would not add up."""
    process = forking().Process(target=until_changes, args=(settings_of(plan),))
    process.start()
    process.join(120)
    with open_warehouse() as warehouse:
        runs.mark_interrupted(warehouse)

    newest = max(table_rows("runs"), key=lambda run: run["started_at"])
    assert (process.exitcode, newest["status"]) == (KILLED, "interrupted")
    assert newest["run_id"] not in {row["run_id"] for row in table_rows("changes")}
    assert outcomes(newest["run_id"]) == set()


SCORES = "onefunnel_score"
