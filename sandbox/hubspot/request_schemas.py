"""The schemas of request bodies, validated before the handler runs.

HubSpot accepts numbers and booleans as texts in some places, lists and objects never.
"""

from typing import Any, Final, Literal, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from sandbox.hubspot.errors import invalid, invalid_json

Text = str | int | float | bool
Properties = dict[str, Text | None]


class Id(TypedDict):
    """A record by its id."""

    id: Text


class LinkType(TypedDict):
    """The type of an association."""

    associationCategory: Literal["HUBSPOT_DEFINED", "USER_DEFINED", "INTEGRATOR_DEFINED"]
    associationTypeId: int


class Link(TypedDict):
    """An association of a new record."""

    to: Id
    types: list[LinkType]


class Creation(TypedDict):
    """A new record."""

    properties: Properties
    associations: NotRequired[list[Link] | None]
    objectWriteTraceId: NotRequired[str | None]


class Change(TypedDict):
    """New values of one record."""

    properties: Properties


class BatchChange(Change):
    """New values of one record of a batch."""

    id: Text
    idProperty: NotRequired[str | None]
    objectWriteTraceId: NotRequired[str | None]


class Creations(TypedDict):
    """New records."""

    inputs: list[Creation]


class Changes(TypedDict):
    """New values of records."""

    inputs: list[BatchChange]


class Ids(TypedDict):
    """Records by id."""

    inputs: list[Id]


class Reading(Ids):
    """Records to read, and their fields."""

    properties: NotRequired[list[str] | None]
    propertiesWithHistory: NotRequired[list[str] | None]
    idProperty: NotRequired[str | None]


class Filter(TypedDict):
    """One condition of a search."""

    propertyName: str
    operator: Literal[
        "EQ",
        "NEQ",
        "LT",
        "LTE",
        "GT",
        "GTE",
        "BETWEEN",
        "IN",
        "NOT_IN",
        "HAS_PROPERTY",
        "NOT_HAS_PROPERTY",
        "CONTAINS_TOKEN",
        "NOT_CONTAINS_TOKEN",
    ]
    value: NotRequired[Text | None]
    highValue: NotRequired[Text | None]
    values: NotRequired[list[Text] | None]


class FilterGroup(TypedDict):
    """Conditions joined by AND."""

    filters: list[Filter]


class Search(TypedDict, total=False):
    """A search."""

    query: str | None
    limit: int | str | None
    after: int | str | None
    sorts: list[dict[str, str] | str] | None
    properties: list[str] | None
    filterGroups: list[FilterGroup] | None
    filters: list[Filter] | None


class Merge(TypedDict):
    """Two records to merge."""

    primaryObjectId: Text
    objectIdToMerge: Text


class Erasure(TypedDict):
    """A contact to erase."""

    objectId: Text
    idProperty: NotRequired[str | None]


class LinkedFrom(Id):
    """A record whose associations are read, and the page."""

    after: NotRequired[str | int | None]


class LinksRead(TypedDict):
    """Records whose links are read."""

    inputs: list[LinkedFrom]


LinkedPair = TypedDict("LinkedPair", {"from": Id, "to": Id, "types": list[LinkType]})
LinkedMany = TypedDict("LinkedMany", {"from": Id, "to": list[Id]})


class LinksMade(TypedDict):
    """Pairs to link."""

    inputs: list[LinkedPair]


class LinksCut(TypedDict):
    """Pairs to unlink."""

    inputs: list[LinkedMany]


DefaultPair = TypedDict("DefaultPair", {"from": Id, "to": Id})


class DefaultLinks(TypedDict):
    """Pairs to associate by the default type."""

    inputs: list[DefaultPair]


class ListSearch(TypedDict, total=False):
    """Which lists to find."""

    query: str
    listIds: list[str]
    offset: int
    count: int
    processingTypes: list[str]
    additionalProperties: list[str]
    sort: str


class ExportStart(TypedDict):
    """What to export; a view, or a list."""

    exportType: Literal["VIEW", "LIST"]
    exportName: str
    format: Literal["CSV", "XLSX", "XLS"]
    language: str
    objectType: str
    objectProperties: list[str]
    exportInternalValuesOptions: list[Literal["NAMES", "VALUES"]]
    overrideAssociatedObjectsPerDefinitionPerRowLimit: bool
    listId: NotRequired[str]


class Choice(TypedDict):
    """An option of an enumeration."""

    label: str
    value: str
    hidden: NotRequired[bool]
    displayOrder: NotRequired[int]
    description: NotRequired[str | None]


class PropertyChange(TypedDict, total=False):
    """The changeable parts of a property."""

    label: str
    groupName: str
    type: str
    fieldType: str
    description: str
    options: list[Choice]
    hidden: bool
    formField: bool
    displayOrder: int
    calculationFormula: str


class PropertyMade(TypedDict):
    """A new property."""

    name: str
    label: str
    type: str
    fieldType: str
    groupName: str
    description: NotRequired[str]
    options: NotRequired[list[Choice]]
    hidden: NotRequired[bool]
    formField: NotRequired[bool]
    displayOrder: NotRequired[int]
    hasUniqueValue: NotRequired[bool]
    externalOptions: NotRequired[bool]
    referencedObjectType: NotRequired[str]
    calculationFormula: NotRequired[str]


class PropertiesMade(TypedDict):
    """New properties."""

    inputs: list[PropertyMade]


class PropertyName(TypedDict):
    """A property by its name."""

    name: str


class PropertiesRead(TypedDict):
    """Which properties, and whether of the archived ones."""

    archived: bool
    inputs: list[PropertyName]


class PropertiesArchived(TypedDict):
    """Which properties."""

    inputs: list[PropertyName]


class Named(TypedDict):
    """A value of the first API; contacts call the name `property`."""

    name: str
    value: NotRequired[Text | None]


class Pair(TypedDict):
    """A value of a contact of the first API."""

    property: str
    value: NotRequired[Text | None]


class OldContact(TypedDict):
    """A contact of the first API."""

    properties: list[Pair]


class OldBatchContact(OldContact):
    """A contact of a batch of the first API."""

    vid: NotRequired[Text]
    email: NotRequired[str]


class OldRecord(TypedDict):
    """A company or a deal of the first API."""

    properties: list[Named]


class OldBatchRecord(OldRecord):
    """A company or a deal of a batch of the first API."""

    objectId: Text


class OldEngagement(TypedDict):
    """An engagement of the first API."""

    engagement: dict[str, Any]
    associations: NotRequired[dict[str, list[int | None]]]
    metadata: NotRequired[dict[str, Any]]


class OldLink(TypedDict):
    """A link of the first API."""

    fromObjectId: Text
    toObjectId: Text
    definitionId: Text


LinkOf3 = TypedDict("LinkOf3", {"from": Id, "to": Id, "type": str})


class OldGroup(TypedDict):
    """A new property group of the first API."""

    name: str
    displayName: NotRequired[str]
    displayOrder: NotRequired[int]


class OldDomain(TypedDict):
    """A search of companies by domain."""

    limit: NotRequired[Text]
    requestOptions: NotRequired[dict[str, list[str]] | None]
    offset: NotRequired[dict[str, Any] | None]


class LinksOf3(TypedDict):
    """Links of version 3."""

    inputs: list[LinkOf3]


class Labels(TypedDict, total=False):
    """Singular and plural label of an object type."""

    singular: str
    plural: str


class PropertyOfKind(TypedDict):
    """A property of a new custom object."""

    name: str
    label: str
    type: str
    fieldType: str


class KindMade(TypedDict):
    """A new custom object."""

    name: str
    labels: Labels
    requiredProperties: list[str]
    properties: list[PropertyOfKind]
    associatedObjects: list[str]


class KindChanged(TypedDict, total=False):
    """The changeable parts of a custom object."""

    labels: Labels
    requiredProperties: list[str]
    primaryDisplayProperty: str
    secondaryDisplayProperties: list[str]
    searchableProperties: list[str]
    description: str | None


class KindLinked(TypedDict):
    """A new association type between object types."""

    fromObjectTypeId: str
    toObjectTypeId: str


class ListMade(TypedDict):
    """A new list."""

    name: str
    objectTypeId: str
    processingType: Literal["MANUAL", "DYNAMIC", "SNAPSHOT"]


class ListChange(TypedDict):
    """Added and removed members of a list."""

    recordIdsToAdd: list[str]
    recordIdsToRemove: list[str]


class GroupMade(TypedDict):
    """A new group of properties."""

    name: str
    label: str
    displayOrder: NotRequired[int]


class GroupChanged(TypedDict, total=False):
    """The changeable parts of a property group."""

    label: str
    displayOrder: int


_OBJECTS: Final = "/crm/v3/objects/{object}"
_LINK: Final = "/crm/v4/objects/{object}/{record_id}/associations/{to_object}"
_LINKS: Final = "/crm/v4/associations/{object}/{to_object}"
_LINKS_3: Final = "/crm/v3/associations/{object}/{to_object}"
_PROPERTIES: Final = "/crm/v3/properties/{object}"

_OBJECT: Final[TypeAdapter[Any]] = TypeAdapter(dict[str, Any])
"""A body without a documented schema."""

BODIES: Final[dict[tuple[str, str], TypeAdapter[Any]]] = {
    route: TypeAdapter(shape)
    for route, shape in {
        ("POST", f"{_OBJECTS}/merge"): Merge,
        ("POST", "/crm/v3/objects/contacts/gdpr-delete"): Erasure,
        ("POST", f"{_OBJECTS}/search"): Search,
        ("POST", f"{_OBJECTS}/batch/read"): Reading,
        ("POST", f"{_OBJECTS}/batch/update"): Changes,
        ("POST", f"{_OBJECTS}/batch/upsert"): Changes,
        ("POST", f"{_OBJECTS}/batch/create"): Creations,
        ("POST", f"{_OBJECTS}/batch/archive"): Ids,
        ("POST", _OBJECTS): Creation,
        ("PATCH", f"{_OBJECTS}/{{record_id}}"): Change,
        ("POST", f"{_LINKS}/batch/read"): LinksRead,
        ("POST", f"{_LINKS_3}/batch/read"): LinksRead,
        ("POST", f"{_LINKS}/batch/create"): LinksMade,
        ("POST", f"{_LINKS}/batch/archive"): LinksCut,
        ("POST", f"{_LINKS}/batch/associate/default"): DefaultLinks,
        ("PUT", f"{_LINK}/{{to_id}}"): list[LinkType],
        ("POST", f"{_LINKS_3}/batch/create"): LinksOf3,
        ("POST", f"{_LINKS_3}/batch/archive"): LinksOf3,
        **{
            (method, f"{root}{path}"): shape
            for root in ("/crm/v3/schemas", "/crm-object-schemas/v3/schemas")
            for method, path, shape in (
                ("POST", "", KindMade),
                ("PATCH", "/{object}", KindChanged),
                ("POST", "/{object}/associations", KindLinked),
            )
        },
        ("POST", f"{_PROPERTIES}/groups"): GroupMade,
        ("PATCH", f"{_PROPERTIES}/groups/{{group}}"): GroupChanged,
        ("POST", "/crm/v3/lists"): ListMade,
        ("PUT", "/crm/v3/lists/{list_id}/memberships/add-and-remove"): ListChange,
        ("POST", "/contacts/v1/contact"): OldContact,
        ("POST", "/contacts/v1/contact/vid/{vid}/profile"): OldContact,
        ("POST", "/contacts/v1/contact/email/{email}/profile"): OldContact,
        ("POST", "/contacts/v1/contact/createOrUpdate/email/{email}"): OldContact,
        ("POST", "/contacts/v1/contact/batch"): list[OldBatchContact],
        ("POST", "/companies/v2/companies"): OldRecord,
        ("PUT", "/companies/v2/companies/{record_id}"): OldRecord,
        ("POST", "/{object}/v1/batch-async/update"): list[OldBatchRecord],
        ("POST", "/deals/v1/deal"): OldRecord,
        ("POST", "/companies/v2/domains/{domain}/companies"): OldDomain,
        **{
            ("POST", f"{root}/groups"): OldGroup
            for root in ("/properties/{version}/{object}", "/{object}/v1", "/{object}/v2")
        },
        ("PUT", "/deals/v1/deal/{record_id}"): OldRecord,
        ("POST", "/engagements/v1/engagements"): OldEngagement,
        ("PUT", "/crm-associations/v1/associations"): OldLink,
        ("PUT", "/crm-associations/v1/associations/delete"): OldLink,
        ("PUT", "/crm-associations/v1/associations/create-batch"): list[OldLink],
        ("PUT", "/crm-associations/v1/associations/delete-batch"): list[OldLink],
        ("POST", "/crm/v3/lists/search"): ListSearch,
        ("PUT", "/crm/v3/lists/{list_id}/memberships/add"): list[str],
        ("PUT", "/crm/v3/lists/{list_id}/memberships/remove"): list[str],
        ("POST", "/crm/v3/exports/export/async"): ExportStart,
        ("POST", _PROPERTIES): PropertyMade,
        ("POST", f"{_PROPERTIES}/batch/create"): PropertiesMade,
        ("POST", f"{_PROPERTIES}/batch/read"): PropertiesRead,
        ("POST", f"{_PROPERTIES}/batch/archive"): PropertiesArchived,
        ("PATCH", f"{_PROPERTIES}/{{name}}"): PropertyChange,
    }.items()
}


def validate_body(method: str, path: str, body: Any) -> None:
    """Raise for a body that does not match the schema of its route."""
    shape = BODIES.get((method, path), _OBJECT)
    try:
        shape.validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "missing":
            message = f"Some required fields were not set: [{first['loc'][-1]}]"
            raise invalid(f"Invalid input JSON on line 1, column 2. {message}") from None
        place = ".".join(map(str, first["loc"]))
        raise invalid_json(f"Cannot deserialize value of {place}: {first['msg']}") from None
