"""What HubSpot keeps outside the CRM: form submissions, marketing e-mail events, page views."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from heapq import merge
from typing import Any, TypeVar

from sandbox.hubspot.call import Answer, Call
from sandbox.hubspot.refusals import invalid, refusal
from sandbox.hubspot.store import HubSpotStore
from sandbox.hubspot.values import iso, parse_instant

Row = TypeVar("Row")


def forms(store: HubSpotStore, call: Call) -> Answer:
    """Page through the account's forms."""
    return _page(call, list(store.forms.values()), call.limit(20, 100))


def submissions(store: HubSpotStore, call: Call) -> Answer:
    """Page through the submissions of one form, newest first."""
    guid = call.parameters["form_id"]
    if guid not in store.forms:
        raise refusal(404, f"No form found with guid {guid}", "OBJECT_NOT_FOUND")
    return _page(call, store.submissions[guid], call.limit(20, 50))


def email_events(store: HubSpotStore, call: Call) -> Answer:
    """Page through marketing e-mail events inside a window, newest first; `offset` is opaque."""
    query = call.query
    since = int(query.get("startTimestamp") or 0)
    until = int(query.get("endTimestamp") or 2**62)
    equal = {"type": query.get("eventType"), "recipient": (query.get("recipient") or "").lower()}
    if campaign := query.get("campaignId"):
        equal["emailCampaignId"] = campaign
    if app := query.get("appId"):
        equal["appId"] = app
    chosen = [
        event
        for event in _window(store.email_events, since, until, lambda each: each["created"])
        if all(not wanted or str(event[name]) == wanted for name, wanted in equal.items())
    ]
    if query.get("excludeFilteredEvents") == "true":
        chosen = [event for event in chosen if not event.get("filteredEvent")]
    limit = call.limit(10, 1000)
    start = _position(query.get("offset"))
    more = start + limit < len(chosen)
    return Answer(
        {
            "hasMore": more,
            "offset": _cursor(start + limit) if more else _cursor(len(chosen)),
            "events": chosen[start : start + limit],
        }
    )


def events(store: HubSpotStore, call: Call) -> Answer:
    """Page through events of contacts, newest first unless sorted otherwise."""
    query = call.query
    since = _instant(query.get("occurredAfter"), 0)
    until = _instant(query.get("occurredBefore"), 2**53)
    wanted = query.get("eventType")
    logs = [log for event_type, log in store.events.items() if wanted in (None, event_type)]
    windows = [_window(log, since, until, lambda each: each[0]) for log in logs]
    chosen = [event for _, event in merge(*windows, key=lambda each: each[0], reverse=True)]
    if object_id := query.get("objectId"):
        chosen = [event for event in chosen if event["objectId"] == object_id]
    if query.get("sort") == "occurredAt":
        chosen = chosen[::-1]
    return _page(call, chosen, call.limit(20, 1000))


def event_types(store: HubSpotStore, _call: Call) -> Answer:
    """Name the event types that occur."""
    return Answer({"eventTypes": sorted(store.events)})


def _window(log: list[Row], since: int, until: int, at: Callable[[Row], int]) -> list[Row]:
    """Cut what lies in [since, until] out of a log that is ordered newest first."""
    start = bisect_left(log, -until, key=lambda row: -at(row))
    return log[start : bisect_right(log, -since, key=lambda row: -at(row))]


def _instant(text: str | None, default: int) -> int:
    if not text:
        return default
    at = parse_instant(text)
    if at is None:
        raise invalid(f"Invalid date-time {text}, expected something like {iso(0)}")
    return at


def _page(call: Call, rows: list[dict[str, Any]], limit: int) -> Answer:
    start = _position(call.query.get("after"))
    answer: dict[str, Any] = {"results": rows[start : start + limit]}
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
