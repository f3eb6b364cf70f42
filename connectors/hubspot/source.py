"""What HubSpot holds, as dlt resources that yield Arrow: all of it once, then what changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from dlt.extract import DltResource

from connectors.hubspot import logs
from connectors.hubspot.catalog import ASSOCIATED, FIXED, HISTORY, PEOPLE, RECORD
from connectors.hubspot.client import Client
from connectors.hubspot.links import ASSOCIATION_LIMIT, with_contacts, with_inline_contacts
from connectors.hubspot.reading import (
    Progress,
    Question,
    archived,
    gathered,
    in_turn,
    listed,
    row,
    searched,
)
from connectors.increments import PART_ROWS, Parts, Pull, chosen, resource
from connectors.landing import ROWS, Page, Position, Row, tables
from contract import Catalog, Field, Wanted
from errors import AccessError

HISTORY_LIMIT = 50


@dataclass(frozen=True)
class Stream:
    """How one kind of object is read: by which pages, to which columns.

    `latest` is the column that tells the newest of two rows with one `key`. An optional stream
    belongs to a product the account may not have.
    """

    pages: Callable[[Client, Question, Position], Iterator[Page]]
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
    part_rows: int = PART_ROWS,
) -> list[DltResource]:
    """Make one resource an object wanted: named as the object, its columns as HubSpot's properties.

    Raises: ConfigError where a wanted object or field is not in the catalog.
    """
    make = partial(_resource, client, full=full, progress=progress, part_rows=part_rows)
    return [make(object, chosen(object, names, catalog)) for object, names in wanted.items()]


def _resource(
    client: Client,
    object: str,
    fields: list[Field],
    *,
    full: bool,
    progress: Progress,
    part_rows: int,
) -> DltResource:
    stream = STREAMS.get(object, ENGAGEMENT)
    system = {field.name for field in stream.columns}
    own = [field for field in fields if field.name not in system]
    is_fixed = object in FIXED or object == "contacts_history"
    columns = stream.columns if is_fixed else (*stream.columns, *own)
    names = tuple(field.name for field in own)
    as_tables = partial(tables, fields=columns, key=stream.key, at_least=min(ROWS, part_rows))

    def drifted(field: str, count: int) -> None:
        client.drift[object, field] += count

    def read(pull: Pull) -> Parts:
        question = Question(object, names, pull.since, pull.started, progress)
        pages = _counted(stream.pages(client, question, pull.at), question)
        return as_tables(pages, drifted=drifted)

    def denied(error: AccessError) -> pa.Table:
        client.findings.append(f"{object} is left out. {error}")
        return next(as_tables((), drifted=drifted))[0]

    return resource(
        object,
        read,
        wanted=names,
        now=client.now,
        key=stream.key,
        latest=stream.latest,
        full=full,
        part_rows=part_rows,
        denied=denied if stream.is_optional else None,
    )


def _counted(pages: Iterator[Page], question: Question) -> Iterator[Page]:
    rows = 0
    for page, at in pages:
        rows += len(page)
        question.progress(question.object, rows, None)
        yield page, at


def _people(client: Client, question: Question, at: Position) -> Iterator[Page]:
    """Read contacts or companies, and what of them was archived, which no search finds."""
    present = listed if question.since is None else searched
    pages = in_turn(at, partial(present, client, question), partial(archived, client, question))
    return (([row(record) for record in page], after) for page, after in pages)


def _engagement(client: Client, question: Question, at: Position) -> Iterator[Page]:
    """Read records with the contacts they belong to."""

    def present(at: Position) -> Iterator[Page]:
        if question.since is None:
            pages = listed(client, question, at, associations="contacts")
            return with_inline_contacts(client, question.object, pages)
        pages = gathered(searched(client, question, at), ASSOCIATION_LIMIT)
        return with_contacts(client, question.object, pages)

    def past(at: Position) -> Iterator[Page]:
        pages = archived(client, question, at, associations="contacts")
        return with_inline_contacts(client, question.object, pages)

    return in_turn(at, present, past)


def _history(client: Client, question: Question, at: Position) -> Iterator[Page]:
    """Read what contacts' properties were, and since when."""
    names = list(question.properties)
    if question.since is None:
        asked = {"properties": None, "propertiesWithHistory": ",".join(names)}
        pages = listed(client, question, at, object="contacts", limit=HISTORY_LIMIT, **asked)
        yield from ((_past(page), after) for page, after in pages)
        return
    changed = searched(client, question, at, object="contacts", properties=())
    for page, after in changed:
        for start in range(0, len(page), HISTORY_LIMIT):
            some = page[start : start + HISTORY_LIMIT]
            body = {
                "properties": [],
                "propertiesWithHistory": names,
                "inputs": [{"id": record["id"]} for record in some],
            }
            is_last = start + HISTORY_LIMIT >= len(page)
            answer = client.post("/crm/v3/objects/contacts/batch/read", body)
            yield _past(answer["results"]), after if is_last else some[-1]["id"]


def _past(records: Sequence[Row]) -> list[Row]:
    return [
        {"id": record["id"], "property": name, **entry}
        for record in records
        for name, entries in (record.get("propertiesWithHistory") or {}).items()
        for entry in entries or ()
    ]


PEOPLE_STREAM = Stream(_people, RECORD)
ENGAGEMENT = Stream(_engagement, (*RECORD, ASSOCIATED))
STREAMS: Mapping[str, Stream] = {
    **dict.fromkeys(PEOPLE, PEOPLE_STREAM),
    "contacts_history": Stream(_history, HISTORY, "timestamp", ("id", "property", "timestamp")),
    "form_submissions": Stream(logs.form_submissions, FIXED["form_submissions"], "submittedAt"),
    "email_events": Stream(
        logs.email_events, FIXED["email_events"], latest="created", is_optional=True
    ),
    "page_views": Stream(
        logs.page_views, FIXED["page_views"], latest="occurredAt", is_optional=True
    ),
}
"""What is read in a way of its own; every other object is engagement."""
