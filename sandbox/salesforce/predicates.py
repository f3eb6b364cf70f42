"""Conditions of a query as Python predicates over the value of a field.

Salesforce has two-valued logic: NULL is unequal to every text, and `NOT` of that is true.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from operator import ge, gt, le, lt
from typing import Any

from sandbox.salesforce.date_literals import days_of
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.ids import normalised
from sandbox.salesforce.schema import NUMBERS, TEXTS, Field
from sandbox.salesforce.soql import Literal, unquoted
from sandbox.salesforce.values import instant, moment

Test = Callable[[Any], bool]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_KINDS = {
    "boolean": {"true", "false"},
    "date": {"date", "named_date"},
    "datetime": {"datetime", "named_date"},
    **{name: {"number"} for name in NUMBERS},
}


def comparing(field: Field, operator: str, literal: Literal, now: datetime) -> Test:
    """Compile `field operator literal`. Raises: ApiError if the types do not match."""
    if literal.kind == "null":
        return _against_null(field, operator)
    _check(field, literal)
    if operator == "like":
        return _like(field, unquoted(literal.text))
    if literal.kind == "named_date":
        return _against_days(field, operator, literal, now)
    return _against(operator, comparable(field, literal), _key(field))


def containing(field: Field, values: Iterable[Any]) -> Test:
    """Compile `field IN values`; the values come from `comparable`."""
    wanted, key = frozenset(values), _key(field)
    return lambda value: value in wanted if value is None else key(value) in wanted


def comparable(field: Field, literal: Literal) -> Any:
    """Convert a literal to the form in which values of the field are compared."""
    if literal.kind == "null":
        return None
    _check(field, literal)
    match literal.kind:
        case "string" if field.type in ("id", "reference"):
            return _id(unquoted(literal.text))
        case "string":
            return unquoted(literal.text).casefold()
        case "datetime":
            return _instant(literal.text)
        case "number":
            return float(literal.text)
        case "true" | "false":
            return literal.kind == "true"
        case _:
            return literal.text


def key_of(field: Field, value: Any) -> Any:
    """Convert a stored value to the form in which it is compared and sorted."""
    return None if value is None else _key(field)(value)


def _key(field: Field) -> Callable[[Any], Any]:
    return _folded if field.type in TEXTS else _as_is


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _as_is(value: Any) -> Any:
    return value


def _check(field: Field, literal: Literal) -> None:
    allowed = _KINDS.get(field.type, {"string"})
    if literal.kind in allowed:
        return
    if allowed == {"string"}:
        kind, should = "string", "should be enclosed in quotes"
    else:
        kind, should = field.xsd.removeprefix("xsd:"), "should not be enclosed in quotes"
    raise ApiError(
        "INVALID_FIELD",
        f"value of filter criterion for field '{field.name}' must be of type {kind} and {should}",
    )


def _id(text: str) -> str:
    full = normalised(text)
    if full is None and text:
        raise ApiError("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {text}")
    return full or ""


def _instant(text: str) -> str:
    """Keep the fraction of a literal: stored times have none, so their second is earlier."""
    at = moment(text)
    return instant(at).replace(".000", f".{at.microsecond // 1000:03}")


def _against_null(field: Field, operator: str) -> Test:
    empty = field.empty
    if operator == "=":
        return lambda value: value is None or value == "" or value is empty
    if operator == "!=":
        return lambda value: not (value is None or value == "" or value is empty)
    raise ApiError("MALFORMED_QUERY", "unexpected token: null")


def _against(operator: str, wanted: Any, key: Callable[[Any], Any]) -> Test:
    if wanted == "":
        wanted = None
    if operator == "=":
        return lambda value: (None if value is None else key(value)) == wanted
    if operator == "!=":
        return lambda value: (None if value is None else key(value)) != wanted
    holds = _ORDER[operator]
    return lambda value: value is not None and holds(key(value), wanted)


def _against_days(field: Field, operator: str, literal: Literal, now: datetime) -> Test:
    first, after = (_bound(field, day) for day in days_of(literal.text, now.date()))
    tests: dict[str, Test] = {
        "=": lambda value: value is not None and first <= value < after,
        "!=": lambda value: value is None or not first <= value < after,
        "<": lambda value: value is not None and value < first,
        "<=": lambda value: value is not None and value < after,
        ">": lambda value: value is not None and value >= after,
        ">=": lambda value: value is not None and value >= first,
    }
    return tests[operator]


def _bound(field: Field, day: date) -> str:
    return day.isoformat() if field.type == "date" else f"{day.isoformat()}T00:00:00.000+0000"


def _like(field: Field, pattern: str) -> Test:
    if field.type not in TEXTS:
        raise ApiError("INVALID_QUERY_FILTER_OPERATOR", "invalid operator on id field: like")
    expression = re.compile(_expression(pattern), re.IGNORECASE | re.DOTALL)
    return lambda value: value is not None and expression.fullmatch(value) is not None


def _expression(pattern: str) -> str:
    """Write a LIKE pattern as a regular expression: `%` any text, `_` any one character."""
    wild = {"%": ".*", "_": "."}
    characters = iter(pattern)
    return "".join(
        re.escape(next(characters, "\\")) if one == "\\" else wild.get(one) or re.escape(one)
        for one in characters
    )
