"""Whether a value exists at all that passes the tests a rule asks of a field."""

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
    """The field leaves of a condition that, with those that must hold as well, nothing passes."""
    match condition:
        case AnyOf(any=parts):
            for i, part in enumerate(parts):
                yield from contradictions(part, (*prefix, "any", i))
            return
        case AllOf(all=parts):
            for i, part in enumerate(parts):
                if isinstance(part, AnyOf):
                    yield from contradictions(part, (*prefix, "all", i))
    asked: dict[str, list[tuple[str, Any]]] = {}
    for place, leaf in _conjunction(condition, prefix):
        tests = asked.setdefault(leaf.field, [])
        tests += leaf.tests.items()
        if not _can_pass(tests):
            yield place, leaf.field
            return


def _conjunction(condition: Condition, at: YamlPath) -> Iterator[tuple[YamlPath, FieldLeaf]]:
    """The field leaves that must all hold at once."""
    match condition:
        case FieldLeaf():
            yield at, condition
        case AllOf(all=parts):
            for i, part in enumerate(parts):
                yield from _conjunction(part, (*at, "all", i))


def _can_pass(tests: list[tuple[str, Any]]) -> bool:
    """Whether one of the values that can make a difference passes all tests."""
    named = [one for _, asked in tests for one in (asked if isinstance(asked, tuple) else (asked,))]
    candidates = [None, *_values(named)]
    return any(all(_passes(value, name, asked) for name, asked in tests) for value in candidates)


def _values(named: list[Any]) -> Iterator[Any]:
    """The values named, those between and beside them, and one of which nobody speaks."""
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


def _passes(value: Any, name: str, asked: Any) -> bool:
    if name == "known":
        return (value is not None) is asked
    options = [_comparable(one) for one in (asked if isinstance(asked, tuple) else (asked,))]
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
    """A value as it is compared; yes and no are no numbers."""
    match value:
        case bool():
            return str(value)
        case str():
            return value.strip().lower()
        case date():
            return _instant(value)
    return value
