"""Custom fields by the Tooling API: create, read and change; invisible until a permission set.

A new field is seen by no user until a permission set that is assigned to the user grants it.
"""

from dataclasses import replace
from typing import Any

from sandbox.salesforce.errors import ApiError, not_found
from sandbox.salesforce.ids import normalised, record_id
from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.rows import number_of
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.store import SalesforceStore

PREFIX = "00N"
GRANTING = ("FieldPermissions", "PermissionSetAssignment")
"""A new record of these can make a field visible."""

_TYPES = {
    "Text": "string",
    "TextArea": "textarea",
    "LongTextArea": "textarea",
    "Picklist": "picklist",
    "Number": "double",
    "Checkbox": "boolean",
    "Date": "date",
    "DateTime": "datetime",
}
_METADATA_TYPES = {of: name for name, of in reversed(_TYPES.items())}
_NEEDED = {
    "Text": ("length",),
    "LongTextArea": ("length", "visibleLines"),
    "Picklist": ("valueSet",),
    "Number": ("precision", "scale"),
    "Checkbox": ("defaultValue",),
}


def field_id(sobject: str, name: str) -> str:
    """Return the id of a custom field; it stays the same when other fields are added."""
    return record_id(PREFIX, number_of(f"{sobject}.{name}"))


def create(request: ApiRequest) -> ApiResponse:
    """Create a custom field: `{"FullName": "Lead.x__c", "Metadata": {...}}`."""
    if request.path["object"] != "CustomField":
        raise not_found()
    body = request.json()
    object_name, _, name = str(body.get("FullName", "")).partition(".")
    sobject = request.store.sobject_of_all(object_name)
    if not name.endswith("__c"):
        raise ApiError("FIELD_INTEGRITY_EXCEPTION", "The field name must end with __c")
    if name in sobject.fields:
        message = f"There is already a field named {name.removesuffix('__c')} on {object_name}."
        raise ApiError("DUPLICATE_DEVELOPER_NAME", message)
    request.store.define_hidden(object_name, _field(name, body.get("Metadata") or {}))
    return ApiResponse(
        {"id": field_id(object_name, name), "success": True, "errors": []}, status=201
    )


def read(request: ApiRequest) -> ApiResponse:
    """Return a custom field with its metadata."""
    sobject, field = _find(request)
    id = field_id(sobject.name, field.name)
    return ApiResponse(
        {"Id": id, "FullName": f"{sobject.name}.{field.name}", "Metadata": _metadata(field)}
    )


def change(request: ApiRequest) -> ApiResponse:
    """Replace the metadata of a custom field."""
    sobject, old = _find(request)
    changed = _field(old.name, request.json().get("Metadata") or {})
    is_visible = old.name in request.store.sobject(sobject.name).fields
    put = request.store.define if is_visible else request.store.define_hidden
    put(sobject.name, replace(changed, writable=old.writable, tracked=old.tracked))
    return ApiResponse(status=204)


def grant(store: SalesforceStore) -> None:
    """Show the fields that the permission sets of our user grant."""
    assigned = {
        row["PermissionSetId"]
        for row in store.tables["PermissionSetAssignment"].values()
        if row["AssigneeId"] == store.user_id
    }
    for row in store.tables["FieldPermissions"].values():
        sobject, _, name = row["Field"].partition(".")
        field = store.sobject_of_all(sobject).fields.get(name)
        if field and row["ParentId"] in assigned and row.get("PermissionsRead"):
            store.define(sobject, replace(field, writable=bool(row.get("PermissionsEdit"))))


def _find(request: ApiRequest) -> tuple[SObject, Field]:
    wanted = normalised(request.path["id"])
    for sobject in request.store.sobjects_of_all():
        for field in sobject:
            if field.custom and field_id(sobject.name, field.name) == wanted:
                return sobject, field
    raise not_found()


def _field(name: str, metadata: dict[str, Any]) -> Field:
    type_name = metadata.get("type", "")
    if type_name not in _TYPES:
        raise ApiError("INVALID_TYPE", f"{type_name} is not a type of a custom field")
    missing = [
        one for one in ("label", *_NEEDED.get(type_name, ())) if metadata.get(one) in (None, "")
    ]
    if missing:
        message = f"Required fields are missing: [{', '.join(missing)}]"
        raise ApiError("REQUIRED_FIELD_MISSING", message)
    value_set = metadata.get("valueSet") or {}
    values = (value_set.get("valueSetDefinition") or {}).get("value") or ()
    return Field(
        name,
        _TYPES[type_name],
        255 if type_name in ("Picklist", "TextArea") else int(metadata.get("length") or 0),
        values=tuple(one.get("valueName") or one["fullName"] for one in values),
        restricted=bool(value_set.get("restricted")),
        scale=int(metadata.get("scale") or 0),
    )


def _metadata(field: Field) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "type": _METADATA_TYPES.get(field.type, "Text"),
        "label": field.name.removesuffix("__c").replace("_", " "),
        "length": field.length or None,
        "precision": 18 if field.type in ("double", "currency") else None,
        "scale": field.scale,
        "visibleLines": 3,
        "defaultValue": "false" if field.type == "boolean" else None,
        "valueSet": None,
    }
    if field.type == "picklist":
        listed = [
            {"valueName": value, "label": value, "default": False, "isActive": None}
            for value in field.values
        ]
        definition = {"sorted": False, "value": listed}
        metadata["valueSet"] = {
            "restricted": field.restricted,
            "valueSetDefinition": definition,
            "valueSetName": None,
        }
    return metadata
