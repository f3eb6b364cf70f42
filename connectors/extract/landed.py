"""The landed tables of one CRM: read them, and delete rows that the CRM no longer has."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import dlt
import ibis.expr.types as ir
from ibis.backends.sql import SQLBackend
from more_itertools import chunked

from connectors.extract.arrow import TYPES
from connectors.extract.incremental import EXTRACTED_AT
from models import FieldType

IDS_PER_STATEMENT = 500
"""Ids in one statement."""


def field_types(table: ir.Table) -> Mapping[str, FieldType]:
    """Return the type with which each field of an object was landed."""
    types = {type: name for name, type in TYPES.items()}
    fields = table.schema().to_pyarrow()
    return {field.name: types[field.type] for field in fields if field.type in types}


class SourceTables:
    """The landed tables of one CRM."""

    def __init__(self, pipeline: dlt.Pipeline, engine: SQLBackend) -> None:
        self._pipeline = pipeline
        self._engine = engine

    def table(self, object: str) -> ir.Table:
        """Return the landed rows of one object."""
        return self._engine.table(object, database=self._pipeline.dataset_name)

    def delete_rows(self, object: str, column: str, ids: Sequence[str]) -> None:
        """Delete rows the CRM no longer has."""
        with self._pipeline.sql_client() as sql:
            name, key = sql.make_qualified_table_name(object), sql.escape_column_name(column)
            for some in chunked(ids, IDS_PER_STATEMENT):
                marks = ", ".join(["%s"] * len(some))
                sql.execute_sql(f"DELETE FROM {name} WHERE {key} IN ({marks})", *some)


def delete_older(pipeline: dlt.Pipeline, oldest_allowed: Mapping[str, datetime]) -> None:
    """Delete the rows of each object that no extract has read since a time."""
    with pipeline.sql_client() as sql:
        stamp = sql.escape_column_name(EXTRACTED_AT)
        for object, since in oldest_allowed.items():
            name = sql.make_qualified_table_name(object)
            sql.execute_sql(f"DELETE FROM {name} WHERE {stamp} IS NULL OR {stamp} < %s", since)


@contextmanager
def open_source_tables(pipeline: dlt.Pipeline) -> Iterator[SourceTables]:
    """Open the landed tables of a pipeline."""
    engine = pipeline.dataset().ibis()
    try:
        yield SourceTables(pipeline, engine)
    finally:
        engine.disconnect()
