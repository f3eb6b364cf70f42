"""The cache of generated data."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox import cache
from sandbox.seed.people import People, make_people
from sandbox.server import running

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return each test a cache folder that also stores small data."""
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "worlds"))
    monkeypatch.setattr(cache, "MIN_PEOPLE", 10)
    return tmp_path / "worlds"


def test_cached_data_equals_generated_data(folder: Path) -> None:
    """Record by record, in both CRMs; tokens are not cached."""
    with running(people=15, seed=3, now=NOW) as made:
        pass
    with running(people=15, seed=3, now=NOW) as read:
        pass

    [path] = folder.iterdir()
    assert made.hubspot_token.encode() not in path.read_bytes()
    assert read.salesforce.tables == made.salesforce.tables
    contacts = [
        [(one.id, one.properties, one.history) for one in box.hubspot.tables["contacts"].live()]
        for box in (made, read)
    ]
    assert contacts[0] == contacts[1]
    assert read.hubspot.associations == made.hubspot.associations


def test_changes_to_the_data_are_not_cached() -> None:
    """The next server starts with the generated data."""
    with running(people=15, seed=3, now=NOW) as box:
        next(box.hubspot.tables["contacts"].live()).properties["city"] = "Oslo"
    with running(people=15, seed=3, now=NOW) as box:
        city = next(box.hubspot.tables["contacts"].live()).properties.get("city")

    assert city is None


def test_a_corrupt_file_is_generated_again(folder: Path) -> None:
    """Like a missing one."""
    assert cache.load_or_make("w", lambda: [1], people=10) == [1]
    [path] = folder.iterdir()
    path.write_bytes(b"half of it")

    assert cache.load_or_make("w", lambda: [2], people=10) == [2]
    assert cache.load_or_make("w", lambda: [3], people=10) == [2]


def test_no_temporary_file_is_left_in_the_cache(folder: Path) -> None:
    """The file is renamed when it is complete, so two processes can write it at once."""
    cache.load_or_make("w", lambda: [1], people=10)

    assert [one.suffix for one in folder.iterdir()] == [".pickle"]


def test_files_older_than_a_week_are_deleted(folder: Path) -> None:
    """Each day has a new file, and large ones take gigabytes."""
    cache.load_or_make("old", lambda: [1], people=10)
    [path] = folder.iterdir()
    os.utime(path, (0, 0))
    cache.load_or_make("new", lambda: [2], people=10)

    assert [one.name[:3] for one in folder.iterdir()] == ["new"]


@pytest.mark.parametrize(("folder_name", "people"), [("", 10), ("worlds", 9)])
def test_small_data_is_never_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_name: str, people: int
) -> None:
    """Nor is data without a cache folder."""
    monkeypatch.setenv(cache.FOLDER, folder_name and str(tmp_path / folder_name))
    made = [
        cache.load_or_make("w", lambda number=number: number, people=people) for number in (1, 2)
    ]

    assert made == [1, 2]


def test_people_are_generated_on_access() -> None:
    """They equal the people of the whole data set."""
    assert list(People(5, 3, NOW)) == make_people(5, 3, NOW)
    assert People(5, 3, NOW)[1:3] == make_people(5, 3, NOW)[1:3]


@pytest.mark.parametrize(
    ("path", "is_counted"), [("faults.py", True), ("tests/test_faults.py", False)]
)
def test_the_cache_depends_on_the_code_and_not_on_its_tests(
    tmp_path: Path, path: str, is_counted: bool
) -> None:
    """A changed test does not generate a million people again."""
    (tmp_path / "a" / "tests").mkdir(parents=True)
    (tmp_path / "b" / "tests").mkdir(parents=True)
    (tmp_path / "b" / path).write_text("changed = True")
    before, after = (cache.source_hash(tmp_path / name) for name in "ab")

    assert (before != after) is is_counted
