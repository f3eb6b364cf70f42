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

WORTH_KEEPING: Final = 1000
"""How many people a world has at least that is read faster than made."""

_KEPT_SECONDS: Final = 7 * 86_400

_CODE: Final = Path(__file__).parent


def folder() -> Path | None:
    """Say where worlds are kept."""
    told = os.environ.get(FOLDER, str(Path.home() / ".cache" / "onefunnel" / "worlds"))
    return Path(told) if told else None


def kept(name: str, make: Callable[[], Any], *, people: int) -> Any:
    """Read what was made under this name before, or make it and keep it.

    Two processes may do so at once: a file is written beside its place and moved there whole.
    """
    place = folder()
    if place is None or people < WORTH_KEEPING:
        return make()
    path = place / f"{name}-{people}-{_code()}.pickle"
    with _without_collections():
        with suppress(OSError, pickle.UnpicklingError, EOFError), path.open("rb") as file:
            return pickle.load(file)  # noqa: S301  # our own file, in the user's own folder
        made = make()
        with suppress(OSError):
            _keep(path, made)
        return made


def _keep(path: Path, made: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        pickle.dump(made, file, protocol=pickle.HIGHEST_PROTOCOL)
    Path(file.name).replace(path)
    for old in path.parent.glob("*.pickle"):
        if old.stat().st_mtime < time.time() - _KEPT_SECONDS:
            old.unlink(missing_ok=True)


@cache
def _code() -> str:
    """Give a mark of everything that makes a world: another code makes another world."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(_CODE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _without_collections() -> Iterator[None]:
    """Make millions of objects without looking through them again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
