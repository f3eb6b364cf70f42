"""What pydantic finds wrong in a file, said in an admin's words, each with its place."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from itertools import groupby
from operator import itemgetter
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

YamlPath = tuple[str | int, ...]
"""Where something stands in a file: the words and the positions in lists that lead to it."""

_WITH_PATH = "placed"
_MAX_LISTED = 30
"""So many known words are listed where none is near; more would bury the message."""


class Violation(NamedTuple):
    """What is wrong, and where; `meant` is the word that was probably meant there.

    `is_word`: it is the word before the `:` that is wrong, not what stands behind it.
    """

    path: YamlPath
    text: str
    suggestion: str | None = None
    is_key: bool = False


def raise_all(title: str, found_violations: Iterable[Violation]) -> None:
    """Tell a model's validator about all faults at once, each with its place below the model.

    Raises: ValidationError where there is any.
    """
    # a fault's text can hold braces: it travels as a value, never as a template
    found = [
        InitErrorDetails(
            type=PydanticCustomError(_WITH_PATH, "{text}", fault._asdict()),
            loc=fault.path,
            input=None,
        )
        for fault in found_violations
    ]
    if found:
        raise ValidationError.from_exception_data(title, found)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Finish a sentence about an unknown word with the nearest one, or with those there are."""
    words = list(dict.fromkeys(known))
    if near := nearest(word, words):
        return f": did you mean `{near}`?"
    return f" (there is: {', '.join(words)})" if 0 < len(words) <= _MAX_LISTED else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that was probably meant; upper and lower case are the same."""
    by_lower = {one.lower(): one for one in known}
    found = get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


def violations(error: ValidationError, model: type[BaseModel]) -> list[Violation]:
    """Say what is wrong with a file that should have been a `model`, one fault a place."""
    said = [(*_yaml_path(model, one), one) for one in error.errors(include_url=False)]
    groups = [list(group) for _, group in groupby(said, key=itemgetter(0))]
    meant = {place for group in groups for place in _misspelt_paths(*group[0])}
    return [
        fault
        for group in groups
        for fault in _describe(group)
        if not (group[0][2]["type"] == "missing" and fault.path in meant)
    ]


LocatedError = tuple[YamlPath, type[BaseModel] | None, ErrorDetails]
"""An error of pydantic: its place, the model it was found in, what was said."""


def _yaml_path(
    model: type[BaseModel], error: ErrorDetails
) -> tuple[YamlPath, type[BaseModel] | None]:
    """Follow a location of pydantic through the models: it names the parts of unions as well."""
    if error["type"] == _WITH_PATH:
        return error["loc"], None
    place: list[str | int] = []
    here: Any = model
    inside: type[BaseModel] | None = model
    for step in error["loc"]:
        inside = next((kind for _, kind in _kinds(here) if _is_model(kind)), inside)
        here, is_in_file = _below(here, step)
        if is_in_file:
            place.append(step)
    return tuple(place), inside


def _below(annotation: Any, step: str | int) -> tuple[Any, bool]:
    """What a step leads to, and whether it stands in the file."""
    kinds = list(_kinds(annotation))
    for tag, kind in kinds:
        if tag == step:
            return kind, False
    for _, kind in kinds:
        if _is_model(kind):
            return _keys(kind).get(str(step)), True
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


def _keys(model: type[BaseModel]) -> dict[str, Any]:
    """The words that may stand in a section, as they are typed."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _misspelt_paths(
    place: YamlPath, model: type[BaseModel] | None, error: ErrorDetails
) -> Iterator[YamlPath]:
    """The right place of a misspelt word: it is then not missing as well."""
    if error["type"] == "extra_forbidden" and model is not None:
        near = nearest(str(place[-1]), _keys(model))
        if near is not None:
            yield (*place[:-1], near)


def _describe(group: list[LocatedError]) -> Iterator[Violation]:
    """What was said of one place: of the parts of a union each says its own."""
    place, model, first = group[0]
    word = next((step for step in reversed(place) if isinstance(step, str)), "")
    given = first["input"]
    match first["type"]:
        case "placed":
            yield from (Violation(**error["ctx"])._replace(path=place) for _, _, error in group)
        case "value_error":
            yield Violation(place, str(first["ctx"]["error"]))
        case "missing":
            yield Violation(place, f"`{word}` is missing")
        case "extra_forbidden":
            yield _unknown_key(place, _keys(model) if model is not None else ())
        case "condition":
            yield _unknown_condition(place, given, first["msg"])
        case "literal_error":
            known = re.findall(r"'([^']*)'", first["ctx"]["expected"])
            text = f"`{word}` cannot be `{given}`{did_you_mean(str(given), known)}"
            yield Violation(place, text, nearest(str(given), known))
        case "greater_than":
            yield Violation(place, f"`{word}` must be above {first['ctx']['gt']:g}")
        case "too_short" if given:
            return  # what it holds was refused piece by piece
        case _:
            types = {re.sub("^date.*", "date", error["type"]) for _, _, error in group}
            yield Violation(place, _type_message(word, types, given))


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
    ({"invalid_key"}, "cannot stand before a `:`: put it in quotes"),
)
"""What is said where all of these types of errors occur at one place; the first that fits."""


def _type_message(word: str, types: set[str], given: object) -> str:
    text = next((text for kinds, text in _TYPE_MESSAGES if kinds <= types), "does not fit here")
    if text == "must be text" and isinstance(given, bool | int | float | date):
        text += f": put `{str(given).lower()}` in quotes"
    return f"`{word}` {text}" if word else f"the file {text}"


def _unknown_key(place: YamlPath, known: Iterable[str]) -> Violation:
    word, words = str(place[-1]), list(known)
    text = f"unknown word `{word}`{did_you_mean(word, words)}"
    return Violation(place, text, nearest(word, words), is_key=True)


def _unknown_condition(place: YamlPath, given: object, message: str) -> Violation:
    if isinstance(given, list | tuple):
        word = next(step for step in reversed(place) if isinstance(step, str))
        return Violation(place, f"`{word}` holds a list: put `any:` or `all:` before it")
    known = message.rpartition(": ")[2].split(", ")
    for one in given if isinstance(given, Mapping) else ():
        if near := nearest(str(one), known):
            text = f"`{one}` is no condition{did_you_mean(str(one), known)}"
            return Violation((*place, str(one)), text, near, is_key=True)
    return Violation(place, message)
