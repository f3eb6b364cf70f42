"""Bulk API 2.0 jobs: what query jobs and ingest jobs share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.salesforce.errors import ApiError, not_found
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.rows import Row

JOB_PREFIX = "750"
DELIMITERS = {
    "COMMA": ",",
    "SEMICOLON": ";",
    "TAB": "\t",
    "PIPE": "|",
    "CARET": "^",
    "BACKQUOTE": "`",
}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}

_POLLS_UNTIL_DONE = 2


@dataclass
class Job:
    """A query or ingest job. It is processed at once; polls report the progress in steps."""

    id: str
    kind: str
    operation: str
    object: str
    version: str
    created_at: str
    created_by: str
    state: str
    line_ending: str
    delimiter: str
    external: str | None = None
    content: bytes | None = None
    error: str | None = None
    polls: int = 0
    rows: Sequence[Row] = ()
    selection: Any = None
    header: str = ""
    succeeded: list[list[str]] = field(default_factory=list)
    failed: list[list[str]] = field(default_factory=list)
    unprocessed: list[list[str]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Return whether the state is final."""
        return self.state in ("JobComplete", "Failed", "Aborted")

    def outline(self) -> dict[str, Any]:
        """Return the JSON of the job that all responses share."""
        return {
            "id": self.id,
            "operation": self.operation,
            "object": self.object,
            "createdById": self.created_by,
            "createdDate": self.created_at,
            "systemModstamp": self.created_at,
            "state": self.state,
            **({"externalIdFieldName": self.external} if self.external else {}),
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(self.version),
        }

    def format(self) -> dict[str, Any]:
        """Return the format of the CSV."""
        return {"lineEnding": self.line_ending, "columnDelimiter": self.delimiter}

    def poll(self) -> None:
        """Advance the state by one step: uploaded, in progress, complete."""
        if self.state in ("UploadComplete", "InProgress"):
            self.polls += 1
            done = "Failed" if self.error else "JobComplete"
            self.state = done if self.polls >= _POLLS_UNTIL_DONE else "InProgress"


def new_job(
    request: ApiRequest, kind: str, body: dict[str, Any], *, sobject: str, state: str
) -> Job:
    """Open a job. Raises: ApiError for an unknown CSV format."""
    ending, delimiter = body.get("lineEnding", "LF"), body.get("columnDelimiter", "COMMA")
    if ending not in LINE_ENDINGS or delimiter not in DELIMITERS:
        raise ApiError("InvalidJob", "Invalid lineEnding or columnDelimiter")
    job = Job(
        id=request.store.new_id(JOB_PREFIX),
        kind=kind,
        operation=body["operation"],
        object=sobject,
        version=request.version,
        created_at=request.store.stamp(),
        created_by=request.store.user_id,
        state=state,
        line_ending=ending,
        delimiter=delimiter,
    )
    request.store.jobs[job.id] = job
    return job


def find_job(request: ApiRequest, kind: str) -> Job:
    """Find the job of a path. Raises: ApiError: NOT_FOUND, or 409 for another API version."""
    job = request.store.jobs.get(request.path["job"])
    if not isinstance(job, Job) or job.kind != kind:
        raise not_found()
    if job.version != request.version:
        message = f"The job was created with API version {job.version}"
        raise ApiError("API_VERSION_MISMATCH", message, status=409)
    return job


def listed(request: ApiRequest, kind: str) -> ApiResponse:
    """List the jobs of a kind."""
    jobs = [one.outline() for one in request.store.jobs.values() if one.kind == kind]
    return ApiResponse({"done": True, "records": jobs, "nextRecordsUrl": None})


def remove(request: ApiRequest, kind: str) -> ApiResponse:
    """Delete a finished job."""
    job = find_job(request, kind)
    if not job.is_over and job.state != "Open":
        raise ApiError("INVALIDJOBSTATE", "Only a job that is over can be deleted")
    del request.store.jobs[job.id]
    return ApiResponse(status=204)
