"""Worlds that were made once are kept on disk: by size, seed, day, and the code that made them.

Those of past weeks are thrown away when a new one is kept.
"""

import gc
import hashlib
import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

FOLDER: Final = "ONEFUNNEL_WORLDS"
"""The setting that says where worlds are kept; empty: nowhere."""

MIN_PEOPLE: Final = 1000
"""How many people a world has at least that is read faster than made."""

_MAX_AGE_SECONDS: Final = 7 * 86_400

_SOURCE: Final = Path(__file__).parent


def cache_folder() -> Path | None:
    """Say where worlds are kept."""
    told = os.environ.get(FOLDER, str(Path.home() / ".cache" / "onefunnel" / "worlds"))
    return Path(told) if told else None


def load_or_make(name: str, make: Callable[[], Any], *, people: int) -> Any:
    """Read what was made under this name before, or make it and keep it.

    Two processes may do so at once: a file is written beside its place and moved there whole.
    """
    place = cache_folder()
    if place is None or people < MIN_PEOPLE:
        return make()
    path = place / f"{name}-{people}-{_source_hash()}.pickle"
    with _garbage_collection_paused():
        with suppress(OSError, pickle.UnpicklingError, EOFError), path.open("rb") as file:
            return pickle.load(file)  # noqa: S301  # our own file, in the user's own folder
        made = make()
        with suppress(OSError):
            _save(path, made)
        return made


def _save(path: Path, made: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        pickle.dump(made, file, protocol=pickle.HIGHEST_PROTOCOL)
    Path(file.name).replace(path)
    for old in path.parent.glob("*.pickle"):
        if old.stat().st_mtime < time.time() - _MAX_AGE_SECONDS:
            old.unlink(missing_ok=True)


@cache
def _source_hash() -> str:
    """Give a mark of everything that makes a world: another code makes another world."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(_SOURCE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Make millions of objects without looking through them again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
