"""SOQL with its meaning: names found in the schema, conditions made into Python predicates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.salesforce.errors import Refused
from sandbox.salesforce.predicates import comparable, comparing, containing, key_of
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.soql import (
    AllFields,
    Comparison,
    Condition,
    Every,
    Member,
    Name,
    Negation,
    Ordering,
    Query,
    Some,
    parse,
)
from sandbox.salesforce.store import NAMED, SalesforceStore

_NAME_FIELDS = {
    "id": Field("Id", "id"),
    "type": Field("Type"),
    **{
        name.lower(): Field(name)
        for name in ("Name", "FirstName", "LastName", "Email", "Phone", "Title")
    },
}
_FIELDS_LIMIT = 200
_OFFSET_LIMIT = 2000
_HELP = (
    "If you are attempting to use a custom field, be sure to append the '__c' after the custom "
    "field name. Please reference your WSDL or the describe call for the appropriate names."
)

Predicate = Callable[[Row], bool]


@dataclass(frozen=True)
class Column:
    """A field of the row or of a parent: its path as the schema spells it, and how to read it."""

    path: tuple[str, ...]
    field: Field
    parents: tuple[Field, ...]
    read: Callable[[Row], Any]

    @property
    def name(self) -> str:
        """Give the path as a CSV header has it."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Selection:
    """A query made ready: which rows, in which order, and what of them."""

    query: Query
    sobject: SObject
    columns: tuple[Column, ...]
    matches: Predicate
    ordering: tuple[tuple[Column, Ordering], ...]

    @property
    def counts(self) -> bool:
        """Tell whether only the number of rows was asked for."""
        return self.query.columns is None

    def rows(self, store: SalesforceStore, *, deleted: bool) -> list[Row]:
        """Find the rows; deleted and archived ones only where asked for."""
        table = store.tables[self.sobject.name].values()
        seen = table if deleted else (row for row in table if _is_live(row))
        found = [row for row in seen if self.matches(row)]
        for column, ordering in reversed(self.ordering):
            found.sort(key=_sort_key(column, ordering), reverse=ordering.descending)
        start = self.query.offset or 0
        stop = None if self.query.limit is None else start + self.query.limit
        return found[start:stop]


def select(store: SalesforceStore, text: str) -> Selection:
    """Make a query ready. Raises: Refused, as Salesforce would."""
    return _ready(store, parse(text))


def _ready(store: SalesforceStore, query: Query) -> Selection:
    sobject = store.find_sobject(query.source.text)
    if sobject is None:
        raise Refused("INVALID_TYPE", _pointing(query, query.source, _no_type(query.source)))
    if query.offset is not None and query.offset > _OFFSET_LIMIT:
        said = f"Maximum SOQL offset allowed is {_OFFSET_LIMIT}"
        raise Refused("NUMBER_OUTSIDE_VALID_RANGE", said)
    scope = _Scope(store, query, sobject)
    return Selection(
        query=query,
        sobject=sobject,
        columns=tuple(_columns(scope, query)),
        matches=scope.predicate(query.where) if query.where else lambda _row: True,
        ordering=tuple((scope.column(one.name), one) for one in query.order),
    )


def _no_type(source: Name) -> str:
    return (
        f"sObject type '{source.text}' is not supported. If you are attempting to use a custom "
        "object, be sure to append the '__c' after the entity name. Please reference your WSDL or "
        "the describe call for the appropriate names."
    )


def _pointing(query: Query, name: Name, message: str) -> str:
    """Show the line of the query with a caret under the name, as the parser of Salesforce does."""
    line = query.text.splitlines()[name.line - 1]
    start = max(0, name.column - 33)
    caret = " " * (name.column - 1 - start) + "^"
    shown = line[start : name.column + 40]
    return f"\n{shown}\n{caret}\nERROR at Row:{name.line}:Column:{name.column}\n{message}"


def _columns(scope: "_Scope", query: Query) -> Iterator[Column]:
    taken: set[tuple[str, ...]] = set()
    for asked in query.columns or ():
        for column in scope.columns(asked):
            if column.path in taken:
                raise Refused("MALFORMED_QUERY", f"duplicate field selected: {column.name}")
            taken.add(column.path)
            yield column


@dataclass(frozen=True)
class _Scope:
    """One query's names."""

    store: SalesforceStore
    query: Query
    sobject: SObject

    def columns(self, asked: Name | AllFields) -> list[Column]:
        if isinstance(asked, Name):
            return [self.column(asked)]
        which = asked.which.text.upper()
        if which != "STANDARD" and (self.query.limit or _FIELDS_LIMIT + 1) > _FIELDS_LIMIT:
            said = f"The SOQL FIELDS function must have a LIMIT of at most {_FIELDS_LIMIT}"
            raise Refused("MALFORMED_QUERY", said)
        kinds = {"ALL": (True, False), "STANDARD": (False,), "CUSTOM": (True,)}.get(which, ())
        return [
            Column((one.name,), one, (), _reader(self.store, (), one))
            for one in self.sobject
            if one.custom in kinds
        ]

    def column(self, name: Name) -> Column:
        *way, last = name.text.split(".")
        if way and way[0].lower() == self.sobject.name.lower():
            way = way[1:]
        parents: list[Field] = []
        here: SObject | None = self.sobject
        for step in way:
            reference = here.parents.get(step.lower()) if here else None
            if reference is None:
                said = f"Didn't understand relationship '{step}' in field path."
                raise self._refusal(name, said)
            parents.append(reference)
            here = None if len(reference.to) > 1 else self.store.schema[reference.to[0]]
        fields = here.by_lower_name if here else _NAME_FIELDS
        field = fields.get(last.lower())
        if field is None:
            entity = here.name if here else NAMED
            raise self._refusal(name, f"No such column '{last}' on entity '{entity}'. {_HELP}")
        path = (*(one.relationship or "" for one in parents), field.name)
        return Column(path, field, tuple(parents), _reader(self.store, tuple(parents), field))

    def _refusal(self, name: Name, message: str) -> Refused:
        return Refused("INVALID_FIELD", _pointing(self.query, name, message))

    def predicate(self, condition: Condition) -> Predicate:
        match condition:
            case Every(parts):
                tests = [self.predicate(part) for part in parts]
                return lambda row: all(test(row) for test in tests)
            case Some(parts):
                tests = [self.predicate(part) for part in parts]
                return lambda row: any(test(row) for test in tests)
            case Negation(part):
                inner = self.predicate(part)
                return lambda row: not inner(row)
            case Comparison(name, operator, value):
                column = self._filterable(name)
                test = comparing(column.field, operator, value, self.store.clock())
                return _on(column, test)
            case Member(name, values):
                column = self._filterable(name)
                return _on(column, containing(column.field, self._members(column, values)))

    def _filterable(self, name: Name) -> Column:
        column = self.column(name)
        if not column.field.filterable:
            said = f"field '{column.field.name}' can not be filtered in a query call"
            raise self._refusal(name, said)
        return column

    def _members(self, column: Column, values: Any) -> list[Any]:
        if not isinstance(values, Query):
            return [comparable(column.field, one) for one in values]
        inner = _ready(self.store, values)
        if len(inner.columns) != 1:
            raise Refused("MALFORMED_QUERY", "A semi join must select exactly one column")
        only = inner.columns[0]
        found = inner.rows(self.store, deleted=False)
        return [key_of(only.field, only.read(row)) for row in found]


def _on(column: Column, test: Callable[[Any], bool]) -> Predicate:
    if column.parents:
        read = column.read
        return lambda row: test(read(row))
    name, empty = column.field.name, column.field.empty
    return lambda row: test(row.get(name, empty))


def _reader(
    store: SalesforceStore, parents: tuple[Field, ...], field: Field
) -> Callable[[Row], Any]:
    name, empty = field.name, field.empty
    if not parents:
        return lambda row: row.get(name, empty)

    def read(row: Row) -> Any:
        parent = row
        for reference in parents:
            above = store.parent(parent, reference)
            if above is None:
                return None
            parent = above
        is_kind = name == "Type" and len(parents[-1].to) > 1
        return store.kind(parent) if is_kind else parent.get(name, empty)

    return read


def _is_live(row: Row) -> bool:
    return not row.get("IsDeleted") and not row.get("IsArchived")


def _sort_key(column: Column, ordering: Ordering) -> Callable[[Row], tuple[int, Any]]:
    """Put nulls where they belong whichever way the rest is sorted."""
    null_rank = 1 if ordering.nulls_last != ordering.descending else -1
    field, read = column.field, column.read

    def key(row: Row) -> tuple[int, Any]:
        value = key_of(field, read(row))
        return (null_rank, "") if value is None else (0, value)

    return key
