"""Extract one CRM: land its objects batch by batch, then compare the rows with the CRM.

No row is deleted here: that a CRM does not show a record is no proof that it was deleted.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import dlt
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from dlt.extract import DltResource

from connectors import AnyConnector, Client, Progress
from connectors.extract.id_diff import Differences
from connectors.extract.incremental import State, in_progress, was_full_refresh
from connectors.extract.landed import SourceTables, open_source_tables
from connectors.extract.schema_drift import type_changed
from errors import RejectedError
from models import (
    Catalog,
    ExtractEstimate,
    FieldSelection,
    FieldType,
    IdsByObject,
    RowCheck,
    Verification,
)

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
    known_absent: IdsByObject,
    full: bool = False,
    progress: Progress = lambda *_: None,
) -> Verification:
    """Land the selected objects, compare them with the CRM, and read again what is missing.

    `last_full_check` says per object when all of its ids were last compared; `known_absent` which
    landed ids the CRM did not show before. An object that cannot be read completely is added to
    `client.failed_objects`; the others are read. So is an object that has a field whose type
    changed since it was landed, except in a full refresh.
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
        known_absent=known_absent,
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
    `dropped_objects` are dropped first: all their rows are read again.
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
    known_absent: IdsByObject,
) -> Verification:
    """Find the rows that differ from the CRM, and read those again that it has."""
    found: dict[str, Differences] = {}
    returned: dict[str, set[str]] = {}
    with open_source_tables(pipeline) as source_tables:
        for object in filter(connector.is_countable, selection):
            # the CRM leaves an absent record out of associations: all of them are compared again
            full_check = None if returned else last_full_check.get(object)
            found[object] = connector.find_differences(
                client,
                object,
                _without(source_tables, known_absent, connector.primary_key),
                selection=selection,
                last_full_check=full_check,
                was_full_refresh=was_full_refresh(_state(pipeline, object)),
            )
            if back := set(known_absent.get(object, ())) & set(found[object].missing):
                returned[object] = back
    stale = {
        object: (*gaps.missing, *gaps.reassociated)
        for object, gaps in found.items()
        if gaps.missing or gaps.reassociated
    }
    if stale:
        again = connector.reread(client, stale, selection, catalog)
        _load(pipeline, again)
    return Verification(
        [_row_check(object, gaps) for object, gaps in found.items()],
        absent={object: gaps.id_diff.absent for object, gaps in found.items()},
        returned=returned,
    )


def _without(
    source_tables: SourceTables, hidden: IdsByObject, primary_key: str
) -> Callable[[str], ir.Table]:
    """Read landed tables without the rows that are known to be absent.

    A row that the CRM shows again is then found like one that was never landed.
    """

    @cache  # two calls with one object give the same expression
    def table(object: str) -> ir.Table:
        rows = source_tables.table(object)
        if not (ids := hidden.get(object)):
            return rows
        absent = ibis.memtable(pa.table({"absent_id": pa.array(sorted(ids), pa.string())}))
        return rows.anti_join(absent, rows[primary_key] == absent.absent_id)

    return table


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


def _row_check(object: str, gaps: Differences) -> RowCheck:
    found = gaps.id_diff
    return RowCheck(
        object,
        datetime.now(UTC),
        found.remote_count,
        missing=len(gaps.missing),
        absent=len(found.absent),
        reassociated=len(gaps.reassociated),
        is_complete=found.is_complete,
        full_check_at=gaps.full_check_at,
    )


def _state(pipeline: dlt.Pipeline, resource: str) -> State:
    sources = cast(dict[str, Any], pipeline.state).get("sources", {})
    mine = sources.get(pipeline.default_schema_name, {})
    return cast(State, mine.get("resources", {}).get(resource, {}))
