"""The properties an account really has, and the fixed columns of what is no CRM object."""

from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import Any

from connectors.hubspot.client import Client
from contract import Catalog, Field, FieldType
from errors import RefusedError

TYPES: Mapping[str, FieldType] = {
    "number": "number",
    "bool": "boolean",
    "date": "date",
    "datetime": "datetime",
}
"""HubSpot's types; every other one is text."""

RECORD = (
    Field("id", "text", writable=False),
    Field("createdAt", "datetime", writable=False),
    Field("updatedAt", "datetime", writable=False),
    Field("archived", "boolean", writable=False),
)
"""What every CRM object has beside its properties."""

ASSOCIATED = Field("associated_contacts", "text", "Contact ids joined with ;", writable=False)
PEOPLE = frozenset({"contacts", "companies"})
"""The objects that are not landed with the contacts they belong to."""

HISTORY = (
    Field("id", "text", writable=False),
    Field("property", "text", writable=False),
    Field("value", "text", writable=False),
    Field("timestamp", "datetime", writable=False),
    Field("sourceType", "text", writable=False),
)

FIXED: Mapping[str, tuple[Field, ...]] = {
    "form_submissions": (
        Field("id", "text", writable=False),
        Field("submittedAt", "datetime", writable=False),
        Field("formId", "text", writable=False),
        Field("formName", "text", writable=False),
        Field("email", "text", writable=False),
        Field("pageUrl", "text", writable=False),
    ),
    "email_events": (
        Field("id", "text", writable=False),
        Field("created", "datetime", writable=False),
        Field("type", "text", writable=False),
        Field("recipient", "text", writable=False),
        Field("filteredEvent", "boolean", writable=False),
        Field("emailCampaignId", "text", writable=False),
    ),
    "page_views": (
        Field("id", "text", writable=False),
        Field("objectId", "text", writable=False),
        Field("occurredAt", "datetime", writable=False),
        Field("url", "text", writable=False),
    ),
}


def catalog(client: Client, objects: Iterable[str]) -> Catalog:
    """Ask for the fields of the objects named; an object HubSpot does not know is left out.

    `contacts_history` has the properties of contacts: those whose past can be asked for.
    """
    found: dict[str, Mapping[str, Field]] = {}
    properties_of = cache(partial(_properties, client))
    for object in dict.fromkeys(objects):
        if fixed := FIXED.get(object):
            found[object] = {field.name: field for field in fixed}
        elif (properties := properties_of(object.removesuffix("_history"))) is not None:
            found[object] = {field.name: field for field in (*_system(object), *properties)}
    return found


def _system(object: str) -> tuple[Field, ...]:
    if object.endswith("_history"):
        return ()
    return RECORD if object in PEOPLE else (*RECORD, ASSOCIATED)


def _properties(client: Client, object: str) -> list[Field] | None:
    try:
        answer = client.get(f"/crm/v3/properties/{object}")
    except RefusedError:
        return None
    return [_field(described) for described in answer["results"]]


def _field(described: Mapping[str, Any]) -> Field:
    can = described.get("modificationMetadata") or {}
    return Field(
        described["name"],
        TYPES.get(described.get("type", ""), "text"),
        described.get("label") or "",
        writable=not (can.get("readOnlyValue") or described.get("calculated")),
        options=_options(described),
    )


def _options(described: Mapping[str, Any]) -> tuple[str, ...] | None:
    # Several values of a checkbox are one text, joined with ";": no list could hold them all.
    if described.get("type") != "enumeration" or described.get("fieldType") == "checkbox":
        return None
    listed = sorted(described.get("options") or (), key=lambda one: one.get("displayOrder") or 0)
    return tuple(option["value"] for option in listed) or None
