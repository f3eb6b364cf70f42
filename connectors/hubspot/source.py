"""What HubSpot holds, as dlt resources that yield Arrow: all of it once, then what changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import pyarrow as pa
from dlt.extract import DltResource
from more_itertools import chunked

from connectors.hubspot.catalog import ASSOCIATED, FIXED, HISTORY, PEOPLE, RECORD
from connectors.hubspot.client import Client
from connectors.increments import chosen, resource
from connectors.landing import Row, tables
from contract import Catalog, Field, Wanted
from errors import AccessError, RefusedError

LIST_LIMIT = 100
HISTORY_LIMIT = 50
SEARCH_LIMIT = 200
EVENT_LIMIT = 1000
SUBMISSION_LIMIT = 50
ASSOCIATION_LIMIT = 1000
ASSOCIATION_LIMIT_OF_OLD = 100
"""HubSpot documents both; the greater one is tried first."""

Progress = Callable[[str, int, int | None], None]
Page = list[Row]


@dataclass(frozen=True)
class Question:
    """What one pull asks for; `since` None asks for everything."""

    object: str
    properties: tuple[str, ...]
    since: datetime | None
    until: datetime
    progress: Progress


@dataclass(frozen=True)
class Stream:
    """How one kind of object is read: by which pages, to which columns.

    `latest` is the column that tells the newest of two rows with one `key`. An optional stream
    belongs to a product the account may not have.
    """

    pages: Callable[[Client, Question], Iterator[Page]]
    columns: tuple[Field, ...]
    latest: str = "updatedAt"
    key: tuple[str, ...] = ("id",)
    is_optional: bool = False


def source(
    client: Client,
    wanted: Wanted,
    catalog: Catalog,
    *,
    full: bool = False,
    progress: Progress = lambda *_: None,
) -> list[DltResource]:
    """Make one resource an object wanted: named as the object, its columns as HubSpot's properties.

    Raises: ConfigError where a wanted object or field is not in the catalog.
    """
    return [
        _resource(client, object, chosen(object, names, catalog), full=full, progress=progress)
        for object, names in wanted.items()
    ]


def _resource(
    client: Client, object: str, fields: list[Field], *, full: bool, progress: Progress
) -> DltResource:
    stream = STREAMS.get(object, ENGAGEMENT)
    system = {field.name for field in stream.columns}
    own = [field for field in fields if field.name not in system]
    is_fixed = object in FIXED or object == "contacts_history"
    columns = stream.columns if is_fixed else (*stream.columns, *own)
    names = tuple(field.name for field in own)

    def drifted(field: str, count: int) -> None:
        client.drift[object, field] += count

    def read(since: datetime | None) -> Iterator[pa.Table]:
        question = Question(object, names, since, client.now(), progress)
        pages = _counted(stream.pages(client, question), question)
        return tables(pages, columns, key=stream.key, drifted=drifted)

    def denied(error: AccessError) -> pa.Table:
        client.findings.append(f"{object} is left out. {error}")
        return next(tables((), columns, key=stream.key, drifted=drifted))

    return resource(
        object,
        read,
        wanted=names,
        now=client.now,
        key=stream.key,
        latest=stream.latest,
        full=full,
        denied=denied if stream.is_optional else None,
    )


def _counted(pages: Iterator[Page], question: Question) -> Iterator[Page]:
    rows = 0
    for page in pages:
        rows += len(page)
        question.progress(question.object, rows, None)
        yield page


def _people(client: Client, question: Question) -> Iterator[Page]:
    """Read contacts or companies; of contacts also what was archived, which no search finds."""
    if question.since is None:
        yield from ([_row(record) for record in page] for page in _listed(client, question))
    else:
        yield from ([_row(record) for record in page] for page in _searched(client, question))
    if question.object == "contacts":
        yield from _archived(client, question)


def _archived(client: Client, question: Question) -> Iterator[Page]:
    """List the archive, which cannot be asked for what is new in it, and keep what is."""
    since = question.since
    for page in _listed(client, question, archived="true"):
        yield [_row(record) for record in page if since is None or _archived_at(record) >= since]


def _archived_at(record: Row) -> datetime:
    return datetime.fromisoformat(record.get("archivedAt") or record["updatedAt"])


def _engagement(client: Client, question: Question) -> Iterator[Page]:
    """Read records with the contacts they belong to."""
    if question.since is None:
        for page in _listed(client, question, associations="contacts"):
            yield _with_inline_contacts(client, question.object, page)
        return
    changed = chain.from_iterable(_searched(client, question))
    for records in chunked(changed, ASSOCIATION_LIMIT):
        contacts = _associated(client, question.object, [record["id"] for record in records])
        yield [_row(one, associated_contacts=contacts.get(one["id"])) for one in records]


def _with_inline_contacts(client: Client, object: str, page: Page) -> Page:
    inline = {one["id"]: (one.get("associations") or {}).get("contacts") or {} for one in page}
    contacts = {
        id: _joined(link["id"] for link in links.get("results", ())) for id, links in inline.items()
    }
    # Those with more contacts than a list shows: asked for one by one below.
    more = [id for id, links in inline.items() if _next(links)]
    contacts |= _associated(client, object, more)
    return [_row(one, associated_contacts=contacts[one["id"]]) for one in page]


def _associated(client: Client, object: str, ids: list[str]) -> dict[str, str | None]:
    """Give each record's contact ids, joined; that a record has none HubSpot calls an error."""
    found: dict[str, list[str]] = {}
    asked: list[dict[str, str]] = [{"id": id} for id in ids]
    limit = ASSOCIATION_LIMIT
    while asked:
        inputs, rest = asked[:limit], asked[limit:]
        try:
            answer = client.post(
                f"/crm/v4/associations/{object}/contacts/batch/read", {"inputs": inputs}
            )
        except RefusedError:
            if limit == ASSOCIATION_LIMIT_OF_OLD or len(inputs) <= ASSOCIATION_LIMIT_OF_OLD:
                raise
            limit = ASSOCIATION_LIMIT_OF_OLD
            continue
        asked = rest
        for result in answer["results"]:
            id = str(result["from"]["id"])
            found.setdefault(id, []).extend(str(to["toObjectId"]) for to in result["to"])
            if after := _next(result):
                asked.append({"id": id, "after": after})
    return {id: _joined(contacts) for id, contacts in found.items()}


def _history(client: Client, question: Question) -> Iterator[Page]:
    """Read what contacts' properties were, and since when."""
    names = list(question.properties)
    if question.since is None:
        pages = _listed(
            client,
            question,
            object="contacts",
            limit=HISTORY_LIMIT,
            properties=None,
            propertiesWithHistory=",".join(names),
        )
        yield from (_past(page) for page in pages)
        return
    changed = chain.from_iterable(_searched(client, question, object="contacts", properties=[]))
    for records in chunked(changed, HISTORY_LIMIT):
        body = {
            "properties": [],
            "propertiesWithHistory": names,
            "inputs": [{"id": record["id"]} for record in records],
        }
        yield _past(client.post("/crm/v3/objects/contacts/batch/read", body)["results"])


def _past(records: Page) -> Page:
    return [
        {"id": record["id"], "property": name, **entry}
        for record in records
        for name, entries in (record.get("propertiesWithHistory") or {}).items()
        for entry in entries or ()
    ]


def _form_submissions(client: Client, question: Question) -> Iterator[Page]:
    for form in chain.from_iterable(paged(client, "/marketing/v3/forms/", limit=100)):
        path = f"/form-integrations/v1/submissions/forms/{form['id']}"
        for page in paged(client, path, limit=SUBMISSION_LIMIT):
            rows = [_submission(form, submission) for submission in page]
            new = [row for row in rows if _is_since(row["submittedAt"], question.since)]
            yield new
            if len(new) < len(rows):
                break  # newest first, and there is no filter by date


def _submission(form: Row, submission: Row) -> Row:
    values = {value["name"]: value["value"] for value in submission.get("values") or ()}
    return {
        "id": submission["conversionId"],
        "submittedAt": submission["submittedAt"],
        "formId": form["id"],
        "formName": form.get("name"),
        "email": values.get("email"),
        "pageUrl": submission.get("pageUrl"),
    }


def _email_events(client: Client, question: Question) -> Iterator[Page]:
    """Read one closed window, because the newest come first and new ones would move the pages."""
    window = {"endTimestamp": _milliseconds(question.until), "limit": EVENT_LIMIT}
    if question.since:
        window["startTimestamp"] = _milliseconds(question.since)
    offset = None
    while True:
        answer = client.get("/email/public/v1/events", offset=offset, **window)
        yield [{**event, "id": f"{event['id']}:{event['created']}"} for event in answer["events"]]
        offset = answer.get("offset")
        if not answer.get("hasMore"):
            return


def _page_views(client: Client, question: Question) -> Iterator[Page]:
    pages = paged(
        client,
        "/events/v3/events/",
        objectType="contact",
        eventType="e_visited_page",
        occurredAfter=question.since and question.since.isoformat(),
        occurredBefore=question.until.isoformat(),
        limit=EVENT_LIMIT,
    )
    for page in pages:
        yield [{**view, "url": (view.get("properties") or {}).get("hs_url")} for view in page]


def _listed(
    client: Client, question: Question, *, object: str | None = None, **params: Any
) -> Iterator[Page]:
    asked = {"limit": LIST_LIMIT, "properties": ",".join(question.properties), **params}
    return paged(client, f"/crm/v3/objects/{object or question.object}", **asked)


def paged(client: Client, path: str, **params: Any) -> Iterator[Page]:
    """Read a list to its end: the last page is the one that names no next."""
    after = None
    while True:
        answer = client.get(path, after=after, **params)
        yield answer["results"]
        after = _next(answer)
        if after is None:
            return


def _searched(
    client: Client,
    question: Question,
    *,
    object: str | None = None,
    properties: list[str] | None = None,
) -> Iterator[Page]:
    """Find what was modified since, by ascending id.

    Every page asks for ids above the last one instead of following `after`: so there is no wall
    at 10,000, and a record that leaves the result meanwhile moves no other out of sight.
    """
    object = object or question.object
    modified = "lastmodifieddate" if object == "contacts" else "hs_lastmodifieddate"
    since = str(_milliseconds(question.since)) if question.since else "0"
    last = "0"
    while True:
        filters = [
            {"propertyName": modified, "operator": "GTE", "value": since},
            {"propertyName": "hs_object_id", "operator": "GT", "value": last},
        ]
        body = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": list(question.properties) if properties is None else properties,
            "limit": SEARCH_LIMIT,
        }
        answer = client.post(f"/crm/v3/objects/{object}/search", body, kind="search")
        yield answer["results"]
        if not answer["results"] or _next(answer) is None:
            return
        last = answer["results"][-1]["id"]


def _row(record: Row, **more: Any) -> Row:
    return {**record["properties"], **{name: record.get(name) for name in _SYSTEM}, **more}


_SYSTEM = tuple(field.name for field in RECORD)


def _next(answer: Row) -> str | None:
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)


def _joined(ids: Iterable[str]) -> str | None:
    return ";".join(sorted(set(ids))) or None


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _is_since(milliseconds: int, since: datetime | None) -> bool:
    return since is None or milliseconds >= _milliseconds(since)


PEOPLE_STREAM = Stream(_people, RECORD)
ENGAGEMENT = Stream(_engagement, (*RECORD, ASSOCIATED))
STREAMS: Mapping[str, Stream] = {
    **dict.fromkeys(PEOPLE, PEOPLE_STREAM),
    "contacts_history": Stream(_history, HISTORY, "timestamp", ("id", "property", "timestamp")),
    "form_submissions": Stream(_form_submissions, FIXED["form_submissions"], "submittedAt"),
    "email_events": Stream(
        _email_events, FIXED["email_events"], latest="created", is_optional=True
    ),
    "page_views": Stream(_page_views, FIXED["page_views"], latest="occurredAt", is_optional=True),
}
"""What is read in a way of its own; every other object is engagement."""
