"""Records with others below them, made in one call: all of them, or none."""

from collections.abc import Iterator
from typing import Any

from sandbox.salesforce import request_schemas, writes
from sandbox.salesforce.errors import Refused
from sandbox.salesforce.request import Answer, Call
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.sobjects import sent_fields
from sandbox.salesforce.values import Unreadable

_MOST = 200

Record = dict[str, Any]


class _Failed(Exception):
    """What was refused; it takes everything back."""

    def __init__(self, results: list[dict[str, Any]]) -> None:
        super().__init__(results)
        self.results = results


def create(call: Call) -> Answer:
    """Make the records, those below after the one above; any failure takes everything back."""
    sobject = call.store.sobject(call.path["object"])
    records: list[Record] = call.json(request_schemas.TREE)["records"]
    count = sum(1 for _ in _all(call, sobject, records))
    if not count:
        raise Refused("REQUIRED_FIELD_MISSING", "At least 1 record is required")
    if count > _MOST:
        raise Refused("LIMIT_EXCEEDED", f"A tree holds at most {_MOST} records, this one {count}")
    try:
        with call.store.transaction():
            made = list(_made(call, sobject, records, {}))
            failed = [one for one in made if "errors" in one]
            if failed:
                raise _Failed(failed)
    except _Failed as error:
        return Answer({"hasErrors": True, "results": error.results}, status=400)
    return Answer({"hasErrors": False, "results": made}, status=201)


def _all(call: Call, sobject: SObject, records: list[Record]) -> Iterator[Record]:
    for record in records:
        yield record
        for child, _, below in _below(call, sobject, record):
            yield from _all(call, child, below)


def _made(
    call: Call, sobject: SObject, records: list[Record], up: Record
) -> Iterator[dict[str, Any]]:
    for record in records:
        inside = list(_below(call, sobject, record))
        children = call.store.children(sobject)
        fields = sent_fields(record)
        own = {name: one for name, one in fields.items() if name.lower() not in children}
        about = {"referenceId": record["attributes"]["referenceId"]}
        try:
            id = writes.create(call.store, sobject, own | up)
        except Refused as refused:
            yield about | {"errors": [refused.of_record()]}
            continue
        except Unreadable as wrong:
            error = Refused("JSON_PARSER_ERROR", f"Cannot deserialize: {wrong}", ())
            yield about | {"errors": [error.of_record()]}
            continue
        yield about | {"id": id}
        for child, reference, below in inside:
            yield from _made(call, child, below, {reference: id})


def _below(
    call: Call, sobject: SObject, record: Record
) -> Iterator[tuple[SObject, str, list[Record]]]:
    children = call.store.children(sobject)
    for name, value in record.items():
        if name.lower() in children and isinstance(value, dict):
            _, child, reference = children[name.lower()]
            yield call.store.schema[child], reference, value.get("records", [])
