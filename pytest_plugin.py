"""Fixtures for users' own tests: `pytest_plugins = ["pytest_plugin"]` in the root conftest.py.

docs/ci.md shows a repository that uses them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from analysis.run_report import Report
from cassettes import replay
from cassettes.recorder import replaying
from cli.render.progress import progress_bars
from config.loader import load_configuration
from connectors.retry import no_sleep
from sync import dry_run_as_of


@pytest.fixture
def replay_cassette() -> Callable[[str | Path], Report]:
    """Plan from a cassette with mappings and definition as they are, and give the report."""

    def plan(cassette: str | Path) -> Report:
        with progress_bars(Console(quiet=True)) as quiet:
            return replay.replay(
                partial(dry_run_as_of, bars=quiet), load_configuration(), Path(cassette)
            )

    return plan


@pytest.fixture
def use_cassette() -> Callable[[str | Path], AbstractContextManager[datetime]]:
    """Answer the calls of a block from a cassette, such as one of `run --record-failures`."""

    @contextmanager
    def play(cassette: str | Path) -> Iterator[datetime]:
        with no_sleep(), replaying(Path(cassette)) as at:
            yield at

    return play
