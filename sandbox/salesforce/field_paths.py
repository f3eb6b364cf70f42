"""Field paths: a field of a row or of a parent, and how to read it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.salesforce.predicates import key_of
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import Field
from sandbox.salesforce.soql import Ordering
from sandbox.salesforce.store import SalesforceStore


@dataclass(frozen=True)
class Column:
    """A field of the row or of a parent: its path in the schema, and how to read it."""

    path: tuple[str, ...]
    field: Field
    parents: tuple[Field, ...]
    read: Callable[[Row], Any]

    @property
    def name(self) -> str:
        """Return the path as a CSV header writes it."""
        return ".".join(self.path)


def column(store: SalesforceStore, parents: tuple[Field, ...], field: Field) -> Column:
    """Build the column of a field, with the references to its record."""
    path = (*(one.relationship or "" for one in parents), field.name)
    return Column(path, field, parents, _reader(store, parents, field))


def _reader(
    store: SalesforceStore, parents: tuple[Field, ...], field: Field
) -> Callable[[Row], Any]:
    name, empty = field.name, field.empty
    if field.formula and not parents:
        return field.formula
    if not parents:
        return lambda row: row.get(name, empty)

    def read(row: Row) -> Any:
        parent = row
        for reference in parents:
            above = store.parent(parent, reference)
            if above is None:
                return None
            parent = above
        if field.formula:
            return field.formula(parent)
        is_kind = name == "Type" and len(parents[-1].to) > 1
        return store.kind(parent) if is_kind else parent.get(name, empty)

    return read


def sort_key(
    field: Field, read: Callable[[Row], Any], ordering: Ordering
) -> Callable[[Row], tuple[int, Any]]:
    """Return a sort key that puts nulls first or last."""
    null_rank = 1 if ordering.nulls_last != ordering.descending else -1

    def key(row: Row) -> tuple[int, Any]:
        value = key_of(field, read(row))
        return (null_rank, "") if value is None else (0, value)

    return key
