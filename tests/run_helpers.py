"""What the tests of whole runs share: a world, a warehouse for it, and a way to run."""

import io
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from rich.console import Console

from analysis.run_report import Report
from cli.main import main
from cli.render.progress import progress_bars
from config.loader import CONFIG_FOLDER, load_configuration
from connectors.retry import no_sleep
from sandbox.server import Sandbox, running
from sync import apply_run, run, undo_run
from warehouse.warehouse import open_warehouse


@contextmanager
def configured_sandbox(folder: Path, *, people: int = 120, seed: int = 5) -> Iterator[Sandbox]:
    """Serve both CRMs without waits, and point all settings at them."""
    with (
        pytest.MonkeyPatch.context() as settings,
        running(people=people, seed=seed, rate_limits=False) as sandbox,
        no_sleep(),
    ):
        for name, value in sandbox_environment(sandbox, folder).items():
            settings.setenv(name, value)
        yield sandbox


def sandbox_environment(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """The settings that lead to a sandbox and to a warehouse in a folder."""
    return {
        "SOURCES__HUBSPOT__ACCESS_TOKEN": sandbox.hubspot_token,
        "SOURCES__HUBSPOT__BASE_URL": sandbox.url,
        "SOURCES__SALESFORCE__INSTANCE_URL": sandbox.url,
        "SOURCES__SALESFORCE__CLIENT_ID": sandbox.client_id,
        "SOURCES__SALESFORCE__CLIENT_SECRET": sandbox.client_secret,
        "DESTINATION__DUCKDB__CREDENTIALS": f"duckdb:///{folder / 'warehouse.duckdb'}",
    }


def run_sync(
    *, mappings: Path = CONFIG_FOLDER, write: bool = True, first: bool = True, **options: Any
) -> Report:
    """Run as the command line does with `--first`, which matters in a first run only."""
    with progress_bars(Console(quiet=True)) as progress:
        return run(load_configuration(mappings), write=write, first=first, bars=progress, **options)


def table_rows(name: str) -> list[dict[str, Any]]:
    """All rows of one of our tables."""
    with open_warehouse() as warehouse:
        return list(warehouse.table(name).to_pyarrow().to_pylist())


def count_write_calls(sandbox: Sandbox) -> int:
    """How many writing calls both CRMs have seen so far."""
    paths = ("batch/update", "PATCH /services", "jobs/ingest")
    seen = sandbox.faults.calls()
    return sum(
        count
        for calls in seen.values()
        for call, count in calls.items()
        if any(path in call for path in paths)
    )


@dataclass(frozen=True)
class CommandResult:
    """What a command returned and printed."""

    exit_code: int
    stdout: str
    stderr: str


def run_cli(*arguments: str) -> CommandResult:
    """Run one command of `sync.py` in this process, as `main` does."""
    stdout, stderr = io.StringIO(), io.StringIO()
    # a command sets log levels for its process: the next test needs the levels from before
    loggers = [logging.getLogger(name) for name in (None, "onefunnel", "onefunnel.extract")]
    levels = [logger.level for logger in loggers]
    with redirect_stdout(stdout), redirect_stderr(stderr), pytest.raises(SystemExit) as ended:
        main(list(arguments))
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    return CommandResult(int(ended.value.code or 0), stdout.getvalue(), stderr.getvalue())


def apply_plan(run_id: str) -> Report:
    """Apply a stored plan as the command line does."""
    with progress_bars(Console(quiet=True)) as bars:
        return apply_run(load_configuration(), run_id, bars=bars)


def undo(run_id: str, *, write: bool = True) -> Report:
    """Undo a run as the command line does."""
    with progress_bars(Console(quiet=True)) as bars:
        return undo_run(load_configuration(), run_id, write=write, bars=bars)


def edit_contact(sandbox: Sandbox, record_id: str, **properties: str) -> None:
    """Set properties of a HubSpot contact over HTTP, as a person would."""
    response = requests.patch(
        f"{sandbox.url}/crm/v3/objects/contacts/{record_id}",
        json={"properties": properties},
        headers={"Authorization": f"Bearer {sandbox.hubspot_token}"},
        timeout=10,
    )
    response.raise_for_status()


def live_record_count() -> int:
    """Count the records that are not deleted in their CRM."""
    return sum(not row["deleted"] for row in table_rows("records"))


def outcome_counts(report: Report) -> Counter[tuple[str, str]]:
    """Count the records of a report per status and reason."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in report.records:
        counts[row["status"], row["reason"]] += row["records"]
    return counts
