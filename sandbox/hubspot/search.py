"""Search: filters compiled once to a test over properties, as the search index answers."""

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

from sandbox.hubspot.refusals import invalid
from sandbox.hubspot.schema import Property
from sandbox.hubspot.store import HubSpotStore, ObjectTable, Record
from sandbox.hubspot.values import parse_instant

Comparable = float | str
Test = Callable[[Record, dict[str, str]], bool]

MAX_GROUPS, MAX_FILTERS_PER_GROUP, MAX_FILTERS, MAX_BODY, WALL = 5, 6, 18, 3000, 10_000


def found(store: HubSpotStore, table: ObjectTable, body: dict[str, Any]) -> tuple[list[int], int]:
    """Give the ids of what a search finds, in order, and the total, ahead of a lagging index."""
    test = _any_group(store, table, body)
    words = str(body.get("query") or "").lower().split()
    rank = _rank(table, body.get("sorts") or [])
    hits = []
    unindexed = 0
    for record in table.all_live():
        properties = store.indexed(table, record)
        known = record.properties if properties is None else properties
        if test(record, known) and _has_words(known, words):
            if properties is None:
                unindexed += 1
            else:
                hits.append((rank(properties), record.id))
    if body.get("sorts"):
        hits.sort(key=itemgetter(0), reverse=_is_descending(body["sorts"][0]))
    return [id for _, id in hits], len(hits) + unindexed


def _any_group(store: HubSpotStore, table: ObjectTable, body: dict[str, Any]) -> Test:
    groups = [group.get("filters", []) for group in body.get("filterGroups") or []]
    if body.get("filters"):
        groups.append(body["filters"])
    if len(groups) > MAX_GROUPS or sum(map(len, groups)) > MAX_FILTERS:
        raise invalid(f"At most {MAX_GROUPS} filter groups and {MAX_FILTERS} filters are allowed")
    if any(len(group) > MAX_FILTERS_PER_GROUP for group in groups):
        raise invalid(f"At most {MAX_FILTERS_PER_GROUP} filters are allowed in a group")
    compiled = [[_filter(store, table, each) for each in group] for group in groups]
    if not compiled:
        return lambda _record, _properties: True
    return lambda record, properties: any(
        all(test(record, properties) for test in group) for group in compiled
    )


def _filter(store: HubSpotStore, table: ObjectTable, each: dict[str, Any]) -> Test:
    name = each.get("propertyName", "")
    if name.startswith("associations."):
        return _association(store, table, name.removeprefix("associations."), each)
    definition = table.properties.get(name)
    if definition is None:
        raise invalid(
            "There was a problem with the request.",
            errors=[{"message": f"{name} is not a valid property", "code": "INVALID_PROPERTY"}],
        )
    holds = _operator(definition, each)
    return lambda _record, properties: holds(properties.get(name))


def _association(store: HubSpotStore, table: ObjectTable, to: str, each: dict[str, Any]) -> Test:
    names = {store_table.type.singular: name for name, store_table in store.tables.items()}
    to_name = names.get(to, to)
    wanted = {int(value) for value in _list(each)}
    return lambda record, _properties: bool(
        wanted & set(store.associated(table.type.name, record.id, to_name))
    )


def _operator(definition: Property, each: dict[str, Any]) -> Callable[[str | None], bool]:
    """Give one filter's test of a value; no value passes only the operators that say so."""
    operator = each.get("operator")
    key = _key(definition)
    value = key(each.get("value"))
    high = key(each.get("highValue"))
    values = {key(one, fold=False) for one in _list(each)}
    tests: dict[Any, Callable[[Comparable], bool]] = {
        "EQ": lambda have: have == value,
        "NEQ": lambda have: have != value,
        "LT": lambda have: _ordered(have, value, lambda a, b: a < b),
        "LTE": lambda have: _ordered(have, value, lambda a, b: a <= b),
        "GT": lambda have: _ordered(have, value, lambda a, b: a > b),
        "GTE": lambda have: _ordered(have, value, lambda a, b: a >= b),
        "BETWEEN": lambda have: (
            _ordered(have, value, lambda a, b: a >= b) and _ordered(have, high, lambda a, b: a <= b)
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
    test = tests[operator]
    when_empty = operator in ("NOT_HAS_PROPERTY", "NEQ", "NOT_IN", "NOT_CONTAINS_TOKEN")

    def holds(text: str | None) -> bool:
        have = key(text)
        return when_empty if have is None else test(have)

    return holds


def _key(definition: Property) -> Callable[..., Comparable | None]:
    """How values of this property compare: numbers and instants as numbers, text in lower case."""

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


def _ordered(have: Comparable, limit: Comparable | None, test: Callable[[Any, Any], bool]) -> bool:
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


def _rank(
    table: ObjectTable, sorts: list[Any]
) -> Callable[[dict[str, str]], tuple[bool, Comparable]]:
    """Say how a search orders what it finds; without a wish all are equal."""
    if len(sorts) > 1:
        raise invalid("Only one sort is allowed")
    if not sorts:
        return lambda _properties: (False, 0.0)
    sort = sorts[0] if isinstance(sorts[0], dict) else {"propertyName": sorts[0]}
    definition = table.properties.get(sort.get("propertyName", ""))
    if definition is None:
        raise invalid(f"{sort.get('propertyName')} is not a valid property to sort by")
    key = _key(definition)

    def rank(properties: dict[str, str]) -> tuple[bool, Comparable]:
        have = key(properties.get(definition.name))
        return (have is None, 0.0 if have is None else have)

    return rank


def _is_descending(sort: Any) -> bool:
    return isinstance(sort, dict) and sort.get("direction") == "DESCENDING"
