"""What differs between DuckDB and PostgreSQL and is not covered by Ibis."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ibis.backends.sql import SQLBackend

from errors import ConfigError

if TYPE_CHECKING:
    from splink.internals.database_api import DatabaseAPI

SUPPORTED = {"duckdb": ("duckdb",), "postgres": ("psycopg", "psycopg2", "sqlalchemy")}
"""The engines on which whole runs are tested, and the modules that each needs."""

LOCK_ID = 7_041_776
"""The key of the PostgreSQL advisory lock; any number that other programs do not use."""


def require_supported(name: str) -> str:
    """Make sure that this project supports an engine.

    Raises: ConfigError: whole runs are not tested on it, or its libraries are not installed.
    """
    if name not in SUPPORTED:
        raise ConfigError(
            f"the warehouse must be on {' or '.join(SUPPORTED)}, not on {name}: set "
            "DESTINATION__NAME to one of these, or remove it"
        )
    if missing := [module for module in SUPPORTED[name] if find_spec(module) is None]:
        raise ConfigError(
            f"a warehouse on {name} needs {', '.join(missing)}: `make {name}` installs them"
        )
    return name


def qualified(engine: SQLBackend, dataset: str) -> str | tuple[str, str]:
    """Return the unambiguous name of a dataset."""
    if engine.name == "duckdb":
        # with the catalog: DuckDB names it after the file, so a file `onefunnel.duckdb` makes the
        # name `onefunnel` ambiguous
        return (engine.current_catalog, dataset)
    return dataset


def advisory_lock(engine: SQLBackend) -> None:
    """Make other processes that call this wait until the engine is disconnected."""
    # DuckDB needs no lock: one process at a time can open a file for writing
    if engine.name == "postgres":
        engine.raw_sql(f"SELECT pg_advisory_lock({LOCK_ID})").close()


@contextmanager
def transaction(engine: SQLBackend) -> Iterator[None]:
    """Make all writes of a block take effect at its end; none of them after an error."""
    if engine.name == "postgres":
        with engine.con.transaction():
            yield
        return
    engine.con.begin()
    try:
        yield
    except BaseException:
        engine.con.rollback()
        raise
    engine.con.commit()


def splink_api(engine: SQLBackend, dataset: str) -> "tuple[DatabaseAPI[Any], str | None]":
    """Return Splink's API for the engine, and the dataset in which Splink creates tables."""
    if engine.name == "duckdb":
        from splink import DuckDBAPI

        return DuckDBAPI(engine.con), None
    from splink.backends.postgres import PostgresAPI
    from sqlalchemy import NullPool, create_engine

    server = engine.con.info
    options = f"-c search_path={dataset}"
    connect = partial(
        type(engine.con).connect, server.dsn, password=server.password, options=options
    )
    sql_engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    return PostgresAPI(sql_engine, dataset), dataset
