"""The rows of a landed object as the mapping reads them: with columns of their parents, typed."""

from collections.abc import Mapping as Map

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from config.mapping import Mapping, Where
from models import FieldType
from transforms.staging.casting import cast_text
from transforms.staging.words import has_word

SourceTables = Map[str, Map[str, ir.Table]]
"""What was pulled: crm -> object -> table, in the CRM's own words."""

SEPARATOR = ";"
"""Between the words of a column that holds several."""

_TYPES: Map[FieldType, str] = {
    "text": "string",
    "number": "float64",
    "integer": "int64",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp(6)",
}


def rows_with_parents(mapping: Mapping, landed: Map[str, ir.Table], object: str) -> ir.Table:
    """Give the rows of an object with every dotted column that the mapping reads of its parents."""
    table = landed[object]
    for name, parent in mapping.parents_of(object).items():
        paths = (path.partition(".") for path in mapping.column_paths(object))
        fields = [field for of, dot, field in paths if dot and of == name]
        if not fields:
            continue
        above = landed[parent]
        read = {column_name(f"{name}.{field}"): above[field] for field in dict.fromkeys(fields)}
        above = above.select(_parent_id=above[mapping.system_fields.id], **read)
        table = table.left_join(above, table[f"{name}Id"] == above._parent_id).drop("_parent_id")
    return table


def column_name(path: str) -> str:
    """The name of a column in `rows`: a parent's column is joined under its own name."""
    return path.replace(".", "__")


def record_key(crm: str, object: str, record_id: ir.Value) -> ir.StringValue:
    """The key of a record across all CRMs: crm:object:record_id.

    >>> record_key("hubspot", "contacts", ibis.literal("51")).to_pyarrow().as_py()
    'hubspot:contacts:51'
    """
    return ibis.literal(f"{crm}:{object}:") + record_id.cast("string")


def trim(text: ir.StringValue) -> ir.StringValue:
    """A text without the blanks around it.

    Not by strip(): Ibis would make Spark take the letters f and v off too.

    >>> trim(ibis.literal("  Anna ")).to_pyarrow().as_py()
    'Anna'
    """
    return text.re_replace("^[ \t\r\n]+|[ \t\r\n]+$", "")


def as_text(value: ir.Value) -> ir.StringValue:
    """A value as text, trimmed; empty text is NULL."""
    return trim(value.cast("string")).nullif("")


def as_type(value: ir.Value, field_type: FieldType) -> ir.Value:
    """A landed value in the type of a canonical field; what does not fit is NULL."""
    if field_type == "text":
        return as_text(value)
    if value.type().is_string():
        return cast_text(as_text(value), dt.dtype(_TYPES[field_type]))
    if field_type == "integer" and value.type().is_floating():
        value = value.round()
    return value.cast(_TYPES[field_type])


def split_values(value: ir.Value) -> ir.Value:
    """The words of a column that holds several, as an array.

    >>> split_values(ibis.literal("web;email")).to_pyarrow().as_py()
    ['web', 'email']
    """
    return as_text(value).split(SEPARATOR)


def matches(table: ir.Table, where: Map[str, Where]) -> ir.BooleanValue:
    """Whether a row holds all that is asked of its columns; NULL holds nothing."""
    return ibis.and_(
        ibis.literal(True),
        *(_matches(table[column_name(path)], asked) for path, asked in where.items()),
    )


def _matches(value: ir.Value, asked: Where) -> ir.BooleanValue:
    tests = []
    if asked.known is not None:
        filled = as_text(value).notnull()
        tests.append(filled if asked.known else ~filled)
    if asked.words is not None:
        tests.append(has_word(value.cast("string"), asked.words))
    if asked.contains is not None:
        text = value.cast("string").lower()
        tests += [ibis.or_(*(text.contains(part.lower()) for part in asked.contains))]
    if asked.values:
        text = trim(value.cast("string")).lower()
        tests.append(text.isin([_normalized(one) for one in asked.values]))
    if asked.gte is not None:
        tests.append(as_type(value, "number") >= asked.gte)
    if asked.lt is not None:
        tests.append(as_type(value, "number") < asked.lt)
    if asked.not_ is not None:
        tests.append(~_matches(value, asked.not_))
    return ibis.and_(*(test.fill_null(False) for test in tests))


def _normalized(value: object) -> str:
    return str(value).strip().lower()
