"""Rows as JSON records: attributes, then the requested fields, with nested parents."""

from collections.abc import Callable
from typing import Any

from sandbox.salesforce.field_paths import Column
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import Field
from sandbox.salesforce.soql_compile import Child, Selection
from sandbox.salesforce.store import NAMED, SalesforceStore

Render = Callable[[Row], dict[str, Any]]


def renderer(store: SalesforceStore, selection: Selection, root: str) -> Render:
    """Return a function from a row to a record; `root` is the path of the API version."""
    plain = _renderer(store, selection.sobject.name, selection.columns, root, depth=0)
    if not selection.children:
        return plain
    below = [(one.name, _lister(store, one, root)) for one in selection.children]
    return lambda row: plain(row) | {name: listed(row) for name, listed in below}


def _lister(store: SalesforceStore, child: Child, root: str) -> Callable[[Row], Any]:
    """Return a function from a row to the result of a child query, or null without rows."""
    selection, render = child.selection, renderer(store, child.selection, root)
    found = selection.found(store, deleted=False)
    by_parent: dict[str, list[int]] = {}
    for place, row in enumerate(found):
        by_parent.setdefault(row.get(child.reference) or "", []).append(place)

    def listed(row: Row) -> dict[str, Any] | None:
        places = by_parent.get(row["Id"], [])[: selection.query.limit]
        if not places:
            return None
        records = [render(found[place]) for place in places]
        return {"totalSize": len(records), "done": True, "records": records}

    return listed


def _renderer(
    store: SalesforceStore, kind: str, columns: tuple[Column, ...], root: str, *, depth: int
) -> Render:
    here_only = [one for one in columns if len(one.path) == depth + 1]
    flat = [(one.path[-1], one.field.empty) for one in here_only if not one.field.formula]
    computed = [(one.path[-1], one.field.formula) for one in here_only if one.field.formula]
    nested = _nested(store, columns, root, depth=depth)
    here = f"{root}/sobjects/"

    def render(row: Row) -> dict[str, Any]:
        type_ = kind if kind != NAMED else store.kind(row)
        record: dict[str, Any] = {"attributes": {"type": kind, "url": f"{here}{type_}/{row['Id']}"}}
        for name, empty in flat:
            record[name] = row.get(name, empty)
        for name, formula in computed:
            record[name] = formula(row)
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
