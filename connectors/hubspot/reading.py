"""The roads to HubSpot's records: the list, the search, the archive; each may be begun midway."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.hubspot.catalog import RECORD
from connectors.hubspot.client import Client
from connectors.landing import Page, Position, Row
from errors import SyncError

LIST_LIMIT = 100
SEARCH_LIMIT = 200

Progress = Callable[[str, int, int | None], None]
Reader = Callable[[Position], Iterator[Page]]


@dataclass(frozen=True)
class Question:
    """What one pull asks for; `since` None asks for everything."""

    object: str
    properties: tuple[str, ...]
    since: datetime | None
    until: datetime
    progress: Progress


def in_turn(at: Position, *readers: Reader) -> Iterator[Page]:
    """Read one after the other; a position is the number of the reader and its own position."""
    nth, inner = at or (0, None)
    for number, read in enumerate(readers[nth:], nth):
        for rows, position in read(inner):
            yield rows, [number, position] if position is not None else [number + 1, None]
        inner = None


def paged(client: Client, path: str, at: Position = None, **params: Any) -> Iterator[Page]:
    """Read a list to its end: the last page is the one that names no next.

    Raises: SyncError where a page names itself as the next one.
    """
    while True:
        answer = client.get(path, after=at, **params)
        after = next_of(answer)
        if after is not None and after == at:
            raise SyncError(f"HubSpot answers GET {path} with the same page again and again")
        yield answer["results"], after
        if after is None:
            return
        at = after


def listed(
    client: Client, question: Question, at: Position, *, object: str | None = None, **params: Any
) -> Iterator[Page]:
    """Read all live records, or all archived ones, by ascending id."""
    asked = {"limit": LIST_LIMIT, "properties": ",".join(question.properties), **params}
    return paged(client, f"/crm/v3/objects/{object or question.object}", at, **asked)


def archived(client: Client, question: Question, at: Position, **params: Any) -> Iterator[Page]:
    """List the archive, which cannot be asked for what is new in it, and keep what is."""
    since = question.since
    for page, after in listed(client, question, at, archived="true", **params):
        yield [one for one in page if since is None or _archived_at(one) >= since], after


def searched(
    client: Client,
    question: Question,
    at: Position,
    *,
    object: str | None = None,
    properties: Sequence[str] | None = None,
) -> Iterator[Page]:
    """Find what was modified since, by ascending id.

    Every page asks for ids above the last one instead of following `after`: so there is no wall
    at 10,000, and a record that leaves the result meanwhile moves no other out of sight.
    """
    object = object or question.object
    modified = "lastmodifieddate" if object == "contacts" else "hs_lastmodifieddate"
    since = str(milliseconds(question.since)) if question.since else "0"
    last, after = at or "0", None
    while True:
        filters = [
            {"propertyName": modified, "operator": "GTE", "value": since},
            {"propertyName": "hs_object_id", "operator": "GT", "value": last},
        ]
        body = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": list(question.properties if properties is None else properties),
            "limit": SEARCH_LIMIT,
        } | ({"after": after} if after else {})
        answer = client.post(f"/crm/v3/objects/{object}/search", body, kind="search")
        found, following = answer["results"], next_of(answer)
        if following is None:
            yield found, None
            return
        # A page may be empty though there are more: then only its own cursor leads on.
        last, after = (found[-1]["id"], None) if found else (last, following)
        yield found, last


def gathered(pages: Iterator[Page], at_least: int) -> Iterator[Page]:
    """Join pages until they hold so many rows."""
    rows: list[Row] = []
    at: Position = None
    for page, at in pages:
        rows.extend(page)
        if len(rows) >= at_least:
            yield rows, at
            rows = []
    if rows or at is None:
        yield rows, at


def row(record: Row, **more: Any) -> Row:
    """Put a record's properties beside what every record has."""
    return {**record["properties"], **{name: record.get(name) for name in _SYSTEM}, **more}


def next_of(answer: Row) -> str | None:
    """Read where the next page begins."""
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)


def milliseconds(at: datetime) -> int:
    """Count from the epoch, as HubSpot's filters do."""
    return int(at.timestamp() * 1000)


def _archived_at(record: Row) -> datetime:
    return datetime.fromisoformat(record.get("archivedAt") or record["updatedAt"])


_SYSTEM = tuple(field.name for field in RECORD)
