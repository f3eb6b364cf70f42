"""The fields an org really has, as far as the user we log in as may see them."""

from collections.abc import Iterable, Mapping
from typing import Any

from connectors.salesforce.client import DATA_PATH, Client, has_key, has_text
from errors import RejectedError
from models import Catalog, Field, FieldType

PRIMARY_KEY = "Id"
"""The column every landed table has its key in."""

TYPES: Mapping[str, FieldType] = {
    "boolean": "boolean",
    "currency": "number",
    "date": "date",
    "datetime": "datetime",
    "double": "number",
    "int": "integer",
    "long": "integer",
    "percent": "number",
}
"""Salesforce's types; every other one is text."""

COMPOUND = frozenset({"address", "base64", "complexvalue", "location"})
"""What Bulk queries refuse; its parts are fields of their own."""


def catalog(client: Client, objects: Iterable[str]) -> Catalog:
    """Ask for the fields of the objects named; an object Salesforce does not show is left out.

    What field-level security hides is not in the answer either: missing and not permitted look
    alike. The active values of a picklist are its options.
    """
    found: dict[str, Mapping[str, Field]] = {}
    for object in dict.fromkeys(objects):
        try:
            described = client.get(
                f"{DATA_PATH}/sobjects/{object}/describe",
                expected_key="fields",
                is_valid=_are_fields,
            )
        except RejectedError:
            continue
        fields = [_field(one) for one in described["fields"] if one["type"] not in COMPOUND]
        found[object] = {field.name: field for field in fields}
    return found


def _are_fields(described: Any) -> bool:
    return isinstance(described, list) and all(has_text("name", "type", one) for one in described)


def _field(described: Mapping[str, Any]) -> Field:
    type = TYPES.get(described["type"], "text")
    return Field(
        described["name"],
        type,
        described.get("label") or "",
        writable=bool(described.get("updateable")),
        calculated=bool(described.get("calculated")),
        options=_options(described),
        restricted=bool(described.get("restrictedPicklist")),
        max_length=(described.get("length") or None) if type == "text" else None,
    )


def _options(described: Mapping[str, Any]) -> tuple[str, ...] | None:
    if described["type"] != "picklist":
        return None
    values = described.get("picklistValues") or ()
    return (
        tuple(value["value"] for value in values if has_key("value", value) and value.get("active"))
        or None
    )
