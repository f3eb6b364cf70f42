"""What Salesforce holds, as dlt resources that yield Arrow: all of it once, then what changed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.csv
from dlt.extract import DltResource

from connectors.increments import PART_ROWS, Parts, Pull, chosen, resource
from connectors.landing import ROWS, Drifted, Page, Position, tables, typed
from connectors.salesforce.client import DATA, Client
from contract import Catalog, Field, Wanted
from errors import RefusedError

SYSTEM = ("Id", "CreatedDate", "SystemModstamp", "IsDeleted")
"""Landed of every object that has them."""

KEY = ("Id",)
BULK_FROM = 2_000
"""So many rows and more are read by one bulk job instead of page by page."""

BULK_PAGE = 50_000

RECYCLE_BIN = timedelta(days=15)
"""So long Salesforce shows what was deleted."""

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Question:
    """What one pull asks for; `since` None asks for everything."""

    object: str
    fields: Sequence[Field]
    cursor: str
    since: datetime | None
    drifted: Drifted
    progress: Progress
    page_rows: int

    @property
    def order(self) -> tuple[str, ...]:
        """Everything comes in an order that no edit changes, what changed in that of its edits."""
        return ("Id",) if self.since is None else (self.cursor, "Id")

    def soql(self, *conditions: str) -> str:
        """Write it as a query; a condition that is empty is none."""
        since = self.since and f"{self.cursor} >= {self.since:%Y-%m-%dT%H:%M:%SZ}"
        where = " AND ".join(one for one in (since, *conditions) if one)
        names = ", ".join(field.name for field in self.fields)
        return f"SELECT {names} FROM {self.object}" + (f" WHERE {where}" if where else "")


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
    make = partial(
        _resource, client, catalog=catalog, full=full, progress=progress, part_rows=part_rows
    )
    return [make(object, names) for object, names in wanted.items()]


def _resource(
    client: Client,
    object: str,
    names: Sequence[str],
    *,
    catalog: Catalog,
    full: bool,
    progress: Progress,
    part_rows: int,
) -> DltResource:
    chosen(object, names, catalog)
    system = [name for name in SYSTEM if name in catalog[object]]
    fields = chosen(object, (*system, *names), catalog)
    # History rows are never changed: they have no SystemModstamp.
    cursor = "SystemModstamp" if "SystemModstamp" in system else "CreatedDate"

    def drifted(field: str, count: int) -> None:
        client.drift[object, field] += count

    def read(pull: Pull) -> Parts:
        question = Question(
            object, fields, cursor, pull.since, drifted, progress, min(BULK_PAGE, part_rows)
        )
        if pull.since and client.now() - pull.since > RECYCLE_BIN:
            client.findings.append(
                f"{object} was last read before {pull.since:%Y-%m-%d}: what was deleted since may"
                " be gone from the recycle bin; only a full pull notices"
            )
        return _read(client, question, pull.at)

    return resource(
        object,
        read,
        wanted=names,
        now=client.now,
        key=KEY,
        latest=cursor,
        full=full,
        part_rows=part_rows,
    )


def _read(client: Client, question: Question, at: Position) -> Parts:
    """Go on with the job or behind the row that `at` names, or choose a road and begin.

    A job that is gone, because its results are kept for a week only, is begun anew.
    """
    if at and "job" in at:
        try:
            yield from _results(client, question, at["job"], at["locator"])
        except RefusedError:
            at = None
        else:
            return
    job = None if at or question.since else _start_job(client, question)
    if job and _is_done(client, job):
        yield from _results(client, question, job, None)
    else:
        yield from _by_pages(client, question, at)


def _by_pages(client: Client, question: Question, at: Position) -> Parts:
    """Read by REST, deleted and archived rows included."""
    return tables(
        _pages(client, question, at),
        question.fields,
        key=KEY,
        drifted=question.drifted,
        at_least=min(ROWS, question.page_rows),
    )


def _pages(client: Client, question: Question, at: Position) -> Iterator[Page]:
    """Read page by page; where the server forgot its cursor, ask anew behind the last row."""
    rows, next_page = 0, None
    while True:
        try:
            answer = _page(client, question, at, next_page)
        except RefusedError as error:
            if next_page is None or error.code != "INVALID_QUERY_LOCATOR":
                raise
            next_page = None
            continue
        records = answer["records"]
        rows += len(records)
        question.progress(question.object, rows, answer["totalSize"])
        at = {"after": [records[-1][name] for name in question.order]} if records else at
        yield records, at
        if answer["done"]:
            return
        next_page = answer["nextRecordsUrl"]


def _page(client: Client, question: Question, at: Position, next_page: str | None) -> Any:
    if next_page:
        return client.get(next_page)
    order = ", ".join(question.order)
    behind = _behind(question, at["after"]) if at else ""
    return client.get(f"{DATA}/queryAll", q=f"{question.soql(behind)} ORDER BY {order}")


def _behind(question: Question, last: Sequence[str]) -> str:
    """Write the condition for rows behind one: thousands may share the instant of its cursor."""
    *stamp, id = last
    if not stamp:
        return f"Id > '{id}'"
    instant = stamp[0].replace("+0000", "Z")
    return f"({question.cursor} > {instant} OR ({question.cursor} = {instant} AND Id > '{id}'))"


def _start_job(client: Client, question: Question) -> str | None:
    """Start a bulk job where it pays and the object allows it; pages can read every object."""
    counted = client.get(f"{DATA}/queryAll", q=f"SELECT COUNT() FROM {question.object}")
    if counted["totalSize"] < BULK_FROM:
        return None
    body = {"operation": "queryAll", "query": question.soql()}
    try:
        return str(client.post(f"{DATA}/jobs/query", body)["id"])
    except RefusedError:
        return None


def _is_done(client: Client, job: str) -> bool:
    """Wait for a job; it may also fail."""

    def look() -> str | None:
        state: str = client.get(f"{DATA}/jobs/query/{job}")["state"]
        return state if state in ("JobComplete", "Failed", "Aborted") else None

    return client.traffic.until_done(look) == "JobComplete"


def _results(client: Client, question: Question, job: str, locator: str | None) -> Parts:
    """Read what a job found: few calls, pages of CSV."""
    path = f"{DATA}/jobs/query/{job}"
    rows = 0
    while locator != "null":
        params = {"maxRecords": str(question.page_rows)} | ({"locator": locator} if locator else {})
        answer = client.ask("GET", f"{path}/results", kind="read", params=params)
        locator = answer.headers.get("Sforce-Locator", "null")
        table = _table(answer.body, question)
        rows += len(table)
        question.progress(question.object, rows, None)
        yield table, {"job": job, "locator": locator}
    with suppress(RefusedError):  # it is gone already
        client.ask("DELETE", path, kind="read")


def _table(csv: bytes, question: Question) -> pa.Table:
    names = [field.name for field in question.fields]
    if not csv.strip():
        return next(tables((), question.fields, key=KEY, drifted=question.drifted))[0]
    texts = pa.csv.read_csv(
        BytesIO(csv),
        # One block: a text with line breaks may not lie across two.
        read_options=pa.csv.ReadOptions(block_size=len(csv) + 1),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=names,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    return typed(texts, question.fields, key=KEY, drifted=question.drifted)
