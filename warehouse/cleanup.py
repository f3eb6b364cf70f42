"""After an erasure: no value of an erased record is left in any table, nor in the DuckDB file.

Intermediate results, dlt's staging tables and the journal hold copies of values; and DuckDB keeps
deleted rows in free blocks of its file, until something else is written there. So the run that
deleted rows ends with this, and a run after it where that one was killed.
"""

import logging
import os
import shutil
from pathlib import Path

import duckdb
import ibis
import pyarrow as pa
import sqlglot.expressions as sge

from warehouse.destination import duckdb_file
from warehouse.dialects import qualified
from warehouse.read_copy import SPARE_BYTES, replace_copy
from warehouse.warehouse import SCRATCH_DATASET, Warehouse

LOG = logging.getLogger("onefunnel.warehouse")

RECORD = ("crm", "object", "record_id")

JOURNAL_VALUES = {
    "changes": ("before", "after"),
    "withheld": ("crm_value", "after", "error"),
    "decisions": ("value",),
    "outcomes": ("error",),
}
"""Columns of the journal that hold values of a record."""

DUE = "cleanup_due"
"""An intermediate table; it exists from the first deleted row until the cleanup is done."""


def require_cleanup(warehouse: Warehouse) -> None:
    """Let the run that now deletes rows, or the next one, end with a cleanup."""
    warehouse.materialize(DUE, ibis.memtable(pa.table({"due": [True]})))


def is_due(warehouse: Warehouse) -> bool:
    """Say whether rows of people were deleted since the last cleanup."""
    return DUE in _tables(warehouse, SCRATCH_DATASET)


def clean_up(warehouse: Warehouse) -> bool:
    """Remove all that is left of erased records, and publish the result as the read copy.

    Returns False where the file could not be compacted: the next run tries again. Nothing may be
    stored in this connection after True.
    """
    clear_copies(warehouse)
    return compact(warehouse)


def clear_copies(warehouse: Warehouse) -> None:
    """Remove what intermediate results, staging tables and the journal hold of erased records.

    Rows of the journal stay: that something was written, when and why, but not which value.
    """
    _clear_journal(warehouse)
    compiler = warehouse.engine.compiler
    for dataset in warehouse.engine.list_databases():
        if dataset.endswith("_staging"):
            # dlt fills a staging table again with each load; its own tables hold no rows of a CRM
            for name in _tables(warehouse, dataset):
                if not name.startswith("_dlt"):
                    delete = sge.Delete(this=warehouse.table_identifier(name, dataset))
                    warehouse.engine.raw_sql(delete.sql(compiler.dialect))
    for name in _tables(warehouse, SCRATCH_DATASET):
        if name != DUE and not name.startswith("_dlt"):
            warehouse.engine.drop_table(
                name, database=qualified(warehouse.engine, SCRATCH_DATASET), force=True
            )


def compact(warehouse: Warehouse) -> bool:
    """Give the space of deleted rows back to the disk, and publish the result as the read copy.

    On DuckDB the database is copied to a new file, which replaces the old one at once. PostgreSQL
    frees the space of deleted rows itself (VACUUM). Returns False where the file could not be
    copied, as on a full disk.
    """
    drop = sge.Drop(
        this=warehouse.table_identifier(DUE, SCRATCH_DATASET), kind="TABLE", exists=True
    ).sql(warehouse.engine.compiler.dialect)
    file = duckdb_file()
    if file is None or file == Path(":memory:"):
        warehouse.engine.raw_sql(drop)
        return True
    warehouse.engine.raw_sql("CHECKPOINT")
    part = file.with_name(f"{file.name}.compact")
    try:
        if shutil.disk_usage(file.parent).free < 2 * file.stat().st_size + SPARE_BYTES:
            raise OSError("the disk is too full for a second file of that size")
        _copy_database(warehouse, part)
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        replace_copy(part, file)
        # under DuckDB's lock of the old file: a process that opens the name now opens the new one
        part.replace(file)
    except (OSError, duckdb.Error) as error:
        LOG.warning(
            "warehouse.not_compacted file=%s reason=%s: free blocks of the file may hold values of "
            "erased people; the next run tries again",
            file.name,
            type(error).__name__,
        )
        return False
    finally:
        part.unlink(missing_ok=True)
    return True


def _copy_database(warehouse: Warehouse, part: Path) -> None:
    sql = warehouse.engine.raw_sql
    name = sge.to_identifier(warehouse.engine.current_catalog, quoted=True).sql("duckdb")
    part.unlink(missing_ok=True)
    path = sge.convert(str(part)).sql("duckdb")
    sql(f"ATTACH {path} AS onefunnel_compact")
    try:
        part.chmod(0o600)
        sql(f"COPY FROM DATABASE {name} TO onefunnel_compact")
        due = sge.table_(DUE, db=SCRATCH_DATASET, catalog="onefunnel_compact", quoted=True)
        sql(f"DROP TABLE IF EXISTS {due.sql('duckdb')}")
        sql("CHECKPOINT onefunnel_compact")
    finally:
        sql("DETACH onefunnel_compact")


def _clear_journal(warehouse: Warehouse) -> None:
    if not warehouse.has("erased_records"):
        return
    dialect = warehouse.engine.compiler.dialect
    erased = sge.select(*RECORD).from_(warehouse.table_identifier("erased_records"))
    key = sge.Tuple(expressions=[sge.column(column, quoted=True) for column in RECORD])
    is_erased = sge.In(this=key, query=sge.Subquery(this=erased))
    for name, columns in JOURNAL_VALUES.items():
        if warehouse.has(name):
            update = sge.update(
                warehouse.table_identifier(name), dict.fromkeys(columns), where=is_erased
            )
            warehouse.engine.raw_sql(update.sql(dialect))


def _tables(warehouse: Warehouse, dataset: str) -> list[str]:
    engine = warehouse.engine
    if dataset not in engine.list_databases():
        return []
    return list(engine.list_tables(database=(engine.current_catalog, dataset)))
