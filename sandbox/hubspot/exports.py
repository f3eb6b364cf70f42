"""Exports: an asynchronous job that writes the records of an object to a CSV file."""

import csv
import io
import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from sandbox.hubspot.errors import api_error, invalid
from sandbox.hubspot.request import ApiRequest, ApiResponse
from sandbox.hubspot.store import HubSpotStore
from sandbox.hubspot.values import iso

_POLLS_UNTIL_DONE: Final = 2
_SIGNED_SECONDS: Final = 300
PATH: Final = "/_sandbox/hubspot/exports/{task_id}"


@dataclass
class Export:
    """One export: its request, and the number of polls."""

    asked: dict[str, Any]
    started_at: int
    polls: int = 0
    signed_at: float = 0.0


def start(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Start an export; only one can run at a time."""
    if any(one.polls < _POLLS_UNTIL_DONE for one in store.exports.values()):
        raise api_error(429, "There is already an export running.", "RATE_LIMITS")
    body = request.body
    table = store.table(body["objectType"])
    unknown = [name for name in body["objectProperties"] if name not in table.properties]
    if unknown:
        raise invalid(f"Unknown properties: {', '.join(unknown)}")
    if body["exportType"] == "LIST" and body.get("listId") not in store.lists:
        raise invalid(f"There is no list {body.get('listId')}")
    task_id = str(uuid4())
    store.exports[task_id] = Export(body, store.now_ms())
    status = f"{request.host}/crm/v3/exports/export/async/tasks/{task_id}/status"
    return ApiResponse({"id": task_id, "links": {"status": status}}, 202)


def state(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the state of an export, and a URL that is valid for five minutes."""
    task_id = request.parameters["task_id"]
    export = _export(store, task_id)
    export.polls += 1
    is_done = export.polls >= _POLLS_UNTIL_DONE
    now = store.now_ms()
    response: dict[str, Any] = {
        "status": "COMPLETE" if is_done else "PROCESSING",
        "requestedAt": iso(export.started_at),
        "startedAt": iso(export.started_at),
        "completedAt": iso(now),
    }
    if is_done:
        export.signed_at = time.monotonic()
        response["result"] = request.host + PATH.format(task_id=task_id)
    return ApiResponse(response)


def file(store: HubSpotStore, task_id: str) -> str | None:
    """Return the CSV of an export, or None if its URL has expired."""
    export = store.exports.get(task_id)
    if export is None or not 0 < time.monotonic() - export.signed_at < _SIGNED_SECONDS:
        return None
    table = store.table(export.asked["objectType"])
    names = export.asked["objectProperties"]
    internal = "NAMES" in export.asked["exportInternalValuesOptions"]
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n", quoting=csv.QUOTE_ALL)
    titles = [name if internal else table.properties[name].label for name in names]
    writer.writerow(["Record ID", *titles])
    chosen = store.lists.get(export.asked.get("listId") or "")
    for record in table.all_live():
        if chosen is None or chosen.holds(record):
            writer.writerow([record.id, *(record.properties.get(name, "") for name in names)])
    return lines.getvalue()


def _export(store: HubSpotStore, task_id: str) -> Export:
    found: Export | None = store.exports.get(task_id)
    if found is None:
        raise api_error(404, f"No export with the id {task_id}", "OBJECT_NOT_FOUND")
    return found
