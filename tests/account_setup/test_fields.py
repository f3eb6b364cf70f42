"""`fields`: what the mappings write and an account lacks, and how it gets it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.loader import CONFIG_FOLDER, load_configuration
from config.wanted_fields import wanted_fields
from models import FieldSpec
from run_helpers import configured_sandbox, run_cli, table_rows
from sandbox.faults import Fault
from sandbox.hubspot.schema import Option
from sandbox.server import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """Serve both CRMs, and point all settings at them."""
    with configured_sandbox(tmp_path, people=5) as sandbox:
        yield sandbox


def states(crm: str) -> dict[str, str]:
    """Return the state of each field that a mapping writes."""
    listed = json.loads(run_cli("fields", "--json").stdout)[crm]
    return {f"{one['spec']['object']}.{one['spec']['name']}": one["state"] for one in listed}


def spec(name: str, crm: str = "hubspot") -> FieldSpec:
    """Return a field as the mappings of this repository need it."""
    configuration = load_configuration()
    found = wanted_fields(configuration.mappings[crm], configuration.definition)
    return next(one for one in found if one.name == name)


@pytest.mark.parametrize(
    ("name", "type", "is_list"),
    [
        pytest.param("onefunnel_standing", "text", True, id="stages and what else a standing is"),
        pytest.param("onefunnel_next_action", "text", True, id="the actions of the stages"),
        pytest.param("onefunnel_score", "number", False, id="number"),
        pytest.param("onefunnel_stage_since", "datetime", False, id="time"),
        pytest.param("onefunnel_reasons", "text", False, id="text"),
    ],
)
def test_a_field_has_the_type_of_its_column(name: str, type: str, is_list: bool) -> None:
    """A column with a fixed list of values becomes a list."""
    found = spec(name)

    assert (found.type, found.options is not None) == (type, is_list)


def test_options_are_the_words_of_the_mapping_with_the_labels_of_the_definition() -> None:
    """Every accepted word is an option; a word that the team chose is its own label."""
    standing, stage = spec("onefunnel_standing"), spec("lifecyclestage")

    labels = {option.value: option.label for option in standing.options or ()}
    words = [option.value for option in stage.options or ()]
    assert (labels["mql"], labels["SQL / prospect"], labels["recycled"]) == (
        "MQL",
        "SQL / prospect",
        "Recycled",
    )
    assert words[3:6] == ["salesqualifiedlead", "opportunity", "customer"]


def test_a_complete_account_lacks_nothing(sandbox: Sandbox) -> None:
    """The table fits 80 columns and cuts no name."""
    ended = run_cli("fields")

    assert set(states("hubspot").values()) == set(states("salesforce").values()) == {"exists"}
    assert max(len(line) for line in ended.stdout.splitlines()) <= 80
    assert "Contact.onefunnel_next_action__c" in ended.stdout


@pytest.mark.parametrize("crm", ["hubspot", "salesforce"])
@pytest.mark.long
def test_missing_fields_are_shown_then_created(sandbox: Sandbox, crm: str) -> None:
    """Without --yes nothing is created; with it `check` finds every field."""
    forget_our_fields(sandbox)

    before = states(crm)
    preview = run_cli("fields", "--create", crm)
    unchanged = states(crm)
    created = run_cli("fields", "--create", crm, "--yes")

    ours = {name for name in before if ".onefunnel_" in name}
    assert {before[name] for name in ours} == {"missing"}
    assert "Nothing was created" in preview.stdout
    assert unchanged == before
    assert created.exit_code == 0, created.stderr
    assert {states(crm)[name] for name in ours} == {"exists"}


def forget_our_fields(sandbox: Sandbox) -> None:
    """Take the fields of onefunnel out of both accounts, also out of the setup."""
    properties = sandbox.hubspot.tables["contacts"].properties
    for name in [name for name in properties if name.startswith("onefunnel_")]:
        del properties[name]
    for sobject in ("Lead", "Contact"):
        names = [one for one in sandbox.salesforce.schema[sobject].fields if "onefunnel_" in one]
        sandbox.salesforce.drop(sobject, *names)


def test_each_creation_is_logged(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """With CRM, object and field: an admin sees who added it."""
    forget_our_fields(sandbox)

    run_cli("fields", "--create", "hubspot", "--field", "onefunnel_score", "--yes")

    assert caplog.messages == [
        "field.setup crm=hubspot object=contacts field=onefunnel_score status=created"
    ]


@pytest.mark.parametrize(
    ("crm", "name", "places"),
    [
        ("hubspot", "onefunnel_score", ["contacts"]),
        ("salesforce", "onefunnel_score__c", ["Lead", "Contact"]),
    ],
)
def test_each_creation_is_kept_and_shown(
    sandbox: Sandbox, crm: str, name: str, places: list[str]
) -> None:
    """In the warehouse, also before its first run: with time, field and result."""
    forget_our_fields(sandbox)

    run_cli("fields", "--create", crm, "--field", name, "--yes")
    shown = run_cli("fields")
    listed = json.loads(run_cli("fields", "--json").stdout)[crm]

    kept = [(row["crm"], row["object"], row["field"], row["status"]) for row in stored_changes()]
    assert kept == [(crm, place, name, "created") for place in places]
    assert "set up so far" in shown.stdout
    assert max(len(line) for line in shown.stdout.splitlines()) <= 80
    changed = {one["spec"]["object"] for one in listed if one["set_up"]}
    assert changed == set(places)


def test_a_refused_creation_is_kept_too(sandbox: Sandbox) -> None:
    """With what the CRM refused."""
    forget_our_fields(sandbox)
    refusal = {"category": "VALIDATION_ERROR", "message": "no"}
    sandbox.faults.plan(
        Fault(path="/properties/contacts", method="POST", status=400, body=refusal, after=1)
    )

    ended = run_cli("fields", "--create", "hubspot", "--field", "onefunnel_score", "--yes")

    [row] = stored_changes()
    assert (ended.exit_code, row["status"]) == (1, "refused")
    assert "VALIDATION_ERROR" in row["text"]


def stored_changes() -> list[dict[str, Any]]:
    """Return the rows of `field_changes`, in their order."""
    rows = table_rows("field_changes")
    return sorted(rows, key=lambda row: row["at"])


def test_a_field_of_the_team_is_created_by_its_name_only(sandbox: Sandbox) -> None:
    """`Lifecycle_Stage__c` may be a line to delete, not a field to add."""
    for sobject in ("Lead", "Contact"):
        sandbox.salesforce.drop(sobject, "Lifecycle_Stage__c")

    unasked = run_cli("fields", "--create", "salesforce", "--yes")
    asked = run_cli("fields", "--create", "salesforce", "--field", "Lifecycle_Stage__c", "--yes")

    assert "lacks no field" in unasked.stdout
    assert asked.exit_code == 0
    assert states("salesforce")["Lead.Lifecycle_Stage__c"] == "exists"


def test_a_new_stage_gets_its_option(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both CRMs, behind the options of before, also in a field of the team's own."""
    folder = shutil.copytree(CONFIG_FOLDER, tmp_path / "mappings")
    definition = folder / "lifecycle.yaml"
    text = definition.read_text()
    new = "  - {id: sal, label: SAL, action: call, enter: {all: [{stage: mql}, {qualified: 1}]}}\n"
    definition.write_text(text.replace("  - id: sql\n", f"{new}  - id: sql\n"))
    hubspot, salesforce = folder / "hubspot.yaml", folder / "salesforce.yaml"
    hubspot.write_text(hubspot.read_text().replace("mql: market", "sal: lead, mql: market"))
    salesforce.write_text(
        salesforce.read_text().replace("sql: Prospect", "sal: Accepted, sql: Prospect")
    )
    monkeypatch.setattr(load_configuration, "__defaults__", (folder,))

    before = run_cli("check")
    made = [run_cli("fields", "--create", crm, "--yes") for crm in ("hubspot", "salesforce")]
    after = run_cli("check")

    assert (before.exit_code, [one.exit_code for one in made], after.exit_code) == (2, [0, 0], 0)
    standing = sandbox.hubspot.tables["contacts"].properties["onefunnel_standing"]
    assert standing.options[-1] == Option("sal", "SAL")
    stage = sandbox.salesforce.schema["Contact"].fields["Lifecycle_Stage__c"]
    assert stage.values[-1] == "Accepted"


def test_an_option_that_no_app_may_add_is_refused_with_what_to_do(sandbox: Sandbox) -> None:
    """HubSpot keeps its own property as it is: exit code 1."""
    properties = sandbox.hubspot.tables["contacts"].properties
    stage = properties["lifecyclestage"]
    properties["lifecyclestage"] = replace(stage, options=stage.options[1:])

    ended = run_cli("fields", "--create", "hubspot", "--yes")

    assert ended.exit_code == 1
    assert "settings of HubSpot" in " ".join(ended.stdout.replace("│", " ").split())


def test_a_package_for_an_admin(sandbox: Sandbox, tmp_path: Path) -> None:
    """Only missing fields are in it; all that onefunnel writes are permitted."""
    forget_our_fields(sandbox)
    folder = tmp_path / "package"

    ended = run_cli("fields", "--package", str(folder))

    manifest = (folder / "fields" / "package.xml").read_text()
    permissions = next((folder / "fields").rglob("*.permissionset")).read_text()
    assert ended.exit_code == 0, ended.stderr
    assert "Lead.onefunnel_score__c" in manifest
    assert "Lifecycle_Stage__c" not in manifest
    assert "Lead.Lifecycle_Stage__c" in permissions
    assert "package.xml" in ended.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param(["--create", "pipedrive"], "hubspot, salesforce", id="unknown CRM"),
        pytest.param(["--create", "hubspot", "--field", "x"], "lifecyclestage", id="unknown field"),
        pytest.param(["--yes"], "--create", id="yes to nothing"),
        pytest.param(["--create", "hubspot", "--package", "x"], "either", id="both ways"),
    ],
)
def test_wrong_usage_is_exit_code_2(sandbox: Sandbox, words: Any, text: str) -> None:
    """The message names what can be used."""
    ended = run_cli("fields", *words)

    assert (ended.exit_code, text in ended.stderr) == (2, True)
