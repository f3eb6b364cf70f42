"""Engagements in HubSpot's first API: all types in one log, each with its associations."""

from typing import Any, Final

import orjson

from sandbox.hubspot.errors import api_error
from sandbox.hubspot.request import ApiRequest, ApiResponse, page_size, parse_integer
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore, ObjectTable, Record
from sandbox.hubspot.values import parse_instant

_KINDS: Final = {
    "emails": "EMAIL",
    "calls": "CALL",
    "meetings": "MEETING",
    "notes": "NOTE",
    "tasks": "TASK",
}
_LINKS: Final = {
    "contactIds": "contacts",
    "companyIds": "companies",
    "dealIds": "deals",
    "ticketIds": "tickets",
}
_PROPERTIES: Final[dict[str, dict[str, str]]] = {
    "EMAIL": {"subject": "hs_email_subject", "status": "hs_email_status", "text": "hs_email_text"},
    "CALL": {
        "status": "hs_call_status",
        "durationMilliseconds": "hs_call_duration",
        "disposition": "hs_call_disposition",
        "title": "hs_call_title",
        "body": "hs_call_body",
    },
    "MEETING": {
        "title": "hs_meeting_title",
        "startTime": "hs_meeting_start_time",
        "endTime": "hs_meeting_end_time",
        "meetingOutcome": "hs_meeting_outcome",
    },
    "NOTE": {"body": "hs_note_body"},
    "TASK": {"subject": "hs_task_subject", "status": "hs_task_status", "taskType": "hs_task_type"},
}
"""Keys of the metadata of each type -> today's properties."""

_UNLINKED: Final = ("ownerIds", "workflowIds", "contentIds", "quoteIds")
_MOST: Final = 250

Entry = tuple[str, Record]


def list_all(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through all engagement by id."""
    found = sorted(_all(store), key=lambda one: one[1].id)
    return _engagement_json(
        store, request, found, page_size(request.query.get("limit"), 100, _MOST)
    )


def recent(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the latest changes, newest first."""
    found = _since(store, request.query.get("since"))[::-1]
    response = _engagement_json(
        store, request, found, page_size(request.query.get("count"), 20, 100)
    )
    return ApiResponse(response.body | {"total": len(found)})


def modified_after(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page from a time, or from the cursor of the page before, which is a time too."""
    limit = page_size(request.query.get("limit"), 100, _MOST)
    found = _since(store, request.query.get("after"))
    page = found[:limit]
    # a cursor after the last one would leave out engagements of the same millisecond
    while page and len(page) < len(found) and _at(found[len(page)]) == _at(page[-1]):
        page.append(found[len(page)])
    after = str(_at(page[-1]) + 1) if page else request.query.get("after")
    results = [_engagement(store, *one) for one in page]
    return ApiResponse({"results": results, "hasMore": len(page) < len(found), "after": after})


def one(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one engagement."""
    return ApiResponse(_engagement(store, *_find(store, request)))


def of_record(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the engagement of one record, newest first."""
    name = store.object_type(request.parameters["object"]).name
    id = parse_integer(request.parameters["record_id"])
    found = [
        (kind, record)
        for kind in _KINDS
        for record in filter(None, map(store.tables[kind].read, store.associated(name, id, kind)))
    ]
    found.sort(key=_at, reverse=True)
    return _engagement_json(store, request, found, page_size(request.query.get("limit"), 100, 100))


def create(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Log an engagement and link it."""
    type_name = str(request.body["engagement"].get("type")).upper()
    name = next((name for name, kind in _KINDS.items() if kind == type_name), None)
    if name is None:
        raise api_error(400, f"Unknown engagement type: {type_name}", "VALIDATION_ERROR")
    table = store.tables[name]
    record = store.create(table, _values(store, table, request.body))
    for key, ids in (request.body.get("associations") or {}).items():
        for id in filter(None, ids if key in _LINKS else ()):
            store.associate(name, record.id, _LINKS[key], parse_integer(id))
    return ApiResponse(_engagement(store, name, record))


def change(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Change an engagement."""
    name, record = _find(store, request)
    table = store.tables[name]
    if held := table.find(record.id):
        store.write(table, held, _values(store, table, request.body))
        return ApiResponse(_engagement(store, name, held))
    return ApiResponse(_engagement(store, name, record))


def archive(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Archive an engagement."""
    name, record = _find(store, request)
    if held := store.tables[name].find(record.id):
        store.archive(store.tables[name], held)
    return ApiResponse(status=204)


def _find(store: HubSpotStore, request: ApiRequest) -> Entry:
    for name in _KINDS:
        if record := store.tables[name].read(request.parameters["record_id"]):
            return name, record
    raise api_error(404, "resource not found")


def _values(store: HubSpotStore, table: ObjectTable, body: dict[str, Any]) -> dict[str, str]:
    """Parse the values of an engagement; unknown keys are ignored."""
    about, names = body.get("engagement") or {}, _PROPERTIES[_KINDS[table.type.name]]
    pairs = {
        "hs_timestamp": about.get("timestamp") or store.now_ms(),
        "hubspot_owner_id": about.get("ownerId"),
    } | {names[key]: value for key, value in (body.get("metadata") or {}).items() if key in names}
    return store.validate_properties(table, [pairs])[0]


def _all(store: HubSpotStore) -> list[Entry]:
    return [(name, record) for name in _KINDS for record in store.tables[name].all_live()]


def _since(store: HubSpotStore, since: str | None) -> list[Entry]:
    at = parse_instant(since or "0") or 0
    return sorted((one for one in _all(store) if _at(one) >= at), key=_at)


def _at(entry: Entry) -> int:
    return entry[1].updated_at


def _engagement_json(
    store: HubSpotStore, request: ApiRequest, found: list[Entry], limit: int
) -> ApiResponse:
    start = parse_integer(request.query.get("offset") or 0)
    page = [_engagement(store, *one) for one in found[start : start + limit]]
    end = start + len(page)
    return ApiResponse({"results": page, "hasMore": end < len(found), "offset": end})


def _engagement(store: HubSpotStore, name: str, record: Record) -> dict[str, Any]:
    owner = record.properties.get("hubspot_owner_id")
    links = {key: store.associated(name, record.id, other) for key, other in _LINKS.items()}
    return {
        "engagement": {
            "id": record.id,
            "portalId": PORTAL_ID,
            "active": True,
            "createdAt": record.created_at,
            "lastUpdated": record.updated_at,
            "type": _KINDS[name],
            "timestamp": parse_instant(record.properties.get("hs_timestamp", "0")),
            **({"ownerId": int(owner)} if owner else {}),
        },
        "associations": links | {key: [] for key in _UNLINKED},
        "attachments": [],
        "scheduledTasks": [],
        "metadata": _metadata(_KINDS[name], record.properties),
    }


def _metadata(kind: str, values: dict[str, str]) -> dict[str, Any]:
    match kind:
        case "EMAIL":
            people = orjson.loads(values.get("hs_email_headers") or "{}")
            metadata = {
                "from": people.get("from", {}),
                "to": people.get("to", []),
                "cc": [],
                "bcc": [],
                "subject": values.get("hs_email_subject"),
                "status": values.get("hs_email_status"),
                "messageId": values.get("hs_email_message_id"),
            }
        case "CALL":
            metadata = {
                "status": values.get("hs_call_status"),
                "durationMilliseconds": int(values.get("hs_call_duration", 0)),
                "disposition": values.get("hs_call_disposition"),
                "title": values.get("hs_call_title"),
                "body": values.get("hs_call_body"),
            }
        case "MEETING":
            metadata = {
                "title": values.get("hs_meeting_title"),
                "startTime": parse_instant(values.get("hs_meeting_start_time", "0")),
                "endTime": parse_instant(values.get("hs_meeting_end_time", "0")),
                "meetingOutcome": values.get("hs_meeting_outcome"),
            }
        case "NOTE":
            metadata = {"body": values.get("hs_note_body")}
        case _:
            metadata = {
                "subject": values.get("hs_task_subject"),
                "status": values.get("hs_task_status"),
                "taskType": values.get("hs_task_type"),
                "forObjectType": "CONTACT",
            }
    return {name: value for name, value in metadata.items() if value is not None}
