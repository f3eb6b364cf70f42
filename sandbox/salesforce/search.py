"""Search resources: full-text search by SOSL or by parameters."""

from collections.abc import Callable
from typing import Any

import orjson

from sandbox.salesforce import sosl
from sandbox.salesforce.errors import ApiError, unreadable_json
from sandbox.salesforce.json_records import renderer
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import TEXTS, SObject
from sandbox.salesforce.soql_compile import select
from sandbox.salesforce.sosl import Kind, Search

_MOST = 2000
_NAMED_SINCE = 37
_NAMES = ("Name", "FirstName", "LastName")


def search(request: ApiRequest) -> ApiResponse:
    """Handle a search in SOSL."""
    if not request.query.get("q"):
        raise ApiError("MALFORMED_SEARCH", "The search string must be specified")
    return _response(request, sosl.parse(request.query["q"]))


def parameterized(request: ApiRequest) -> ApiResponse:
    """Handle a search with parameters or with a body."""
    asked = _parse_search(request)
    words = str(asked.get("q") or "")
    sosl.check(words)
    usual = asked.get("fields") or []
    kinds = tuple(
        _kind(one, usual, asked.get("defaultLimit")) for one in asked.get("sobjects") or ()
    )
    scope = str(asked.get("in") or "ALL").upper()
    return _response(request, Search(words, scope, kinds, _whole(asked.get("overallLimit"))))


def recent(_: ApiRequest) -> ApiResponse:
    """List the recently viewed records: none."""
    return ApiResponse([])


def _parse_search(request: ApiRequest) -> dict[str, Any]:
    if request.method == "POST":
        return request.json()
    asked: dict[str, Any] = dict(request.query)
    if isinstance(fields := asked.get("fields"), str):
        asked["fields"] = fields.split(",")
    names = [one for one in asked.pop("sobject", "").split(",") if one]
    asked["sobjects"] = [
        {"name": name}
        | {
            part: asked[f"{name}.{part}"]
            for part in ("fields", "limit", "where")
            if f"{name}.{part}" in asked
        }
        for name in names
    ]
    return asked


def _kind(said: Any, usual: list[str], most: Any) -> Kind:
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        raise unreadable_json(f"Cannot deserialize sobjects: {orjson.dumps(said).decode()}")
    fields = said.get("fields") or usual
    names = fields.split(",") if isinstance(fields, str) else fields
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise unreadable_json("Cannot deserialize fields")
    condition = f"WHERE {said['where']} " if said.get("where") else ""
    limit = _whole(said.get("limit") or most)
    tail = condition + (f"LIMIT {limit}" if limit else "")
    return Kind(said["name"], tuple(one.strip() for one in names), tail)


def _whole(said: Any) -> int | None:
    if said is None or str(said).isdecimal():
        return None if said is None else int(said)
    raise unreadable_json(f"Cannot deserialize a whole number from {said}")


def _response(request: ApiRequest, asked: Search) -> ApiResponse:
    kinds = asked.kinds or tuple(
        Kind(one.name)
        for one in request.store.schema.values()
        if any(field.writable for field in one)
    )
    found = [record for kind in kinds for record in _matching_rows(request, asked, kind)]
    found = found[: _MOST if asked.limit is None else min(asked.limit, _MOST)]
    named = float(request.version) >= _NAMED_SINCE
    return ApiResponse({"searchRecords": found} if named else found)


def _matching_rows(request: ApiRequest, asked: Search, kind: Kind) -> list[dict[str, Any]]:
    names = ", ".join(kind.fields or ("Id",))
    query = f"SELECT {names} FROM {kind.name} {kind.tail}"  # noqa: S608 (of the caller's own words)
    selection = select(request.store, query)
    matches = _matcher(selection.sobject, asked)
    rows = [row for row in selection.found(request.store, deleted=False) if matches(row)]
    start, limit = selection.query.offset or 0, selection.query.limit
    render = renderer(request.store, selection, request.root)
    return [render(row) for row in rows[start : None if limit is None else start + limit]]


def _matcher(sobject: SObject, asked: Search) -> Callable[[Row], bool]:
    names = [one.name for one in sobject if _is_searched(one.name, one.type, asked.scope)]
    patterns = sosl.pattern(asked.words)

    def matches(row: Row) -> bool:
        texts = [str(row[name]) for name in names if row.get(name)]
        return all(any(one.search(text) for text in texts) for one in patterns)

    return matches


def _is_searched(name: str, type_: str, scope: str) -> bool:
    match scope:
        case "NAME":
            return name in _NAMES
        case "EMAIL" | "PHONE":
            return type_ == scope.lower()
        case _:
            return type_ in TEXTS
