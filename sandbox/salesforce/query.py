"""Query resources: a page of records, and a locator for the next one."""

from dataclasses import dataclass, replace
from typing import Any

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.json_records import renderer
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.rows import Row
from sandbox.salesforce.soql_compile import Selection, select
from sandbox.salesforce.store import SalesforceStore
from sandbox.salesforce.tooling import catalog
from sandbox.storage.record_store import Matches

_PAGE = 2000
_SMALLEST_PAGE = 200
_WIDE_PAGE = 1000
_WIDE_FROM = 20


@dataclass(frozen=True)
class Cursor:
    """The records of a locator. Their values are read when a page is requested."""

    store: SalesforceStore
    rows: Matches[Row]
    selection: Selection
    page: int


def query(request: ApiRequest) -> ApiResponse:
    """Return rows that are neither deleted nor archived."""
    if "explain" in request.query:
        return explain(request)
    return _first_page(_with_catalog(request), deleted=False)


def query_all(request: ApiRequest) -> ApiResponse:
    """Return all rows, also deleted, merged and archived ones."""
    return _first_page(_with_catalog(request), deleted=True)


def _with_catalog(request: ApiRequest) -> ApiRequest:
    return replace(request, store=catalog(request.store, _query_text(request), of_data=True))


def next_page(request: ApiRequest) -> ApiResponse:
    """Return the page of a locator."""
    cursor_id, _, offset = request.path["locator"].rpartition("-")
    cursor = request.store.cursors.get(cursor_id)
    if cursor is None or not offset.isdecimal() or int(offset) >= len(cursor.rows):
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
    return ApiResponse(_page(request, cursor_id, cursor, int(offset)))


def tooling_query(request: ApiRequest) -> ApiResponse:
    """Handle a query of the Tooling API."""
    text = _query_text(request)
    return _first_page(
        replace(request, store=catalog(request.store, text, of_data=False)), deleted=False
    )


def explain(request: ApiRequest) -> ApiResponse:
    """Return the plan of a query: a table scan, or a lookup by ids."""
    text = request.query["explain"]
    selection = select(request.store, text)
    rows = len(request.store.tables[selection.sobject.name])
    found = len(selection.found(request.store, deleted=False))
    indexed = selection.query.where is not None
    plan = {
        "cardinality": found,
        "fields": [],
        "leadingOperationType": "Other" if indexed else "TableScan",
        "notes": [
            {
                "description": "Not considering filter for optimization because unindexed",
                "fields": ["IsDeleted"],
                "tableEnumOrId": selection.sobject.name,
            }
        ],
        "relativeCost": round(found / rows, 4) if rows else 0.0,
        "sobjectCardinality": rows,
        "sobjectType": selection.sobject.name,
    }
    return ApiResponse({"plans": [plan], "sourceQuery": text})


def _query_text(request: ApiRequest) -> str:
    if not request.query.get("q"):
        raise ApiError("MALFORMED_QUERY", "A query string has to be specified")
    return request.query["q"]


def _first_page(request: ApiRequest, *, deleted: bool) -> ApiResponse:
    text = _query_text(request)
    selection = select(request.store, text)
    if selection.grouping:
        records = selection.grouping.records(selection.found(request.store, deleted=deleted))
        return ApiResponse(_groups(records, selection))
    rows = selection.rows(request.store, deleted=deleted)
    if selection.counts:
        return ApiResponse({"totalSize": len(rows), "done": True, "records": []})
    cursor = Cursor(request.store, rows, selection, _page_size(request, selection))
    cursor_id = request.store.new_id("0r8")
    if len(rows) > cursor.page:
        request.store.cursors[cursor_id] = cursor
    return ApiResponse(_page(request, cursor_id, cursor, 0))


def _groups(records: list[dict[str, Any]], selection: Selection) -> dict[str, Any]:
    start, limit = selection.query.offset or 0, selection.query.limit
    records = records[start : None if limit is None else start + limit]
    return {"totalSize": len(records), "done": True, "records": records}


def _page_size(request: ApiRequest, selection: Selection) -> int:
    """Choose the page size; the client's size is a hint, and wide rows get smaller pages."""
    usual = _WIDE_PAGE if len(selection.columns) >= _WIDE_FROM else _PAGE
    _, _, requested = request.headers.get("sforce-query-options", "").partition("batchSize=")
    return min(usual, max(_SMALLEST_PAGE, int(requested))) if requested.isdecimal() else usual


def _page(request: ApiRequest, cursor_id: str, cursor: Cursor, start: int) -> dict[str, Any]:
    end = start + cursor.page
    table = cursor.store.tables[cursor.selection.sobject.name]
    render = renderer(cursor.store, cursor.selection, request.root)
    present = (table.current(row["Id"], row) for row in cursor.rows[start:end])
    records = [render(row) for row in present if row is not None]
    size = len(cursor.rows)
    response: dict[str, Any] = {"totalSize": size, "done": end >= size}
    if not response["done"]:
        response["nextRecordsUrl"] = f"{request.root}/query/{cursor_id}-{end}"
    return response | {"records": records}
