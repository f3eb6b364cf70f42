"""Fixtures for users' own tests: `pytest_plugins = ["playback"]` in a conftest.py."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from configuration import load
from connectors.resilience import without_waiting
from recordings import sessions
from recordings.tape import playing
from report import Report
from sync import planned


@pytest.fixture
def replayed() -> Callable[[str | Path], Report]:
    """Plan from a cassette with mappings and definition as they are, and give the report."""

    def plan(cassette: str | Path) -> Report:
        return sessions.replay(planned, load(), Path(cassette))

    return plan


@pytest.fixture
def played() -> Callable[[str | Path], AbstractContextManager[datetime]]:
    """Answer the calls of a block from a cassette, such as one of `run --record-on-error`."""

    @contextmanager
    def play(cassette: str | Path) -> Iterator[datetime]:
        with without_waiting(), playing(Path(cassette)) as at:
            yield at

    return play
