"""What Salesforce holds, as dlt resources that yield Arrow: all of it once, then what changed."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pyarrow.csv
from dlt.extract import DltResource

from connectors.drifting import DRIFT, Watch
from connectors.flight import ahead
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
from connectors.landing import ROWS, Page, Position, Row, tables, typed
from connectors.salesforce.catalog import KEY
from connectors.salesforce.catalog import catalog as catalog_of
from connectors.salesforce.client import DATA, Client, endless
from connectors.salesforce.proof import counted, records_of
from connectors.salesforce.roads import BULK_PAGE, is_job_cheaper, roads
from connectors.wire import Answer, lost
from contract import Catalog, Field, Road, Wanted
from errors import RefusedError

SYSTEM = ("Id", "CreatedDate", "SystemModstamp", "IsDeleted")
"""Landed of every object that has them."""

RECYCLE_BIN = timedelta(days=15)
"""So long Salesforce shows what was deleted."""

JOBS = 2
"""So many are started for one reading: what one of them lost, another finds."""

PAGES_AT_ONCE = 2
"""Pages of a job on their way: 50,000 wide rows fill a hundred megabytes."""

Progress = Callable[[str, int, int | None], None]


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


@dataclass(frozen=True)
class Shape:
    """One object as it is landed."""

    object: str
    fields: tuple[Field, ...]
    watch: Watch

    @property
    def names(self) -> tuple[str, ...]:
        """The fields to ask for."""
        return tuple(field.name for field in self.fields)

    @property
    def cursor(self) -> str:
        """The field that tells when a row was modified; of history rows, which never are, made."""
        return "SystemModstamp" if "SystemModstamp" in self.names else "CreatedDate"

    @property
    def has_formula(self) -> bool:
        """A formula changes with what it is made of, and no cursor moves: all is read again."""
        return any(field.calculated for field in self.fields)

    def tables(self, pages: Iterable[Page], *, at_least: int = ROWS) -> Parts:
        """Collect pages into tables."""
        drifted = self.watch.misfits
        return tables(pages, self.fields, key=(KEY,), drifted=drifted, at_least=at_least)


@dataclass(frozen=True)
class Question:
    """What one pull asks for; `since` None asks for everything."""

    shape: Shape
    since: datetime | None
    progress: Progress
    page_rows: int

    @property
    def order(self) -> tuple[str, ...]:
        """Everything comes in an order that no edit changes, what changed in that of its edits."""
        return (KEY,) if self.since is None else (self.shape.cursor, KEY)

    def soql(self, *conditions: str) -> str:
        """Write it as a query; a condition that is empty is none."""
        since = self.since and f"{self.shape.cursor} >= {self.since:%Y-%m-%dT%H:%M:%SZ}"
        where = " AND ".join(one for one in (since, *conditions) if one)
        names = ", ".join(self.shape.names)
        return f"SELECT {names} FROM {self.shape.object}" + (f" WHERE {where}" if where else "")


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
        if (yield from _by_job(client, question, at["job"], at["locator"])):
            return
        at = None
    first = _page(client, question, at, None) if at or question.since else None
    rows = first["totalSize"] if first else counted(client, question.shape.object)
    for _ in range(JOBS if not at and is_job_cheaper(rows, question.since) else 0):
        job = _start_job(client, question)
        if job and (yield from _by_job(client, question, job, None)):
            return
    yield from _by_pages(client, question, at, first)


def _by_job(
    client: Client, question: Question, job: str, locator: str | None
) -> Generator[tuple[pa.Table, Position], None, bool]:
    """Read what a job finds, and say whether it was all: a job may fail, and its results expire."""
    try:
        found = _carried_out(client, job)
        if found is not None:
            yield from _results(client, question, job, found, locator)
    except RefusedError as error:
        if error.code in DRIFT:
            raise
        return False
    return found is not None


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


def _start_job(client: Client, question: Question) -> str | None:
    """Start a bulk job where the object allows it; pages can read every object."""
    body = {"operation": "queryAll", "query": question.soql()}
    try:
        return str(client.post(f"{DATA}/jobs/query", body)["id"])
    except RefusedError:
        return None


def _carried_out(client: Client, job: str) -> int | None:
    """Wait for a job, and give the number of rows it found; None: it failed."""

    def look() -> dict[str, Any] | None:
        told: dict[str, Any] = client.get(f"{DATA}/jobs/query/{job}")
        return told if told["state"] in ("JobComplete", "Failed", "Aborted") else None

    told = client.traffic.until_done(look)
    return int(told.get("numberRecordsProcessed") or 0) if told["state"] == "JobComplete" else None


def _results(
    client: Client, question: Question, job: str, found: int, locator: str | None
) -> Parts:
    """Read what a job found: few calls, pages of CSV, several of them on their way.

    Where a page says that there is one behind it which was not listed, it is followed.
    """
    shape, path, rows = question.shape, f"{DATA}/jobs/query/{job}", 0

    def read(asked: Mapping[str, str]) -> tuple[pa.Table, str]:
        return client.read(f"{path}/results", partial(_result, shape, path), **asked)

    def one_by_one() -> Iterator[tuple[pa.Table, str]]:
        while locator != "null":
            begin = {"locator": locator} if locator else {}
            yield read({"maxRecords": str(question.page_rows)} | begin)

    is_long = locator is None and found > question.page_rows
    listed = (partial(read, asked) for asked in (_listed(client, path) if is_long else ()))
    for table, following in chain(ahead(listed, at_most=PAGES_AT_ONCE), one_by_one()):
        if following == locator != "null":
            raise endless(f"GET {path}/results")
        locator = following
        rows += len(table)
        question.progress(shape.object, rows, found)
        yield table, {"job": job, "locator": locator}
    with suppress(RefusedError):  # it is gone already
        client.ask("DELETE", path, kind="read")


def _listed(client: Client, path: str) -> Iterator[Mapping[str, str]]:
    """Give what to ask for each page of a job; Salesforce lists up to five of them at a time."""
    asked: dict[str, str] | None = {}
    while asked is not None:
        try:
            answer = client.get(f"{path}/resultPages", **asked)
        except RefusedError:
            return
        yield from (_query_of(page["resultUrl"]) for page in answer["resultPages"])
        # spelt in two ways in Salesforce's own documents
        following = answer.get("nextRecordsUrl") or answer.get("nextRecordUrl")
        asked = _query_of(following) if following and _query_of(following) != asked else None


def _query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def _result(shape: Shape, path: str, answer: Answer) -> tuple[pa.Table, str]:
    """Read a page, and where the next begins. Raises: RetryableError where it came cut off."""
    try:
        texts = _texts(answer.body, shape)
    except pa.ArrowException:
        raise lost(f"GET {path}", is_write=False) from None
    told = answer.headers.get("Sforce-NumberOfRecords", "")
    if told.isdigit() and int(told) != len(texts):
        raise lost(f"GET {path}", is_write=False)
    table = typed(texts, shape.fields, key=(KEY,), drifted=shape.watch.misfits)
    return table, answer.headers.get("Sforce-Locator", "null")


def _texts(csv: bytes, shape: Shape) -> pa.Table:
    if not csv.strip():
        return pa.table({name: pa.array([], pa.string()) for name in shape.names})
    return pa.csv.read_csv(
        BytesIO(csv),
        # One block: a text with line breaks may not lie across two.
        read_options=pa.csv.ReadOptions(block_size=len(csv) + 1),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(shape.names, pa.string()),
            include_columns=shape.names,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
