"""The warehouse: landed tables, lifecycle tables and the journal, on DuckDB or PostgreSQL."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot.expressions as sge
from ibis.backends.sql import SQLBackend

from config.loader import Configuration
from connectors.extract.landed import field_types
from errors import ConfigError, SyncError, WarehouseBusyError
from models import FieldType
from transforms.identity import point_in_time
from transforms.lifecycle.lifecycle import LifecycleTables, Materialize
from transforms.staging.timestamps import from_datetime
from warehouse import migrations
from warehouse.compiled_sql import COMPILED
from warehouse.destination import (
    NOT_PUBLISHED,
    configured_destination,
    destination_problems,
    duckdb_file,
    engine_error,
    file_to_read,
    open_in_duckdb,
    require_duckdb,
)
from warehouse.dialects import (
    advisory_lock,
    begin_snapshot,
    create_from_select,
    limit_lock_waits,
    qualified,
    replace_from_select,
    splink_api,
    temporary_dataset,
    transaction,
)

DATASET = "onefunnel"
SCRATCH_DATASET = "onefunnel_intermediate"
"""Holds intermediate results; every run replaces them."""

COMPILED_SQL = "compiled_sql"
"""The table of intermediate results that the next run keeps: key, text."""


class Warehouse:
    """An open warehouse. One process writes to it at a time.

    Opened `read_only` it stores nothing: intermediate results are temporary tables of the
    connection, and a table that does not exist yet is read as an empty one.
    """

    def __init__(self, engine: SQLBackend, *, read_only: bool = False) -> None:
        self.engine = engine
        self.is_read_only = read_only
        self._dataset = qualified(engine, DATASET)
        self._scratch_dataset = qualified(engine, SCRATCH_DATASET)
        self._temporary: set[str] = set()
        if not read_only and DATASET not in engine.list_databases():
            engine.create_database(DATASET)

    def replace_table(self, name: str, table: ir.Table) -> ir.Table:
        """Store a table under its name, in place of the one before."""
        self._require_writable(name)
        return self._create(name, table, DATASET)

    def materialize(self, name: str, table: ir.Table) -> ir.Table:
        """Store an intermediate result: computed once, read often.

        It exists until the next call with the same name.
        """
        if self.is_read_only:
            return self._create_temporary(f"scratch_{name}", table)
        return self._create(name, table, SCRATCH_DATASET)

    def _create(self, name: str, table: ir.Table, dataset: str) -> ir.Table:
        """Create a table in place of the one before, which it may read."""
        select = COMPILED.select(self.engine, table)
        replace_from_select(
            self.engine, self.table_identifier(name, dataset), table.schema(), select
        )
        return self.engine.table(name, database=qualified(self.engine, dataset))

    @contextmanager
    def compiled_sql(self) -> Iterator[None]:
        """Use the SQL texts that an earlier process compiled, and store those of this block."""
        stored: Mapping[str, str] = {}
        if COMPILED_SQL in self.engine.list_tables(database=self._scratch_dataset):
            table = self.engine.table(COMPILED_SQL, database=self._scratch_dataset)
            keys, texts = table.to_pyarrow().to_pydict().values()
            stored = dict(zip(keys, texts, strict=True))
        COMPILED.texts.update(stored)
        COMPILED.used.clear()
        yield
        if not COMPILED.used <= set(stored):
            used = {key: COMPILED.texts[key] for key in sorted(COMPILED.used)}
            rows = pa.table([list(used), list(used.values())], names=["key", "text"])
            self.engine.create_table(
                COMPILED_SQL, rows, database=self._scratch_dataset, overwrite=True
            )

    def save_lifecycle(self, tables: LifecycleTables) -> LifecycleTables:
        """Store the tables `lifecycle` and `stage_history`."""
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
        """Return people, field_since and events as they were known at `as_of`.

        From the start of the last run on, and without `as_of`, these are the tables of that run.
        For an earlier time they are computed from `records`, `record_history` and
        `field_history`, and exist until the next call. `person_id` selects one person; `fields`
        replace those of the definition.

        Raises: ConfigError: no run has extracted anything yet.
        """
        if not all(self.has(name) for name in point_in_time.HistoryTables._fields):
            raise ConfigError("the warehouse is empty: run `python sync.py run --dry-run` first")
        if as_of is None or self._is_present(as_of):
            names = ("people", "field_since", "events")
            people, since, events = (_filter_person(self.table(name), person_id) for name in names)
            nothing = people.filter(ibis.literal(False)).select("person_id")
            return point_in_time.Inputs(people, since, events, unknown=nothing)
        field_names = configuration.definition.fields() if fields is None else fields
        history = self._history_tables(person_id)
        return point_in_time.inputs_as_of(
            history, configuration.people, field_names, at=as_of, materialize=self.materialize
        )

    def _is_present(self, as_of: datetime) -> bool:
        """Whether no run has started since: then the tables hold what was known at `as_of`."""
        last = self._extracts().started_at.max().to_pyarrow().as_py()
        return last is None or from_datetime(as_of) >= from_datetime(last)

    def _history_tables(self, person_id: str | None) -> point_in_time.HistoryTables:
        history = point_in_time.HistoryTables(
            *(self.table(name) for name in point_in_time.HistoryTables._fields)
        )
        if person_id is None:
            return history
        # the two histories stay whole: the time from which a field has a history is that of the
        # first row of any record
        return history._replace(
            records=_filter_person(history.records, person_id),
            events=_filter_person(history.events, person_id),
        )

    def advisory_lock(self) -> None:
        """Make other processes wait here, until this one has closed the warehouse."""
        advisory_lock(self.engine)

    def transaction(self) -> AbstractContextManager[None]:
        """Make all writes of a block take effect at its end; none of them after an error."""
        return transaction(self.engine)

    def table_or_none(self, name: str) -> ir.Table | None:
        """Return a table that an earlier run stored; None where there is none yet."""
        return self.table(name) if self.has(name) else None

    def append_evolving(self, name: str, rows: ir.Table) -> None:
        """Append rows to a table; new columns are added to it, missing ones are NULL."""
        stored = self.ensure_table(name, rows.schema()).schema()
        rows = rows.select(
            **{
                column: rows[column] if column in rows.columns else ibis.null(column_type)
                for column, column_type in stored.items()
            }
        )
        self.append(name, rows, rows.schema())

    def _add_column(self, name: str, column: str, column_type: dt.DataType) -> None:
        compiler = self.engine.compiler
        kind = compiler.type_mapper.from_ibis(column_type)
        added = sge.ColumnDef(this=sge.to_identifier(column, quoted=True), kind=kind)
        change = sge.Alter(this=self.table_identifier(name), kind="TABLE", actions=[added])
        self.engine.raw_sql(change.sql(compiler.dialect))

    def table_identifier(self, name: str, dataset: str = DATASET) -> sge.Table:
        """Return the full name of a table as SQL: catalog, dataset, table."""
        return sge.table_(name, db=dataset, catalog=self.engine.current_catalog, quoted=True)

    @contextmanager
    def temp_tables(self) -> Iterator[Materialize]:
        """Give a `materialize` whose tables are dropped at the end of the block."""
        created: set[str] = set()

        def materialize(name: str, table: ir.Table) -> ir.Table:
            created.add(f"temp_{name}")
            return self._create_temporary(f"temp_{name}", table)

        try:
            yield materialize
        finally:
            for name in created:
                self.engine.drop_table(name, force=True)
            self._temporary -= created

    def _create_temporary(self, name: str, table: ir.Table) -> ir.Table:
        """Create a temporary table in place of the one before, which it must not read."""
        if name in self._temporary:
            self.engine.drop_table(name)
        self._temporary.add(name)
        select = COMPILED.select(self.engine, table)
        create_from_select(self.engine, sge.table_(name, quoted=True), table.schema(), select)
        return self.engine.table(name, database=temporary_dataset(self.engine))

    def last_extract_at(self) -> datetime | None:
        """Return the start of the last run that read both CRMs to the end; None: there is none."""
        if not self.has("runs"):
            return None
        runs = self._extracts()
        complete = runs.filter(runs.status.isin(["planned", "stopped", "done"]))
        started_at: datetime | None = complete.started_at.max().to_pyarrow().as_py()
        return started_at

    def _extracts(self) -> ir.Table:
        """The rows of `runs` of all commands that read the CRMs: an `apply` does not."""
        runs = self.table("runs")
        return runs.filter(runs.plan_run_id.isnull())

    def append(self, name: str, rows: ir.Table | pa.Table, schema: ibis.Schema) -> None:
        """Append rows to a table; the table is created where it does not exist."""
        self._require_writable(name)
        table = ibis.memtable(rows) if isinstance(rows, pa.Table) else rows
        table = table.select(**{column: table[column].cast(of) for column, of in schema.items()})
        self.ensure_table(name, schema)
        self.engine.insert(name, table, database=self._dataset)

    def delete_matching(self, name: str, rows: ir.Table, *, dataset: str = DATASET) -> None:
        """Delete the rows of a table that equal one of `rows` in all columns that `rows` has."""
        self._require_writable(name)
        # stored first: raw SQL does not know the tables that exist in memory only
        rows = self.materialize("rows_to_delete", rows)
        key = sge.Tuple(expressions=[sge.column(column, quoted=True) for column in rows.columns])
        matches = sge.In(this=key, query=sge.Subquery(this=self.engine.compiler.to_sqlglot(rows)))
        delete = sge.Delete(
            this=self.table_identifier(name, dataset), where=sge.Where(this=matches)
        )
        if name in self.engine.list_tables(database=(self.engine.current_catalog, dataset)):
            self.engine.raw_sql(delete.sql(self.engine.compiler.dialect))

    def delete_equal(self, name: str, column: str, value: str) -> None:
        """Delete the rows of a table that have a text in a column."""
        self._require_writable(name)
        is_equal = sge.EQ(
            this=sge.column(column, quoted=True), expression=sge.Literal.string(value)
        )
        delete = sge.Delete(this=self.table_identifier(name), where=sge.Where(this=is_equal))
        self.engine.raw_sql(delete.sql(self.engine.compiler.dialect))

    def drop_dataset(self, name: str) -> None:
        """Drop a dataset with all its tables, where it exists."""
        drop = sge.Drop(
            this=sge.table_(name, quoted=True), kind="SCHEMA", exists=True, cascade=True
        )
        self.engine.raw_sql(drop.sql(self.engine.compiler.dialect))

    def ensure_table(self, name: str, schema: ibis.Schema) -> ir.Table:
        """Return a table with at least these columns; create what is missing.

        Opened read-only, a missing table is empty, and a missing column is NULL.
        """
        if self.is_read_only:
            return self._with_columns(name, schema)
        if not self.has(name):
            self.engine.create_table(name, schema=schema, database=self._dataset)
        stored = self.table(name).columns
        for column in (column for column in schema if column not in stored):
            self._add_column(name, column, schema[column])
        return self.table(name)

    def _with_columns(self, name: str, schema: ibis.Schema) -> ir.Table:
        if not self.has(name):
            return ibis.memtable(schema.to_pyarrow().empty_table())
        table = self.table(name)
        missing = {column: of for column, of in schema.items() if column not in table.columns}
        return table.mutate(**{column: ibis.null(of) for column, of in missing.items()})

    def _require_writable(self, name: str) -> None:
        if self.is_read_only:
            raise RuntimeError(f"table {name} cannot be written: the warehouse is open read-only")

    def has(self, name: str) -> bool:
        """Whether a table exists in the dataset `onefunnel`."""
        return name in self.table_names()

    def table_names(self) -> list[str]:
        """Return the names of the tables in the dataset `onefunnel`."""
        return list(self.engine.list_tables(database=self._dataset))

    def table(self, name: str) -> ir.Table:
        """Return a table of the dataset `onefunnel`."""
        return self.engine.table(name, database=self._dataset)

    def source_tables(self, crm: str, objects: Iterable[str]) -> Mapping[str, ir.Table]:
        """Return the landed tables of one CRM: object -> table."""
        return {name: self.engine.table(name, database=crm) for name in objects}

    def source_types(self, crm: str) -> Mapping[str, Mapping[str, FieldType]]:
        """Return the types of one CRM's landed fields: object -> field -> type."""
        if crm not in self.engine.list_databases():
            return {}
        names = self.engine.list_tables(database=crm)
        return {name: field_types(self.engine.table(name, database=crm)) for name in names}

    def normalize_emails(self, addresses: ir.Table) -> ir.Table:
        """Return the NFKC form of addresses: address, normal."""
        # neither engine has NFKC: pyarrow does it, for the few addresses that are not ASCII
        raw = addresses.to_pyarrow()["address"].combine_chunks().cast(pa.string())
        normal = pc.utf8_normalize(raw, form="NFKC")
        return self.materialize(
            "spelling", ibis.memtable(pa.table({"address": raw, "normal": normal}))
        )

    def connected_components(self, nodes: ir.Table, edges: ir.Table) -> ir.Table:
        """Return the connected components: nodes(key), edges(a, b) -> (key, component)."""
        # splink and dlt take a second to import: commands that only look do not use them
        from splink.clustering import cluster_pairwise_predictions_at_threshold

        self.materialize("cluster_nodes", nodes)
        self.materialize("cluster_edges", edges)
        splink, splink_dataset = splink_api(self.engine, SCRATCH_DATASET)
        clusters = cluster_pairwise_predictions_at_threshold(
            f"{SCRATCH_DATASET}.cluster_nodes",
            f"{SCRATCH_DATASET}.cluster_edges",
            splink,
            node_id_column_name="key",
            edge_id_column_name_left="a",
            edge_id_column_name_right="b",
        )
        clustered = self.engine.table(clusters.physical_name, database=splink_dataset)
        components = self.materialize(
            "clustered", clustered.select("key", component=clustered.cluster_id)
        )
        clusters.drop_table_from_database_and_remove_from_cache()
        return components


def _filter_person(table: ir.Table, person_id: str | None) -> ir.Table:
    return table if person_id is None else table.filter(table.person_id == person_id)


@contextmanager
def open_warehouse(*, read_only: bool = False, wait: bool = True) -> Iterator[Warehouse]:
    """Open the configured warehouse.

    For writing, a warehouse of an older schema version is migrated first; where another process has
    the DuckDB file open, this waits (without `wait`: raises at once). `read_only` changes nothing:
    on DuckDB it opens the read copy, or the file itself where there is no copy, or an empty
    warehouse where there is no file; on PostgreSQL all queries see one snapshot.

    Raises: WarehouseBusyError: another process has the DuckDB file open.
            SyncError: the warehouse cannot be opened, read or written: damaged, full, read-only.
            ConfigError: the settings name no warehouse, or a file that is not a DuckDB database;
            or its schema version is newer than this code; or it is older, and `read_only` forbids
            to migrate it.
    """
    if problems := destination_problems():
        raise ConfigError("\n".join(problems))
    file = duckdb_file()
    if file:
        require_duckdb(file)
    try:
        connected = _connect_to_read() if read_only else _connect_to_write(wait=wait)
        with open_in_duckdb(file), closing_engine(connected) as engine:
            engine.raw_sql("SET TimeZone = 'UTC'")
            if file and not read_only:
                with suppress(OSError):
                    file.chmod(0o600)
            warehouse = Warehouse(engine, read_only=read_only)
            if read_only:
                migrations.require_current(warehouse)
            else:
                migrations.migrate(warehouse)
            yield warehouse
    except SyncError:
        raise
    except Exception as error:
        # each engine's client raises errors of its own
        if known := engine_error(error):
            raise known from error
        raise


@contextmanager
def closing_engine(engine: SQLBackend) -> Iterator[SQLBackend]:
    """Disconnect at the end of the block."""
    try:
        yield engine
    finally:
        engine.disconnect()


def _connect_to_read() -> SQLBackend:
    if file := duckdb_file():
        return _connect_to_read_file(file_to_read(file))
    import dlt

    # a dataset, not a pipeline: a new pipeline would end that of an extract that is running
    dataset = dlt.dataset(configured_destination(), DATASET, schema=dlt.Schema(SCRATCH_DATASET))
    engine = dataset.ibis(read_only=True)
    begin_snapshot(engine, DATASET)
    return engine


def _connect_to_read_file(file: Path) -> SQLBackend:
    if not file.exists():
        return ibis.duckdb.connect()
    try:
        return ibis.duckdb.connect(file, read_only=True)
    except duckdb.IOException as error:
        if isinstance(engine_error(error), WarehouseBusyError):
            raise WarehouseBusyError(NOT_PUBLISHED) from error
        raise


def _connect_to_write(*, wait: bool) -> SQLBackend:
    # dlt takes half a second to import: commands that only look do without
    import dlt

    from warehouse.file_wait import connect_when_free, file_wait

    def connect() -> SQLBackend:
        dataset = dlt.dataset(
            configured_destination(), SCRATCH_DATASET, schema=dlt.Schema(SCRATCH_DATASET)
        )
        with dataset.sql_client as sql:
            if not sql.has_dataset():
                sql.create_dataset()
            # connect before the client closes: DuckDB takes much longer to open the file again
            return dataset.ibis()

    engine = connect_when_free(connect, wait=wait)
    limit_lock_waits(engine, file_wait())
    return engine
