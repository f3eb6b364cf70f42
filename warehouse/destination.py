"""Which warehouse the settings name, and what an error of its engine means for the admin."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from connectors import causes
from errors import ConfigError, SyncError, WarehouseBusyError
from warehouse.dialects import SUPPORTED, require_supported

if TYPE_CHECKING:
    from dlt.common.destination import Destination

DEFAULT_FILE = Path(__file__).parents[1] / "warehouse.duckdb"

BUSY = (
    "the DuckDB file of the warehouse is open in another process: a run, or a tool. Close the tool "
    "(it can open the read copy beside the file instead); or wait for the run, with "
    "--wait-for-lock; or set LOCK__FILE_WAIT_MINUTES to a larger number"
)
NOT_PUBLISHED = (
    "a run has the DuckDB file of the warehouse open, and there is no read copy beside it: the "
    "first run makes it when it ends. Try again then"
)
TABLE_IN_USE = (
    "another connection to PostgreSQL uses a table of the warehouse for longer than "
    "LOCK__FILE_WAIT_MINUTES. End that query or transaction, and run again"
)
_SET_FILE = "DESTINATION__DUCKDB__CREDENTIALS (duckdb:////path/to/warehouse.duckdb)"
UNWRITABLE = (
    "the warehouse file cannot be opened: its folder is missing or is not writable. Set "
    f"{_SET_FILE} to another file"
)
UNREACHABLE = (
    "the warehouse cannot be reached: check that the PostgreSQL server is up, and that "
    "DESTINATION__POSTGRES__CREDENTIALS (postgresql://USER:PASSWORD@HOST:5432/DATABASE) is right"
)
FOREIGN = (
    "the file of the warehouse is not a DuckDB database: another program wrote it, or it is empty. "
    f"It was not changed. Set {_SET_FILE} to another file, or move this one away"
)
DAMAGED = (
    "the warehouse is damaged: a part of it is missing or was changed outside the database, such "
    "as by an interrupted copy or a failing disk. Restore the last backup; or move it away and "
    "start with an empty one: then the journal is lost, so read `plan` before the first `run`"
)
FULL = (
    "the disk of the warehouse is full: free some space and run again; what was stored before stays"
)
READ_ONLY = (
    "the warehouse cannot be written: the disk, the file or the database user is read-only. Give "
    "the user of this command the right to write"
)
OTHER_VERSION = (
    "the warehouse file has the format of another version of DuckDB: install the version that "
    "wrote it (requirements.lock), or restore a backup"
)
DISK = (
    "the warehouse file cannot be read or written: DuckDB reports an error of the disk. Check the "
    f"disk, or set {_SET_FILE} to a file on another one"
)
MEMORY = "the machine has too little memory for the warehouse: free some, or use a larger machine"

_DUCKDB_PROBLEMS: Mapping[str, str] = {
    "set lock on file": BUSY,
    "not a valid DuckDB": FOREIGN,
    "Corrupt database file": DAMAGED,
    "Could not read enough bytes": DAMAGED,
    "does not match stored checksum": DAMAGED,
    "version number": OTHER_VERSION,
    "No such file or directory": UNWRITABLE,
    "No space left": FULL,
    "Disk quota exceeded": FULL,
    "File too large": FULL,
    "Read-only file system": READ_ONLY,
    "Permission denied": READ_ONLY,
    "read-only mode": READ_ONLY,
    "Out of Memory": MEMORY,
}
"""A part of DuckDB's text -> what it means: DuckDB has one class for nearly all of them."""

_POSTGRES_PROBLEMS: Mapping[str, str] = {
    "25006": READ_ONLY,  # read_only_sql_transaction
    "42501": READ_ONLY,  # insufficient_privilege
    "53100": FULL,  # disk_full
    "53200": MEMORY,  # out_of_memory
    "55P03": TABLE_IN_USE,  # lock_not_available
    "XX001": DAMAGED,  # data_corrupted
    "XX002": DAMAGED,  # index_corrupted
}
"""SQLSTATE -> what it means (PostgreSQL, appendix A). It does not depend on the language."""

_DUCKDB_FIRST_BYTES = slice(8, 12)
"""Where a DuckDB file says what it is, behind a checksum: `DUCK`."""

_DUCKDB_CREDENTIALS = "DESTINATION__DUCKDB__CREDENTIALS"


def configured_destination() -> "str | Destination[Any, Any]":
    """Return the dlt destination that the settings name; default: a DuckDB file in the checkout.

    Raises: ConfigError: this project does not support the engine, or its libraries are missing.
    """
    import dlt

    name = require_supported(str(dlt.config.get("destination.name") or "duckdb"))
    if name != "duckdb" or dlt.secrets.get("destination.duckdb.credentials"):
        return name
    return dlt.destinations.duckdb(f"duckdb:///{DEFAULT_FILE}")


def duckdb_file() -> Path | None:
    """Return the path of the configured DuckDB file; None where the warehouse is on PostgreSQL."""
    if file := _duckdb_file_without_dlt():
        return file
    from dlt.common.destination import Destination
    from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration

    destination: Any = Destination.from_reference(configured_destination())
    if destination.destination_name != "duckdb":
        return None
    # the configuration alone: a client of dlt would open the file, and so create it
    configuration = destination.configuration(
        DuckDbClientConfiguration()._bind_dataset_name("main")
    )
    return Path(configuration.credentials.database)


def read_copy(file: Path) -> Path:
    """Return where the read copy of a DuckDB file is: `warehouse_read.duckdb` beside it."""
    return file.with_name(f"{file.stem}_read{file.suffix}")


def file_to_read(file: Path) -> Path:
    """Return the file that commands open which only look: the read copy where there is one."""
    copy = read_copy(file)
    # without the warehouse the copy is of a warehouse that was deleted
    return copy if file.exists() and copy.exists() else file


def _duckdb_file_without_dlt() -> Path | None:
    """Return the DuckDB file by dlt's own rules for two settings; None: dlt must be asked.

    dlt takes half a second to import, which is most of what `status` would take. It looks in the
    environment, then in the files of the project, then in those of the user; for credentials not
    in `config.toml`.
    """
    project = Path(os.environ.get("DLT_PROJECT_DIR", ".")) / ".dlt"
    try:
        secrets, config = (
            [
                tomllib.loads(file.read_text("utf-8")).get("destination", {})
                for folder in (project, Path.home() / ".dlt")
                if (file := folder / name).exists()
            ]
            for name in ("secrets.toml", "config.toml")
        )
    except (OSError, ValueError):
        return None  # dlt says what is wrong with the file
    names = [os.environ.get("DESTINATION__NAME"), *(one.get("name") for one in secrets + config)]
    credentials = [
        os.environ.get(_DUCKDB_CREDENTIALS),
        *(one.get("duckdb", {}).get("credentials") for one in secrets),
    ]
    address = next(filter(None, credentials), f"duckdb:///{DEFAULT_FILE}")
    if next(filter(None, names), "duckdb") != "duckdb" or not isinstance(address, str):
        return None
    scheme, _, path = address.partition(":///")
    return Path(path) if scheme == "duckdb" and path and "?" not in path else None


@contextmanager
def duckdb_option(name: str, value: str) -> Iterator[None]:
    """Set one of dlt's options for DuckDB for a while, unless the user has set it."""
    import dlt

    variable = f"{_DUCKDB_CREDENTIALS}__{name}"
    if dlt.config.get(variable.replace("__", ".").lower()) is not None:
        yield
        return
    os.environ[variable] = value
    try:
        yield
    finally:
        del os.environ[variable]


def root_error(failure: Exception) -> BaseException:
    """Return the error behind a failed dlt step; dlt wraps it in errors of its own."""
    for error in causes(failure):
        if isinstance(error, SyncError | KeyboardInterrupt):
            return error
        if known := engine_error(error):
            return known
    return failure


def engine_error(error: BaseException) -> SyncError | None:
    """Return what an error of the engine means to an admin; None: it is none of the warehouse.

    Its own text is not repeated: it may quote a value or a password.
    """
    problem = next(filter(None, map(_engine_problem, causes(error))), None)
    kinds: Mapping[str | None, type[SyncError]] = {
        BUSY: WarehouseBusyError,
        TABLE_IN_USE: WarehouseBusyError,
        FOREIGN: ConfigError,
    }
    return kinds.get(problem, SyncError)(problem) if problem else None


def _engine_problem(error: BaseException) -> str:
    if isinstance(error, duckdb.Error):
        text, other = str(error), DISK if isinstance(error, duckdb.IOException) else ""
        return next((_DUCKDB_PROBLEMS[part] for part in _DUCKDB_PROBLEMS if part in text), other)
    # psycopg's classes, by name: psycopg is not installed where DuckDB alone is used
    if not type(error).__module__.startswith("psycopg"):
        return ""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
    is_connection = any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)
    return _POSTGRES_PROBLEMS.get(state, UNREACHABLE if is_connection else "")


_OPEN_FILES: list[Path] = []
"""The files that DuckDB has open in this process."""


@contextmanager
def open_in_duckdb(file: Path | None) -> Iterator[None]:
    """Mark a file as open in DuckDB during a block.

    Closing another handle of the file meanwhile ends the lock of DuckDB: POSIX locks belong
    to the process, not to the handle.
    """
    if file is None:
        yield
        return
    _OPEN_FILES.append(file)
    try:
        yield
    finally:
        _OPEN_FILES.remove(file)


def require_duckdb(file: Path) -> None:
    """Make sure that a file, where it exists, is a DuckDB database.

    DuckDB would download an extension to open the file of another database.

    Raises: ConfigError where it is something else.
    """
    if file in _OPEN_FILES:
        return
    try:
        with file.open("rb") as opened:
            if opened.read(12)[_DUCKDB_FIRST_BYTES] != b"DUCK":
                raise ConfigError(FOREIGN)
    except OSError:
        return  # DuckDB creates it, or says why it cannot


def destination_problems() -> list[str]:
    """List what is wrong with the settings of the warehouse, without opening it."""
    if _duckdb_file_without_dlt():
        return []
    import dlt

    name = str(dlt.config.get("destination.name") or "duckdb")
    problems: list[str] = []
    try:
        require_supported(name)
    except ConfigError as error:
        problems.append(str(error))
    return problems + (_address_problems(name) if name in SUPPORTED else [])


def _address_problems(name: str) -> list[str]:
    import dlt

    from settings import setting_name

    schemes = {"duckdb": ("duckdb",), "postgres": ("postgresql", "postgres")}[name]
    address: object = dlt.secrets.get(f"destination.{name}.credentials")
    # a file may hold the parts of an address as a table: dlt checks those
    is_path = name == "duckdb" and "://" not in str(address)
    if not isinstance(address, str) or is_path or address.partition("://")[0] in schemes:
        return []
    examples = {
        "duckdb": "duckdb:////path/to/warehouse.duckdb",
        "postgres": "postgresql://USER:PASSWORD@HOST:5432/DATABASE",
    }
    return [
        f"{setting_name(('destination', name), 'credentials')} must begin with {schemes[0]}://, "
        f"such as {examples[name]}: the warehouse is on {name} (DESTINATION__NAME)"
    ]
