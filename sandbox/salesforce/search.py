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
    search_ = _parse_search(request)
    words = str(search_.get("q") or "")
    sosl.check(words)
    usual = search_.get("fields") or []
    kinds = tuple(
        _kind(one, usual, search_.get("defaultLimit")) for one in search_.get("sobjects") or ()
    )
    scope = str(search_.get("in") or "ALL").upper()
    return _response(request, Search(words, scope, kinds, _whole(search_.get("overallLimit"))))


def recent(_: ApiRequest) -> ApiResponse:
    """List the recently viewed records: none."""
    return ApiResponse([])


def _parse_search(request: ApiRequest) -> dict[str, Any]:
    if request.method == "POST":
        return request.json()
    parameters: dict[str, Any] = dict(request.query)
    if isinstance(fields := parameters.get("fields"), str):
        parameters["fields"] = fields.split(",")
    names = [one for one in parameters.pop("sobject", "").split(",") if one]
    parameters["sobjects"] = [
        {"name": name}
        | {
            part: parameters[f"{name}.{part}"]
            for part in ("fields", "limit", "where")
            if f"{name}.{part}" in parameters
        }
        for name in names
    ]
    return parameters


def _kind(value: Any, usual: list[str], most: Any) -> Kind:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise unreadable_json(f"Cannot deserialize sobjects: {orjson.dumps(value).decode()}")
    fields = value.get("fields") or usual
    names = fields.split(",") if isinstance(fields, str) else fields
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise unreadable_json("Cannot deserialize fields")
    condition = f"WHERE {value['where']} " if value.get("where") else ""
    limit = _whole(value.get("limit") or most)
    tail = condition + (f"LIMIT {limit}" if limit else "")
    return Kind(value["name"], tuple(one.strip() for one in names), tail)


def _whole(value: Any) -> int | None:
    if value is None or str(value).isdecimal():
        return None if value is None else int(value)
    raise unreadable_json(f"Cannot deserialize a whole number from {value}")


def _response(request: ApiRequest, search_: Search) -> ApiResponse:
    kinds = search_.kinds or tuple(
        Kind(one.name)
        for one in request.store.schema.values()
        if any(field.writable for field in one)
    )
    found = [record for kind in kinds for record in _matching_rows(request, search_, kind)]
    found = found[: _MOST if search_.limit is None else min(search_.limit, _MOST)]
    named = float(request.version) >= _NAMED_SINCE
    return ApiResponse({"searchRecords": found} if named else found)


def _matching_rows(request: ApiRequest, search_: Search, kind: Kind) -> list[dict[str, Any]]:
    names = ", ".join(kind.fields or ("Id",))
    query = f"SELECT {names} FROM {kind.name} {kind.tail}"  # noqa: S608 (of the caller's own words)
    selection = select(request.store, query)
    matches = _matcher(selection.sobject, search_)
    rows = [row for row in selection.found(request.store, deleted=False) if matches(row)]
    start, limit = selection.query.offset or 0, selection.query.limit
    render = renderer(request.store, selection, request.root)
    return [render(row) for row in rows[start : None if limit is None else start + limit]]


def _matcher(sobject: SObject, search_: Search) -> Callable[[Row], bool]:
    names = [one.name for one in sobject if _is_searched(one.name, one.type, search_.scope)]
    patterns = sosl.pattern(search_.words)

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
