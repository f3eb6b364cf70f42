"""Bulk API 1.0: jobs with batches in CSV, JSON or XML."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from sandbox.salesforce import bulk_v1_xml
from sandbox.salesforce.bulk_ingest import CLEAR, OPERATIONS, is_external, written
from sandbox.salesforce.bulk_query import as_csv, checked
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.json_records import renderer
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.rows import Row
from sandbox.salesforce.soql_compile import Selection
from sandbox.salesforce.store import SalesforceStore
from sandbox.salesforce.values import moment
from sandbox.salesforce.xml import DECLARATION, XmlError, element, leaves
from sandbox.storage.record_store import Matches

KIND: Final = "classic"
_JSON: Final = "application/json"
_XML: Final = "application/xml"
_MEDIA: Final = {"CSV": "text/csv", "JSON": _JSON, "XML": _XML}
_CHUNKS: Final = "sforce-enable-pkchunking"
_CHUNK: Final = 100_000
_MOST_IN_CHUNK: Final = 250_000
_QUERIES: Final = ("query", "queryAll")
_NOTHING_FOUND: Final = "Records not found for this query"
_MOST_ROWS: Final = 10_000


@dataclass
class Batch:
    """One batch: its rows or its query, and its results."""

    id: str
    job: str
    created_at: str
    sent: bytes
    result: str
    state: str = "Queued"
    error: str | None = None
    content: Any = None
    taken: int = 0
    failed: int = 0
    part: slice | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the state of the batch; the first poll runs it."""
        return {
            "id": self.id,
            "jobId": self.job,
            "state": self.state,
            "stateMessage": self.error,
            "createdDate": self.created_at,
            "systemModstamp": self.created_at,
            "numberRecordsProcessed": self.taken + self.failed,
            "numberRecordsFailed": self.failed,
            "totalProcessingTime": 0,
            "apiActiveProcessingTime": 0,
            "apexProcessingTime": 0,
        }


@dataclass
class ClassicJob:
    """One job, and its batches by id."""

    id: str
    version: str
    operation: str
    object: str
    content_type: str
    external: str | None
    created_at: str
    created_by: str
    state: str = "Open"
    chunk: int | None = None
    batches: dict[str, Batch] = field(default_factory=dict)
    kind: str = KIND

    def as_json(self) -> dict[str, Any]:
        """Return the job and the number of batches in each state."""
        states = [one.state for one in self.batches.values()]
        return {
            "id": self.id,
            "operation": self.operation,
            "object": self.object,
            "createdById": self.created_by,
            "createdDate": self.created_at,
            "systemModstamp": self.created_at,
            "state": self.state,
            "externalIdFieldName": self.external,
            "assignmentRuleId": None,
            "fastPathEnabled": False,
            "concurrencyMode": "Parallel",
            "contentType": self.content_type,
            "numberBatchesQueued": states.count("Queued"),
            "numberBatchesInProgress": 0,
            "numberBatchesCompleted": states.count("Completed"),
            "numberBatchesFailed": states.count("Failed"),
            "numberBatchesTotal": len(states),
            "numberRecordsProcessed": sum(one.taken + one.failed for one in self.batches.values()),
            "numberRetries": 0,
            "apiVersion": float(self.version),
            "numberRecordsFailed": sum(one.failed for one in self.batches.values()),
            "totalProcessingTime": 0,
            "apiActiveProcessingTime": 0,
            "apexProcessingTime": 0,
        }


def error_response(request: ApiRequest, refused: ApiError) -> ApiResponse:
    """Write an error as this API does: other keys, and XML unless JSON was sent."""
    error = {"exceptionCode": refused.code, "exceptionMessage": refused.message}
    return _describe("error", error, in_json=_speaks_json(request), status=refused.status)


def create(request: ApiRequest) -> ApiResponse:
    """Open a job."""
    body = _sent(request)
    operation, content_type = body.get("operation"), body.get("contentType", "XML")
    if operation not in (*_QUERIES, *OPERATIONS):
        raise ApiError("InvalidJob", f"Unsupported operation: {operation}")
    if content_type not in _MEDIA:
        raise ApiError("InvalidJob", f"Unsupported content type: {content_type}")
    sobject = request.store.find_sobject(body.get("object") or "")
    if sobject is None:
        message = f"Entity '{body.get('object')}' is not supported by the Bulk API."
        raise ApiError("InvalidEntity", message)
    external = body.get("externalIdFieldName") or None
    if operation == "upsert" and not is_external(sobject, external):
        raise ApiError("InvalidJob", "External ID was blank for upsert")
    job = ClassicJob(
        id=request.store.new_id("750"),
        version=request.version,
        operation=operation,
        object=sobject.name,
        content_type=content_type,
        external=external,
        created_at=request.store.stamp(),
        created_by=request.store.user_id,
        chunk=_chunk(request) if operation in _QUERIES else None,
    )
    request.store.jobs[job.id] = job
    return _describe("jobInfo", job.as_json(), in_json=_speaks_json(request), status=201)


def _chunk(request: ApiRequest) -> int | None:
    """Return the chunk size of the header for primary key chunking."""
    header = request.headers.get(_CHUNKS, "").strip()
    if header.lower() in ("", "false"):
        return None
    _, _, size = header.partition("chunkSize=")
    requested = size.partition(";")[0].strip()
    return (
        min(int(requested), _MOST_IN_CHUNK) if requested.isdecimal() and int(requested) else _CHUNK
    )


def state(request: ApiRequest) -> ApiResponse:
    """Return a job."""
    return _describe("jobInfo", _job(request).as_json(), in_json=_speaks_json(request))


def change(request: ApiRequest) -> ApiResponse:
    """Close or abort a job."""
    job, wanted = _job(request), _sent(request).get("state")
    if wanted not in ("Closed", "Aborted") or job.state == "Aborted":
        raise ApiError("InvalidJobState", f"Cannot go from {job.state} to {wanted}")
    job.state = wanted
    return _describe("jobInfo", job.as_json(), in_json=_speaks_json(request))


def add_batch(request: ApiRequest) -> ApiResponse:
    """Add a batch: a query, or rows to write."""
    job = _job(request)
    if job.state != "Open":
        raise ApiError("InvalidJobState", f"The job is {job.state}")
    batch = _new_batch(request, job)
    if job.chunk:
        _cut(request, job, batch, job.chunk)
    return _describe("batchInfo", batch.as_json(), in_json=job.content_type == "JSON", status=201)


def _new_batch(request: ApiRequest, job: ClassicJob, part: slice | None = None) -> Batch:
    batch = Batch(
        id=request.store.new_id("751"),
        job=job.id,
        created_at=request.store.stamp(),
        sent=request.body,
        result=request.store.new_id("752"),
        part=part,
    )
    job.batches[batch.id] = batch
    return batch


def _cut(request: ApiRequest, job: ClassicJob, whole: Batch, size: int) -> None:
    """Add a batch for each chunk; the sent batch itself is not processed."""
    selection = checked(request.store, request.body.decode(errors="replace"))
    count = len(selection.rows(request.store, deleted=job.operation == "queryAll"))
    whole.state = "NotProcessed"
    for start in range(0, count, size):
        _new_batch(request, job, slice(start, start + size))


def batches(request: ApiRequest) -> ApiResponse:
    """Return all batches of a job."""
    job = _job(request)
    batch_infos = [_done(request, job, one).as_json() for one in job.batches.values()]
    return _describe(
        "batchInfoList", {"batchInfo": batch_infos}, in_json=job.content_type == "JSON"
    )


def batch_state(request: ApiRequest) -> ApiResponse:
    """Return one batch."""
    job, batch = _batch(request)
    return _describe("batchInfo", batch.as_json(), in_json=job.content_type == "JSON")


def batch_request(request: ApiRequest) -> ApiResponse:
    """Return the sent content of a batch."""
    job, batch = _batch(request)
    return _data(batch.sent, job.content_type)


def result(request: ApiRequest) -> ApiResponse:
    """Return the result ids of a query, or the result of each row, in the order of the rows."""
    job, batch = _batch(request)
    if batch.state == "Failed":
        raise ApiError("InvalidBatch", batch.error or "")
    if job.operation not in _QUERIES:
        return _data(_WRITTEN[job.content_type](batch.content), job.content_type)
    in_json = job.content_type == "JSON"
    results: Any = [batch.result] if in_json else {"result": [batch.result]}
    return _describe("result-list", results, in_json=in_json)


def rows(request: ApiRequest) -> ApiResponse:
    """Return the rows of a query."""
    job, batch = _batch(request)
    if request.path["result"] != batch.result or batch.state != "Completed":
        raise ApiError("InvalidResult", "There is no such result")
    return _data(batch.content, job.content_type)


def _job(request: ApiRequest) -> ClassicJob:
    job = request.store.jobs.get(request.path["job"])
    if not isinstance(job, ClassicJob):
        raise ApiError("InvalidJob", f"Unable to find object: {request.path['job']}")
    return job


def _batch(request: ApiRequest) -> tuple[ClassicJob, Batch]:
    job = _job(request)
    batch = job.batches.get(request.path["batch"])
    if batch is None:
        raise ApiError("InvalidBatch", f"Unable to find object: {request.path['batch']}")
    return job, _done(request, job, batch)


def _done(request: ApiRequest, job: ClassicJob, batch: Batch) -> Batch:
    """Process a batch on its first poll."""
    if batch.state == "Queued":
        try:
            work = _find if job.operation in _QUERIES else _write
            work(request, job, batch)
            batch.state = "Completed"
        except ApiError as refused:
            what = "process query: " if job.operation in _QUERIES else "parse batch: "
            batch.error = f"InvalidBatch : Failed to {what}{refused.code}: {refused.message}"
            batch.state = "Failed"
    return batch


def _find(request: ApiRequest, job: ClassicJob, batch: Batch) -> None:
    selection = checked(request.store, batch.sent.decode(errors="replace"))
    found = selection.rows(request.store, deleted=job.operation == "queryAll")
    if batch.part:
        found = found.select(_by_id(found)[batch.part])
    batch.taken = len(found)
    if job.content_type == "CSV":
        batch.content = as_csv(selection, found) if found else _NOTHING_FOUND
        return
    render = renderer(request.store, selection, f"/services/data/v{job.version}")
    if job.content_type == "XML":
        batch.content = bulk_v1_xml.parse_rows(
            selection.sobject.name, [render(row) for row in found]
        )
    else:
        batch.content = [_in_milliseconds(selection, render(row)) for row in found]


def _by_id(found: Matches[Row]) -> list[int]:
    """Return the indexes of the rows in the order of their ids."""
    ids = [row["Id"] for row in found]
    return sorted(range(len(ids)), key=ids.__getitem__)


def _in_milliseconds(selection: Selection, record: dict[str, Any]) -> dict[str, Any]:
    """Write times and dates as JSON of this API does: milliseconds since 1970."""
    for column in selection.columns:
        if column.field.type not in ("datetime", "date"):
            continue
        inside: Any = record
        for step in column.path[:-1]:
            inside = inside and inside[step]
        name = column.path[-1]
        if inside and inside[name] is not None:
            inside[name] = int(moment(inside[name]).timestamp() * 1000)
    return record


def _write(request: ApiRequest, job: ClassicJob, batch: Batch) -> None:
    sent = _READ[job.content_type](batch.sent)
    if len(sent) > _MOST_ROWS:
        raise ApiError("ExceededQuota", f"Too many rows: at most {_MOST_ROWS}")
    batch.content = [_written(request.store, job, one) for one in sent]
    batch.failed = sum(not one["success"] for one in batch.content)
    batch.taken = len(sent) - batch.failed


def _written(store: SalesforceStore, job: ClassicJob, fields: dict[str, Any]) -> dict[str, Any]:
    try:
        id, is_new = written(store, job.object, job.operation, job.external, fields)
    except ApiError as refused:
        return {
            "success": False,
            "created": False,
            "id": None,
            "errors": [refused.as_record_error()],
        }
    return {"success": True, "created": is_new, "id": id, "errors": []}


def _json_rows(sent: bytes) -> list[dict[str, Any]]:
    try:
        read = orjson.loads(sent)
    except orjson.JSONDecodeError as error:
        raise ApiError("InvalidBatch", "no JSON") from error
    if not isinstance(read, list) or not all(isinstance(one, dict) for one in read):
        raise ApiError("InvalidBatch", "a list of records is expected")
    return [{k: v for k, v in one.items() if k != "attributes"} for one in read]


def _csv_rows(sent: bytes) -> list[dict[str, Any]]:
    """Parse rows; an empty value leaves a field unchanged, `#N/A` clears it."""
    read = csv.DictReader(io.StringIO(sent.decode(errors="replace"), newline=""))
    return [
        {name: None if value == CLEAR else value for name, value in row.items() if value}
        for row in read
    ]


def _csv_outcomes(results: list[dict[str, Any]]) -> str:
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(("Id", "Success", "Created", "Error"))
    for one in results:
        errors = [
            f"{e['statusCode']}:{e['message']}:{','.join(e['fields'])} --" for e in one["errors"]
        ]
        flags = (str(one[name]).lower() for name in ("success", "created"))
        writer.writerow((one["id"] or "", *flags, ";".join(errors)))
    return lines.getvalue()


def _json_outcomes(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return results


_READ: Final[dict[str, Callable[[bytes], list[dict[str, Any]]]]] = {
    "CSV": _csv_rows,
    "JSON": _json_rows,
    "XML": bulk_v1_xml.rows,
}
_WRITTEN: Final[dict[str, Callable[[list[dict[str, Any]]], Any]]] = {
    "CSV": _csv_outcomes,
    "JSON": _json_outcomes,
    "XML": bulk_v1_xml.outcomes,
}


def _data(content: Any, content_type: str) -> ApiResponse:
    """Write rows; the media type has no charset, because clients compare the whole header."""
    return ApiResponse(content, headers={"Content-Type": _MEDIA[content_type]})


def _sent(request: ApiRequest) -> dict[str, Any]:
    """Parse the JSON or XML of a job."""
    if _speaks_json(request):
        return request.json()
    try:
        return dict(leaves(request.body))
    except XmlError as error:
        raise ApiError("InvalidXML", str(error)) from error


def _speaks_json(request: ApiRequest) -> bool:
    return "json" in request.headers.get("content-type", "").lower()


def _describe(name: str, content: Any, *, in_json: bool, status: int = 200) -> ApiResponse:
    if in_json:
        return ApiResponse(content, status=status, media=_JSON)
    text = DECLARATION + element(name, _without_nulls(content), bulk_v1_xml.NAMESPACE)
    return ApiResponse(text, status=status, media=_XML)


def _without_nulls(value: Any) -> Any:
    """Leave null values out of XML."""
    match value:
        case dict():
            return {name: _without_nulls(one) for name, one in value.items() if one is not None}
        case list():
            return [_without_nulls(one) for one in value]
    return value


Handlers = dict[str, dict[str, Callable[[ApiRequest], ApiResponse]]]
ROUTES: Final[Handlers] = {
    "/job": {"POST": create},
    "/job/{job}": {"GET": state, "POST": change},
    "/job/{job}/batch": {"GET": batches, "POST": add_batch},
    "/job/{job}/batch/{batch}": {"GET": batch_state},
    "/job/{job}/batch/{batch}/request": {"GET": batch_request},
    "/job/{job}/batch/{batch}/result": {"GET": result},
    "/job/{job}/batch/{batch}/result/{result}": {"GET": rows},
}
