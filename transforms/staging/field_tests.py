"""The tests of a field leaf (`is`, `in`, `gte` ...) as an expression over one column."""

import operator
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from config.definition import FieldLeaf
from errors import ConfigError
from transforms.staging.fields import trim

_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def passes_tests(value: ir.Value, leaf: FieldLeaf) -> ir.BooleanValue:
    """Whether all tests of a leaf hold for a column; NULL only passes where a test says so."""
    if value.type().is_string():
        value = trim(value).lower().nullif("")
    return ibis.and_(*(_test(value, name, asked, leaf) for name, asked in leaf.tests.items()))


def _test(value: ir.Value, name: str, asked: Any, leaf: FieldLeaf) -> ir.BooleanValue:
    match name:
        case "known":
            return value.notnull() if asked else value.isnull()
        case "is":
            return (value == _literal(value, asked, name, leaf)).fill_null(False)
        case "is_not":
            return (value != _literal(value, asked, name, leaf)).fill_null(True)
        case "in":
            return value.isin([_literal(value, one, name, leaf) for one in asked]).fill_null(False)
        case "not_in":
            options = [_literal(value, one, name, leaf) for one in asked]
            return value.notin(options).fill_null(True)
        case _:
            if value.type().is_string() or value.type().is_boolean():
                raise _type_error(leaf, name, value)
            return _ORDER[name](value, _literal(value, asked, name, leaf)).fill_null(False)


def _literal(value: ir.Value, asked: Any, name: str, leaf: FieldLeaf) -> ir.Value:
    """Spell what the YAML asks as the column's type."""
    of = value.type()
    match asked:
        case bool() if of.is_boolean():
            return ibis.literal(asked)
        case str() if of.is_string():
            return ibis.literal(asked.strip().lower())
        case int() | float() if of.is_numeric() and not isinstance(asked, bool):
            return ibis.literal(asked)
        case datetime() if of.is_timestamp():
            return ibis.literal(asked.replace(tzinfo=None), "timestamp")
        case date() if of.is_timestamp():
            return ibis.literal(datetime(asked.year, asked.month, asked.day), "timestamp")
        case date() if of.is_date() and not isinstance(asked, datetime):
            return ibis.literal(asked)
    raise _type_error(leaf, name, value)


def _type_error(leaf: FieldLeaf, name: str, value: ir.Value) -> ConfigError:
    return ConfigError(
        f"the definition tests {leaf.field} with `{name}: {leaf.tests[name]}`, which does not fit "
        f"a field of type {value.type()}: change the test or the field's type in mappings/"
    )
