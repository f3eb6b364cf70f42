"""Looking disturbs no run, and everybody can look during a run: the read copy of DuckDB."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from warehouse.destination import read_copy
from warehouse.run_lock import run_lock
from warehouse.warehouse import Warehouse, open_warehouse

ROOT = Path(__file__).parents[2]
HOLD = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'read')"
HOLD += "; print('open', flush=True); time.sleep(float(sys.argv[3]))"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse after one finished run, which stored the number 1."""
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{file}")
    with run_lock("first"), open_warehouse() as warehouse:
        store(warehouse, 1)
    return file


def store(warehouse: Warehouse, number: int) -> None:
    warehouse.replace_table("numbers", ibis.memtable(pa.table({"number": [number]})))


def seen_number() -> int:
    """Look as a command does that only looks."""
    with open_warehouse(read_only=True) as warehouse:
        return int(warehouse.table("numbers").to_pyarrow()["number"][0].as_py())


@contextmanager
def in_another_process(file: Path, mode: str, *, seconds: float) -> Iterator[None]:
    """Let another process have a file open, as a BI tool or a backup would."""
    command = [sys.executable, "-c", HOLD, str(file), mode, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        yield
        other.kill()


def test_a_reader_sees_the_state_after_the_last_finished_run(file: Path) -> None:
    """What a run has stored so far is seen when it has ended."""
    with run_lock("second"):
        with open_warehouse() as warehouse:
            store(warehouse, 2)
        during = seen_number()

    assert (during, seen_number()) == (1, 2)


def test_a_command_that_looks_answers_while_a_run_has_the_file_open(file: Path) -> None:
    """In another process, as a colleague's `status` in the night."""
    with open_warehouse():
        ended = subprocess.run(
            [sys.executable, "sync.py", "status", "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert ended.returncode == 0, ended.stderr


def test_a_run_waits_for_a_file_in_use(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It continues when the other process has closed the file, and says that it waits."""
    with (
        caplog.at_level(logging.WARNING, "onefunnel.warehouse"),
        in_another_process(file, "read", seconds=1.5),
        run_lock("second"),
        open_warehouse() as warehouse,
    ):
        store(warehouse, 2)

    assert "warehouse.waiting reason=file_in_use" in caplog.text
    assert seen_number() == 2


def test_a_reader_of_the_copy_keeps_no_run_waiting(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The next run puts a new copy in its place; the reader keeps the one it has open."""
    with (
        caplog.at_level(logging.WARNING, "onefunnel.warehouse"),
        in_another_process(read_copy(file), "read", seconds=30),
        run_lock("second"),
        open_warehouse() as warehouse,
    ):
        store(warehouse, 2)

    assert "warehouse.waiting" not in caplog.text
    assert seen_number() == 2


def test_only_the_owner_can_read_the_copy(file: Path) -> None:
    """It holds what the warehouse holds; and nothing is left of making it."""
    assert read_copy(file).stat().st_mode & 0o077 == 0
    names = {path.name for path in file.parent.iterdir()}
    assert names == {"warehouse.duckdb", "warehouse_read.duckdb"}


def test_opening_twice_does_not_let_another_process_in(file: Path) -> None:
    """To close a second handle of the file would end DuckDB's lock on it."""
    with open_warehouse():
        with open_warehouse():
            pass
        command = [sys.executable, "-c", HOLD, str(file), "write", "0"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "lock" in ended.stderr
    assert ended.returncode != 0
