"""Fields that a mapping writes: created in an account, with what the account allows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from connector_helpers import hubspot_client, salesforce_client, small_sandbox
from connectors import Client, FieldSetup, connector
from connectors.salesforce.field_package import NAMESPACE
from errors import AccessError
from models import FieldOption, FieldSpec
from sandbox.faults import Fault
from sandbox.server import Sandbox

STAGES = (FieldOption("lead", "Lead"), FieldOption("mql", "MQL"))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Serve both CRMs, small."""
    with small_sandbox(people=5) as sandbox:
        yield sandbox


def field_setup(crm: str) -> FieldSetup[Client]:
    """Return what a connector can do about fields."""
    found = connector(crm).field_setup
    assert found is not None
    return found


def spec(object: str, name: str, type: Any = "text", **more: Any) -> FieldSpec:
    """Describe a field that is written from the stage."""
    return FieldSpec(object, name, "stage", type, **more)


def every_type(object: str, suffix: str = "") -> list[FieldSpec]:
    """Describe a field of each type."""
    types = ("text", "number", "integer", "boolean", "date", "datetime")
    plain = [spec(object, f"onefunnel_a_{type}{suffix}", type) for type in types]
    return [
        *plain,
        spec(object, f"onefunnel_a_list{suffix}", options=STAGES),
        spec(object, f"onefunnel_long{suffix}", is_long=True),
    ]


def test_hubspot_gets_a_property_of_each_type_in_a_group_of_ours(sandbox: Sandbox) -> None:
    """The catalog shows the types and the options that were asked for."""
    client, specs = hubspot_client(sandbox), every_type("contacts")

    results = list(field_setup("hubspot").create(client, specs))

    fields = connector("hubspot").catalog(client, ["contacts"])["contacts"]
    shown = {one.name: fields[one.name].type for one in specs}
    wanted = {one.name: "number" if one.type == "integer" else one.type for one in specs}
    assert [result.status for result in results] == ["created"] * len(specs)
    assert shown == wanted
    assert fields["onefunnel_a_list"].options == ("lead", "mql")
    assert "onefunnel" in sandbox.hubspot.tables["contacts"].groups


def test_a_property_that_exists_is_left_as_it_is(sandbox: Sandbox) -> None:
    """Also where the answer to the first call was lost, and the call was sent again."""
    client, setup = hubspot_client(sandbox), field_setup("hubspot")
    specs = [spec("contacts", "onefunnel_x"), spec("contacts", "onefunnel_y")]
    list(setup.create(client, specs[:1]))

    again = list(setup.create(client, specs))

    assert [result.status for result in again] == ["exists", "created"]


def test_an_archived_property_is_restored(sandbox: Sandbox) -> None:
    """`explain_missing` says that it is archived; HubSpot restores it when it is created again."""
    client, setup = hubspot_client(sandbox), field_setup("hubspot")
    table = sandbox.hubspot.tables["contacts"]
    table.archived_properties["onefunnel_score"] = table.properties.pop("onefunnel_score")

    names = ["onefunnel_score", "onefunnel_zzz"]
    reasons = setup.explain_missing(client, "contacts", names)
    list(setup.create(client, [spec("contacts", "onefunnel_score", "number")]))

    assert reasons == {"onefunnel_score": "archived", "onefunnel_zzz": "missing"}
    assert "onefunnel_score" in table.properties


def test_options_are_added_behind_those_that_a_property_has(sandbox: Sandbox) -> None:
    """HubSpot replaces the list: the options of before are sent again."""
    client = hubspot_client(sandbox)
    standing = spec("contacts", "onefunnel_standing")
    before = sandbox.hubspot.tables["contacts"].properties["onefunnel_standing"].options

    result = field_setup("hubspot").add_options(client, standing, STAGES[:1] + STAGES[1:])

    after = sandbox.hubspot.tables["contacts"].properties["onefunnel_standing"].options
    assert result.status == "options added"
    assert after[: len(before)] == before
    assert [option.value for option in after[len(before) :]] == ["lead", "mql"]


def test_a_property_of_hubspot_itself_is_not_changed(sandbox: Sandbox) -> None:
    """The text says where an admin adds the stage by hand."""
    client = hubspot_client(sandbox)

    result = field_setup("hubspot").add_options(client, spec("contacts", "lifecyclestage"), STAGES)

    assert result.status == "refused"
    assert "settings of HubSpot" in result.text


def test_a_missing_scope_for_properties_is_named(sandbox: Sandbox) -> None:
    """Nothing is created."""
    sandbox.hubspot.denied_scopes.add("crm.schemas.contacts.write")
    create = field_setup("hubspot").create(
        hubspot_client(sandbox), [spec("contacts", "onefunnel_x")]
    )

    with pytest.raises(AccessError, match=r"crm\.schemas\.contacts\.write"):
        list(create)


def test_salesforce_gets_a_field_of_each_type_that_our_user_may_edit(sandbox: Sandbox) -> None:
    """A new field is invisible: a permission set grants it, and is assigned to our user."""
    client, specs = salesforce_client(sandbox), every_type("Lead", "__c")

    results = list(field_setup("salesforce").create(client, specs))

    fields = connector("salesforce").catalog(client, ["Lead"])["Lead"]
    shown = {one.name: fields[one.name].type for one in specs}
    wanted = {one.name: "number" if one.type == "integer" else one.type for one in specs}
    assert [result.status for result in results] == ["created"] * len(specs)
    assert shown == wanted
    assert all(fields[one.name].writable for one in specs)
    assert (fields["onefunnel_a_list__c"].options, fields["onefunnel_a_list__c"].restricted) == (
        ("lead", "mql"),
        True,
    )


def test_a_hidden_field_is_permitted_and_not_created_again(sandbox: Sandbox) -> None:
    """`explain_missing` says which field is hidden and which is missing."""
    client, setup = salesforce_client(sandbox), field_setup("salesforce")
    sandbox.salesforce.hide("Lead", "onefunnel_score__c", "HasOptedOutOfEmail")
    names = ["onefunnel_score__c", "HasOptedOutOfEmail", "onefunnel_zzz__c"]

    reasons = setup.explain_missing(client, "Lead", names)
    results = list(setup.create(client, [spec("Lead", "onefunnel_score__c", "number")]))
    again = list(setup.create(client, [spec("Lead", "onefunnel_score__c", "number")]))

    assert list(reasons.values()) == ["hidden", "hidden", "missing"]
    assert [one.status for one in (*results, *again)] == ["permitted", "permitted"]
    assert "onefunnel_score__c" in sandbox.salesforce.schema["Lead"].fields
    assert len(sandbox.salesforce.tables["PermissionSetAssignment"].values()) == 1


def test_a_user_who_may_not_view_the_setup_knows_less(sandbox: Sandbox) -> None:
    """A custom field is then missing or hidden; a standard one exists in every org."""
    denied = [{"errorCode": "INSUFFICIENT_ACCESS", "message": "insufficient access"}]
    sandbox.faults.plan(Fault(path="/tooling/query", status=403, body=denied))

    reasons = field_setup("salesforce").explain_missing(
        salesforce_client(sandbox), "Lead", ["onefunnel_score__c", "HasOptedOutOfEmail"]
    )

    assert reasons == {"onefunnel_score__c": "unknown", "HasOptedOutOfEmail": "hidden"}


def test_a_user_who_may_not_change_the_setup_is_named(sandbox: Sandbox) -> None:
    """The text names the permissions, and the package as the other way. Nothing is created."""
    denied = [{"errorCode": "INSUFFICIENT_ACCESS_OR_READONLY", "message": "insufficient access"}]
    sandbox.faults.plan(Fault(path="/sobjects/PermissionSet", status=403, body=denied))
    create = field_setup("salesforce").create(
        salesforce_client(sandbox), [spec("Lead", "onefunnel_x__c")]
    )

    with pytest.raises(AccessError, match="Customize Application"):
        list(create)

    assert (
        "POST /services/data/v60.0/tooling/sobjects/CustomField"
        not in (sandbox.faults.calls()["salesforce"])
    )


def test_values_are_added_behind_those_of_a_picklist(sandbox: Sandbox) -> None:
    """The metadata is replaced as a whole: the values of before are sent again."""
    client = salesforce_client(sandbox)
    before = sandbox.salesforce.schema["Lead"].fields["onefunnel_standing__c"].values

    result = field_setup("salesforce").add_options(
        client, spec("Lead", "onefunnel_standing__c"), [FieldOption("evangelist", "Evangelist")]
    )

    after = sandbox.salesforce.schema["Lead"].fields["onefunnel_standing__c"].values
    assert (result.status, after) == ("options added", (*before, "evangelist"))


def test_a_standard_picklist_is_not_changed(sandbox: Sandbox) -> None:
    """The text says that an admin adds the value in the setup."""
    result = field_setup("salesforce").add_options(
        salesforce_client(sandbox), spec("Lead", "LeadSource"), STAGES
    )

    assert (result.status, "setup of Salesforce" in result.text) == ("refused", True)


def texts(file: Path, tag: str) -> list[str | None]:
    """Return the texts of all elements of a name in a file of metadata."""
    return [element.text for element in ET.parse(file).iter(f"{{{NAMESPACE}}}{tag}")]


def test_a_package_has_fields_permissions_and_the_lead_mapping(tmp_path: Path) -> None:
    """The permission set also names the fields that exist: deploying it replaces the older one."""
    write_package = field_setup("salesforce").write_package
    assert write_package is not None
    missing = [spec("Lead", "onefunnel_a__c", options=STAGES), spec("Contact", "onefunnel_a__c")]
    present = spec("Lead", "onefunnel_b__c", "boolean")

    paths = write_package(missing, [*missing, present], tmp_path)

    assert sorted(path.relative_to(tmp_path).as_posix() for path in paths) == [
        "fields/objects/Contact.object",
        "fields/objects/Lead.object",
        "fields/package.xml",
        "fields/permissionsets/onefunnel.permissionset",
        "lead-conversion/LeadConvertSettings/LeadConvertSettings.LeadConvertSetting",
        "lead-conversion/package.xml",
    ]
    assert texts(tmp_path / "fields/package.xml", "members") == [
        "Contact.onefunnel_a__c",
        "Lead.onefunnel_a__c",
        "onefunnel",
    ]
    lead = tmp_path / "fields/objects/Lead.object"
    assert texts(lead, "fullName") == ["onefunnel_a__c", "lead", "mql"]
    assert texts(lead, "restricted") == ["true"]
    permission_set = tmp_path / "fields/permissionsets/onefunnel.permissionset"
    assert texts(permission_set, "field")[-1] == "Lead.onefunnel_b__c"
    mapping = (
        tmp_path / "lead-conversion/LeadConvertSettings/LeadConvertSettings.LeadConvertSetting"
    )
    assert texts(mapping, "inputField") == ["onefunnel_a__c"]


def test_hubspot_has_no_package() -> None:
    """Its properties are created by its API."""
    assert field_setup("hubspot").write_package is None
