"""What Salesforce holds, as dlt resources that yield Arrow: all of it once, then what changed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pyarrow as pa
from dlt.extract import DltResource

from connectors.drifting import Watch
from connectors.increments import (
    PART_ROWS,
    Parts,
    Pull,
    State,
    chosen,
    next_since,
    repair,
    resource,
)
from connectors.landing import ROWS, Page, Position, Row
from connectors.salesforce.catalog import KEY
from connectors.salesforce.catalog import catalog as catalog_of
from connectors.salesforce.client import DATA, Client
from connectors.salesforce.jobs import found_by, start
from connectors.salesforce.proof import counted, records_of
from connectors.salesforce.reading import Progress, Question, Shape
from connectors.salesforce.roads import BULK_PAGE, is_job_cheaper, roads
from contract import Catalog, Field, Road, Wanted
from errors import RefusedError

SYSTEM = ("Id", "CreatedDate", "SystemModstamp", "IsDeleted")
"""Landed of every object that has them."""

RECYCLE_BIN = timedelta(days=15)
"""So long Salesforce shows what was deleted."""

JOBS = 2
"""So many are started for one reading: what one of them lost, another finds."""


def source(
    client: Client,
    wanted: Wanted,
    catalog: Catalog,
    *,
    full: bool = False,
    progress: Progress = lambda *_: None,
    part_rows: int = PART_ROWS,
) -> list[DltResource]:
    """Make one resource an object wanted: named as the object, its columns as Salesforce's fields.

    Raises: ConfigError where a wanted object or field is not in the catalog.
    """
    make = partial(_resource, client, full=full, progress=progress, part_rows=part_rows)
    return [make(_shape(client, object, wanted, catalog)) for object in wanted]


def again(
    client: Client, ids: Mapping[str, Sequence[str]], wanted: Wanted, catalog: Catalog
) -> list[DltResource]:
    """Make resources that read some rows once more."""
    return [
        _repair(client, _shape(client, object, wanted, catalog), some)
        for object, some in ids.items()
    ]


def planned(
    client: Client,
    wanted: Wanted,
    catalog: Catalog,
    states: Mapping[str, State],
    *,
    full: bool = False,
) -> list[Road]:
    """Say how the next pull reads each object; only counts are asked for."""
    shapes = [_shape(client, object, wanted, catalog) for object in wanted]
    since = {
        one.object: next_since(states[one.object], one.names, full=full or one.has_formula)
        for one in shapes
    }
    return roads(client, catalog, since)


def _shape(client: Client, object: str, wanted: Wanted, catalog: Catalog) -> Shape:
    chosen(object, wanted[object], catalog)
    system = [name for name in SYSTEM if name in catalog[object]]

    def count(field: str, misfits: int) -> None:
        client.drift[object, field] += misfits

    def look() -> Mapping[str, Field]:
        return catalog_of(client, [object]).get(object, {})

    fields = tuple(chosen(object, (*system, *wanted[object]), catalog))
    return Shape(object, fields, Watch(object, fields, look, count))


def _resource(
    client: Client, shape: Shape, *, full: bool, progress: Progress, part_rows: int
) -> DltResource:
    def read(pull: Pull) -> Parts:
        question = Question(shape, pull.since, progress, min(BULK_PAGE, part_rows))
        if pull.since and client.now() - pull.since > RECYCLE_BIN:
            client.findings.append(
                f"{shape.object} was last read before {pull.since:%Y-%m-%d}: what was deleted"
                " since may be gone from the recycle bin; only its absence is noticed"
            )
        return _read(client, question, pull.at)

    return resource(
        shape.object,
        read,
        wanted=shape.names,
        now=client.now,
        key=(KEY,),
        latest=shape.cursor,
        halted=partial(client.halted.__setitem__, shape.object),
        full=full or shape.has_formula,
        part_rows=part_rows,
    )


def _repair(client: Client, shape: Shape, ids: Sequence[str]) -> DltResource:
    def read() -> Iterator[pa.Table]:
        rows = list(records_of(client, shape.object, ids, shape.names))
        return (table for table, _ in shape.tables([(rows, None)]))

    return repair(
        shape.object,
        read,
        key=(KEY,),
        latest=shape.cursor,
        halted=partial(client.halted.__setitem__, shape.object),
    )


def _read(client: Client, question: Question, at: Position) -> Parts:
    """Go on with the job or behind the row that `at` names, or choose a road and begin.

    A job that is gone, because its results are kept for a week only, is begun anew.
    """
    if at and "job" in at:
        if (yield from found_by(client, question, at["job"], at["locator"])):
            return
        at = None
    first = _page(client, question, at, None) if at or question.since else None
    rows = first["totalSize"] if first else counted(client, question.shape.object)
    for _ in range(JOBS if not at and is_job_cheaper(rows, question.since) else 0):
        job = start(client, question)
        if job and (yield from found_by(client, question, job, None)):
            return
    yield from _by_pages(client, question, at, first)


def _by_pages(
    client: Client, question: Question, at: Position, first: dict[str, Any] | None
) -> Parts:
    """Read by REST, deleted and archived rows included."""
    pages = _pages(client, question, at, first)
    return question.shape.tables(pages, at_least=min(ROWS, question.page_rows))


def _pages(
    client: Client, question: Question, at: Position, answer: dict[str, Any] | None
) -> Iterator[Page]:
    """Read page by page; where the server forgot its cursor, ask anew behind the last row."""
    rows, next_page = 0, None
    while True:
        try:
            answer = answer or _page(client, question, at, next_page)
        except RefusedError as error:
            if next_page is None or error.code != "INVALID_QUERY_LOCATOR":
                raise
            next_page = None
            continue
        records = answer["records"]
        rows += len(records)
        question.progress(question.shape.object, rows, answer["totalSize"])
        at = _last(question, records) or at
        yield records, at
        if answer["done"]:
            return
        next_page, answer = answer["nextRecordsUrl"], None


def _last(question: Question, records: Sequence[Row]) -> Position:
    """Name the last row that can be named: one without a key is left out, and counted."""
    places = ([row.get(name) for name in question.order] for row in reversed(records))
    found = next((place for place in places if None not in place), None)
    return found and {"after": found}


def _page(
    client: Client, question: Question, at: Position, next_page: str | None
) -> dict[str, Any]:
    if next_page:
        return client.rows(next_page)
    order = ", ".join(question.order)
    behind = _behind(question, at["after"]) if at else ""
    return client.rows(f"{DATA}/queryAll", q=f"{question.soql(behind)} ORDER BY {order}")


def _behind(question: Question, last: Sequence[str]) -> str:
    """Write the condition for rows behind one: thousands may share the instant of its cursor."""
    *stamp, id = last
    if not stamp:
        return f"Id > '{id}'"
    cursor, instant = question.shape.cursor, stamp[0].replace("+0000", "Z")
    return f"({cursor} > {instant} OR ({cursor} = {instant} AND Id > '{id}'))"
