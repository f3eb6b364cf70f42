"""What the sink of one CRM provides: how to read and write a batch, its sizes and its limits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from errors import SyncError
from models import RecordChange

RemoteRecord = Mapping[str, str | None] | str
"""The fields of one record; or, where the CRM has no such record, `deleted` or `merged`."""

WriteBatch = Callable[[str, Sequence[RecordChange]], Mapping[str, SyncError | None]]
"""Takes an object and its changes; returns a result per record id.

None: written. RejectedError: the CRM rejects this record. RetryableError: the row is locked.
UnconfirmedWriteError: the CRM may have kept another value. UnknownOutcomeError: the response does
not mention the record. Raises RejectedError if one record makes the whole batch fail, and
UnknownOutcomeError if there was no response.
"""


@dataclass(frozen=True)
class SinkSpec:
    """What one CRM's sink can do, and how much at once.

    `read` takes an object, ids and fields. `compare_batch_size` records are compared before the
    first of them is written; `max_concurrent_batches` such groups are written at a time. From
    `bulk_min_records` records of a group on, `bulk_write` writes them, where the CRM has it.

    `field_codes` are the error codes that reject a field with any value, `value_codes` those that
    reject a value on any record; `excluded` maps the codes of records that can no longer be
    written to their reason. Records with the same value in `lock_field` lock each other.
    """

    read: Callable[[str, Sequence[str], Sequence[str]], Mapping[str, RemoteRecord]]
    write: WriteBatch
    read_batch_size: int
    write_batch_size: int
    compare_batch_size: int
    timestamp_resolution: timedelta
    field_codes: frozenset[str]
    value_codes: frozenset[str]
    excluded: Mapping[str, str]
    max_concurrent_batches: int = 1
    lock_field: str = ""
    bulk_write: WriteBatch | None = None
    bulk_min_records: int = 0
