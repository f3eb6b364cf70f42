"""Changes into Salesforce: 200 records a call, each answered for itself; many by one job."""

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
from errors import SyncError
from models import Catalog, FieldChange, Outcome, RecordChange, WriteVolume

READ_BATCH_SIZE = 2_000
BATCH_SIZE = 200
JOB_CALLS = 10
"""To make a job, to watch it, and to fetch what became of it: about so many."""

TIMESTAMP_RESOLUTION = timedelta(seconds=1)
"""Salesforce keeps no milliseconds."""

EXCLUDED = {
    **dict.fromkeys(codes_in_scope(ERROR_RULES, "converted"), "converted"),
    **dict.fromkeys(codes_in_scope(ERROR_RULES, "deleted"), "deleted"),
}


def write(
    client: Client, changes: Iterable[RecordChange], catalog: Catalog
) -> Iterator[list[Outcome]]:
    """Write changes, and yield an outcome for every record, batch by batch.

    Raises: AccessError where the session ended and cannot be renewed, or the user may not write.
    """
    hands = SinkSpec(
        read=partial(_read, client),
        write=partial(_write, client, catalog),
        read_batch_size=READ_BATCH_SIZE,
        write_batch_size=BATCH_SIZE,
        compare_batch_size=bulk_ingest.MAX_ROWS,
        lock_field="AccountId",
        timestamp_resolution=TIMESTAMP_RESOLUTION,
        field_codes=FIELD_CODES,
        value_codes=frozenset(),  # a picklist's values may differ by record type
        excluded=EXCLUDED,
        bulk_write=partial(bulk_ingest.write, client, partial(_csv_text, catalog)),
        bulk_min_records=client.bulk_min_records,
    )
    return write_changes(changes, hands, catalog, client.api_caller)


def estimate_writes(client: Client | None, volume: WriteVolume) -> int:
    """Estimate the calls: to look, and to write by batches; where there is a client, by jobs."""
    looks = ceil(volume.records / READ_BATCH_SIZE)
    if client is not None and volume.records >= client.bulk_min_records:
        return looks + JOB_CALLS * ceil(volume.records / bulk_ingest.MAX_ROWS)
    return looks + ceil(volume.records / BATCH_SIZE)


def _read(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str]
) -> Mapping[str, RemoteRecord]:
    """Read records as they are; where there is none, the answer has a null."""
    body = {"ids": list(ids), "fields": list(fields)}
    answer = client.post(
        f"{DATA_PATH}/composite/sobjects/{object}",
        body,
        is_valid=lambda told: isinstance(told, list) and len(told) == len(ids),
    )
    return {
        id: "deleted" if record is None else {name: _text(record.get(name)) for name in fields}
        for id, record in zip(ids, answer, strict=True)
    }


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
    answers = client.update(records)
    return {
        change.record_id: None if answer["success"] else _error(answer)
        for change, answer in zip(changes, answers, strict=True)
    }


def _error(answer: Mapping[str, Any]) -> SyncError:
    return rejection(parse_errors(answer.get("errors") or []), "a record of a batch")


def _json_value(field: FieldChange, object: str, catalog: Catalog) -> Any:
    """Give a value as JSON has it: numbers and booleans bare, None as null."""
    known = catalog.get(object, {}).get(field.field)
    read = parse_value(
        field.after, known.type if known else "text", timestamp_resolution=TIMESTAMP_RESOLUTION
    )
    match read:
        case Decimal():
            return int(read) if read == read.to_integral_value() else float(read)
        case datetime():
            return read.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case bool() | None:
            return read
    return field.after if isinstance(read, str) else str(read)


def _csv_text(catalog: Catalog, object: str, field: FieldChange) -> str | None:
    """Give a value as CSV has it."""
    return _text(_json_value(field, object, catalog))
