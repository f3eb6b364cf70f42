"""How the next pull would read Salesforce, and what that costs: from counts, before it is read."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from math import ceil

from connectors.concurrency import map_ordered
from connectors.salesforce.client import Client
from connectors.salesforce.verify import count_rows
from models import Catalog, ExtractEstimate

BULK_MIN_ROWS = 2_000
"""From this number of rows on, one Bulk query job reads them instead of pages."""

BULK_MIN_CHANGED_ROWS = 10_000
"""The same for what changed, which is wanted soon, and of which a first page has come."""

BULK_PAGE_ROWS = 50_000
PAGE_ROWS = 2_000
POLL_CALLS, COUNT_CALLS = 3, 1
"""Calls that start, watch and end a job, about; and the count that proves the pull."""


def extract_estimates(
    client: Client, catalog: Catalog, since: Mapping[str, datetime | None]
) -> list[ExtractEstimate]:
    """Choose the extract method of each object, by the time it is read from (None: all rows)."""
    asked = (
        partial(_estimate_object, client, catalog, object, begin) for object, begin in since.items()
    )
    return list(map_ordered(asked))


def is_bulk_cheaper(rows: int, since: datetime | None) -> bool:
    """Compare pages of 2,000 rows with the seven calls and the waits of a job."""
    return rows >= (BULK_MIN_ROWS if since is None else BULK_MIN_CHANGED_ROWS)


def _estimate_object(
    client: Client, catalog: Catalog, object: str, since: datetime | None
) -> ExtractEstimate:
    why, conditions = "everything is read", []
    if since:
        cursor = "SystemModstamp" if "SystemModstamp" in catalog[object] else "CreatedDate"
        why = f"{cursor} since {since:%Y-%m-%d %H:%M}"
        conditions = [f"{cursor} >= {since:%Y-%m-%dT%H:%M:%SZ}"]
    rows = count_rows(client, object, *conditions)
    if is_bulk_cheaper(rows, since):
        return ExtractEstimate(
            object,
            "bulk job",
            why,
            rows,
            2 + POLL_CALLS + ceil(rows / BULK_PAGE_ROWS) + COUNT_CALLS,
        )
    return ExtractEstimate(
        object, "query", why, rows, max(1, ceil(rows / PAGE_ROWS)) + (since is None) + COUNT_CALLS
    )
