"""Changes into Salesforce: 200 records a call, each answered for itself; many by one job."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from math import ceil
from typing import Any

from connectors.error_mapping import codes
from connectors.load.sink_spec import Hands, Seen
from connectors.load.values import value
from connectors.load.writer import carry_out
from connectors.salesforce import bulk_ingest
from connectors.salesforce.client import DATA, Client
from connectors.salesforce.error_codes import FIELD_CODES, MEANINGS, problems_of, refusal
from errors import SyncError
from models import Catalog, FieldChange, Load, Outcome, RecordChange

READ_BATCH = 2_000
BATCH = 200
JOB_CALLS = 10
"""To make a job, to watch it, and to fetch what became of it: about so many."""

INSTANT = timedelta(seconds=1)
"""Salesforce keeps no milliseconds."""

EXCLUDED = {
    **dict.fromkeys(codes(MEANINGS, "converted"), "converted"),
    **dict.fromkeys(codes(MEANINGS, "deleted"), "deleted"),
}


def apply(
    client: Client, changes: Iterable[RecordChange], catalog: Catalog
) -> Iterator[list[Outcome]]:
    """Write changes, and yield an outcome for every record, batch by batch.

    Raises: AccessError where the session ended and cannot be renewed, or the user may not write.
    """
    hands = Hands(
        read=partial(_read, client),
        write=partial(_write, client, catalog),
        reads_at_once=READ_BATCH,
        writes_at_once=BATCH,
        together=bulk_ingest.MOST_ROWS,
        locks="AccountId",
        instant=INSTANT,
        field_codes=FIELD_CODES,
        value_codes=frozenset(),  # a picklist's values may differ by record type
        excluded=EXCLUDED,
        job=partial(bulk_ingest.write, client, partial(_as_text, catalog)),
        job_from=client.bulk_from,
    )
    return carry_out(changes, hands, catalog, client.traffic)


def calls_for(client: Client | None, load: Load) -> int:
    """Estimate the calls: to look, and to write by batches; where there is a client, by jobs."""
    looks = ceil(load.records / READ_BATCH)
    if client is not None and load.records >= client.bulk_from:
        return looks + JOB_CALLS * ceil(load.records / bulk_ingest.MOST_ROWS)
    return looks + ceil(load.records / BATCH)


def _read(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str]
) -> Mapping[str, Seen]:
    """Read records as they are; where there is none, the answer has a null."""
    body = {"ids": list(ids), "fields": list(fields)}
    answer = client.post(
        f"{DATA}/composite/sobjects/{object}",
        body,
        is_sound=lambda told: isinstance(told, list) and len(told) == len(ids),
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
            **{field.field: _typed(field, object, catalog) for field in change.fields},
        }
        for change in changes
    ]
    answers = client.update(records)
    return {
        change.record_id: None if answer["success"] else _error(answer)
        for change, answer in zip(changes, answers, strict=True)
    }


def _error(answer: Mapping[str, Any]) -> SyncError:
    return refusal(problems_of(answer.get("errors") or []), "a record of a batch")


def _typed(field: FieldChange, object: str, catalog: Catalog) -> Any:
    """Give a value as JSON has it: numbers and booleans bare, None as null."""
    known = catalog.get(object, {}).get(field.field)
    read = value(field.after, known.type if known else "text", instant=INSTANT)
    match read:
        case Decimal():
            return int(read) if read == read.to_integral_value() else float(read)
        case datetime():
            return read.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case bool() | None:
            return read
    return field.after if isinstance(read, str) else str(read)


def _as_text(catalog: Catalog, object: str, field: FieldChange) -> str | None:
    """Give a value as CSV has it."""
    return _text(_typed(field, object, catalog))
