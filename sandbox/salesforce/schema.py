"""sObjects and their fields, and their `describe`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

TEXTS = frozenset({"string", "email", "phone", "url", "textarea", "picklist"})
NUMBERS = frozenset({"double", "currency", "int", "percent"})

_SOAP_TYPES = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "int": "xsd:int",
    "address": "urn:address",
    **dict.fromkeys(("double", "currency", "percent"), "xsd:double"),
}


@dataclass(frozen=True)
class Field:
    """One field of an sObject, with Salesforce's names of types."""

    name: str
    type: str = "string"
    length: int = 0
    writable: bool = True
    createable: bool | None = None
    required: bool = False
    values: tuple[str, ...] = ()
    restricted: bool = False
    to: tuple[str, ...] = ()
    scale: int = 0
    tracked: bool = False
    filterable: bool = True
    external: bool = False
    compound: str | None = None
    formula: Callable[[dict[str, Any]], Any] | None = None

    @property
    def custom(self) -> bool:
        """Return whether an admin added the field."""
        return self.name.endswith("__c")

    @property
    def relationship(self) -> str | None:
        """Return the relationship name: `Owner` for `OwnerId`, `Deal__r` for `Deal__c`."""
        if not self.to:
            return None
        return f"{self.name[:-3]}__r" if self.custom else self.name.removesuffix("Id")

    @property
    def empty(self) -> Any:
        """Return the value of an empty field: false for booleans, else null."""
        return False if self.type == "boolean" else None

    @property
    def xsd(self) -> str:
        """Return the name of the type in error messages."""
        return _SOAP_TYPES.get(self.type, "xsd:string")

    def may_be_created(self) -> bool:
        """Return whether an insert may set it: some fields can only be set then."""
        return self.writable if self.createable is None else self.createable


@dataclass(frozen=True)
class SObject:
    """An object: its fields by name, in the order `describe` lists them."""

    name: str
    prefix: str
    fields: dict[str, Field] = field(hash=False)
    history: str | None = None

    @cached_property
    def by_lower_name(self) -> dict[str, Field]:
        """Return the fields by lower-case name: queries are case-insensitive."""
        return {name.lower(): one for name, one in self.fields.items()}

    @cached_property
    def parents(self) -> dict[str, Field]:
        """Return the references by the lower-case name of their relationship."""
        return {one.relationship.lower(): one for one in self if one.relationship is not None}

    def below(self, reference: Field) -> str:
        """Return the child relationship name: `Contacts`, `Opportunities`."""
        if reference.custom:
            return f"{self.name.removesuffix('__c')}s__r"
        return f"{self.name[:-1]}ies" if self.name.endswith("y") else f"{self.name}s"

    def __iter__(self) -> Iterator[Field]:
        """Iterate over the fields in order."""
        return iter(self.fields.values())

    def without(self, *names: str) -> "SObject":
        """Return the object without hidden fields."""
        visible = {name: one for name, one in self.fields.items() if name not in names}
        return replace(self, fields=visible)

    def with_field(self, added: Field) -> "SObject":
        """Return the object with one more or one changed field."""
        return replace(self, fields={**self.fields, added.name: added})


def describe(
    sobject: SObject, root: str, below: Iterable[tuple[str, str, str]] = ()
) -> dict[str, Any]:
    """Return the `describe` of one object; `root` is the path of the API version.

    below: children as (relationship name, object, reference to the parent).
    """
    return summary(sobject, root) | {
        "fields": [_described(one, sobject) for one in sobject],
        "childRelationships": [
            {
                "relationshipName": name,
                "childSObject": child,
                "field": reference,
                "cascadeDelete": False,
                "deprecatedAndHidden": False,
                "junctionIdListNames": [],
                "junctionReferenceTo": [],
                "restrictedDelete": False,
            }
            for name, child, reference in below
        ],
        "recordTypeInfos": [],
        "supportedScopes": [{"label": "All records", "name": "everything"}],
        "namedLayoutInfos": [],
        "actionOverrides": [],
        "compactLayoutable": True,
        "defaultImplementation": None,
        "extendsInterfaces": None,
        "implementedBy": None,
        "implementsInterfaces": None,
        "listviewable": None,
        "lookupLayoutable": None,
        "networkScopeFieldName": None,
        "searchLayoutable": True,
        "sobjectDescribeOption": "FULL",
    }


def summary(sobject: SObject, root: str) -> dict[str, Any]:
    """Return the entry of an object in the list of all objects."""
    changeable = any(one.writable for one in sobject)
    here = f"{root}/sobjects/{sobject.name}"
    return {
        "name": sobject.name,
        "label": sobject.name,
        "labelPlural": f"{sobject.name}s",
        "keyPrefix": sobject.prefix,
        "custom": sobject.name.endswith("__c"),
        "customSetting": False,
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "deepCloneable": False,
        "feedEnabled": sobject.name in ("Account", "Contact", "Lead", "Opportunity", "User"),
        "hasSubtypes": False,
        "isInterface": False,
        "isSubtype": False,
        "layoutable": changeable,
        "mruEnabled": changeable,
        "queryable": True,
        "retrieveable": True,
        "createable": changeable,
        "updateable": changeable,
        "deletable": changeable,
        "undeletable": changeable,
        "replicateable": True,
        "searchable": changeable,
        "mergeable": sobject.name in ("Account", "Contact", "Lead"),
        "triggerable": changeable,
        "deprecatedAndHidden": False,
        "urls": {
            "sobject": here,
            "describe": f"{here}/describe",
            "rowTemplate": f"{here}/{{ID}}",
        },
    }


def _described(one: Field, sobject: SObject) -> dict[str, Any]:
    number = one.type in NUMBERS
    return {
        "name": one.name,
        "label": one.name.removesuffix("__c").replace("_", " "),
        "type": one.type,
        "soapType": one.xsd,
        "length": one.length,
        "byteLength": one.length * 3,
        "precision": 18 if number else 0,
        "scale": one.scale,
        "digits": 8 if one.type == "int" else 0,
        "nillable": not one.required and one.type not in ("boolean", "id"),
        "createable": one.may_be_created(),
        "updateable": one.writable,
        "calculated": one.formula is not None and one.type != "address",
        "calculatedFormula": None,
        "autoNumber": False,
        "externalId": one.external,
        "unique": one.external,
        "idLookup": one.external or one.type in ("id", "email"),
        "caseSensitive": False,
        "custom": one.custom,
        "nameField": one.name == "Name",
        "nameFieldUpdateable": False,
        "compoundFieldName": "Name" if _part_of_name(one, sobject) else one.compound,
        "restrictedPicklist": one.restricted,
        "dependentPicklist": False,
        "controllerName": None,
        "defaultValue": one.empty,
        "defaultedOnCreate": one.type == "boolean" or not one.may_be_created(),
        "picklistValues": [_option(value) for value in one.values],
        "referenceTo": list(one.to),
        "relationshipName": one.relationship,
        "relationshipOrder": None,
        "referenceTargetField": None,
        "polymorphicForeignKey": len(one.to) > 1,
        "namePointing": len(one.to) > 1,
        "cascadeDelete": False,
        "restrictedDelete": False,
        "writeRequiresMasterRead": False,
        "aggregatable": one.type not in ("boolean", "textarea"),
        "aiPredictionField": False,
        "defaultValueFormula": None,
        "displayLocationInDecimal": False,
        "extraTypeInfo": "plaintextarea" if one.type == "textarea" else None,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "highScaleNumber": False,
        "mask": None,
        "maskType": None,
        "queryByDistance": False,
        "searchPrefilterable": bool(one.to),
        "filterable": one.filterable,
        "sortable": one.filterable,
        "groupable": one.filterable and not number,
        "permissionable": one.writable and not one.required,
        "encrypted": False,
        "htmlFormatted": False,
        "deprecatedAndHidden": False,
        "inlineHelpText": None,
    }


def _part_of_name(one: Field, sobject: SObject) -> bool:
    return one.name in ("FirstName", "LastName") and "Name" in sobject.fields


def _option(value: str) -> dict[str, Any]:
    return {
        "active": True,
        "defaultValue": False,
        "label": value,
        "validFor": None,
        "value": value,
    }
