"""Run dlt pipelines into the warehouse."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import dlt
import duckdb
import pyarrow as pa
from dlt.common.destination import Destination
from dlt.common.destination.exceptions import DestinationException
from dlt.pipeline.exceptions import PipelineStepFailed

from warehouse.destination import (
    configured_destination,
    duckdb_file,
    duckdb_option,
    file_to_read,
    open_in_duckdb,
    root_error,
)
from warehouse.file_wait import connect_when_free
from warehouse.processes import is_alive

T = TypeVar("T")

NAMING_CONVENTION = "sql_cs_v1"
"""dlt's naming convention that keeps the CRM's own spelling of columns."""


FOLDER_PREFIX = "onefunnel-"
"""The start of the name of a working folder; the id of its process follows."""


def run_dlt(crm: str, extract: Callable[[dlt.Pipeline], T], *, read_only: bool = False) -> T:
    """Call `extract` with a dlt pipeline whose dataset is the CRM's.

    Each object is landed in a table of its name. dlt stores its cursors with the rows, in the
    warehouse; no other file is kept. `read_only`: `extract` may look at cursors, and a DuckDB file
    is not changed.

    Raises: WarehouseBusyError, SyncError: the warehouse cannot be opened.
    """
    # Arrow's default pool keeps the memory of pages that are landed; these two return it
    has_jemalloc = "jemalloc" in pa.supported_memory_backends()
    pa.set_memory_pool(pa.jemalloc_memory_pool() if has_jemalloc else pa.system_memory_pool())
    try:
        with _pipeline(crm, read_only=read_only) as pipeline:
            return extract(pipeline)
    except (PipelineStepFailed, DestinationException) as failure:
        raise root_error(failure) from failure


def _remove_left_folders() -> None:
    """Remove the working folders of runs that were killed: they hold rows of the CRMs."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*-*"):
        process = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if process.isdecimal() and not is_alive(int(process)):
            # a folder of another user stays
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _pipeline(dataset: str, *, read_only: bool) -> Iterator[dlt.Pipeline]:
    """Give a pipeline into one dataset; its working folder is temporary."""
    os.environ.setdefault("SCHEMA__NAMING", NAMING_CONVENTION)
    with ExitStack() as stack:
        _remove_left_folders()
        prefix = f"{FOLDER_PREFIX}{os.getpid()}-"
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix))
        destination: str | Destination[Any, Any] = configured_destination()
        file = duckdb_file()
        if read_only and file:
            if file.exists():
                stack.enter_context(duckdb_option("READ_ONLY", "true"))
                destination = dlt.destinations.duckdb(f"duckdb:///{file_to_read(file)}")
            else:
                # DuckDB would create the file: an empty one in the temporary folder stands in
                destination = dlt.destinations.duckdb(f"duckdb:///{folder}/empty.duckdb")
        else:
            if file:
                # dlt opens the file for each load: a tool that opened it in between would end the
                # run. DuckDB's connections within one process share one open file
                stack.enter_context(connect_when_free(partial(duckdb.connect, str(file))))
                stack.enter_context(open_in_duckdb(file))
            # a vacuum during an extract doubles the memory, and takes more the larger the table is;
            # DuckDB does it when the warehouse is next opened
            stack.enter_context(duckdb_option("GLOBAL_CONFIG", json.dumps({"max_vacuum_tasks": 0})))
        yield dlt.pipeline(
            dataset, destination=destination, dataset_name=dataset, pipelines_dir=folder
        )
