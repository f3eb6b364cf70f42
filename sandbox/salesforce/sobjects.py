"""Resources of objects and single records: describe, read, create, update, delete."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from sandbox.salesforce import custom_fields, writes
from sandbox.salesforce.errors import ApiError, malformed_id, no_such_column, not_found
from sandbox.salesforce.ids import normalised
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import SObject, describe, summary
from sandbox.salesforce.store import SalesforceStore
from sandbox.salesforce.values import instant, moment

_UPDATED_DAYS = 30
_DELETED_DAYS = 15
_LATEST_BATCH = 200
_NOT_IMITATED = ("describe", "listviews", "quickActions")
_ID_LENGTHS = (15, 18)


def all_objects(request: ApiRequest) -> ApiResponse:
    """List the objects of the org."""
    listed = [summary(one, request.root) for one in request.store.schema.values()]
    return ApiResponse({"encoding": "UTF-8", "maxBatchSize": _LATEST_BATCH, "sobjects": listed})


def one_object(request: ApiRequest) -> ApiResponse:
    """Return the summary of an object."""
    found = request.store.sobject(request.path["object"])
    return ApiResponse({"objectDescribe": summary(found, request.root), "recentItems": []})


def describe_object(request: ApiRequest) -> ApiResponse:
    """Describe an object; 304 if it has not changed since the client's time."""
    sobject = request.store.sobject(request.path["object"])
    changed_at = request.store.schema_changed_at
    headers = {"Last-Modified": format_datetime(changed_at.astimezone(UTC), usegmt=True)}
    since = _at(request.headers.get("if-modified-since"))
    if since is not None and since >= changed_at:
        return ApiResponse(status=304, headers=headers)
    return ApiResponse(
        describe(sobject, request.root, request.store.children(sobject).values()), headers=headers
    )


def _at(header: str | None) -> datetime | None:
    """Parse a date header; an invalid one is ignored (RFC 9110)."""
    try:
        return None if header is None else parsedate_to_datetime(header)
    except ValueError:
        return None


def read(request: ApiRequest) -> ApiResponse:
    """Return one record: all fields, or the requested ones."""
    sobject = request.store.sobject(request.path["object"])
    id = request.path["id"]
    if len(id) not in _ID_LENGTHS or not id.isalnum():
        raise not_found(f"Provided external ID field does not exist or is not accessible: {id}")
    return _read(request, sobject, _live(request.store, sobject, id))


def as_record(sobject: SObject, row: Row, names: list[str], root: str) -> Row:
    """Write a row with the requested fields. Raises: ApiError for a hidden field."""
    url = f"{root}/sobjects/{sobject.name}/{row['Id']}"
    record: Row = {"attributes": {"type": sobject.name, "url": url}}
    for name in names:
        field = sobject.by_lower_name.get(name.strip().lower())
        if field is None:
            raise no_such_column(name.strip(), sobject.name)
        plain = row.get(field.name, field.empty)
        record[field.name] = field.formula(row) if field.formula else plain
    return record


def _live(store: SalesforceStore, sobject: SObject, record: str) -> Row:
    full = normalised(record)
    if full is None or not full.startswith(sobject.prefix):
        raise malformed_id(record)
    row = store.tables[sobject.name].read(full)
    if row is None or row.get("IsDeleted"):
        raise not_found()
    return row


def create(request: ApiRequest) -> ApiResponse:
    """Create one record."""
    sobject = request.store.sobject(request.path["object"])
    made = writes.create(request.store, sobject, sent_fields(request.json()))
    if sobject.name in custom_fields.GRANTING:
        custom_fields.grant(request.store)
    headers = {"Location": f"{request.root}/sobjects/{sobject.name}/{made}"}
    return ApiResponse({"id": made, "success": True, "errors": []}, status=201, headers=headers)


def change(request: ApiRequest) -> ApiResponse:
    """Update one record; 412 if it changed after the client's time."""
    sobject = request.store.sobject(request.path["object"])
    limit = _at(request.headers.get("if-unmodified-since"))
    if limit is not None:
        row = writes.find(request.store, sobject, request.path["id"], single=True)
        if moment(row["LastModifiedDate"]) > limit:
            message = "A precondition specified by the request was not met"
            raise ApiError("ENTITY_MODIFIED", message, status=412)
    fields = sent_fields(request.json())
    writes.update(request.store, sobject, request.path["id"], fields, single=True)
    return ApiResponse(status=204)


def remove(request: ApiRequest) -> ApiResponse:
    """Delete one record."""
    sobject = request.store.sobject(request.path["object"])
    writes.delete(request.store, sobject, request.path["id"], single=True)
    return ApiResponse(status=204)


def read_by_external_id(request: ApiRequest) -> ApiResponse:
    """Return the record with an external id, or the records of a relationship."""
    sobject = request.store.sobject(request.path["object"])
    if request.path["field"] in _NOT_IMITATED:
        raise not_found()
    if normalised(request.path["field"]):
        return _related(request, sobject, request.path["field"], request.path["value"])
    try:
        row = writes.by_external_id(
            request.store, sobject, (request.path["field"], request.path["value"])
        )
    except ApiError as error:
        return _choices(request, sobject, error)
    return _read(request, sobject, row)


def delete_by_external_id(request: ApiRequest) -> ApiResponse:
    """Delete the record with an external id."""
    sobject = request.store.sobject(request.path["object"])
    row = writes.by_external_id(
        request.store, sobject, (request.path["field"], request.path["value"])
    )
    writes.delete(request.store, sobject, row["Id"], single=True)
    return ApiResponse(status=204)


def _choices(request: ApiRequest, sobject: SObject, error: ApiError) -> ApiResponse:
    """Return the URLs of the records that share an external id. Raises: any other error."""
    if error.status != 300:
        raise error
    ids = error.message.partition("[")[2].rstrip("]").split(", ")
    return ApiResponse([f"{request.root}/sobjects/{sobject.name}/{one}" for one in ids], status=300)


def _related(request: ApiRequest, sobject: SObject, record: str, relationship: str) -> ApiResponse:
    row = _live(request.store, sobject, record)
    if reference := sobject.parents.get(relationship.lower()):
        parent = request.store.parent(row, reference)
        above = request.store.owner_of(parent["Id"]) if parent else None
        if parent is None or above is None:
            raise not_found()
        return _read(request, above, parent)
    below = request.store.children(sobject).get(relationship.lower())
    if below is None:
        raise not_found()
    _, name, reference_name = below
    child = request.store.schema[name]
    rows = request.store.tables[name].find_by(
        reference_name, lambda one: [one.get(reference_name)], row["Id"]
    )
    names = _names(request, child)
    records = [
        as_record(child, one, names, request.root) for one in rows if not one.get("IsDeleted")
    ]
    return ApiResponse({"totalSize": len(records), "done": True, "records": records})


def _read(request: ApiRequest, sobject: SObject, row: Row) -> ApiResponse:
    return ApiResponse(as_record(sobject, row, _names(request, sobject), request.root))


def _names(request: ApiRequest, sobject: SObject) -> list[str]:
    requested = request.query.get("fields")
    return requested.split(",") if requested else list(sobject.fields)


def upsert(request: ApiRequest) -> ApiResponse:
    """Update or create the record with an external id; several matches return 300."""
    sobject = request.store.sobject(request.path["object"])
    key = (request.path["field"], request.path["value"])
    try:
        made, is_new = writes.upsert(request.store, sobject, key, sent_fields(request.json()))
    except ApiError as error:
        return _choices(request, sobject, error)
    result = {"id": made, "success": True, "errors": [], "created": is_new}
    return ApiResponse(result, status=201 if is_new else 200)


def sent_fields(body: dict[str, Any]) -> Row:
    """Return the sent fields without `attributes` and the id."""
    return {name: value for name, value in body.items() if name not in ("attributes", "Id", "id")}


def updated(request: ApiRequest) -> ApiResponse:
    """List the ids of records changed in a time span."""
    start, end = _span(request, _UPDATED_DAYS)
    ids = [row["Id"] for row in _stamped_between(request, start, end) if not row.get("IsDeleted")]
    return ApiResponse({"ids": ids, "latestDateCovered": instant(end)})


def deleted(request: ApiRequest) -> ApiResponse:
    """List the records deleted or merged in a time span."""
    start, end = _span(request, _DELETED_DAYS)
    records = [
        {"id": row["Id"], "deletedDate": row["SystemModstamp"]}
        for row in _stamped_between(request, start, end)
        if row.get("IsDeleted")
    ]
    response = {
        "deletedRecords": records,
        "earliestDateAvailable": instant(request.store.clock() - timedelta(days=_DELETED_DAYS)),
        "latestDateCovered": instant(end),
    }
    return ApiResponse(response)


def _span(request: ApiRequest, days: int) -> tuple[datetime, datetime]:
    try:
        start, end = (
            moment(request.query[name].replace(" ", "+")).replace(second=0)
            for name in ("start", "end")
        )
    except (KeyError, ValueError) as error:
        raise ApiError("INVALID_REPLICATION_DATE", "start and end must be instants") from error
    if end - start < timedelta(minutes=1):
        message = "startDate before endDate, and at least a minute apart"
        raise ApiError("INVALID_REPLICATION_DATE", message)
    if start < request.store.clock() - timedelta(days=days):
        message = f"startDate cannot be more than {days} days ago"
        raise ApiError("INVALID_REPLICATION_DATE", message)
    return start, min(end, request.store.clock())


def _stamped_between(request: ApiRequest, start: datetime, end: datetime) -> list[Row]:
    sobject = request.store.sobject(request.path["object"])
    first, last = instant(start), instant(end)
    rows = request.store.tables[sobject.name].all()
    return [row for row in rows if first <= row["SystemModstamp"] <= last]
