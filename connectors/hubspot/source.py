"""What HubSpot holds, as dlt resources that yield Arrow: all of it once, then what changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from dlt.extract import DltResource
from more_itertools import chunked

from connectors.extract.arrow import ROWS, Page, Position, Row, tables
from connectors.extract.incremental import (
    PART_ROWS,
    Parts,
    Pull,
    State,
    chosen,
    next_since,
    repair,
    resource,
)
from connectors.extract.schema_drift import Watch
from connectors.hubspot import activity_logs, reference_data
from connectors.hubspot.associations import ASSOCIATION_LIMIT, with_contacts, with_inline_contacts
from connectors.hubspot.catalog import (
    ASSOCIATED,
    FIXED,
    HISTORY,
    LABELS,
    PEOPLE,
    RECORD,
    properties,
)
from connectors.hubspot.client import Client
from connectors.hubspot.estimate import roads
from connectors.hubspot.pagination import (
    HISTORY_LIMIT,
    Progress,
    Question,
    Tally,
    archived,
    by_id,
    changed,
    gathered,
    in_turn,
    listed,
    modified_since,
    row,
    sound,
)
from connectors.hubspot.verify import records_of
from errors import AccessError
from models import Catalog, Field, Road, Wanted


@dataclass(frozen=True)
class Stream:
    """How one kind of object is read: by which pages, to which columns.

    `latest` is the column that tells the newest of two rows with one `key`. An optional stream
    belongs to a product the account may not have; a whole one has no cursor, and is read entirely
    by every pull.
    """

    pages: Callable[[Client, Question, Position], Iterator[Page]]
    columns: tuple[Field, ...]
    latest: str = "updatedAt"
    key: tuple[str, ...] = ("id",)
    is_optional: bool = False
    is_whole: bool = False


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
    return [make(_shape(client, object, wanted, catalog)) for object in wanted]


def again(
    client: Client, ids: Mapping[str, Sequence[str]], wanted: Wanted, catalog: Catalog
) -> list[DltResource]:
    """Make resources that read some records once more, contacts with their history."""
    resources = [
        _repair(client, _shape(client, object, wanted, catalog), partial(_records, client), some)
        for object, some in ids.items()
    ]
    if "contacts" in ids and "contacts_history" in wanted:
        shape = _shape(client, "contacts_history", wanted, catalog)
        resources.append(_repair(client, shape, partial(_histories, client), ids["contacts"]))
    return resources


def planned(
    client: Client,
    wanted: Wanted,
    catalog: Catalog,
    states: Mapping[str, State],
    *,
    full: bool = False,
) -> list[Road]:
    """Say how the next pull reads each object; only counts are asked for."""
    shapes = [_shape(client, object, wanted, catalog) for object in wanted]
    since = {one.object: next_since(states[one.object], one.asked, full=full) for one in shapes}
    return roads(client, since, {one.object for one in shapes if one.has_labels})


@dataclass(frozen=True)
class Shape:
    """One object as it is landed: `names` are the properties to ask for."""

    object: str
    stream: Stream
    names: tuple[str, ...]
    columns: tuple[Field, ...]
    watch: Watch

    @property
    def has_labels(self) -> bool:
        """Say whether the labels of links are wanted as well."""
        return LABELS in self.columns

    @property
    def asked(self) -> tuple[str, ...]:
        """What makes the object be read whole when it is newly asked for."""
        return (*self.names, LABELS.name) if self.has_labels else self.names

    def tables(self, pages: Iterator[Page], *, at_least: int = ROWS) -> Parts:
        """Collect pages into tables."""
        key, drifted = self.stream.key, self.watch.misfits
        pages = self.watch.complete(pages)
        return tables(pages, self.columns, key=key, drifted=drifted, at_least=at_least)


def _shape(client: Client, object: str, wanted: Wanted, catalog: Catalog) -> Shape:
    stream = STREAMS.get(object, ENGAGEMENT)
    system = {field.name for field in stream.columns}
    fields = chosen(object, wanted[object], catalog)
    more = tuple(field for field in fields if field == LABELS)
    own = tuple(field for field in fields if field.name not in system and field not in more)
    is_fixed = object in FIXED or object == "contacts_history"

    def count(field: str, misfits: int) -> None:
        client.drift[object, field] += misfits

    def look() -> Mapping[str, Field]:
        return {field.name: field for field in properties(client, object) or ()}

    return Shape(
        object,
        stream,
        tuple(field.name for field in own),
        stream.columns if is_fixed else (*stream.columns, *more, *own),
        Watch(object, () if is_fixed else own, look, count),
    )


def _resource(
    client: Client, shape: Shape, *, full: bool, progress: Progress, part_rows: int
) -> DltResource:
    object, stream = shape.object, shape.stream

    def read(pull: Pull) -> Parts:
        tally = Tally(object, progress)
        question = Question(object, shape.names, pull.since, pull.started, tally, shape.has_labels)
        pages = _counted(stream.pages(client, question, pull.at), tally)
        return shape.tables(pages, at_least=min(ROWS, part_rows))

    def denied(error: AccessError) -> pa.Table:
        client.findings.append(f"{object} is left out. {error}")
        return next(shape.tables(iter(())))[0]

    return resource(
        object,
        read,
        wanted=shape.asked,
        now=client.now,
        key=stream.key,
        latest=stream.latest,
        halted=partial(client.halted.__setitem__, object),
        full=full or stream.is_whole,
        part_rows=part_rows,
        denied=denied if stream.is_optional else None,
    )


def _repair(
    client: Client,
    shape: Shape,
    read: Callable[[Shape, Sequence[str]], Iterator[Page]],
    ids: Sequence[str],
) -> DltResource:
    def rows() -> Iterator[pa.Table]:
        return (table for table, _ in shape.tables(read(shape, ids)))

    return repair(
        shape.object,
        rows,
        key=shape.stream.key,
        latest=shape.stream.latest,
        halted=partial(client.halted.__setitem__, shape.object),
    )


def _records(client: Client, shape: Shape, ids: Sequence[str]) -> Iterator[Page]:
    records = records_of(client, shape.object, ids, shape.names)
    if shape.object in PEOPLE:
        return iter([([row(record) for record in records], None)])
    pages = ((some, None) for some in chunked(records, ASSOCIATION_LIMIT))
    return with_contacts(client, shape.object, pages)


def _histories(client: Client, shape: Shape, ids: Sequence[str]) -> Iterator[Page]:
    for some in chunked(ids, HISTORY_LIMIT):
        yield _past(_with_history(client, shape.names, some)), None


def _counted(pages: Iterator[Page], tally: Tally) -> Iterator[Page]:
    for page, at in pages:
        tally.count(len(page))
        yield page, at


def _people(client: Client, question: Question, at: Position) -> Iterator[Page]:
    """Read contacts or companies, and what of them was archived, which no search finds."""
    present = listed if question.since is None else changed
    pages = in_turn(at, partial(present, client, question), partial(archived, client, question))
    return (([row(record) for record in page], after) for page, after in pages)


def _engagement(client: Client, question: Question, at: Position) -> Iterator[Page]:
    """Read records with the contacts they belong to."""
    inline = partial(with_inline_contacts, client, question.object)
    links = {"associations": "contacts"}

    def present(at: Position) -> Iterator[Page]:
        if question.since is None and not question.has_labels:
            return inline(listed(client, question, at, **links))
        records = listed if question.since is None else changed
        pages = gathered(records(client, question, at), ASSOCIATION_LIMIT)
        return with_contacts(client, question.object, pages)

    def past(at: Position) -> Iterator[Page]:
        return inline(archived(client, question, at, **links))

    return in_turn(at, present, past)


def _history(client: Client, question: Question, at: Position) -> Iterator[Page]:
    """Read what contacts' properties were, and since when."""
    names = question.properties
    if question.since is None:
        asked = {"properties": None, "propertiesWithHistory": ",".join(names)}
        pages = listed(client, question, at, object="contacts", limit=HISTORY_LIMIT, **asked)
        yield from ((_past(page), after) for page, after in pages)
        return
    filters = [modified_since("contacts", question.since)]
    for answer, after in by_id(client, "contacts", filters, (), at):
        page = answer["results"]
        for start in range(0, len(page), HISTORY_LIMIT):
            some = page[start : start + HISTORY_LIMIT]
            is_last = start + HISTORY_LIMIT >= len(page)
            records = _with_history(client, names, [record["id"] for record in some])
            yield _past(records), after if is_last else some[-1]["id"]


def _with_history(client: Client, names: Sequence[str], ids: Sequence[str]) -> list[Row]:
    body = {
        "properties": [],
        "propertiesWithHistory": list(names),
        "inputs": [{"id": id} for id in ids],
    }
    answer = client.post("/crm/v3/objects/contacts/batch/read", body)
    records: list[Row] = sound(client, "contacts_history", answer)["results"]
    return records


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
    "form_submissions": Stream(
        activity_logs.form_submissions, FIXED["form_submissions"], "submittedAt"
    ),
    "email_events": Stream(
        activity_logs.email_events, FIXED["email_events"], latest="created", is_optional=True
    ),
    "owners": Stream(reference_data.owners, FIXED["owners"], is_whole=True),
    "list_memberships": Stream(
        reference_data.memberships, FIXED["list_memberships"], "membershipTimestamp", is_whole=True
    ),
    "pipeline_stages": Stream(
        reference_data.pipeline_stages, FIXED["pipeline_stages"], is_whole=True
    ),
    "page_views": Stream(
        activity_logs.page_views, FIXED["page_views"], latest="occurredAt", is_optional=True
    ),
}
"""What is read in a way of its own; every other object is engagement."""
