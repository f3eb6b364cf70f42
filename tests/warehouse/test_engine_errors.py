"""A warehouse that cannot be used is named as what it is: foreign, damaged, full or read-only."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from errors import ConfigError, SyncError
from warehouse.destination import (
    DAMAGED,
    FOREIGN,
    FULL,
    MEMORY,
    OTHER_VERSION,
    READ_ONLY,
    UNREACHABLE,
    UNWRITABLE,
    destination_problems,
    engine_error,
)
from warehouse.warehouse import open_warehouse

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse file with a large table."""
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{file}")
    with open_warehouse() as warehouse:
        warehouse.engine.raw_sql(
            "CREATE TABLE onefunnel.large AS SELECT range AS a, random() AS b FROM range(200000)"
        )
    return file


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("a text of another program\n" * 100, encoding="utf-8")


def sqlite(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE a (b)")
    connection.close()


def cut_in_the_header(file: Path) -> None:
    os.truncate(file, 5000)


def cut_in_half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def change_a_byte_of_each_block(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for position in range(12_288, len(content), 1000):
        content[position] ^= 0xFF
    file.write_bytes(content)


def read_large() -> None:
    with open_warehouse() as warehouse:
        warehouse.engine.raw_sql("SELECT sum(a), sum(b) FROM onefunnel.large")


@pytest.mark.parametrize("replace", [empty, text, sqlite])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_of_another_program_is_no_warehouse(
    file: Path, replace: Callable[[Path], None], read_only: bool
) -> None:
    """A setting leads to it, so it is a configuration error; the file stays as it is."""
    replace(file)
    before = file.read_bytes()

    with pytest.raises(ConfigError) as raised, open_warehouse(read_only=read_only):
        pass

    assert str(raised.value) == FOREIGN
    assert file.read_bytes() == before


@pytest.mark.parametrize("damage", [cut_in_the_header, cut_in_half, change_a_byte_of_each_block])
def test_a_damaged_warehouse_is_named_as_that(file: Path, damage: Callable[[Path], None]) -> None:
    """Where it is opened, or where the damaged part is read."""
    damage(file)

    with pytest.raises(SyncError) as raised:
        read_large()

    assert str(raised.value) == DAMAGED


def test_a_folder_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the setting."""
    file = tmp_path / "missing" / "warehouse.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{file}")

    with pytest.raises(SyncError) as raised, open_warehouse():
        pass

    assert str(raised.value) == UNWRITABLE


def limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_a_full_disk_is_named_in_the_middle_of_a_command(file: Path) -> None:
    """A limit of the process stands for the disk: DuckDB gets the same error of the system."""
    code = (
        "from cli.output import handle_errors; from warehouse.warehouse import open_warehouse\n"
        "with handle_errors(), open_warehouse() as warehouse:\n"
        "    warehouse.engine.raw_sql('CREATE TABLE onefunnel.larger AS"
        " SELECT range AS a, random() AS b FROM range(3000000)')\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        preexec_fn=limit_file_size,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert f"Run failed: {FULL}" in " ".join(ended.stderr.split())


class OperationalError(Exception):
    """psycopg's class of that name: the server, or the way to it, has a problem."""

    __module__ = "psycopg.errors"
    sqlstate: str | None = None


class ReadOnlySqlTransaction(Exception):
    """psycopg's class of that name."""

    __module__ = "psycopg.errors"
    sqlstate = "25006"


class DiskFull(OperationalError):
    """psycopg2's class of that name."""

    __module__ = "psycopg2.errors"
    pgcode = "53100"


class UndefinedTable(Exception):
    """psycopg's class for a mistake in our SQL."""

    __module__ = "psycopg.errors"
    sqlstate = "42P01"


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (duckdb.IOException("IO Error: Could not write file: No space left on device"), FULL),
        (duckdb.FatalException("FATAL Error: checkpoint: No space left on device"), FULL),
        (duckdb.IOException("IO Error: Cannot open file: Read-only file system"), READ_ONLY),
        (duckdb.IOException("IO Error: Cannot open file: Permission denied"), READ_ONLY),
        (duckdb.IOException("IO Error: a file with version number 99"), OTHER_VERSION),
        (duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate"), MEMORY),
        (OperationalError("password authentication failed for planted-secret"), UNREACHABLE),
        (ReadOnlySqlTransaction(), READ_ONLY),
        (DiskFull(), FULL),
    ],
)
def test_an_error_of_the_engine_is_named_without_its_text(error: Exception, problem: str) -> None:
    """The text may quote a value or a password."""
    assert str(engine_error(error)) == problem


@pytest.mark.parametrize(
    "error", [duckdb.BinderException("no column"), UndefinedTable(), KeyError("version number")]
)
def test_a_mistake_of_ours_is_no_matter_of_the_warehouse(error: Exception) -> None:
    """It reaches the top as what it is."""
    assert engine_error(error) is None


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("duckdb", "mysql://u:planted-secret@host/db"),
        ("duckdb", "postgresql://u:planted-secret@host/db"),
        ("postgres", "duckdb:////data/w.duckdb"),
        ("postgres", "planted-secret"),
    ],
)
def test_an_address_of_another_engine_is_named(
    name: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its setting, and without its value."""
    monkeypatch.setenv("DESTINATION__NAME", name)
    monkeypatch.setenv(f"DESTINATION__{name.upper()}__CREDENTIALS", address)

    *_, problem = destination_problems()  # before it: where the engine is not installed

    assert problem.startswith(f"DESTINATION__{name.upper()}__CREDENTIALS")
    assert "planted-secret" not in problem


def test_another_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One on which no whole runs are tested."""
    monkeypatch.setenv("DESTINATION__NAME", "snowflake")

    [problem] = destination_problems()

    assert "not on snowflake" in problem
