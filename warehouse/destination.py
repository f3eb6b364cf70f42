"""Which warehouse the settings name, and what an error of its engine means for the admin."""

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from connectors import causes
from errors import SyncError, WarehouseBusyError
from warehouse.dialects import require_supported

if TYPE_CHECKING:
    from dlt.common.destination import Destination

DEFAULT_FILE = Path(__file__).parents[1] / "warehouse.duckdb"

BUSY = (
    "the DuckDB file of the warehouse is locked by another process: a run, or a tool that has the "
    "file open. Close the tool; or wait for the run, with --wait-for-lock; or try again later"
)
UNWRITABLE = (
    "the warehouse file cannot be opened: its folder is missing or is not writable. Set "
    "DESTINATION__DUCKDB__CREDENTIALS (duckdb:////path/to/warehouse.duckdb) to another file"
)
UNREACHABLE = (
    "the warehouse cannot be reached: check that the PostgreSQL server is up, and that "
    "DESTINATION__POSTGRES__CREDENTIALS (postgresql://USER:PASSWORD@HOST:5432/DATABASE) is right"
)

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
        if isinstance(error, duckdb.IOException):
            # DuckDB has no error class of its own for a locked file: only the text differs
            is_locked = "set lock on file" in str(error)
            return WarehouseBusyError(BUSY) if is_locked else SyncError(UNWRITABLE)
        # psycopg's class, by name: psycopg is not installed where DuckDB alone is used
        if type(error).__name__ == "OperationalError":
            return SyncError(UNREACHABLE)
    return failure
