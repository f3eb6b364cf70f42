"""One pull of a CRM: land part after part, then hold what was landed against the CRM."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import dlt
from dlt.extract import DltResource

from connectors import Client, Connector, Progress
from connectors.differences import Gaps
from connectors.increments import State, is_open, is_whole, whole_since
from connectors.landed import Landed, forget_older, landed
from contract import Catalog, Proof, Road, Wanted


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

    `swept` says when the associations of all of an object's rows were looked at last.
    """
    land(pipeline, crm.source(client, wanted, catalog, full=full, progress=progress))
    return prove(pipeline, crm, client, wanted, catalog, swept=swept)


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


def land(pipeline: dlt.Pipeline, resources: Sequence[DltResource]) -> None:
    """Land the resources in rounds of one part each; every round is one load package.

    Then delete what a whole reading did not meet again: the CRM no longer has it.
    """
    left = list(resources)
    while left:
        pipeline.run(left).raise_on_failed_jobs()
        left = [one for one in left if is_open(_state(pipeline, one.name))]
    for one in resources:
        if since := whole_since(_state(pipeline, one.name)):
            forget_older(pipeline, one.name, than=since)


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
                shelf.table(object),
                swept_at=swept.get(object),
                is_whole=is_whole(_state(pipeline, object)),
            )
            for object in provable
        }
        for object, gaps in found.items():
            _forget(shelf, object, gaps, wanted, crm.KEY)
    stale = {
        object: (*gaps.differences.missed, *gaps.relinked)
        for object, gaps in found.items()
        if gaps.differences.missed or gaps.relinked
    }
    if stale:
        again = crm.again(client, stale, wanted, catalog)
        pipeline.run(again).raise_on_failed_jobs()
    return [_proof(object, gaps) for object, gaps in found.items()]


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
        missed=len(found.missed),
        gone=len(found.gone),
        relinked=len(gaps.relinked),
        is_proven=found.is_proven,
        swept_at=gaps.swept_at,
    )


def _state(pipeline: dlt.Pipeline, resource: str) -> State:
    sources = cast(dict[str, Any], pipeline.state).get("sources", {})
    mine = sources.get(pipeline.default_schema_name, {})
    return cast(State, mine.get("resources", {}).get(resource, {}))
