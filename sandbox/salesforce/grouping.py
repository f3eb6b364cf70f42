"""GROUP BY and aggregate functions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.field_paths import Column, sort_key
from sandbox.salesforce.predicates import comparing, key_of
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import NUMBERS, Field
from sandbox.salesforce.soql import (
    Aggregate,
    Aliased,
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Name,
    Negation,
    Ordering,
    Query,
)
from sandbox.salesforce.store import SalesforceStore
from sandbox.storage.record_store import Matches

Resolve = Callable[[Name], Column]

_FUNCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "count": len,
    "count_distinct": lambda values: len(set(values)),
    "sum": lambda values: sum(values) if values else None,
    "avg": lambda values: sum(values) / len(values) if values else None,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
}
_OF_NUMBERS = ("sum", "avg")
_NUMBER = Field("figure", "double")


@dataclass(frozen=True)
class Figure:
    """One value of a group: its name, and how to compute it from the rows of the group."""

    name: str
    of: Callable[[Sequence[Row]], Any]


@dataclass(frozen=True)
class Grouping:
    """A compiled GROUP BY: keys, values, HAVING, and order."""

    keys: tuple[Column, ...]
    figures: tuple[Figure, ...]
    holds: Callable[[Sequence[Row]], bool]
    ordering: tuple[tuple[Field, Callable[[Sequence[Row]], Any], Ordering], ...]

    def records(self, rows: Matches[Row]) -> list[dict[str, Any]]:
        """Return one record per group."""
        groups: dict[tuple[Any, ...], list[int]] = {} if self.keys else {(): []}
        for at, row in enumerate(rows):
            key = tuple(key_of(one.field, one.read(row)) for one in self.keys)
            groups.setdefault(key, []).append(at)
        kept_groups = [group for group in map(rows.select, groups.values()) if self.holds(group)]
        for field, read, ordering in reversed(self.ordering):
            kept_groups.sort(key=sort_key(field, read, ordering), reverse=ordering.descending)  # type: ignore[arg-type]  # groups for rows
        return [
            {"attributes": {"type": "AggregateResult"}}
            | {figure.name: figure.of(group) for figure in self.figures}
            for group in kept_groups
        ]


def is_grouped(query: Query) -> bool:
    """Return whether a query has groups."""
    return bool(query.group) or any(isinstance(one, Aggregate) for one in query.columns or ())


def grouping(store: SalesforceStore, query: Query, resolve: Resolve) -> Grouping:
    """Compile the groups of a query. Raises: ApiError as Salesforce does."""
    keys = tuple(resolve(one) for one in query.group)
    return Grouping(
        keys=keys,
        figures=tuple(_figures(query, keys, resolve)),
        holds=_holds(store, query.having, resolve),
        ordering=tuple((*_read(one.name, keys, resolve), one) for one in query.order),
    )


def _figures(query: Query, keys: tuple[Column, ...], resolve: Resolve) -> Iterator[Figure]:
    numbers = count()
    for selected in query.columns or ():
        match selected:
            case Aggregate():
                name = selected.alias or f"expr{next(numbers)}"
                yield Figure(name, _of(selected, resolve))
            case Name() | Aliased():
                alias, named = (
                    (selected.alias, selected.name)
                    if isinstance(selected, Aliased)
                    else (None, selected)
                )
                key = _key(named, keys, resolve)
                yield Figure(alias or key.path[-1], _shared(key))
            case _:
                raise ApiError("MALFORMED_QUERY", "Grouped query cannot select this")


def _shared(key: Column) -> Callable[[Sequence[Row]], Any]:
    """Read a value that all rows of a group share."""
    return lambda rows: key.read(rows[0])


def _key(name: Name, keys: tuple[Column, ...], resolve: Resolve) -> Column:
    column = resolve(name)
    if column.path not in [one.path for one in keys]:
        message = f"Field must be grouped or aggregated: {column.name}"
        raise ApiError("MALFORMED_QUERY", message)
    return column


def _of(aggregate: Aggregate, resolve: Resolve) -> Callable[[Sequence[Row]], Any]:
    if aggregate.name is None:
        if aggregate.function != "count":
            raise ApiError("MALFORMED_QUERY", "unexpected token: )")
        return len
    column, function = resolve(aggregate.name), _FUNCTIONS[aggregate.function]
    if aggregate.function in _OF_NUMBERS and column.field.type not in NUMBERS:
        message = (
            f"field {column.name} does not support aggregate operator {aggregate.function.upper()}"
        )
        raise ApiError("MALFORMED_QUERY", message)

    def figure(rows: Sequence[Row]) -> Any:
        return function([value for row in rows if (value := column.read(row)) is not None])

    return figure


def _read(
    name: Name | Aggregate, keys: tuple[Column, ...], resolve: Resolve
) -> tuple[Field, Callable[[Sequence[Row]], Any]]:
    if isinstance(name, Aggregate):
        return _NUMBER, _of(name, resolve)
    key = _key(name, keys, resolve)
    return key.field, _shared(key)


def _holds(
    store: SalesforceStore, condition: Condition | None, resolve: Resolve
) -> Callable[[Sequence[Row]], bool]:
    match condition:
        case None:
            return lambda _rows: True
        case AllOf(parts):
            every = [_holds(store, part, resolve) for part in parts]
            return lambda rows: all(test(rows) for test in every)
        case AnyOf(parts):
            some = [_holds(store, part, resolve) for part in parts]
            return lambda rows: any(test(rows) for test in some)
        case Negation(part):
            inner = _holds(store, part, resolve)
            return lambda rows: not inner(rows)
        case Comparison(Aggregate() as asked, operator, value):
            figure = _of(asked, resolve)
            test = comparing(_NUMBER, operator, value, store.clock())
            return lambda rows: test(figure(rows))
        case Comparison(Name() as name, operator, value):
            column = resolve(name)
            test = comparing(column.field, operator, value, store.clock())
            return lambda rows: test(column.read(rows[0]))
        case _:
            raise ApiError("MALFORMED_QUERY", "HAVING takes comparisons only")
