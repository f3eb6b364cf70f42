"""The org while it runs: rows, sessions, locks and counters. What tests turn, they turn here."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from sandbox.salesforce.errors import ApiError, not_found
from sandbox.salesforce.ids import normalised, record_id
from sandbox.salesforce.objects import org
from sandbox.salesforce.records import INTEGRATION_USER, ORGANIZATION
from sandbox.salesforce.rows import Row, Tables, table
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.values import instant

NAMED = "Name"
"""What queries call the kind of a parent that may be one of several."""

RESULT_ROWS = 50_000
"""On a page of a query job whose size nobody asks for."""

_CREATED_FROM = 100_000_000_000


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Credentials:
    """Who may log in, and what has been handed out so far."""

    client_id: str
    client_secret: str
    username: str = "integration.user@onefunnel.example"
    password: str = "sandbox-password"
    security_token: str = "sandbox-security-token"
    refresh_token: str = ""
    rotates: bool = False
    used_refresh_tokens: set[str] = field(default_factory=set)
    public_key: str | None = None
    tokens: set[str] = field(default_factory=set)

    @property
    def password_and_token(self) -> str:
        """Give what a user sends as the password from outside of the company's networks."""
        return self.password + self.security_token

    def new_token(self) -> str:
        """Open one more session."""
        token = f"{ORGANIZATION[:15]}!AQ{secrets.token_urlsafe(24)}"
        self.tokens.add(token)
        return token

    def new_refresh_token(self) -> str:
        """Replace the refresh token; the one before is remembered, to notice its reuse."""
        if self.refresh_token:
            self.used_refresh_tokens.add(self.refresh_token)
        self.refresh_token = f"5Aep861{secrets.token_urlsafe(24)}"
        return self.refresh_token


class SalesforceStore:
    """One org. Reading and changing it in-process is what the HTTP routes do as well."""

    def __init__(
        self,
        tables: Tables,
        credentials: Credentials,
        *,
        daily_limit: int | None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """Open the org on these rows; without a daily limit calls are counted but never refused."""
        self.tables = tables
        self.schema: dict[str, SObject] = org()
        self.schema_changed_at = clock().replace(microsecond=0)
        self.credentials = credentials
        self.daily_limit = daily_limit
        self.calls_used = 0
        self.clock = clock
        self.jobs: dict[str, Any] = {}
        self.result_rows = RESULT_ROWS
        self.cursors: dict[str, Any] = {}
        self.rules: defaultdict[str, list[Any]] = defaultdict(list)
        self.allows_duplicates = False
        self._acting = INTEGRATION_USER
        self._locks: Counter[str] = Counter()
        self._undo: list[tuple[str, str, Row | None]] | None = None
        self._numbers = count(_CREATED_FROM)
        self._names = {one.prefix: one.name for one in self.schema.values()}
        self._schemas_of_all = dict(self.schema)

    def find_sobject(self, name: str) -> SObject | None:
        """Find an object by its name in any case."""
        lower = name.lower()
        return self.schema.get(name) or next(
            (one for key, one in self.schema.items() if key.lower() == lower), None
        )

    def sobject(self, name: str) -> SObject:
        """Find an object by its name in any case. Raises: Refused with NOT_FOUND."""
        found = self.find_sobject(name)
        if found is None:
            raise not_found()
        return found

    def owner_of(self, record: str) -> SObject | None:
        """Tell which object an id belongs to."""
        return self.schema.get(self._names.get(record[:3], ""))

    def row(self, record: str) -> Row | None:
        """Find a row of any object by its 18-character id, deleted ones too."""
        sobject = self.owner_of(record)
        return None if sobject is None else self.tables[sobject.name].read(record)

    def children(self, sobject: SObject) -> dict[str, tuple[str, str, str]]:
        """Give what lies below an object: (relationship, object, reference) by lower-case name."""
        return {
            child.below(reference).lower(): (child.below(reference), child.name, reference.name)
            for child in self.schema.values()
            for reference in child.parents.values()
            if sobject.name in reference.to and not reference.name.endswith("ById")
        }

    def parent(self, row: Row, reference: Field) -> Row | None:
        """Find the row that a reference of this one leads to."""
        target = row.get(reference.name)
        return None if target is None else self.row(target)

    def kind(self, row: Row) -> str:
        """Tell which object a row is one of."""
        owner = self.owner_of(row["Id"])
        return owner.name if owner else NAMED

    def put(self, sobject: str, row: Row) -> None:
        """Store a row in place of what was there, so that a transaction can take it back."""
        rows = self.tables[sobject]
        if self._undo is not None:
            self._undo.append((sobject, row["Id"], rows.read(row["Id"])))
        rows[row["Id"]] = row

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Take back every row stored inside where the block does not end well."""
        outer, self._undo = self._undo, []
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
        finally:
            if outer is not None:
                outer.extend(self._undo)
            self._undo = outer

    def _roll_back(self) -> None:
        while self._undo:
            sobject, record, before = self._undo.pop()
            if before is None:
                del self.tables[sobject][record]
            else:
                self.tables[sobject][record] = before

    def new_id(self, prefix: str) -> str:
        """Give the id of a record or job that is made now."""
        return record_id(prefix, next(self._numbers))

    def stamp(self) -> str:
        """Give the present as rows write it."""
        return instant(self.clock())

    @property
    def user_id(self) -> str:
        """Name the user who acts: in every call the integration."""
        return self._acting

    @contextmanager
    def acting_as(self, user: str) -> Iterator[None]:
        """Let a person act for a while."""
        before, self._acting = self._acting, user
        try:
            yield
        finally:
            self._acting = before

    def lock(self, ids: Iterable[str], *, times: int = 1) -> None:
        """Fail the next `times` writes that need these rows; an account's lock is its contacts'."""
        for one in ids:
            self._locks[normalised(one) or one] += times

    def unlock(self) -> None:
        """Let go of every row."""
        self._locks.clear()

    def is_locked(self, row: Row) -> bool:
        """Tell whether a row is locked now, and use up one time."""
        for name in ("Id", "AccountId"):
            record = row.get(name)
            if record is not None and self._locks[record] > 0:
                self._locks[record] -= 1
                return True
        return False

    def revoke(self) -> None:
        """End every session, as an administrator or the session's age would."""
        self.credentials.tokens.clear()

    def hide(self, sobject: str, *fields: str) -> None:
        """Take away the user's permission to see fields: they are gone from everywhere."""
        self._set_schema(self.schema[sobject].without(*fields))

    def show(self, sobject: str) -> None:
        """Let the user see all fields of an object again."""
        self._set_schema(self._schemas_of_all[sobject])

    def add(self, sobject: SObject) -> None:
        """Add an object of the administrator's own, without records."""
        self._set_schema(sobject)
        self._schemas_of_all[sobject.name] = sobject
        self._names[sobject.prefix] = sobject.name
        self.tables.setdefault(sobject.name, table(sobject.prefix))

    def beside(self, *objects: SObject) -> "SalesforceStore":
        """Make an org of other objects, which shares sessions, cursors and ids with this one."""
        other = SalesforceStore({}, self.credentials, daily_limit=None, clock=self.clock)
        other._numbers, other.cursors, other.schema = self._numbers, self.cursors, {}
        for one in objects:
            other.add(one)
        return other

    def define(self, sobject: str, *fields: Field) -> None:
        """Add fields, or change what they are: their type, options or permissions."""
        for one in fields:
            self._set_schema(self.schema[sobject].with_field(one))
            self._schemas_of_all[sobject] = self._schemas_of_all[sobject].with_field(one)

    def rename(self, sobject: str, old: str, new: str) -> None:
        """Give a field another name, with its values."""
        field = self.schema[sobject].fields[old]
        self.define(sobject, replace(field, name=new))
        self._schemas_of_all[sobject] = self._schemas_of_all[sobject].without(old)
        self.hide(sobject, old)
        rows = self.tables[sobject]
        for row in rows.all():
            if old in row:
                rows[row["Id"]] = {
                    new if name == old else name: value for name, value in row.items()
                }

    def _set_schema(self, sobject: SObject) -> None:
        self.schema[sobject.name] = sobject
        self.schema_changed_at = self.clock().replace(microsecond=0)

    def merge(self, winner: str, loser: str) -> None:
        """Merge one live record into another of its object, as a user would in the CRM."""
        sobject = self.owner_of(winner)
        row, master = self.row(loser), self.row(winner)
        if sobject is None or row is None or master is None or loser[:3] != winner[:3]:
            raise ApiError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        stamp = self.stamp()
        gone = {"IsDeleted": True, "MasterRecordId": winner, "SystemModstamp": stamp}
        self.put(sobject.name, row | gone)
        self.put(sobject.name, master | {"SystemModstamp": stamp, "LastModifiedDate": stamp})
