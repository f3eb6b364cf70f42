"""Bulk API 2.0 query jobs: a SOQL query whose rows come as pages of CSV."""

import base64
import binascii
import csv
import io
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sandbox.salesforce import jobs, request_schemas
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.jobs import DELIMITERS, LINE_ENDINGS, Job, find_job, new_job
from sandbox.salesforce.request import CSV, ApiRequest, ApiResponse
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import NUMBERS, Field
from sandbox.salesforce.soql_compile import Selection, select
from sandbox.salesforce.store import SalesforceStore

_KIND = "query"
_LISTED = 5
_SCIENTIFIC_FROM = 1e7


def create(request: ApiRequest) -> ApiResponse:
    """Open a query job; the query is validated now and runs on the first poll."""
    body = request.json(request_schemas.QUERY_JOB)
    if body.get("operation") not in ("query", "queryAll"):
        raise ApiError("InvalidJob", "The operation must be query or queryAll")
    selection = checked(request.store, body.get("query", ""))
    name = selection.sobject.name
    job = new_job(request, _KIND, body, sobject=name, state="UploadComplete")
    job.selection = selection
    # writes replace rows and never change them: this list keeps the current values
    job.rows = selection.rows(request.store, deleted=body["operation"] == "queryAll")
    return ApiResponse(job.outline() | job.format())


def checked(store: SalesforceStore, text: str) -> Selection:
    """Compile a query. Raises: ApiError for a query that jobs do not support."""
    selection = select(store, text)
    aggregates = selection.counts or selection.grouping
    if aggregates or selection.children or selection.query.offset is not None:
        message = "Aggregates, sub-queries and OFFSET are not supported by Bulk API query"
        raise ApiError("FUNCTIONALITY_NOT_ENABLED", message)
    if any(one.field.type == "address" for one in selection.columns):
        message = "Selecting compound data not supported in Bulk Query"
        raise ApiError("FUNCTIONALITY_NOT_ENABLED", message)
    return selection


def listed(request: ApiRequest) -> ApiResponse:
    """List the query jobs."""
    return jobs.listed(request, _KIND)


def state(request: ApiRequest) -> ApiResponse:
    """Return the state of the job."""
    job = find_job(request, _KIND)
    job.poll()
    processed = len(job.rows) if job.state == "JobComplete" else 0
    return ApiResponse(
        job.outline()
        | job.format()
        | {
            "jobType": "V2Query",
            "numberRecordsProcessed": processed,
            "retries": 0,
            "totalProcessingTime": job.polls,
        }
    )


def abort(request: ApiRequest) -> ApiResponse:
    """Abort the job."""
    job = find_job(request, _KIND)
    if request.json(request_schemas.JOB_STATE)["state"] != "Aborted" or job.is_over:
        raise ApiError("INVALIDJOBSTATE", "Only a job that is not finished can be aborted")
    job.state = "Aborted"
    return ApiResponse(job.outline() | job.format())


def remove(request: ApiRequest) -> ApiResponse:
    """Delete the job."""
    return jobs.remove(request, _KIND)


def results(request: ApiRequest) -> ApiResponse:
    """Return a page of rows, each with the header line; the last locator is `null`."""
    job = _finished(request)
    start, size = _start(request, job), _page_size(request)
    page = job.rows[start : start + size]
    after = start + size
    headers = {
        "Sforce-NumberOfRecords": str(len(page)),
        "Sforce-Locator": _locator(job, after, size) if after < len(job.rows) else "null",
    }
    ending, delimiter = LINE_ENDINGS[job.line_ending], DELIMITERS[job.delimiter]
    text = as_csv(job.selection, page, delimiter=delimiter, ending=ending)
    return ApiResponse(text, headers=headers, media=CSV)


def result_pages(request: ApiRequest) -> ApiResponse:
    """Return the URLs of up to five pages, for parallel downloads."""
    job = _finished(request)
    here, size = f"{request.root}/jobs/query/{job.id}", request.store.result_rows
    starts = range(_start(request, job), len(job.rows), size)
    locators = [_locator(job, start, size) for start in starts[: _LISTED + 1]]
    pages = [{"resultUrl": f"{here}/results?locator={one}"} for one in locators[:_LISTED]]
    more = [f"{here}/resultPages?locator={one}" for one in locators[_LISTED:]]
    following = more[0] if more else None
    return ApiResponse({"resultPages": pages, "nextRecordsUrl": following, "done": not more})


def _finished(request: ApiRequest) -> Job:
    job = find_job(request, _KIND)
    if job.state != "JobComplete":
        raise ApiError("INVALIDJOBSTATE", f"The job is in state {job.state}")
    return job


def _page_size(request: ApiRequest) -> int:
    requested = request.query.get("maxRecords", "")
    return max(1, int(requested)) if requested.isdecimal() else request.store.result_rows


def _locator(job: Job, start: int, size: int) -> str:
    return base64.urlsafe_b64encode(f"{start}:{size}:{job.id}".encode()).decode().rstrip("=")


def _start(request: ApiRequest, job: Job) -> int:
    locator = request.query.get("locator")
    if not locator:
        return 0
    try:
        padded = locator + "=" * (-len(locator) % 4)
        start, _, owner = base64.urlsafe_b64decode(padded).decode().split(":")
    except (binascii.Error, ValueError) as error:
        raise _invalid_locator() from error
    if owner != job.id:
        raise _invalid_locator()
    return int(start)


def _invalid_locator() -> ApiError:
    return ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")


def as_csv(
    selection: Selection, page: Iterable[Row], *, delimiter: str = ",", ending: str = "\n"
) -> str:
    """Write rows with their header line, every value quoted."""
    columns = selection.columns
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerow(one.name for one in columns)
    writer.writerows([_cell(one.field, one.read(row)) for one in columns] for row in page)
    return lines.getvalue()


def _cell(field: Field, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if field.type == "datetime":
        return str(value).replace("+0000", "Z")
    return _number(value) if field.type in NUMBERS else str(value)


def _number(value: float | int) -> str:
    """Write numbers with decimals with an exponent from eight digits on."""
    if isinstance(value, int) or abs(value) < _SCIENTIFIC_FROM:
        return str(value)
    sign, digits, _ = Decimal(str(value)).normalize().as_tuple()
    first, *rest = (str(one) for one in digits)
    exponent = Decimal(str(value)).adjusted()
    return f"{'-' * sign}{first}.{''.join(rest) or '0'}E{exponent}"
