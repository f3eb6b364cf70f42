"""The query resources: a page of records, and a locator for the next one."""

from dataclasses import dataclass, replace
from typing import Any

from sandbox.salesforce.errors import Refused
from sandbox.salesforce.json_records import renderer
from sandbox.salesforce.request import Answer, Call
from sandbox.salesforce.rows import Row
from sandbox.salesforce.soql_compile import Selection, select
from sandbox.salesforce.store import SalesforceStore
from sandbox.salesforce.tooling import catalog
from sandbox.storage.record_store import Found

_PAGE = 2000
_SMALLEST_PAGE = 200
_WIDE_PAGE = 1000
_WIDE_FROM = 20


@dataclass(frozen=True)
class Cursor:
    """What a locator stands for: records, not values: those are of when a page is asked for."""

    store: SalesforceStore
    rows: Found[Row]
    selection: Selection
    page: int


def query(call: Call) -> Answer:
    """Answer with what is neither deleted nor archived."""
    if "explain" in call.query:
        return explained(call)
    return _first_page(_with_catalog(call), deleted=False)


def query_all(call: Call) -> Answer:
    """Answer with deleted, merged and archived rows as well."""
    return _first_page(_with_catalog(call), deleted=True)


def _with_catalog(call: Call) -> Call:
    return replace(call, store=catalog(call.store, _asked(call), of_data=True))


def more(call: Call) -> Answer:
    """Answer with the page behind a locator."""
    cursor_id, _, offset = call.path["locator"].rpartition("-")
    cursor = call.store.cursors.get(cursor_id)
    if cursor is None or not offset.isdecimal() or int(offset) >= len(cursor.rows):
        raise Refused("INVALID_QUERY_LOCATOR", "invalid query locator")
    return Answer(_page(call, cursor_id, cursor, int(offset)))


def of_catalog(call: Call) -> Answer:
    """Answer a query of the Tooling API."""
    text = _asked(call)
    return _first_page(replace(call, store=catalog(call.store, text, of_data=False)), deleted=False)


def explained(call: Call) -> Answer:
    """Say how a query would be carried out: by looking at every row, or through ids."""
    text = call.query["explain"]
    selection = select(call.store, text)
    rows = len(call.store.tables[selection.sobject.name])
    found = len(selection.found(call.store, deleted=False))
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
    return Answer({"plans": [plan], "sourceQuery": text})


def _asked(call: Call) -> str:
    if not call.query.get("q"):
        raise Refused("MALFORMED_QUERY", "A query string has to be specified")
    return call.query["q"]


def _first_page(call: Call, *, deleted: bool) -> Answer:
    text = _asked(call)
    selection = select(call.store, text)
    if selection.grouping:
        told = selection.grouping.records(selection.found(call.store, deleted=deleted))
        return Answer(_groups(told, selection))
    rows = selection.rows(call.store, deleted=deleted)
    if selection.counts:
        return Answer({"totalSize": len(rows), "done": True, "records": []})
    cursor = Cursor(call.store, rows, selection, _page_size(call, selection))
    cursor_id = call.store.new_id("0r8")
    if len(rows) > cursor.page:
        call.store.cursors[cursor_id] = cursor
    return Answer(_page(call, cursor_id, cursor, 0))


def _groups(told: list[dict[str, Any]], selection: Selection) -> dict[str, Any]:
    start, limit = selection.query.offset or 0, selection.query.limit
    told = told[start : None if limit is None else start + limit]
    return {"totalSize": len(told), "done": True, "records": told}


def _page_size(call: Call, selection: Selection) -> int:
    """Choose a page; what the client asks for is a hint, and wide rows overrule it."""
    usual = _WIDE_PAGE if len(selection.columns) >= _WIDE_FROM else _PAGE
    _, _, asked = call.headers.get("sforce-query-options", "").partition("batchSize=")
    return min(usual, max(_SMALLEST_PAGE, int(asked))) if asked.isdecimal() else usual


def _page(call: Call, cursor_id: str, cursor: Cursor, start: int) -> dict[str, Any]:
    end = start + cursor.page
    table = cursor.store.tables[cursor.selection.sobject.name]
    render = renderer(cursor.store, cursor.selection, call.root)
    present = (table.now(row["Id"], row) for row in cursor.rows[start:end])
    records = [render(row) for row in present if row is not None]
    size = len(cursor.rows)
    answer: dict[str, Any] = {"totalSize": size, "done": end >= size}
    if not answer["done"]:
        answer["nextRecordsUrl"] = f"{call.root}/query/{cursor_id}-{end}"
    return answer | {"records": records}
