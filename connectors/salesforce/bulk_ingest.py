"""Many changes in one job of Bulk 2.0: one upload, and then what became of each of its rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.csv

from connectors.salesforce.client import DATA_PATH, Client
from connectors.salesforce.error_codes import ApiError, rejection
from errors import QuotaError, RejectedError, RetryableError, SyncError, UnknownOutcomeError
from models import FieldChange, RecordChange

INGEST_JOBS_PATH = f"{DATA_PATH}/jobs/ingest"
MAX_ROWS = 20_000
"""In one job: so many changes are held in memory at once. Salesforce itself works by 10,000."""

MAX_BYTES = 100_000_000
NULL_MARKER = "#N/A"
"""What empties a field; an empty cell leaves it as it is."""

TERMINAL_STATES = frozenset({"JobComplete", "Failed", "Aborted"})
STALE_AFTER = timedelta(hours=1)
"""A job that is open for so long waits for the rest of a run that was killed."""

MAX_LIST_PAGES = 5
"""Lists of jobs looked through at most, of a thousand each."""

ToCsvText = Callable[[str, FieldChange], str | None]


def write(
    client: Client, to_text: ToCsvText, object: str, changes: Sequence[RecordChange]
) -> Mapping[str, SyncError | None]:
    """Write changes by one job; `text` gives a value of an object as CSV has it, None where it
    is emptied.

    Raises: UnclearError where the job was not taken, or nobody knows how far it came: the
            records themselves tell, and what is left goes by batches.
    """
    if any(field.after == NULL_MARKER for change in changes for field in change.fields):
        raise UnknownOutcomeError(f"a text for {object} would mean in a job to empty the field")
    rows = _csv(changes, partial(to_text, object))
    if len(rows) > MAX_BYTES:
        raise UnknownOutcomeError(f"{len(rows)} bytes of {object} are too many for one job")
    try:
        job = client.api_caller.with_retries(
            f"POST {INGEST_JOBS_PATH}", partial(_upload, client, object, rows)
        )
    except RejectedError as error:
        raise UnknownOutcomeError(f"Salesforce takes no job for {object}: {error.code}") from error
    try:
        state = _close_and_wait(client, job)
        return _read_results(client, job, state, [change.record_id for change in changes])
    except (QuotaError, RejectedError, RetryableError) as error:
        with suppress(SyncError):
            _set_state(client, job, "Aborted")
        raise UnknownOutcomeError(f"nobody knows how far the job {job} came") from error


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
    written = BytesIO()
    pa.csv.write_csv(table, written, pa.csv.WriteOptions(quoting_style="all_valid"))
    return written.getvalue()


def _upload(client: Client, object: str, rows: bytes) -> str:
    """Open a job and fill it; nothing is written before it is closed."""
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
        # a job takes one upload: whether it has it is not told, so it is left for a new one
        _set_state(client, job["id"], "Aborted")
        raise RetryableError(f"PUT {INGEST_JOBS_PATH}: the upload was cut off") from None
    return str(job["id"])


def _abort_stale_jobs(client: Client, mine: Mapping[str, Any]) -> None:
    """Abort what a killed run left open; wait for what it had closed, and then look anew."""
    same = ("object", "operation", "createdById")
    for job in _list_jobs(client):
        if job["id"] == mine["id"] or any(job.get(name) != mine.get(name) for name in same):
            continue
        if job["state"] == "Open" and client.now() - _created_at(job) > STALE_AFTER:
            _set_state(client, job["id"], "Aborted")
        elif job["state"] in ("UploadComplete", "InProgress"):
            client.api_caller.poll(partial(_poll_job, client, job["id"]))
            _set_state(client, mine["id"], "Aborted")
            raise UnknownOutcomeError(
                f"an earlier job, {job['id']}, has just written to {job['object']}"
            )


def _list_jobs(client: Client) -> Iterator[dict[str, Any]]:
    def lists() -> Iterator[dict[str, Any]]:
        path: str | None = f"{INGEST_JOBS_PATH}?jobType=V2Ingest"
        while path:
            listed = client.request_job("GET", path)
            yield listed
            path = listed.get("nextRecordsUrl")

    # whoever cannot be asked has nothing to say that the records would not tell
    with suppress(RejectedError, RetryableError):
        for listed in islice(lists(), MAX_LIST_PAGES):
            yield from listed["records"]


def _created_at(job: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(job["createdDate"])


def _close_and_wait(client: Client, job: str) -> dict[str, Any]:
    """Close the job, which begins the work, and wait for its end."""
    with suppress(UnknownOutcomeError):
        _set_state(client, job, "UploadComplete")
    return client.api_caller.poll(partial(_poll_job, client, job))


def _poll_job(client: Client, job: str) -> dict[str, Any] | None:
    state: dict[str, Any] = client.request_job("GET", f"{INGEST_JOBS_PATH}/{job}")
    if state["state"] == "Open":
        # that it was closed never arrived
        with suppress(UnknownOutcomeError):
            _set_state(client, job, "UploadComplete")
    return state if state["state"] in TERMINAL_STATES else None


def _set_state(client: Client, job: str, state: str) -> None:
    client.request_job("PATCH", f"{INGEST_JOBS_PATH}/{job}", {"state": state})


def _read_results(
    client: Client, job: str, state: Mapping[str, Any], ids: Sequence[str]
) -> Mapping[str, SyncError | None]:
    """Read the lists of a job that is over; a row in none of them was perhaps not looked at."""
    nobody_knows = UnknownOutcomeError(
        f"the job {job} ended as {state['state']} without a word of it"
    )
    answers: dict[str, SyncError | None] = dict.fromkeys(ids, nobody_knows)
    written = _read_result_rows(client, job, "successfulResults", "sf__Id")
    answers |= dict.fromkeys(written["sf__Id"].to_pylist())
    if state.get("numberRecordsFailed") != 0:
        failed = _read_result_rows(client, job, "failedResults", "Id", "sf__Error")
        errors = map(_row_error, failed["sf__Error"].to_pylist())
        answers |= dict(zip(failed["Id"].to_pylist(), errors, strict=True))
    return answers


def _read_result_rows(client: Client, job: str, name: str, *columns: str) -> pa.Table:
    answer = client.request("GET", f"{INGEST_JOBS_PATH}/{job}/{name}", kind="write", is_safe=True)
    if not answer.body.strip():
        return pa.table({column: pa.array([], pa.string()) for column in columns})
    return pa.csv.read_csv(
        BytesIO(answer.body),
        # one block: a text with line breaks may not lie across two
        read_options=pa.csv.ReadOptions(block_size=len(answer.body) + 1),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), include_columns=list(columns)
        ),
    )


def _row_error(text: str) -> SyncError:
    """Read `CODE:message:FIELDS --`; the message may hold colons, and values."""
    code, _, rest = text.partition(":")
    message, _, fields = rest.rpartition(":")
    named = fields.removesuffix("--").strip()
    problem = ApiError(statusCode=code, message=message, fields=named.split(",") if named else None)
    return rejection([problem], "a row of a job")
