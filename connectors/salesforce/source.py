"""What Salesforce holds, as dlt resources that yield Arrow: all of it once, then what changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
from dlt.extract import DltResource

from connectors.extract.arrow import MIN_ROWS, Page, PageToken, Row
from connectors.extract.incremental import (
    CHECKPOINT_ROWS,
    Batches,
    ReadWindow,
    State,
    incremental_resource,
    next_cursor,
    reread_resource,
    select_fields,
)
from connectors.extract.schema_drift import DriftDetector
from connectors.http import PaginationLoopGuard
from connectors.salesforce.bulk_query import create_job, read_job
from connectors.salesforce.catalog import PRIMARY_KEY
from connectors.salesforce.catalog import catalog as catalog_of
from connectors.salesforce.client import (
    DATA_PATH,
    LOCATOR_EXPIRED,
    Client,
    next_page_url,
    next_page_urls,
)
from connectors.salesforce.estimate import BULK_PAGE_ROWS, extract_estimates, is_bulk_cheaper
from connectors.salesforce.soql import ObjectSchema, Progress, ReadRequest
from connectors.salesforce.verify import count_rows, read_by_id
from errors import RejectedError
from models import Catalog, ExtractEstimate, Field, FieldSelection

SYSTEM_FIELDS = ("Id", "CreatedDate", "SystemModstamp", "IsDeleted")
"""Landed of every object that has them."""

RECYCLE_BIN_RETENTION = timedelta(days=15)
"""So long Salesforce shows what was deleted."""

MAX_JOBS_PER_READ = 2
"""Jobs started for one extract at most: a new job replaces one that was lost."""


def source(
    client: Client,
    selection: FieldSelection,
    catalog: Catalog,
    *,
    full: bool = False,
    progress: Progress = lambda *_: None,
    checkpoint_rows: int = CHECKPOINT_ROWS,
) -> list[DltResource]:
    """Make one resource an object wanted: named as the object, its columns as Salesforce's fields.

    Raises: ConfigError where a wanted object or field is not in the catalog.
    """
    make = partial(_resource, client, full=full, progress=progress, part_rows=checkpoint_rows)
    return [make(_object_schema(client, object, selection, catalog)) for object in selection]


def reread(
    client: Client, ids: Mapping[str, Sequence[str]], selection: FieldSelection, catalog: Catalog
) -> list[DltResource]:
    """Make resources that read some rows once more."""
    return [
        _reread_resource(client, _object_schema(client, object, selection, catalog), some)
        for object, some in ids.items()
    ]


def estimate(
    client: Client,
    selection: FieldSelection,
    catalog: Catalog,
    states: Mapping[str, State],
    *,
    full: bool = False,
) -> list[ExtractEstimate]:
    """Say how the next pull reads each object; only counts are asked for."""
    shapes = [_object_schema(client, object, selection, catalog) for object in selection]
    since = {
        one.object: next_cursor(states[one.object], one.names, full=full or one.has_formula)
        for one in shapes
    }
    return extract_estimates(client, catalog, since)


def _object_schema(
    client: Client, object: str, wanted: FieldSelection, catalog: Catalog
) -> ObjectSchema:
    select_fields(object, wanted[object], catalog)
    system = [name for name in SYSTEM_FIELDS if name in catalog[object]]

    def look() -> Mapping[str, Field]:
        return catalog_of(client, [object]).get(object, {})

    fields = tuple(select_fields(object, (*system, *wanted[object]), catalog))
    return ObjectSchema(
        object,
        fields,
        DriftDetector(object, fields, look, partial(client.count_mismatches, object)),
    )


def _resource(
    client: Client, shape: ObjectSchema, *, full: bool, progress: Progress, part_rows: int
) -> DltResource:
    def read(pull: ReadWindow) -> Batches:
        question = ReadRequest(shape, pull.since, progress, min(BULK_PAGE_ROWS, part_rows))
        if pull.since and client.now() - pull.since > RECYCLE_BIN_RETENTION:
            client.warnings.append(
                f"{shape.object} was last read before {pull.since:%Y-%m-%d}: what was deleted"
                " since may be gone from the recycle bin; only its absence is noticed"
            )
        return _read(client, question, pull.page_token)

    return incremental_resource(
        shape.object,
        read,
        selected_fields=shape.names,
        now=client.now,
        key=(PRIMARY_KEY,),
        dedup_sort_column=shape.cursor,
        on_failure=partial(client.failed_objects.__setitem__, shape.object),
        full=full or shape.has_formula,
        checkpoint_rows=part_rows,
    )


def _reread_resource(client: Client, shape: ObjectSchema, ids: Sequence[str]) -> DltResource:
    def read() -> Iterator[pa.Table]:
        rows = list(read_by_id(client, shape.object, ids, shape.names))
        return (table for table, _ in shape.to_tables([(rows, None)]))

    return reread_resource(
        shape.object,
        read,
        key=(PRIMARY_KEY,),
        dedup_sort_column=shape.cursor,
        on_failure=partial(client.failed_objects.__setitem__, shape.object),
    )


def _read(client: Client, question: ReadRequest, at: PageToken) -> Batches:
    """Continue with the job or after the row in `at`, or choose a method and start.

    Salesforce keeps job results for seven days (Bulk API 2.0): an expired job is started again.
    """
    if at and "job" in at:
        if (yield from read_job(client, question, at["job"], at["locator"])):
            return
        at = None
    first = _run_query(client, question, at) if at or question.since else None
    rows = first.page["totalSize"] if first else count_rows(client, question.schema.object)
    for _ in range(MAX_JOBS_PER_READ if not at and is_bulk_cheaper(rows, question.since) else 0):
        job = create_job(client, question)
        if job and (yield from read_job(client, question, job, None)):
            return
    pages = _pages(client, question, at, first or _run_query(client, question, at))
    yield from question.schema.to_tables(pages, min_rows=min(MIN_ROWS, question.page_rows))


@dataclass(frozen=True)
class _QueryResult:
    """A query that was asked, when, and its first page. Deleted and archived rows are included."""

    queried_at: datetime
    page: dict[str, Any]


def _run_query(client: Client, question: ReadRequest, behind: PageToken) -> _QueryResult:
    now, order = client.now(), ", ".join(question.sort_fields)
    condition = _after_row(question, behind["after"]) if behind else ""
    query = f"{question.soql(condition)} ORDER BY {order}"
    return _QueryResult(now, client.read_page(f"{DATA_PATH}/queryAll", q=query))


def _pages(
    client: Client, question: ReadRequest, at: PageToken, asked: _QueryResult
) -> Iterator[Page]:
    """Read page by page; where the cursor expired, query again after the last row."""
    rows, page, anew_at = 0, asked.page, list[PageToken]()
    loop_guard = PaginationLoopGuard(f"Salesforce: GET {DATA_PATH}/queryAll")
    while True:
        records = page["records"]
        rows += len(records)
        question.progress(question.schema.object, rows, page["totalSize"])
        at = _last_position(question, records, asked.queried_at) or at
        yield records, at
        if not (following := next_page_url(page)):
            return
        try:
            page = loop_guard.fetch(
                client.api_caller, partial(client.read_page, following), next_page_urls
            )
        except RejectedError as error:
            if error.code != LOCATOR_EXPIRED or anew_at == [at]:
                raise
            anew_at, loop_guard = [at], PaginationLoopGuard(f"Salesforce: GET {DATA_PATH}/queryAll")
            asked = _run_query(client, question, at)
            page = asked.page


def _last_position(question: ReadRequest, records: Sequence[Row], asked_at: datetime) -> PageToken:
    """Name the last row that can be named: one without a key is left out, and counted.

    A query keeps its rows in their places, but shows them as they are: one that was modified since
    it was asked has a later stamp than its place, and rows behind it would be taken for read.
    """

    def is_in_place(place: Sequence[str | None]) -> bool:
        if None in place:
            return False
        *stamp, _ = place
        return all(datetime.fromisoformat(one or "") < asked_at for one in stamp)

    places = ([row.get(name) for name in question.sort_fields] for row in reversed(records))
    found = next(filter(is_in_place, places), None)
    return found and {"after": found}


def _after_row(question: ReadRequest, last: Sequence[str]) -> str:
    """Write the condition for rows behind one: thousands may share the instant of its cursor."""
    *stamp, id = last
    if not stamp:
        return f"Id > '{id}'"
    cursor, instant = question.schema.cursor, stamp[0].replace("+0000", "Z")
    return f"({cursor} > {instant} OR ({cursor} = {instant} AND Id > '{id}'))"
