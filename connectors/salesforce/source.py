"""What Salesforce holds, as dlt resources that yield Arrow: all of it once, then what changed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.csv
from dlt.extract import DltResource

from connectors.increments import chosen, resource
from connectors.landing import Drifted, Row, tables, typed
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
    """What one pull asks for."""

    object: str
    fields: Sequence[Field]
    drifted: Drifted
    progress: Progress


def source(
    client: Client,
    wanted: Wanted,
    catalog: Catalog,
    *,
    full: bool = False,
    progress: Progress = lambda *_: None,
) -> list[DltResource]:
    """Make one resource an object wanted: named as the object, its columns as Salesforce's fields.

    Raises: ConfigError where a wanted object or field is not in the catalog.
    """
    return [
        _resource(client, object, names, catalog, full=full, progress=progress)
        for object, names in wanted.items()
    ]


def _resource(
    client: Client,
    object: str,
    names: Sequence[str],
    catalog: Catalog,
    *,
    full: bool,
    progress: Progress,
) -> DltResource:
    chosen(object, names, catalog)
    system = [name for name in SYSTEM if name in catalog[object]]
    fields = chosen(object, (*system, *names), catalog)
    # History rows are never changed: they have no SystemModstamp.
    cursor = "SystemModstamp" if "SystemModstamp" in system else "CreatedDate"

    def drifted(field: str, count: int) -> None:
        client.drift[object, field] += count

    def read(since: datetime | None) -> Iterator[pa.Table]:
        question = Question(object, fields, drifted, progress)
        if since is None:
            return _everything(client, question)
        if client.now() - since > RECYCLE_BIN:
            client.findings.append(
                f"{object} was last read before {since:%Y-%m-%d}: what was deleted since may be"
                " gone from the recycle bin; only a full pull notices"
            )
        after = f" WHERE {cursor} >= {since:%Y-%m-%dT%H:%M:%SZ} ORDER BY {cursor}, Id"
        return _by_pages(client, question, after)

    return resource(object, read, wanted=names, now=client.now, key=KEY, latest=cursor, full=full)


def _everything(client: Client, question: Question) -> Iterator[pa.Table]:
    counted = client.get(f"{DATA}/queryAll", q=f"SELECT COUNT() FROM {question.object}")
    if counted["totalSize"] < BULK_FROM:
        yield from _by_pages(client, question, "")
        return
    try:
        job = _start_job(client, question)
    except RefusedError:
        # Not every object can be read by a bulk job; every one can by pages.
        yield from _by_pages(client, question, "")
        return
    yield from _by_job(client, question, job, counted["totalSize"])


def _by_pages(client: Client, question: Question, conditions: str) -> Iterator[pa.Table]:
    """Read by REST, deleted and archived rows included."""
    return tables(
        _pages(client, question, conditions),
        question.fields,
        key=KEY,
        drifted=question.drifted,
    )


def _pages(client: Client, question: Question, conditions: str) -> Iterator[list[Row]]:
    answer = client.get(f"{DATA}/queryAll", q=_select(question) + conditions)
    rows = 0
    while True:
        rows += len(answer["records"])
        question.progress(question.object, rows, answer["totalSize"])
        yield answer["records"]
        if answer["done"]:
            return
        answer = client.get(answer["nextRecordsUrl"])


def _start_job(client: Client, question: Question) -> str:
    body = {"operation": "queryAll", "query": _select(question)}
    return str(client.post(f"{DATA}/jobs/query", body)["id"])


def _by_job(client: Client, question: Question, job: str, total: int) -> Iterator[pa.Table]:
    """Read by Bulk 2.0: few calls, pages of CSV."""
    path = f"{DATA}/jobs/query/{job}"

    def look() -> dict[str, Any] | None:
        state: dict[str, Any] = client.get(path)
        return state if state["state"] in ("JobComplete", "Failed", "Aborted") else None

    state = client.traffic.until_done(look)
    if state["state"] != "JobComplete":
        yield from _by_pages(client, question, "")
        return
    rows, locator = 0, None
    while locator != "null":
        params = {"maxRecords": str(BULK_PAGE)} | ({"locator": locator} if locator else {})
        answer = client.ask("GET", f"{path}/results", kind="read", params=params)
        table = _table(answer.body, question)
        rows += len(table)
        question.progress(question.object, rows, total)
        yield table
        locator = answer.headers.get("Sforce-Locator", "null")
    client.ask("DELETE", path, kind="read")


def _table(csv: bytes, question: Question) -> pa.Table:
    names = [field.name for field in question.fields]
    if not csv.strip():
        return next(tables((), question.fields, key=KEY, drifted=question.drifted))
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


def _select(question: Question) -> str:
    return f"SELECT {', '.join(field.name for field in question.fields)} FROM {question.object}"
