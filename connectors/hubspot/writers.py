"""Who wrote the values that stand in HubSpot: the history that it keeps of each property."""

from collections.abc import Sequence
from datetime import UTC, datetime

from more_itertools import chunked

from connectors.extract.arrow import Row
from connectors.hubspot.client import Client
from connectors.hubspot.pagination import HISTORY_LIMIT, drop_malformed
from models import ValueWriter


def value_writers(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str]
) -> list[ValueWriter]:
    """Return the remembered values of some properties with the user or app that wrote them.

    HubSpot does not say which of the apps a token belongs to.
    """
    return [
        writer
        for some in chunked(ids, HISTORY_LIMIT)
        for record in _with_history(client, object, some, fields)
        for name, entries in (record.get("propertiesWithHistory") or {}).items()
        for entry in entries or ()
        if (writer := _writer(str(record["id"]), name, entry))
    ]


def _with_history(
    client: Client, object: str, ids: Sequence[str], fields: Sequence[str]
) -> list[Row]:
    answer = client.read_batch(object, ids, properties=[], propertiesWithHistory=list(fields))
    records: list[Row] = drop_malformed(client, object, answer)["results"]
    return records


def _writer(record_id: str, field: str, entry: Row) -> ValueWriter | None:
    """Read one entry; one without a source or a time names no writer."""
    if not entry.get("sourceId") or not entry.get("timestamp"):
        return None
    return ValueWriter(
        record_id,
        field,
        entry.get("value") or None,
        f"{entry.get('sourceType')} {entry['sourceId']}",
        None,
        datetime.fromisoformat(entry["timestamp"]).astimezone(UTC),
    )
