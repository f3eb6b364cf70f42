"""What the tests of whole runs share: a world, a warehouse for it, and a way to run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from analysis.run_report import Report
from cli.render.progress import bars
from config.loader import FOLDER, load
from connectors.retry import without_waiting
from sandbox.server import Sandbox, running
from sync import run
from warehouse.warehouse import opened


@contextmanager
def world(folder: Path, *, people: int = 120, seed: int = 5) -> Iterator[Sandbox]:
    """Serve both CRMs, in which nobody waits, and point all settings at them."""
    with (
        pytest.MonkeyPatch.context() as settings,
        running(people=people, seed=seed, rate_limits=False) as sandbox,
        without_waiting(),
    ):
        for name, value in environment(sandbox, folder).items():
            settings.setenv(name, value)
        yield sandbox


def environment(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """The settings that lead to a sandbox and to a warehouse in a folder."""
    return {
        "SOURCES__HUBSPOT__ACCESS_TOKEN": sandbox.hubspot_token,
        "SOURCES__HUBSPOT__BASE_URL": sandbox.url,
        "SOURCES__SALESFORCE__INSTANCE_URL": sandbox.url,
        "SOURCES__SALESFORCE__CLIENT_ID": sandbox.client_id,
        "SOURCES__SALESFORCE__CLIENT_SECRET": sandbox.client_secret,
        "DESTINATION__DUCKDB__CREDENTIALS": f"duckdb:///{folder / 'onefunnel.duckdb'}",
    }


def run_once(*, write: bool = True, full: bool = False, mappings: Path = FOLDER) -> Report:
    """Run as the command line does."""
    with bars(Console(quiet=True)) as shown:
        return run(load(mappings), write=write, full=full, bars=shown)


def rows(name: str) -> list[dict[str, Any]]:
    """All rows of one of our tables."""
    with opened() as warehouse:
        return list(warehouse.table(name).to_pyarrow().to_pylist())


def writes(sandbox: Sandbox) -> int:
    """How many writing calls both CRMs have seen so far."""
    paths = ("batch/update", "PATCH /services", "jobs/ingest")
    seen = sandbox.faults.calls()
    return sum(
        count
        for calls in seen.values()
        for call, count in calls.items()
        if any(path in call for path in paths)
    )
