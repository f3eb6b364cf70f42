"""A package of metadata that an admin deploys: custom fields, a permission set, lead mapping.

    sf project deploy start --metadata-dir DIR/fields
    sf project deploy start --metadata-dir DIR/lead-conversion

The lead mapping is a package of its own: Salesforce has one list of mapped fields for the org.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from connectors.salesforce.auth import API_VERSION
from connectors.salesforce.field_metadata import field_metadata
from models import FieldSpec

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
PERMISSION_SET = "onefunnel"
LEAD, CONTACT = "Lead", "Contact"


def write_package(
    missing: Sequence[FieldSpec], permitted: Sequence[FieldSpec], folder: Path
) -> list[Path]:
    """Write the packages into a folder; return the paths of the files.

    The permission set names all `permitted` fields: Salesforce replaces an older one of its name.
    The second package is written where a field is on Lead and on Contact: a conversion then carries
    its value over.
    """
    return [_write(folder / path, document) for path, document in _files(missing, permitted)]


def _files(
    missing: Sequence[FieldSpec], permitted: Sequence[FieldSpec]
) -> Iterator[tuple[str, ET.Element]]:
    by_object = sorted(missing, key=attrgetter("object"))
    permitted = [spec for spec in permitted if spec.name.endswith("__c")]
    members = {"CustomField": _full_names(by_object)} if missing else {}
    yield "fields/package.xml", _manifest(members | {"PermissionSet": [PERMISSION_SET]})
    for object, fields in groupby(by_object, key=attrgetter("object")):
        described = [{"fullName": spec.name} | field_metadata(spec) for spec in fields]
        yield f"fields/objects/{object}.object", _document("CustomObject", {"fields": described})
    permission_set = _permission_set(_full_names(permitted))
    yield f"fields/permissionsets/{PERMISSION_SET}.permissionset", permission_set
    if mapped := _on_lead_and_contact(permitted):
        settings = ["LeadConvertSettings"]
        yield "lead-conversion/package.xml", _manifest({"LeadConvertSettings": settings})
        file = "LeadConvertSettings.LeadConvertSetting"
        yield f"lead-conversion/LeadConvertSettings/{file}", _lead_mapping(mapped)


def _full_names(specs: Iterable[FieldSpec]) -> list[str]:
    return [f"{spec.object}.{spec.name}" for spec in specs]


def _on_lead_and_contact(specs: Iterable[FieldSpec]) -> list[str]:
    objects: dict[str, set[str]] = {}
    for spec in specs:
        objects.setdefault(spec.name, set()).add(spec.object)
    return [name for name, found in objects.items() if {LEAD, CONTACT} <= found]


def _manifest(members: Mapping[str, list[str]]) -> ET.Element:
    types = [{"members": names, "name": type} for type, names in members.items()]
    return _document("Package", {"types": types, "version": API_VERSION})


def _permission_set(names: Sequence[str]) -> ET.Element:
    granted = [{"editable": True, "field": name, "readable": True} for name in names]
    label = {"description": "Read and edit the fields of onefunnel.", "label": PERMISSION_SET}
    return _document("PermissionSet", {"fieldPermissions": granted} | label)


def _lead_mapping(names: Sequence[str]) -> ET.Element:
    mapped = [{"inputField": name, "outputField": name} for name in names]
    mapping = {"inputObject": LEAD, "mappingFields": mapped, "outputObject": CONTACT}
    return _document("LeadConvertSettings", {"objectMapping": mapping})


def _document(root: str, content: Mapping[str, Any]) -> ET.Element:
    element = ET.Element(root, xmlns=NAMESPACE)
    _add(element, content)
    return element


def _add(parent: ET.Element, content: Mapping[str, Any]) -> None:
    """Add the parts of a mapping as elements; a list is the same element several times."""
    for name, value in content.items():
        for one in value if isinstance(value, list) else [value]:
            element = ET.SubElement(parent, name)
            if isinstance(one, Mapping):
                _add(element, one)
            else:
                element.text = str(one).lower() if isinstance(one, bool) else str(one)


def _write(path: Path, document: ET.Element) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.indent(document, "    ")
    path.write_bytes(ET.tostring(document, encoding="UTF-8", xml_declaration=True) + b"\n")
    return path
