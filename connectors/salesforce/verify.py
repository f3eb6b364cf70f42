"""Holding what was landed of Salesforce against what Salesforce has."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import ibis.expr.types as ir
from more_itertools import chunked

from connectors.concurrency import map_ordered
from connectors.extract.arrow import Row
from connectors.extract.id_diff import Differences, RemoteIds, SortKey, diff_ids, is_full_check_due
from connectors.http import PaginationLoopGuard
from connectors.salesforce.client import (
    DATA_PATH,
    LOCATOR_EXPIRED,
    Client,
    next_page_url,
    next_page_urls,
)
from errors import RejectedError, RetryableError
from models import FieldSelection

IDS_PER_QUERY = 300
"""In one query: a URL holds sixteen thousand characters."""

ID_PAGE_SIZE = 2_000


def is_countable(object: str) -> bool:  # noqa: ARG001
    """Salesforce counts the rows of every object."""
    return True


def find_differences(
    client: Client,
    object: str,
    landed_table: Callable[[str], ir.Table],
    *,
    selection: FieldSelection,  # noqa: ARG001
    last_full_check: datetime | None,
    was_full_refresh: bool,
) -> Differences:
    """Find live rows that were missed, and landed ones that Salesforce no longer shows.

    Whom a row belongs to is a field of its own: a sweep compares ids only.
    """
    table = landed_table(object)
    live = table.filter(~table.IsDeleted) if "IsDeleted" in table.columns else table
    conditions = ("IsDeleted = false",) if "IsDeleted" in table.columns else ()
    remote = RemoteIds(
        partial(_count, client, object, conditions),
        partial(_list_ids, client, object, conditions),
        partial(_matching_ids, client, object, conditions),
        ID_PAGE_SIZE,
    )
    is_sweep = not was_full_refresh and is_full_check_due(last_full_check, client.now())
    ranked = live.select(id=live.Id, rank=live.Id)
    found = diff_ids(ranked, remote, is_full_check=is_sweep)
    return Differences(
        found, full_check_at=client.now() if was_full_refresh or is_sweep else last_full_check
    )


def read_by_id(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str], *conditions: str
) -> Iterator[Row]:
    """Read records by id; what is not there is left out."""
    queries = (
        f"SELECT {', '.join(fields)} FROM {object}{_where(*conditions, _id_in(some))}"
        for some in chunked(ids, IDS_PER_QUERY)
    )
    for page in map_ordered(partial(_query_all, client, query) for query in queries):
        yield from page


def _count(
    client: Client,
    object: str,
    conditions: Sequence[str],
    above: SortKey | None,
    up_to: SortKey | None,
) -> int:
    return count_rows(client, object, *conditions, *_id_range(above, up_to))


def count_rows(client: Client, object: str, *conditions: str) -> int:
    """Count rows, deleted ones too."""
    query = f"SELECT COUNT() FROM {object}{_where(*conditions)}"
    path = f"{DATA_PATH}/queryAll"
    answer = client.get(
        path, expected_key="totalSize", is_valid=lambda total: isinstance(total, int), q=query
    )
    return int(answer["totalSize"])


def _list_ids(
    client: Client,
    object: str,
    conditions: Sequence[str],
    above: SortKey | None,
    up_to: SortKey | None,
) -> set[str]:
    where = _where(*conditions, *_id_range(above, up_to))
    return {row["Id"] for row in _query_all(client, f"SELECT Id FROM {object}{where}")}


def existing_ids(client: Client, object: str, ids: Sequence[str]) -> set[str]:
    """Return which of some ids Salesforce has, in the recycle bin too."""
    return _matching_ids(client, object, (), ids)


def _matching_ids(
    client: Client, object: str, conditions: Sequence[str], ids: Sequence[str]
) -> set[str]:
    return {row["Id"] for row in read_by_id(client, object, ids, ("Id",), *conditions)}


def _query_all(client: Client, query: str) -> list[dict[str, Any]]:
    """Read all that a query finds; where the server forgot its cursor, from the beginning."""
    path = f"{DATA_PATH}/queryAll"

    def read() -> list[dict[str, Any]]:
        answer = client.read_page(path, q=query)
        rows, loop_guard = list(answer["records"]), PaginationLoopGuard(f"Salesforce: GET {path}")
        while next_page_url(answer):
            follow = partial(client.read_page, next_page_url(answer))
            try:
                answer = loop_guard.fetch(client.api_caller, follow, next_page_urls)
            except RejectedError as error:
                if error.code != LOCATOR_EXPIRED:
                    raise
                raise RetryableError(f"GET {path}: {error.code}") from None
            rows += answer["records"]
        if len(rows) != answer["totalSize"] or not all(row.get("Id") for row in rows):
            raise RetryableError(f"GET {path}: the rows are cut off or malformed")
        return rows

    return client.api_caller.with_retries(f"GET {path}", read, kind="read")


def _id_range(above: SortKey | None, up_to: SortKey | None) -> list[str]:
    limits = (("Id > ", above), ("Id <= ", up_to))
    return [f"{test}'{id}'" for test, id in limits if id is not None]


def _id_in(ids: Sequence[str]) -> str:
    listed = ", ".join(f"'{id}'" for id in ids)
    return f"Id IN ({listed})"


def _where(*conditions: str) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
