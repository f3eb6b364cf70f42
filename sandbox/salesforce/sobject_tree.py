"""sObject trees: records with child records, created in one transaction."""

from collections.abc import Iterator
from typing import Any

from sandbox.salesforce import request_schemas, writes
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.sobjects import sent_fields
from sandbox.salesforce.values import InvalidValue

_MOST = 200

Record = dict[str, Any]


class _Failed(Exception):
    """A failed record; it rolls back the tree."""

    def __init__(self, results: list[dict[str, Any]]) -> None:
        super().__init__(results)
        self.results = results


def create(request: ApiRequest) -> ApiResponse:
    """Create the records, parents first; one failure rolls back all."""
    sobject = request.store.sobject(request.path["object"])
    records: list[Record] = request.json(request_schemas.TREE)["records"]
    count = sum(1 for _ in _all(request, sobject, records))
    if not count:
        raise ApiError("REQUIRED_FIELD_MISSING", "At least 1 record is required")
    if count > _MOST:
        raise ApiError("LIMIT_EXCEEDED", f"A tree holds at most {_MOST} records, this one {count}")
    try:
        with request.store.transaction():
            made = list(_made(request, sobject, records, {}))
            failed = [one for one in made if "errors" in one]
            if failed:
                raise _Failed(failed)
    except _Failed as error:
        return ApiResponse({"hasErrors": True, "results": error.results}, status=400)
    return ApiResponse({"hasErrors": False, "results": made}, status=201)


def _all(request: ApiRequest, sobject: SObject, records: list[Record]) -> Iterator[Record]:
    for record in records:
        yield record
        for child, _, below in _below(request, sobject, record):
            yield from _all(request, child, below)


def _made(
    request: ApiRequest, sobject: SObject, records: list[Record], up: Record
) -> Iterator[dict[str, Any]]:
    for record in records:
        inside = list(_below(request, sobject, record))
        children = request.store.children(sobject)
        fields = sent_fields(record)
        own = {name: one for name, one in fields.items() if name.lower() not in children}
        about = {"referenceId": record["attributes"]["referenceId"]}
        try:
            id = writes.create(request.store, sobject, own | up)
        except ApiError as refused:
            yield about | {"errors": [refused.as_record_error()]}
            continue
        except InvalidValue as wrong:
            error = ApiError("JSON_PARSER_ERROR", f"Cannot deserialize: {wrong}", ())
            yield about | {"errors": [error.as_record_error()]}
            continue
        yield about | {"id": id}
        for child, reference, below in inside:
            yield from _made(request, child, below, {reference: id})


def _below(
    request: ApiRequest, sobject: SObject, record: Record
) -> Iterator[tuple[SObject, str, list[Record]]]:
    children = request.store.children(sobject)
    for name, value in record.items():
        if name.lower() in children and isinstance(value, dict):
            _, child, reference = children[name.lower()]
            yield request.store.schema[child], reference, value.get("records", [])
