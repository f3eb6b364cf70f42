"""The engines that the same expressions must agree on, each private to the test run."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from socket import socket

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ibis.backends.sql import SQLBackend


@contextmanager
def duckdb() -> Iterator[SQLBackend]:
    """DuckDB in memory."""
    engine = ibis.duckdb.connect(threads=1)
    yield engine
    engine.disconnect()


@contextmanager
def postgres() -> Iterator[SQLBackend]:
    """PostgreSQL as Ibis sees it."""
    with postgres_server() as address:
        engine = ibis.connect(address)
        yield engine
        engine.disconnect()


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server of its own, with its data in a folder of its own; give its address."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs and not shutil.which("initdb"):
        pytest.skip("no PostgreSQL server is installed")
    found = os.pathsep.join([*map(str, reversed(programs)), os.environ["PATH"]])
    # the server refuses to run as root
    user = "postgres" if os.geteuid() == 0 else None

    def run(*command: str) -> None:
        environment = {"PATH": found, "LC_ALL": "C.UTF-8"}
        subprocess.run(command, check=True, env=environment, user=user, stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory(prefix="onefunnel-") as folder:
        if user:
            shutil.chown(folder, user)
        data, log = f"{folder}/data", f"{folder}/log"
        run("initdb", "--no-sync", "--auth=trust", "--username=onefunnel", f"--pgdata={data}")
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off -k {folder}"
        run("pg_ctl", "start", "-w", f"--pgdata={data}", f"--log={log}", f"--options={settings}")
        try:
            yield f"postgresql://onefunnel:any@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "--mode=immediate", f"--pgdata={data}")


@contextmanager
def spark() -> Iterator[SQLBackend]:
    """Spark inside this process' own Java."""
    sql = pytest.importorskip("pyspark.sql", reason="the extra `engines` is not installed")
    if not shutil.which("java") and "JAVA_HOME" not in os.environ:
        pytest.skip("no Java is installed")
    with tempfile.TemporaryDirectory(prefix="onefunnel-") as folder:
        settings = {
            "spark.ui.enabled": "false",
            # a few rows: to interpret a query takes less time than to compile it
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.warehouse.dir": folder,
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
        }
        builder = sql.SparkSession.builder.master("local[1]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield ibis.pyspark.connect(session)
        session.stop()


ENGINES: dict[str, Callable[[], AbstractContextManager[SQLBackend]]] = {
    "duckdb": duckdb,
    "postgres": postgres,
    "spark": spark,
}

EVERY_ENGINE = [
    "duckdb",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param(
        "spark",
        marks=[
            pytest.mark.spark,
            # pyspark 4.0 beside pandas 3, and what it leaves open when it ends
            pytest.mark.filterwarnings("ignore::DeprecationWarning"),
            pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
        ],
    ),
]
"""The names of all, each with its marks: the parameters of a fixture."""


def load_rows(engine: SQLBackend, name: str, rows: pa.Table) -> ir.Table:
    """Put rows into an engine."""
    if engine.name != "pyspark":
        return engine.create_table(name, rows, overwrite=True)
    # not create_table: on its way through pandas an empty text becomes the text "NaN"
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(rows, f"{folder}/{name}.parquet")
        return engine.create_table(name, engine.read_parquet(folder), overwrite=True)
