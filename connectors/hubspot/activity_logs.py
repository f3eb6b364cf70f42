"""What HubSpot keeps beside the CRM: form submissions, marketing e-mail events, page views.

Their newest rows come first, and their cursors expire: a reader that continues asks for the rows
before the last row it gave.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from connectors.extract.arrow import Page, PageToken, Row
from connectors.http import PaginationLoopGuard
from connectors.hubspot.client import Client
from connectors.hubspot.pagination import ReadRequest, is_on_or_after, milliseconds, paginate
from errors import RejectedError

HUBSPOT_FORM = "hubspot"
FORM_TYPES = (HUBSPOT_FORM, "captured", "flow", "blog_comment", "all")
"""The types of forms, and `all` for those that are yet to come."""

EVENT_LIMIT = 1000
SUBMISSION_LIMIT = 50


def list_forms(client: Client) -> list[Row]:
    """Return the forms of all types.

    Without `formTypes` HubSpot leaves out captured and pop-up forms, and does not say so.
    """
    pages = paginate(client, client.path("forms"), limit=100, formTypes=FORM_TYPES)
    return [form for page, _ in pages for form in page]


def form_submissions(client: Client, request: ReadRequest, page_token: PageToken) -> Iterator[Page]:
    """Read form by form; a position is the form and its cursor, or None behind its end."""
    form_at, after = page_token or (None, None)
    forms = [form for form in list_forms(client) if form.get("id")]
    refused = Counter[str]()
    for form in sorted(forms, key=lambda form: str(form["id"])):
        id = str(form["id"])
        if form_at is not None and (id < form_at or (id == form_at and after is None)):
            continue
        begin = after if id == form_at else None
        try:
            for rows, position in _submissions(client, request, form, begin):
                yield rows, [id, position]
        except RejectedError:
            # not every type has submissions that HubSpot gives; those of its own forms it gives
            if form.get("formType") in (None, HUBSPOT_FORM):
                raise
            refused[str(form["formType"])] += 1
            yield [], [id, None]
    client.warnings += [
        f"HubSpot refuses the submissions of {count} forms of type {type}: they are left out"
        for type, count in sorted(refused.items())
    ]


def _submissions(
    client: Client, question: ReadRequest, form: Row, after: PageToken
) -> Iterator[Page]:
    path = client.path("submissions", form=form["id"])
    for page, position in paginate(client, path, after, limit=SUBMISSION_LIMIT):
        rows = [_submission(form, submission) for submission in page]
        new = [row for row in rows if is_on_or_after(row["submittedAt"], question.since)]
        yield new, position
        if len(new) < len(rows):
            return  # newest first, and there is no filter by date


def _submission(form: Row, submission: Row) -> Row:
    values = {one.get("name"): one.get("value") for one in submission.get("values") or ()}
    return {
        "id": submission.get("conversionId"),
        "submittedAt": submission.get("submittedAt"),
        "formId": form["id"],
        "formName": form.get("name"),
        "email": values.get("email"),
        "pageUrl": submission.get("pageUrl"),
    }


def email_events(client: Client, request: ReadRequest, page_token: PageToken) -> Iterator[Page]:
    """Read one closed window, because new ones would move the pages."""
    window: dict[str, Any] = {"endTimestamp": page_token or milliseconds(request.until)}
    if request.since:
        window["startTimestamp"] = milliseconds(request.since)
    path = client.path("email_events")
    offset, loop_guard = None, PaginationLoopGuard(f"HubSpot: GET {path}")
    while True:
        get = partial(
            client.get, path, expected_key="events", offset=offset, limit=EVENT_LIMIT, **window
        )
        try:
            answer = loop_guard.fetch(client.api_caller, get, _next_offsets)
        except RejectedError:
            if offset is None or window["endTimestamp"] == page_token:
                raise
            # the cursor expired, as it soon does: the rows before the last row are another window
            offset, window["endTimestamp"] = None, page_token
            loop_guard = PaginationLoopGuard(f"HubSpot: GET {path}")
            continue
        events = answer["events"]
        page_token = _last(events, "created") or page_token
        yield [{**event, "id": _event_id(event)} for event in events], page_token
        if not answer.get("hasMore"):
            return
        offset = str(answer.get("offset"))


def _next_offsets(answer: Row) -> list[str]:
    return [str(answer.get("offset"))] if answer.get("hasMore") else []


def _event_id(event: Row) -> str | None:
    """HubSpot may return an event more than once: id and time together are its key."""
    is_known = event.get("id") and event.get("created")
    return f"{event['id']}:{event['created']}" if is_known else None


def page_views(client: Client, request: ReadRequest, page_token: PageToken) -> Iterator[Page]:
    """Read what pages contacts looked at."""
    pages = paginate(
        client,
        client.path("page_views"),
        objectType="contact",
        eventType="e_visited_page",
        occurredAfter=request.since and request.since.isoformat(),
        occurredBefore=page_token or request.until.isoformat(),
        limit=EVENT_LIMIT,
    )
    for page, _ in pages:
        last = _last(page, "occurredAt")
        page_token = _just_after(last) if last else page_token
        yield (
            [{**one, "url": (one.get("properties") or {}).get("hs_url")} for one in page],
            page_token,
        )


def _just_after(instant: str) -> str:
    # The end of a window may be open: what happened in the same millisecond must lie inside.
    at = datetime.fromisoformat(instant)
    return datetime.fromtimestamp((milliseconds(at) + 1) / 1000, UTC).isoformat()


def _last(rows: Sequence[Row], name: str) -> Any:
    """Give the last instant of a page: a row may lack it."""
    return next((row[name] for row in reversed(rows) if row.get(name)), None)
