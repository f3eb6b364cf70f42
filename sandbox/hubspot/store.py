"""The state of the HubSpot account: records with history, associations, and logs.

HubSpot's special rules are here: a lifecycle stage that only moves forward, merges with a new id,
archived records, and a search index that may lag.
"""

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import orjson

from sandbox.hubspot.errors import invalid_properties
from sandbox.hubspot.schema import CONTACTS, OBJECT_TYPES, ObjectType, Property, object_type
from sandbox.hubspot.values import InvalidValue, iso, stored_value
from sandbox.storage.event_log import EventLog
from sandbox.storage.record_store import Numbers, RecordFormat, RecordStore

PORTAL_ID: Final = 44237313
_CONTENTS: Final = (
    "associations",
    "owners",
    "forms",
    "submissions",
    "email_events",
    "events",
    "lists",
)
_TAB: Final = b"\t"

History = dict[str, list[tuple[int, str, str]]]


class Record:
    """One object of one type; `properties` holds only what has a value."""

    __slots__ = ("_history", "archived_at", "created_at", "id", "properties", "updated_at")

    def __init__(
        self, id: int, properties: dict[str, str], created_at: int, updated_at: int
    ) -> None:
        """Create a live record; times are epoch milliseconds."""
        self.id = id
        self.properties = properties
        self.created_at = created_at
        self.updated_at = updated_at
        self.archived_at: int | None = None
        self._history: History | bytes = {}

    @classmethod
    def load(cls, line: bytes) -> "Record":
        """Parse a record that `dump` wrote."""
        present, _, past = line.partition(_TAB)
        id, created_at, updated_at, archived_at, properties = orjson.loads(present)
        record = cls(id, properties, created_at, updated_at)
        record.archived_at, record._history = archived_at, past
        return record

    def dump(self) -> bytes:
        """Write the record as a line of JSON, a tab, and its history, which is parsed on demand."""
        values = (self.id, self.created_at, self.updated_at, self.archived_at, self.properties)
        return orjson.dumps(values) + _TAB + orjson.dumps(self.history)

    @property
    def history(self) -> History:
        """Return the past values (at, value, source) of changed properties."""
        past = self._history
        if isinstance(past, bytes):
            past = self._history = orjson.loads(past)
        return past

    @history.setter
    def history(self, history: History) -> None:
        self._history = history

    def past(self, name: str) -> list[tuple[int, str, str]]:
        """Return (at, value, source), newest first; an unchanged value dates from the creation."""
        if name in self.history:
            return self.history[name][::-1]
        value = self.properties.get(name)
        return [(self.created_at, value, "IMPORT")] if value is not None else []


class ObjectTable:
    """All records of one object type, in the order of their ids."""

    def __init__(self, object_type: ObjectType) -> None:
        """Start empty, with the account's property definitions."""
        self.type = object_type
        self.properties: dict[str, Property] = {each.name: each for each in object_type.properties}
        self.archived_properties: dict[str, Property] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.records: RecordStore[int, Record] = RecordStore(_RECORDS)
        self.merged_into: dict[int, int] = {}
        self.version = 0
        self._archived: set[int] = set()
        self._columns: tuple[Numbers, Numbers, npt.NDArray[np.bool_]] | None = None
        self._sorted: dict[bool, Numbers] = {}
        self._highest_id = 0

    def add(self, record: Record) -> None:
        """Add a new record and set its system properties."""
        kind = self.type
        record.properties["hs_object_id"] = str(record.id)
        record.properties[kind.created] = iso(record.created_at)
        record.properties[kind.modified] = iso(record.updated_at)
        self.records[record.id] = record
        self._highest_id = max(self._highest_id, record.id)
        self.invalidate_order()

    def pack(self) -> None:
        """Compress the records that were added."""
        self._archived |= {one.id for one in self.records.unpacked() if one.archived_at is not None}
        self.records.pack()
        self._columns = None

    def contents(self) -> tuple[Any, ...]:
        """Return the content of the table."""
        highest = max([self._highest_id, *self.merged_into])
        return self.records, self.merged_into, self._archived, highest

    def load_contents(self, contents: tuple[Any, ...]) -> None:
        """Take the content of another table."""
        self.records, self.merged_into, self._archived, self._highest_id = contents
        self._columns = None
        self.invalidate_order()

    def invalidate_order(self) -> None:
        """Delete the cached order after records were added, removed or archived."""
        self._sorted.clear()
        self.version += 1

    def find(self, id: str | int, *, archived: bool = False) -> Record | None:
        """Find a record by id, to change it; None if there is none in that state."""
        number = self._number(id)
        return self.records[number] if self._has_state(number, archived=archived) else None

    def read(self, id: str | int, *, archived: bool = False) -> Record | None:
        """Find a record by id, to read it."""
        record = self.records.read(self._number(id))
        return record if record and (record.archived_at is not None) == archived else None

    def is_live(self, id: int) -> bool:
        """Return whether there is a live record with exactly this id."""
        return self._has_state(id, archived=False)

    def read_by(self, property_name: str, value: str) -> Record | None:
        """Find a live record by a unique property, case-insensitively, or an additional address."""

        def values(record: Record) -> list[str]:
            own = record.properties.get(property_name, "").lower()
            return [own, *_additional_emails(record)] if property_name == "email" else [own]

        found = self.records.find_by(property_name, values, value.strip().lower())
        live = (record for record in found if record.archived_at is None)
        return min(live, key=lambda record: record.id, default=None)

    def live(self) -> Iterator[Record]:
        """Iterate over the live records by ascending id, to change them."""
        return (self.records[id] for id in self.live_ids().tolist())

    def all_live(self) -> Iterator[Record]:
        """Iterate over the live records by ascending id, to read them."""
        return self.read_many(self.live_ids())

    def live_ids(self) -> Numbers:
        """Return the ids of the live records, in order."""
        return self._ids(archived=False)

    def page(self, after: int, limit: int, *, archived: bool) -> tuple[list[Record], int | None]:
        """Return the records from id `after` on, and the start of the next page, or None."""
        ids = self._ids(archived=archived)
        start = bisect_left(ids, after)
        chosen = ids[start : start + limit]
        more = start + limit < len(ids)
        return list(self.read_many(chosen)), int(chosen[-1]) + 1 if more else None

    def next_id(self) -> int:
        """Return the id of the next new record."""
        return self._highest_id + 51

    def _number(self, id: str | int) -> int:
        """Parse an id and follow merges; an invalid id becomes -1."""
        try:
            number = int(id)
        except ValueError:
            return -1
        while number in self.merged_into:
            number = self.merged_into[number]
        return number

    def _has_state(self, number: int, *, archived: bool) -> bool:
        if self.records.is_unpacked(number):
            return (self.records[number].archived_at is not None) == archived
        return number in self.records and (number in self._archived) == archived

    def read_many(self, ids: Numbers) -> Iterator[Record]:
        """Iterate over records by their ids, to read them."""
        return (found for id in ids.tolist() if (found := self.records.read(id)))

    def packed_index(self, *, archived: bool) -> dict[str, Numbers]:
        """Return the index of the compressed records: ids and times of change, by id."""
        if not self._columns:
            ids, updated = self.records.packed_columns()
            self._columns = ids, updated, np.isin(ids, list(self._archived))
        ids, updated, is_archived = self._columns
        there = is_archived == archived
        there[np.searchsorted(ids, self.records.unpacked_numbers())] = False
        return {"hs_object_id": ids[there], self.type.modified: updated[there]}

    def _ids(self, *, archived: bool) -> Numbers:
        if archived not in self._sorted:
            packed = self.packed_index(archived=archived)["hs_object_id"]
            held = [
                r.id for r in self.records.unpacked() if (r.archived_at is not None) == archived
            ]
            self._sorted[archived] = np.sort(np.append(packed, np.array(held, np.int64)))
        return self._sorted[archived]


class HubSpotStore:
    """One account: its tables, its associations, and the settings that a test may change."""

    def __init__(self, *, now: datetime, access_token: str, rate_limits: bool) -> None:
        """Start an empty account whose data ends at `now`."""
        self.now = now
        self.access_token = access_token
        self.refresh_token = f"refresh-sandbox-{uuid4()}"
        self.oauth_tokens: dict[str, float] = {}
        self.rate_limits = rate_limits
        self.tables = {each.name: ObjectTable(each) for each in OBJECT_TYPES}
        self.custom: dict[str, ObjectType] = {}
        self.schemas: dict[str, dict[str, Any]] = {}
        self.associations: dict[tuple[str, str], RecordStore[int, list[int]]] = defaultdict(_links)
        self.owners: list[dict[str, Any]] = []
        self.forms: dict[str, dict[str, Any]] = {}
        self.submissions: dict[str, EventLog] = defaultdict(EventLog)
        self.email_events = EventLog()
        self.events: dict[str, EventLog] = defaultdict(EventLog)
        self.lists: dict[str, Any] = {}
        self.exports: dict[str, Any] = {}
        self.denied_scopes: set[str] = set()
        self.conditional_rules: list[dict[str, str]] = []
        self.ended_versions: dict[str, int] = {}
        self.index_lag_seconds = 0.0
        self.echo_ignored_stage = True
        self.token_seconds = 1800
        self.skew_seconds = 0.0
        self.time_zone = "Europe/Berlin"
        self.daily_limit = 625_000
        self.daily_used = 0
        self.searches: dict[tuple[str, int, bytes], tuple[Sequence[int], int]] = {}
        self._before_index: dict[tuple[str, int], tuple[float, dict[str, str] | None]] = {}

    def pack(self) -> None:
        """Compress the added records; associations of companies stay open for more people."""
        for table in self.tables.values():
            table.pack()
        for (from_type, _), links in self.associations.items():
            if from_type != "companies":
                links.pack()

    def contents(self) -> tuple[Any, ...]:
        """Return the compressed content of the account, without its settings."""
        self.pack()
        for links in self.associations.values():
            links.pack()
        for log in (self.email_events, *self.submissions.values(), *self.events.values()):
            log.pack()
        tables = {name: one.contents() for name, one in self.tables.items()}
        return tables, *(getattr(self, name) for name in _CONTENTS)

    def load_contents(self, contents: tuple[Any, ...]) -> None:
        """Take the content of another account."""
        tables, *rest = contents
        for name, held in tables.items():
            self.tables[name].load_contents(held)
        for name, value in zip(_CONTENTS, rest, strict=True):
            setattr(self, name, value)

    def object_type(self, spelling: str) -> ObjectType:
        """Find an object type by name, singular or type id, case-insensitively; or raise."""
        return self.custom.get(spelling.lower()) or object_type(spelling)

    def table(self, spelling: str) -> ObjectTable:
        """Return the records of an object type."""
        return self.tables[self.object_type(spelling).name]

    def now_ms(self) -> int:
        """Return the account's time in epoch milliseconds, wrong by `skew_seconds`."""
        return time.time_ns() // 1_000_000 + int(self.skew_seconds * 1000)

    def expire_tokens(self) -> None:
        """Expire every OAuth access token now."""
        self.oauth_tokens = dict.fromkeys(self.oauth_tokens, time.time())

    def associate(self, from_type: str, from_id: int, to_type: str, to_id: int) -> None:
        """Link two records in both directions."""
        for key, here, there in (
            ((from_type, to_type), from_id, to_id),
            ((to_type, from_type), to_id, from_id),
        ):
            linked = self.associations[key].setdefault(here, [])
            if there not in linked:
                linked.append(there)

    def associated(self, from_type: str, from_id: int, to_type: str) -> list[int]:
        """Return the ids of the live records linked to one record."""
        linked = self.associations[from_type, to_type].read(from_id) or []
        return list(filter(self.tables[to_type].is_live, linked))

    def dissociate(self, from_type: str, from_id: int, to_type: str, to_id: int) -> None:
        """Unlink two records in both directions."""
        for key, here, there in (
            ((from_type, to_type), from_id, to_id),
            ((to_type, from_type), to_id, from_id),
        ):
            linked = self.associations[key].get(here, [])
            if there in linked:
                linked.remove(there)

    def validate_properties(
        self, table: ObjectTable, inputs: list[dict[str, Any]], *, adjust_dates: bool = False
    ) -> list[dict[str, str]]:
        """Convert the properties of all inputs to stored values; raise if one is invalid.

        `adjust_dates` takes a date that is not midnight as its day.
        """
        problems: list[tuple[str, str, str]] = []
        checked: list[dict[str, str]] = []
        for properties in inputs:
            values: dict[str, str] = {}
            for name, value in properties.items():
                definition = table.properties.get(name)
                if definition is None:
                    message = f'Property "{name}" does not exist'
                    problems.append((name, "PROPERTY_DOESNT_EXIST", message))
                elif value is not None:
                    try:
                        values[name] = stored_value(definition, value, adjust_dates=adjust_dates)
                    except InvalidValue as error:
                        problems.append((name, error.code, error.message))
            checked.append(values)
        if problems:
            raise invalid_properties(problems)
        return checked

    def missing_by_rule(
        self, table: ObjectTable, record: Record | None, values: dict[str, str]
    ) -> list[tuple[str, str]]:
        """Return (missing property, the property that requires it) of a write.

        A rule is {"object", "property", "requires"} and perhaps "value": with that value of
        `property`, or any, `requires` must not be empty.
        """
        after = (record.properties if record else {}) | values
        return [
            (rule["requires"], rule["property"])
            for rule in self.conditional_rules
            if rule["object"] == table.type.name
            and after.get(rule["property"])
            and after[rule["property"]] == rule.get("value", after[rule["property"]])
            and not after.get(rule["requires"])
        ]

    def write(self, table: ObjectTable, record: Record, values: dict[str, str]) -> None:
        """Write valid values to a record, with history; a lifecycle stage never moves back."""
        now = self.now_ms()
        self._remember_indexed(table, record.id, dict(record.properties))
        for name, value in values.items():
            if name == "lifecyclestage" and not _moves_forward(table, record, value):
                continue
            _set(record, name, value, now)
            if name == "lifecyclestage" and value and table.type is CONTACTS:
                _date_stage(table, record, value, now)
        record.updated_at = max(now, record.updated_at + 1)
        record.properties[table.type.modified] = iso(record.updated_at)
        table.version += 1

    def edit(self, table: ObjectTable, record: Record, values: dict[str, str]) -> None:
        """Write values as a user does in the CRM: a stage may move back."""
        now = self.now_ms()
        self._remember_indexed(table, record.id, dict(record.properties))
        for name, value in values.items():
            _set(record, name, value, now, "CRM_UI")
        record.updated_at = max(now, record.updated_at + 1)
        record.properties[table.type.modified] = iso(record.updated_at)
        table.version += 1

    def create(self, table: ObjectTable, values: dict[str, str]) -> Record:
        """Create a record from valid values; a new contact starts as a lead."""
        now = self.now_ms()
        record = Record(table.next_id(), {}, now, now)
        if table.type.name in ("contacts", "companies"):
            values = {"lifecyclestage": "lead", **values}
            record.properties["hs_pipeline"] = f"{table.type.name}-lifecycle-pipeline"
        if table.type is CONTACTS:
            record.properties |= _born(record.id, values.get("email", ""))
        record.properties |= {
            "hs_object_source": "INTEGRATION",
            "hs_object_source_id": "4169410",
            "hs_object_source_label": "INTEGRATION",
        }
        table.add(record)
        self._remember_indexed(table, record.id, None)
        for name, value in values.items():
            _set(record, name, value, now)
        if values.get("lifecyclestage") and table.type is CONTACTS:
            _date_stage(table, record, values["lifecyclestage"], now)
        return record

    def archive(self, table: ObjectTable, record: Record) -> None:
        """Move a record to the archive, where it keeps its id."""
        record.archived_at = self.now_ms()
        table.invalidate_order()

    def erase(self, table: ObjectTable, record: Record) -> None:
        """Remove a record for good, with its associations."""
        del table.records[record.id]
        table.merged_into = {old: new for old, new in table.merged_into.items() if new != record.id}
        for key, linked in self.associations.items():
            if key[0] == table.type.name:
                linked.pop(record.id, None)
        table.invalidate_order()

    def merge(self, table: ObjectTable, primary: Record, other: Record) -> Record:
        """Merge two records into a new one with a new id, which both old ids then return."""
        now = self.now_ms()
        created_at = min(primary.created_at, other.created_at)
        merged = Record(table.next_id(), other.properties | primary.properties, created_at, now)
        merged.history = other.history | primary.history
        old_ids = [
            *filter(None, primary.properties.get("hs_merged_object_ids", "").split(";")),
            *filter(None, other.properties.get("hs_merged_object_ids", "").split(";")),
            str(primary.id),
            str(other.id),
        ]
        merged.properties["hs_merged_object_ids"] = ";".join(old_ids)
        if table.type is CONTACTS:
            vids = ";".join(f"{id}:{now}" for id in old_ids)
            merged.properties["hs_calculated_merged_vids"] = vids
            merged.properties["hs_all_contact_vids"] = ";".join([str(merged.id), *old_ids])
            _join_emails(merged, primary, other)
        for record in (primary, other):
            del table.records[record.id]
            table.merged_into[record.id] = merged.id
        table.add(merged)
        self._relink(table.type.name, (primary.id, other.id), merged.id)
        return merged

    def indexed(self, table: ObjectTable, record: Record) -> dict[str, str] | None:
        """Return the properties in the search index; None while the index lacks the record."""
        delayed = self._before_index.get((table.type.name, record.id))
        if delayed is None or time.monotonic() - delayed[0] >= self.index_lag_seconds:
            return record.properties
        return delayed[1]

    def _remember_indexed(
        self, table: ObjectTable, id: int, properties: dict[str, str] | None
    ) -> None:
        if self.index_lag_seconds:
            self._before_index[table.type.name, id] = (time.monotonic(), properties)

    def _relink(self, type_name: str, old_ids: tuple[int, int], new_id: int) -> None:
        for (from_type, to_type), linked in list(self.associations.items()):
            if from_type != type_name:
                continue
            for old_id in old_ids:
                for other_id in linked.pop(old_id, []):
                    back = self.associations[to_type, from_type][other_id]
                    back.remove(old_id)
                    self.associate(from_type, new_id, to_type, other_id)


def _born(id: int, email: str) -> dict[str, str]:
    """Return the system properties of a new contact."""
    properties = {"hs_all_contact_vids": str(id), "hs_is_contact": "true", "hs_is_unworked": "true"}
    return properties | ({"hs_email_domain": email.rpartition("@")[2].lower()} if email else {})


def _number(id: int) -> int:
    return id


def _updated_at(record: Record) -> int:
    return record.updated_at


_RECORDS: Final = RecordFormat(_number, _number, Record.dump, Record.load, _updated_at)
_LINKED: Final[RecordFormat[int, list[int]]] = RecordFormat(
    _number, _number, orjson.dumps, orjson.loads
)


def _links() -> RecordStore[int, list[int]]:
    return RecordStore(_LINKED)


def _set(record: Record, name: str, value: str, at: int, source: str = "INTEGRATION") -> None:
    record.history[name] = [*record.past(name)[::-1], (at, value, source)]
    if value:
        record.properties[name] = value
    else:
        record.properties.pop(name, None)


def _moves_forward(table: ObjectTable, record: Record, value: str) -> bool:
    """Return whether HubSpot stores this stage: forward or empty, never back."""
    present = record.properties.get("lifecyclestage")
    if not value or not present:
        return True
    order = [option.value for option in table.properties["lifecyclestage"].options]
    return present not in order or order.index(value) >= order.index(present)


def _date_stage(table: ObjectTable, record: Record, stage: str, at: int) -> None:
    for name in (f"hs_lifecyclestage_{stage}_date", f"hs_v2_date_entered_{stage}"):
        if name in table.properties:
            record.properties[name] = iso(at)


def _additional_emails(record: Record) -> list[str]:
    return record.properties.get("hs_additional_emails", "").lower().split(";")


def _join_emails(merged: Record, primary: Record, other: Record) -> None:
    addresses = [
        *primary.properties.get("hs_additional_emails", "").split(";"),
        other.properties.get("email", ""),
        *other.properties.get("hs_additional_emails", "").split(";"),
    ]
    main = merged.properties.get("email", "").lower()
    unique = {
        address.lower(): address for address in addresses if address and address.lower() != main
    }
    if unique:
        merged.properties["hs_additional_emails"] = ";".join(unique.values())
