"""Holding what was landed of HubSpot against what HubSpot has, and reading again what differs."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import ibis
import ibis.expr.types as ir
from more_itertools import chunked

from connectors.concurrency import ahead
from connectors.extract.id_diff import Gaps, Rank, Shelf, differences, is_due
from connectors.hubspot.associations import ASSOCIATION_LIMIT, links_of
from connectors.hubspot.catalog import ASSOCIATED, FIXED, LABELS, PEOPLE
from connectors.hubspot.client import Client
from connectors.hubspot.pagination import SEARCH_LIMIT, by_id, counted, sound
from models import Wanted

BATCH = 100
RECENT = timedelta(days=30)
SWEPT_ALWAYS = 20_000
"""The associations of so many records of an object are looked at by every pull: 1,000 a call."""


def is_provable(object: str) -> bool:
    """Say whether HubSpot counts such records; logs and histories it does not."""
    return object not in FIXED and object != "contacts_history"


def gaps(
    client: Client,
    object: str,
    landed: Callable[[str], ir.Table],
    *,
    wanted: Wanted,
    swept_at: datetime | None,
    is_whole: bool,
) -> Gaps:
    """Find what was missed, erased or merged away, contacts without their history, and engagement
    that was linked anew.

    A whole reading has just seen all ids and associations. Other pulls look at associations of
    recent engagement, and at all of them where they are few or were not looked at for a day.
    """
    is_sweep = not is_whole and is_due(swept_at, client.now())
    at = client.now() if is_whole or is_sweep else swept_at
    live = landed(object).filter(~landed(object).archived)
    told = (ASSOCIATED.name, *({LABELS.name} & set(wanted[object])))
    shelf = Shelf(
        partial(_count, client, object),
        partial(_ids, client, object),
        partial(_present, client, object),
        SEARCH_LIMIT,
    )
    ranked = live.select("id", rank=live.id.cast("int64"))
    found = differences(ranked, shelf, is_sweep=is_sweep)
    if object in PEOPLE:
        bare = _without_history(object, live, landed, wanted) if at != swept_at else ()
        return Gaps(found, bare=bare, swept_at=at)
    if is_whole:
        return Gaps(found, swept_at=at)
    if found.landed > SWEPT_ALWAYS and not is_sweep:
        live = live.filter(live.createdAt >= client.now() - RECENT)
    return Gaps(found, relinked=_all_relinked(client, object, live, told), swept_at=at)


def _without_history(
    object: str, live: ir.Table, landed: Callable[[str], ir.Table], wanted: Wanted
) -> tuple[str, ...]:
    """Find whom the reader of histories passed before he was there to be found.

    A value that is there was set at some time: HubSpot tells when of each.
    """
    history = f"{object}_history"
    told = [live[name].notnull() for name in wanted[object] if name in wanted.get(history, ())]
    if not told:
        return ()
    bare = live.filter(ibis.or_(*told)).anti_join(landed(history), "id")
    return tuple(bare.id.to_pyarrow().to_pylist())


def _all_relinked(
    client: Client, object: str, live: ir.Table, told: Sequence[str]
) -> tuple[str, ...]:
    rows = live.select("id", *told).to_pyarrow()
    starts = range(0, len(rows), ASSOCIATION_LIMIT)
    asked = (
        partial(_relinked, client, object, told, rows.slice(start, ASSOCIATION_LIMIT).to_pylist())
        for start in starts
    )
    return tuple(id for found in ahead(asked) for id in found)


def _relinked(
    client: Client, object: str, told: Sequence[str], rows: list[dict[str, Any]]
) -> list[str]:
    links = links_of(client, object, [row["id"] for row in rows])

    def is_so(row: dict[str, Any]) -> bool:
        now = links.get(row["id"], {})
        return all(now.get(name) == row[name] for name in told)

    return [row["id"] for row in rows if not is_so(row)]


def _count(client: Client, object: str, above: Rank | None, up_to: Rank | None) -> int:
    return counted(client, object, *_between(above, up_to))


def _ids(client: Client, object: str, above: Rank | None, up_to: Rank | None) -> set[str]:
    answers = by_id(client, object, _between(None, up_to), (), above)
    return {record["id"] for answer, _ in answers for record in answer["results"]}


def _between(above: Rank | None, up_to: Rank | None) -> list[dict[str, Any]]:
    limits = (("GT", above), ("LTE", up_to))
    return [
        {"propertyName": "hs_object_id", "operator": operator, "value": str(limit)}
        for operator, limit in limits
        if limit is not None
    ]


def _present(client: Client, object: str, ids: Sequence[str]) -> set[str]:
    """Ask the records: the search is late, and the id of a merged one answers as another."""
    return {record["id"] for record in records_of(client, object, ids, ())}


def records_of(
    client: Client, object: str, ids: Sequence[str], properties: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Read records by id; what is not there is left out."""
    path = f"/crm/v3/objects/{object}/batch/read"
    bodies = (
        {"properties": list(properties), "inputs": [{"id": id} for id in some]}
        for some in chunked(ids, BATCH)
    )
    for answer in ahead(partial(client.post, path, body) for body in bodies):
        yield from sound(client, object, answer)["results"]
