"""Search: filters compiled to one predicate over the search index."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import orjson

from sandbox.hubspot.errors import invalid
from sandbox.hubspot.schema import Property
from sandbox.hubspot.store import HubSpotStore, ObjectTable, Record
from sandbox.hubspot.values import parse_instant
from sandbox.storage.record_store import Numbers

Comparable = float | str
Key = Callable[..., Comparable | None]
Test = Callable[[Record, dict[str, str]], bool]
Hit = tuple[tuple[bool, Any], int]
"""A sort key and an id."""

_OF_COLUMNS = frozenset(("EQ", "NEQ", "LT", "LTE", "GT", "GTE", "BETWEEN"))

MAX_GROUPS, MAX_FILTERS_PER_GROUP, MAX_FILTERS, MAX_BODY, WALL = 5, 6, 18, 3000, 10_000


@dataclass(frozen=True)
class Filter:
    """One condition of a record, and the same for a column of the index if there is one."""

    holds: Test
    column: str | None = None
    holds_in: Callable[[Numbers], Any] = len


@dataclass(frozen=True)
class Order:
    """The order of a search; equal records are ordered by id."""

    name: str | None
    rank: Callable[[dict[str, str]], tuple[bool, Comparable]]
    descending: bool


def find_records(
    store: HubSpotStore, table: ObjectTable, body: dict[str, Any]
) -> tuple[Sequence[int], int]:
    """Return the ids of matching records, in order, and the total, as the lagging index has them.

    All pages of a query come from one result until a record of the table changes.
    """
    query = {key: body.get(key) for key in ("filterGroups", "filters", "sorts", "query")}
    key = (table.type.name, table.version, orjson.dumps(query))
    if store.index_lag_seconds or key not in store.searches:
        response = _matching(store, table, body)
        store.searches.clear()
        store.searches[key] = response
    return store.searches[key]


def _matching(
    store: HubSpotStore, table: ObjectTable, body: dict[str, Any]
) -> tuple[Sequence[int], int]:
    """Search without the cache.

    Ids and times of change are columns of the index; other conditions read the records.
    """
    groups = _groups(store, table, body)
    words = str(body.get("query") or "").lower().split()
    order = _order(table, body.get("sorts") or [])

    def fits(record: Record, properties: dict[str, str]) -> bool:
        is_match = not groups or any(all(f.holds(record, properties) for f in g) for g in groups)
        return is_match and _has_words(properties, words)

    hits, unindexed = _changed_since(store, table, fits, order)
    columns = table.packed_index(archived=False)
    chosen = np.logical_or.reduce([_candidates(group, columns) for group in groups or [[]]])
    ids = columns["hs_object_id"][chosen]
    is_told = not words and all(one.column in columns for group in groups for one in group)
    if is_told and order.name in (None, *columns):
        values = columns[order.name or "hs_object_id"][chosen]
        return _merged(ids, values, hits, order), len(ids) + len(hits) + unindexed
    for record in table.read_many(ids):
        if fits(record, record.properties):
            hits.append((order.rank(record.properties), record.id))
    hits.sort(key=itemgetter(1))
    hits.sort(key=itemgetter(0), reverse=order.descending)
    return [id for _, id in hits], len(hits) + unindexed


def _changed_since(
    store: HubSpotStore,
    table: ObjectTable,
    fits: Callable[[Record, dict[str, str]], bool],
    order: Order,
) -> tuple[list[Hit], int]:
    """Search the records that the compressed index lacks; count those that no index has yet."""
    hits: list[Hit] = []
    unindexed = 0
    for record in table.records.unpacked():
        properties = store.indexed(table, record)
        indexed = record.properties if properties is None else properties
        if record.archived_at is None and fits(record, indexed):
            if properties is None:
                unindexed += 1
            else:
                hits.append((order.rank(properties), record.id))
    return hits, unindexed


def _candidates(group: list[Filter], columns: dict[str, Numbers]) -> Any:
    """Remove ids that cannot match a filter group."""
    masks = (one.holds_in(columns[one.column]) for one in group if one.column in columns)
    return np.logical_and.reduce([np.ones(len(columns["hs_object_id"]), bool), *masks])


def _merged(ids: Numbers, values: Numbers, hits: list[Hit], order: Order) -> "array[int]":
    """Merge the ids of the index and the changed records in one order, up to the last page."""
    ids = np.append(ids, np.array([id for _, id in hits], np.int64))
    ranks = np.array([rank if order.name else id for (_, rank), id in hits], np.int64)
    values = np.append(values, ranks) * (-1 if order.descending else 1)
    if len(ids) > WALL:
        near = values <= np.partition(values, WALL)[WALL]
        ids, values = ids[near], values[near]
    return array("q", ids[np.lexsort((ids, values))].tobytes())


def _groups(store: HubSpotStore, table: ObjectTable, body: dict[str, Any]) -> list[list[Filter]]:
    groups = [group.get("filters", []) for group in body.get("filterGroups") or []]
    if body.get("filters"):
        groups.append(body["filters"])
    if len(groups) > MAX_GROUPS or sum(map(len, groups)) > MAX_FILTERS:
        raise invalid(f"At most {MAX_GROUPS} filter groups and {MAX_FILTERS} filters are allowed")
    if any(len(group) > MAX_FILTERS_PER_GROUP for group in groups):
        raise invalid(f"At most {MAX_FILTERS_PER_GROUP} filters are allowed in a group")
    return [[_filter(store, table, each) for each in group] for group in groups]


def _filter(store: HubSpotStore, table: ObjectTable, each: dict[str, Any]) -> Filter:
    name = each.get("propertyName", "")
    if name.startswith("associations."):
        return Filter(_association(store, table, name.removeprefix("associations."), each))
    definition = table.properties.get(name)
    if definition is None:
        raise invalid(
            "There was a problem with the request.",
            errors=[{"message": f"{name} is not a valid property", "code": "INVALID_PROPERTY"}],
        )
    key, test, when_empty = _operator(definition, each)

    def holds(_record: Record, properties: dict[str, str]) -> bool:
        have = key(properties.get(name))
        return when_empty if have is None else test(have)

    return Filter(holds, name if each["operator"] in _OF_COLUMNS else None, test)


def _association(store: HubSpotStore, table: ObjectTable, to: str, each: dict[str, Any]) -> Test:
    names = {store_table.type.singular: name for name, store_table in store.tables.items()}
    to_name = names.get(to, to)
    wanted = {int(value) for value in _list(each)}
    return lambda record, _properties: bool(
        wanted & set(store.associated(table.type.name, record.id, to_name))
    )


def _operator(definition: Property, each: dict[str, Any]) -> tuple[Key, Callable[[Any], Any], bool]:
    """Return the key of values, the predicate of a filter, and whether NULL matches."""
    operator = each.get("operator")
    key = _key(definition)
    value = key(each.get("value"))
    high = key(each.get("highValue"))
    values = {key(one, fold=False) for one in _list(each)}
    tests: dict[Any, Callable[[Any], Any]] = {
        "EQ": lambda have: have == value,
        "NEQ": lambda have: have != value,
        "LT": lambda have: _ordered(have, value, lambda a, b: a < b),
        "LTE": lambda have: _ordered(have, value, lambda a, b: a <= b),
        "GT": lambda have: _ordered(have, value, lambda a, b: a > b),
        "GTE": lambda have: _ordered(have, value, lambda a, b: a >= b),
        "BETWEEN": lambda have: (
            _ordered(have, value, lambda a, b: a >= b) & _ordered(have, high, lambda a, b: a <= b)
        ),
        "IN": lambda have: have in values,
        "NOT_IN": lambda have: have not in values,
        "HAS_PROPERTY": lambda _have: True,
        "NOT_HAS_PROPERTY": lambda _have: False,
        "CONTAINS_TOKEN": lambda have: _token(have, value),
        "NOT_CONTAINS_TOKEN": lambda have: not _token(have, value),
    }
    if operator not in tests:
        raise invalid(f"Invalid input JSON: unknown operator {operator}")
    when_empty = operator in ("NOT_HAS_PROPERTY", "NEQ", "NOT_IN", "NOT_CONTAINS_TOKEN")
    return key, tests[operator], when_empty


def _key(definition: Property) -> Key:
    """Return the sort key of a property: a number for numbers and times, else lower-case text."""

    def number(value: Any, *, fold: bool = True) -> Comparable | None:  # noqa: ARG001
        try:
            return float(value) if value not in (None, "") else None
        except ValueError:
            raise invalid(f"{value} is not a number, as {definition.name} needs") from None

    def instant(value: Any, *, fold: bool = True) -> Comparable | None:  # noqa: ARG001
        if value in (None, ""):
            return None
        at = parse_instant(str(value))
        if at is None:
            raise invalid(f"{value} is not a date, as {definition.name} needs")
        return float(at)

    def text(value: Any, *, fold: bool = True) -> Comparable | None:
        if value in (None, ""):
            return None
        return str(value).lower() if fold and definition.type == "string" else str(value)

    return {"number": number, "datetime": instant, "date": instant}.get(definition.type, text)


def _ordered(have: Any, limit: Comparable | None, test: Callable[[Any, Any], Any]) -> Any:
    return limit is not None and test(have, limit)


def _token(have: Comparable, wanted: Comparable | None) -> bool:
    pieces = str(wanted).lower().strip("*")
    text = str(have).lower()
    if str(wanted).startswith("*") or str(wanted).endswith("*"):
        return pieces in text
    return pieces in text.replace("@", " ").replace(".", " ").split() or pieces == text


def _list(each: dict[str, Any]) -> Iterable[Any]:
    values = each.get("values")
    return values if values is not None else [each["value"]] if each.get("value") else []


def _has_words(properties: dict[str, str], words: list[str]) -> bool:
    if not words:
        return True
    searched = ("email", "firstname", "lastname", "phone", "company", "name", "domain", "dealname")
    text = " ".join(properties.get(name, "") for name in searched).lower()
    return all(word in text for word in words)


def _order(table: ObjectTable, sorts: list[Any]) -> Order:
    if len(sorts) > 1:
        raise invalid("Only one sort is allowed")
    if not sorts:
        return Order(None, lambda _properties: (False, 0.0), descending=False)
    sort = sorts[0] if isinstance(sorts[0], dict) else {"propertyName": sorts[0]}
    definition = table.properties.get(sort.get("propertyName", ""))
    if definition is None:
        raise invalid(f"{sort.get('propertyName')} is not a valid property to sort by")
    key = _key(definition)

    def rank(properties: dict[str, str]) -> tuple[bool, Comparable]:
        have = key(properties.get(definition.name))
        return (have is None, 0.0 if have is None else have)

    return Order(definition.name, rank, descending=sort.get("direction") == "DESCENDING")
