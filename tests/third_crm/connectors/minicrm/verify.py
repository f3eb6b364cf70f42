"""Compare the landed ids with those of MiniCRM: its list gives all ids in few calls."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from connectors import LandedTable
from connectors.extract.id_diff import Differences, RemoteIds, SortKey, diff_ids
from models import FieldSelection

from .client import Client


def is_countable(object: str) -> bool:
    """Every object has a total."""
    return True


def find_differences(
    client: Client,
    object: str,
    landed_table: LandedTable,
    *,
    selection: FieldSelection,
    last_full_check: datetime | None,
    was_full_refresh: bool,
) -> Differences:
    """Find rows that are missing in the warehouse, or deleted in MiniCRM."""
    rows = landed_table(object).filter(lambda table: ~table.deleted)
    ids = rows.select("id", rank=rows.id.cast("int64"))

    def listed(above: SortKey | None, up_to: SortKey | None) -> set[str]:
        return {
            id
            for id in live_ids(client, object)
            if (above is None or int(id) > above) and (up_to is None or int(id) <= up_to)
        }

    def existing(some: Sequence[str]) -> set[str]:
        return live_ids(client, object) & set(some)

    remote = RemoteIds(
        count=lambda above, up_to: len(listed(above, up_to)),
        ids=listed,
        existing=existing,
        page_size=10_000,
    )
    return Differences(diff_ids(ids, remote), full_check_at=client.now())


def existing_ids(client: Client, object: str, ids: Sequence[str]) -> set[str]:
    """Return which of some ids MiniCRM has, live or deleted."""
    return {row["id"] for row in all_rows(client, object)} & set(ids)


def live_ids(client: Client, object: str) -> set[str]:
    """Read the ids of all rows that are not deleted."""
    return {row["id"] for row in all_rows(client, object) if not row["deleted"]}


def all_rows(client: Client, object: str) -> Iterator[dict[str, Any]]:
    """Read the id and the deleted flag of all rows."""
    after = 0
    while after is not None:
        page = client.get(f"/{object}", after=after)
        yield from page["rows"]
        after = page["next"]
