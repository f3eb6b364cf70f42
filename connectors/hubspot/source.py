"""What HubSpot holds, as dlt resources that yield Arrow: all of it once, then what changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from dlt.extract import DltResource
from more_itertools import chunked

from connectors.extract.arrow import MIN_ROWS, Page, PageToken, Row, to_tables
from connectors.extract.incremental import (
    CHECKPOINT_ROWS,
    Batches,
    ReadWindow,
    State,
    incremental_resource,
    next_cursor,
    reread_resource,
    select_fields,
)
from connectors.extract.schema_drift import DriftDetector
from connectors.hubspot import activity_logs, reference_data
from connectors.hubspot.associations import (
    ASSOCIATION_LIMIT,
    with_associations,
    with_inline_associations,
)
from connectors.hubspot.catalog import (
    ASSOCIATED_CONTACTS,
    ASSOCIATION_LABELS,
    FIXED_FIELDS,
    HISTORY_FIELDS,
    NOT_ASSOCIATED,
    SYSTEM_FIELDS,
    properties,
)
from connectors.hubspot.client import Client
from connectors.hubspot.estimate import extract_estimates
from connectors.hubspot.pagination import (
    HISTORY_LIMIT,
    Progress,
    ReadRequest,
    RowCounter,
    chain_readers,
    drop_malformed,
    list_all,
    list_archived,
    list_or_search,
    modified_since,
    rebatch,
    search_by_id,
    to_row,
)
from connectors.hubspot.verify import read_by_id
from errors import AccessError
from models import Catalog, ExtractEstimate, Field, FieldSelection


@dataclass(frozen=True)
class Stream:
    """How one kind of object is read: by which pages, to which columns.

    `latest` is the column that orders two rows with one `key`. An optional stream
    belongs to a product the account may not have; a whole one has no cursor, and is read entirely
    by every pull. `also_reads` names what earlier releases left out: where the last pull was by
    such a release, everything is read once more.
    """

    pages: Callable[[Client, ReadRequest, PageToken], Iterator[Page]]
    columns: tuple[Field, ...]
    dedup_sort_column: str = "updatedAt"
    key: tuple[str, ...] = ("id",)
    is_optional: bool = False
    is_full_refresh: bool = False
    also_reads: tuple[str, ...] = ()


def source(
    client: Client,
    selection: FieldSelection,
    catalog: Catalog,
    *,
    full: bool = False,
    progress: Progress = lambda *_: None,
    checkpoint_rows: int = CHECKPOINT_ROWS,
) -> list[DltResource]:
    """Make one resource an object wanted: named as the object, its columns as HubSpot's properties.

    Raises: ConfigError where a wanted object or field is not in the catalog.
    """
    make = partial(_resource, client, full=full, progress=progress, part_rows=checkpoint_rows)
    return [make(_object_schema(client, object, selection, catalog)) for object in selection]


def reread(
    client: Client, ids: Mapping[str, Sequence[str]], selection: FieldSelection, catalog: Catalog
) -> list[DltResource]:
    """Make resources that read some records once more, contacts with their history."""
    resources = [
        _reread_resource(
            client,
            _object_schema(client, object, selection, catalog),
            partial(_reread_records, client),
            some,
        )
        for object, some in ids.items()
    ]
    if "contacts" in ids and "contacts_history" in selection:
        shape = _object_schema(client, "contacts_history", selection, catalog)
        resources.append(
            _reread_resource(client, shape, partial(_reread_histories, client), ids["contacts"])
        )
    return resources


def estimate(
    client: Client,
    selection: FieldSelection,
    catalog: Catalog,
    states: Mapping[str, State],
    *,
    full: bool = False,
) -> list[ExtractEstimate]:
    """Say how the next pull reads each object; only counts are asked for."""
    shapes = [_object_schema(client, object, selection, catalog) for object in selection]
    since = {
        one.object: next_cursor(states[one.object], one.selected_fields, full=full)
        for one in shapes
    }
    return extract_estimates(client, since, {one.object for one in shapes if one.has_labels})


@dataclass(frozen=True)
class ObjectSchema:
    """One object as it is landed: `names` are the properties to ask for."""

    object: str
    stream: Stream
    names: tuple[str, ...]
    columns: tuple[Field, ...]
    drift_detector: DriftDetector

    @property
    def has_labels(self) -> bool:
        """Say whether the labels of links are wanted as well."""
        return ASSOCIATION_LABELS in self.columns

    @property
    def selected_fields(self) -> tuple[str, ...]:
        """What makes the object be read whole when it is newly asked for."""
        labels = (ASSOCIATION_LABELS.name,) if self.has_labels else ()
        return (*self.names, *labels, *self.stream.also_reads)

    def to_tables(self, pages: Iterator[Page], *, min_rows: int = MIN_ROWS) -> Batches:
        """Collect pages into tables."""
        key, drifted = self.stream.key, self.drift_detector.report_mismatch
        pages = self.drift_detector.check_pages(pages)
        return to_tables(pages, self.columns, key=key, on_mismatch=drifted, min_rows=min_rows)


def _object_schema(
    client: Client, object: str, wanted: FieldSelection, catalog: Catalog
) -> ObjectSchema:
    stream = STREAMS.get(object, ASSOCIATED_STREAM)
    system = {field.name for field in stream.columns}
    fields = select_fields(object, wanted[object], catalog)
    more = tuple(field for field in fields if field == ASSOCIATION_LABELS)
    own = tuple(field for field in fields if field.name not in system and field not in more)
    is_fixed = object in FIXED_FIELDS or object == "contacts_history"

    def look() -> Mapping[str, Field]:
        return {field.name: field for field in properties(client, object) or ()}

    return ObjectSchema(
        object,
        stream,
        tuple(field.name for field in own),
        stream.columns if is_fixed else (*stream.columns, *more, *own),
        DriftDetector(
            object, () if is_fixed else own, look, partial(client.count_mismatches, object)
        ),
    )


def _resource(
    client: Client, shape: ObjectSchema, *, full: bool, progress: Progress, part_rows: int
) -> DltResource:
    object, stream = shape.object, shape.stream

    def read(pull: ReadWindow) -> Batches:
        tally = RowCounter(object, progress)
        question = ReadRequest(
            object, shape.names, pull.since, pull.started_at, tally, shape.has_labels
        )
        pages = _count_rows(stream.pages(client, question, pull.page_token), tally)
        return shape.to_tables(pages, min_rows=min(MIN_ROWS, part_rows))

    def denied(error: AccessError) -> pa.Table:
        client.warnings.append(f"{object} is left out. {error}")
        return next(shape.to_tables(iter(())))[0]

    return incremental_resource(
        object,
        read,
        selected_fields=shape.selected_fields,
        now=client.now,
        key=stream.key,
        dedup_sort_column=stream.dedup_sort_column,
        on_failure=partial(client.failed_objects.__setitem__, object),
        full=full or stream.is_full_refresh,
        checkpoint_rows=part_rows,
        on_access_denied=denied if stream.is_optional else None,
    )


def _reread_resource(
    client: Client,
    shape: ObjectSchema,
    read: Callable[[ObjectSchema, Sequence[str]], Iterator[Page]],
    ids: Sequence[str],
) -> DltResource:
    def rows() -> Iterator[pa.Table]:
        return (table for table, _ in shape.to_tables(read(shape, ids)))

    return reread_resource(
        shape.object,
        rows,
        key=shape.stream.key,
        dedup_sort_column=shape.stream.dedup_sort_column,
        on_failure=partial(client.failed_objects.__setitem__, shape.object),
    )


def _reread_records(client: Client, shape: ObjectSchema, ids: Sequence[str]) -> Iterator[Page]:
    records = read_by_id(client, shape.object, ids, shape.names)
    if shape.object in NOT_ASSOCIATED:
        return iter([([to_row(record) for record in records], None)])
    pages = ((some, None) for some in chunked(records, ASSOCIATION_LIMIT))
    return with_associations(client, shape.object, pages)


def _reread_histories(client: Client, shape: ObjectSchema, ids: Sequence[str]) -> Iterator[Page]:
    for some in chunked(ids, HISTORY_LIMIT):
        yield _history_rows(_with_history(client, shape.names, some)), None


def _count_rows(pages: Iterator[Page], tally: RowCounter) -> Iterator[Page]:
    for page, at in pages:
        tally.add(len(page))
        yield page, at


def _read_plain(client: Client, question: ReadRequest, at: PageToken) -> Iterator[Page]:
    """Read contacts or companies, and what of them was archived, which no search finds."""
    present = list_all if question.since is None else list_or_search
    pages = chain_readers(
        at, partial(present, client, question), partial(list_archived, client, question)
    )
    return (([to_row(record) for record in page], after) for page, after in pages)


def _read_associated(client: Client, question: ReadRequest, at: PageToken) -> Iterator[Page]:
    """Read records with the contacts they belong to."""
    inline = partial(with_inline_associations, client, question.object)
    links = {"associations": "contacts"}

    def present(at: PageToken) -> Iterator[Page]:
        if question.since is None and not question.has_labels:
            return inline(list_all(client, question, at, **links))
        records = list_all if question.since is None else list_or_search
        pages = rebatch(records(client, question, at), ASSOCIATION_LIMIT)
        return with_associations(client, question.object, pages)

    def past(at: PageToken) -> Iterator[Page]:
        return inline(list_archived(client, question, at, **links))

    return chain_readers(at, present, past)


def _read_history(client: Client, question: ReadRequest, at: PageToken) -> Iterator[Page]:
    """Read what contacts' properties were, and since when."""
    names = question.properties
    if question.since is None:
        asked = {"properties": None, "propertiesWithHistory": ",".join(names)}
        pages = list_all(client, question, at, object="contacts", limit=HISTORY_LIMIT, **asked)
        yield from ((_history_rows(page), after) for page, after in pages)
        return
    filters = [modified_since("contacts", question.since)]
    for answer, after in search_by_id(client, "contacts", filters, (), at):
        page = answer["results"]
        for start in range(0, len(page), HISTORY_LIMIT):
            some = page[start : start + HISTORY_LIMIT]
            is_last = start + HISTORY_LIMIT >= len(page)
            records = _with_history(client, names, [record["id"] for record in some])
            yield _history_rows(records), after if is_last else some[-1]["id"]


def _with_history(client: Client, names: Sequence[str], ids: Sequence[str]) -> list[Row]:
    answer = client.read_batch("contacts", ids, properties=[], propertiesWithHistory=list(names))
    records: list[Row] = drop_malformed(client, "contacts_history", answer)["results"]
    return records


def _history_rows(records: Sequence[Row]) -> list[Row]:
    return [
        {"id": record["id"], "property": name, **entry}
        for record in records
        for name, entries in (record.get("propertiesWithHistory") or {}).items()
        for entry in entries or ()
    ]


PLAIN_STREAM = Stream(_read_plain, SYSTEM_FIELDS)
ASSOCIATED_STREAM = Stream(_read_associated, (*SYSTEM_FIELDS, ASSOCIATED_CONTACTS))
STREAMS: Mapping[str, Stream] = {
    **dict.fromkeys(NOT_ASSOCIATED, PLAIN_STREAM),
    "contacts_history": Stream(
        _read_history, HISTORY_FIELDS, "timestamp", ("id", "property", "timestamp")
    ),
    "form_submissions": Stream(
        activity_logs.form_submissions,
        FIXED_FIELDS["form_submissions"],
        "submittedAt",
        also_reads=("forms of all types",),
    ),
    "email_events": Stream(
        activity_logs.email_events,
        FIXED_FIELDS["email_events"],
        dedup_sort_column="created",
        is_optional=True,
    ),
    "owners": Stream(reference_data.owners, FIXED_FIELDS["owners"], is_full_refresh=True),
    "list_memberships": Stream(
        reference_data.memberships,
        FIXED_FIELDS["list_memberships"],
        "membershipTimestamp",
        is_full_refresh=True,
    ),
    "pipeline_stages": Stream(
        reference_data.pipeline_stages, FIXED_FIELDS["pipeline_stages"], is_full_refresh=True
    ),
    "page_views": Stream(
        activity_logs.page_views,
        FIXED_FIELDS["page_views"],
        dedup_sort_column="occurredAt",
        is_optional=True,
    ),
}
"""What is read in a way of its own; every other object is engagement."""
