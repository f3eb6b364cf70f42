"""The resources of objects and single records: describe, read, create, change, delete."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from sandbox.salesforce import writes
from sandbox.salesforce.errors import Refused, malformed_id, no_such_column, not_found
from sandbox.salesforce.ids import normalised
from sandbox.salesforce.request import Answer, Call
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import SObject, describe, summary
from sandbox.salesforce.store import SalesforceStore
from sandbox.salesforce.values import instant, moment

_UPDATED_DAYS = 30
_DELETED_DAYS = 15
_LATEST_BATCH = 200
_NOT_IMITATED = ("describe", "listviews", "quickActions")
_ID_LENGTHS = (15, 18)


def all_objects(call: Call) -> Answer:
    """List the objects of the org."""
    listed = [summary(one, call.root) for one in call.store.schema.values()]
    return Answer({"encoding": "UTF-8", "maxBatchSize": _LATEST_BATCH, "sobjects": listed})


def one_object(call: Call) -> Answer:
    """Say in short what an object is."""
    found = call.store.sobject(call.path["object"])
    return Answer({"objectDescribe": summary(found, call.root), "recentItems": []})


def described(call: Call) -> Answer:
    """Describe an object, unless the client has seen it since it last changed."""
    sobject = call.store.sobject(call.path["object"])
    changed_at = call.store.schema_changed_at
    headers = {"Last-Modified": format_datetime(changed_at.astimezone(UTC), usegmt=True)}
    since = _at(call.headers.get("if-modified-since"))
    if since is not None and since >= changed_at:
        return Answer(status=304, headers=headers)
    return Answer(
        describe(sobject, call.root, call.store.children(sobject).values()), headers=headers
    )


def _at(header: str | None) -> datetime | None:
    """Read an instant of a header; one that is none is passed over, as HTTP has it."""
    try:
        return None if header is None else parsedate_to_datetime(header)
    except ValueError:
        return None


def read(call: Call) -> Answer:
    """Read one record: all fields, or those asked for."""
    sobject = call.store.sobject(call.path["object"])
    id = call.path["id"]
    if len(id) not in _ID_LENGTHS or not id.isalnum():
        raise not_found(f"Provided external ID field does not exist or is not accessible: {id}")
    return _read(call, sobject, _live(call.store, sobject, id))


def as_record(sobject: SObject, row: Row, names: list[str], root: str) -> Row:
    """Write a row with the fields asked for. Raises: Refused where one is not to be seen."""
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
    row = store.tables[sobject.name].look(full)
    if row is None or row.get("IsDeleted"):
        raise not_found()
    return row


def create(call: Call) -> Answer:
    """Create one record."""
    sobject = call.store.sobject(call.path["object"])
    made = writes.create(call.store, sobject, sent_fields(call.json()))
    headers = {"Location": f"{call.root}/sobjects/{sobject.name}/{made}"}
    return Answer({"id": made, "success": True, "errors": []}, status=201, headers=headers)


def change(call: Call) -> Answer:
    """Change one record, unless it changed after the moment the client names."""
    sobject = call.store.sobject(call.path["object"])
    limit = _at(call.headers.get("if-unmodified-since"))
    if limit is not None:
        row = writes.find(call.store, sobject, call.path["id"], single=True)
        if moment(row["LastModifiedDate"]) > limit:
            said = "A precondition specified by the request was not met"
            raise Refused("ENTITY_MODIFIED", said, status=412)
    fields = sent_fields(call.json())
    writes.update(call.store, sobject, call.path["id"], fields, single=True)
    return Answer(status=204)


def remove(call: Call) -> Answer:
    """Delete one record."""
    sobject = call.store.sobject(call.path["object"])
    writes.delete(call.store, sobject, call.path["id"], single=True)
    return Answer(status=204)


def reached(call: Call) -> Answer:
    """Read the record with an external id, or what a relationship of a record leads to."""
    sobject = call.store.sobject(call.path["object"])
    if call.path["field"] in _NOT_IMITATED:
        raise not_found()
    if normalised(call.path["field"]):
        return _related(call, sobject, call.path["field"], call.path["value"])
    try:
        row = writes.by_external_id(call.store, sobject, (call.path["field"], call.path["value"]))
    except Refused as error:
        return _choices(call, sobject, error)
    return _read(call, sobject, row)


def remove_reached(call: Call) -> Answer:
    """Delete the record with an external id."""
    sobject = call.store.sobject(call.path["object"])
    row = writes.by_external_id(call.store, sobject, (call.path["field"], call.path["value"]))
    writes.delete(call.store, sobject, row["Id"], single=True)
    return Answer(status=204)


def _choices(call: Call, sobject: SObject, error: Refused) -> Answer:
    """Give the addresses of the records that share an external id. Raises: any other refusal."""
    if error.status != 300:
        raise error
    ids = error.message.partition("[")[2].rstrip("]").split(", ")
    return Answer([f"{call.root}/sobjects/{sobject.name}/{one}" for one in ids], status=300)


def _related(call: Call, sobject: SObject, record: str, relationship: str) -> Answer:
    row = _live(call.store, sobject, record)
    if reference := sobject.parents.get(relationship.lower()):
        parent = call.store.parent(row, reference)
        above = call.store.owner_of(parent["Id"]) if parent else None
        if parent is None or above is None:
            raise not_found()
        return _read(call, above, parent)
    below = call.store.children(sobject).get(relationship.lower())
    if below is None:
        raise not_found()
    _, name, reference_name = below
    child = call.store.schema[name]
    rows = call.store.tables[name].where(
        reference_name, lambda one: [one.get(reference_name)], row["Id"]
    )
    names = _names(call, child)
    records = [as_record(child, one, names, call.root) for one in rows if not one.get("IsDeleted")]
    return Answer({"totalSize": len(records), "done": True, "records": records})


def _read(call: Call, sobject: SObject, row: Row) -> Answer:
    return Answer(as_record(sobject, row, _names(call, sobject), call.root))


def _names(call: Call, sobject: SObject) -> list[str]:
    asked = call.query.get("fields")
    return asked.split(",") if asked else list(sobject.fields)


def upsert(call: Call) -> Answer:
    """Change the record with an external id, or make it; several are told as their addresses."""
    sobject = call.store.sobject(call.path["object"])
    key = (call.path["field"], call.path["value"])
    try:
        made, is_new = writes.upsert(call.store, sobject, key, sent_fields(call.json()))
    except Refused as error:
        return _choices(call, sobject, error)
    told = {"id": made, "success": True, "errors": [], "created": is_new}
    return Answer(told, status=201 if is_new else 200)


def sent_fields(body: dict[str, Any]) -> Row:
    """Take the fields out of what was sent, without what only says which record it is."""
    return {name: value for name, value in body.items() if name not in ("attributes", "Id", "id")}


def updated(call: Call) -> Answer:
    """List the ids of what changed in a span of time."""
    start, end = _span(call, _UPDATED_DAYS)
    ids = [row["Id"] for row in _stamped_between(call, start, end) if not row.get("IsDeleted")]
    return Answer({"ids": ids, "latestDateCovered": instant(end)})


def deleted(call: Call) -> Answer:
    """List what was deleted or merged away in a span of time."""
    start, end = _span(call, _DELETED_DAYS)
    gone = [
        {"id": row["Id"], "deletedDate": row["SystemModstamp"]}
        for row in _stamped_between(call, start, end)
        if row.get("IsDeleted")
    ]
    answer = {
        "deletedRecords": gone,
        "earliestDateAvailable": instant(call.store.clock() - timedelta(days=_DELETED_DAYS)),
        "latestDateCovered": instant(end),
    }
    return Answer(answer)


def _span(call: Call, days: int) -> tuple[datetime, datetime]:
    try:
        start, end = (
            moment(call.query[name].replace(" ", "+")).replace(second=0)
            for name in ("start", "end")
        )
    except (KeyError, ValueError) as error:
        raise Refused("INVALID_REPLICATION_DATE", "start and end must be instants") from error
    if end - start < timedelta(minutes=1):
        said = "startDate before endDate, and at least a minute apart"
        raise Refused("INVALID_REPLICATION_DATE", said)
    if start < call.store.clock() - timedelta(days=days):
        said = f"startDate cannot be more than {days} days ago"
        raise Refused("INVALID_REPLICATION_DATE", said)
    return start, min(end, call.store.clock())


def _stamped_between(call: Call, start: datetime, end: datetime) -> list[Row]:
    sobject = call.store.sobject(call.path["object"])
    first, last = instant(start), instant(end)
    rows = call.store.tables[sobject.name].all()
    return [row for row in rows if first <= row["SystemModstamp"] <= last]
