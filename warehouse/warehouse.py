"""The warehouse: where landed tables, the answer and the journal live, and the engine over them."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import dlt
import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot.expressions as sge
from dlt.common.destination import Destination
from dlt.common.destination.exceptions import DestinationException
from dlt.pipeline.exceptions import PipelineStepFailed
from ibis.backends.sql import SQLBackend
from splink.clustering import cluster_pairwise_predictions_at_threshold

from config.loader import Configuration
from connectors import causes
from connectors.extract.landed import field_types
from errors import ConfigError, SyncError, WarehouseBusyError
from models import FieldType
from transforms.identity import point_in_time
from transforms.lifecycle.lifecycle import LifecycleTables, Materialize
from transforms.staging.timestamps import from_datetime
from warehouse.dialects import advisory_lock, qualified, require_supported, splink_api, transaction

T = TypeVar("T")

PROJECT_FOLDER = Path(__file__).parents[1]
DATASET = "onefunnel"
SCRATCH_DATASET = "onefunnel_intermediate"
"""Tables on the way to the answer; every run makes them anew."""

NAMING_CONVENTION = "sql_cs_v1"
"""Landed columns keep the CRM's own spelling."""


BUSY = (
    "the warehouse is open elsewhere: another run is under way, or a tool looks into the file. "
    "Wait for it, with --wait-for-lock, or call again later"
)
UNWRITABLE = (
    "the warehouse cannot be opened: its folder is missing or cannot be written. Set "
    "DESTINATION__DUCKDB__CREDENTIALS (duckdb:////path/to/warehouse.duckdb) to another file"
)
UNREACHABLE = (
    "the warehouse cannot be reached: see that its server is up, and that "
    "DESTINATION__POSTGRES__CREDENTIALS (postgresql://USER:PASSWORD@HOST:5432/DATABASE) lead there"
)


class Warehouse:
    """An open warehouse. One process writes to it at a time."""

    def __init__(self, engine: SQLBackend) -> None:
        self.engine = engine
        self._dataset, self._scratch_dataset = (
            qualified(engine, DATASET),
            qualified(engine, SCRATCH_DATASET),
        )
        if DATASET not in engine.list_databases():
            engine.create_database(DATASET)

    def replace_table(self, name: str, table: ir.Table) -> ir.Table:
        """Keep a table of the answer under its name, in place of the one before."""
        return self.engine.create_table(name, table, database=self._dataset, overwrite=True)

    def materialize(self, name: str, table: ir.Table) -> ir.Table:
        """Keep a table on the way to the answer: computed once, read often."""
        return self.engine.create_table(name, table, database=self._scratch_dataset, overwrite=True)

    def save_lifecycle(self, tables: LifecycleTables) -> LifecycleTables:
        """Keep the answer as the tables `lifecycle` and `stage_history`."""
        return LifecycleTables(
            self.replace_table("lifecycle", tables.lifecycle),
            self.replace_table("stage_history", tables.stage_history),
        )

    def inputs_as_of(
        self,
        configuration: Configuration,
        *,
        as_of: datetime | None = None,
        person_id: str | None = None,
        fields: tuple[str, ...] | None = None,
    ) -> point_in_time.Inputs:
        """What an answer is made of: people, field_since, events, as known at `as_of`.

        From the start of the last run on (and without `as_of`) these are the tables of that run.
        For an earlier instant they are made anew from `records`, `record_history` and
        `field_history`, as tables that stand until the next call. `only` names one person;
        `fields` are asked in place of those of the definition.

        Raises: ConfigError where nothing was pulled yet.
        """
        if not all(self.has(name) for name in point_in_time.HistoryTables._fields):
            raise ConfigError("nothing was pulled yet: `python sync.py plan` comes first")
        if as_of is None or self._is_present(as_of):
            names = ("people", "field_since", "events")
            people, since, events = (_filter_person(self.table(name), person_id) for name in names)
            nothing = people.filter(ibis.literal(False)).select("person_id")
            return point_in_time.Inputs(people, since, events, unknown=nothing)
        field_names = configuration.definition.fields() if fields is None else fields
        memory = self._history_tables(person_id)
        return point_in_time.inputs_as_of(
            memory, configuration.people, field_names, at=as_of, materialize=self.materialize
        )

    def _is_present(self, as_of: datetime) -> bool:
        """Whether no run has begun since then: what stands in the tables is what was known."""
        last = self.table("runs").started_at.max().to_pyarrow().as_py()
        return last is None or from_datetime(as_of) >= from_datetime(last)

    def _history_tables(self, only: str | None) -> point_in_time.HistoryTables:
        memory = point_in_time.HistoryTables(
            *(self.table(name) for name in point_in_time.HistoryTables._fields)
        )
        if only is None:
            return memory
        # the histories as a whole: from when on a field has one is told by those of all records
        records, events = _filter_person(memory.records, only), _filter_person(memory.events, only)
        return memory._replace(records=records, events=events)

    def advisory_lock(self) -> None:
        """Make other processes wait here, until this one has closed the warehouse."""
        advisory_lock(self.engine)

    def transaction(self) -> AbstractContextManager[None]:
        """Let all that is written meanwhile take effect at the end; killed before, none of it."""
        return transaction(self.engine)

    def table_or_none(self, name: str) -> ir.Table | None:
        """A table that an earlier run kept; None where there is none yet."""
        return self.table(name) if self.has(name) else None

    def append_evolving(self, name: str, rows: ir.Table) -> None:
        """Add rows to a table that is never rewritten; columns it does not have yet are added."""
        had = self.ensure_table(name, rows.schema()).schema()
        rows = rows.select(
            **{
                column: rows[column] if column in rows.columns else ibis.null(of)
                for column, of in had.items()
            }
        )
        self.append(name, rows, rows.schema())

    def _add_column(self, name: str, column: str, of: dt.DataType) -> None:
        compiler = self.engine.compiler
        kind = compiler.type_mapper.from_ibis(of)
        added = sge.ColumnDef(this=sge.to_identifier(column, quoted=True), kind=kind)
        change = sge.Alter(this=self._table_identifier(name), kind="TABLE", actions=[added])
        self.engine.raw_sql(change.sql(compiler.dialect))

    def _table_identifier(self, name: str, dataset: str = DATASET) -> sge.Table:
        return sge.table_(name, db=dataset, catalog=self.engine.current_catalog, quoted=True)

    @contextmanager
    def temp_tables(self) -> Iterator[Materialize]:
        """Keep tables for a while: what is only tried out leaves nothing in the warehouse."""
        made: set[str] = set()

        def store(name: str, table: ir.Table) -> ir.Table:
            aside = f"aside_{name}"
            if aside in made:
                self.engine.drop_table(aside)
            made.add(aside)
            return self.engine.create_table(aside, table, temp=True)

        try:
            yield store
        finally:
            for name in made:
                self.engine.drop_table(name, force=True)

    def last_extract_at(self) -> datetime | None:
        """When the last pull began that came to an end; None: nothing says so."""
        if not self.has("runs"):
            return None
        runs = self.table("runs")
        whole = runs.filter(runs.status.isin(["planned", "stopped", "done"]))
        started_at: datetime | None = whole.started_at.max().to_pyarrow().as_py()
        return started_at

    def append(self, name: str, rows: ir.Table | pa.Table, schema: ibis.Schema) -> None:
        """Add rows to a table that is never rewritten; the first ones make it."""
        table = ibis.memtable(rows) if isinstance(rows, pa.Table) else rows
        table = table.select(**{column: table[column].cast(of) for column, of in schema.items()})
        self.ensure_table(name, schema)
        self.engine.insert(name, table, database=self._dataset)

    def delete_matching(self, name: str, rows: ir.Table, *, dataset: str = DATASET) -> None:
        """Delete what has the same values as one of the rows, in the columns that they have."""
        key = sge.Tuple(expressions=[sge.column(one, quoted=True) for one in rows.columns])
        same = sge.In(this=key, query=sge.Subquery(this=self.engine.compiler.to_sqlglot(rows)))
        delete = sge.Delete(this=self._table_identifier(name, dataset), where=sge.Where(this=same))
        if name in self.engine.list_tables(database=(self.engine.current_catalog, dataset)):
            self.engine.raw_sql(delete.sql(self.engine.compiler.dialect))

    def ensure_table(self, name: str, schema: ibis.Schema) -> ir.Table:
        """A table that is never rewritten, with these columns; empty until something is added."""
        if not self.has(name):
            self.engine.create_table(name, schema=schema, database=self._dataset)
        had = self.table(name).columns
        for column in (column for column in schema if column not in had):
            self._add_column(name, column, schema[column])
        return self.table(name)

    def has(self, name: str) -> bool:
        """Whether there is such a table yet."""
        return name in self.engine.list_tables(database=self._dataset)

    def table(self, name: str) -> ir.Table:
        """A table of the answer or of the journal."""
        return self.engine.table(name, database=self._dataset)

    def source_tables(self, crm: str, objects: Iterable[str]) -> Mapping[str, ir.Table]:
        """The landed tables of one CRM."""
        return {name: self.engine.table(name, database=crm) for name in objects}

    def source_types(self, crm: str) -> Mapping[str, Mapping[str, FieldType]]:
        """As what type each field of each object of one CRM was landed."""
        if crm not in self.engine.list_databases():
            return {}
        names = self.engine.list_tables(database=crm)
        return {name: field_types(self.engine.table(name, database=crm)) for name in names}

    def normalize_emails(self, addresses: ir.Table) -> ir.Table:
        """The NFKC form of a few addresses: address, normal."""
        odd = addresses.to_pyarrow()["address"].combine_chunks().cast(pa.string())
        normal = pc.utf8_normalize(odd, form="NFKC")
        return self.materialize(
            "spelling", ibis.memtable(pa.table({"address": odd, "normal": normal}))
        )

    def connected_components(self, nodes: ir.Table, edges: ir.Table) -> ir.Table:
        """Connected components: nodes(key), edges(a, b) -> (key, component)."""
        self.materialize("cluster_nodes", nodes)
        self.materialize("cluster_edges", edges)
        splink, made_in = splink_api(self.engine, SCRATCH_DATASET)
        clusters = cluster_pairwise_predictions_at_threshold(
            f"{SCRATCH_DATASET}.cluster_nodes",
            f"{SCRATCH_DATASET}.cluster_edges",
            splink,
            node_id_column_name="key",
            edge_id_column_name_left="a",
            edge_id_column_name_right="b",
        )
        made = self.engine.table(clusters.physical_name, database=made_in)
        components = self.materialize("clustered", made.select("key", component=made.cluster_id))
        clusters.drop_table_from_database_and_remove_from_cache()
        return components


def _filter_person(table: ir.Table, person_id: str | None) -> ir.Table:
    return table if person_id is None else table.filter(table.person_id == person_id)


@contextmanager
def open_warehouse() -> Iterator[Warehouse]:
    """Open the configured warehouse.

    Raises: HeldError where another process has it open, SyncError where it cannot be opened.
    """
    try:
        # not a pipeline: making one would end that of a pull that is under way
        dataset = dlt.dataset(_destination(), SCRATCH_DATASET, schema=dlt.Schema(SCRATCH_DATASET))
        with dataset.sql_client as sql:
            if not sql.has_dataset():
                sql.create_dataset()
            # before the other lets go of it: to open a file anew takes much longer
            engine = dataset.ibis()
    except Exception as error:
        # every engine's client has errors of its own
        raise _root_error(error) from error
    engine.raw_sql("SET TimeZone = 'UTC'")
    try:
        yield Warehouse(engine)
    finally:
        engine.disconnect()


def run_dlt(crm: str, extract: Callable[[dlt.Pipeline], T]) -> T:
    """Let a CRM be pulled, each object into a table of its name.

    The cursors are stored with the rows, in the warehouse; nothing is kept beside it.
    """
    # Arrow's usual pool keeps the memory of a page that is landed; these give it back
    has_one = "jemalloc" in pa.supported_memory_backends()
    pa.set_memory_pool(pa.jemalloc_memory_pool() if has_one else pa.system_memory_pool())
    try:
        with _pipeline(crm) as pipeline:
            return extract(pipeline)
    except (PipelineStepFailed, DestinationException) as failure:
        raise _root_error(failure) from failure


def _root_error(failure: Exception) -> BaseException:
    """What really went wrong: dlt wraps it in the step at which it happened."""
    for error in causes(failure):
        if isinstance(error, SyncError | KeyboardInterrupt):
            return error
        if isinstance(error, duckdb.IOException):
            return (
                WarehouseBusyError(BUSY)
                if "set lock on file" in str(error)
                else SyncError(UNWRITABLE)
            )
        if type(error).__name__ == "OperationalError":
            return SyncError(UNREACHABLE)
    return failure


def _destination() -> str | Destination[Any, Any]:
    """The configured warehouse; without a word of it a file in the checkout."""
    name = require_supported(str(dlt.config.get("destination.name") or "duckdb"))
    if name != "duckdb" or dlt.secrets.get("destination.duckdb.credentials"):
        return name
    return dlt.destinations.duckdb(f"duckdb:///{PROJECT_FOLDER / 'warehouse.duckdb'}")


@contextmanager
def _pipeline(dataset: str) -> Iterator[dlt.Pipeline]:
    """A dlt pipeline into one dataset, that remembers nothing but what the warehouse holds."""
    os.environ.setdefault("SCHEMA__NAMING", NAMING_CONVENTION)
    with tempfile.TemporaryDirectory(prefix="onefunnel-") as folder, _without_vacuum():
        yield dlt.pipeline(
            dataset,
            destination=_destination(),
            dataset_name=dataset,
            pipelines_dir=folder,
        )


@contextmanager
def _without_vacuum() -> Iterator[None]:
    """Let DuckDB put off moving a table's rows together, to when the warehouse is next opened.

    Beside a pull that would double the memory, and more the larger the table is.
    """
    variable = "DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG"
    if dlt.config.get(variable.replace("__", ".").lower()) is not None:
        yield  # the user's own
        return
    os.environ[variable] = json.dumps({"max_vacuum_tasks": 0})
    try:
        yield
    finally:
        del os.environ[variable]
