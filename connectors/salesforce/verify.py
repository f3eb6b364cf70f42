"""Holding what was landed of Salesforce against what Salesforce has."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import ibis.expr.types as ir
from more_itertools import chunked

from connectors.concurrency import ahead
from connectors.extract.arrow import Row
from connectors.extract.id_diff import Gaps, Rank, Shelf, differences, is_due
from connectors.pagination_guard import Trail
from connectors.salesforce.client import DATA, LOCATOR_GONE, Client
from errors import RefusedError, RetryableError
from models import Wanted

IDS = 300
"""In one query: a URL holds sixteen thousand characters."""

LEAF = 2_000


def is_provable(object: str) -> bool:  # noqa: ARG001
    """Salesforce counts the rows of every object."""
    return True


def gaps(
    client: Client,
    object: str,
    landed: Callable[[str], ir.Table],
    *,
    wanted: Wanted,  # noqa: ARG001
    swept_at: datetime | None,
    is_whole: bool,
) -> Gaps:
    """Find live rows that were missed, and landed ones that are gone for good.

    Whom a row belongs to is a field of its own: a sweep compares ids only.
    """
    table = landed(object)
    live = table.filter(~table.IsDeleted) if "IsDeleted" in table.columns else table
    conditions = ("IsDeleted = false",) if "IsDeleted" in table.columns else ()
    shelf = Shelf(
        partial(_count, client, object, conditions),
        partial(_ids, client, object, conditions),
        partial(_present, client, object, conditions),
        LEAF,
    )
    is_sweep = not is_whole and is_due(swept_at, client.now())
    ranked = live.select(id=live.Id, rank=live.Id)
    found = differences(ranked, shelf, is_sweep=is_sweep)
    return Gaps(found, swept_at=client.now() if is_whole or is_sweep else swept_at)


def records_of(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str], *conditions: str
) -> Iterator[Row]:
    """Read records by id; what is not there is left out."""
    queries = (
        f"SELECT {', '.join(fields)} FROM {object}{_where(*conditions, _among(some))}"
        for some in chunked(ids, IDS)
    )
    for page in ahead(partial(_all, client, query) for query in queries):
        yield from page


def _count(
    client: Client,
    object: str,
    conditions: Sequence[str],
    above: Rank | None,
    up_to: Rank | None,
) -> int:
    return counted(client, object, *conditions, *_between(above, up_to))


def counted(client: Client, object: str, *conditions: str) -> int:
    """Count rows, deleted ones too."""
    query = f"SELECT COUNT() FROM {object}{_where(*conditions)}"
    return int(client.get(f"{DATA}/queryAll", holds="totalSize", q=query)["totalSize"])


def _ids(
    client: Client,
    object: str,
    conditions: Sequence[str],
    above: Rank | None,
    up_to: Rank | None,
) -> set[str]:
    where = _where(*conditions, *_between(above, up_to))
    return {row["Id"] for row in _all(client, f"SELECT Id FROM {object}{where}")}


def _present(
    client: Client, object: str, conditions: Sequence[str], ids: Sequence[str]
) -> set[str]:
    return {row["Id"] for row in records_of(client, object, ids, ("Id",), *conditions)}


def _all(client: Client, query: str) -> list[dict[str, Any]]:
    """Read all that a query finds; where the server forgot its cursor, from the beginning."""
    path = f"{DATA}/queryAll"

    def read() -> list[dict[str, Any]]:
        answer = client.rows(path, q=query)
        rows, trail = list(answer["records"]), Trail(f"Salesforce: GET {path}")
        while not answer["done"]:
            try:
                answer = client.rows(trail.follow(answer["nextRecordsUrl"]))
            except RefusedError as error:
                if error.code != LOCATOR_GONE:
                    raise
                raise RetryableError(f"GET {path}: {error.code}") from None
            rows += answer["records"]
        return rows

    return client.traffic.repeat(f"GET {path}", read, kind="read")


def _between(above: Rank | None, up_to: Rank | None) -> list[str]:
    limits = (("Id > ", above), ("Id <= ", up_to))
    return [f"{test}'{id}'" for test, id in limits if id is not None]


def _among(ids: Sequence[str]) -> str:
    listed = ", ".join(f"'{id}'" for id in ids)
    return f"Id IN ({listed})"


def _where(*conditions: str) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
