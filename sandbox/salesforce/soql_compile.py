"""Compile SOQL: resolve names in the schema, turn conditions into Python predicates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.field_paths import Column, column, sort_key
from sandbox.salesforce.grouping import Grouping, grouping, is_grouped
from sandbox.salesforce.predicates import comparable, comparing, containing, key_of
from sandbox.salesforce.rows import Row, digits, is_live
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.soql import (
    Aggregate,
    AllFields,
    AllOf,
    AnyOf,
    Children,
    Comparison,
    Condition,
    Literal,
    Member,
    Name,
    Negation,
    Ordering,
    Query,
    Selected,
    parse,
)
from sandbox.salesforce.store import NAMED, SalesforceStore
from sandbox.storage.record_store import Matches, Numbers

_NAME_FIELDS = {
    "id": Field("Id", "id"),
    "type": Field("Type"),
    **{
        name.lower(): Field(name)
        for name in ("Name", "FirstName", "LastName", "Email", "Phone", "Title")
    },
}
_STAMP = Field("SystemModstamp", "datetime")
_FIELDS_LIMIT = 200
_OFFSET_LIMIT = 2000
_HELP = (
    "If you are attempting to use a custom field, be sure to append the '__c' after the custom "
    "field name. Please reference your WSDL or the describe call for the appropriate names."
)

Predicate = Callable[[Row], bool]


@dataclass(frozen=True)
class Child:
    """A child query: name of the relationship, reference to the parent, and selection."""

    name: str
    reference: str
    selection: "Selection"


@dataclass(frozen=True)
class Selection:
    """A compiled query: rows, order and columns."""

    query: Query
    sobject: SObject
    columns: tuple[Column, ...]
    matches: Predicate
    ordering: tuple[tuple[Column, Ordering], ...]
    stamped: Callable[[Numbers], Any]
    """Returns from the times of change which rows may match."""

    children: tuple[Child, ...] = ()
    grouping: Grouping | None = None

    @property
    def counts(self) -> bool:
        """Return whether the query is COUNT()."""
        return self.query.columns is None

    def rows(self, store: SalesforceStore, *, deleted: bool) -> Matches[Row]:
        """Return the rows between offset and limit."""
        found = self.found(store, deleted=deleted)
        start = self.query.offset or 0
        found.slice(start, None if self.query.limit is None else start + self.query.limit)
        return found

    def found(self, store: SalesforceStore, *, deleted: bool) -> Matches[Row]:
        """Return all matching rows in order, with deleted and archived ones on request."""
        found = store.tables[self.sobject.name].filter(
            lambda row: (deleted or is_live(row)) and self.matches(row),
            lambda stamps: self.stamped(np.abs(stamps) if deleted else stamps),
            index_is_exact=self.query.where is None,
        )
        for by, ordering in reversed(self.ordering):
            found.sort(sort_key(by.field, by.read, ordering), reverse=ordering.descending)
        return found


def select(store: SalesforceStore, text: str) -> Selection:
    """Compile a query. Raises: ApiError as Salesforce does."""
    return _ready(store, parse(text))


def _ready(store: SalesforceStore, query: Query) -> Selection:
    sobject = store.find_sobject(query.source.text)
    if sobject is None:
        raise ApiError("INVALID_TYPE", _pointing(query, query.source, _no_type(query.source)))
    if query.offset is not None and query.offset > _OFFSET_LIMIT:
        message = f"Maximum SOQL offset allowed is {_OFFSET_LIMIT}"
        raise ApiError("NUMBER_OUTSIDE_VALID_RANGE", message)
    scope = _Scope(store, query, sobject)
    matches = scope.predicate(query.where) if query.where else _any_row
    if is_grouped(query):
        for one in query.group:
            scope.usable(one, "grouped")
        made = grouping(store, query, scope.column)
        return Selection(query, sobject, (), matches, (), scope.stamped, grouping=made)
    if query.having is not None:
        raise ApiError("MALFORMED_QUERY", "HAVING needs GROUP BY")
    return Selection(
        query=query,
        sobject=sobject,
        columns=tuple(_columns(scope, query)),
        matches=matches,
        ordering=tuple((scope.usable(_plain(one.name), "sorted"), one) for one in query.order),
        stamped=scope.stamped,
        children=tuple(
            scope.children(one.query) for one in query.columns or () if isinstance(one, Children)
        ),
    )


def _any_row(_row: Row) -> bool:
    return True


def _plain(name: Name | Aggregate) -> Name:
    if isinstance(name, Aggregate):
        raise ApiError("MALFORMED_QUERY", "aggregate functions need GROUP BY here")
    return name


def _no_type(source: Name) -> str:
    return (
        f"sObject type '{source.text}' is not supported. If you are attempting to use a custom "
        "object, be sure to append the '__c' after the entity name. Please reference your WSDL or "
        "the describe call for the appropriate names."
    )


def _pointing(query: Query, name: Name, message: str) -> str:
    """Return the line of the query with a caret under the name, as Salesforce does."""
    line = query.text.splitlines()[name.line - 1]
    start = max(0, name.column - 33)
    caret = " " * (name.column - 1 - start) + "^"
    excerpt = line[start : name.column + 40]
    return f"\n{excerpt}\n{caret}\nERROR at Row:{name.line}:Column:{name.column}\n{message}"


def _columns(scope: "_Scope", query: Query) -> Iterator[Column]:
    taken: set[tuple[str, ...]] = set()
    for selected in query.columns or ():
        for one in () if isinstance(selected, Children) else scope.columns(selected):
            if one.path in taken:
                raise ApiError("MALFORMED_QUERY", f"duplicate field selected: {one.name}")
            taken.add(one.path)
            yield one


@dataclass(frozen=True)
class _Scope:
    """The names of one query."""

    store: SalesforceStore
    query: Query
    sobject: SObject

    def columns(self, selected: Selected) -> list[Column]:
        if isinstance(selected, Name):
            return [self.column(selected)]
        if not isinstance(selected, AllFields):
            raise ApiError("MALFORMED_QUERY", "only aggregate expressions use field aliasing")
        which = selected.which.text.upper()
        if which != "STANDARD" and (self.query.limit or _FIELDS_LIMIT + 1) > _FIELDS_LIMIT:
            message = f"The SOQL FIELDS function must have a LIMIT of at most {_FIELDS_LIMIT}"
            raise ApiError("MALFORMED_QUERY", message)
        kinds = {"ALL": (True, False), "STANDARD": (False,), "CUSTOM": (True,)}.get(which, ())
        return [column(self.store, (), one) for one in self.sobject if one.custom in kinds]

    def column(self, name: Name) -> Column:
        *way, last = name.text.split(".")
        if way and way[0].lower() == self.sobject.name.lower():
            way = way[1:]
        parents: list[Field] = []
        here: SObject | None = self.sobject
        for step in way:
            reference = here.parents.get(step.lower()) if here else None
            if reference is None:
                message = f"Didn't understand relationship '{step}' in field path."
                raise self._refusal(name, message)
            parents.append(reference)
            here = None if len(reference.to) > 1 else self.store.schema[reference.to[0]]
        fields = here.by_lower_name if here else _NAME_FIELDS
        field = fields.get(last.lower())
        if field is None:
            entity = here.name if here else NAMED
            raise self._refusal(name, f"No such column '{last}' on entity '{entity}'. {_HELP}")
        return column(self.store, tuple(parents), field)

    def children(self, query: Query) -> Child:
        """Compile a child query; its source is the name of the relationship."""
        name = query.source.text.rpartition(".")[2]
        below = self.store.children(self.sobject).get(name.lower())
        if below is None:
            message = f"Didn't understand relationship '{name}' in FROM part of query call."
            raise ApiError("INVALID_TYPE", _pointing(self.query, query.source, message))
        relationship, sobject, reference = below
        source = replace(query.source, text=sobject)
        return Child(relationship, reference, _ready(self.store, replace(query, source=source)))

    def _refusal(self, name: Name, message: str) -> ApiError:
        return ApiError("INVALID_FIELD", _pointing(self.query, name, message))

    def predicate(self, condition: Condition) -> Predicate:
        match condition:
            case AllOf(parts):
                tests = [self.predicate(part) for part in parts]
                return lambda row: all(test(row) for test in tests)
            case AnyOf(parts):
                tests = [self.predicate(part) for part in parts]
                return lambda row: any(test(row) for test in tests)
            case Negation(part):
                inner = self.predicate(part)
                return lambda row: not inner(row)
            case Comparison(name, operator, value):
                one = self.usable(_plain(name))
                return _on(one, comparing(one.field, operator, value, self.store.clock()))
            case Member(name, values):
                one = self.usable(name)
                return _on(one, containing(one.field, self._members(one, values)))

    def stamped(self, stamps: Numbers) -> Any:
        """Return which rows may match by their time of change; fractions are checked later."""
        where = self.query.where
        there = stamps > 0
        for part in where.parts if isinstance(where, AllOf) else (where,):
            match part:
                case Comparison(Name(text), way, Literal("datetime") as at) if (
                    text.lower() == _STAMP.name.lower() and way[0] in "<>"
                ):
                    limit = digits(comparable(_STAMP, at))
                    there &= stamps >= limit if way[0] == ">" else stamps <= limit
        return there

    def usable(self, name: Name, deed: str = "filtered") -> Column:
        """Return a field that can be filtered, sorted or grouped."""
        found = self.column(name)
        if not found.field.filterable:
            message = f"field '{found.field.name}' can not be {deed} in a query call"
            raise self._refusal(name, message)
        return found

    def _members(self, of: Column, values: Any) -> list[Any]:
        if not isinstance(values, Query):
            return [comparable(of.field, one) for one in values]
        inner = _ready(self.store, values)
        if len(inner.columns) != 1:
            raise ApiError("MALFORMED_QUERY", "A semi join must select exactly one column")
        only = inner.columns[0]
        found = inner.rows(self.store, deleted=False)
        return [key_of(only.field, only.read(row)) for row in found]


def _on(one: Column, test: Callable[[Any], bool]) -> Predicate:
    if one.parents:
        read = one.read
        return lambda row: test(read(row))
    name, empty = one.field.name, one.field.empty
    return lambda row: test(row.get(name, empty))
