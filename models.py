"""The values that cross between connectors, transforms and the flow: what each side may rely on."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

VERSION = "0.2.0"
"""The release; pyproject.toml names the same."""

Rows = list[dict[str, Any]]
"""The rows of a small table for a report or a receipt."""

FieldType = Literal["text", "number", "integer", "boolean", "date", "datetime"]
OutcomeStatus = Literal["written", "unchanged", "held", "quarantined", "excluded", "unknown"]
STATUSES: tuple[OutcomeStatus, ...] = (
    "written",
    "held",
    "quarantined",
    "unchanged",
    "excluded",
)
"""The outcomes with which a live record can end a run, in the order of reports."""


@dataclass(frozen=True)
class Field:
    """One field as an account really has it.

    `options` are the values it lists (None: it has no list), `restricted` where others are refused;
    `max_length` counts characters (None: no limit is known). A `calculated` field changes without
    its record being modified.
    """

    name: str
    type: FieldType
    label: str = ""
    writable: bool = True
    options: tuple[str, ...] | None = None
    restricted: bool = True
    max_length: int | None = None
    calculated: bool = False


Catalog = Mapping[str, Mapping[str, Field]]
"""What an account has: object -> field name -> field."""


@dataclass(frozen=True)
class FieldOption:
    """One value of a picklist, and the name that people read."""

    value: str
    label: str


@dataclass(frozen=True)
class FieldSpec:
    """A field that a mapping writes, as an account must have it.

    `column` is the column of `lifecycle` that is written into it. `options` are the values that can
    be written (None: any); `is_long` where the text can be longer than 255 characters.
    """

    object: str
    name: str
    column: str
    type: FieldType
    options: tuple[FieldOption, ...] | None = None
    is_long: bool = False

    @property
    def description(self) -> str:
        """Say in the CRM what the field is, for the people who meet it there."""
        return f"Written by onefunnel ({self.column}). A change by hand is overwritten."


MissingReason = Literal["missing", "hidden", "archived", "unknown"]
"""Why an account does not show a field. hidden: it exists, and the login may not see it. unknown:
the login may not look."""


FieldChangeStatus = Literal["created", "options added", "permitted", "exists", "refused"]


@dataclass(frozen=True)
class FieldChangeResult:
    """What became of one field that onefunnel set up in an account."""

    object: str
    field: str
    status: FieldChangeStatus
    text: str = ""


FindingStatus = Literal["ok", "warning", "fault", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What one check of `doctor` found. `advice` replaces the advice of the check, where given."""

    status: FindingStatus
    text: str = ""
    advice: str = ""


FieldSelection = Mapping[str, tuple[str, ...]]
"""What a run needs: object -> the fields to read. Keys and cursors are added by the source."""


@dataclass(frozen=True)
class FieldChange:
    """One field to be written; None clears it. Values are text in the CRM's own spelling."""

    field: str
    before: str | None
    after: str | None
    clear_first: bool = False


@dataclass(frozen=True)
class RecordChange:
    """All that one run wants to change in one record."""

    object: str
    record_id: str
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True)
class WriteVolume:
    """How many records are to be written into one CRM.

    `stages` of them with a stage among their fields, `backward` of these with a lower one than the
    CRM shows.
    """

    records: int
    stages: int = 0
    backward: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of one record's changes. `error` never holds a value of the record.

    `field` is the refused field, where the CRM names one. `crm_message` is the CRM's own message,
    where it is metadata of the account, such as the text of a validation rule.
    """

    object: str
    record_id: str
    status: OutcomeStatus
    reason: str
    at: datetime
    attempts: int = 1
    error_code: str | None = None
    error: str | None = None
    field: str | None = None
    crm_message: str | None = None


@dataclass(frozen=True)
class ValueWriter:
    """Who wrote a value into a CRM, and when, as the CRM itself remembers it.

    field:  None where the CRM remembers the last writer of the whole record only
    value:  what was written; None where the CRM does not say
    writer: the user or app, as the CRM names it
    is_own: whether it is the login that we write with (None: the CRM does not say who we are)
    at:     in UTC
    """

    record_id: str
    field: str | None
    value: str | None
    writer: str
    is_own: bool | None
    at: datetime


@dataclass(frozen=True)
class RowCheck:
    """The result of comparing the landed rows of one object with the CRM after an extract.

    `records` are live in the CRM. Of them `missing` were not landed, or without their history, and
    were read again; `reassociated` belonged to other people than landed. `absent` were landed, and
    the CRM no longer shows them: `warehouse/absences.py` decides what becomes of them.
    `is_complete` where this explains the difference of the counts. `full_check_at` is when all rows
    were last compared: ids and associations.
    """

    object: str
    at: datetime
    records: int
    missing: int = 0
    absent: int = 0
    reassociated: int = 0
    is_complete: bool = True
    full_check_at: datetime | None = None


@dataclass(frozen=True)
class Account:
    """The account of a CRM (HubSpot: portal, Salesforce: org) that a login leads to.

    `id` is None where the login may not read it.
    """

    id: str | None
    name: str

    def is_other_than(self, known: "Account | None") -> bool:
        """Say whether this is another account than a known one; False where an id is unknown."""
        return known is not None and None not in (self.id, known.id) and self.id != known.id


IdsByObject = Mapping[str, Collection[str]]
"""Record ids per object."""


@dataclass(frozen=True)
class Verification:
    """What the comparison of the landed rows of one CRM with the CRM found.

    `absent` were landed as live, and the CRM no longer shows them. `returned` were absent before,
    and the CRM shows them again.
    """

    row_checks: Sequence[RowCheck]
    absent: IdsByObject
    returned: IdsByObject


@dataclass(frozen=True)
class ExtractEstimate:
    """How the next extract reads one object: about `records` records with about `calls` calls.

    `records` is None where the CRM cannot count them; `calls` is then the minimum.
    """

    object: str
    method: str
    reason: str
    records: int | None
    calls: int


class ProgressReporter(Protocol):
    """What shows how far reading and writing are; see `cli/render/progress.py`."""

    def extract_callback(
        self, crm: str, after_page: Callable[[], None]
    ) -> Callable[[str, int, int | None], None]:
        """Give the function that a source calls with object, rows so far, rows in all."""

    def write_callback(self, crm: str, total: int) -> Callable[[int], None]:
        """Give the function that a sink calls with the number of records it has finished."""
