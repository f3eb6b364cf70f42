"""A bulk query job: one question, and its rows as pages of CSV, several of them on their way."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pyarrow.csv

from connectors.concurrency import ahead
from connectors.extract.arrow import Position, typed
from connectors.extract.incremental import Parts
from connectors.extract.schema_drift import DRIFT
from connectors.http import Answer, lost
from connectors.pagination_guard import Trail
from connectors.salesforce.catalog import KEY
from connectors.salesforce.client import DATA, Client, has
from connectors.salesforce.soql import Question, Shape
from errors import RefusedError

PAGES_AT_ONCE = 2
"""Pages of a job on their way: 50,000 wide rows fill a hundred megabytes."""


def start(client: Client, question: Question) -> str | None:
    """Start a bulk job where the object allows it; pages can read every object."""
    body = {"operation": "queryAll", "query": question.soql()}
    try:
        job = client.post(f"{DATA}/jobs/query", body, is_sound=partial(has, "id"))
        return str(job["id"])
    except RefusedError:
        return None


def found_by(
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


def _carried_out(client: Client, job: str) -> int | None:
    """Wait for a job, and give the number of rows it found; None: it failed."""

    def look() -> dict[str, Any] | None:
        told = client.get(f"{DATA}/jobs/query/{job}", holds="state")
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
    trail = Trail(f"Salesforce: GET {path}/results")

    def read(asked: Mapping[str, str]) -> tuple[pa.Table, str]:
        return client.read(f"{path}/results", partial(_result, shape, path), **asked)

    def one_by_one() -> Iterator[tuple[pa.Table, str]]:
        while locator != "null":
            begin = {"locator": locator} if locator else {}
            yield read({"maxRecords": str(question.page_rows)} | begin)

    is_long = locator is None and found > question.page_rows
    listed = (partial(read, asked) for asked in (_listed(client, path) if is_long else ()))
    for table, following in chain(ahead(listed, at_most=PAGES_AT_ONCE), one_by_one()):
        locator = trail.follow(following)
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
            answer = client.get(f"{path}/resultPages", holds="resultPages", **asked)
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
        pa.BufferReader(csv),
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
