"""docs/add-a-crm.md: a third CRM is one folder and one mapping; nothing else is touched."""

import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

import connectors
from config.loader import CONFIG_FOLDER, load_configuration
from connectors import connector, crm_label, crm_names
from connectors.retry import no_sleep
from errors import ConfigError
from run_helpers import configured_sandbox, outcome_counts, run_cli, run_sync, table_rows
from third_crm.server import TOKEN, minicrm_server

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def third_connector():
    """The folder `connectors/minicrm`, as if it were beside connectors/hubspot."""
    path = str(FOLDER / "connectors")
    connectors.__path__.append(path)
    yield
    connectors.__path__.remove(path)
    for name in [name for name in sys.modules if name.startswith("connectors.minicrm")]:
        del sys.modules[name]


@pytest.fixture
def minicrm(tmp_path):
    """The CRM, served, and settings that point at it and at a warehouse."""
    with minicrm_server() as crm, no_sleep(), pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOURCES__MINICRM__BASE_URL", crm.url)
        environment.setenv("SOURCES__MINICRM__TOKEN", TOKEN)
        environment.setenv(
            "DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
        )
        yield crm


@pytest.fixture
def one_crm(tmp_path, monkeypatch):
    """A mappings folder with a small lifecycle and minicrm.yaml, and no other CRM."""
    folder = shutil.copytree(FOLDER / "mappings", tmp_path / "mappings")
    monkeypatch.setattr(load_configuration, "__defaults__", (folder,))
    return folder


@pytest.fixture
def three_crms(tmp_path):
    """The mappings of this repository and minicrm.yaml."""
    folder = shutil.copytree(CONFIG_FOLDER, tmp_path / "mappings")
    text = (FOLDER / "mappings" / "minicrm.yaml").read_text(encoding="utf-8")
    text = text.replace("sql: SQL", "mql: MQL, sql: SQL, customer: Customer")
    (folder / "minicrm.yaml").write_text(text, encoding="utf-8")
    return folder


def statuses(report) -> Counter[str]:
    """Count the records of a report per status."""
    counts: Counter[str] = Counter()
    for (status, _), records in outcome_counts(report).items():
        counts[status] += records
    return counts


def test_the_connector_is_found_by_the_name_of_its_folder():
    """A folder on `connectors.__path__` with a catalog.py is a CRM."""
    assert crm_names() == ("hubspot", "minicrm", "salesforce")
    assert connector("minicrm").label == crm_label("minicrm") == "MiniCRM"


def test_an_unknown_crm_is_a_configuration_error():
    """The message lists the connectors that exist."""
    with pytest.raises(ConfigError, match="hubspot, minicrm, salesforce"):
        connector("pipedrive")


@pytest.mark.long
def test_a_run_reads_decides_and_writes_the_third_crm_alone(minicrm, one_crm):
    """The second run writes nothing, and a change in the CRM is written back."""
    first = run_sync(mappings=one_crm)

    contacts = minicrm.rows["contacts"].values()
    assert statuses(first) == {"written": 60, "unchanged": 60}
    assert [row["stage"] for row in contacts] == ["Suspect", "SQL"] * 60
    writes = minicrm.writes

    second = run_sync(mappings=one_crm)

    assert minicrm.writes == writes
    assert statuses(second) == {"unchanged": 120}

    minicrm.edit("contacts", "1", stage="Customer")
    run_sync(mappings=one_crm)

    assert minicrm.rows["contacts"]["1"]["stage"] == "Suspect"


@pytest.mark.long
def test_the_commands_name_the_third_crm_by_its_label(minicrm, one_crm):
    """check, plan, explain, status and undo need no word about a CRM outside of its folder."""
    checked, planned = run_cli("check"), run_cli("plan")
    run_cli("run", "--first")
    explained, status = run_cli("explain", "person2@example.com"), run_cli("status", "--json")
    undone = run_cli("undo", json.loads(status.stdout)["runs"][0]["run_id"])

    assert [one.exit_code for one in (checked, planned, explained, status, undone)] == [0] * 5
    assert "MiniCRM account Example Ltd" in checked.stdout
    assert "MiniCRM" in planned.stdout
    assert "MiniCRM" in explained.stdout
    assert {row["stage"] for row in minicrm.rows["contacts"].values()} == {"Suspect"}


def test_doctor_makes_the_checks_that_the_third_connector_adds(minicrm, one_crm):
    """What the connector cannot find out is skipped, and is no fault."""
    ended = run_cli("doctor", "--json")

    checks = {one["id"]: one for one in json.loads(ended.stdout)["checks"]}
    assert ended.exit_code == 0, ended.stderr
    assert (checks["records"]["subject"], checks["records"]["text"]) == ("MiniCRM", "120 contacts")
    assert checks["write"]["status"] == "skipped"


def test_a_connector_that_creates_no_fields_says_so(minicrm, one_crm):
    """The fields are listed all the same, for an admin who creates them by hand."""
    listed, created = run_cli("fields"), run_cli("fields", "--create", "minicrm", "--yes")
    packed = run_cli("fields", "--package", "somewhere")

    assert [one.exit_code for one in (listed, created, packed)] == [0, 2, 2]
    assert "contacts.stage" in listed.stdout
    assert "cannot create fields" in " ".join(listed.stdout.split())
    assert "MiniCRM" in created.stderr


@pytest.mark.long
def test_a_run_matches_people_of_the_third_crm_with_those_of_the_others(
    minicrm, three_crms, tmp_path
):
    """One person with one address in HubSpot and MiniCRM is one person, with one stage."""
    with configured_sandbox(tmp_path, people=20) as sandbox:
        contact = next(
            record
            for record in sandbox.hubspot.tables["contacts"].records.values()
            if record.properties.get("email")
        )
        minicrm.edit("contacts", "2", email=contact.properties["email"])
        run_sync(mappings=three_crms)
        second = run_sync(mappings=three_crms)
        records = table_rows("records")

    people = {(row["crm"], row["record_id"]): row["person_id"] for row in records}
    assert people["hubspot", str(contact.id)] == people["minicrm", "2"]
    assert "written" not in statuses(second)
