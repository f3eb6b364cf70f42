"""Write changes into Salesforce: 200 records per call, each with its own result; many by a job."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from math import ceil
from typing import Any

from connectors.error_mapping import codes_in_scope
from connectors.load.sink_spec import RemoteRecord, SinkSpec
from connectors.load.values import parse_value
from connectors.load.writer import write_changes
from connectors.salesforce import bulk_ingest
from connectors.salesforce.client import DATA_PATH, Client
from connectors.salesforce.error_codes import ERROR_RULES, FIELD_CODES, parse_errors, rejection
from connectors.salesforce.rule_messages import RuleMessages
from errors import SyncError
from models import Catalog, FieldChange, Outcome, RecordChange, WriteVolume

READ_BATCH_SIZE = 2_000
BATCH_SIZE = 200
JOB_CALLS = 10
"""About the number of calls to create a Bulk 2.0 job, poll it and fetch its results."""

TIMESTAMP_RESOLUTION = timedelta(seconds=1)
"""Salesforce stores no milliseconds (datetime field type)."""

EXCLUDED = {
    **dict.fromkeys(codes_in_scope(ERROR_RULES, "converted"), "converted"),
    **dict.fromkeys(codes_in_scope(ERROR_RULES, "deleted"), "deleted"),
}


def write(
    client: Client, changes: Iterable[RecordChange], catalog: Catalog
) -> Iterator[list[Outcome]]:
    """Write changes and yield the outcome of every record, batch by batch.

    Raises: AccessError where the session cannot be renewed, or the user may not write.
    """
    spec = SinkSpec(
        read=partial(_read, client),
        write=partial(_write, client, catalog),
        read_batch_size=READ_BATCH_SIZE,
        write_batch_size=BATCH_SIZE,
        compare_batch_size=bulk_ingest.MAX_ROWS,
        lock_field="AccountId",
        timestamp_resolution=TIMESTAMP_RESOLUTION,
        field_codes=FIELD_CODES,
        value_codes=frozenset(),  # a picklist can have other values per record type
        excluded=EXCLUDED,
        bulk_write=partial(bulk_ingest.write, client, partial(_csv_text, catalog)),
        bulk_min_records=client.bulk_min_records,
    )
    messages = RuleMessages(client)
    for outcomes in write_changes(changes, spec, catalog, client.api_caller):
        yield [messages.keep_known(outcome) for outcome in outcomes]


def estimate_writes(client: Client | None, volume: WriteVolume) -> int:
    """Estimate the calls: reads, and writes by batches or, where a client is given, by jobs."""
    reads = ceil(volume.records / READ_BATCH_SIZE)
    if client is not None and volume.records >= client.bulk_min_records:
        return reads + JOB_CALLS * ceil(volume.records / bulk_ingest.MAX_ROWS)
    return reads + ceil(volume.records / BATCH_SIZE)


def _read(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str]
) -> Mapping[str, RemoteRecord]:
    """Read records by id; Salesforce returns null for a record that does not exist."""
    body = {"ids": list(ids), "fields": list(fields)}
    response = client.post(
        f"{DATA_PATH}/composite/sobjects/{object}",
        body,
        is_valid=partial(_are_records, ids),
    )
    return {
        id: "deleted" if record is None else {name: _text(record.get(name)) for name in fields}
        for id, record in zip(ids, response, strict=True)
    }


def _are_records(ids: Sequence[str], body: Any) -> bool:
    """Say whether a response has each record in its place, or null where there is none."""
    return (
        isinstance(body, list)
        and len(body) == len(ids)
        and all(
            record is None
            or (isinstance(record, dict) and str(record.get("Id", id))[:15] == id[:15])
            for id, record in zip(ids, body, strict=True)
        )
    )


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
    return str(value)


def _write(
    client: Client, catalog: Catalog, object: str, changes: Sequence[RecordChange]
) -> Mapping[str, SyncError | None]:
    records = [
        {
            "attributes": {"type": object},
            "id": change.record_id,
            **{field.field: _json_value(field, object, catalog) for field in change.fields},
        }
        for change in changes
    ]
    results = client.update(records)
    return {
        change.record_id: None if result["success"] else _error(result)
        for change, result in zip(changes, results, strict=True)
    }


def _error(result: Mapping[str, Any]) -> SyncError:
    return rejection(parse_errors(result.get("errors") or []), "a record of a batch")


def _json_value(field: FieldChange, object: str, catalog: Catalog) -> Any:
    """Return a value as JSON: a number, a boolean, text, or null."""
    known = catalog.get(object, {}).get(field.field)
    value = parse_value(
        field.after, known.type if known else "text", timestamp_resolution=TIMESTAMP_RESOLUTION
    )
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case bool() | None:
            return value
    return field.after if isinstance(value, str) else str(value)


def _csv_text(catalog: Catalog, object: str, field: FieldChange) -> str | None:
    """Return a value as CSV text."""
    return _text(_json_value(field, object, catalog))
