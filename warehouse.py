"""The warehouse: where landed tables, the answer and the journal live, and the engine over them."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import dlt
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract import DltResource
from ibis.backends.sql import SQLBackend
from splink.clustering import cluster_pairwise_predictions_at_threshold

DATASET = "onefunnel"
STEPS = "onefunnel_steps"
"""Tables on the way to the answer; every run makes them anew."""

NAMING = "sql_cs_v1"
"""Landed columns keep the CRM's own spelling."""


class Warehouse:
    """An open warehouse. One process writes to it at a time."""

    def __init__(self, engine: SQLBackend) -> None:
        self.engine = engine
        for dataset in (DATASET, STEPS):
            if dataset not in engine.list_databases():
                engine.create_database(dataset)

    def store(self, name: str, table: ir.Table) -> ir.Table:
        """Keep a table of the answer under its name, in place of the one before."""
        return self.engine.create_table(name, table, database=DATASET, overwrite=True)

    def step(self, name: str, table: ir.Table) -> ir.Table:
        """Keep a table on the way to the answer: computed once, read often."""
        return self.engine.create_table(name, table, database=STEPS, overwrite=True)

    def append(self, name: str, rows: ir.Table | pa.Table) -> None:
        """Add rows to a table that is never rewritten: runs, changes, outcomes."""
        if name not in self.engine.list_tables(database=DATASET):
            self.engine.create_table(name, rows, database=DATASET)
        else:
            self.engine.insert(name, rows, database=DATASET)

    def table(self, name: str) -> ir.Table:
        """A table of the answer or of the journal."""
        return self.engine.table(name, database=DATASET)

    def landed(self, crm: str, objects: Iterable[str]) -> Mapping[str, ir.Table]:
        """The landed tables of one CRM."""
        return {name: self.engine.table(name, database=crm) for name in objects}

    def spelling(self, addresses: ir.Table) -> ir.Table:
        """The NFKC form of a few addresses: address, normal."""
        odd = addresses.to_pyarrow()["address"].combine_chunks().cast(pa.string())
        normal = pc.utf8_normalize(odd, form="NFKC")
        return self.step("spelling", ibis.memtable(pa.table({"address": odd, "normal": normal})))

    def cluster(self, nodes: ir.Table, edges: ir.Table) -> ir.Table:
        """Connected components: nodes(key), edges(a, b) -> (key, component)."""
        self.step("cluster_nodes", nodes)
        self.step("cluster_edges", edges)
        found = cluster_pairwise_predictions_at_threshold(
            f"{STEPS}.cluster_nodes",
            f"{STEPS}.cluster_edges",
            _splink(self.engine),
            node_id_column_name="key",
            edge_id_column_name_left="a",
            edge_id_column_name_right="b",
        )
        made = self.engine.table(found.physical_name)
        kept = self.step("clustered", made.select("key", component=made.cluster_id))
        found.drop_table_from_database_and_remove_from_cache()
        return kept


def _splink(engine: SQLBackend) -> Any:
    """Splink's own way into the engine that holds the data."""
    api = {"duckdb": "DuckDBAPI", "postgres": "PostgresAPI", "pyspark": "SparkAPI"}[engine.name]
    backend = import_module(f"splink.backends.{api.removesuffix('API').lower()}")
    return getattr(backend, api)(engine.con)


@contextmanager
def opened() -> Iterator[Warehouse]:
    """Open the configured warehouse for the middle of a run."""
    pipeline = _pipeline(DATASET)
    with pipeline.sql_client() as sql:
        if not sql.has_dataset():
            sql.create_dataset()
    engine = pipeline.dataset().ibis()
    try:
        if engine.name == "duckdb":
            engine.raw_sql("SET TimeZone = 'UTC'")
        yield Warehouse(engine)
    finally:
        engine.disconnect()


def land(crm: str, resources: Iterable[DltResource]) -> None:
    """Pull and land what a CRM's source reads, each object into a table of its name.

    The cursors are stored with the rows, in the warehouse; nothing is kept beside it.
    """
    _pipeline(crm).run(list(resources))


def _pipeline(dataset: str) -> dlt.Pipeline:
    os.environ.setdefault("SCHEMA__NAMING", NAMING)
    return dlt.pipeline(
        dataset,
        destination=dlt.config.get("destination.name") or "duckdb",
        dataset_name=dataset,
        pipelines_dir=tempfile.mkdtemp(prefix="onefunnel-"),
    )
