"""Rows as records of a JSON answer: attributes first, then the fields asked for, parents nested."""

from collections.abc import Callable
from typing import Any

from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import Field
from sandbox.salesforce.selection import Column, Selection
from sandbox.salesforce.store import NAMED, SalesforceStore

Render = Callable[[Row], dict[str, Any]]


def renderer(store: SalesforceStore, selection: Selection, root: str) -> Render:
    """Make what turns a row into a record; `root` is the path of the API version."""
    return _renderer(store, selection.sobject.name, selection.columns, root, depth=0)


def _renderer(
    store: SalesforceStore, kind: str, columns: tuple[Column, ...], root: str, *, depth: int
) -> Render:
    flat = [(one.path[-1], one.field.empty) for one in columns if len(one.path) == depth + 1]
    nested = _nested(store, columns, root, depth=depth)
    here = f"{root}/sobjects/"

    def render(row: Row) -> dict[str, Any]:
        type_ = kind if kind != NAMED else store.kind(row)
        record: dict[str, Any] = {"attributes": {"type": kind, "url": f"{here}{type_}/{row['Id']}"}}
        for name, empty in flat:
            record[name] = row.get(name, empty)
        for relationship, reference, inner in nested:
            parent = store.parent(row, reference)
            record[relationship] = None if parent is None else inner(parent)
        if kind == NAMED and "Type" in record:
            record["Type"] = type_
        return record

    return render


def _nested(
    store: SalesforceStore, columns: tuple[Column, ...], root: str, *, depth: int
) -> list[tuple[str, Field, Render]]:
    deeper: dict[str, list[Column]] = {}
    for column in columns:
        if len(column.path) > depth + 1:
            deeper.setdefault(column.path[depth], []).append(column)
    made = []
    for relationship, inside in deeper.items():
        reference = inside[0].parents[depth]
        kind = reference.to[0] if len(reference.to) == 1 else NAMED
        inner = _renderer(store, kind, tuple(inside), root, depth=depth + 1)
        made.append((relationship, reference, inner))
    return made
