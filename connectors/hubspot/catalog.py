"""The properties an account really has, and the fixed columns of what is no CRM object."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from connectors.concurrency import map_ordered
from connectors.hubspot.client import Client
from errors import AccessError, RejectedError
from models import Catalog, Field, FieldType

PRIMARY_KEY = "id"
"""The column every landed table has its key in."""

TYPES: Mapping[str, FieldType] = {
    "number": "number",
    "bool": "boolean",
    "date": "date",
    "datetime": "datetime",
}
"""HubSpot's types; every other one is text."""

SYSTEM_FIELDS = (
    Field("id", "text", writable=False),
    Field("createdAt", "datetime", writable=False),
    Field("updatedAt", "datetime", writable=False),
    Field("archived", "boolean", writable=False),
)
"""What every CRM object has beside its properties."""

ASSOCIATED_CONTACTS = Field(
    "associated_contacts", "text", "Contact ids joined with ;", writable=False
)
ASSOCIATION_LABELS = Field(
    "contact_labels", "text", "Labels of these links joined with ;", writable=False
)
"""Read where a mapping names it: a list response does not have it."""

NOT_ASSOCIATED = frozenset({"contacts", "companies"})
"""The objects that are not landed with the contacts they belong to."""

HISTORY_FIELDS = (
    Field("id", "text", writable=False),
    Field("property", "text", writable=False),
    Field("value", "text", writable=False),
    Field("timestamp", "datetime", writable=False),
    Field("sourceType", "text", writable=False),
)

FIXED_FIELDS: Mapping[str, tuple[Field, ...]] = {
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
        Field("portalSubscriptionStatus", "text", writable=False),
    ),
    "owners": (
        Field("id", "text", writable=False),
        Field("email", "text", writable=False),
        Field("firstName", "text", writable=False),
        Field("lastName", "text", writable=False),
        Field("userId", "text", writable=False),
        Field("createdAt", "datetime", writable=False),
        Field("updatedAt", "datetime", writable=False),
        Field("archived", "boolean", writable=False),
    ),
    "list_memberships": (
        Field("id", "text", writable=False),
        Field("listId", "text", writable=False),
        Field("listName", "text", writable=False),
        Field("recordId", "text", writable=False),
        Field("membershipTimestamp", "datetime", writable=False),
    ),
    "pipeline_stages": (
        Field("id", "text", writable=False),
        Field("object", "text", writable=False),
        Field("pipelineId", "text", writable=False),
        Field("pipelineLabel", "text", writable=False),
        Field("stageId", "text", writable=False),
        Field("label", "text", writable=False),
        Field("displayOrder", "integer", writable=False),
        Field("isClosed", "boolean", writable=False),
        Field("probability", "number", writable=False),
        Field("updatedAt", "datetime", writable=False),
    ),
    "page_views": (
        Field("id", "text", writable=False),
        Field("objectId", "text", writable=False),
        Field("occurredAt", "datetime", writable=False),
        Field("url", "text", writable=False),
    ),
}


ACCESS_CHECKS: Mapping[str, Callable[[Client], object]] = {
    "form_submissions": lambda client: client.get(client.path("forms"), limit=100),
    "owners": lambda client: client.get(client.path("owners"), limit=1),
    "list_memberships": lambda client: search_lists(client, offset=0, count=1),
    "pipeline_stages": lambda client: client.get(client.path("pipelines", object="contacts")),
}
"""How to see whether fixed columns may be read; the others belong to products one may lack."""


def search_lists(
    client: Client,
    *,
    offset: int,
    count: int,
    is_valid: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> dict[str, Any]:
    """Ask for a page of the lists of all kinds."""
    # dated paths refuse the search where one of these four keys is missing
    body = {"additionalProperties": [], "listIds": [], "processingTypes": [], "offset": offset}
    path, body = client.path("list_search"), body | {"count": count}
    return client.post(path, body, expected_key="lists", is_valid=is_valid)


def catalog(client: Client, objects: Iterable[str]) -> Catalog:
    """Ask for the fields of the objects named; an object HubSpot does not know is left out.

    `contacts_history` has the properties of contacts: those whose past can be asked for.

    Raises: AccessError that names every scope the token lacks to read the objects.
    """
    names = dict.fromkeys(objects)
    kinds = list(dict.fromkeys(_kind(object) for object in names))
    found = dict(
        zip(kinds, map_ordered(partial(_check_access, client, kind) for kind in kinds), strict=True)
    )
    if denied := [one for one in found.values() if isinstance(one, AccessError)]:
        raise AccessError("\n".join(dict.fromkeys(str(one) for one in denied)))
    fields = {object: _fields(object, found[_kind(object)]) for object in names}
    return {object: listed for object, listed in fields.items() if listed is not None}


def _kind(object: str) -> str:
    return object.removesuffix("_history")


def _fields(
    object: str, properties: list[Field] | AccessError | None
) -> Mapping[str, Field] | None:
    if fixed := FIXED_FIELDS.get(object):
        return {field.name: field for field in fixed}
    if not isinstance(properties, list):
        return None
    return {field.name: field for field in (*_system_fields(object), *properties)}


def _check_access(client: Client, kind: str) -> list[Field] | AccessError | None:
    """Read the properties of an object and a first record; None: there is no such object."""
    try:
        if kind in FIXED_FIELDS:
            if look := ACCESS_CHECKS.get(kind):
                look(client)
            return []
        found = properties(client, kind)
        if found is not None:
            with suppress(RejectedError):  # the reader of the object reports it
                client.get(client.path("records", object=kind), limit=1)
        return found
    except AccessError as error:
        return error


def _system_fields(object: str) -> tuple[Field, ...]:
    if object.endswith("_history"):
        return ()
    return (
        SYSTEM_FIELDS
        if object in NOT_ASSOCIATED
        else (*SYSTEM_FIELDS, ASSOCIATED_CONTACTS, ASSOCIATION_LABELS)
    )


def properties(client: Client, object: str) -> list[Field] | None:
    """Ask for the properties an object has now; None: there is no such object."""
    try:
        answer = client.get(client.path("properties", object=object), expected_key="results")
    except RejectedError:
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
