"""Record and replay whole runs: `sync.py record`, `sync.py replay`, `run --record-failures`."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analysis.run_report import Report
from cassettes.allowlist import allowlist
from cassettes.recorder import Recording, recording, replaying
from config.loader import Configuration
from connectors.retry import no_sleep
from errors import SyncError

CASSETTE_FOLDER = Path("cassettes")

DryRun = Callable[[Configuration, datetime], Report]
"""A dry run with a configuration, as of a time."""


def record(dry_run: DryRun, configuration: Configuration, path: Path) -> tuple[Report, int]:
    """Make a dry run and save the traffic of both CRMs as an anonymised cassette.

    Returns the report of the run and the number of calls.

    Raises: the errors of a run; no cassette is written then.
    """
    at = datetime.now(UTC)
    with recording() as recorded:
        report = dry_run(configuration, at)
    return report, _save(recorded, path, configuration, at)


def replay(dry_run: DryRun, configuration: Configuration, path: Path) -> Report:
    """Make a dry run from a cassette, as of the time of its recording.

    It uses a temporary warehouse, and no request leaves the process.

    Raises: ConfigError if the mappings read a field that the cassette does not have.
    """
    with (
        TemporaryDirectory() as folder,
        _settings(**_replay_settings(folder)),
        no_sleep(),
        replaying(path) as at,
    ):
        return dry_run(configuration, at)


@contextmanager
def record_failures(
    configuration: Configuration, log_note: Callable[[str], None], folder: Path = CASSETTE_FOLDER
) -> Iterator[None]:
    """Save failed calls, and the last calls before an error, as an anonymised cassette."""
    at = datetime.now(UTC)
    recorded: Recording | None = None
    try:
        with recording(failures_only=True) as recorded:
            yield
    finally:
        if recorded and recorded.calls:
            path = folder / f"refused-{at:%Y%m%dT%H%M%SZ}.json"
            try:
                count = _save(recorded, path, configuration, at)
            except (SyncError, OSError, ValueError) as error:
                # the run itself, or its error, counts: a cassette that fails must not hide it
                reason = str(error) if isinstance(error, SyncError) else type(error).__name__
                log_note(f"the failed calls were not saved: {reason}")
            else:
                log_note(f"{count} calls saved to {path}, without secrets and personal data")


def _save(recorded: Recording, path: Path, configuration: Configuration, at: datetime) -> int:
    words = configuration_words(configuration)
    return recorded.save(path, allowed_words=words, at=at)


def configuration_words(configuration: Configuration) -> Iterator[str]:
    """Give the texts of the definition and the mappings: they hold no personal data."""
    yield from _texts(configuration.definition.model_dump())
    for mapping in configuration.mappings.values():
        yield from _texts(mapping.model_dump())


def _texts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                yield str(name)
                yield from _texts(inner)
        case list() | tuple() | set() | frozenset():
            for inner in value:
                yield from _texts(inner)
        case str():
            yield value


def _replay_settings(folder: str) -> dict[str, str]:
    settings = {"DESTINATION__DUCKDB__CREDENTIALS": f"duckdb:///{folder}/replayed.duckdb"}
    for rules in allowlist().rules:
        settings |= rules.replay_settings
    return settings


@contextmanager
def _settings(**values: str) -> Iterator[None]:
    """Set environment variables of this process during the block."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
