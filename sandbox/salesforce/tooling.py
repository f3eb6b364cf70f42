"""The catalog as records for queries.

The Tooling API has EntityDefinition, FieldDefinition, CustomField and ValidationRule; queries of
the data API have the first two. `CustomField` lists the fields that are hidden from the user as
well; `custom_fields.py` writes them. The rest of the Tooling API is missing.
"""

from collections.abc import Iterator

from sandbox.salesforce import custom_fields
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.ids import record_id
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.rows import Row, stamped
from sandbox.salesforce.schema import Field, SObject, describe, summary
from sandbox.salesforce.soql import parse
from sandbox.salesforce.store import SalesforceStore
from sandbox.salesforce.validation_rules import CUSTOM, ValidationRule

_IN_DATA = ("entitydefinition", "fielddefinition")
_TYPES = {
    "string": "Text({length})",
    "email": "Email",
    "phone": "Phone",
    "url": "URL",
    "textarea": "Text Area({length})",
    "picklist": "Picklist",
    "multipicklist": "Picklist (Multi-Select)",
    "boolean": "Checkbox",
    "date": "Date",
    "datetime": "Date/Time",
    "double": "Number(18, {scale})",
    "int": "Number({length}, 0)",
    "currency": "Currency(16, {scale})",
    "percent": "Percent(18, {scale})",
    "reference": "Lookup({to})",
    "id": "Id",
}


def _texts(*names: str) -> list[Field]:
    return [Field(name, "string", 255, writable=False) for name in names]


def _flags(*names: str) -> list[Field]:
    return [Field(name, "boolean", writable=False) for name in names]


def _object(name: str, prefix: str, *fields: Field) -> SObject:
    usual = [Field("Id", "id", 18, writable=False), *_stamps()]
    return SObject(name, prefix, {one.name: one for one in (*usual, *fields)})


def _stamps() -> list[Field]:
    names = ("CreatedDate", "LastModifiedDate", "SystemModstamp")
    return [Field(name, "datetime", writable=False) for name in names]


_ENTITY = _object(
    "EntityDefinition",
    "4ie",
    *_texts("DurableId", "QualifiedApiName", "DeveloperName", "Label", "MasterLabel"),
    *_texts("PluralLabel", "KeyPrefix", "NamespacePrefix", "PublisherId"),
    *_flags("IsCustomizable", "IsQueryable", "IsCustomSetting", "IsDeprecatedAndHidden"),
    *_flags("IsSearchable", "IsApexTriggerable", "IsWorkflowEnabled", "IsEverCreatable"),
)
_FIELD = _object(
    "FieldDefinition",
    "4fe",
    Field("EntityDefinitionId", "reference", 18, writable=False, to=("EntityDefinition",)),
    *_texts("DurableId", "QualifiedApiName", "DeveloperName", "Label", "MasterLabel", "DataType"),
    *_texts("ValueTypeId", "RelationshipName", "NamespacePrefix", "Description"),
    *(Field(name, "int", writable=False) for name in ("Length", "Precision", "Scale")),
    *_flags("IsCalculated", "IsNillable", "IsIndexed", "IsNameField", "IsCompound"),
    *_flags("IsFieldHistoryTracked", "IsHtmlFormatted", "IsHighScaleNumber"),
    *_flags("IsPolymorphicForeignKey"),
)
_CUSTOM = _object(
    "CustomField",
    custom_fields.PREFIX,
    *_texts("DeveloperName", "TableEnumOrId", "NamespacePrefix", "Description"),
)
_RULE = _object(
    "ValidationRule",
    "03d",
    Field("EntityDefinitionId", "reference", 18, writable=False, to=("EntityDefinition",)),
    *_texts("ValidationName", "ErrorMessage", "ErrorDisplayField", "Description"),
    *_flags("Active"),
)
_OBJECTS = (_ENTITY, _FIELD, _CUSTOM, _RULE)


def catalog(store: SalesforceStore, text: str, *, of_data: bool) -> SalesforceStore:
    """Return the store of a query: the records, or the catalog as records."""
    if of_data and parse(text).source.text.lower() not in _IN_DATA:
        return store
    return _as_records(store)


def resources(request: ApiRequest) -> ApiResponse:
    """List the resources of the Tooling API."""
    here = f"{request.root}/tooling"
    return ApiResponse({name: f"{here}/{name}" for name in ("query", "sobjects")})


def objects(request: ApiRequest) -> ApiResponse:
    """List the objects of the Tooling API."""
    here = f"{request.root}/tooling"
    listed = [summary(one, here) for one in _OBJECTS]
    return ApiResponse({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed})


def described(request: ApiRequest) -> ApiResponse:
    """Describe an object of the Tooling API."""
    wanted = request.path["object"].lower()
    for one in _OBJECTS:
        if one.name.lower() == wanted:
            return ApiResponse(describe(one, f"{request.root}/tooling"))
    raise ApiError("NOT_FOUND", "The requested resource does not exist", status=404)


def _as_records(store: SalesforceStore) -> SalesforceStore:
    made = store.beside(*_OBJECTS)
    number = 0
    for at, sobject in enumerate(store.schema.values(), 1):
        entity = record_id(_ENTITY.prefix, at)
        made.tables[_ENTITY.name][entity] = _dated(store, _entity(sobject) | {"Id": entity})
        for nth, rule in enumerate(_validation_rules(store, sobject), 1):
            id = record_id(_RULE.prefix, 1000 * at + nth)
            made.tables[_RULE.name][id] = _dated(
                store, rule | {"Id": id, "EntityDefinitionId": entity}
            )
        for field in sobject:
            number += 1
            id = record_id(_FIELD.prefix, number)
            row = _field(sobject, field) | {"Id": id, "EntityDefinitionId": entity}
            made.tables[_FIELD.name][id] = _dated(store, row)
    for sobject in store.sobjects_of_all():
        for field in sobject:
            if field.custom:
                own = custom_fields.field_id(sobject.name, field.name)
                name = field.name.removesuffix("__c")
                custom = {"Id": own, "DeveloperName": name, "TableEnumOrId": sobject.name}
                made.tables[_CUSTOM.name][own] = _dated(store, custom)
    return made


def _validation_rules(store: SalesforceStore, sobject: SObject) -> Iterator[Row]:
    for nth, rule in enumerate(store.rules[sobject.name], 1):
        # a failing flow is no validation rule
        if isinstance(rule, ValidationRule) and rule.code == CUSTOM:
            yield {
                "ValidationName": f"{sobject.name}_rule_{nth}",
                "ErrorMessage": rule.message,
                "ErrorDisplayField": rule.fields[0] if rule.fields else None,
                "Active": True,
            }


def _dated(store: SalesforceStore, row: Row) -> Row:
    at = store.schema_changed_at
    return stamped(row, at, at, store.user_id)


def _entity(sobject: SObject) -> Row:
    changeable = any(one.writable for one in sobject)
    return {
        "DurableId": sobject.name,
        "QualifiedApiName": sobject.name,
        "DeveloperName": sobject.name.removesuffix("__c"),
        "Label": sobject.name,
        "MasterLabel": sobject.name,
        "PluralLabel": f"{sobject.name}s",
        "KeyPrefix": sobject.prefix,
        "PublisherId": "<local>" if sobject.name.endswith("__c") else "System",
        "IsCustomizable": changeable,
        "IsQueryable": True,
        "IsCustomSetting": False,
        "IsDeprecatedAndHidden": False,
        "IsSearchable": changeable,
        "IsApexTriggerable": changeable,
        "IsWorkflowEnabled": changeable,
        "IsEverCreatable": changeable,
    }


def _field(sobject: SObject, field: Field) -> Row:
    type_label = _TYPES.get(field.type, field.type.title())
    label = field.name.removesuffix("__c").replace("_", " ")
    return {
        "DurableId": f"{sobject.name}.{field.name}",
        "QualifiedApiName": field.name,
        "DeveloperName": field.name.removesuffix("__c"),
        "Label": label,
        "MasterLabel": label,
        "DataType": type_label.format(
            length=field.length, scale=field.scale, to=",".join(field.to)
        ),
        "ValueTypeId": field.type,
        "RelationshipName": field.relationship,
        "Length": field.length,
        "Precision": 0,
        "Scale": field.scale,
        "IsCalculated": field.formula is not None and field.type != "address",
        "IsNillable": not field.required and field.type not in ("boolean", "id"),
        "IsIndexed": field.external or field.type in ("id", "reference"),
        "IsNameField": field.name == "Name",
        "IsCompound": field.type == "address",
        "IsFieldHistoryTracked": field.tracked,
        "IsHtmlFormatted": False,
        "IsHighScaleNumber": False,
        "IsPolymorphicForeignKey": len(field.to) > 1,
    }
