"""Create custom fields on Lead and Contact, by the Tooling API, and permit them to our user."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from connectors import FieldSetup
from connectors.salesforce.client import DATA_PATH, Client
from connectors.salesforce.field_metadata import field_metadata, picklist_value, type_label
from connectors.salesforce.field_package import PERMISSION_SET, write_package
from errors import AccessError, RejectedError
from models import FieldChangeResult, FieldChangeStatus, FieldOption, FieldSpec, MissingReason

TOOLING_PATH = f"{DATA_PATH}/tooling"
USER_PATH = "/services/oauth2/userinfo"
ALREADY_EXISTS = frozenset({"DUPLICATE_DEVELOPER_NAME", "DUPLICATE_VALUE"})


def explain_missing(
    client: Client, object: str, names: Sequence[str]
) -> Mapping[str, MissingReason]:
    """Say which fields exist though describe does not show them.

    Every org has the standard fields. Of the custom ones the Tooling API lists all, where the user
    may view the setup.
    """
    if not names:
        return {}
    try:
        # the Tooling API lists the fields of a custom object by an id, not by its name
        existing = None if object.endswith("__c") else _custom_field_ids(client, object)
    except (AccessError, RejectedError):
        existing = None
    return {name: _reason(name, existing) for name in names}


def _reason(name: str, existing: Collection[str] | None) -> MissingReason:
    if not name.endswith("__c"):
        return "hidden"
    if existing is None:
        return "unknown"
    return "hidden" if name in existing else "missing"


def _custom_field_ids(client: Client, object: str) -> dict[str, str]:
    soql = f"SELECT Id, DeveloperName FROM CustomField WHERE TableEnumOrId = '{object}'"
    rows = client.read_page(f"{TOOLING_PATH}/query", q=soql)["records"]
    return {f"{row['DeveloperName']}__c": row["Id"] for row in rows}


def create(client: Client, specs: Sequence[FieldSpec]) -> Iterator[FieldChangeResult]:
    """Create custom fields, and permit them to our user with a permission set of their own.

    A new field is invisible to every user until a permission set grants it. A field that exists and
    is hidden is only permitted.

    Raises: AccessError: the user may not change the setup of the org.
    """
    try:
        permission_set = _ensure_permission_set(client)
    except RejectedError as error:
        raise AccessError(
            f"the user of Salesforce may not change the setup of the org ({error.code}): give it"
            " Customize Application, Manage Profiles and Permission Sets, and Assign Permission"
            " Sets; or let an admin deploy the package of `fields --package DIR`"
        ) from error
    for spec in specs:
        created = _create_field(client, spec)
        if created.status == "refused":
            yield created
            continue
        refused = _permit(client, spec, permission_set)
        done: FieldChangeStatus = "permitted" if created.status == "exists" else "created"
        yield FieldChangeResult(spec.object, spec.name, "refused" if refused else done, refused)


def _create_field(client: Client, spec: FieldSpec) -> FieldChangeResult:
    body = {"FullName": f"{spec.object}.{spec.name}", "Metadata": field_metadata(spec)}
    try:
        client.create(f"{TOOLING_PATH}/sobjects/CustomField", body)
    except RejectedError as error:
        status: FieldChangeStatus = "exists" if error.code in ALREADY_EXISTS else "refused"
        return FieldChangeResult(spec.object, spec.name, status, str(error))
    return FieldChangeResult(spec.object, spec.name, "created")


def _ensure_permission_set(client: Client) -> str:
    """Return the id of our permission set, which is created and assigned to our user."""
    found = _first_id(client, f"SELECT Id FROM PermissionSet WHERE Name = '{PERMISSION_SET}'")
    body = {"Name": PERMISSION_SET, "Label": PERMISSION_SET}
    set_id = found or client.create(f"{DATA_PATH}/sobjects/PermissionSet", body)
    user_id = client.get(USER_PATH, expected_key="user_id")["user_id"]
    assignment = {"AssigneeId": user_id, "PermissionSetId": set_id}
    assigned = _first_id(
        client,
        "SELECT Id FROM PermissionSetAssignment"
        f" WHERE AssigneeId = '{user_id}' AND PermissionSetId = '{set_id}'",
    )
    if not assigned:
        client.create(f"{DATA_PATH}/sobjects/PermissionSetAssignment", assignment)
    return set_id


def _first_id(client: Client, soql: str) -> str:
    rows = client.read_page(f"{DATA_PATH}/query", q=soql)["records"]
    return str(rows[0]["Id"]) if rows else ""


def _permit(client: Client, spec: FieldSpec, permission_set: str) -> str:
    """Let our user read and edit a field; return why Salesforce refused it, or an empty text."""
    body = {
        "ParentId": permission_set,
        "SobjectType": spec.object,
        "Field": f"{spec.object}.{spec.name}",
        "PermissionsRead": True,
        "PermissionsEdit": True,
    }
    try:
        client.create(f"{DATA_PATH}/sobjects/FieldPermissions", body)
    except RejectedError as error:
        return "" if error.code in ALREADY_EXISTS else str(error)
    return ""


def add_options(
    client: Client, spec: FieldSpec, options: Sequence[FieldOption]
) -> FieldChangeResult:
    """Add values behind those of a picklist. The metadata is replaced, so all of it is sent."""
    id = _custom_field_ids(client, spec.object).get(spec.name)
    if id is None:
        text = "this is no custom field of this org: add the value in the setup of Salesforce"
        return FieldChangeResult(spec.object, spec.name, "refused", text)
    path = f"{TOOLING_PATH}/sobjects/CustomField/{id}"
    metadata = client.get(path, expected_key="Metadata")["Metadata"]
    values = _own_values(metadata)
    if values is None:
        text = "its values are those of a global value set: add the value there"
        return FieldChangeResult(spec.object, spec.name, "refused", text)
    # the name of a value is `fullName` in the Metadata API, `valueName` in what is read here
    key = "valueName" if any("valueName" in value for value in values) else "fullName"
    values.extend(picklist_value(option, key) for option in options)
    try:
        client.change(path, {"Metadata": metadata})
    except RejectedError as error:
        return FieldChangeResult(spec.object, spec.name, "refused", str(error))
    words = ", ".join(option.value for option in options)
    return FieldChangeResult(spec.object, spec.name, "options added", words)


def _own_values(metadata: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    value_set = metadata.get("valueSet") or {}
    definition = value_set.get("valueSetDefinition")
    if value_set.get("valueSetName") or not definition:
        return None
    values: list[dict[str, Any]] = definition["value"]
    return values


FIELD_SETUP: FieldSetup[Client] = FieldSetup(
    type_label=type_label,
    explain_missing=explain_missing,
    create=create,
    add_options=add_options,
    write_package=write_package,
)
