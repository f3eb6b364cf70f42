"""Holding what was landed of HubSpot against what HubSpot has, and reading again what differs."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import ibis
import ibis.expr.types as ir
from more_itertools import chunked

from connectors.concurrency import map_ordered
from connectors.extract.id_diff import Differences, RemoteIds, SortKey, diff_ids, is_full_check_due
from connectors.hubspot.associations import ASSOCIATION_LIMIT, associations_of
from connectors.hubspot.catalog import (
    ASSOCIATED_CONTACTS,
    ASSOCIATION_LABELS,
    FIXED_FIELDS,
    NOT_ASSOCIATED,
)
from connectors.hubspot.client import Client
from connectors.hubspot.pagination import SEARCH_LIMIT, count_records, drop_malformed, search_by_id
from models import FieldSelection

READ_BATCH_SIZE = 100
RECENT = timedelta(days=30)
ALWAYS_CHECKED_ROWS = 20_000
"""Every extract checks the associations of this number of records per object: 1,000 per call."""


def is_countable(object: str) -> bool:
    """Say whether HubSpot counts such records; logs and histories it does not."""
    return object not in FIXED_FIELDS and object != "contacts_history"


def find_differences(
    client: Client,
    object: str,
    landed_table: Callable[[str], ir.Table],
    *,
    selection: FieldSelection,
    last_full_check: datetime | None,
    was_full_refresh: bool,
) -> Differences:
    """Find what was missed, what is absent, contacts without their history, and engagement whose
    associations changed.

    A whole reading has just seen all ids and associations. Other pulls look at associations of
    recent engagement, and at all of them where they are few or were not looked at for a day.
    """
    is_sweep = not was_full_refresh and is_full_check_due(last_full_check, client.now())
    at = client.now() if was_full_refresh or is_sweep else last_full_check
    live = landed_table(object).filter(~landed_table(object).archived)
    compared_fields = (
        ASSOCIATED_CONTACTS.name,
        *({ASSOCIATION_LABELS.name} & set(selection[object])),
    )
    remote = RemoteIds(
        partial(_count, client, object),
        partial(_list_ids, client, object),
        partial(_live_ids, client, object),
        SEARCH_LIMIT,
    )
    ranked = live.select("id", rank=live.id.cast("int64"))
    found = diff_ids(ranked, remote, is_full_check=is_sweep)
    if object in NOT_ASSOCIATED:
        bare = (
            _without_history(object, live, landed_table, selection) if at != last_full_check else ()
        )
        return Differences(found, without_history=bare, full_check_at=at)
    if was_full_refresh:
        return Differences(found, full_check_at=at)
    if found.landed_count > ALWAYS_CHECKED_ROWS and not is_sweep:
        live = live.filter(live.createdAt >= client.now() - RECENT)
    return Differences(
        found,
        reassociated=_all_reassociated(client, object, live, compared_fields),
        full_check_at=at,
    )


def _without_history(
    object: str, live: ir.Table, landed: Callable[[str], ir.Table], wanted: FieldSelection
) -> tuple[str, ...]:
    """Find whom the reader of histories passed before he was there to be found.

    A value that exists was set at some time: HubSpot has the time of each.
    """
    history = f"{object}_history"
    compared_fields = [
        live[name].notnull() for name in wanted[object] if name in wanted.get(history, ())
    ]
    if not compared_fields:
        return ()
    bare = live.filter(ibis.or_(*compared_fields)).anti_join(landed(history), "id")
    return tuple(bare.id.to_pyarrow().to_pylist())


def _all_reassociated(
    client: Client, object: str, live: ir.Table, compared_fields: Sequence[str]
) -> tuple[str, ...]:
    rows = live.select("id", *compared_fields).to_pyarrow()
    starts = range(0, len(rows), ASSOCIATION_LIMIT)
    asked = (
        partial(
            _reassociated,
            client,
            object,
            compared_fields,
            rows.slice(start, ASSOCIATION_LIMIT).to_pylist(),
        )
        for start in starts
    )
    return tuple(id for found in map_ordered(asked) for id in found)


def _reassociated(
    client: Client, object: str, compared_fields: Sequence[str], rows: list[dict[str, Any]]
) -> list[str]:
    links = associations_of(client, object, [row["id"] for row in rows])

    def is_so(row: dict[str, Any]) -> bool:
        now = links.get(row["id"], {})
        return all(now.get(name) == row[name] for name in compared_fields)

    return [row["id"] for row in rows if not is_so(row)]


def _count(client: Client, object: str, above: SortKey | None, up_to: SortKey | None) -> int:
    return count_records(client, object, *_id_range(above, up_to))


def _list_ids(
    client: Client, object: str, above: SortKey | None, up_to: SortKey | None
) -> set[str]:
    answers = search_by_id(client, object, _id_range(None, up_to), (), above)
    return {record["id"] for answer, _ in answers for record in answer["results"]}


def _id_range(above: SortKey | None, up_to: SortKey | None) -> list[dict[str, Any]]:
    limits = (("GT", above), ("LTE", up_to))
    return [
        {"propertyName": "hs_object_id", "operator": operator, "value": str(limit)}
        for operator, limit in limits
        if limit is not None
    ]


def existing_ids(client: Client, object: str, ids: Sequence[str]) -> set[str]:
    """Return which of some ids HubSpot has, in the archive too."""
    live = _live_ids(client, object, ids)
    rest = [id for id in ids if id not in live]
    archived = read_by_id(client, object, rest, (), archived=True)
    return live | {record["id"] for record in archived}


def _live_ids(client: Client, object: str, ids: Sequence[str]) -> set[str]:
    """Ask the records: the search is late, and the id of a merged one answers as another."""
    return {record["id"] for record in read_by_id(client, object, ids, ())}


def read_by_id(
    client: Client,
    object: str,
    ids: Sequence[str],
    properties: Sequence[str],
    *,
    archived: bool = False,
) -> Iterator[dict[str, Any]]:
    """Read live or archived records by id; what is not there is left out."""
    read = partial(client.read_batch, object, archived=archived, properties=list(properties))
    for answer in map_ordered(partial(read, some) for some in chunked(ids, READ_BATCH_SIZE)):
        yield from drop_malformed(client, object, answer)["results"]
