"""The roads to HubSpot's records: the list, the search, the archive; each may be begun midway."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from connectors.extract.arrow import Page, Position, Row
from connectors.hubspot.catalog import RECORD
from connectors.hubspot.client import Client
from connectors.hubspot.partitions import next_of, spread
from connectors.pagination_guard import Trail
from errors import RefusedError

LIST_LIMIT = 100
HISTORY_LIMIT = 50
SEARCH_LIMIT = 200
COUNTED_FROM = 1_000
"""From so many modified records on it is asked how many there are in all."""

Progress = Callable[[str, int, int | None], None]
Reader = Callable[[Position], Iterator[Page]]


@dataclass
class Tally:
    """How many rows were read, and how many there are as far as an answer has told."""

    object: str
    progress: Progress
    rows: int = 0
    total: int | None = None

    def count(self, rows: int) -> None:
        """Count rows, and tell whoever watches."""
        self.rows += rows
        self.progress(self.object, self.rows, self.total)


@dataclass(frozen=True)
class Question:
    """What one pull asks for; `since` None asks for everything."""

    object: str
    properties: tuple[str, ...]
    since: datetime | None
    until: datetime
    tally: Tally
    has_labels: bool = False


def in_turn(at: Position, *readers: Reader) -> Iterator[Page]:
    """Read one after the other; a position is the number of the reader and its own position."""
    nth, inner = at or (0, None)
    for number, read in enumerate(readers[nth:], nth):
        for rows, position in read(inner):
            yield rows, [number, position] if position is not None else [number + 1, None]
        inner = None


def paged(client: Client, path: str, at: Position = None, **params: Any) -> Iterator[Page]:
    """Read a list to its end: the last page is the one that names no next.

    A cursor that HubSpot has forgotten makes it begin anew, once.

    Raises: SyncError where its pages lead round in a circle.
    """
    may_begin_anew, trail = True, Trail(f"HubSpot: GET {path}")
    while True:
        try:
            answer = client.get(path, holds="results", after=at and trail.follow(at), **params)
        except RefusedError:
            if at is None or not may_begin_anew:
                raise
            at, may_begin_anew, trail = None, False, Trail(f"HubSpot: GET {path}")
            continue
        at = next_of(answer)
        yield answer["results"], at
        if at is None:
            return


def listed(
    client: Client, question: Question, at: Position, *, object: str | None = None, **params: Any
) -> Iterator[Page]:
    """Read all live records by ascending id, from several places at once."""
    object = object or question.object
    asked = _asked(question, params)

    def fetch(after: str | None) -> dict[str, Any]:
        path = f"/crm/v3/objects/{object}"
        return sound(client, object, client.get(path, holds="results", after=after, **asked))

    return spread(fetch, at, partial(_newest, client, object, question.tally))


def sound(client: Client, object: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Leave out, and count, what is no record: without properties, or an id that is a number."""
    records = answer["results"]
    answer["results"] = [one for one in records if _is_record(one)]
    for one in answer["results"]:
        one["id"] = str(one["id"])
    if bare := len(records) - len(answer["results"]):
        client.drift[object, "id"] += bare
    return answer


def _is_record(one: Row) -> bool:
    return str(one.get("id")).isdecimal() and isinstance(one.get("properties"), dict)


def archived(client: Client, question: Question, at: Position, **params: Any) -> Iterator[Page]:
    """List the archive, which cannot be asked for what is new in it, and keep what is."""
    since = question.since
    asked = _asked(question, params) | {"archived": "true"}
    for page, after in paged(client, f"/crm/v3/objects/{question.object}", at, **asked):
        records = sound(client, question.object, {"results": page})["results"]
        yield [one for one in records if is_since(_archived_at(one), since)], after


def _asked(question: Question, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"limit": LIST_LIMIT, "properties": ",".join(question.properties), **params}


def _newest(client: Client, object: str, tally: Tally) -> int:
    """Ask for the greatest id; the answer tells as well how many records there are."""
    body = {
        "filterGroups": [],
        "sorts": [{"propertyName": "hs_object_id", "direction": "DESCENDING"}],
        "properties": [],
        "limit": 1,
    }
    answer = client.post(f"/crm/v3/objects/{object}/search", body, kind="search")
    tally.total = answer.get("total")
    found = answer["results"]
    return int(found[0]["id"]) if found else 0


def changed(client: Client, question: Question, at: Position) -> Iterator[Page]:
    """Search what was modified since; list everything where that is quicker.

    A position in the list is a list, one in a search is a text.
    """
    if isinstance(at, list):
        yield from listed(client, question, at)
        return
    filters = [modified_since(question.object, question.since)]
    answers = by_id(client, question.object, filters, question.properties, at)
    for answer, last in answers:
        many = at is None and answer["total"] > COUNTED_FROM
        question.tally.total = question.tally.total or answer["total"]
        at = last
        if many and is_list_quicker(answer["total"], counted(client, question.object)):
            yield from listed(client, question, None)
            return
        yield answer["results"], last


def is_list_quicker(modified: int, records: int) -> bool:
    """Compare 200 records a search and five searches a second with 100 a page and 19 pages."""
    return modified * 1.9 > records


def modified_since(object: str, since: datetime | None) -> Row:
    """Filter by what only a modification moves."""
    name = "lastmodifieddate" if object == "contacts" else "hs_lastmodifieddate"
    value = str(milliseconds(since)) if since else "0"
    return {"propertyName": name, "operator": "GTE", "value": value}


def by_id(
    client: Client,
    object: str,
    filters: Sequence[Row],
    properties: Sequence[str],
    last: Position,
) -> Iterator[tuple[Row, Position]]:
    """Search by ascending id, above `last`, and give the answers.

    Every page asks for ids above the last one instead of following `after`: so there is no wall
    at 10,000, and a record that leaves the result meanwhile moves no other out of sight.
    """
    last, after = last or "0", None
    path = f"/crm/v3/objects/{object}/search"
    trail = Trail(f"HubSpot: POST {path}")
    while True:
        above = {"propertyName": "hs_object_id", "operator": "GT", "value": str(last)}
        body = {
            "filterGroups": [{"filters": [*filters, above]}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": list(properties),
            "limit": SEARCH_LIMIT,
        } | ({"after": after} if after else {})
        answer = sound(client, object, client.post(path, body, kind="search"))
        found, following = answer["results"], next_of(answer)
        if following is None:
            yield answer, None
            return
        # A page may be empty though there are more: then only its own cursor leads on.
        last, after = (found[-1]["id"], None) if found else (last, following)
        trail.follow(f"{last} {after}")
        yield answer, last


def counted(client: Client, object: str, *filters: Row) -> int:
    """Count live records."""
    groups = [{"filters": list(filters)}] if filters else []
    body = {"filterGroups": groups, "properties": [], "limit": 1}
    answer = client.post(f"/crm/v3/objects/{object}/search", body, kind="search")
    return int(answer["total"])


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
    """Put what every record has beside its properties: into the same dict, for there are many."""
    properties: dict[str, Any] = record["properties"]
    for name in _SYSTEM:
        properties[name] = record.get(name)
    properties.update(more)
    return properties


def milliseconds(at: datetime) -> int:
    """Count from the epoch, as HubSpot's filters do."""
    return int(at.timestamp() * 1000)


def is_since(at: object, since: datetime | None) -> bool:
    """Compare an instant, in milliseconds or as ISO 8601; what is none might be of today."""
    if since is None:
        return True
    with suppress(ValueError):
        text = str(at)
        told = int(text) if text.isdecimal() else milliseconds(datetime.fromisoformat(text))
        return told >= milliseconds(since)
    return True


def _archived_at(record: Row) -> object:
    return record.get("archivedAt") or record.get("updatedAt")


_SYSTEM = tuple(field.name for field in RECORD)
