"""Who wrote the values that stand in Salesforce: the last user who modified each record.

Field history says it field by field, but only where an admin switched it on for the field.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from connectors.salesforce.client import DATA_PATH, Client
from connectors.salesforce.verify import read_by_id
from models import ValueWriter

_COLUMNS = ("Id", "LastModifiedById", "LastModifiedDate")


def value_writers(
    client: Client,
    object: str,
    ids: Sequence[str],
    fields: Sequence[str],  # noqa: ARG001
) -> list[ValueWriter]:
    """Return who modified each record last, and whether that is the user we log in as."""
    own = _own_user(client)
    return [
        ValueWriter(
            str(row["Id"]),
            None,
            None,
            str(row["LastModifiedById"]),
            str(row["LastModifiedById"])[:15] == own[:15],
            datetime.fromisoformat(row["LastModifiedDate"]).astimezone(UTC),
        )
        for row in read_by_id(client, object, ids, _COLUMNS)
        if row.get("LastModifiedById") and row.get("LastModifiedDate")
    ]


def _own_user(client: Client) -> str:
    """Return the id of the user of the session: the end of its identity URL."""
    identity = client.get(f"{DATA_PATH}/", expected_key="identity")["identity"]
    return str(identity).rpartition("/")[2]
