"""What HubSpot keeps outside the CRM: form submissions, marketing e-mail events, page views."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from heapq import merge
from typing import Any, TypeVar

from sandbox.hubspot.errors import invalid, refusal
from sandbox.hubspot.request import Answer, Call, whole
from sandbox.hubspot.store import HubSpotStore
from sandbox.hubspot.values import iso, parse_instant
from sandbox.storage.event_log import Entry, Timeline

Row = TypeVar("Row")


def forms(store: HubSpotStore, call: Call) -> Answer:
    """Page through the account's forms."""
    return _page(call, list(store.forms.values()), call.limit(20, 100), _as_is)


def form(store: HubSpotStore, call: Call) -> Answer:
    """Give one form."""
    found = store.forms.get(call.parameters["form_id"])
    if found is None:
        raise refusal(404, "resource not found", "OBJECT_NOT_FOUND")
    return Answer(found)


def email_event(store: HubSpotStore, call: Call) -> Answer:
    """Give one marketing e-mail event by the two parts of its key."""
    created, id = call.parameters["created"], call.parameters["id"]
    for one in store.email_events:
        if one["id"] == id and str(one["created"]) == created:
            return Answer(one)
    raise refusal(404, "resource not found", "OBJECT_NOT_FOUND")


def submissions(store: HubSpotStore, call: Call) -> Answer:
    """Page through the submissions of one form, newest first."""
    guid = call.parameters["form_id"]
    if guid not in store.forms:
        raise refusal(404, f"No form found with guid {guid}", "OBJECT_NOT_FOUND")
    log = store.submissions[guid]
    return _page(call, range(len(log)), call.limit(20, 50), log.look)


def email_events(store: HubSpotStore, call: Call) -> Answer:
    """Page through marketing e-mail events inside a window, newest first; `offset` is opaque."""
    query = call.query
    since = whole(query.get("startTimestamp") or 0)
    until = whole(query.get("endTimestamp") or 2**62)
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
        chosen = [place for place in chosen if fits(log.look(place))]
    limit = call.limit(10, 1000)
    start = _position(query.get("offset"))
    more = start + limit < len(chosen)
    return Answer(
        {
            "hasMore": more,
            "offset": _cursor(start + limit) if more else _cursor(len(chosen)),
            "events": [log.look(place) for place in chosen[start : start + limit]],
        }
    )


def events(store: HubSpotStore, call: Call) -> Answer:
    """Page through events of contacts, newest first unless sorted otherwise."""
    query = call.query
    since = _instant(query.get("occurredAfter"), 0)
    until = _instant(query.get("occurredBefore"), 2**53)
    chosen, look = _events(store, query.get("eventType"), since, until)
    if object_id := query.get("objectId"):
        chosen = [one for one in chosen if look(one)["objectId"] == object_id]
    if query.get("sort") == "occurredAt":
        chosen = chosen[::-1]
    return _page(call, chosen, call.limit(20, 1000), look)


def event_types(store: HubSpotStore, _call: Call) -> Answer:
    """Name the event types that occur."""
    return Answer({"eventTypes": sorted(store.events)})


def _events(
    store: HubSpotStore, kind: str | None, since: int, until: int
) -> tuple[Sequence[Any], Callable[[Any], Entry]]:
    """Say where the events of one kind or of all are, newest first, and how to look at one."""
    if kind:
        log = store.events.get(kind, Timeline())
        return log.between(since, until), log.look
    places = (
        [(log, place) for place in log.between(since, until)] for log in store.events.values()
    )
    return list(merge(*places, key=_at, reverse=True)), _look


def _at(one: tuple[Timeline, int]) -> int:
    log, place = one
    return log.at(place)


def _look(one: tuple[Timeline, int]) -> Entry:
    log, place = one
    return log.look(place)


def _instant(text: str | None, default: int) -> int:
    if not text:
        return default
    at = parse_instant(text)
    if at is None:
        raise invalid(f"Invalid date-time {text}, expected something like {iso(0)}")
    return at


def _as_is(form: Entry) -> Entry:
    return form


def _page(call: Call, rows: Sequence[Row], limit: int, look: Callable[[Row], Entry]) -> Answer:
    start = _position(call.query.get("after"))
    answer: dict[str, Any] = {"results": [look(row) for row in rows[start : start + limit]]}
    if start + limit < len(rows):
        answer["paging"] = call.next_page(_cursor(start + limit))
    return Answer(answer)


def _cursor(position: int) -> str:
    return urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def _position(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return int(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise invalid("Invalid cursor") from None
