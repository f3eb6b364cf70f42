"""What people put in place of ours: whether they win is each field's own setting."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import requests
from rich.console import Console

from cli.render.progress import progress_bars
from config.loader import CONFIG_FOLDER, load_configuration
from run_helpers import configured_sandbox, table_rows
from sync import run
from warehouse import withheld
from warehouse.warehouse import open_warehouse

STAGE = "{from: stage, backward: clear_first,"
THEIRS = "marketingqualifiedlead"
Told = namedtuple("Told", "status reason stage")


class Portal:
    """One contact whose stage we wrote and a person then changed, and runs by one policy."""

    def __init__(self, sandbox, folder: Path, policy: str) -> None:
        self.sandbox = sandbox
        self.mappings = shutil.copytree(CONFIG_FOLDER, folder / "mappings")
        text = (self.mappings / "hubspot.yaml").read_text(encoding="utf-8")
        assert text.count(STAGE) == 1
        asked = text.replace(STAGE, f"{STAGE} on_manual_change: {policy},")
        (self.mappings / "hubspot.yaml").write_text(asked, encoding="utf-8")
        self.run()
        written = {row["record_id"] for row in table_rows("outcomes") if row["status"] == "written"}
        self.contact = min(
            row["record_id"]
            for row in table_rows("changes")
            if (row["field"], row["after"]) == ("lifecyclestage", "lead")
            and row["record_id"] in written
        )
        self.edit(THEIRS)

    def edit(self, stage: str) -> None:
        answer = requests.patch(
            f"{self.sandbox.url}/crm/v3/objects/contacts/{self.contact}",
            json={"properties": {"lifecyclestage": stage}},
            headers={"Authorization": f"Bearer {self.sandbox.hubspot_token}"},
            timeout=10,
        )
        answer.raise_for_status()

    def run(self):
        with progress_bars(Console(quiet=True)) as shown:
            return run(load_configuration(self.mappings), write=True, bars=shown)

    def run_and_look(self) -> Told:
        """Run, and tell what became of the contact and what it shows now."""
        run_id = self.run().run.run_id
        [ended] = [
            row
            for row in table_rows("outcomes")
            if (row["run_id"], row["record_id"]) == (run_id, self.contact)
        ]
        record = self.sandbox.hubspot.tables["contacts"].records[int(self.contact)]
        return Told(ended["status"], ended["reason"], record.properties["lifecyclestage"])


@pytest.fixture
def portal(request, tmp_path):
    with configured_sandbox(tmp_path, people=25) as sandbox:
        yield Portal(sandbox, tmp_path, request.param)


@pytest.mark.parametrize("portal", ["overwrite"], indirect=True)
def test_by_default_the_definition_wins(portal):
    """The shared definition is what both teams agreed on."""
    assert portal.run_and_look() == Told("written", "", "lead")


@pytest.mark.parametrize("portal", ["keep"], indirect=True)
def test_people_win_where_the_mapping_says_keep(portal):
    """Run after run, until somebody says retry."""
    assert portal.run_and_look() == Told("held", "manual_change", THEIRS)
    assert portal.run_and_look() == Told("held", "manual_change", THEIRS)

    with open_warehouse() as warehouse:
        freed = withheld.retry(warehouse, crm="hubspot", field="lifecyclestage", record_id=None)

    assert freed == 1
    assert portal.run_and_look() == Told("written", "", "lead")


@pytest.mark.parametrize("portal", ["review"], indirect=True)
def test_review_waits_for_somebody_to_decide(portal):
    """What was accepted stays as long as it is that value; another one is reviewed anew."""
    assert portal.run_and_look() == Told("held", "review", THEIRS)

    with open_warehouse() as warehouse:
        accepted = withheld.accept(warehouse, crm="hubspot", field=None, record_id=portal.contact)

    assert accepted == 1
    assert portal.run_and_look().stage == THEIRS
    portal.edit("salesqualifiedlead")
    assert portal.run_and_look() == Told("held", "review", "salesqualifiedlead")
