"""A custom field as Salesforce's Metadata API and Tooling API describe it."""

from collections.abc import Mapping
from typing import Any

from models import FieldOption, FieldSpec, FieldType

TEXT_LENGTH = 255
LONG_TEXT_LENGTH = 4_000

TYPES: Mapping[FieldType, Mapping[str, Any]] = {
    "text": {"type": "Text", "length": TEXT_LENGTH},
    "number": {"type": "Number", "precision": 18, "scale": 2},
    "integer": {"type": "Number", "precision": 9, "scale": 0},
    "boolean": {"type": "Checkbox", "defaultValue": "false"},
    "date": {"type": "Date"},
    "datetime": {"type": "DateTime"},
}
"""Our type -> the parts of the metadata that belong to the type."""

_LONG_TEXT = {"type": "LongTextArea", "length": LONG_TEXT_LENGTH, "visibleLines": 3}


def field_metadata(spec: FieldSpec) -> dict[str, Any]:
    """Return the metadata of a field. A picklist is restricted: it refuses other values."""
    common = {"label": label(spec), "description": spec.description}
    if not spec.options:
        return common | dict(_LONG_TEXT if spec.is_long else TYPES[spec.type])
    values = [picklist_value(option) for option in spec.options]
    definition = {"sorted": False, "value": values}
    return common | {
        "type": "Picklist",
        "valueSet": {"restricted": True, "valueSetDefinition": definition},
    }


def picklist_value(option: FieldOption, name_key: str = "fullName") -> dict[str, Any]:
    """Return one value of a picklist."""
    return {name_key: option.value, "default": False, "label": option.label}


def label(spec: FieldSpec) -> str:
    """Return the label of a field: its name in words."""
    return spec.name.removesuffix("__c").replace("_", " ")


def type_label(spec: FieldSpec) -> str:
    """Name the type of a field as the setup of Salesforce does."""
    match field_metadata(spec):
        case {"type": "Text", "length": length}:
            return f"text ({length})"
        case {"type": "LongTextArea", "length": length}:
            return f"long text area ({length})"
        case {"type": "Number", "precision": precision, "scale": scale}:
            return f"number ({precision - scale}, {scale})"
        case {"type": "DateTime"}:
            return "date/time"
        case {"type": type}:
            return str(type).lower()
    return spec.type
