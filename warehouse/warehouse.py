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
from connectors import chain_of
from connectors.extract.landed import field_types
from errors import ConfigError, HeldError, SyncError
from models import FieldType
from transforms.identity import point_in_time
from transforms.lifecycle.lifecycle import Answer, Store
from transforms.staging.timestamps import from_datetime
from warehouse.dialects import alone, check, linking, place, together

T = TypeVar("T")

HERE = Path(__file__).parents[1]
DATASET = "onefunnel"
STEPS = "onefunnel_steps"
"""Tables on the way to the answer; every run makes them anew."""

NAMING = "sql_cs_v1"
"""Landed columns keep the CRM's own spelling."""


IN_USE = (
    "the warehouse is open elsewhere: another run is under way, or a tool looks into the file. "
    "Wait for it, with --wait, or call again later"
)
CLOSED = (
    "the warehouse cannot be opened: its folder is missing or cannot be written. Set "
    "DESTINATION__DUCKDB__CREDENTIALS (duckdb:////path/to/warehouse.duckdb) to another file"
)
AWAY = (
    "the warehouse cannot be reached: see that its server is up, and that "
    "DESTINATION__POSTGRES__CREDENTIALS (postgresql://USER:PASSWORD@HOST:5432/DATABASE) lead there"
)


class Warehouse:
    """An open warehouse. One process writes to it at a time."""

    def __init__(self, engine: SQLBackend) -> None:
        self.engine = engine
        self._answers, self._steps = place(engine, DATASET), place(engine, STEPS)
        if DATASET not in engine.list_databases():
            engine.create_database(DATASET)

    def store(self, name: str, table: ir.Table) -> ir.Table:
        """Keep a table of the answer under its name, in place of the one before."""
        return self.engine.create_table(name, table, database=self._answers, overwrite=True)

    def step(self, name: str, table: ir.Table) -> ir.Table:
        """Keep a table on the way to the answer: computed once, read often."""
        return self.engine.create_table(name, table, database=self._steps, overwrite=True)

    def keep(self, answer: Answer) -> Answer:
        """Keep the answer as the tables `lifecycle` and `stage_history`."""
        return Answer(
            self.store("lifecycle", answer.lifecycle),
            self.store("stage_history", answer.stage_history),
        )

    def answerable(
        self,
        configuration: Configuration,
        *,
        as_of: datetime | None = None,
        only: str | None = None,
        fields: tuple[str, ...] | None = None,
    ) -> point_in_time.Known:
        """What an answer is made of: people, field_since, events, as known at `as_of`.

        From the start of the last run on (and without `as_of`) these are the tables of that run.
        For an earlier instant they are made anew from `records`, `record_history` and
        `field_history`, as tables that stand until the next call. `only` names one person;
        `fields` are asked in place of those of the definition.

        Raises: ConfigError where nothing was pulled yet.
        """
        if not all(self.has(name) for name in point_in_time.Memory._fields):
            raise ConfigError("nothing was pulled yet: `python sync.py plan` comes first")
        if as_of is None or self._is_present(as_of):
            names = ("people", "field_since", "events")
            people, since, events = (_only(self.table(name), only) for name in names)
            nothing = people.filter(ibis.literal(False)).select("person_id")
            return point_in_time.Known(people, since, events, unknown=nothing)
        asked = configuration.definition.fields() if fields is None else fields
        memory = self._memory(only)
        return point_in_time.known(memory, configuration.people, asked, at=as_of, store=self.step)

    def _is_present(self, as_of: datetime) -> bool:
        """Whether no run has begun since then: what stands in the tables is what was known."""
        last = self.table("runs").started_at.max().to_pyarrow().as_py()
        return last is None or from_datetime(as_of) >= from_datetime(last)

    def _memory(self, only: str | None) -> point_in_time.Memory:
        memory = point_in_time.Memory(*(self.table(name) for name in point_in_time.Memory._fields))
        if only is None:
            return memory
        # the histories as a whole: from when on a field has one is told by those of all records
        records, events = _only(memory.records, only), _only(memory.events, only)
        return memory._replace(records=records, events=events)

    def alone(self) -> None:
        """Make other processes wait here, until this one has closed the warehouse."""
        alone(self.engine)

    def together(self) -> AbstractContextManager[None]:
        """Let all that is written meanwhile take effect at the end; killed before, none of it."""
        return together(self.engine)

    def kept(self, name: str) -> ir.Table | None:
        """A table that an earlier run kept; None where there is none yet."""
        return self.table(name) if self.has(name) else None

    def grow(self, name: str, rows: ir.Table) -> None:
        """Add rows to a table that is never rewritten; columns it does not have yet are added."""
        had = self.ledger(name, rows.schema()).schema()
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
        change = sge.Alter(this=self._named(name), kind="TABLE", actions=[added])
        self.engine.raw_sql(change.sql(compiler.dialect))

    def _named(self, name: str, dataset: str = DATASET) -> sge.Table:
        return sge.table_(name, db=dataset, catalog=self.engine.current_catalog, quoted=True)

    @contextmanager
    def aside(self) -> Iterator[Store]:
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

    def pulled_at(self) -> datetime | None:
        """When the last pull began that came to an end; None: nothing says so."""
        if not self.has("runs"):
            return None
        runs = self.table("runs")
        whole = runs.filter(runs.status.isin(["planned", "stopped", "done"]))
        found: datetime | None = whole.started_at.max().to_pyarrow().as_py()
        return found

    def append(self, name: str, rows: ir.Table | pa.Table, schema: ibis.Schema) -> None:
        """Add rows to a table that is never rewritten; the first ones make it."""
        table = ibis.memtable(rows) if isinstance(rows, pa.Table) else rows
        table = table.select(**{column: table[column].cast(of) for column, of in schema.items()})
        self.ledger(name, schema)
        self.engine.insert(name, table, database=self._answers)

    def forget(self, name: str, rows: ir.Table, *, dataset: str = DATASET) -> None:
        """Delete what has the same values as one of the rows, in the columns that they have."""
        key = sge.Tuple(expressions=[sge.column(one, quoted=True) for one in rows.columns])
        same = sge.In(this=key, query=sge.Subquery(this=self.engine.compiler.to_sqlglot(rows)))
        delete = sge.Delete(this=self._named(name, dataset), where=sge.Where(this=same))
        if name in self.engine.list_tables(database=(self.engine.current_catalog, dataset)):
            self.engine.raw_sql(delete.sql(self.engine.compiler.dialect))

    def ledger(self, name: str, schema: ibis.Schema) -> ir.Table:
        """A table that is never rewritten, with these columns; empty until something is added."""
        if not self.has(name):
            self.engine.create_table(name, schema=schema, database=self._answers)
        had = self.table(name).columns
        for column in (column for column in schema if column not in had):
            self._add_column(name, column, schema[column])
        return self.table(name)

    def has(self, name: str) -> bool:
        """Whether there is such a table yet."""
        return name in self.engine.list_tables(database=self._answers)

    def table(self, name: str) -> ir.Table:
        """A table of the answer or of the journal."""
        return self.engine.table(name, database=self._answers)

    def landed(self, crm: str, objects: Iterable[str]) -> Mapping[str, ir.Table]:
        """The landed tables of one CRM."""
        return {name: self.engine.table(name, database=crm) for name in objects}

    def landed_types(self, crm: str) -> Mapping[str, Mapping[str, FieldType]]:
        """As what type each field of each object of one CRM was landed."""
        if crm not in self.engine.list_databases():
            return {}
        names = self.engine.list_tables(database=crm)
        return {name: field_types(self.engine.table(name, database=crm)) for name in names}

    def spelling(self, addresses: ir.Table) -> ir.Table:
        """The NFKC form of a few addresses: address, normal."""
        odd = addresses.to_pyarrow()["address"].combine_chunks().cast(pa.string())
        normal = pc.utf8_normalize(odd, form="NFKC")
        return self.step("spelling", ibis.memtable(pa.table({"address": odd, "normal": normal})))

    def cluster(self, nodes: ir.Table, edges: ir.Table) -> ir.Table:
        """Connected components: nodes(key), edges(a, b) -> (key, component)."""
        self.step("cluster_nodes", nodes)
        self.step("cluster_edges", edges)
        splink, made_in = linking(self.engine, STEPS)
        found = cluster_pairwise_predictions_at_threshold(
            f"{STEPS}.cluster_nodes",
            f"{STEPS}.cluster_edges",
            splink,
            node_id_column_name="key",
            edge_id_column_name_left="a",
            edge_id_column_name_right="b",
        )
        made = self.engine.table(found.physical_name, database=made_in)
        kept = self.step("clustered", made.select("key", component=made.cluster_id))
        found.drop_table_from_database_and_remove_from_cache()
        return kept


def _only(table: ir.Table, person_id: str | None) -> ir.Table:
    return table if person_id is None else table.filter(table.person_id == person_id)


@contextmanager
def opened() -> Iterator[Warehouse]:
    """Open the configured warehouse.

    Raises: HeldError where another process has it open, SyncError where it cannot be opened.
    """
    try:
        # not a pipeline: making one would end that of a pull that is under way
        dataset = dlt.dataset(_destination(), STEPS, schema=dlt.Schema(STEPS))
        with dataset.sql_client as sql:
            if not sql.has_dataset():
                sql.create_dataset()
            # before the other lets go of it: to open a file anew takes much longer
            engine = dataset.ibis()
    except Exception as error:
        # every engine's client has errors of its own
        raise _cause(error) from error
    engine.raw_sql("SET TimeZone = 'UTC'")
    try:
        yield Warehouse(engine)
    finally:
        engine.disconnect()


def land(crm: str, pull: Callable[[dlt.Pipeline], T]) -> T:
    """Let a CRM be pulled, each object into a table of its name.

    The cursors are stored with the rows, in the warehouse; nothing is kept beside it.
    """
    # Arrow's usual pool keeps the memory of a page that is landed; these give it back
    has_one = "jemalloc" in pa.supported_memory_backends()
    pa.set_memory_pool(pa.jemalloc_memory_pool() if has_one else pa.system_memory_pool())
    try:
        with _pipeline(crm) as pipeline:
            return pull(pipeline)
    except (PipelineStepFailed, DestinationException) as failure:
        raise _cause(failure) from failure


def _cause(failure: Exception) -> BaseException:
    """What really went wrong: dlt wraps it in the step at which it happened."""
    for error in chain_of(failure):
        if isinstance(error, SyncError | KeyboardInterrupt):
            return error
        if isinstance(error, duckdb.IOException):
            return HeldError(IN_USE) if "set lock on file" in str(error) else SyncError(CLOSED)
        if type(error).__name__ == "OperationalError":
            return SyncError(AWAY)
    return failure


def _destination() -> str | Destination[Any, Any]:
    """The configured warehouse; without a word of it a file in the checkout."""
    name = check(str(dlt.config.get("destination.name") or "duckdb"))
    if name != "duckdb" or dlt.secrets.get("destination.duckdb.credentials"):
        return name
    return dlt.destinations.duckdb(f"duckdb:///{HERE / 'warehouse.duckdb'}")


@contextmanager
def _pipeline(dataset: str) -> Iterator[dlt.Pipeline]:
    """A dlt pipeline into one dataset, that remembers nothing but what the warehouse holds."""
    os.environ.setdefault("SCHEMA__NAMING", NAMING)
    with tempfile.TemporaryDirectory(prefix="onefunnel-") as folder, _untidied():
        yield dlt.pipeline(
            dataset,
            destination=_destination(),
            dataset_name=dataset,
            pipelines_dir=folder,
        )


@contextmanager
def _untidied() -> Iterator[None]:
    """Let DuckDB put off moving a table's rows together, to when the warehouse is next opened.

    Beside a pull that would double the memory, and more the larger the table is.
    """
    said = "DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG"
    if dlt.config.get(said.replace("__", ".").lower()) is not None:
        yield  # the user's own
        return
    os.environ[said] = json.dumps({"max_vacuum_tasks": 0})
    try:
        yield
    finally:
        del os.environ[said]
