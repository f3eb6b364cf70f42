"""A bulk query job: one question, and its rows as pages of CSV, several of them on their way."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pyarrow.csv

from connectors.answer_limits import AnswerTooLargeError
from connectors.concurrency import map_ordered
from connectors.extract.arrow import PageToken, cast_table
from connectors.extract.incremental import Batches
from connectors.extract.schema_drift import DRIFT_CODES
from connectors.http import PaginationLoopGuard, Response, malformed
from connectors.salesforce.catalog import PRIMARY_KEY
from connectors.salesforce.client import DATA_PATH, Client, has_key, has_text
from connectors.salesforce.soql import ObjectSchema, ReadRequest
from errors import RejectedError

MAX_CONCURRENT_PAGES = 2
"""Pages of a job on their way: 50,000 wide rows fill a hundred megabytes."""


def create_job(client: Client, request: ReadRequest) -> str | None:
    """Start a bulk job where the object allows it; pages can read every object."""
    body = {"operation": "queryAll", "query": request.soql()}
    try:
        job = client.post(f"{DATA_PATH}/jobs/query", body, is_valid=partial(has_key, "id"))
        return str(job["id"])
    except RejectedError:
        return None


def read_job(
    client: Client, request: ReadRequest, job: str, locator: str | None
) -> Generator[tuple[pa.Table, PageToken], None, bool]:
    """Read what a job finds, and say whether it was all: a job may fail, and its results expire."""
    try:
        found = _wait_for_job(client, request, job)
        if found is not None:
            yield from _read_results(client, request, job, found, locator)
    except RejectedError as error:
        if error.code in DRIFT_CODES:
            raise
        return False
    return found is not None


def _wait_for_job(client: Client, request: ReadRequest, job: str) -> int | None:
    """Wait for a job, and give the number of rows it found; None: it failed."""

    def look() -> dict[str, Any] | None:
        # a job may take two hours: the run renews its lock with each report
        request.progress(request.schema.object, 0, None)
        job_status = client.get(
            f"{DATA_PATH}/jobs/query/{job}",
            expected_key="state",
            is_valid=lambda state: isinstance(state, str),
        )
        return job_status if job_status["state"] in ("JobComplete", "Failed", "Aborted") else None

    job_status = client.api_caller.poll(look)
    rows = job_status.get("numberRecordsProcessed")
    if job_status["state"] != "JobComplete":
        return None
    return rows if isinstance(rows, int) else 0


def _read_results(
    client: Client, question: ReadRequest, job: str, found: int, locator: str | None
) -> Batches:
    """Read what a job found: few calls, pages of CSV, several of them on their way.

    Where a page says that there is one behind it which was not listed, it is followed. Where the
    rows of a page are too long for one answer, fewer rows are asked for.
    """
    shape, path, rows = question.schema, f"{DATA_PATH}/jobs/query/{job}", 0
    loop_guard = PaginationLoopGuard(f"Salesforce: GET {path}/results")

    def read(asked: Mapping[str, str]) -> tuple[pa.Table, str]:
        page = partial(client.read, f"{path}/results", partial(_read_page, shape, path), **asked)
        # a page that came before says that it begins where it ends
        guard = PaginationLoopGuard(loop_guard.where)
        guard.check(*([asked["locator"]] if "locator" in asked else []))
        return guard.fetch(client.api_caller, page, _next_locators)

    def several() -> Iterator[tuple[pa.Table, str]]:
        listed = (partial(read, asked) for asked in _list_result_pages(client, path))
        with suppress(AnswerTooLargeError):
            yield from map_ordered(listed, limit=MAX_CONCURRENT_PAGES)

    def one_by_one() -> Iterator[tuple[pa.Table, str]]:
        page_rows = question.page_rows
        while locator != "null":
            begin = {"locator": locator} if locator else {}
            try:
                yield read({"maxRecords": str(page_rows)} | begin)
            except AnswerTooLargeError:
                if page_rows == 1:
                    raise
                page_rows //= 2

    is_long = locator is None and found > question.page_rows
    for table, following in chain(several() if is_long else (), one_by_one()):
        locator = following
        loop_guard.check(following)
        rows += len(table)
        question.progress(shape.object, rows, found)
        yield table, {"job": job, "locator": locator}
    with suppress(RejectedError):  # it is gone already
        client.request("DELETE", path, kind="read")


def _list_result_pages(client: Client, path: str) -> Iterator[Mapping[str, str]]:
    """Give what to ask for each page of a job; Salesforce lists up to five of them at a time."""
    asked: dict[str, str] | None = {}
    while asked is not None:
        try:
            answer = client.get(
                f"{path}/resultPages", expected_key="resultPages", is_valid=_are_urls, **asked
            )
        except RejectedError:
            return
        yield from (_query_params(page["resultUrl"]) for page in answer["resultPages"])
        # spelt in two ways in Salesforce's own documents
        following = answer.get("nextRecordsUrl") or answer.get("nextRecordUrl")
        asked = (
            _query_params(following) if following and _query_params(following) != asked else None
        )


def _are_urls(pages: Any) -> bool:
    return isinstance(pages, list) and all(has_text("resultUrl", page) for page in pages)


def _query_params(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def _next_locators(page: tuple[pa.Table, str]) -> list[str]:
    return [] if page[1] == "null" else [page[1]]


def _read_page(shape: ObjectSchema, path: str, answer: Response) -> tuple[pa.Table, str]:
    """Read a page, and where the next begins. Raises: RetryableError where it is cut off."""
    try:
        texts = _parse_csv(answer.body, shape)
    except pa.ArrowException:
        raise malformed(f"GET {path}", is_write=False) from None
    row_count = answer.headers.get("Sforce-NumberOfRecords", "")
    locator = answer.headers.get("Sforce-Locator")
    is_whole = not row_count.isdecimal() or int(row_count) == len(texts)
    if not is_whole or locator is None:
        raise malformed(f"GET {path}", is_write=False)
    table = cast_table(
        texts, shape.fields, key=(PRIMARY_KEY,), on_mismatch=shape.drift_detector.report_mismatch
    )
    return table, locator


def _parse_csv(csv: bytes, shape: ObjectSchema) -> pa.Table:
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
