"""A sync recorded, and a sync played back: `sync.py record`, `replay`, `run --record-failures`."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analysis.run_report import Report
from cassettes.anonymize import HUBSPOT_URL, SALESFORCE_URL
from cassettes.leak_check import check_cassette
from cassettes.recorder import Recording, recording, replaying
from config.loader import Configuration
from connectors.retry import no_sleep
from errors import ConfigError

CASSETTE_FOLDER = Path("cassettes")

DryRun = Callable[[Configuration, datetime], Report]
"""One dry run, which decides as of a moment."""


def record(dry_run: DryRun, configuration: Configuration, path: Path) -> tuple[Report, int]:
    """Pull both CRMs, plan, write nothing to them, and keep what they answered without people.

    Raises: as a run does; nothing is kept then.
    """
    at = datetime.now(UTC)
    with recording() as recorded:
        report = dry_run(configuration, at)
    return report, _save(recorded, path, configuration, at)


def replay(dry_run: DryRun, configuration: Configuration, path: Path) -> Report:
    """Plan as of the moment a cassette was recorded, from nothing but the cassette.

    The warehouse of the settings is not touched; no call leaves the process.

    Raises: ConfigError where the cassette does not hold what the mappings ask for.
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
    """Keep the calls that CRMs refused, and the last ones before an error, as a cassette."""
    at = datetime.now(UTC)
    recorded: Recording | None = None
    try:
        with recording(failures_only=True) as recorded:
            yield
    finally:
        if recorded and recorded.calls:
            path = folder / f"refused-{at:%Y%m%dT%H%M%SZ}.json"
            count = _save(recorded, path, configuration, at)
            log_note(f"{count} calls are kept in {path}, without secrets and people")


def _save(recorded: Recording, path: Path, configuration: Configuration, at: datetime) -> int:
    """Write a recording, unless something is left in it that should not be."""
    count = recorded.save(path, allowed_words=configuration_words(configuration), at=at)
    if leaks := check_cassette(path):
        path.unlink()
        raise ConfigError(f"not kept, it would hold {', '.join(sorted(set(leaks)))}")
    return count


def configuration_words(configuration: Configuration) -> Iterator[str]:
    """Give the texts of the definition and the mappings: they are nobody's secret."""
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
    return {
        "SOURCES__HUBSPOT__BASE_URL": HUBSPOT_URL,
        "SOURCES__HUBSPOT__ACCESS_TOKEN": "replayed",
        "SOURCES__SALESFORCE__INSTANCE_URL": SALESFORCE_URL,
        "SOURCES__SALESFORCE__CLIENT_ID": "replayed",
        "SOURCES__SALESFORCE__CLIENT_SECRET": "replayed",
        "DESTINATION__DUCKDB__CREDENTIALS": f"duckdb:///{folder}/replayed.duckdb",
    }


@contextmanager
def _settings(**values: str) -> Iterator[None]:
    """Set the environment of this process for a while."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
