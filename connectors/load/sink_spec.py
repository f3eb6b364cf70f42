"""What a CRM's sink brings along: how it reads and writes one batch, and what is special there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from errors import SyncError, UnclearError
from models import RecordChange

Seen = Mapping[str, str | None] | str
"""What a CRM holds of one record; a word where it holds no such record: deleted, merged."""

Write = Callable[[str, Sequence[RecordChange]], Mapping[str, SyncError | None]]
"""Takes an object and its changes; answers for each record, by its id.

None says that it was written, an error that it was not: refused, to be sent again (retryable), to
be looked at (unclear, a doubt). A RefusedError raised means that one record spoils the batch, an
UnclearError that nobody knows what was written.
"""


class DoubtError(UnclearError):
    """The CRM took a value and may have kept its own: look, and send nothing again."""


@dataclass(frozen=True)
class Hands:
    """What one CRM's sink can do, and how much at once.

    `read` takes an object, ids and fields. `together` records are compared before the first of
    them is written, and up to `in_flight` such groups are on their way at a time. From `job_from`
    records of a group on, `job` writes them, where the CRM has such a thing.

    `field_codes` are the refusals of a field whatever its value, `value_codes` those of a value
    whatever its record; `excluded` are refusals of a record that is nobody's to change any more.
    Records with an equal value in `locks` lock each other out, and are written side by side.
    """

    read: Callable[[str, Sequence[str], Sequence[str]], Mapping[str, Seen]]
    write: Write
    reads_at_once: int
    writes_at_once: int
    together: int
    instant: timedelta
    field_codes: frozenset[str]
    value_codes: frozenset[str]
    excluded: Mapping[str, str]
    in_flight: int = 1
    locks: str = ""
    job: Write | None = None
    job_from: int = 0
