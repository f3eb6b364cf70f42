"""A text read in another type, the same on every engine; what does not fit is NULL."""

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from transforms.staging.timestamps import to_microseconds, to_timestamp

_NUMBER = r"^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]{1,2})?$"
_MAX_DIGITS = 200
"""Digits of a number that no engine finds too large."""

_MAX_EXACT_INTEGER = 2.0**53
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_DAY = r"^([0-9]{4})-([0-9]{2})-([0-9]{2})"
_TIME = _DAY + r"[T ]([0-9]{2}):([0-9]{2}):?([0-9]{2})?([.][0-9]{1,6})?[0-9]*"
_INSTANT = _TIME + r" ?(?:Z|[-+][0-9]{2}:?(?:[0-9]{2})?)?$"
_ZONE = r"([-+])([0-9]{2}):?([0-9]{2})?$"
_MILLISECONDS = "^-?[0-9]{9,15}$"
MICROSECONDS_PER_SECOND = 1_000_000
"""Microseconds."""


def cast_text(text: ir.StringValue, dtype: dt.DataType) -> ir.Value:
    """Read text, trimmed and not empty, as a value of a type.

    >>> cast_text(ibis.literal("12"), dt.int64).to_pyarrow().as_py()
    12
    >>> cast_text(ibis.literal("Yes"), dt.boolean).to_pyarrow().as_py()
    True
    >>> cast_text(ibis.literal("n/a"), dt.float64).to_pyarrow().as_py() is None
    True
    """
    if dtype.is_boolean():
        word = text.lower()
        return ibis.cases((word.isin(_TRUE), True), (word.isin(_FALSE), False))
    if dtype.is_floating():
        return _number(text)
    if dtype.is_integer():
        number = _number(text)
        return _value_or_null(number.abs() < _MAX_EXACT_INTEGER, number).round().cast("int64")
    if dtype.is_date():
        return ibis.coalesce(_day(text), _from_epoch(text).cast("date"))
    if dtype.is_timestamp():
        return ibis.coalesce(to_timestamp(_instant(text)), _from_epoch(text)).cast(dtype)
    return text


def _number(text: ir.StringValue) -> ir.FloatingValue:
    fits = text.re_search(_NUMBER) & (text.length() <= _MAX_DIGITS)
    return _value_or_null(fits, text).cast("float64")


def _day(text: ir.StringValue) -> ir.DateValue:
    """The day a text begins with, if there is such a day."""
    year, month, day = (_part(text, _DAY, nth) for nth in (1, 2, 3))
    is_known = year.between(1, 9999) & month.between(1, 12) & day.between(1, 31)
    first = ibis.date(_value_or_null(is_known, year), month, 1)
    found = (first + (day - 1).as_interval("D")).cast("date")
    return _value_or_null(found.month() == month, found)


def _instant(text: ir.StringValue) -> ir.IntegerValue:
    """Microseconds of an instant in ISO 8601, or of a day's midnight; without a zone it is UTC."""
    hour, minute = (_part(text, _INSTANT, nth) for nth in (4, 5))
    second = _part(text, _INSTANT, 6).fill_null(0)
    hours, minutes = (_part(text, _ZONE, nth).fill_null(0) for nth in (2, 3))
    fraction = ("0" + text.re_extract(_INSTANT, 7)).cast("float64").fill_null(0.0)
    ahead = ibis.ifelse(text.re_extract(_ZONE, 1) == "-", -1, 1)
    is_known = (hour <= 23) & (minute <= 59) & (second <= 59)
    time = ((hour - ahead * hours) * 60 + minute - ahead * minutes) * 60 + second
    time = _value_or_null(
        is_known,
        time * MICROSECONDS_PER_SECOND + (fraction * MICROSECONDS_PER_SECOND).round().cast("int64"),
    )
    is_bare = text.re_search(_DAY + "$")
    return to_microseconds(_day(text).cast("timestamp(6)")) + ibis.ifelse(is_bare, 0, time)


def _from_epoch(text: ir.StringValue) -> ir.TimestampValue:
    """An instant in milliseconds since 1970."""
    return to_timestamp(_value_or_null(text.re_search(_MILLISECONDS), text).cast("int64") * 1_000)


def _part(text: ir.StringValue, pattern: str, nth: int) -> ir.IntegerValue:
    return text.re_extract(pattern, nth).nullif("").cast("int64")


def _value_or_null(condition: ir.BooleanValue, value: ir.Value) -> ir.Value:
    return ibis.ifelse(condition, value, ibis.null(value.type()))
