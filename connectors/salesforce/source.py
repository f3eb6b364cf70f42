"""What Salesforce holds, as dlt resources that yield Arrow: all of it once, then what changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
from dlt.extract import DltResource

from connectors.extract.arrow import ROWS, Page, Position, Row
from connectors.extract.incremental import (
    PART_ROWS,
    Parts,
    Pull,
    State,
    chosen,
    next_since,
    repair,
    resource,
)
from connectors.extract.schema_drift import Watch
from connectors.pagination_guard import Trail
from connectors.salesforce.bulk_query import found_by, start
from connectors.salesforce.catalog import KEY
from connectors.salesforce.catalog import catalog as catalog_of
from connectors.salesforce.client import DATA, LOCATOR_GONE, Client
from connectors.salesforce.estimate import BULK_PAGE, is_job_cheaper, roads
from connectors.salesforce.soql import Progress, Question, Shape
from connectors.salesforce.verify import counted, records_of
from errors import RefusedError
from models import Catalog, Field, Road, Wanted

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
    first = _asked(client, question, at) if at or question.since else None
    rows = first.page["totalSize"] if first else counted(client, question.shape.object)
    for _ in range(JOBS if not at and is_job_cheaper(rows, question.since) else 0):
        job = start(client, question)
        if job and (yield from found_by(client, question, job, None)):
            return
    pages = _pages(client, question, at, first or _asked(client, question, at))
    yield from question.shape.tables(pages, at_least=min(ROWS, question.page_rows))


@dataclass(frozen=True)
class _Asked:
    """A query that was asked, when, and its first page. Deleted and archived rows are included."""

    at: datetime
    page: dict[str, Any]


def _asked(client: Client, question: Question, behind: Position) -> _Asked:
    now, order = client.now(), ", ".join(question.order)
    condition = _behind(question, behind["after"]) if behind else ""
    query = f"{question.soql(condition)} ORDER BY {order}"
    return _Asked(now, client.rows(f"{DATA}/queryAll", q=query))


def _pages(client: Client, question: Question, at: Position, asked: _Asked) -> Iterator[Page]:
    """Read page by page; where the server forgot its cursor, ask anew behind the last row."""
    rows, page, anew_at = 0, asked.page, list[Position]()
    trail = Trail(f"Salesforce: GET {DATA}/queryAll")
    while True:
        records = page["records"]
        rows += len(records)
        question.progress(question.shape.object, rows, page["totalSize"])
        at = _last(question, records, asked.at) or at
        yield records, at
        if page["done"]:
            return
        try:
            page = client.rows(trail.follow(page["nextRecordsUrl"]))
        except RefusedError as error:
            if error.code != LOCATOR_GONE or anew_at == [at]:
                raise
            anew_at, trail = [at], Trail(f"Salesforce: GET {DATA}/queryAll")
            asked = _asked(client, question, at)
            page = asked.page


def _last(question: Question, records: Sequence[Row], asked_at: datetime) -> Position:
    """Name the last row that can be named: one without a key is left out, and counted.

    A query keeps its rows in their places, but shows them as they are: one that was modified since
    it was asked has a later stamp than its place, and rows behind it would be taken for read.
    """

    def is_in_place(place: Sequence[str | None]) -> bool:
        if None in place:
            return False
        *stamp, _ = place
        return all(datetime.fromisoformat(one or "") < asked_at for one in stamp)

    places = ([row.get(name) for name in question.order] for row in reversed(records))
    found = next(filter(is_in_place, places), None)
    return found and {"after": found}


def _behind(question: Question, last: Sequence[str]) -> str:
    """Write the condition for rows behind one: thousands may share the instant of its cursor."""
    *stamp, id = last
    if not stamp:
        return f"Id > '{id}'"
    cursor, instant = question.shape.cursor, stamp[0].replace("+0000", "Z")
    return f"({cursor} > {instant} OR ({cursor} = {instant} AND Id > '{id}'))"
