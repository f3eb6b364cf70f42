"""The read copy: the DuckDB file as it was after the last run, for everybody who only looks.

DuckDB lets one process write to a file, or several read it. Commands that only look, BI tools and
backups open the copy, so that they never keep a run from the warehouse, nor a run them.
"""

import logging
import os
import shutil
from pathlib import Path

from warehouse.destination import duckdb_file, read_copy
from warehouse.warehouse import Warehouse

LOG = logging.getLogger("onefunnel.warehouse")

SPARE_BYTES = 64 * 2**20
"""The space that stays free on the disk."""


def publish(warehouse: Warehouse) -> None:
    """Replace the read copy with the present state; nothing to do on PostgreSQL.

    The copy appears at once and whole, and only its owner can read it. Where it cannot be made, the
    one before is removed: an older state may hold a person who was erased since. Commands that
    look then open the warehouse itself.
    """
    file = duckdb_file()
    if file is None or file == Path(":memory:"):
        return
    warehouse.engine.raw_sql("CHECKPOINT")
    copy = read_copy(file)
    source = file.stat()
    if copy.exists() and _version(copy.stat()) == _version(source):
        return
    part = copy.with_name(f"{copy.name}.part")
    try:
        if shutil.disk_usage(file.parent).free < source.st_size + SPARE_BYTES:
            raise OSError("the disk is too full for a second file of that size")
        _copy(file, part, copy)
    except OSError as error:
        copy.unlink(missing_ok=True)
        LOG.warning(
            "warehouse.no_read_copy file=%s reason=%s: commands that look open the warehouse",
            copy.name,
            error.strerror or error,
        )
    finally:
        part.unlink(missing_ok=True)


def replace_copy(source: Path, file: Path) -> None:
    """Replace the read copy of a DuckDB file with a copy of another file.

    Raises: OSError: the one before is removed.
    """
    copy = read_copy(file)
    part = copy.with_name(f"{copy.name}.part")
    try:
        _copy(source, part, copy)
    except OSError:
        copy.unlink(missing_ok=True)
        raise
    finally:
        part.unlink(missing_ok=True)


def _copy(file: Path, part: Path, copy: Path) -> None:
    # Closing any handle of the file ends DuckDB's lock on it: POSIX locks belong to the process.
    # So this handle stays open until the copy is in place.
    with file.open("rb") as source:
        part.unlink(missing_ok=True)
        owner_only = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(owner_only, "wb") as target:  # noqa: PTH123 - Path.open takes no descriptor
            shutil.copyfileobj(source, target, 2**20)
            target.flush()
            os.fsync(target.fileno())
        times = file.stat()
        os.utime(part, ns=(times.st_atime_ns, times.st_mtime_ns))
        part.replace(copy)


def _version(file: os.stat_result) -> tuple[int, int]:
    return file.st_size, file.st_mtime_ns
