"""What somebody is to a deal or a mail: the labels of HubSpot's associations, in a whole run."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

from config.loader import FOLDER
from connector_helpers import labelled
from run_helpers import rows, run_once, world

PLAIN = "  - {object: deals, kind: opportunity_opened, at: createdate}\n"
LABELLED = PLAIN.replace("kind:", "where: {contact_labels: {contains: [decision]}}, kind:").replace(
    "opportunity_opened", "demo_request"
)


def test_a_rule_may_ask_for_the_label_of_a_link(tmp_path: Path) -> None:
    """The first rule that fits says what happened, to the contacts of that deal."""
    mappings = copytree(FOLDER, tmp_path / "mappings")
    hubspot = mappings / "hubspot.yaml"
    hubspot.write_text(hubspot.read_text().replace(PLAIN, LABELLED + PLAIN))
    with world(tmp_path, people=30) as sandbox:
        store = sandbox.hubspot
        contact = next(store.tables["contacts"].live())
        deal, plain = (store.create(store.tables["deals"], {}) for _ in range(2))
        links = [labelled(deal, contact, "Decision maker"), labelled(plain, contact)]
        told = [result for link in links for result in link.body["results"]]
        sandbox.faults.plan(replace(links[0], body=links[0].body | {"results": told}, times=None))

        run_once(write=False, mappings=mappings)

        events = {
            row["source_id"]: row for row in rows("events") if row["source_object"] == "deals"
        }
        person = {row["record_id"]: row["person_id"] for row in rows("records")}
        assert events[str(deal.id)]["kind"] == "demo_request"
        assert events[str(plain.id)]["kind"] == "opportunity_opened"
        assert events[str(deal.id)]["person_id"] == person[str(contact.id)]
