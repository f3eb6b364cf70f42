"""One pull of a CRM: land part after part, then hold what was landed against the CRM."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import dlt
from dlt.extract import DltResource

from connectors import Client, Connector, Progress
from connectors.extract.id_diff import Gaps
from connectors.extract.incremental import State, is_open, is_whole, whole_since
from connectors.extract.landed import Landed, forget_older, landed
from connectors.extract.schema_drift import changed
from errors import RefusedError
from models import Catalog, FieldType, Proof, Road, Wanted

LANDED_AS: Mapping[str | None, FieldType] = {
    "text": "text",
    "double": "number",
    "bigint": "integer",
    "bool": "boolean",
    "date": "date",
    "timestamp": "datetime",
}
"""What dlt calls the types of landed columns."""


def pull(
    pipeline: dlt.Pipeline,
    crm: Connector,
    client: Client,
    wanted: Wanted,
    catalog: Catalog,
    *,
    swept: Mapping[str, datetime],
    full: bool = False,
    progress: Progress = lambda *_: None,
) -> list[Proof]:
    """Land what is wanted, mend what differs, and say how each object was proven.

    `swept` says when all rows of an object were looked at last, their ids and whom they belong to.
    An object that cannot be read to its end is noted in `client.halted`, and the others are read.
    So is one of which a field has another type than landed, unless all is read anew (`full`).
    """
    retyped = dict(_retyped(pipeline, wanted, catalog))
    if not full:
        client.halted.update(retyped)
    resources = crm.source(
        client, _without(wanted, client.halted), catalog, full=full, progress=progress
    )
    land(pipeline, resources, halted=client.halted, anew=retyped if full else ())
    return prove(pipeline, crm, client, _without(wanted, client.halted), catalog, swept=swept)


def planned(
    pipeline: dlt.Pipeline,
    crm: Connector,
    client: Client,
    wanted: Wanted,
    catalog: Catalog,
    *,
    full: bool = False,
) -> list[Road]:
    """Say how the next pull would read each object; nothing is read or landed."""
    pipeline.sync_destination()
    states = {object: _state(pipeline, object) for object in wanted}
    return crm.planned(client, wanted, catalog, states, full=full)


def land(
    pipeline: dlt.Pipeline,
    resources: Sequence[DltResource],
    *,
    halted: Collection[str] = (),
    anew: Collection[str] = (),
) -> None:
    """Land the resources in rounds of one part each; every round is one load package.

    What stands in `halted` by then is not gone on with. The tables of those `anew` are dropped
    before. Then delete what a whole reading did not meet again: the CRM no longer has it.
    """

    def goes_on(one: DltResource) -> bool:
        return one.name not in halted and is_open(_state(pipeline, one.name))

    pipeline.sync_destination()
    left = [one for one in resources if one.name not in anew]
    if dropped := [one for one in resources if one.name in anew]:
        _load(pipeline, dropped, refresh="drop_resources")
        left += filter(goes_on, dropped)
    while left:
        _load(pipeline, left)
        left = list(filter(goes_on, left))
    whole = ((one.name, whole_since(_state(pipeline, one.name))) for one in resources)
    forget_older(pipeline, {object: since for object, since in whole if since})


def _load(pipeline: dlt.Pipeline, resources: Sequence[DltResource], **options: Any) -> None:
    """Read some resources and load what they give, as `pipeline.run` does."""
    pipeline.extract(resources, **options)
    pipeline.normalize()
    with pipeline.sql_client():
        # dlt opens the warehouse for every table: a file that is open already costs it nothing
        pipeline.load().raise_on_failed_jobs()


def prove(
    pipeline: dlt.Pipeline,
    crm: Connector,
    client: Client,
    wanted: Wanted,
    catalog: Catalog,
    *,
    swept: Mapping[str, datetime],
) -> list[Proof]:
    """Compare counts, find what differs, read it again and delete what is gone."""
    provable = [object for object in wanted if crm.is_provable(object)]
    with landed(pipeline) as shelf:
        found = {
            object: crm.gaps(
                client,
                object,
                shelf.table,
                wanted=wanted,
                swept_at=swept.get(object),
                is_whole=is_whole(_state(pipeline, object)),
            )
            for object in provable
        }
        for object, gaps in found.items():
            _forget(shelf, object, gaps, wanted, crm.KEY)
    stale = {
        object: (*gaps.missed, *gaps.relinked)
        for object, gaps in found.items()
        if gaps.missed or gaps.relinked
    }
    if stale:
        again = crm.again(client, stale, wanted, catalog)
        _load(pipeline, again)
    return [_proof(object, gaps) for object, gaps in found.items()]


def _retyped(
    pipeline: dlt.Pipeline, wanted: Wanted, catalog: Catalog
) -> Iterator[tuple[str, RefusedError]]:
    """Find the objects of which a field has another type now than it was landed with."""
    pipeline.sync_destination()
    if pipeline.default_schema_name is None:
        return
    tables = pipeline.default_schema.tables
    for object, names in wanted.items():
        columns = tables.get(object, {}).get("columns", {})
        for name in set(names) & columns.keys() & catalog[object].keys():
            before, now = LANDED_AS.get(columns[name].get("data_type")), catalog[object][name].type
            if before not in (None, now):
                yield object, changed(object, name, before, now)


def _without(wanted: Wanted, halted: Collection[str]) -> Wanted:
    return {object: names for object, names in wanted.items() if object not in halted}


def _forget(shelf: Landed, object: str, gaps: Gaps, wanted: Wanted, key: str) -> None:
    if gone := gaps.differences.gone:
        shelf.forget(object, key, gone)
        if (history := f"{object}_history") in wanted:
            shelf.forget(history, key, gone)


def _proof(object: str, gaps: Gaps) -> Proof:
    found = gaps.differences
    return Proof(
        object,
        datetime.now(UTC),
        found.counted,
        missed=len(gaps.missed),
        gone=len(found.gone),
        relinked=len(gaps.relinked),
        is_proven=found.is_proven,
        swept_at=gaps.swept_at,
    )


def _state(pipeline: dlt.Pipeline, resource: str) -> State:
    sources = cast(dict[str, Any], pipeline.state).get("sources", {})
    mine = sources.get(pipeline.default_schema_name, {})
    return cast(State, mine.get("resources", {}).get(resource, {}))
