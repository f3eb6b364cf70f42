"""Every attempt is recorded: a row of `runs`, or a file beside the DuckDB file until it is one."""

import os
import stat
from datetime import UTC, datetime, timedelta

import pytest

from config.loader import load_configuration
from errors import AccessError, ConfigError, SignalError, WarehouseBusyError
from warehouse import pending_runs
from warehouse.attempts import active_run, record_attempt
from warehouse.runs import Run, save_run
from warehouse.status import Status, status
from warehouse.warehouse import open_warehouse

AT = datetime(2026, 3, 1, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/w.duckdb")
    return tmp_path


def new_run(name: str, hour: int = 0) -> Run:
    return Run(None, AT + timedelta(hours=hour), name, command="run")


def fail(run: Run, error: BaseException) -> None:
    """Let a run end with an error while it holds the lock."""
    with pytest.raises(type(error)), active_run(run, wait=False):
        raise error


def succeed(run: Run) -> None:
    with active_run(run, wait=False):
        run.status = "done"


def rows() -> dict[str, dict]:
    with open_warehouse(read_only=True) as warehouse:
        return {row["run_id"]: row for row in warehouse.table("runs").to_pyarrow().to_pylist()}


def seen() -> Status:
    with open_warehouse(read_only=True) as warehouse:
        return status(warehouse, load_configuration())


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        pytest.param(
            AccessError("HubSpot refused the token"),
            ("failed", 1, "AccessError", "HubSpot refused the token"),
            id="login",
        ),
        pytest.param(
            ConfigError("contacts has no field x"),
            ("failed", 2, "ConfigError", "contacts has no field x"),
            id="configuration",
        ),
        pytest.param(
            SignalError(15),
            ("interrupted", 143, "SignalError", "ended by the signal SIGTERM"),
            id="SIGTERM",
        ),
        pytest.param(
            KeyboardInterrupt(),
            ("interrupted", 130, "KeyboardInterrupt", "ended by the signal SIGINT"),
            id="SIGINT",
        ),
    ],
)
def test_a_failure_is_a_row_with_its_cause(error, ended):
    run = new_run("1")

    fail(run, error)

    row = rows()["1"]
    assert (row["status"], row["exit_code"], row["error_class"], row["error"]) == ended
    assert row["started_at"] == AT.replace(tzinfo=None)
    assert row["ended_at"] is not None


def test_the_text_of_a_crash_holds_no_value():
    """The message of a library may hold what a record holds."""
    fail(new_run("1"), ValueError("anna@example.com"))

    row = rows()["1"]
    assert row["error_class"] == "ValueError"
    assert row["error"].startswith("ValueError in test_attempts.py:")


def test_a_success_has_the_exit_code_0():
    succeed(new_run("1"))

    row = rows()["1"]
    assert (row["status"], row["exit_code"], row["error"]) == ("done", 0, None)


def test_an_attempt_that_the_lock_refuses_becomes_a_row_when_the_lock_is_released(folder):
    """It does not open the file of the run that has the lock."""
    with active_run(new_run("1"), wait=False):
        with open_warehouse() as warehouse:
            # of another process, which is alive
            warehouse.engine.raw_sql(f"UPDATE onefunnel.run_lock SET pid = {os.getppid()}")
        with pytest.raises(WarehouseBusyError), active_run(new_run("2", 1), wait=False):
            pytest.fail("two runs at once")
        waiting = sorted(path.name for path in (folder / "w_runs").iterdir())

    assert waiting == ["1.json", "2.json"]
    assert list((folder / "w_runs").iterdir()) == []
    assert rows()["2"]["error_class"] == "WarehouseBusyError"
    assert "run 1 holds the lock" in rows()["2"]["error"]


def test_an_attempt_that_ends_before_the_lock_is_seen_at_once():
    with pytest.raises(ConfigError), record_attempt(new_run("1")):
        raise ConfigError("lifecycle.yaml:3 is wrong")

    [failure] = seen().failures
    assert (failure["run_id"], failure["error"]) == ("1", "lifecycle.yaml:3 is wrong")


def test_an_attempt_without_a_warehouse_leaves_nothing(folder, monkeypatch):
    """The text of the error is all: there is no place for a row."""
    monkeypatch.setenv("DESTINATION__NAME", "oracle")

    with pytest.raises(ConfigError, match="wrong"), record_attempt(new_run("1")):
        raise ConfigError("wrong")

    assert list(folder.iterdir()) == []


def test_only_the_owner_can_read_a_pending_attempt(folder):
    pending_runs.save(new_run("1"))

    assert stat.S_IMODE((folder / "w_runs" / "1.json").stat().st_mode) == 0o600


def test_who_looks_sees_that_a_run_is_active():
    """The read copy was published before that run began."""
    succeed(new_run("1"))
    with active_run(new_run("2", 1), wait=False):
        during = seen()
    after = seen()

    assert [(run["run_id"], run["status"]) for run in during.runs] == [
        ("2", "running"),
        ("1", "done"),
    ]
    assert during.last_success
    assert during.last_success["run_id"] == "1"
    # it set no other status: its block ended without an error
    assert after.failures == []


def test_a_killed_run_is_interrupted_for_who_looks_and_in_its_row_after_the_next(folder):
    """Its process is gone, so nothing else says that it ended."""
    killed = os.fork()
    if killed == 0:
        with active_run(new_run("1"), wait=False):
            os._exit(9)
    os.waitpid(killed, 0)

    before = seen()
    succeed(new_run("2", 1))

    assert [(run["run_id"], run["error_class"]) for run in before.failures] == [("1", "Killed")]
    assert (rows()["1"]["status"], rows()["1"]["error_class"]) == ("interrupted", "Killed")
    assert list((folder / "w_runs").iterdir()) == []


def test_status_has_the_last_success_and_what_failed_since():
    fail(new_run("1"), AccessError("before the success"))
    succeed(new_run("2", 1))
    fail(new_run("3", 2), AccessError("first"))
    fail(new_run("4", 3), AccessError("second"))

    shown = seen()

    assert shown.last_success
    assert shown.last_success["run_id"] == "2"
    assert [run["error"] for run in shown.failures] == ["second", "first"]


def test_the_end_of_a_run_is_stored_once():
    """The block around it, which the command line opens first, leaves it alone."""
    run = new_run("1")
    with pytest.raises(AccessError), record_attempt(run), active_run(run, wait=False):
        raise AccessError("refused")

    assert pending_runs.load() == []
    assert list(rows()) == ["1"]


def test_storing_a_run_leaves_the_rows_of_others():
    run = new_run("1")
    with open_warehouse() as warehouse:
        save_run(warehouse, run)
        save_run(warehouse, new_run("2"))
        run.status = "done"
        save_run(warehouse, run)
        stored = warehouse.table("runs").order_by("run_id").to_pyarrow().to_pylist()

    assert [(row["run_id"], row["status"]) for row in stored] == [("1", "done"), ("2", "running")]


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [
        pytest.param({}, 0, id="no limit"),
        pytest.param({"quarantined": 2}, 0, id="at the limit"),
        pytest.param({"quarantined": 1}, 4, id="above the limit"),
        pytest.param({"held": 1}, 0, id="what waits for apply is not counted"),
        pytest.param({"held": 0, "quarantined": 9}, 4, id="one of two"),
    ],
)
def test_a_run_above_its_limit_has_the_exit_code_4(fail_on, code):
    run = Run(None, AT, fail_on=fail_on, status="done")
    run.counts["records"] = [
        {"crm": "hubspot", "status": "quarantined", "reason": "refused", "records": 1},
        {"crm": "salesforce", "status": "quarantined", "reason": "refused", "records": 1},
        {"crm": "hubspot", "status": "held", "reason": "approval", "records": 7},
        {"crm": "hubspot", "status": "held", "reason": "frozen", "records": 1},
    ]

    run.end()

    assert run.exit_code == code


def test_a_stopped_plan_has_the_exit_code_3_whatever_else_is_above_its_limit():
    run = Run(None, AT, fail_on={"held": 0}, status="stopped")
    run.counts["records"] = [{"crm": "hubspot", "status": "held", "reason": "guard", "records": 7}]

    run.end()

    assert run.exit_code == 3
