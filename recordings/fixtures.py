"""Fixtures for users' own tests: `pytest_plugins = ["recordings.fixtures"]` in a conftest.py."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from configuration import Configuration, load
from connectors.resilience import without_waiting
from recordings import sessions
from recordings.tape import playing
from report import Report
from screens.progress import bars


@pytest.fixture
def replayed() -> Callable[[str | Path], Report]:
    """Plan from a cassette with mappings and definition as they are, and give the report."""

    def plan(cassette: str | Path) -> Report:
        return sessions.replay(_planned, load(), Path(cassette))

    return plan


@pytest.fixture
def played() -> Callable[[str | Path], AbstractContextManager[datetime]]:
    """Answer the calls of a block from a cassette, such as one of `run --record-on-error`."""

    @contextmanager
    def play(cassette: str | Path) -> Iterator[datetime]:
        with without_waiting(), playing(Path(cassette)) as at:
            yield at

    return play


def _planned(configuration: Configuration, at: datetime) -> Report:
    from sync import run

    with bars(Console(quiet=True)) as shown:
        return run(configuration, write=False, as_of=at, bars=shown)
