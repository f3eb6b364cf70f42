"""No two runs at once, wherever they run, and no lease that outlives its run for long."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from rich.progress import Progress

from cli.render.progress import ProgressBars
from config.loader import load_configuration
from errors import ConfigError, WarehouseBusyError
from run_helpers import configured_sandbox, run_sync, table_rows
from sync import run
from warehouse.run_lock import HOST_ID, RunLock, lock_ttl, run_lock
from warehouse.warehouse import open_warehouse

WRITE = {
    "hubspot": "POST /crm/v3/objects/contacts/batch/update",
    "salesforce": "PATCH /services/data/v60.0/composite/sobjects",
}


@pytest.fixture(autouse=True)
def _warehouse(tmp_path, monkeypatch):
    """A warehouse of the test's own."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/lease.duckdb")


def held_elsewhere(run_id="other", *, minutes=15.0):
    """Let a run on another machine have the lease for so long."""
    held(run_id, host="elsewhere", process=1, minutes=minutes)


def held(run_id, *, host, process, minutes=15.0):
    """Store a lease as a run of that process would."""
    with open_warehouse() as warehouse, pytest.MonkeyPatch.context() as settings:
        settings.setattr("warehouse.run_lock.HOST_ID", host)
        settings.setattr("os.getpid", lambda: process)
        RunLock(run_id, timedelta(minutes=minutes), datetime.now(UTC)).extend(warehouse)


def ended_process():
    """The number of a process that is gone."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_second_run_is_turned_away_and_told_which_one_is_under_way():
    """The text names the run, until when, and how to wait."""
    held_elsewhere("20260501-061500-3fa9")

    with (
        pytest.raises(WarehouseBusyError, match=r"20260501-061500-3fa9 .* --wait-for-lock"),
        run_lock("mine"),
    ):
        pass


def test_a_lease_that_ran_out_is_nobodys():
    """A run that died elsewhere keeps others away for so long and no longer."""
    held_elsewhere(minutes=-1)

    with run_lock("mine"):
        assert table_rows("run_lock")[0]["run_id"] == "mine"


def test_a_run_that_was_killed_on_this_machine_holds_nothing():
    """A run does not wait for a process that has ended."""
    held("killed", host=HOST_ID, process=ended_process())

    with run_lock("mine"):
        assert table_rows("run_lock")[0]["run_id"] == "mine"


def test_a_run_that_lives_on_this_machine_holds_its_lease():
    """Its process is there."""
    held("alive", host=HOST_ID, process=os.getppid())

    with pytest.raises(WarehouseBusyError), run_lock("mine"):
        pass


def test_a_lease_is_freed_at_the_end_also_of_a_run_that_broke_off():
    """The next run need not wait."""
    with pytest.raises(ZeroDivisionError), run_lock("mine"):
        raise ZeroDivisionError

    assert table_rows("run_lock") == []


def test_whoever_waits_gets_the_lease_when_the_other_lets_go(monkeypatch):
    """It looks again and again."""
    monkeypatch.setattr("warehouse.run_lock.POLL_INTERVAL", timedelta(milliseconds=50))
    held_elsewhere(minutes=0.02)

    with run_lock("mine", wait=True):
        assert table_rows("run_lock")[0]["run_id"] == "mine"


def test_a_lease_is_lengthened_once_a_third_of_it_is_gone():
    """A long run keeps it."""
    with run_lock("mine") as lease:
        before = table_rows("run_lock")[0]["expires_at"]
        lease.renewed_at -= lease.ttl / 2
        lease.renew_if_due()

        assert table_rows("run_lock")[0]["expires_at"] > before


def test_a_lease_that_another_run_took_cannot_be_renewed():
    """A run that lost the lock must not write."""
    with run_lock("mine") as lease:
        held_elsewhere()

        with (
            open_warehouse() as warehouse,
            pytest.raises(WarehouseBusyError, match="LOCK__TTL_MINUTES"),
        ):
            lease.renew(warehouse)


def test_another_runs_lease_is_not_freed():
    """Only one's own."""
    with run_lock("mine"):
        held_elsewhere()

    assert table_rows("run_lock")[0]["run_id"] == "other"


@pytest.mark.parametrize("minutes", ["soon", "0"])
def test_a_length_that_is_none_is_refused(monkeypatch, minutes):
    """The setting is named."""
    monkeypatch.setenv("LOCK__TTL_MINUTES", minutes)

    with pytest.raises(ConfigError, match="LOCK__TTL_MINUTES"):
        lock_ttl()


def test_a_warehouse_that_another_process_has_open_counts_as_leased(tmp_path, monkeypatch):
    """DuckDB lets one process in; another one can wait for it."""
    monkeypatch.setenv("LOCK__FILE_WAIT_MINUTES", "0")
    looking = subprocess.Popen(
        [
            sys.executable,
            "-uc",
            f"import duckdb; file = duckdb.connect('{tmp_path}/lease.duckdb'); print(1); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    looking.stdout.readline()
    try:
        with pytest.raises(WarehouseBusyError, match="--wait-for-lock"), run_lock("mine"):
            pass
    finally:
        looking.communicate(b"\n")


@pytest.mark.long
def test_a_run_renews_its_lease_while_it_pulls(tmp_path, monkeypatch):
    """A first pull may take longer than any lease."""
    monkeypatch.setenv("LOCK__TTL_MINUTES", "0.0001")
    with configured_sandbox(tmp_path, people=20):
        assert run_sync(write=False).run.status == "planned"


class Overtaken(ProgressBars):
    """Progress that lets another run take the lease as soon as a batch is written."""

    def write_callback(self, *_):
        return lambda _: held_elsewhere()


@pytest.mark.long
def test_a_run_that_lost_its_lease_writes_no_further_batch(tmp_path):
    """The run that has the lock now writes the rest."""
    with configured_sandbox(tmp_path, people=40) as sandbox:
        with pytest.raises(WarehouseBusyError):
            run(
                load_configuration(),
                write=True,
                first=True,
                bars=Overtaken(Progress(disable=True)),
            )

        written = {crm: calls.get(WRITE[crm], 0) for crm, calls in sandbox.faults.calls().items()}
        assert (written["salesforce"], table_rows("runs")[0]["status"]) == (0, "failed")
        assert 0 < written["hubspot"] <= 3
