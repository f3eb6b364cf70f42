"""Which road a pull takes, and that what is foretold is what it costs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from connector_helpers import Warehouse, add_leads, calls, fill, hubspot_client, salesforce_client
from connectors.hubspot.pagination import COUNTED_FROM
from connectors.salesforce.estimate import BULK_CHANGED_FROM, BULK_FROM
from models import Road, Wanted
from run_helpers import environment
from sandbox.server import Sandbox

CONTACTS: Wanted = {"contacts": ()}
LEADS: Wanted = {"Lead": ()}


def road(warehouse: Warehouse, sandbox: Sandbox, wanted: Wanted) -> Road:
    make = {"hubspot": hubspot_client, "salesforce": salesforce_client}[warehouse.crm]
    [found] = warehouse.roads(make(sandbox), wanted)
    return found


def test_a_first_pull_reads_the_list(sandbox: Sandbox, hubspot: Warehouse) -> None:
    """A hundred records a call; then the archive, and a count."""
    found = road(hubspot, sandbox, CONTACTS)

    live = sum(1 for _ in sandbox.hubspot.tables["contacts"].live())
    assert (found.road, found.records, found.calls) == ("list", live, 3)


def test_an_increment_searches(sandbox: Sandbox, hubspot: Warehouse) -> None:
    """What is foretold is what it costs."""
    hubspot.pull(hubspot_client(sandbox), CONTACTS)
    fill(sandbox, "contacts", 5)
    found = road(hubspot, sandbox, CONTACTS)
    client = hubspot_client(sandbox)

    hubspot.pull(client, CONTACTS, proves=True)

    catalog = 2
    assert (found.road, found.records) == ("search", 5)
    assert found.calls == sum(client.calls.values()) - catalog


def test_the_calls_for_labels_of_links_are_foretold(sandbox: Sandbox, hubspot: Warehouse) -> None:
    """No list tells them: they cost a call for each thousand records."""
    fill(sandbox, "deals", 1001)
    plain = road(hubspot, sandbox, {"deals": ()})

    labelled = road(hubspot, sandbox, {"deals": ("contact_labels",)})

    assert (plain.road, labelled.road) == ("list", "list")
    assert labelled.calls == plain.calls + 2


def test_where_most_records_were_modified_the_list_is_read(
    sandbox: Sandbox, hubspot: Warehouse
) -> None:
    """A search gives twice as many a call, but only five calls a second are allowed."""
    hubspot.pull(hubspot_client(sandbox), CONTACTS)
    fill(sandbox, "contacts", COUNTED_FROM + 1)
    sandbox.faults.reset()
    found = road(hubspot, sandbox, CONTACTS)
    before = calls(sandbox, "/contacts/search")

    hubspot.pull(hubspot_client(sandbox), CONTACTS)

    looked, counted, newest = 1, 1, 1
    assert found.road == "list"
    assert calls(sandbox, "/contacts/search") - before == looked + counted + newest
    assert hubspot.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)


def test_a_first_pull_of_few_rows_is_a_query(sandbox: Sandbox, salesforce: Warehouse) -> None:
    """Two thousand rows a call."""
    found = road(salesforce, sandbox, LEADS)

    assert (found.road, found.records) == ("query", len(sandbox.salesforce.tables["Lead"]))


@pytest.mark.parametrize(("rows", "first"), [(BULK_FROM, True), (BULK_CHANGED_FROM, False)])
def test_many_rows_are_read_by_a_bulk_job(
    sandbox: Sandbox, salesforce: Warehouse, rows: int, *, first: bool
) -> None:
    """The first time, and when very many changed."""
    if not first:
        salesforce.pull(salesforce_client(sandbox), LEADS)
    add_leads(sandbox.salesforce, rows)
    found = road(salesforce, sandbox, LEADS)
    before = len(sandbox.salesforce.jobs)

    salesforce.pull(salesforce_client(sandbox), LEADS)

    assert found.road == "bulk job"
    assert before == 0
    assert calls_of_jobs(sandbox) > 0
    assert salesforce.count("Lead") == len(sandbox.salesforce.tables["Lead"])


def calls_of_jobs(sandbox: Sandbox) -> int:
    counts = sandbox.faults.calls()["salesforce"]
    return sum(number for call, number in counts.items() if call.endswith("/results"))


def test_plan_extract_shows_the_roads_and_reads_nothing(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As JSON too."""
    for name, value in environment(sandbox, tmp_path).items():
        monkeypatch.setenv(name, value)

    shown = CliRunner().invoke(app, ["plan", "--extract"])
    told = json.loads(CliRunner().invoke(app, ["plan", "--extract", "--json"]).stdout)

    assert shown.exit_code == 0
    assert "HubSpot: the next pull" in shown.stdout
    assert {row["object"]: row["road"] for row in told["hubspot"]}["contacts"] == "list"
    assert {row["object"]: row["road"] for row in told["salesforce"]}["Lead"] == "query"
