"""What the engines that carry a warehouse do not share; every other difference is Ibis' own."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

from ibis.backends.sql import SQLBackend
from splink import DuckDBAPI
from splink.internals.database_api import DatabaseAPI

from errors import ConfigError

SUPPORTED = {"duckdb": ("duckdb",), "postgres": ("psycopg", "psycopg2", "sqlalchemy")}
"""On these whole runs are proven, with the help of these modules."""

LOCK_ID = 7_041_776
"""The number of our lock among the advisory locks of a PostgreSQL database."""


def require_supported(name: str) -> str:
    """Make sure that an engine can carry a warehouse.

    Raises: ConfigError where nobody has tried it yet, or its libraries are not installed.
    """
    if name not in SUPPORTED:
        raise ConfigError(
            f"whole runs are proven on {' and '.join(SUPPORTED)}, not on {name}: set "
            "DESTINATION__NAME to one of these, or leave it out"
        )
    if missing := [module for module in SUPPORTED[name] if find_spec(module) is None]:
        raise ConfigError(
            f"a warehouse on {name} needs {', '.join(missing)}: `make {name}` installs them"
        )
    return name


def qualified(engine: SQLBackend, dataset: str) -> str | tuple[str, str]:
    """Name a dataset so that nothing else can be meant."""
    if engine.name == "duckdb":
        # in full: a DuckDB file called warehouse.duckdb is a catalog of that name as well
        return (engine.current_catalog, dataset)
    return dataset


def advisory_lock(engine: SQLBackend) -> None:
    """Make all other processes wait that call this, until the engine is disconnected."""
    # a DuckDB file that is open for writing is open in one process alone
    if engine.name == "postgres":
        engine.raw_sql(f"SELECT pg_advisory_lock({LOCK_ID})").close()


@contextmanager
def transaction(engine: SQLBackend) -> Iterator[None]:
    """Let all that is written meanwhile take effect at the end, or none of it."""
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


def splink_api(engine: SQLBackend, dataset: str) -> tuple[DatabaseAPI[Any], str | None]:
    """Give Splink its own way into the engine, and say in which dataset its tables will be."""
    if engine.name == "duckdb":
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
