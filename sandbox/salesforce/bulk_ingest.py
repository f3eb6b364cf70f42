"""Bulk API 2.0 ingest jobs: one upload of CSV, and three lists of results."""

import csv
import io
from collections.abc import Callable
from typing import Any

from sandbox.salesforce import jobs, request_schemas, writes
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.jobs import DELIMITERS, LINE_ENDINGS, Job, find_job, new_job
from sandbox.salesforce.request import CSV, ApiRequest, ApiResponse
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.store import SalesforceStore
from sandbox.salesforce.writes import WrongType

_KIND = "ingest"
CLEAR = "#N/A"
OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")


def create(request: ApiRequest) -> ApiResponse:
    """Open an ingest job."""
    body = request.json(request_schemas.INGEST_JOB)
    sobject = request.store.find_sobject(body.get("object", ""))
    if body.get("operation") not in OPERATIONS:
        raise ApiError("InvalidJob", f"The operation must be one of {', '.join(OPERATIONS)}")
    if sobject is None:
        raise ApiError("InvalidJob", "The object is missing or not supported")
    external = body.get("externalIdFieldName")
    if body["operation"] == "upsert" and not is_external(sobject, external):
        raise ApiError("InvalidJob", "InvalidJob : externalIdFieldName is not an external id")
    job = new_job(request, _KIND, body, sobject=sobject.name, state="Open")
    job.external = external
    # Salesforce returns this path without its first slash
    upload_to = f"{request.root.removeprefix('/')}/jobs/ingest/{job.id}/batches"
    return ApiResponse(job.outline() | {"contentUrl": upload_to} | job.format())


def is_external(sobject: SObject, name: str | None) -> bool:
    """Return whether a field is a key for upserts."""
    field = sobject.by_lower_name.get((name or "").lower())
    return field is not None and (field.external or field.name == "Id")


def listed(request: ApiRequest) -> ApiResponse:
    """List the ingest jobs."""
    return jobs.listed(request, _KIND)


def upload(request: ApiRequest) -> ApiResponse:
    """Store the rows; only one upload is allowed."""
    job = find_job(request, _KIND)
    if job.state != "Open" or job.content is not None:
        raise ApiError("INVALIDJOBSTATE", "Data was uploaded before, or the job is not open")
    job.content = request.body
    return ApiResponse(status=201)


def close(request: ApiRequest) -> ApiResponse:
    """End the upload, which begins the work, or abort the job."""
    job = find_job(request, _KIND)
    wanted = request.json(request_schemas.JOB_STATE)["state"]
    if wanted == "Aborted" and not job.is_over:
        job.state = "Aborted"
    elif wanted == "UploadComplete" and job.state == "Open":
        job.state = "UploadComplete"
        _work(request.store, job)
    else:
        raise ApiError("INVALIDJOBSTATE", f"Cannot go from {job.state} to {wanted}")
    return ApiResponse(job.outline())


def state(request: ApiRequest) -> ApiResponse:
    """Return the state of the job. A complete job can have failed rows."""
    job = find_job(request, _KIND)
    job.poll()
    failed = len(job.failed) if job.is_over else 0
    processed = len(job.succeeded) + failed if job.is_over else 0
    counts = {
        "jobType": "V2Ingest",
        "numberRecordsProcessed": processed,
        "numberRecordsFailed": failed,
        "retries": 0,
        "totalProcessingTime": processed,
        "apiActiveProcessingTime": processed,
        "apexProcessingTime": 0,
    }
    reason = {"errorMessage": job.error} if job.error and job.is_over else {}
    return ApiResponse(job.outline() | job.format() | counts | reason)


def remove(request: ApiRequest) -> ApiResponse:
    """Delete the job."""
    return jobs.remove(request, _KIND)


def successful(request: ApiRequest) -> ApiResponse:
    """List the written rows, in another order than the upload."""
    job = _finished(request)
    return _listing(job, '"sf__Id","sf__Created",', job.succeeded)


def failed(request: ApiRequest) -> ApiResponse:
    """List the failed rows, with their errors."""
    job = _finished(request)
    return _listing(job, '"sf__Id","sf__Error",', job.failed)


def unprocessed(request: ApiRequest) -> ApiResponse:
    """List the unprocessed rows."""
    job = _finished(request)
    return _listing(job, "", job.unprocessed)


def _finished(request: ApiRequest) -> Job:
    job = find_job(request, _KIND)
    if not job.is_over:
        raise ApiError("INVALIDJOBSTATE", f"The job is in state {job.state}")
    return job


def _listing(job: Job, first: str, rows: list[list[str]]) -> ApiResponse:
    """Write a list: the quoted result columns, then the uploaded header line."""
    lines = io.StringIO(newline="")
    delimiter, ending = DELIMITERS[job.delimiter], LINE_ENDINGS[job.line_ending]
    lines.write(f"{first.replace(',', delimiter)}{job.header}{ending}")
    writer = csv.writer(lines, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerows(rows)
    return ApiResponse(lines.getvalue(), media=CSV)


def _work(store: SalesforceStore, job: Job) -> None:
    text = (job.content or b"").decode(errors="replace")
    read = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[job.delimiter])
    names = next(read, [])
    rows = [row for row in read if row]
    job.header = text.partition("\n")[0].rstrip("\r")
    sobject = store.sobject(job.object)
    unknown = [one for one in names if one.lower() not in sobject.by_lower_name]
    if unknown:
        job.error = f"InvalidBatch : Field name not found : {unknown[0]}"
        job.unprocessed = rows
        return
    for row in rows:
        _work_one(store, job, sobject, names, row)
    # Salesforce processes rows in parallel: results come in any order, here in reverse
    job.succeeded.reverse()
    job.failed.reverse()


def _work_one(
    store: SalesforceStore, job: Job, sobject: SObject, names: list[str], row: list[str]
) -> None:
    values = dict(zip(names, row, strict=False))
    fields = {name: None if value == CLEAR else value for name, value in values.items() if value}
    record = _key(fields, job.external)
    try:
        done, is_new = written(store, sobject.name, job.operation, job.external, fields)
    except WrongType as error:
        message = f"Failed to deserialize field at col {_column(names, error.field)}. Due to,"
        refused = ApiError("INVALID_FIELD", f"{message} {error.reason}", (error.field,))
        job.failed.append([record, refused.as_bulk_error(), *row])
    except ApiError as error:
        job.failed.append([record, error.as_bulk_error(), *row])
    else:
        job.succeeded.append([done, "true" if is_new else "false", *row])


def written(
    store: SalesforceStore,
    object: str,
    operation: str,
    external: str | None,
    fields: dict[str, Any],
) -> tuple[str, bool]:
    """Write one row of a job; return its id, and whether it is new.

    Raises: ApiError, and then nothing is written.
    """
    sobject, record = store.sobject(object), _key(fields, external)
    key = (external or "Id").lower()
    rest = {name: value for name, value in fields.items() if name.lower() != key}
    with store.transaction():
        if external and external != "Id" and record:
            return writes.upsert(store, sobject, (external, record), rest)
        return _WRITERS[operation](store, sobject, record, rest), not record


def _key(fields: dict[str, Any], external: str | None) -> str:
    """Return the key of a row: its id, or its external id."""
    key = (external or "Id").lower()
    return next((value for name, value in fields.items() if name.lower() == key), "") or ""


def _column(names: list[str], field: str) -> int:
    return [one.lower() for one in names].index(field.lower())


_Writer = Callable[[SalesforceStore, SObject, str, dict[str, Any]], str]


def _insert(store: SalesforceStore, sobject: SObject, _: str, fields: dict[str, Any]) -> str:
    return writes.create(store, sobject, fields)


def _update(store: SalesforceStore, sobject: SObject, record: str, fields: dict[str, Any]) -> str:
    if not record:
        raise ApiError("MISSING_ARGUMENT", "Id not specified in an update call")
    return writes.update(store, sobject, record, fields)


def _upsert(store: SalesforceStore, sobject: SObject, record: str, fields: dict[str, Any]) -> str:
    write = _update if record else _insert
    return write(store, sobject, record, fields)


def _delete(store: SalesforceStore, sobject: SObject, record: str, _: dict[str, Any]) -> str:
    return writes.delete(store, sobject, record)


_WRITERS: dict[str, _Writer] = {
    "insert": _insert,
    "update": _update,
    "upsert": _upsert,
    "delete": _delete,
    "hardDelete": _delete,
}
