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
    UNSENT_PROPERTY_CODES,
    VALUE_CODES,
    parse_error,
    rejection,
)
from connectors.hubspot.pagination import drop_malformed
from connectors.load.sink_spec import RemoteRecord, SinkSpec
from connectors.load.values import values_equal
from connectors.load.writer import write_changes
from errors import RejectedError, SyncError, UnconfirmedWriteError, UnknownOutcomeError
from models import Catalog, Field, FieldChange, Outcome, RecordChange, WriteVolume

BATCH_SIZE = 100
TIMESTAMP_RESOLUTION = timedelta(milliseconds=1)

MERGED = "MERGED"
"""Our code for a record that was merged into another after it was read."""

NORMALIZED = "PROPERTY_VALUE_NORMALIZED"

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
        excluded={
            **dict.fromkeys(codes_in_scope(ERROR_RULES, "deleted"), "deleted"),
            MERGED: "merged",
        },
    )
    return write_changes(changes, spec, catalog, client.api_caller)


def estimate_writes(_: Client | None, volume: WriteVolume) -> int:
    """Estimate the calls: per batch one read and one write; two more where stages move backward."""
    return 2 * ceil(volume.records / BATCH_SIZE) + 2 * ceil(volume.backward / BATCH_SIZE)


def _read(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str]
) -> Mapping[str, RemoteRecord]:
    """Read records by id. Not by search: its index is updated some seconds after a write."""
    response = client.read_batch(object, ids, properties=list(fields))
    results = drop_malformed(client, object, response)["results"]
    records: dict[str, RemoteRecord] = {result["id"]: result["properties"] for result in results}
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
    try:
        response = client.update(object, inputs)
    except RejectedError as error:
        merged = _merged_meanwhile(client, object, changes, error)
        if not merged:
            raise
        others = [change for change in changes if change.record_id not in merged]
        return {**merged, **(_write(client, catalog, object, others) if others else {})}
    written = {result["id"]: result["properties"] for result in response["results"]}
    rejected = _rejected_records(response)
    normalized = _normalized_values(response)
    _warn_of_normalized(client, object, normalized, catalog)
    return {
        change.record_id: rejected.get(change.record_id)
        or _unconfirmed(change, written.get(change.record_id), normalized, catalog)
        for change in changes
    }


def _merged_meanwhile(
    client: Client, object: str, changes: Sequence[RecordChange], error: RejectedError
) -> dict[str, RejectedError]:
    """Find the records that were merged into others between the comparison and the write.

    HubSpot refuses the whole batch for them and does not say which they are. The next pull reads
    the record that took their place, and the next plan is about that one.
    """
    if error.field is not None or error.code in UNSENT_PROPERTY_CODES:
        return {}
    found = _read(client, object, [change.record_id for change in changes], ())
    text = f"{object}: the record was merged into another one, which the next run writes"
    return {
        id: RejectedError(text, code=MERGED) for id, record in found.items() if record == "merged"
    }


def _normalized_values(response: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Return what HubSpot stored instead of a value, by property and the value that was sent."""
    contexts = (
        warning.get("context") or {}
        for warning in response.get("warnings") or ()
        if isinstance(warning, dict) and warning.get("category") == NORMALIZED
    )
    return {
        (_first(context, "propertyName"), _first(context, "rawValue")): _first(
            context, "normalizedValue"
        )
        for context in contexts
    }


def _first(context: Mapping[str, Any], name: str) -> str:
    """Read a text that may stand in a list, as those in errors do."""
    value = context.get(name)
    return str(value[0] if isinstance(value, list) and value else value or "")


def _warn_of_normalized(
    client: Client,
    object: str,
    normalized: Mapping[tuple[str, str], str],
    catalog: Catalog,
) -> None:
    """Name the fields whose value the next run would find changed, and write again."""
    fields = catalog.get(object, {})
    for field in dict.fromkeys(
        name
        for (name, sent), stored in normalized.items()
        if not _equal(sent, stored, fields.get(name))
    ):
        warning = (
            f"HubSpot stores another value of {object}.{field} than the one sent ({NORMALIZED}):"
            " let the mapping give it in the form that HubSpot shows, such as 2026-09-30 for a"
            " date; otherwise each run writes it again"
        )
        if warning not in client.warnings:
            client.warnings.append(warning)


def _rejected_records(response: Mapping[str, Any]) -> dict[str, RejectedError]:
    """Return the errors by record id; HubSpot lists the ids inside each error."""
    return {
        id: rejection(problem, "a record of a batch")
        for problem in map(parse_error, response.get("errors") or ())
        for id in problem.context.get("ids", ())
    }


def _unconfirmed(
    change: RecordChange,
    properties: Mapping[str, str | None] | None,
    normalized: Mapping[tuple[str, str], str],
    catalog: Catalog,
) -> UnknownOutcomeError | None:
    if properties is None:
        return UnknownOutcomeError(f"HubSpot did not mention {change.object} {change.record_id}")
    fields = catalog.get(change.object, {})
    for field in change.fields:
        known = fields.get(field.field)
        expected = normalized.get((field.field, field.after or ""), field.after)
        is_kept = _equal(properties.get(field.field, expected), expected, known)
        if not is_kept or _may_move_back(field, known):
            return UnconfirmedWriteError(
                f"HubSpot may have kept another {field.field} of {change.object} {change.record_id}"
            )
    return None


def _equal(left: str | None, right: str | None, known: Field | None) -> bool:
    type = known.type if known else "text"
    return values_equal(left, right, type, timestamp_resolution=TIMESTAMP_RESOLUTION)


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
