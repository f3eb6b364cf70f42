"""Extract one CRM: land its objects batch by batch, then compare the rows with the CRM."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import dlt
from dlt.extract import DltResource

from connectors import AnyConnector, Client, Progress
from connectors.extract.id_diff import Differences
from connectors.extract.incremental import State, in_progress, last_full_refresh, was_full_refresh
from connectors.extract.landed import SourceTables, delete_older, open_source_tables
from connectors.extract.schema_drift import type_changed
from errors import RejectedError
from models import Catalog, ExtractEstimate, FieldSelection, FieldType, RowCheck

DLT_FIELD_TYPES: Mapping[str | None, FieldType] = {
    "text": "text",
    "double": "number",
    "bigint": "integer",
    "bool": "boolean",
    "date": "date",
    "timestamp": "datetime",
}
"""dlt's names for the types of landed columns."""


def extract_and_verify(
    pipeline: dlt.Pipeline,
    connector: AnyConnector,
    client: Client,
    selection: FieldSelection,
    catalog: Catalog,
    *,
    last_full_check: Mapping[str, datetime],
    full: bool = False,
    progress: Progress = lambda *_: None,
) -> list[RowCheck]:
    """Land the selected objects, compare them with the CRM, and repair the differences.

    `last_full_check` says per object when all of its ids were last compared. An object that cannot
    be read completely is added to `client.failed_objects`; the others are read. So is an object
    that has a field whose type changed since it was landed, except in a full refresh.
    """
    retyped = dict(_type_changes(pipeline, selection, catalog))
    if not full:
        client.failed_objects.update(retyped)
    resources = connector.source(
        client, _exclude(selection, client.failed_objects), catalog, full=full, progress=progress
    )
    load_batches(
        pipeline,
        resources,
        failed_objects=client.failed_objects,
        dropped_objects=retyped if full else (),
    )
    return verify(
        pipeline,
        connector,
        client,
        _exclude(selection, client.failed_objects),
        catalog,
        last_full_check=last_full_check,
    )


def estimate(
    pipeline: dlt.Pipeline,
    connector: AnyConnector,
    client: Client,
    selection: FieldSelection,
    catalog: Catalog,
    *,
    full: bool = False,
) -> list[ExtractEstimate]:
    """Estimate how the next extract reads each object; reads and lands no rows."""
    pipeline.sync_destination()
    states = {object: _state(pipeline, object) for object in selection}
    return connector.estimate(client, selection, catalog, states, full=full)


def load_batches(
    pipeline: dlt.Pipeline,
    resources: Sequence[DltResource],
    *,
    failed_objects: Collection[str] = (),
    dropped_objects: Collection[str] = (),
) -> None:
    """Land the resources in rounds of one batch each; every round is one load package.

    Objects that are added to `failed_objects` meanwhile are not continued. The tables of
    `dropped_objects` are dropped first. At the end the rows that a full refresh did not return are
    deleted: the CRM no longer has them.
    """

    def goes_on(one: DltResource) -> bool:
        return one.name not in failed_objects and in_progress(_state(pipeline, one.name))

    pipeline.sync_destination()
    left = [one for one in resources if one.name not in dropped_objects]
    if dropped := [one for one in resources if one.name in dropped_objects]:
        _load(pipeline, dropped, refresh="drop_resources")
        left += filter(goes_on, dropped)
    while left:
        _load(pipeline, left)
        left = list(filter(goes_on, left))
    whole = ((one.name, last_full_refresh(_state(pipeline, one.name))) for one in resources)
    delete_older(pipeline, {object: since for object, since in whole if since})


def _load(pipeline: dlt.Pipeline, resources: Sequence[DltResource], **options: Any) -> None:
    """Extract, normalize and load some resources, as `pipeline.run` does."""
    pipeline.extract(resources, **options)
    pipeline.normalize()
    with pipeline.sql_client():
        # dlt opens the warehouse once per table; with a connection open, this is cheap
        pipeline.load().raise_on_failed_jobs()


def verify(
    pipeline: dlt.Pipeline,
    connector: AnyConnector,
    client: Client,
    selection: FieldSelection,
    catalog: Catalog,
    *,
    last_full_check: Mapping[str, datetime],
) -> list[RowCheck]:
    """Find the rows that differ from the CRM, read them again, and delete those it lacks."""
    provable = [object for object in selection if connector.is_countable(object)]
    with open_source_tables(pipeline) as source_tables:
        found = {
            object: connector.find_differences(
                client,
                object,
                source_tables.table,
                selection=selection,
                last_full_check=last_full_check.get(object),
                was_full_refresh=was_full_refresh(_state(pipeline, object)),
            )
            for object in provable
        }
        for object, gaps in found.items():
            _delete_rows(source_tables, object, gaps, selection, connector)
    stale = {
        object: (*gaps.missing, *gaps.reassociated)
        for object, gaps in found.items()
        if gaps.missing or gaps.reassociated
    }
    if stale:
        again = connector.reread(client, stale, selection, catalog)
        _load(pipeline, again)
    return [_row_check(object, gaps) for object, gaps in found.items()]


def _type_changes(
    pipeline: dlt.Pipeline, wanted: FieldSelection, catalog: Catalog
) -> Iterator[tuple[str, RejectedError]]:
    """Yield the objects with a field whose type differs from that of its landed column."""
    pipeline.sync_destination()
    if pipeline.default_schema_name is None:
        return
    tables = pipeline.default_schema.tables
    for object, names in wanted.items():
        columns = tables.get(object, {}).get("columns", {})
        for name in set(names) & columns.keys() & catalog[object].keys():
            before, now = (
                DLT_FIELD_TYPES.get(columns[name].get("data_type")),
                catalog[object][name].type,
            )
            if before not in (None, now):
                yield object, type_changed(object, name, before, now)


def _exclude(wanted: FieldSelection, halted: Collection[str]) -> FieldSelection:
    return {object: names for object, names in wanted.items() if object not in halted}


def _delete_rows(
    source_tables: SourceTables,
    object: str,
    gaps: Differences,
    wanted: FieldSelection,
    connector: AnyConnector,
) -> None:
    if gone := gaps.id_diff.deleted:
        source_tables.delete_rows(object, connector.primary_key, gone)
        history = connector.history_objects.get(object)
        if history is not None and history in wanted:
            source_tables.delete_rows(history, connector.primary_key, gone)


def _row_check(object: str, gaps: Differences) -> RowCheck:
    found = gaps.id_diff
    return RowCheck(
        object,
        datetime.now(UTC),
        found.remote_count,
        missing=len(gaps.missing),
        deleted=len(found.deleted),
        reassociated=len(gaps.reassociated),
        is_complete=found.is_complete,
        full_check_at=gaps.full_check_at,
    )


def _state(pipeline: dlt.Pipeline, resource: str) -> State:
    sources = cast(dict[str, Any], pipeline.state).get("sources", {})
    mine = sources.get(pipeline.default_schema_name, {})
    return cast(State, mine.get("resources", {}).get(resource, {}))
