"""SQL texts of expressions, compiled once.

A run stores the same expressions as the run before: only instants and run ids in them differ. Ibis
takes most of the time of a small run to compile them, so the text is kept by what the expression
consists of, with a placeholder for each of these values.
"""

import hashlib
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis import Schema
from ibis.backends.sql import SQLBackend
from ibis.common.graph import Node

_VALUE_OF_A_RUN = re.compile(r"\d{15}|\d{8}-\d{6}-[0-9a-f]{4}")
"""Found in an instant in microseconds, and in a run id."""

_COMPILERS = tuple(f"{name} {version(name)}" for name in ("ibis-framework", "sqlglot"))

_MARK = "\x1f"
"""Begins and ends a placeholder: no configuration file holds this character."""

_Placeholder = str


class CompiledSql:
    """The compiled texts that a process knows."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        """key -> text with placeholders."""
        self.used: set[str] = set()
        """The keys of the texts that this process asked for."""

    def select(self, engine: SQLBackend, table: ir.Table) -> str:
        """Return the SELECT statement of an expression, as Ibis' `create_table` uses it.

        Tables that exist in memory only become known to the engine under the names in it.
        """
        key, values = _describe(engine, table.op())
        if key not in self.texts:
            # as Ibis' create_table: `engine.compile` leaves ANTI JOIN in a text for PostgreSQL
            # where an expression uses a part of itself twice
            text = engine.compiler.to_sqlglot(table).sql(engine.dialect)
            for placeholder, value in values.items():
                text = text.replace(value, placeholder)
            self.texts[key] = text
        self.used.add(key)
        text = self.texts[key]
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        # what Ibis itself does before it sends the text of an expression: it has no public name
        engine._run_pre_execute_hooks(table)
        return text


COMPILED = CompiledSql()
"""The texts of this process."""


def _describe(engine: SQLBackend, root: Node) -> tuple[str, dict[_Placeholder, str]]:
    """Return the key of an expression, and the SQL text of what differs between runs in it.

    The key is a hash of all nodes in order; equal nodes are one. It names neither the connection
    nor numbers that Ibis counts up in a process.
    """
    numbers: dict[str, int] = {}
    references: dict[tuple[type[Node], int], int] = {}
    values: dict[str, _Placeholder] = {}

    def placeholder(text: str) -> _Placeholder:
        return values.setdefault(text, f"{_MARK}{len(values)}{_MARK}")

    def describe(node: Node, _: Any, **arguments: Any) -> str:
        if isinstance(node, ops.Literal) and _differs_between_runs(node):
            arguments["value"] = placeholder(_literal_text(engine, node))
        if isinstance(node, ops.InMemoryTable):
            arguments["name"] = placeholder(node.name)
            del arguments["data"]
        if isinstance(node, ops.DatabaseTable):
            del arguments["source"]
        if isinstance(node, ops.Reference):
            counted = (type(node), arguments["identifier"])
            arguments["identifier"] = references.setdefault(counted, len(references))
        line = f"{type(node).__qualname__} {_text(arguments)}"
        return f"#{numbers.setdefault(line, len(numbers))}"

    root.map(describe)
    lines = "\n".join([engine.name, *_COMPILERS, *numbers])
    key = hashlib.sha256(lines.encode()).hexdigest()
    # the longest first: the text '1796130911004099' holds the number
    return key, {values[text]: text for text in sorted(values, key=len, reverse=True)}


def _differs_between_runs(literal: ops.Literal) -> bool:
    if literal.value is None:
        return False
    if literal.dtype.is_timestamp():
        return True
    may_differ = literal.dtype.is_string() or literal.dtype.is_integer()
    return may_differ and _VALUE_OF_A_RUN.search(str(literal.value)) is not None


def _literal_text(engine: SQLBackend, literal: ops.Literal) -> str:
    compiled = engine.compiler.visit_Literal(literal, value=literal.value, dtype=literal.dtype)
    return str(compiled.sql(engine.dialect))


def _text(value: Any) -> str:
    match value:
        case Schema():
            return _text({name: str(kind) for name, kind in value.items()})
        case Mapping():
            return "{" + ",".join(f"{name!r}:{_text(part)}" for name, part in value.items()) + "}"
        case tuple() | list():
            return "(" + ",".join(map(_text, value)) + ")"
        case _:
            return repr(value)
