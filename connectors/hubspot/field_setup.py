"""Create contact properties, and add options to them, by HubSpot's properties API."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors import FieldSetup
from connectors.hubspot.client import Client
from connectors.hubspot.error_codes import ALREADY_EXISTS
from errors import AccessError, RejectedError
from models import FieldChangeResult, FieldOption, FieldSpec, FieldType, MissingReason

GROUP = {"name": "onefunnel", "label": "onefunnel"}
"""The group of our properties. HubSpot refuses a property whose group does not exist."""

TYPES: Mapping[FieldType, tuple[str, str]] = {
    "text": ("string", "text"),
    "number": ("number", "number"),
    "integer": ("number", "number"),
    "boolean": ("bool", "booleancheckbox"),
    "date": ("date", "date"),
    "datetime": ("datetime", "date"),
}
"""Our type -> `type` and `fieldType` of HubSpot."""

TYPE_LABELS = {
    "select": "dropdown select",
    "text": "single-line text",
    "textarea": "multi-line text",
    "number": "number",
    "booleancheckbox": "single checkbox",
    "date": "date picker",
}
"""`fieldType` -> what the settings of HubSpot call it."""

YES_AND_NO = (FieldOption("true", "Yes"), FieldOption("false", "No"))


def type_label(spec: FieldSpec) -> str:
    """Name the type of a property as the settings of HubSpot do."""
    label = TYPE_LABELS[_types(spec)[1]]
    return "date and time picker" if spec.type == "datetime" else label


def explain_missing(
    client: Client, object: str, names: Sequence[str]
) -> Mapping[str, MissingReason]:
    """Say which of some properties are archived, and which hold sensitive data.

    HubSpot lists sensitive properties only where a call asks for them.
    """
    if not names:
        return {}
    archived = _names(client, object, archived="true")
    try:
        sensitive = _names(client, object, dataSensitivity="sensitive")
    except (AccessError, RejectedError):  # the account has no sensitive data, or the token no scope
        sensitive = set()
    return {
        name: "archived" if name in archived else "hidden" if name in sensitive else "missing"
        for name in names
    }


def _names(client: Client, object: str, **params: Any) -> set[str]:
    path = client.path("properties", object=object)
    answer = client.get(path, expected_key="results", **params)
    return {described["name"] for described in answer["results"]}


def create(client: Client, specs: Sequence[FieldSpec]) -> Iterator[FieldChangeResult]:
    """Create properties in a group of their own. An archived property is restored.

    Raises: AccessError: the token lacks the scope to change properties.
    """
    for object in dict.fromkeys(spec.object for spec in specs):
        _ensure_group(client, object)
    for spec in specs:
        path = client.path("properties", object=spec.object)
        try:
            client.change_schema("POST", path, property_body(spec))
        except RejectedError as error:
            is_there = error.code == ALREADY_EXISTS
            yield FieldChangeResult(
                spec.object, spec.name, "exists" if is_there else "refused", str(error)
            )
        else:
            yield FieldChangeResult(spec.object, spec.name, "created")


def _ensure_group(client: Client, object: str) -> None:
    path = client.path("property_groups", object=object)
    groups = client.get(path, expected_key="results")["results"]
    if GROUP["name"] not in {group["name"] for group in groups}:
        try:
            client.change_schema("POST", path, GROUP)
        except RejectedError as error:
            if error.code not in (ALREADY_EXISTS, "CONFLICT"):
                raise


def property_body(spec: FieldSpec) -> dict[str, Any]:
    """Return the definition of a property as HubSpot takes it."""
    type, field_type = _types(spec)
    options = YES_AND_NO if type == "bool" else spec.options or ()
    return {
        "name": spec.name,
        "label": spec.name.replace("_", " "),
        "description": spec.description,
        "groupName": GROUP["name"],
        "type": type,
        "fieldType": field_type,
        "options": [_option(one, order) for order, one in enumerate(options)],
        "formField": False,
    }


def add_options(
    client: Client, spec: FieldSpec, options: Sequence[FieldOption]
) -> FieldChangeResult:
    """Add options behind those of a property. HubSpot replaces the list, so all of it is sent."""
    path = client.path("property", object=spec.object, name=spec.name)
    described = client.get(path)
    can = described.get("modificationMetadata") or {}
    if can.get("readOnlyDefinition") or can.get("readOnlyOptions"):
        text = (
            "HubSpot allows no app to change this property. Add the option in the settings of"
            " HubSpot, and write its internal name into the mapping"
        )
        return FieldChangeResult(spec.object, spec.name, "refused", text)
    present = sorted(described["options"], key=lambda one: one.get("displayOrder") or 0)
    kept = [{name: one[name] for name in _OPTION_PARTS if name in one} for one in present]
    added = [_option(one, len(kept) + order) for order, one in enumerate(options)]
    try:
        client.change_schema("PATCH", path, {"options": [*kept, *added]})
    except RejectedError as error:
        return FieldChangeResult(spec.object, spec.name, "refused", str(error))
    words = ", ".join(option.value for option in options)
    return FieldChangeResult(spec.object, spec.name, "options added", words)


_OPTION_PARTS = ("label", "value", "description", "displayOrder", "hidden")


def _option(option: FieldOption, order: int) -> dict[str, Any]:
    return {"label": option.label, "value": option.value, "displayOrder": order, "hidden": False}


def _types(spec: FieldSpec) -> tuple[str, str]:
    if spec.options:
        return "enumeration", "select"
    return ("string", "textarea") if spec.is_long else TYPES[spec.type]


FIELD_SETUP: FieldSetup[Client] = FieldSetup(
    type_label=type_label,
    explain_missing=explain_missing,
    create=create,
    add_options=add_options,
)
