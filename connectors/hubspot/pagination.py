"""The list, the search and the archive of HubSpot records; each can start at a position."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from connectors.extract.arrow import Page, PageToken, Row
from connectors.http import PaginationLoopGuard
from connectors.hubspot.catalog import SYSTEM_FIELDS
from connectors.hubspot.client import Client
from connectors.hubspot.partitions import next_page_cursor, next_page_cursors, read_partitions
from errors import RejectedError

LIST_LIMIT = 100
HISTORY_LIMIT = 50
SEARCH_LIMIT = 200
MIN_MODIFIED_FOR_COUNT = 1_000
"""From this number of modified records on, the total is asked for."""

Progress = Callable[[str, int, int | None], None]
Reader = Callable[[PageToken], Iterator[Page]]


@dataclass
class RowCounter:
    """The rows read so far, and the total that HubSpot reported."""

    object: str
    progress: Progress
    rows: int = 0
    total: int | None = None

    def add(self, rows: int) -> None:
        """Count rows and report the progress."""
        self.rows += rows
        self.progress(self.object, self.rows, self.total)


@dataclass(frozen=True)
class ReadRequest:
    """What one pull asks for; `since` None asks for everything."""

    object: str
    properties: tuple[str, ...]
    since: datetime | None
    until: datetime
    row_counter: RowCounter
    has_labels: bool = False


def chain_readers(page_token: PageToken, *readers: Reader) -> Iterator[Page]:
    """Read one after the other; a position is the number of the reader and its own position."""
    nth, inner = page_token or (0, None)
    for number, read in enumerate(readers[nth:], nth):
        for rows, position in read(inner):
            yield rows, [number, position] if position is not None else [number + 1, None]
        inner = None


def paginate(
    client: Client, path: str, page_token: PageToken = None, **params: Any
) -> Iterator[Page]:
    """Read a list to its end: the last page is the one that names no next.

    Where a cursor expired, the list is read once more from its start.

    Raises: RepeatedPageError where the pages form a loop.
    """
    may_begin_anew, loop_guard = True, PaginationLoopGuard(f"HubSpot: GET {path}")
    while True:
        get = partial(client.get, path, expected_key="results", after=page_token, **params)
        try:
            answer = loop_guard.fetch(client.api_caller, get, next_page_cursors)
        except RejectedError:
            if page_token is None or not may_begin_anew:
                raise
            page_token, may_begin_anew, loop_guard = (
                None,
                False,
                PaginationLoopGuard(f"HubSpot: GET {path}"),
            )
            continue
        page_token = next_page_cursor(answer)
        yield answer["results"], page_token
        if page_token is None:
            return


def list_all(
    client: Client,
    request: ReadRequest,
    page_token: PageToken,
    *,
    object: str | None = None,
    **params: Any,
) -> Iterator[Page]:
    """Read all live records by ascending id, from several places at once."""
    object = object or request.object
    asked = _query_params(request, params)

    def fetch(after: str | None) -> dict[str, Any]:
        path = client.path("records", object=object)
        return drop_malformed(
            client, object, client.get(path, expected_key="results", after=after, **asked)
        )

    return read_partitions(
        fetch, page_token, partial(_greatest_id, client, object, request.row_counter)
    )


def drop_malformed(client: Client, object: str, page: dict[str, Any]) -> dict[str, Any]:
    """Leave out, and count, what is no record: without properties, or an id that is a number."""
    records = page["results"]
    page["results"] = [one for one in records if _is_record(one)]
    for one in page["results"]:
        one["id"] = str(one["id"])
    if bare := len(records) - len(page["results"]):
        client.type_mismatches[object, "id"] += bare
    return page


def _is_record(one: Row) -> bool:
    return str(one.get("id")).isdecimal() and isinstance(one.get("properties"), dict)


def list_archived(
    client: Client, request: ReadRequest, page_token: PageToken, **params: Any
) -> Iterator[Page]:
    """List the archive, which cannot be asked for what is new in it, and keep what is."""
    since = request.since
    asked = _query_params(request, params) | {"archived": "true"}
    path = client.path("records", object=request.object)
    for page, after in paginate(client, path, page_token, **asked):
        records = drop_malformed(client, request.object, {"results": page})["results"]
        yield [one for one in records if is_on_or_after(_archived_at(one), since)], after


def _query_params(question: ReadRequest, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"limit": LIST_LIMIT, "properties": ",".join(question.properties), **params}


def _greatest_id(client: Client, object: str, tally: RowCounter) -> int:
    """Ask for the greatest id; the response has the number of records as well."""
    body = {
        "filterGroups": [],
        "sorts": [{"propertyName": "hs_object_id", "direction": "DESCENDING"}],
        "properties": [],
        "limit": 1,
    }
    answer = client.post(client.path("search", object=object), body, kind="search")
    tally.total = answer.get("total")
    found = answer["results"]
    return int(found[0]["id"]) if found else 0


def list_or_search(client: Client, request: ReadRequest, page_token: PageToken) -> Iterator[Page]:
    """Search what was modified since; list everything where that is quicker.

    A position in the list is a list, one in a search is a text.
    """
    if isinstance(page_token, list):
        yield from list_all(client, request, page_token)
        return
    filters = [modified_since(request.object, request.since)]
    answers = search_by_id(client, request.object, filters, request.properties, page_token)
    for answer, last in answers:
        many = page_token is None and answer["total"] > MIN_MODIFIED_FOR_COUNT
        request.row_counter.total = request.row_counter.total or answer["total"]
        page_token = last
        if many and is_list_faster(answer["total"], count_records(client, request.object)):
            yield from list_all(client, request, None)
            return
        yield answer["results"], last


def is_list_faster(modified: int, records: int) -> bool:
    """Compare 200 records a search and five searches a second with 100 a page and 19 pages."""
    return modified * 1.9 > records


def modified_since(object: str, since: datetime | None) -> Row:
    """Filter by what only a modification moves."""
    name = "lastmodifieddate" if object == "contacts" else "hs_lastmodifieddate"
    value = str(milliseconds(since)) if since else "0"
    return {"propertyName": name, "operator": "GTE", "value": value}


def search_by_id(
    client: Client,
    object: str,
    filters: Sequence[Row],
    properties: Sequence[str],
    last: PageToken,
) -> Iterator[tuple[Row, PageToken]]:
    """Search by ascending id, above `last`, and give the answers.

    Every page asks for ids above the last one instead of following `after`: so there is no wall
    at 10,000, and a record that leaves the result meanwhile moves no other out of sight.
    """
    last, after = last or "0", None
    path = client.path("search", object=object)
    loop_guard = PaginationLoopGuard(f"HubSpot: POST {path}")
    while True:
        above = {"propertyName": "hs_object_id", "operator": "GT", "value": str(last)}
        body = {
            "filterGroups": [{"filters": [*filters, above]}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": list(properties),
            "limit": SEARCH_LIMIT,
        } | ({"after": after} if after else {})
        search = partial(client.post, path, body, kind="search")
        answer = loop_guard.fetch(client.api_caller, search, partial(_positions_behind, last))
        found = drop_malformed(client, object, answer)["results"]
        following = next_page_cursor(answer)
        if following is None:
            yield answer, None
            return
        # A page may be empty though there are more: then only its own cursor leads on.
        last, after = (found[-1]["id"], None) if found else (last, following)
        yield answer, last


def _positions_behind(last: str, answer: Row) -> Iterator[str]:
    """Name the place behind a page of a search; none where it is the last page."""
    if following := next_page_cursor(answer):
        ids = [one["id"] for one in answer["results"] if _is_record(one)]
        yield f"{ids[-1]}" if ids else f"{last} {following}"


def count_records(client: Client, object: str, *filters: Row) -> int:
    """Count live records."""
    groups = [{"filters": list(filters)}] if filters else []
    body = {"filterGroups": groups, "properties": [], "limit": 1}
    answer = client.post(client.path("search", object=object), body, kind="search")
    return int(answer["total"])


def rebatch(pages: Iterator[Page], min_rows: int) -> Iterator[Page]:
    """Join pages until they have this number of rows."""
    rows: list[Row] = []
    at: PageToken = None
    for page, at in pages:
        rows.extend(page)
        if len(rows) >= min_rows:
            yield rows, at
            rows = []
    if rows or at is None:
        yield rows, at


def to_row(record: Row, **more: Any) -> Row:
    """Put what every record has beside its properties: into the same dict, for there are many."""
    properties: dict[str, Any] = record["properties"]
    for name in _SYSTEM_NAMES:
        properties[name] = record.get(name)
    properties.update(more)
    return properties


def milliseconds(at: datetime) -> int:
    """Count from the epoch, as HubSpot's filters do."""
    return int(at.timestamp() * 1000)


def is_on_or_after(at: object, since: datetime | None) -> bool:
    """Compare an instant, in milliseconds or as ISO 8601; a malformed time counts as new."""
    if since is None:
        return True
    with suppress(ValueError):
        text = str(at)
        modified_at = int(text) if text.isdecimal() else milliseconds(datetime.fromisoformat(text))
        return modified_at >= milliseconds(since)
    return True


def _archived_at(record: Row) -> object:
    return record.get("archivedAt") or record.get("updatedAt")


_SYSTEM_NAMES = tuple(field.name for field in SYSTEM_FIELDS)
