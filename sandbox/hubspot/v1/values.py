"""Values in HubSpot's first API: times are milliseconds, inputs are name-value pairs."""

from typing import Any
from uuid import uuid4

from sandbox.hubspot.errors import ApiError
from sandbox.hubspot.store import HubSpotStore, ObjectTable
from sandbox.hubspot.values import parse_instant


def plain(table: ObjectTable, name: str, value: str) -> str:
    """Write a value as the first API does: times and dates as epoch milliseconds."""
    definition = table.properties.get(name)
    if definition and definition.type in ("date", "datetime"):
        at = parse_instant(value)
        return value if at is None else str(at)
    return value


def written_properties(
    store: HubSpotStore, table: ObjectTable, pairs: list[dict[str, Any]], key: str
) -> dict[str, str]:
    """Validate name-value pairs; `key` is the key of the name."""
    try:
        return store.validate_properties(table, [{one[key]: one.get("value") for one in pairs}])[0]
    except ApiError as refused:
        raise _v1_value(refused) from refused


def _v1_value(refused: ApiError) -> ApiError:
    errors = refused.body["errors"] if isinstance(refused.body, dict) else []
    results = [
        {
            "isValid": False,
            "message": one["message"],
            "error": one["code"],
            "name": one["context"]["propertyName"][0],
        }
        for one in errors
    ]
    error = {"status": "error", "message": "Property values were not valid"}
    return ApiError(400, {"validationResults": results, **error, "correlationId": str(uuid4())})
