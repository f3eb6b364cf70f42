"""How the next pull would read HubSpot, and what that costs: from counts, before it is read."""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from math import ceil

from connectors.concurrency import ahead
from connectors.hubspot.associations import ASSOCIATION_LIMIT
from connectors.hubspot.catalog import FIXED, PEOPLE
from connectors.hubspot.client import Client
from connectors.hubspot.pagination import (
    HISTORY_LIMIT,
    LIST_LIMIT,
    SEARCH_LIMIT,
    counted,
    is_list_quicker,
    modified_since,
)
from connectors.hubspot.verify import SWEPT_ALWAYS
from models import Road

WHOLE = frozenset({"owners", "list_memberships", "pipeline_stages"})
ARCHIVE, COUNT = 1, 1
"""Calls at least: a look at the archive, and the count that proves the pull."""


def roads(
    client: Client, since: Mapping[str, datetime | None], labelled: Collection[str]
) -> list[Road]:
    """Choose a road for each object that is read from an instant on, or (None) whole.

    Of those `labelled` the labels of links are wanted, which no list tells.
    """
    asked = (
        partial(_road, client, object, begin, has_labels=object in labelled)
        for object, begin in since.items()
    )
    return list(ahead(asked))


def _road(client: Client, object: str, since: datetime | None, *, has_labels: bool) -> Road:
    if object == "form_submissions":
        forms = client.get("/marketing/v3/forms/", holds="results", limit=LIST_LIMIT)["results"]
        return Road(object, "log", "newest first, form by form", None, 1 + len(forms))
    if object in WHOLE:
        return Road(object, "list", "read whole by every pull", None, 1)
    if object in FIXED:
        return Road(object, "log", "newest first, in a closed window", None, 1)
    if object == "contacts_history":
        return _history(client, since)
    total = counted(client, object)
    if since is None:
        calls = _calls(total, LIST_LIMIT) + ARCHIVE + COUNT
        calls += _links(object, total) if has_labels else 0
        return Road(object, "list", "everything is read", total, calls)
    modified = counted(client, object, modified_since(object, since))
    again = ARCHIVE + COUNT + _links(object, min(total, SWEPT_ALWAYS))
    if is_list_quicker(modified, total):
        calls = _calls(total, LIST_LIMIT) + _links(object, total) + again
        return Road(object, "list", "most records were modified", total, calls)
    calls = _calls(modified, SEARCH_LIMIT) + _links(object, modified) + again
    return Road(object, "search", f"modified since {since:%Y-%m-%d %H:%M}", modified, calls)


def _history(client: Client, since: datetime | None) -> Road:
    object = "contacts_history"
    if since is None:
        total = counted(client, "contacts")
        return Road(object, "list", "everything is read", total, _calls(total, HISTORY_LIMIT))
    modified = counted(client, "contacts", modified_since("contacts", since))
    calls = _calls(modified, SEARCH_LIMIT) + ceil(modified / HISTORY_LIMIT)
    return Road(object, "search and batch read", "of modified contacts", modified, calls)


def _links(object: str, records: int) -> int:
    """Count the calls that ask to whom engagement belongs."""
    return 0 if object in PEOPLE else ceil(records / ASSOCIATION_LIMIT)


def _calls(records: int, limit: int) -> int:
    return max(1, ceil(records / limit))
