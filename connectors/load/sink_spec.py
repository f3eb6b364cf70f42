"""What a CRM's sink brings along: how it reads and writes one batch, and what is special there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from errors import SyncError, UnknownOutcomeError
from models import RecordChange

RemoteRecord = Mapping[str, str | None] | str
"""What a CRM holds of one record; a word where it holds no such record: deleted, merged."""

WriteBatch = Callable[[str, Sequence[RecordChange]], Mapping[str, SyncError | None]]
"""Takes an object and its changes; answers for each record, by its id.

None says that it was written, an error that it was not: refused, to be sent again (retryable), to
be looked at (unclear, a doubt). A RefusedError raised means that one record spoils the batch, an
UnclearError that nobody knows what was written.
"""


class UnconfirmedWriteError(UnknownOutcomeError):
    """The CRM took a value and may have kept its own: look, and send nothing again."""


@dataclass(frozen=True)
class SinkSpec:
    """What one CRM's sink can do, and how much at once.

    `read` takes an object, ids and fields. `together` records are compared before the first of
    them is written, and up to `in_flight` such groups are on their way at a time. From `job_from`
    records of a group on, `job` writes them, where the CRM has such a thing.

    `field_codes` are the refusals of a field whatever its value, `value_codes` those of a value
    whatever its record; `excluded` are refusals of a record that is nobody's to change any more.
    Records with an equal value in `locks` lock each other out, and are written side by side.
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
