"""Event logs outside the CRM: form submissions, marketing e-mail events, page views."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from heapq import merge
from typing import Any, Final, TypeVar

from sandbox.hubspot.errors import api_error, invalid
from sandbox.hubspot.request import ApiRequest, ApiResponse, parse_integer
from sandbox.hubspot.store import HubSpotStore
from sandbox.hubspot.values import iso, parse_instant
from sandbox.storage.event_log import Entry, EventLog

Row = TypeVar("Row")
FORM_TYPES: Final = frozenset({"hubspot", "captured", "flow", "blog_comment", "all"})


def forms(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the forms of some types; without types only those that HubSpot hosts."""
    types = request.names("formTypes") or ["hubspot"]
    if unknown := sorted(set(types) - FORM_TYPES):
        raise invalid(f"Unknown form type: {unknown[0]}")
    chosen = [one for one in store.forms.values() if {"all", one["formType"]} & set(types)]
    return _page(request, chosen, request.limit(20, 100), _raw)


def form(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one form."""
    found = store.forms.get(request.parameters["form_id"])
    if found is None:
        raise api_error(404, "resource not found", "OBJECT_NOT_FOUND")
    return ApiResponse(found)


def email_event(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one marketing e-mail event by the two parts of its key."""
    created, id = request.parameters["created"], request.parameters["id"]
    for one in store.email_events:
        if one["id"] == id and str(one["created"]) == created:
            return ApiResponse(one)
    raise api_error(404, "resource not found", "OBJECT_NOT_FOUND")


def submissions(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the submissions of one form, newest first."""
    guid = request.parameters["form_id"]
    if guid not in store.forms:
        raise api_error(404, f"No form found with guid {guid}", "OBJECT_NOT_FOUND")
    log = store.submissions[guid]
    return _page(request, range(len(log)), request.limit(20, 50), log.read)


def email_events(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through marketing e-mail events inside a window, newest first; `offset` is opaque."""
    query = request.query
    since = parse_integer(query.get("startTimestamp") or 0)
    until = parse_integer(query.get("endTimestamp") or 2**62)
    equal = {"type": query.get("eventType"), "recipient": (query.get("recipient") or "").lower()}
    if campaign := query.get("campaignId"):
        equal["emailCampaignId"] = campaign
    if app := query.get("appId"):
        equal["appId"] = app
    log = store.email_events
    wanted = {name: value for name, value in equal.items() if value}
    without_robots = query.get("excludeFilteredEvents") == "true"

    def fits(event: Entry) -> bool:
        is_robot = without_robots and event.get("filteredEvent")
        return not is_robot and all(str(event[name]) == value for name, value in wanted.items())

    chosen: Sequence[int] = log.between(since, until)
    if wanted or without_robots:
        chosen = [place for place in chosen if fits(log.read(place))]
    limit = request.limit(10, 1000)
    start = _position(query.get("offset"))
    more = start + limit < len(chosen)
    return ApiResponse(
        {
            "hasMore": more,
            "offset": _cursor(start + limit) if more else _cursor(len(chosen)),
            "events": [log.read(place) for place in chosen[start : start + limit]],
        }
    )


def events(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through events of contacts, newest first unless sorted otherwise."""
    query = request.query
    since = _instant(query.get("occurredAfter"), 0)
    until = _instant(query.get("occurredBefore"), 2**53)
    chosen, look = _events(store, query.get("eventType"), since, until)
    if object_id := query.get("objectId"):
        chosen = [one for one in chosen if look(one)["objectId"] == object_id]
    if query.get("sort") == "occurredAt":
        chosen = chosen[::-1]
    return _page(request, chosen, request.limit(20, 1000), look)


def event_types(store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return the event types that occur."""
    return ApiResponse({"eventTypes": sorted(store.events)})


def _events(
    store: HubSpotStore, kind: str | None, since: int, until: int
) -> tuple[Sequence[Any], Callable[[Any], Entry]]:
    """Return the positions of the events of one type or of all, newest first, and a reader."""
    if kind:
        log = store.events.get(kind, EventLog())
        return log.between(since, until), log.read
    places = (
        [(log, place) for place in log.between(since, until)] for log in store.events.values()
    )
    return list(merge(*places, key=_at, reverse=True)), _read_entry


def _at(one: tuple[EventLog, int]) -> int:
    log, place = one
    return log.timestamp(place)


def _read_entry(one: tuple[EventLog, int]) -> Entry:
    log, place = one
    return log.read(place)


def _instant(text: str | None, default: int) -> int:
    if not text:
        return default
    at = parse_instant(text)
    if at is None:
        raise invalid(f"Invalid date-time {text}, expected something like {iso(0)}")
    return at


def _raw(form: Entry) -> Entry:
    return form


def _page(
    request: ApiRequest, rows: Sequence[Row], limit: int, look: Callable[[Row], Entry]
) -> ApiResponse:
    start = _position(request.query.get("after"))
    response: dict[str, Any] = {"results": [look(row) for row in rows[start : start + limit]]}
    if start + limit < len(rows):
        response["paging"] = request.next_page(_cursor(start + limit))
    return ApiResponse(response)


def _cursor(position: int) -> str:
    return urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def _position(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return int(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise invalid("Invalid cursor") from None
