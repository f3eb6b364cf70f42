"""How the next pull would read Salesforce, and what that costs: from counts, before it is read."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from math import ceil

from connectors.concurrency import ahead
from connectors.salesforce.client import Client
from connectors.salesforce.verify import counted
from models import Catalog, Road

BULK_FROM = 2_000
"""So many rows and more are read by one bulk job instead of page by page."""

BULK_CHANGED_FROM = 10_000
"""The same for what changed, which is wanted soon, and of which a first page has come."""

BULK_PAGE = 50_000
PAGE = 2_000
LOOKS, COUNT = 3, 1
"""Calls that start, watch and end a job, about; and the count that proves the pull."""


def roads(client: Client, catalog: Catalog, since: Mapping[str, datetime | None]) -> list[Road]:
    """Choose a road for each object that is read from an instant on, or (None) whole."""
    asked = (partial(_road, client, catalog, object, begin) for object, begin in since.items())
    return list(ahead(asked))


def is_job_cheaper(rows: int, since: datetime | None) -> bool:
    """Compare pages of 2,000 rows with the seven calls and the waits of a job."""
    return rows >= (BULK_FROM if since is None else BULK_CHANGED_FROM)


def _road(client: Client, catalog: Catalog, object: str, since: datetime | None) -> Road:
    why, conditions = "everything is read", []
    if since:
        cursor = "SystemModstamp" if "SystemModstamp" in catalog[object] else "CreatedDate"
        why = f"{cursor} since {since:%Y-%m-%d %H:%M}"
        conditions = [f"{cursor} >= {since:%Y-%m-%dT%H:%M:%SZ}"]
    rows = counted(client, object, *conditions)
    if is_job_cheaper(rows, since):
        return Road(object, "bulk job", why, rows, 2 + LOOKS + ceil(rows / BULK_PAGE) + COUNT)
    return Road(object, "query", why, rows, max(1, ceil(rows / PAGE)) + (since is None) + COUNT)
