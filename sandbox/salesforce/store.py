"""The state of the org: rows, sessions, locks, counters, and settings for tests."""

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
"""The object of a polymorphic parent in queries."""

RESULT_ROWS = 50_000
"""Default page size of a query job."""

_CREATED_FROM = 100_000_000_000


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Credentials:
    """Valid credentials, and issued tokens."""

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
        """Return password and security token, which a login from an untrusted network needs."""
        return self.password + self.security_token

    def new_token(self) -> str:
        """Open a session."""
        token = f"{ORGANIZATION[:15]}!AQ{secrets.token_urlsafe(24)}"
        self.tokens.add(token)
        return token

    def new_refresh_token(self) -> str:
        """Replace the refresh token; the old one is stored to detect its reuse."""
        if self.refresh_token:
            self.used_refresh_tokens.add(self.refresh_token)
        self.refresh_token = f"5Aep861{secrets.token_urlsafe(24)}"
        return self.refresh_token


class SalesforceStore:
    """One org. The HTTP routes and in-process tests use the same methods."""

    def __init__(
        self,
        tables: Tables,
        credentials: Credentials,
        *,
        daily_limit: int | None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """Open the org with these rows; without a daily limit calls are only counted."""
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
        """Find an object by its name, case-insensitively."""
        lower = name.lower()
        return self.schema.get(name) or next(
            (one for key, one in self.schema.items() if key.lower() == lower), None
        )

    def sobject(self, name: str) -> SObject:
        """Find an object by its name, case-insensitively. Raises: ApiError (NOT_FOUND)."""
        found = self.find_sobject(name)
        if found is None:
            raise not_found()
        return found

    def sobject_of_all(self, name: str) -> SObject:
        """Return an object with its hidden fields. Raises: ApiError (NOT_FOUND)."""
        return self._schemas_of_all[self.sobject(name).name]

    def sobjects_of_all(self) -> Iterator[SObject]:
        """Return all objects with their hidden fields."""
        yield from self._schemas_of_all.values()

    def owner_of(self, record: str) -> SObject | None:
        """Return the object of an id."""
        return self.schema.get(self._names.get(record[:3], ""))

    def row(self, record: str) -> Row | None:
        """Find a row of any object by its 18-character id, also a deleted one."""
        sobject = self.owner_of(record)
        return None if sobject is None else self.tables[sobject.name].read(record)

    def children(self, sobject: SObject) -> dict[str, tuple[str, str, str]]:
        """Return the child relationships: (relationship, object, reference) by lower-case name."""
        return {
            child.below(reference).lower(): (child.below(reference), child.name, reference.name)
            for child in self.schema.values()
            for reference in child.parents.values()
            if sobject.name in reference.to and not reference.name.endswith("ById")
        }

    def parent(self, row: Row, reference: Field) -> Row | None:
        """Find the parent row of a reference."""
        target = row.get(reference.name)
        return None if target is None else self.row(target)

    def kind(self, row: Row) -> str:
        """Return the object of a row."""
        owner = self.owner_of(row["Id"])
        return owner.name if owner else NAMED

    def put(self, sobject: str, row: Row) -> None:
        """Store a row; a transaction can roll it back."""
        rows = self.tables[sobject]
        if self._undo is not None:
            self._undo.append((sobject, row["Id"], rows.read(row["Id"])))
        rows[row["Id"]] = row

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Roll back every row stored in the block if it raises."""
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
        """Return the id of a new record or job."""
        return record_id(prefix, next(self._numbers))

    def stamp(self) -> str:
        """Return the current time as rows write it."""
        return instant(self.clock())

    @property
    def user_id(self) -> str:
        """Return the id of the current user: the integration in every call."""
        return self._acting

    @contextmanager
    def acting_as(self, user: str) -> Iterator[None]:
        """Act as another user during the block."""
        before, self._acting = self._acting, user
        try:
            yield
        finally:
            self._acting = before

    def lock(self, ids: Iterable[str], *, times: int = 1) -> None:
        """Fail the next `times` writes to these rows; a locked account locks its contacts."""
        for one in ids:
            self._locks[normalised(one) or one] += times

    def unlock(self) -> None:
        """Unlock all rows."""
        self._locks.clear()

    def is_locked(self, row: Row) -> bool:
        """Return whether a row is locked, and count one use of the lock."""
        for name in ("Id", "AccountId"):
            record = row.get(name)
            if record is not None and self._locks[record] > 0:
                self._locks[record] -= 1
                return True
        return False

    def revoke(self) -> None:
        """End every session."""
        self.credentials.tokens.clear()

    def hide(self, sobject: str, *fields: str) -> None:
        """Hide fields from the user, as field-level security does."""
        self._set_schema(self.schema[sobject].without(*fields))

    def drop(self, sobject: str, *fields: str) -> None:
        """Delete fields from the org, as if an admin had never added them."""
        self.hide(sobject, *fields)
        self._schemas_of_all[sobject] = self._schemas_of_all[sobject].without(*fields)

    def show(self, sobject: str) -> None:
        """Show all fields of an object again."""
        self._set_schema(self._schemas_of_all[sobject])

    def add(self, sobject: SObject) -> None:
        """Add a custom object without records."""
        self._set_schema(sobject)
        self._schemas_of_all[sobject.name] = sobject
        self._names[sobject.prefix] = sobject.name
        self.tables.setdefault(sobject.name, table(sobject.prefix))

    def beside(self, *objects: SObject) -> "SalesforceStore":
        """Return an org with other objects that shares sessions, cursors and ids."""
        other = SalesforceStore({}, self.credentials, daily_limit=None, clock=self.clock)
        other._numbers, other.cursors, other.schema = self._numbers, self.cursors, {}
        for one in objects:
            other.add(one)
        return other

    def define(self, sobject: str, *fields: Field) -> None:
        """Add fields, or change their type, options or permissions."""
        for one in fields:
            self._set_schema(self.schema[sobject].with_field(one))
            self._schemas_of_all[sobject] = self._schemas_of_all[sobject].with_field(one)

    def define_hidden(self, sobject: str, field: Field) -> None:
        """Add a field that the user does not see, or change it."""
        self._schemas_of_all[sobject] = self._schemas_of_all[sobject].with_field(field)

    def rename(self, sobject: str, old: str, new: str) -> None:
        """Rename a field, with its values."""
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
        """Merge one live record into another of its object, as a user does."""
        sobject = self.owner_of(winner)
        row, master = self.row(loser), self.row(winner)
        if sobject is None or row is None or master is None or loser[:3] != winner[:3]:
            raise ApiError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        stamp = self.stamp()
        deletion = {"IsDeleted": True, "MasterRecordId": winner, "SystemModstamp": stamp}
        self.put(sobject.name, row | deletion)
        self.put(sobject.name, master | {"SystemModstamp": stamp, "LastModifiedDate": stamp})
