"""Collections: up to 200 records in one call, results by position."""

from collections.abc import Callable
from itertools import groupby
from typing import Any

from sandbox.salesforce import request_schemas, writes
from sandbox.salesforce.errors import ApiError, malformed_id
from sandbox.salesforce.ids import normalised
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.rows import Row
from sandbox.salesforce.sobjects import as_record, sent_fields
from sandbox.salesforce.store import SalesforceStore

_MOST_RECORDS = 200
_MOST_CHUNKS = 10
_MOST_READ = 2000
_ROLLED_BACK = ApiError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone"
    " header",
)

Record = dict[str, Any]


def create(request: ApiRequest) -> ApiResponse:
    """Create records."""
    body = request.json(request_schemas.COLLECTION)
    records = _records(body)
    return _response(request, records, _create_one, all_or_none=_all_or_none(body))


def change(request: ApiRequest) -> ApiResponse:
    """Change records."""
    body = request.json(request_schemas.COLLECTION)
    records = _records(body)
    ids: set[str] = set()

    def change_one(store: SalesforceStore, record: Record) -> str:
        return _change_one(store, record, ids)

    return _response(request, records, change_one, all_or_none=_all_or_none(body))


def upsert(request: ApiRequest) -> ApiResponse:
    """Update or create records by an external id."""
    sobject = request.store.sobject(request.path["object"])
    field = request.path["field"]
    body = request.json(request_schemas.COLLECTION)
    made: list[bool] = []

    def upsert_one(store: SalesforceStore, record: Record) -> str:
        value = next((record[one] for one in record if one.lower() == field.lower()), None)
        if value is None:
            raise ApiError("MISSING_ARGUMENT", f"{field} not specified")
        fields = {name: one for name, one in sent_fields(record).items() if name != field}
        id, is_new = writes.upsert(store, sobject, (field, str(value)), fields)
        made.append(is_new)
        return id

    records = _records(body)
    results = _response(request, records, upsert_one, all_or_none=_all_or_none(body)).body
    news = iter(made)
    return ApiResponse([one | {"created": one["success"] and next(news)} for one in results])


def remove(request: ApiRequest) -> ApiResponse:
    """Delete records of any objects by their ids."""
    ids = [one for one in request.query.get("ids", "").split(",") if one]
    _check_size(ids)
    all_or_none = request.query.get("allOrNone", "false").lower() == "true"
    return _response(request, [{"id": one} for one in ids], _remove_one, all_or_none=all_or_none)


def read(request: ApiRequest) -> ApiResponse:
    """Read records of one object in the requested order, with null for unknown ids."""
    sobject = request.store.sobject(request.path["object"])
    if request.method == "GET":
        ids, fields = (request.query.get(name, "").split(",") for name in ("ids", "fields"))
    else:
        body = request.json(request_schemas.RETRIEVAL)
        ids, fields = body["ids"], body["fields"]
    if len(ids) > _MOST_READ:
        raise ApiError("EXCEEDED_ID_LIMIT", f"Too many IDs requested. The limit is {_MOST_READ}")
    table = request.store.tables[sobject.name]
    names = ["Id", *(name for name in fields if name.lower() != "id")]
    found = [_live(table.read(normalised(one) or "")) for one in ids]
    return ApiResponse(
        [None if row is None else as_record(sobject, row, names, request.root) for row in found]
    )


def _live(row: Row | None) -> Row | None:
    return None if row is None or row.get("IsDeleted") else row


def _all_or_none(body: dict[str, Any]) -> bool:
    return body.get("allOrNone") is True


def _records(body: dict[str, Any]) -> list[Record]:
    records: list[Record] = body.get("records", [])
    _check_size(records)
    kinds = [one["attributes"]["type"] for one in records]
    if sum(1 for _ in groupby(kinds)) > _MOST_CHUNKS:
        message = f"Cannot have more than {_MOST_CHUNKS} chunks in a single operation."
        raise ApiError("LIMIT_EXCEEDED", f"{message} Please rearrange the data to reduce chunking.")
    return records


def _check_size(records: list[Any]) -> None:
    if not records:
        raise ApiError("REQUIRED_FIELD_MISSING", "At least 1 record is required")
    if len(records) > _MOST_RECORDS:
        message = "record limit reached. cannot submit more than 200 records in this request"
        raise ApiError("EXCEEDED_ID_LIMIT", message)


def _response(
    request: ApiRequest,
    records: list[Record],
    write: Callable[[SalesforceStore, Record], str],
    *,
    all_or_none: bool,
) -> ApiResponse:
    """Write record by record; a value of a wrong type fails the whole call."""
    try:
        with request.store.transaction():
            outcomes = [_outcome(request.store, one, write) for one in records]
            if all_or_none and any(isinstance(one, ApiError) for one in outcomes):
                raise _ROLLED_BACK
    except ApiError:
        outcomes = [one if isinstance(one, ApiError) else _ROLLED_BACK for one in outcomes]
    return ApiResponse([_result(one) for one in outcomes])


def _outcome(
    store: SalesforceStore, record: Record, write: Callable[[SalesforceStore, Record], str]
) -> str | ApiError:
    try:
        return write(store, record)
    except ApiError as error:
        return error


def _result(outcome: str | ApiError) -> dict[str, Any]:
    if isinstance(outcome, ApiError):
        return {"success": False, "errors": [outcome.as_record_error()]}
    return {"id": outcome, "success": True, "errors": []}


def _create_one(store: SalesforceStore, record: Record) -> str:
    return writes.create(store, _kind(store, record), sent_fields(record))


def _change_one(store: SalesforceStore, record: Record, ids: set[str]) -> str:
    id_text = record.get("id") or record.get("Id")
    if not id_text:
        raise ApiError("MISSING_ARGUMENT", "Id not specified in an update call")
    full = normalised(id_text) or id_text
    if full in ids:
        raise ApiError("DUPLICATE_VALUE", f"duplicate id in the request: {full}")
    ids.add(full)
    return writes.update(store, _kind(store, record), id_text, sent_fields(record))


def _remove_one(store: SalesforceStore, record: Record) -> str:
    sobject = store.owner_of(record["id"])
    if sobject is None:
        raise malformed_id(record["id"])
    return writes.delete(store, sobject, record["id"])


def _kind(store: SalesforceStore, record: Record) -> Any:
    name = record["attributes"]["type"]
    found = store.find_sobject(name)
    if found is None:
        raise ApiError("INVALID_TYPE", f"sObject type '{name}' is not supported.", ())
    return found
