"""The shape of stored rows, and what every one of them carries."""

import hashlib
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from sandbox.salesforce.ids import number_in, record_id
from sandbox.salesforce.values import instant
from sandbox.shelf import Form, Shelf

Row = dict[str, Any]
"""A record's fields by name, as REST writes them; a field without a value may be absent."""

Tables = dict[str, Shelf[str, Row]]
"""Rows by object and id."""


def table(prefix: str) -> Shelf[str, Row]:
    """Make an empty table for rows whose ids begin like this."""
    form = Form(partial(number_in, prefix), partial(record_id, prefix), orjson.dumps, orjson.loads)
    return Shelf(form)


def stamped(row: Row, created: datetime, modified: datetime, by: str) -> Row:
    """Add when and by whom a row was made and last changed."""
    row["CreatedDate"] = instant(created)
    row["LastModifiedDate"] = row["SystemModstamp"] = instant(modified)
    row["CreatedById"] = row["LastModifiedById"] = by
    return row


def number_of(text: str) -> int:
    """Give a number that is always the same for a text, to make ids of things that have names."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest())
