"""Which recorded answer a request gets: the one to the same question, with as many fields or more.

So a mapping may read less than when the cassette was recorded; what it reads more is not there.
"""

import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import orjson
from vcr.request import Request

from cassettes.anonymize import LOGIN_PATH

_FIELDS: Final = ("properties", "propertiesWithHistory", "fields")
_WINDOW_ENDS: Final = ("endTimestamp", "occurredBefore")
"""Ends of windows that lie in the present, whenever that is."""

_SELECT: Final = re.compile(r"SELECT (.+?) (FROM .+)", re.DOTALL)

RequestKey = tuple[Any, frozenset[str]]


def covers_request(request: Request, recorded: Request) -> bool:
    """Tell whether a recorded answer holds what is asked."""
    (question, wanted), (other, known) = _request_key(request), _request_key(recorded)
    return question == other and wanted <= known


def _request_key(request: Request) -> RequestKey:
    body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
    return _split_request(request.method, request.uri, body)


@lru_cache(maxsize=10_000)
def _split_request(method: str, uri: str, body: bytes) -> RequestKey:
    """Split a request into what it asks, and the fields it asks for."""
    parts = urlsplit(uri)
    if LOGIN_PATH.search(parts.path):
        return (method, parts.netloc, parts.path), frozenset()
    fields: set[str] = set()
    rest = [
        _without_fields(name, value, fields)
        for name, value in sorted(parse_qsl(parts.query))
        if name not in _WINDOW_ENDS
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
