"""From pages of JSON or CSV to Arrow tables of 10,000 rows and more, with an explicit schema.

A value that does not fit its field's type becomes NULL and is counted: it is never guessed, and
it never stops a run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from models import Field, FieldType

Row = Mapping[str, Any]
PageToken = Any
"""The position at which a reader continues, as JSON; None: the start."""

Page = tuple[Sequence[Row], PageToken]
"""Rows, and the position behind them."""

OnMismatch = Callable[[str, int], None]
"""Called with a field's name and the number of values that did not fit its type."""

MIN_ROWS = 10_000
TIMESTAMP = pa.timestamp("us", "UTC")
_MIN_TIMESTAMP, _MAX_TIMESTAMP = datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MAX_EXACT_INTEGER = 2.0**53
TYPES: Mapping[FieldType, pa.DataType] = {
    "text": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": TIMESTAMP,
}


def to_tables(
    pages: Iterable[Page],
    fields: Sequence[Field],
    *,
    key: Sequence[str],
    on_mismatch: OnMismatch,
    min_rows: int = MIN_ROWS,
) -> Iterator[tuple[pa.Table, PageToken]]:
    """Collect pages into tables of at least `rows` rows; without rows: one empty table.

    Out: the columns of `fields` in that order, those of `key` not nullable; and the position
    behind the last page that is in the table.
    """
    rows: list[Row] = []
    at: PageToken = None
    is_landed = False
    for page, at in pages:
        rows.extend(page)
        if len(rows) >= min_rows:
            yield _table(rows, fields, key, on_mismatch), at
            rows, is_landed = [], True
    if rows or not is_landed:
        yield _table(rows, fields, key, on_mismatch), at


def cast_table(
    texts: pa.Table, fields: Sequence[Field], *, key: Sequence[str], on_mismatch: OnMismatch
) -> pa.Table:
    """Give a table that holds nothing but text the types of its fields."""
    columns = [_column(texts[field.name].combine_chunks(), field, on_mismatch) for field in fields]
    return _drop_rows_without_key(columns, fields, key, on_mismatch)


def _table(
    rows: list[Row], fields: Sequence[Field], key: Sequence[str], drifted: OnMismatch
) -> pa.Table:
    columns = [_column(_texts(rows, field, drifted), field, drifted) for field in fields]
    return _drop_rows_without_key(columns, fields, key, drifted)


def _drop_rows_without_key(
    columns: list[pa.Array], fields: Sequence[Field], key: Sequence[str], drifted: OnMismatch
) -> pa.Table:
    """Make the table, without the rows that lack a part of their key: they are counted."""
    table = pa.table(columns, names=[field.name for field in fields])
    for name in key:
        if bare := table[name].null_count:
            drifted(name, bare)
            table = table.filter(table[name].is_valid())
    return table.cast(_schema(fields, key))


def _schema(fields: Sequence[Field], key: Sequence[str]) -> pa.Schema:
    # A key that may be NULL here, but not in dlt's schema, makes dlt warn at every table.
    return pa.schema([pa.field(f.name, TYPES[f.type], nullable=f.name not in key) for f in fields])


def _texts(rows: list[Row], field: Field, drifted: OnMismatch) -> pa.Array:
    try:
        values = list(map(itemgetter(field.name), rows))
    except KeyError:
        values = [row.get(field.name) for row in rows]
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        texts = pa.array([_text(value) for value in values], pa.string())
        if nested := sum(isinstance(value, (dict, list)) for value in values):
            drifted(field.name, nested)
        return texts


def _text(value: object) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
    return None


def _column(texts: pa.Array, field: Field, drifted: OnMismatch) -> pa.Array:
    if field.type != "text":
        texts = pc.utf8_trim_whitespace(texts)
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
    values = _PARSERS[field.type](texts)
    misfits = values.null_count - texts.null_count
    if misfits:
        drifted(field.name, misfits)
    return values


def _as_text(texts: pa.Array) -> pa.Array:
    return texts


def _as_number(texts: pa.Array) -> pa.Array:
    numbers = _cast(texts, pa.float64(), like=r"^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$")
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def _as_integer(texts: pa.Array) -> pa.Array:
    # By way of float64, because Bulk CSV writes 3 as 3.0 and 912260031 as 9.12260031E8.
    numbers = _as_number(texts)
    is_whole = pc.and_(
        pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), _MAX_EXACT_INTEGER)
    )
    return pc.if_else(is_whole, numbers, None).cast(pa.int64())


def _as_boolean(texts: pa.Array) -> pa.Array:
    return _cast(texts, pa.bool_(), like=r"^(?i:true|false|1|0)$")


def _as_datetime(texts: pa.Array) -> pa.Array:
    """Read ISO 8601 with an offset, a bare day as its midnight in UTC, and epoch milliseconds.

    An instant without an offset could be anywhere: it does not fit. Nor does what comes after
    the year 9999, which no tool further down can read.
    """
    with suppress(pa.ArrowInvalid):
        return _in_timestamp_range(texts.cast(TIMESTAMP))
    is_day = pc.match_substring_regex(texts, r"^\d{4}-\d\d-\d\d$")
    iso = pc.if_else(is_day, pc.binary_join_element_wise(texts, "T00:00:00Z", ""), texts)
    iso = pc.if_else(_is_epoch(texts), None, iso)
    instants = pc.coalesce(
        _cast(iso, TIMESTAMP, like=r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d"), _from_epoch(texts)
    )
    return _in_timestamp_range(instants)


def _in_timestamp_range(instants: pa.Array) -> pa.Array:
    is_known = pc.and_(
        pc.greater_equal(instants, _MIN_TIMESTAMP), pc.less_equal(instants, _MAX_TIMESTAMP)
    )
    return pc.if_else(is_known, instants, None)


def _as_date(texts: pa.Array) -> pa.Array:
    """Read a day, the day of an ISO 8601 instant as written, and epoch milliseconds (UTC)."""
    is_instant = pc.match_substring_regex(texts, r"^\d{4}-\d\d-\d\d[T ]")
    days = pc.if_else(is_instant, pc.utf8_slice_codeunits(texts, 0, 10), texts)
    epochs = _as_datetime(pc.if_else(_is_epoch(texts), texts, None))
    return pc.coalesce(
        _cast(days, pa.date32(), like=r"^\d{4}-\d\d-\d\d$"), epochs.cast(pa.date32(), safe=False)
    )


def _is_epoch(texts: pa.Array) -> pa.Array:
    # Milliseconds of fewer than nine digits are rather a day written without dashes.
    return pc.match_substring_regex(texts, r"^(0|-?\d{9,15})$")


def _from_epoch(texts: pa.Array) -> pa.Array:
    milliseconds = pc.if_else(_is_epoch(texts), texts, None).cast(pa.int64())
    return pc.multiply(milliseconds, 1000).cast(TIMESTAMP)


def _cast(texts: pa.Array, to: pa.DataType, *, like: str) -> pa.Array:
    """Cast; what cannot be cast becomes NULL. Only a column with misfits pays for finding them."""
    try:
        return texts.cast(to)
    except pa.ArrowInvalid:
        likely = pc.match_substring_regex(texts, like)
        return _cast_by_halves(pc.if_else(likely, texts, None), to)


def _cast_by_halves(texts: pa.Array, to: pa.DataType) -> pa.Array:
    try:
        return texts.cast(to)
    except pa.ArrowInvalid:
        if len(texts) == 1:
            return pa.nulls(1, to)
        half = len(texts) // 2
        return pa.concat_arrays(
            [_cast_by_halves(texts[:half], to), _cast_by_halves(texts[half:], to)]
        )


_PARSERS: Mapping[FieldType, Callable[[pa.Array], pa.Array]] = {
    "text": _as_text,
    "number": _as_number,
    "integer": _as_integer,
    "boolean": _as_boolean,
    "date": _as_date,
    "datetime": _as_datetime,
}
