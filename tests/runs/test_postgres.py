"""A warehouse on PostgreSQL: whole runs, with the answers of DuckDB."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.output import out
from cli.render.progress import progress_bars
from config.loader import load_configuration
from engines import postgres_server
from errors import ConfigError, SyncError
from run_helpers import configured_sandbox, count_write_calls, run_sync, table_rows
from sandbox.server import Sandbox
from sync import run
from warehouse.warehouse import open_warehouse

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TOLD = ("records", "people", "field_since", "events", "lifecycle", "stage_history", "changes")
OF_A_RUN = ("run_id", "change_id")


def decided() -> dict[str, list[str]]:
    """What a plan of that noon leaves in the warehouse."""
    with progress_bars(out) as shown:
        run(load_configuration(), write=False, as_of=NOON, bars=shown)
    return {name: sorted(map(without_run, table_rows(name))) for name in TOLD}


def without_run(row: dict[str, Any]) -> str:
    return repr(sorted((name, value) for name, value in row.items() if name not in OF_A_RUN))


def called(*words: str) -> int:
    return CliRunner().invoke(app, list(words), catch_exceptions=False).exit_code


@pytest.fixture(scope="module")
def on_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Any]]:
    """A world, and what DuckDB makes of it."""
    with configured_sandbox(tmp_path_factory.mktemp("duckdb"), people=40) as sandbox:
        yield sandbox, decided()


@pytest.fixture(scope="module")
def on_postgres(on_duckdb: tuple[Sandbox, Any]) -> Iterator[tuple[Sandbox, Any, Any]]:
    """The same world, and what both engines make of it; the settings lead to PostgreSQL by now."""
    sandbox, theirs = on_duckdb
    with postgres_server() as address, pytest.MonkeyPatch.context() as settings:
        settings.setenv("DESTINATION__NAME", "postgres")
        settings.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)
        yield sandbox, theirs, decided()


@pytest.mark.postgres
@pytest.mark.parametrize("name", TOLD)
def test_both_engines_decide_the_same(on_postgres: tuple[Sandbox, Any, Any], name: str) -> None:
    """Row by row, from the records to the changes."""
    _, on_duckdb, ours = on_postgres

    assert ours[name] == on_duckdb[name]
    assert ours[name]


@pytest.mark.postgres
def test_a_second_run_writes_nothing(on_postgres: tuple[Sandbox, Any, Any]) -> None:
    """The promise holds there as well."""
    sandbox, *_ = on_postgres
    before = count_write_calls(sandbox)
    first = run_sync()
    between = count_write_calls(sandbox)
    second = run_sync()

    assert {row["status"] for row in first.records} == {"written", "excluded"}
    assert between > before
    assert {row["status"] for row in second.records} == {"unchanged", "excluded"}
    assert count_write_calls(sandbox) == between
    assert called("undo", first.run.run_id) == 0
    assert count_write_calls(sandbox) > between


@pytest.mark.postgres
@pytest.mark.parametrize(
    "words",
    [
        "status",
        "explain {who}",
        "explain {who} --as-of 2026-03-01",
        "history {who}",
        "recompute --as-of 2026-03-01",
        "backtest",
        "diff {definition}",
        "retry",
        "plan --estimate",
    ],
)
def test_every_command_answers(on_postgres: tuple[Sandbox, Any, Any], words: str) -> None:
    """Those that look, and those that decide."""
    who = next(row["email"] for row in table_rows("records") if row["email"])
    definition = Path(__file__).parents[2] / "mappings" / "lifecycle.yaml"

    assert called(*words.format(who=who, definition=definition).split()) == 0


@pytest.mark.postgres
def test_an_unreachable_server_is_reported_without_its_password(monkeypatch) -> None:
    """What to look at is said instead."""
    pytest.importorskip("psycopg2", reason="the extra `postgres` is not installed")
    monkeypatch.setenv("DESTINATION__NAME", "postgres")
    away = "postgresql://onefunnel:hush@127.0.0.1:1/postgres"
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", away)

    with pytest.raises(SyncError, match="cannot be reached") as told, open_warehouse():
        pass

    assert "hush" not in str(told.value)


def test_an_untested_engine_is_refused(monkeypatch) -> None:
    """Before anything is pulled, and with those there are."""
    monkeypatch.setenv("DESTINATION__NAME", "bigquery")

    with pytest.raises(ConfigError, match="duckdb or postgres, not on bigquery"), open_warehouse():
        pass
