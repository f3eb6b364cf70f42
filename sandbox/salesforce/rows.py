"""The shape of stored rows, and what every one of them carries."""

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
"""A record's fields by name, as REST writes them; a field without a value may be absent."""

Tables = dict[str, RecordStore[str, Row]]
"""Rows by object and id."""


def table(prefix: str) -> RecordStore[str, Row]:
    """Make an empty table for rows whose ids begin like this."""
    names = partial(number_in, prefix), partial(record_id, prefix)
    return RecordStore(RecordFormat(*names, orjson.dumps, orjson.loads, _stamp))


def _stamp(row: Row) -> int:
    """Tell when a row changed, below zero where it is not live."""
    at = digits(row["SystemModstamp"])
    return at if is_live(row) else -at


def digits(at: str) -> int:
    """Write an instant as a number, by whole seconds."""
    return int(at[:19].translate(_PUNCTUATION))


def is_live(row: Row) -> bool:
    """Tell whether a row is neither deleted nor archived."""
    return not row.get("IsDeleted") and not row.get("IsArchived")


def stamped(row: Row, created: datetime, modified: datetime, by: str) -> Row:
    """Add when and by whom a row was made and last changed."""
    row["CreatedDate"] = instant(created)
    row["LastModifiedDate"] = row["SystemModstamp"] = instant(modified)
    row["CreatedById"] = row["LastModifiedById"] = by
    return row


def number_of(text: str) -> int:
    """Give a number that is always the same for a text, to make ids of things that have names."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest())
