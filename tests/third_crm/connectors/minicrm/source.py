"""Read the objects of MiniCRM as dlt resources: all rows once, then the changed rows."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa
from dlt.extract import DltResource

from connectors import Progress
from connectors.extract.arrow import Page, to_tables
from connectors.extract.incremental import (
    Batches,
    ReadWindow,
    State,
    incremental_resource,
    next_cursor,
    reread_resource,
    select_fields,
)
from models import Catalog, ExtractEstimate, Field, FieldSelection

from .catalog import PRIMARY_KEY, SYSTEM_FIELDS
from .client import Client


def source(
    client: Client,
    selection: FieldSelection,
    catalog: Catalog,
    *,
    full: bool = False,
    progress: Progress = lambda *_: None,
) -> list[DltResource]:
    """Make one resource per object, named after it."""

    def resource(object: str) -> DltResource:
        fields = _fields(object, selection, catalog)

        def read(window: ReadWindow) -> Batches:
            return _tables(client, object, fields, _pages(client, object, window, progress))

        return incremental_resource(
            object,
            read,
            selected_fields=[field.name for field in fields],
            now=client.now,
            key=(PRIMARY_KEY,),
            dedup_sort_column="updated",
            on_failure=partial(client.failed_objects.__setitem__, object),
            full=full,
        )

    return [resource(object) for object in selection]


def reread(
    client: Client, ids: Mapping[str, Sequence[str]], selection: FieldSelection, catalog: Catalog
) -> list[DltResource]:
    """Make resources that read some records again."""

    def resource(object: str, record_ids: Sequence[str]) -> DltResource:
        fields = _fields(object, selection, catalog)

        def read() -> Iterator[pa.Table]:
            rows = client.get(f"/{object}", ids=",".join(record_ids))["rows"]
            return (table for table, _ in _tables(client, object, fields, iter([(rows, None)])))

        return reread_resource(
            object,
            read,
            key=(PRIMARY_KEY,),
            dedup_sort_column="updated",
            on_failure=partial(client.failed_objects.__setitem__, object),
        )

    return [resource(object, record_ids) for object, record_ids in ids.items()]


def estimate(
    client: Client,
    selection: FieldSelection,
    catalog: Catalog,
    states: Mapping[str, State],
    *,
    full: bool = False,
) -> list[ExtractEstimate]:
    """Report how each object is read; MiniCRM does not count rows before it is read."""
    names = {
        object: [field.name for field in _fields(object, selection, catalog)]
        for object in selection
    }
    since = {object: next_cursor(states[object], names[object], full=full) for object in selection}
    return [
        ExtractEstimate(object, "list", f"since {at}" if at else "all rows", None, 1)
        for object, at in since.items()
    ]


def _fields(object: str, selection: FieldSelection, catalog: Catalog) -> list[Field]:
    return select_fields(object, (*SYSTEM_FIELDS, *selection[object]), catalog)


def _tables(client: Client, object: str, fields: list[Field], pages: Iterator[Page]) -> Batches:
    mismatch = partial(client.count_mismatches, object)
    return to_tables(pages, fields, key=(PRIMARY_KEY,), on_mismatch=mismatch)


def _pages(client: Client, object: str, window: ReadWindow, progress: Progress) -> Iterator[Page]:
    """Read page by page from the position that was stored with the last landed table."""
    since = {"updated_since": window.since.isoformat()} if window.since else {}
    after, count = window.page_token, 0
    while True:
        page = client.get(f"/{object}", **since, **({"after": after} if after else {}))
        count += len(page["rows"])
        progress(object, count, page["total"])
        after = page["next"]
        yield page["rows"], after
        if after is None:
            return
