"""`on_manual_change`: what happens to a value that a person put in place of the written one."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.loader import CONFIG_FOLDER
from run_helpers import configured_sandbox, edit_contact, run_sync, table_rows
from sandbox.server import Sandbox
from warehouse import withheld
from warehouse.warehouse import open_warehouse

pytestmark = pytest.mark.long  # whole runs

POLICIES = {
    "onefunnel_standing": "overwrite",
    "onefunnel_next_action": "keep",
    "lifecyclestage": "review",
}


@dataclass
class Portal:
    """A HubSpot in which a person changed one written field of each of three contacts."""

    sandbox: Sandbox
    mappings: Path
    contacts: dict[str, str]
    written: dict[str, str]

    def run(self) -> None:
        """Run, and keep the id of the run."""
        self.run_id = run_sync(mappings=self.mappings).run.run_id

    def result(self, policy: str) -> tuple[str, str, str]:
        """Return status, reason and present value of the contact of this policy."""
        [field] = [field for field, name in POLICIES.items() if name == policy]
        contact = self.contacts[field]
        [outcome] = [
            row
            for row in table_rows("outcomes")
            if (row["run_id"], row["record_id"]) == (self.run_id, contact)
        ]
        record = self.sandbox.hubspot.tables["contacts"].records[int(contact)]
        return outcome["status"], outcome["reason"], record.properties[field]


def mappings_with_policies(folder: Path) -> Path:
    """Copy the shipped mappings and set one policy per field."""
    mappings = Path(shutil.copytree(CONFIG_FOLDER, folder / "mappings"))
    text = (mappings / "hubspot.yaml").read_text(encoding="utf-8")
    for field, policy in POLICIES.items():
        pattern = rf"^( +{field}: +\{{)from:"
        text, count = re.subn(pattern, rf"\1on_manual_change: {policy}, from:", text, flags=re.M)
        assert count == 1
    (mappings / "hubspot.yaml").write_text(text, encoding="utf-8")
    return mappings


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    """A first run, then a person changes one field of three contacts, then a second run."""
    folder = tmp_path_factory.mktemp("manual")
    with configured_sandbox(folder, people=25) as sandbox:
        mappings = mappings_with_policies(folder)
        run_sync(mappings=mappings)
        rows = {row["record_id"] for row in table_rows("outcomes") if row["status"] == "written"}
        contacts: dict[str, str] = {}
        written: dict[str, str] = {}
        edits = {
            "onefunnel_standing": "disqualified",
            "onefunnel_next_action": "none",
            "lifecyclestage": "marketingqualifiedlead",
        }
        for field, value in edits.items():
            change = min(
                (
                    row
                    for row in table_rows("changes")
                    if row["field"] == field
                    and row["after"] not in (None, value)
                    and row["record_id"] in rows - set(contacts.values())
                    and (field != "lifecyclestage" or row["after"] == "lead")
                ),
                key=lambda row: row["record_id"],
            )
            contacts[field], written[field] = change["record_id"], change["after"]
            edit_contact(sandbox, change["record_id"], **{field: value})
        portal = Portal(sandbox, mappings, contacts, written)
        portal.run()
        yield portal


def test_overwrite_writes_the_value_of_the_definition(portal):
    """It is the default: both teams agreed on the shared definition."""
    assert portal.result("overwrite") == ("written", "", portal.written["onefunnel_standing"])


def test_keep_holds_the_value_of_the_person(portal):
    """The record is held as `manual_change`."""
    assert portal.result("keep") == ("held", "manual_change", "none")


def test_review_holds_the_value_until_a_person_decides(portal):
    """The record is held as `review`."""
    assert portal.result("review") == ("held", "review", "marketingqualifiedlead")


def test_retry_writes_a_kept_field_and_an_accepted_value_stays(portal):
    """`retry` and `keep` decide for one field each, and the next run follows them."""
    with open_warehouse() as warehouse:
        retried = withheld.retry(
            warehouse, crm="hubspot", field="onefunnel_next_action", record_id=None
        )
        accepted = withheld.accept(
            warehouse, crm="hubspot", field=None, record_id=portal.contacts["lifecyclestage"]
        )

    portal.run()

    assert (retried, accepted) == (1, 1)
    assert portal.result("keep") == ("written", "", portal.written["onefunnel_next_action"])
    assert portal.result("review")[2] == "marketingqualifiedlead"


def test_another_value_than_the_accepted_one_is_reviewed_again(portal):
    """A decision counts for the value that it was made for."""
    edit_contact(
        portal.sandbox, portal.contacts["lifecyclestage"], lifecyclestage="salesqualifiedlead"
    )

    portal.run()

    assert portal.result("review") == ("held", "review", "salesqualifiedlead")
