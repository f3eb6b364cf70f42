"""The landed tables of one CRM, as the verification of an extract reads them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ibis.expr.types as ir
from ibis.backends.sql import SQLBackend

from connectors.extract.arrow import TYPES
from models import FieldType

if TYPE_CHECKING:
    import dlt


def field_types(table: ir.Table) -> Mapping[str, FieldType]:
    """Return the type with which each field of an object was landed."""
    types = {type: name for name, type in TYPES.items()}
    fields = table.schema().to_pyarrow()
    return {field.name: types[field.type] for field in fields if field.type in types}


class SourceTables:
    """The landed tables of one CRM."""

    def __init__(self, pipeline: "dlt.Pipeline", engine: SQLBackend) -> None:
        self._pipeline = pipeline
        self._engine = engine

    def table(self, object: str) -> ir.Table:
        """Return the landed rows of one object."""
        return self._engine.table(object, database=self._pipeline.dataset_name)


@contextmanager
def open_source_tables(pipeline: "dlt.Pipeline") -> Iterator[SourceTables]:
    """Open the landed tables of a pipeline."""
    engine = pipeline.dataset().ibis()
    try:
        yield SourceTables(pipeline, engine)
    finally:
        engine.disconnect()
