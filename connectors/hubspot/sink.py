"""Changes into HubSpot: 100 records a call, one bad property refuses them all."""

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
"""Properties HubSpot accepts any value for, and keeps the one that stands later in their list."""


def write(
    client: Client, changes: Iterable[RecordChange], catalog: Catalog
) -> Iterator[list[Outcome]]:
    """Write changes, and yield an outcome for every record, batch by batch.

    A field with `clear_first` is emptied in a request of its own before the one that sets it.

    Raises: AccessError where the token may not write, naming the scope.
    """
    hands = SinkSpec(
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
    return write_changes(changes, hands, catalog, client.api_caller)


def estimate_writes(_: Client | None, volume: WriteVolume) -> int:
    """Estimate the calls: to look and to write, per batch; where a stage goes back, to empty it
    before and to look again behind.
    """
    return 2 * ceil(volume.records / BATCH_SIZE) + 2 * ceil(volume.backward / BATCH_SIZE)


def _read(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str]
) -> Mapping[str, RemoteRecord]:
    """Read records as they are. Never by search: its index is behind what was just written."""
    body = {"properties": list(fields), "inputs": [{"id": id} for id in ids]}
    answer = client.post(f"/crm/v3/objects/{object}/batch/read", body)
    seen: dict[str, RemoteRecord] = {one["id"]: one["properties"] for one in answer["results"]}
    missing = set(_rejected_records(answer))
    for id in ids:
        if id not in seen:
            # A merged record answers under a new id and is not reported as missing.
            seen[id] = "deleted" if id in missing else "merged"
    return seen


def _write(
    client: Client, catalog: Catalog, object: str, changes: Sequence[RecordChange]
) -> Mapping[str, SyncError | None]:
    inputs = [
        {"id": change.record_id, "properties": {f.field: f.after or "" for f in change.fields}}
        for change in changes
    ]
    answer = client.update(object, inputs)
    written = {one["id"]: one["properties"] for one in answer["results"]}
    refused = _rejected_records(answer)
    return {
        change.record_id: refused.get(change.record_id)
        or _unconfirmed(change, written.get(change.record_id), catalog)
        for change in changes
    }


def _rejected_records(answer: Mapping[str, Any]) -> dict[str, RejectedError]:
    """Sort the errors by record; HubSpot gives one an error and lists the ids in it."""
    return {
        id: rejection(problem, "a record of a batch")
        for problem in map(parse_error, answer.get("errors") or ())
        for id in problem.context.get("ids", ())
    }


def _unconfirmed(
    change: RecordChange, answered: Mapping[str, str | None] | None, catalog: Catalog
) -> UnknownOutcomeError | None:
    if answered is None:
        return UnknownOutcomeError(f"HubSpot did not mention {change.object} {change.record_id}")
    fields = catalog.get(change.object, {})
    for field in change.fields:
        known = fields.get(field.field)
        kept = answered.get(field.field, field.after)
        is_kept = values_equal(
            kept,
            field.after,
            known.type if known else "text",
            timestamp_resolution=TIMESTAMP_RESOLUTION,
        )
        if not is_kept or _may_move_back(field, known):
            return UnconfirmedWriteError(
                f"{field.field} of {change.object} {change.record_id}: look again"
            )
    return None


def _may_move_back(field: FieldChange, known: Field | None) -> bool:
    """Tell whether HubSpot may have kept the value before; its answer does not say so."""
    if field.field not in ONLY_FORWARD or field.after is None:
        return False
    if field.clear_first:
        return True  # it was emptied before: somebody may have set a later one in between
    if field.before is None:
        return False
    order = (known.options if known else None) or ()
    steps = [order.index(stage) for stage in (field.before, field.after) if stage in order]
    return len(steps) < 2 or steps[1] < steps[0]
