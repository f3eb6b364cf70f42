"""Find field tests that no value can pass together."""

import operator
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from config.definition import AllOf, AnyOf, Condition, FieldLeaf
from config.validation_errors import YamlPath

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_OTHER = "a value that no test names"


def contradictions(condition: Condition, prefix: YamlPath) -> Iterator[tuple[YamlPath, str]]:
    """List the field leaves that contradict other leaves of the same condition: place, field."""
    match condition:
        case AnyOf(any=parts):
            for i, part in enumerate(parts):
                yield from contradictions(part, (*prefix, "any", i))
            return
        case AllOf(all=parts):
            for i, part in enumerate(parts):
                if isinstance(part, AnyOf):
                    yield from contradictions(part, (*prefix, "all", i))
    tests_by_field: dict[str, list[tuple[str, Any]]] = {}
    for place, leaf in _conjunction(condition, prefix):
        tests = tests_by_field.setdefault(leaf.field, [])
        tests += leaf.tests.items()
        if not _can_pass(tests):
            yield place, leaf.field
            return


def _conjunction(condition: Condition, at: YamlPath) -> Iterator[tuple[YamlPath, FieldLeaf]]:
    """List the field leaves that must all be true at once."""
    match condition:
        case FieldLeaf():
            yield at, condition
        case AllOf(all=parts):
            for i, part in enumerate(parts):
                yield from _conjunction(part, (*at, "all", i))


def _can_pass(tests: list[tuple[str, Any]]) -> bool:
    """Whether one of the values that can differ in a test passes all tests."""
    named = [value for _, expected in tests for value in _as_tuple(expected)]
    candidates = [None, *_values(named)]
    return any(all(_passes(value, *test) for test in tests) for value in candidates)


def _values(named: list[Any]) -> Iterator[Any]:
    """List the values of the tests, values between and beside them, and one other text."""
    booleans = [one for one in named if isinstance(one, bool)]
    texts = [one for one in named if isinstance(one, str)]
    yield from texts
    yield from _neighbors([float(n) for n in named if type(n) in (int, float)], 1.0)
    yield from _neighbors([_instant(one) for one in named if isinstance(one, date)], _DAY)
    if texts or len(booleans) == len(named):
        yield _OTHER
    yield from (True, False) if booleans else ()


_DAY = timedelta(days=1)


def _instant(day: date) -> datetime:
    return day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)


def _neighbors(named: Iterable[Any], beside: Any) -> Iterator[Any]:
    ordered = sorted(set(named))
    if ordered:
        yield from (ordered[0] - beside, *ordered, ordered[-1] + beside)
    yield from (low + (high - low) / 2 for low, high in pairwise(ordered))


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _passes(value: Any, name: str, expected: Any) -> bool:
    if name == "known":
        return (value is not None) is expected
    options = [_comparable(option) for option in _as_tuple(expected)]
    if name in ("is_not", "not_in"):
        return value is None or _comparable(value) not in options
    if value is None:
        return False
    if name in ("is", "in"):
        return _comparable(value) in options
    try:
        return _ORDER[name](value, options[0])
    except TypeError:
        return False


def _comparable(value: Any) -> Any:
    """Return a value as it is compared. True and False are not the numbers 1 and 0."""
    match value:
        case bool():
            return str(value)
        case str():
            return value.strip().lower()
        case date():
            return _instant(value)
    return value
