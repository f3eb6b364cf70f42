"""A sync recorded, and a sync played back: `sync.py record`, `replay`, `run --record-on-error`."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analysis.run_report import Report
from cassettes.anonymize import HUBSPOT, SALESFORCE
from cassettes.leak_check import check
from cassettes.recorder import Recording, playing, recording
from config.loader import Configuration
from connectors.retry import without_waiting
from errors import ConfigError

FOLDER = Path("cassettes")

Sync = Callable[[Configuration, datetime], Report]
"""One dry run, which decides as of a moment."""


def record(sync: Sync, configuration: Configuration, path: Path) -> tuple[Report, int]:
    """Pull both CRMs, plan, write nothing to them, and keep what they answered without people.

    Raises: as a run does; nothing is kept then.
    """
    at = datetime.now(UTC)
    with recording() as taken:
        told = sync(configuration, at)
    return told, _save(taken, path, configuration, at)


def replay(sync: Sync, configuration: Configuration, path: Path) -> Report:
    """Plan as of the moment a cassette was recorded, from nothing but the cassette.

    The warehouse of the settings is not touched; no call leaves the process.

    Raises: ConfigError where the cassette does not hold what the mappings ask for.
    """
    with (
        TemporaryDirectory() as folder,
        _settings(**_replayed(folder)),
        without_waiting(),
        playing(path) as at,
    ):
        return sync(configuration, at)


@contextmanager
def refusals_saved(
    configuration: Configuration, said: Callable[[str], None], folder: Path = FOLDER
) -> Iterator[None]:
    """Keep the calls that CRMs refused, and the last ones before an error, as a cassette."""
    at = datetime.now(UTC)
    taken: Recording | None = None
    try:
        with recording(refusals_only=True) as taken:
            yield
    finally:
        if taken and taken.calls:
            path = folder / f"refused-{at:%Y%m%dT%H%M%SZ}.json"
            count = _save(taken, path, configuration, at)
            said(f"{count} calls are kept in {path}, without secrets and people")


def _save(taken: Recording, path: Path, configuration: Configuration, at: datetime) -> int:
    """Write a recording, unless something is left in it that should not be."""
    count = taken.save(path, kept=words(configuration), at=at)
    if found := check(path):
        path.unlink()
        raise ConfigError(f"not kept, it would hold {', '.join(sorted(set(found)))}")
    return count


def words(configuration: Configuration) -> Iterator[str]:
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


def _replayed(folder: str) -> dict[str, str]:
    return {
        "SOURCES__HUBSPOT__BASE_URL": HUBSPOT,
        "SOURCES__HUBSPOT__ACCESS_TOKEN": "replayed",
        "SOURCES__SALESFORCE__INSTANCE_URL": SALESFORCE,
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
