"""The fields that an account of MiniCRM has."""

from collections.abc import Iterable, Mapping

from errors import RejectedError
from models import Catalog, Field, FieldType

from .client import Client

PRIMARY_KEY = "id"
SYSTEM_FIELDS = ("id", "created", "updated", "deleted")
TYPES: Mapping[str, FieldType] = {
    "string": "text",
    "number": "number",
    "bool": "boolean",
    "datetime": "datetime",
}


def catalog(client: Client, objects: Iterable[str]) -> Catalog:
    """Read the fields of each object; an object that MiniCRM does not have is left out."""
    fields = {}
    for object in dict.fromkeys(objects):
        try:
            described = client.get(f"/fields/{object}")["fields"]
        except RejectedError:
            continue
        fields[object] = {
            field["key"]: Field(
                field["key"],
                TYPES[field["type"]],
                writable=not field.get("read_only"),
                options=tuple(field["options"]) if "options" in field else None,
            )
            for field in described
        }
    return fields
