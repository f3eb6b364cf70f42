"""docs/add-a-crm.md: a third CRM is one folder and one mapping; nothing else is touched."""

import shutil
import sys
from pathlib import Path

import pytest

import connectors
from config.loader import CONFIG_FOLDER
from connectors import connector, crm_label, crm_names
from connectors.retry import no_sleep
from errors import ConfigError
from run_helpers import configured_sandbox, outcome_counts, run_cli, run_sync, table_rows
from third_crm.server import TOKEN, minicrm_server

FOLDER = Path(__file__).parent
SHARED_FILES = ("lifecycle.yaml", "people.yaml")


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


def mappings(folder: Path, *crms: str) -> Path:
    """Make a mappings folder for these CRMs with the lifecycle of this repository."""
    folder.mkdir()
    for name in (*SHARED_FILES, *(f"{crm}.yaml" for crm in crms)):
        source = FOLDER / "mappings" / name
        shutil.copy(source if source.exists() else CONFIG_FOLDER / name, folder / name)
    return folder


def test_the_connector_is_found_by_the_name_of_its_folder():
    """A folder on `connectors.__path__` with a catalog.py is a CRM."""
    assert crm_names() == ("hubspot", "minicrm", "salesforce")
    assert connector("minicrm").label == crm_label("minicrm") == "MiniCRM"


def test_an_unknown_crm_is_a_configuration_error():
    """The message lists the connectors that exist."""
    with pytest.raises(ConfigError, match="hubspot, minicrm, salesforce"):
        connector("pipedrive")


def test_a_run_reads_decides_and_writes_the_third_crm_alone(minicrm, tmp_path):
    """The second run writes nothing, and a change in the CRM is written back."""
    folder = mappings(tmp_path / "mappings", "minicrm")

    first = run_sync(mappings=folder)

    contacts = minicrm.rows["contacts"].values()
    assert outcome_counts(first)["written", "written"] == 60
    assert [row["stage"] for row in contacts] == ["Suspect", "SQL"] * 60
    writes = minicrm.writes

    second = run_sync(mappings=folder)

    assert minicrm.writes == writes
    assert {status for status, _ in outcome_counts(second)} == {"unchanged"}

    minicrm.edit("contacts", "1", stage="Customer")
    run_sync(mappings=folder)

    assert minicrm.rows["contacts"]["1"]["stage"] == "Suspect"


def test_the_commands_work_with_the_third_crm(minicrm, tmp_path):
    """Reports name it by its label."""
    folder = mappings(tmp_path / "mappings", "minicrm")
    run_sync(mappings=folder)


def test_a_run_matches_people_of_the_third_crm_with_those_of_the_others(minicrm, tmp_path):
    """One person with one address in HubSpot and MiniCRM gets one stage."""
    folder = mappings(tmp_path / "mappings", "hubspot", "salesforce", "minicrm")

    with configured_sandbox(tmp_path, people=20) as sandbox:
        contact = next(
            record
            for record in sandbox.hubspot.tables["contacts"].records.values()
            if record.properties.get("email")
        )
        minicrm.edit("contacts", "2", email=contact.properties["email"])
        run_sync(mappings=folder)

        person = {
            (row["crm"], row["record_id"]): row["person_id"] for row in table_rows("records")
        }
        assert person["hubspot", str(contact.id)] == person["minicrm", "2"]

        assert not any(
            status == "written" for status, _ in outcome_counts(run_sync(mappings=folder))
        )
