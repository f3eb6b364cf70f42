"""Write many changes with one Bulk 2.0 ingest job: one upload, then a result for each row."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.csv

from connectors.http import Response, malformed
from connectors.salesforce.client import DATA_PATH, Client, has_text
from connectors.salesforce.error_codes import ApiError, rejection
from errors import QuotaError, RejectedError, RetryableError, SyncError, UnknownOutcomeError
from models import FieldChange, RecordChange

INGEST_JOBS_PATH = f"{DATA_PATH}/jobs/ingest"
MAX_ROWS = 20_000
"""Rows of one job, which are all in memory. Salesforce processes them by 10,000 (Bulk API 2.0)."""

MAX_BYTES = 100_000_000
NULL_MARKER = "#N/A"
"""Clears a field; an empty cell keeps its value (Bulk API 2.0, CSV)."""

TERMINAL_STATES = frozenset({"JobComplete", "Failed", "Aborted"})
STALE_AFTER = timedelta(hours=1)
"""A job that is open for this long belongs to a run that was killed."""

MAX_LIST_PAGES = 5
"""Pages of the job list that are read at most, of 1,000 jobs each."""

ToCsvText = Callable[[str, FieldChange], str | None]


def write(
    client: Client, to_text: ToCsvText, object: str, changes: Sequence[RecordChange]
) -> Mapping[str, SyncError | None]:
    """Write changes with one job; `to_text` returns a value as CSV text, None to clear it.

    Raises: UnknownOutcomeError where the job was refused or its progress is unknown: the caller
            reads the records, and writes the rest by batches.
    """
    if any(field.after == NULL_MARKER for change in changes for field in change.fields):
        raise UnknownOutcomeError(
            f"Bulk cannot send the text {NULL_MARKER!r} to {object}: it would clear the field"
        )
    rows = _csv(changes, partial(to_text, object))
    if len(rows) > MAX_BYTES:
        raise UnknownOutcomeError(
            f"{len(rows)} bytes of {object} are more than one job takes ({MAX_BYTES})"
        )
    try:
        job = client.api_caller.with_retries(
            f"POST {INGEST_JOBS_PATH}", partial(_upload, client, object, rows)
        )
    except RejectedError as error:
        raise UnknownOutcomeError(
            f"Salesforce refused a Bulk job for {object}: {error.code}"
        ) from error
    try:
        state = _close_and_wait(client, job)
        return _read_results(client, job, state, [change.record_id for change in changes])
    except (QuotaError, RejectedError, RetryableError) as error:
        with suppress(SyncError):
            _set_state(client, job, "Aborted")
        raise UnknownOutcomeError(f"the progress of Bulk job {job} is unknown: {error}") from error


def _csv(changes: Sequence[RecordChange], text: Callable[[FieldChange], str | None]) -> bytes:
    names = sorted({field.field for change in changes for field in change.fields})
    cells = [
        {
            field.field: NULL_MARKER if (cell := text(field)) is None else cell
            for field in change.fields
        }
        for change in changes
    ]
    columns = {name: [row.get(name) for row in cells] for name in names}
    ids = {"Id": [change.record_id for change in changes]}
    table = pa.table({name: pa.array(of, pa.string()) for name, of in (ids | columns).items()})
    file = BytesIO()
    pa.csv.write_csv(table, file, pa.csv.WriteOptions(quoting_style="all_valid"))
    return file.getvalue()


def _upload(client: Client, object: str, rows: bytes) -> str:
    """Create a job and upload its rows; Salesforce writes nothing before the job is closed."""
    body = {
        "object": object,
        "operation": "update",
        "contentType": "CSV",
        "lineEnding": "LF",
        "columnDelimiter": "COMMA",
    }
    job = client.request_job("POST", INGEST_JOBS_PATH, body)
    _abort_stale_jobs(client, job)
    try:
        client.request(
            "PUT",
            f"{INGEST_JOBS_PATH}/{job['id']}/batches",
            kind="write",
            data=rows,
            content_type="text/csv",
        )
    except UnknownOutcomeError:
        # a job takes one upload, and Salesforce does not say whether it has it: use a new job
        _set_state(client, job["id"], "Aborted")
        raise RetryableError(f"PUT {INGEST_JOBS_PATH}: the upload was cut off") from None
    return str(job["id"])


def _abort_stale_jobs(client: Client, own: Mapping[str, Any]) -> None:
    """Abort jobs that a killed run left open; wait for a closed one, then compare again."""
    same = ("object", "operation", "createdById")
    for job in _list_jobs(client):
        if job["id"] == own["id"] or any(job.get(name) != own.get(name) for name in same):
            continue
        if job["state"] == "Open" and client.now() - _created_at(job) > STALE_AFTER:
            _set_state(client, job["id"], "Aborted")
        elif job["state"] in ("UploadComplete", "InProgress"):
            client.api_caller.poll(partial(_poll_job, client, job["id"]))
            _set_state(client, own["id"], "Aborted")
            raise UnknownOutcomeError(
                f"an earlier job, {job['id']}, has just written to {job['object']}"
            )


def _list_jobs(client: Client) -> Iterator[dict[str, Any]]:
    def pages() -> Iterator[dict[str, Any]]:
        path: str | None = f"{INGEST_JOBS_PATH}?jobType=V2Ingest"
        while path:
            page = client.request_job("GET", path, is_valid=_is_job_list)
            yield page
            path = page.get("nextRecordsUrl")

    # without the list the records are still compared after the job
    with suppress(RejectedError, RetryableError):
        for page in islice(pages(), MAX_LIST_PAGES):
            yield from page["records"]


def _is_job_list(body: Any) -> bool:
    return (
        isinstance(body, dict)
        and isinstance(body.get("records"), list)
        and all(has_text("id", "state", job) for job in body["records"])
    )


def _created_at(job: Mapping[str, Any]) -> datetime:
    """Read when a job was made; one without a time is young: it is not aborted."""
    try:
        return datetime.fromisoformat(job["createdDate"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return datetime.max.replace(tzinfo=UTC)


def _close_and_wait(client: Client, job: str) -> dict[str, Any]:
    """Close the job, which starts the processing, and wait for its end."""
    with suppress(UnknownOutcomeError):
        _set_state(client, job, "UploadComplete")
    return client.api_caller.poll(partial(_poll_job, client, job))


def _poll_job(client: Client, job: str) -> dict[str, Any] | None:
    state: dict[str, Any] = client.request_job("GET", f"{INGEST_JOBS_PATH}/{job}")
    if state["state"] == "Open":
        # the request to close it did not arrive
        with suppress(UnknownOutcomeError):
            _set_state(client, job, "UploadComplete")
    return state if state["state"] in TERMINAL_STATES else None


def _set_state(client: Client, job: str, state: str) -> None:
    client.request_job("PATCH", f"{INGEST_JOBS_PATH}/{job}", {"state": state})


def _read_results(
    client: Client, job: str, state: Mapping[str, Any], ids: Sequence[str]
) -> Mapping[str, SyncError | None]:
    """Read the result lists of an ended job; a row in none of them has an unknown outcome."""
    no_result = UnknownOutcomeError(
        f"Bulk job {job} ended as {state['state']} without a result for the row"
    )
    results: dict[str, SyncError | None] = dict.fromkeys(ids, no_result)
    read, failures = partial(_read_result_rows, client, job), _count(state, "numberRecordsFailed")
    processed = _count(state, "numberRecordsProcessed")
    successes = None if processed is None or failures is None else processed - failures
    written = read("successfulResults", "sf__Id", rows=successes)
    results |= dict.fromkeys(written["sf__Id"].to_pylist())
    if failures != 0:
        failed = read("failedResults", "Id", "sf__Error", rows=failures)
        errors = map(_row_error, failed["sf__Error"].to_pylist())
        results |= dict(zip(failed["Id"].to_pylist(), errors, strict=True))
    # what a cut list names of no row of ours is no result
    return {id: results[id] for id in ids}


def _count(state: Mapping[str, Any], name: str) -> int | None:
    return count if isinstance(count := state.get(name), int) else None


def _read_result_rows(
    client: Client, job: str, name: str, *columns: str, rows: int | None
) -> pa.Table:
    """Read a result list; where it does not have `rows` rows, it is asked for again.

    Raises: RetryableError where it stays cut off: the records are read instead.
    """
    path = f"{INGEST_JOBS_PATH}/{job}/{name}"

    def parse(response: Response) -> pa.Table:
        try:
            table = _parse_csv(response.body, columns)
        except pa.ArrowException:
            raise malformed(f"GET {path}", is_write=False) from None
        if rows is not None and len(table) != rows:
            raise malformed(f"GET {path}", is_write=False)
        return table

    return client.read_job_results(path, parse)


def _parse_csv(body: bytes, columns: Sequence[str]) -> pa.Table:
    if not body.strip():
        return pa.table({column: pa.array([], pa.string()) for column in columns})
    return pa.csv.read_csv(
        BytesIO(body),
        # one block: pyarrow cannot read a text with line breaks across two blocks
        read_options=pa.csv.ReadOptions(block_size=len(body) + 1),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), include_columns=list(columns)
        ),
    )


def _row_error(text: str | None) -> SyncError:
    """Read `CODE:message:FIELDS --`; the message may contain colons, and values."""
    code, _, rest = (text or "").partition(":")
    message, _, fields = rest.rpartition(":")
    names = fields.removesuffix("--").strip()
    error = ApiError(statusCode=code, message=message, fields=names.split(",") if names else None)
    return rejection([error], "a row of a job")
