"""Write changes to MiniCRM: up to 50 records per call, each with a result of its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from math import ceil

from connectors.load.sink_spec import RemoteRecord, SinkSpec
from connectors.load.writer import write_changes
from errors import SyncError
from models import Catalog, Outcome, RecordChange, WriteVolume

from .client import Client
from .error_codes import EXCLUDED, VALUE_CODES, rejection

BATCH_SIZE = 50


def write(
    client: Client, changes: Iterable[RecordChange], catalog: Catalog
) -> Iterator[list[Outcome]]:
    """Write changes and yield one outcome per record."""
    sink = SinkSpec(
        read=partial(_read, client),
        write=partial(_write, client, catalog),
        read_batch_size=BATCH_SIZE,
        write_batch_size=BATCH_SIZE,
        compare_batch_size=BATCH_SIZE,
        timestamp_resolution=timedelta(microseconds=1),
        field_codes=frozenset(),
        value_codes=VALUE_CODES,
        excluded=EXCLUDED,
    )
    return write_changes(changes, sink, catalog, client.api_caller)


def estimate_writes(_: Client | None, volume: WriteVolume) -> int:
    """Estimate the calls: one to read and one to write per batch."""
    return 2 * ceil(volume.records / BATCH_SIZE)


def _read(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str]
) -> Mapping[str, RemoteRecord]:
    rows = {row["id"]: row for row in client.get(f"/{object}", ids=",".join(ids))["rows"]}
    return {
        id: "deleted"
        if id not in rows or rows[id]["deleted"]
        else {name: None if rows[id][name] is None else str(rows[id][name]) for name in fields}
        for id in ids
    }


def _write(
    client: Client, catalog: Catalog, object: str, changes: Sequence[RecordChange]
) -> Mapping[str, SyncError | None]:
    types = {name: field.type for name, field in catalog[object].items()}
    rows = [
        {"id": change.record_id}
        | {
            field.field: float(field.after)
            if field.after and types[field.field] == "number"
            else field.after
            for field in change.fields
        }
        for change in changes
    ]
    return {
        result["id"]: rejection(result["code"], result.get("field")) if "code" in result else None
        for result in client.update(object, rows)
    }
