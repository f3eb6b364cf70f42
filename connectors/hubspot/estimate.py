"""How the next pull would read HubSpot, and what that costs: from counts, before it is read."""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from math import ceil

from connectors.concurrency import map_ordered
from connectors.hubspot.activity_logs import list_forms
from connectors.hubspot.associations import ASSOCIATION_LIMIT
from connectors.hubspot.catalog import FIXED_FIELDS, NOT_ASSOCIATED
from connectors.hubspot.client import Client
from connectors.hubspot.pagination import (
    HISTORY_LIMIT,
    LIST_LIMIT,
    SEARCH_LIMIT,
    count_records,
    is_list_faster,
    modified_since,
)
from connectors.hubspot.verify import ALWAYS_CHECKED_ROWS
from models import ExtractEstimate

FULL_REFRESH_ONLY = frozenset({"owners", "list_memberships", "pipeline_stages"})
ARCHIVE_CALLS, COUNT_CALLS = 1, 1
"""Calls at least: a look at the archive, and the count that proves the pull."""


def extract_estimates(
    client: Client, since: Mapping[str, datetime | None], with_labels: Collection[str]
) -> list[ExtractEstimate]:
    """Choose the extract method of each object, by the time it is read from (None: all rows).

    `labelled` objects need association labels, which a list does not have.
    """
    asked = (
        partial(_estimate_object, client, object, begin, has_labels=object in with_labels)
        for object, begin in since.items()
    )
    return list(map_ordered(asked))


def _estimate_object(
    client: Client, object: str, since: datetime | None, *, has_labels: bool
) -> ExtractEstimate:
    if object == "form_submissions":
        calls = 1 + len(list_forms(client))
        return ExtractEstimate(object, "log", "newest first, form by form", None, calls)
    if object in FULL_REFRESH_ONLY:
        return ExtractEstimate(object, "list", "read whole by every pull", None, 1)
    if object in FIXED_FIELDS:
        return ExtractEstimate(object, "log", "newest first, in a closed window", None, 1)
    if object == "contacts_history":
        return _estimate_history(client, since)
    total = count_records(client, object)
    if since is None:
        calls = _page_calls(total, LIST_LIMIT) + ARCHIVE_CALLS + COUNT_CALLS
        calls += _association_calls(object, total) if has_labels else 0
        return ExtractEstimate(object, "list", "everything is read", total, calls)
    modified = count_records(client, object, modified_since(object, since))
    again = (
        ARCHIVE_CALLS + COUNT_CALLS + _association_calls(object, min(total, ALWAYS_CHECKED_ROWS))
    )
    if is_list_faster(modified, total):
        calls = _page_calls(total, LIST_LIMIT) + _association_calls(object, total) + again
        return ExtractEstimate(object, "list", "most records were modified", total, calls)
    calls = _page_calls(modified, SEARCH_LIMIT) + _association_calls(object, modified) + again
    return ExtractEstimate(
        object, "search", f"modified since {since:%Y-%m-%d %H:%M}", modified, calls
    )


def _estimate_history(client: Client, since: datetime | None) -> ExtractEstimate:
    object = "contacts_history"
    if since is None:
        total = count_records(client, "contacts")
        return ExtractEstimate(
            object, "list", "everything is read", total, _page_calls(total, HISTORY_LIMIT)
        )
    modified = count_records(client, "contacts", modified_since("contacts", since))
    calls = _page_calls(modified, SEARCH_LIMIT) + ceil(modified / HISTORY_LIMIT)
    return ExtractEstimate(object, "search and batch read", "of modified contacts", modified, calls)


def _association_calls(object: str, records: int) -> int:
    """Count the calls that ask to whom engagement belongs."""
    return 0 if object in NOT_ASSOCIATED else ceil(records / ASSOCIATION_LIMIT)


def _page_calls(records: int, limit: int) -> int:
    return max(1, ceil(records / limit))
