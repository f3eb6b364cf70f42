"""The matcher of a replay: which recorded response a request gets.

A recording matches if it has the same method, path and filters, and at least the requested fields.
So a mapping may read fewer fields than at the time of the recording, but no other ones.
"""

from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from vcr.request import Request

from cassettes.allowlist import allowlist
from cassettes.anonymize import LOGIN_PATH

RequestKey = tuple[Any, frozenset[str]]


def covers_request(request: Request, recorded: Request) -> bool:
    """Return whether the response to `recorded` has everything that `request` asks for."""
    key, fields = _request_key(request)
    recorded_key, recorded_fields = _request_key(recorded)
    return key == recorded_key and fields <= recorded_fields


def _request_key(request: Request) -> RequestKey:
    body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
    return _split_request(request.method, request.uri, body)


@lru_cache(maxsize=10_000)
def _split_request(method: str, uri: str, body: bytes) -> RequestKey:
    """Split a request into the part that must be equal, and the fields that it reads."""
    parts = urlsplit(uri)
    if LOGIN_PATH.search(parts.path):
        return (method, parts.netloc, parts.path), frozenset()
    # the end of a window is the time of the run: it differs at each replay
    open_ends = {name for rules in allowlist().rules for name in rules.open_end_parameters}
    fields: set[str] = set()
    query = [
        _without_fields(name, value, fields)
        for name, value in sorted(parse_qsl(parts.query))
        if name not in open_ends
    ]
    try:
        content = orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        content = body
    if isinstance(content, dict):
        content = {name: _without_fields(name, value, fields)[1] for name, value in content.items()}
        content = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return (method, parts.netloc, parts.path, tuple(query), content), frozenset(fields)


def _without_fields(name: str, value: Any, fields: set[str]) -> tuple[str, Any]:
    """Move the fields that a parameter lists to `fields`, and give the rest of it."""
    for rules in allowlist().rules:
        if name in rules.field_parameters:
            fields.update(value.split(",") if isinstance(value, str) else value or ())
            return name, None
        is_query = name in rules.query_parameters or name in rules.query_keys
        if is_query and (query := rules.query.fullmatch(value)):
            fields.update(field.strip() for field in query[1].split(","))
            return name, query[2]
    return name, value
