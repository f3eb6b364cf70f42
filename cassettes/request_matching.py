"""Which recorded answer a request gets: the one to the same question, with as many fields or more.

So a mapping may read less than when the cassette was recorded; what it reads more is not there.
"""

import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import orjson
from vcr.request import Request

from cassettes.anonymize import LOGIN

_FIELDS: Final = ("properties", "propertiesWithHistory", "fields")
_UNTIL_NOW: Final = ("endTimestamp", "occurredBefore")
"""Ends of windows that lie in the present, whenever that is."""

_SELECT: Final = re.compile(r"SELECT (.+?) (FROM .+)", re.DOTALL)

Question = tuple[Any, frozenset[str]]


def asks_for_no_more(asked: Request, recorded: Request) -> bool:
    """Tell whether a recorded answer holds what is asked."""
    (question, wanted), (other, known) = _question(asked), _question(recorded)
    return question == other and wanted <= known


def _question(request: Request) -> Question:
    body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
    return _taken_apart(request.method, request.uri, body)


@lru_cache(maxsize=10_000)
def _taken_apart(method: str, uri: str, body: bytes) -> Question:
    """Split a request into what it asks, and the fields it asks for."""
    parts = urlsplit(uri)
    if LOGIN.search(parts.path):
        return (method, parts.netloc, parts.path), frozenset()
    fields: set[str] = set()
    rest = [
        _without_fields(name, value, fields)
        for name, value in sorted(parse_qsl(parts.query))
        if name not in _UNTIL_NOW
    ]
    try:
        sent = orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        sent = body
    if isinstance(sent, dict):
        sent = {name: _without_fields(name, value, fields)[1] for name, value in sent.items()}
        sent = orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)
    return (method, parts.netloc, parts.path, tuple(rest), sent), frozenset(fields)


def _without_fields(name: str, value: Any, fields: set[str]) -> tuple[str, Any]:
    if name in _FIELDS:
        fields.update(value.split(",") if isinstance(value, str) else value or ())
        return name, None
    if name in ("q", "query") and (found := _SELECT.fullmatch(value)):
        fields.update(one.strip() for one in found[1].split(","))
        return name, found[2]
    return name, value
