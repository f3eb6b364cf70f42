"""The cache of generated data, on disk: by size, seed, day, and the code that generates it.

Writing a new file deletes the files that are older than a week.
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
"""The environment variable that names the cache folder; empty switches the cache off."""

MIN_PEOPLE: Final = 1000
"""From this number of people on, reading the cache is faster than generating the data."""

_MAX_AGE_SECONDS: Final = 7 * 86_400

_SOURCE: Final = Path(__file__).parent


def cache_folder() -> Path | None:
    """Return the folder of the cache, or None if the cache is switched off."""
    folder = os.environ.get(FOLDER, str(Path.home() / ".cache" / "onefunnel" / "worlds"))
    return Path(folder) if folder else None


def load_or_make(name: str, make: Callable[[], Any], *, people: int) -> Any:
    """Read the data of this name from the cache; generate and save it if there is none.

    Two processes may do so at once: a file is written under another name and then renamed.
    """
    folder = cache_folder()
    if folder is None or people < MIN_PEOPLE:
        return make()
    path = folder / f"{name}-{people}-{source_hash(_SOURCE)}.pickle"
    with _garbage_collection_paused():
        with suppress(OSError, pickle.UnpicklingError, EOFError), path.open("rb") as file:
            return pickle.load(file)  # noqa: S301  # written by this module, in the user's folder
        data = make()
        with suppress(OSError):
            _save(path, data)
        return data


def _save(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        pickle.dump(data, file, protocol=pickle.HIGHEST_PROTOCOL)
    Path(file.name).replace(path)
    for old in path.parent.glob("*.pickle"):
        if old.stat().st_mtime < time.time() - _MAX_AGE_SECONDS:
            old.unlink(missing_ok=True)


@cache
def source_hash(package: Path) -> str:
    """Hash the code that generates the data, without its tests: other code, other data."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(package.rglob("*.py")):
        if "tests" not in path.relative_to(package).parts:
            digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Create millions of objects without the garbage collector scanning them repeatedly."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
