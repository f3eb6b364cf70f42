"""Fixtures for users' own tests: `pytest_plugins = ["playback"]` in a conftest.py."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from analysis.run_report import Report
from cassettes import replay
from cassettes.recorder import playing
from cli.render.progress import bars
from config.loader import load
from connectors.retry import without_waiting
from sync import planned


@pytest.fixture
def replayed() -> Callable[[str | Path], Report]:
    """Plan from a cassette with mappings and definition as they are, and give the report."""

    def plan(cassette: str | Path) -> Report:
        with bars(Console(quiet=True)) as quiet:
            return replay.replay(partial(planned, bars=quiet), load(), Path(cassette))

    return plan


@pytest.fixture
def played() -> Callable[[str | Path], AbstractContextManager[datetime]]:
    """Answer the calls of a block from a cassette, such as one of `run --record-on-error`."""

    @contextmanager
    def play(cassette: str | Path) -> Iterator[datetime]:
        with without_waiting(), playing(Path(cassette)) as at:
            yield at

    return play
