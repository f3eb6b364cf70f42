"""Describe in an admin's words what pydantic and the cross-field checks report about a file."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from itertools import groupby
from operator import attrgetter
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

YamlPath = tuple[str | int, ...]
"""A place in a file: the words and the positions in lists that lead to it."""

ANY = "*"
"""In a path: every word or position."""

_MAX_LISTED = 30
"""How many known words a message lists where none is near; more would bury the message."""

_PLACEHOLDER = "_unknown"


class Violation(NamedTuple):
    """An error in a file: its place, its text, and the word that was probably meant there.

    `is_key`: the word before the `:` is wrong, not the value behind it. `reads`: the other places
    that a cross-field check has read; where one of them is wrong itself, the check says nothing.
    `replacement` is a valid value for the place, so that the rest of the file can be checked; None:
    the entry can be left out.
    """

    path: YamlPath
    text: str
    suggestion: str | None = None
    is_key: bool = False
    reads: tuple[YamlPath, ...] = ()
    replacement: Any = None

    def below(self, step: str | int) -> "Violation":
        """Move the paths of a section below the word or the position of that section."""
        reads = tuple((step, *path) for path in self.reads)
        return self._replace(path=(step, *self.path), reads=reads)


def overlaps(path: YamlPath, other: YamlPath) -> bool:
    """Whether two places are the same, or one is above the other."""
    return all(a == b or ANY in (a, b) for a, b in zip(path, other, strict=False))


def is_at_or_below(path: YamlPath, place: YamlPath) -> bool:
    """Whether a path is this place, or is below it."""
    return len(path) >= len(place) and overlaps(path, place)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Finish a sentence about an unknown word with the nearest known one, or with all of them."""
    words = list(dict.fromkeys(known))
    if near := nearest(word, words):
        return f": did you mean `{near}`?"
    return f" (there is: {', '.join(words)})" if 0 < len(words) <= _MAX_LISTED else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that was probably meant; upper and lower case are the same."""
    by_lower = {name.lower(): name for name in known}
    matches = get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[matches[0]] if matches else None


def violations(error: ValidationError, model: type[BaseModel]) -> list[Violation]:
    """Describe why a file is not a `model`: one violation for each place."""
    located = [_locate(model, details) for details in error.errors(include_url=False)]
    groups = [list(group) for _, group in groupby(located, key=attrgetter("path"))]
    misspelt = {path for group in groups for path in _misspelt_paths(group[0])}
    return [
        violation
        for group in groups
        for violation in _describe(group)
        if not (group[0].details["type"] == "missing" and violation.path in misspelt)
    ]


class _LocatedError(NamedTuple):
    """An error of pydantic: its place in the file, the model around it, the type expected there."""

    path: YamlPath
    section: type[BaseModel] | None
    expected: Any
    details: ErrorDetails

    @property
    def replacement(self) -> Any:
        """A valid value for the place; None where the place can be left out."""
        field = _fields(self.section).get(str(self.path[-1])) if self.path else None
        if field is not None and not field.is_required():
            return None
        return placeholder(self.expected)


def _locate(model: type[BaseModel], details: ErrorDetails) -> _LocatedError:
    """Follow a location of pydantic, which also names the parts of unions, through the models."""
    path: list[str | int] = []
    expected: Any = model
    section: type[BaseModel] | None = model
    for step in details["loc"]:
        section = next((kind for _, kind in _kinds(expected) if _is_model(kind)), section)
        below, is_in_file = _below(expected, step)
        expected = expected if below is None and not is_in_file else below
        if is_in_file:
            path.append(step)
    return _LocatedError(tuple(path), section, expected, details)


def placeholder(expected: Any) -> Any:
    """Make the shortest valid value of a type: the rest of the file is checked around it."""
    tag, kind = next(iter(_kinds(expected)))
    if tag is not None:  # of all conditions, a test of a field is allowed in every rule
        return {"field": _PLACEHOLDER, "known": True}
    if _is_model(kind):
        needed = {key: field for key, field in _fields(kind).items() if field.is_required()}
        return {key: placeholder(field.annotation) for key, field in needed.items()}
    match get_origin(kind):
        case origin if origin is Literal:
            return get_args(kind)[0]
        case origin if origin is tuple:
            return [placeholder(get_args(kind)[0])]
        case origin if origin is dict:
            return {_PLACEHOLDER: placeholder(get_args(kind)[1])}
    return {bool: False, int: 1, float: 1}.get(kind, _PLACEHOLDER)


def _below(annotation: Any, step: str | int) -> tuple[Any, bool]:
    """Return the type that a step leads to, and whether the step is written in the file."""
    kinds = list(_kinds(annotation))
    for tag, kind in kinds:
        if tag == step:
            return kind, False
    for _, kind in kinds:
        if _is_model(kind):
            field = _fields(kind).get(str(step))
            return (field.annotation if field else None), True
        if get_origin(kind) is dict:
            key, value = get_args(kind)
            return (key, False) if step == "[key]" else (value, True)
        if get_origin(kind) is tuple and isinstance(step, int):
            return get_args(kind)[0], True
    return None, False


def _kinds(annotation: Any, tag: str | None = None) -> Iterator[tuple[str | None, Any]]:
    """The types that an annotation allows, each with its tag if it has one."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *notes = get_args(annotation)
        yield from _kinds(inner, next((n.tag for n in notes if isinstance(n, Tag)), tag))
    elif origin in (Union, UnionType):
        for kind in get_args(annotation):
            yield from _kinds(kind, tag)
    else:
        yield tag, annotation


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _fields(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    """The fields of a section by the words that are typed for them."""
    fields = model.model_fields if model is not None else {}
    return {field.alias or name: field for name, field in fields.items()}


def _misspelt_paths(error: _LocatedError) -> Iterator[YamlPath]:
    """The right place of a misspelt word, which is then not missing as well."""
    if error.details["type"] == "extra_forbidden":
        near = nearest(str(error.path[-1]), _fields(error.section))
        if near is not None:
            yield (*error.path[:-1], near)


def _describe(group: list[_LocatedError]) -> Iterator[Violation]:
    """Describe the errors of one place: each type of a union reports its own."""
    path, section, _, first = error = group[0]
    word = next((step for step in reversed(path) if isinstance(step, str)), "")
    value = first["input"]
    match first["type"]:
        case "value_error":
            text = str(first["ctx"]["error"])
            yield Violation(path, text, replacement=error.replacement)
        case "missing":
            yield Violation(path, f"`{word}` is missing", replacement=error.replacement)
        case "extra_forbidden":
            yield _unknown_key(path, _fields(section))
        case "condition":
            yield _unknown_condition(path, value, first["msg"], error.replacement)
        case "literal_error":
            known = re.findall(r"'([^']*)'", first["ctx"]["expected"])
            text = f"`{word}` cannot be `{value}`{did_you_mean(str(value), known)}"
            near = nearest(str(value), known)
            yield Violation(path, text, near, replacement=error.replacement)
        case "greater_than":
            text = f"`{word}` must be above {first['ctx']['gt']:g}"
            yield Violation(path, text, replacement=error.replacement)
        case "too_short" if value:
            return  # each of its parts has an error of its own
        case kind:
            types = {re.sub("^date.*", "date", error.details["type"]) for error in group}
            text = _type_message(word, types, value)
            unquoted = text.endswith("in quotes")
            yield Violation(
                path,
                text,
                suggestion=str(value).lower() if unquoted else None,
                is_key=kind == "invalid_key",
                replacement=error.replacement,
            )


_TYPE_MESSAGES: tuple[tuple[set[str], str], ...] = (
    ({"bool_type", "string_type"}, "takes one value (for several: `in`)"),
    ({"date"}, "must be a number or a date"),
    ({"float_type"}, "must be a number"),
    ({"float_parsing"}, "must be a number"),
    ({"int_type"}, "must be a whole number"),
    ({"int_from_float"}, "must be a whole number"),
    ({"bool_type"}, "must be true or false"),
    ({"string_type"}, "must be text"),
    ({"tuple_type"}, "must be a list: [..., ...]"),
    ({"dict_type"}, "must be a section: lines of `word: value`"),
    ({"model_type"}, "must be a section: lines of `word: value`"),
    ({"too_short"}, "cannot be empty"),
    ({"invalid_key"}, "must be text before a `:`: put it in quotes"),
)
"""The message where all errors of a place are of these types; the first that fits is taken."""


def _type_message(word: str, types: set[str], value: object) -> str:
    text = next((text for kinds, text in _TYPE_MESSAGES if kinds <= types), "does not fit here")
    if text == "must be text" and isinstance(value, bool | int | float | date):
        text += f": put `{str(value).lower()}` in quotes"
    return f"`{word}` {text}" if word else f"the file {text}"


def _unknown_key(path: YamlPath, known: Iterable[str]) -> Violation:
    word, words = str(path[-1]), list(known)
    text = f"unknown word `{word}`{did_you_mean(word, words)}"
    return Violation(path, text, nearest(word, words), is_key=True)


def _unknown_condition(
    path: YamlPath, value: object, message: str, replacement: object
) -> Violation:
    if isinstance(value, list | tuple):
        word = next(step for step in reversed(path) if isinstance(step, str))
        text = f"`{word}` holds a list: put `any:` or `all:` before it"
        return Violation(path, text, replacement=replacement)
    known = message.rpartition(": ")[2].split(", ")
    for key in value if isinstance(value, Mapping) else ():
        if near := nearest(str(key), known):
            text = f"unknown condition `{key}`{did_you_mean(str(key), known)}"
            return Violation((*path, str(key)), text, near, is_key=True)
    return Violation(path, message, replacement=replacement)
