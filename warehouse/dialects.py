"""What differs between DuckDB and PostgreSQL and is not covered by Ibis."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from time import sleep
from typing import TYPE_CHECKING, Any

import sqlglot.expressions as sge
from ibis import Schema
from ibis.backends.sql import SQLBackend

from errors import ConfigError, WarehouseBusyError

if TYPE_CHECKING:
    from splink.internals.database_api import DatabaseAPI

SUPPORTED = {"duckdb": ("duckdb",), "postgres": ("psycopg", "psycopg2", "sqlalchemy")}
"""The engines on which whole runs are tested, and the modules that each needs."""

LOCK_ID = 7_041_776
"""The key of the PostgreSQL advisory lock; any number that other programs do not use."""

MAX_SNAPSHOT_IDLE = "10min"
"""The server ends a reader's connection that sends no query for so long: a run may wait for it."""

SNAPSHOT_ATTEMPTS, SNAPSHOT_INTERVAL = 300, timedelta(milliseconds=200)


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


def create_from_select(engine: SQLBackend, table: sge.Table, schema: Schema, select: str) -> None:
    """Create a table with the rows of a SELECT statement; its columns get the types of the schema.

    A table without a dataset is temporary: it exists as long as the connection.
    """
    temporary = [] if table.args.get("db") else [sge.TemporaryProperty()]
    columns = sge.Schema(this=table, expressions=schema.to_sqlglot_column_defs(engine.dialect))
    names = [sge.to_identifier(column, quoted=True) for column in schema]
    into = sge.Schema(this=table, expressions=names).sql(engine.dialect)
    engine.raw_sql(
        sge.Create(this=columns, kind="TABLE", properties=sge.Properties(expressions=temporary))
    )
    engine.raw_sql(f"INSERT INTO {into} {select}")


def replace_from_select(engine: SQLBackend, table: sge.Table, schema: Schema, select: str) -> None:
    """Create a table in place of the one before, which the SELECT statement may read."""
    new = table.copy()
    new.set("this", sge.to_identifier(f"{table.name}__new", quoted=True))
    # PostgreSQL: readers wait for the end of the transaction, so they never miss the table
    with engine.con.transaction() if engine.name == "postgres" else nullcontext():
        engine.raw_sql(sge.Drop(this=new, kind="TABLE", exists=True))
        create_from_select(engine, new, schema, select)
        engine.raw_sql(sge.Drop(this=table, kind="TABLE", exists=True))
        rename = sge.AlterRename(this=sge.table_(table.name, quoted=True))
        engine.raw_sql(sge.Alter(this=new, kind="TABLE", actions=[rename]))


def temporary_dataset(engine: SQLBackend) -> tuple[str, str] | None:
    """Return where the engine keeps temporary tables; None: a name alone finds them."""
    return ("temp", "main") if engine.name == "duckdb" else None


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


def begin_snapshot(engine: SQLBackend, dataset: str) -> None:
    """Let all later queries of a connection to PostgreSQL see one state of the dataset.

    A run replaces whole tables, which a snapshot alone does not see: the new table would be empty
    in it. So the tables are locked against replacing first, without waiting while holding a lock of
    another table. A run waits for the end of this connection, which the server ends when it idles.

    Raises: WarehouseBusyError: a run replaces tables all the time.
    """
    if engine.name != "postgres":
        return
    from psycopg import errors, sql

    engine.con.execute(f"SET idle_in_transaction_session_timeout = '{MAX_SNAPSHOT_IDLE}'")
    for _ in range(SNAPSHOT_ATTEMPTS):
        # outside of the transaction: its first query would take the snapshot, before the locks
        tables = (
            [sql.Identifier(dataset, name) for name in engine.list_tables(database=dataset)]
            if dataset in engine.list_databases()
            else []
        )
        engine.con.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        if not tables:
            return
        names = sql.SQL(", ").join(tables)
        try:
            engine.con.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE NOWAIT").format(names))
        except (errors.LockNotAvailable, errors.UndefinedTable):
            engine.con.rollback()
            sleep(SNAPSHOT_INTERVAL.total_seconds())
        else:
            return
    raise WarehouseBusyError(
        "a run replaces the tables of the warehouse at this moment: try again in a minute"
    )


def limit_lock_waits(engine: SQLBackend, longest: timedelta) -> None:
    """Make a statement fail that waits for longer than this for a table that others use."""
    # DuckDB: one process has the whole file
    if engine.name == "postgres":
        engine.con.execute(f"SET lock_timeout = '{int(longest.total_seconds() * 1000) or 1}ms'")


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
