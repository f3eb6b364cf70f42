"""Commands that only look change no byte of the warehouse."""

import hashlib
from pathlib import Path

import pytest

from config.loader import CONFIG_FOLDER
from run_helpers import configured_sandbox, run_cli, run_sync, table_rows
from warehouse.warehouse import open_warehouse

LOOKING = (
    ("explain", "PERSON"),
    ("explain", "PERSON", "--as-of", "2020-01-01"),
    ("status", "--json"),
    ("history", "PERSON"),
    ("check",),
    ("doctor", "--json"),
    ("fields",),
    ("fields", "--create", "hubspot"),
    ("diff", str(CONFIG_FOLDER / "lifecycle.yaml")),
    ("backtest", "--months", "1"),
    ("recompute",),
    ("recompute", "--as-of", "2020-01-01"),
    ("plan", "--estimate"),
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder of a warehouse after one run, and the id of a person in it."""
    folder = tmp_path_factory.mktemp("read_only")
    with configured_sandbox(folder, people=20):
        run_sync(write=False)
        yield folder, table_rows("people")[0]["person_id"]


def contents(folder: Path) -> dict[str, str]:
    """The files beside the warehouse, itself included, with a hash of each."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
@pytest.mark.long
def test_a_looking_command_changes_no_byte(prepared, command):
    """Neither the file nor a .wal beside it."""
    folder, person = prepared
    before = contents(folder)

    result = run_cli(*(person if word == "PERSON" else word for word in command))

    # exit code 2: the person was not known at that time
    assert result.exit_code in ((0, 2) if "--as-of" in command else (0,)), result.stderr
    assert contents(folder) == before


def test_looking_at_a_missing_file_creates_none(tmp_path, monkeypatch):
    """The command says that nothing was extracted yet."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/none.duckdb")

    result = run_cli("explain", "anna@example.com")

    assert result.exit_code != 0
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_warehouse_reads_missing_tables_as_empty(tmp_path, monkeypatch):
    """No command has to ask whether a run has created its table."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/none.duckdb")

    assert run_cli("status").exit_code == 0


@pytest.mark.long
def test_a_read_only_warehouse_stores_no_table(prepared):
    """A program that tries has a bug: it says which table."""
    with open_warehouse(read_only=True) as warehouse:
        runs = warehouse.table("runs")

        with pytest.raises(RuntimeError, match="people cannot be written"):
            warehouse.replace_table("people", runs)


@pytest.mark.long
def test_intermediate_results_of_a_read_only_warehouse_replace_each_other(prepared):
    """As they do where the warehouse is open for writing."""
    with open_warehouse(read_only=True) as warehouse:
        first = warehouse.materialize("some", warehouse.table("runs").select("run_id"))
        second = warehouse.materialize("some", warehouse.table("runs").select("status"))

        assert (first.columns, second.columns) == (("run_id",), ("status",))
        assert second.status.to_pyarrow().to_pylist() == ["planned"]
