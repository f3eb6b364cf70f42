"""The labels of HubSpot's associations between contact and deal or e-mail, in a whole run."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from config.loader import CONFIG_FOLDER
from connector_helpers import label_fault
from run_helpers import configured_sandbox, run_sync, table_rows

pytestmark = pytest.mark.long  # whole runs

PLAIN = "  - {object: deals, kind: opportunity_opened, at: createdate}\n"
LABELLED = PLAIN.replace("kind:", "where: {contact_labels: {contains: [decision]}}, kind:").replace(
    "opportunity_opened", "demo_request"
)


def test_a_rule_may_ask_for_the_label_of_a_link(tmp_path: Path) -> None:
    """The first rule that fits says what happened, to the contacts of that deal."""
    mappings = copytree(CONFIG_FOLDER, tmp_path / "mappings")
    hubspot = mappings / "hubspot.yaml"
    hubspot.write_text(hubspot.read_text().replace(PLAIN, LABELLED + PLAIN))
    with configured_sandbox(tmp_path, people=30) as sandbox:
        store = sandbox.hubspot
        contact = next(store.tables["contacts"].live())
        deal, plain = (store.create(store.tables["deals"], {}) for _ in range(2))
        links = [label_fault(deal, contact, "Decision maker"), label_fault(plain, contact)]
        told = [result for link in links for result in link.body["results"]]
        sandbox.faults.plan(replace(links[0], body=links[0].body | {"results": told}, times=None))

        run_sync(write=False, mappings=mappings)

        events = {
            row["source_id"]: row for row in table_rows("events") if row["source_object"] == "deals"
        }
        person = {row["record_id"]: row["person_id"] for row in table_rows("records")}
        assert events[str(deal.id)]["kind"] == "demo_request"
        assert events[str(plain.id)]["kind"] == "opportunity_opened"
        assert events[str(deal.id)]["person_id"] == person[str(contact.id)]
