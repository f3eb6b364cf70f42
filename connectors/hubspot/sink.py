"""Write changes into HubSpot: 100 records per call; one bad property makes the call fail."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from math import ceil
from typing import Any

from connectors.error_mapping import codes_in_scope
from connectors.hubspot.client import MAX_CONCURRENT_BATCHES, Client
from connectors.hubspot.error_codes import (
    ERROR_RULES,
    FIELD_CODES,
    VALUE_CODES,
    parse_error,
    rejection,
)
from connectors.load.sink_spec import RemoteRecord, SinkSpec
from connectors.load.values import values_equal
from connectors.load.writer import write_changes
from errors import RejectedError, SyncError, UnconfirmedWriteError, UnknownOutcomeError
from models import Catalog, Field, FieldChange, Outcome, RecordChange, WriteVolume

BATCH_SIZE = 100
TIMESTAMP_RESOLUTION = timedelta(milliseconds=1)

ONLY_FORWARD = frozenset({"lifecyclestage"})
"""HubSpot answers 200 to a lower value of these and keeps the higher one (CRM API, properties)."""


def write(
    client: Client, changes: Iterable[RecordChange], catalog: Catalog
) -> Iterator[list[Outcome]]:
    """Write changes and yield the outcome of every record, batch by batch.

    A field with `clear_first` is cleared in one request and set in the next.

    Raises: AccessError with the missing scope, where the token may not write.
    """
    spec = SinkSpec(
        read=partial(_read, client),
        write=partial(_write, client, catalog),
        read_batch_size=BATCH_SIZE,
        write_batch_size=BATCH_SIZE,
        compare_batch_size=BATCH_SIZE,
        max_concurrent_batches=MAX_CONCURRENT_BATCHES,
        timestamp_resolution=TIMESTAMP_RESOLUTION,
        field_codes=FIELD_CODES,
        value_codes=VALUE_CODES,
        excluded=dict.fromkeys(codes_in_scope(ERROR_RULES, "deleted"), "deleted"),
    )
    return write_changes(changes, spec, catalog, client.api_caller)


def estimate_writes(_: Client | None, volume: WriteVolume) -> int:
    """Estimate the calls: per batch one read and one write; two more where stages move backward."""
    return 2 * ceil(volume.records / BATCH_SIZE) + 2 * ceil(volume.backward / BATCH_SIZE)


def _read(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str]
) -> Mapping[str, RemoteRecord]:
    """Read records by id. Not by search: its index is updated some seconds after a write."""
    body = {"properties": list(fields), "inputs": [{"id": id} for id in ids]}
    response = client.post(f"/crm/v3/objects/{object}/batch/read", body)
    records: dict[str, RemoteRecord] = {
        result["id"]: result["properties"] for result in response["results"]
    }
    missing = set(_rejected_records(response))
    for id in ids:
        if id not in records:
            # HubSpot returns a merged record under its new id and does not report the old id
            records[id] = "deleted" if id in missing else "merged"
    return records


def _write(
    client: Client, catalog: Catalog, object: str, changes: Sequence[RecordChange]
) -> Mapping[str, SyncError | None]:
    inputs = [
        {"id": change.record_id, "properties": {f.field: f.after or "" for f in change.fields}}
        for change in changes
    ]
    response = client.update(object, inputs)
    written = {result["id"]: result["properties"] for result in response["results"]}
    rejected = _rejected_records(response)
    return {
        change.record_id: rejected.get(change.record_id)
        or _unconfirmed(change, written.get(change.record_id), catalog)
        for change in changes
    }


def _rejected_records(response: Mapping[str, Any]) -> dict[str, RejectedError]:
    """Return the errors by record id; HubSpot lists the ids inside each error."""
    return {
        id: rejection(problem, "a record of a batch")
        for problem in map(parse_error, response.get("errors") or ())
        for id in problem.context.get("ids", ())
    }


def _unconfirmed(
    change: RecordChange, properties: Mapping[str, str | None] | None, catalog: Catalog
) -> UnknownOutcomeError | None:
    if properties is None:
        return UnknownOutcomeError(f"HubSpot did not mention {change.object} {change.record_id}")
    fields = catalog.get(change.object, {})
    for field in change.fields:
        known = fields.get(field.field)
        kept = properties.get(field.field, field.after)
        is_kept = values_equal(
            kept,
            field.after,
            known.type if known else "text",
            timestamp_resolution=TIMESTAMP_RESOLUTION,
        )
        if not is_kept or _may_move_back(field, known):
            return UnconfirmedWriteError(
                f"HubSpot may have kept another {field.field} of {change.object} {change.record_id}"
            )
    return None


def _may_move_back(field: FieldChange, known: Field | None) -> bool:
    """Say whether HubSpot may have kept the previous value; its response does not show it."""
    if field.field not in ONLY_FORWARD or field.after is None:
        return False
    if field.clear_first:
        return True  # it was cleared before: a person may have set a higher stage in between
    if field.before is None:
        return False
    order = (known.options if known else None) or ()
    steps = [order.index(stage) for stage in (field.before, field.after) if stage in order]
    return len(steps) < 2 or steps[1] < steps[0]
