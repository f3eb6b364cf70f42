"""The format of stored rows, and their audit fields."""

import hashlib
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from sandbox.salesforce.ids import number_in, record_id
from sandbox.salesforce.values import instant
from sandbox.storage.record_store import RecordFormat, RecordStore

_PUNCTUATION = str.maketrans("", "", "-T:")

Row = dict[str, Any]
"""Fields by name, as REST writes them; an empty field may be absent."""

Tables = dict[str, RecordStore[str, Row]]
"""Rows by object and id."""


def table(prefix: str) -> RecordStore[str, Row]:
    """Create an empty table for rows whose ids start with this prefix."""
    names = partial(number_in, prefix), partial(record_id, prefix)
    return RecordStore(RecordFormat(*names, orjson.dumps, orjson.loads, _stamp))


def _stamp(row: Row) -> int:
    """Return when a row changed, negative if it is not live."""
    at = digits(row["SystemModstamp"])
    return at if is_live(row) else -at


def digits(at: str) -> int:
    """Write a time as a number of whole seconds."""
    return int(at[:19].translate(_PUNCTUATION))


def is_live(row: Row) -> bool:
    """Return whether a row is neither deleted nor archived."""
    return not row.get("IsDeleted") and not row.get("IsArchived")


def stamped(row: Row, created: datetime, modified: datetime, by: str) -> Row:
    """Add the audit fields: created and last changed, when and by whom."""
    row["CreatedDate"] = instant(created)
    row["LastModifiedDate"] = row["SystemModstamp"] = instant(modified)
    row["CreatedById"] = row["LastModifiedById"] = by
    return row


def number_of(text: str) -> int:
    """Return the same number for the same text, for ids of named records."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest())
