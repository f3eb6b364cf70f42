"""The method of the next extract, and that its estimated calls are its real calls."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from connector_helpers import (
    ExtractHarness,
    add_blank_records,
    add_leads,
    count_calls,
    hubspot_client,
    salesforce_client,
)
from connectors.hubspot.pagination import MIN_MODIFIED_FOR_COUNT
from connectors.salesforce.estimate import BULK_MIN_CHANGED_ROWS, BULK_MIN_ROWS
from models import ExtractEstimate, FieldSelection
from run_helpers import sandbox_environment
from sandbox.server import Sandbox

CONTACTS: FieldSelection = {"contacts": ()}
LEADS: FieldSelection = {"Lead": ()}


def road(warehouse: ExtractHarness, sandbox: Sandbox, wanted: FieldSelection) -> ExtractEstimate:
    make = {"hubspot": hubspot_client, "salesforce": salesforce_client}[warehouse.crm]
    [found] = warehouse.estimate_extract(make(sandbox), wanted)
    return found


def test_a_first_pull_reads_the_list(sandbox: Sandbox, hubspot: ExtractHarness) -> None:
    """A hundred records a call; then the archive, and a count."""
    found = road(hubspot, sandbox, CONTACTS)

    live = sum(1 for _ in sandbox.hubspot.tables["contacts"].live())
    assert (found.method, found.records, found.calls) == ("list", live, 3)


def test_an_increment_searches(sandbox: Sandbox, hubspot: ExtractHarness) -> None:
    """The estimate equals the calls."""
    hubspot.extract(hubspot_client(sandbox), CONTACTS)
    add_blank_records(sandbox, "contacts", 5)
    found = road(hubspot, sandbox, CONTACTS)
    client = hubspot_client(sandbox)

    hubspot.extract(client, CONTACTS, verify=True)

    catalog = 2
    assert (found.method, found.records) == ("search", 5)
    assert found.calls == sum(client.api_calls.values()) - catalog


def test_the_calls_for_labels_of_links_are_foretold(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """A list does not have them: they cost one call per thousand records."""
    add_blank_records(sandbox, "deals", 1001)
    plain = road(hubspot, sandbox, {"deals": ()})

    labelled = road(hubspot, sandbox, {"deals": ("contact_labels",)})

    assert (plain.method, labelled.method) == ("list", "list")
    assert labelled.calls == plain.calls + 2


def test_where_most_records_were_modified_the_list_is_read(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """A search gives twice as many a call, but only five calls a second are allowed."""
    hubspot.extract(hubspot_client(sandbox), CONTACTS)
    add_blank_records(sandbox, "contacts", MIN_MODIFIED_FOR_COUNT + 1)
    sandbox.faults.reset()
    found = road(hubspot, sandbox, CONTACTS)
    before = count_calls(sandbox, "/contacts/search")

    hubspot.extract(hubspot_client(sandbox), CONTACTS)

    looked, counted, newest = 1, 1, 1
    assert found.method == "list"
    assert count_calls(sandbox, "/contacts/search") - before == looked + counted + newest
    assert hubspot.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)


def test_a_first_pull_of_few_rows_is_a_query(sandbox: Sandbox, salesforce: ExtractHarness) -> None:
    """Two thousand rows a call."""
    found = road(salesforce, sandbox, LEADS)

    assert (found.method, found.records) == ("query", len(sandbox.salesforce.tables["Lead"]))


@pytest.mark.parametrize(("rows", "first"), [(BULK_MIN_ROWS, True), (BULK_MIN_CHANGED_ROWS, False)])
def test_many_rows_are_read_by_a_bulk_job(
    sandbox: Sandbox, salesforce: ExtractHarness, rows: int, *, first: bool
) -> None:
    """The first time, and when very many changed."""
    if not first:
        salesforce.extract(salesforce_client(sandbox), LEADS)
    add_leads(sandbox.salesforce, rows)
    found = road(salesforce, sandbox, LEADS)
    before = len(sandbox.salesforce.jobs)

    salesforce.extract(salesforce_client(sandbox), LEADS)

    assert found.method == "bulk job"
    assert before == 0
    assert calls_of_jobs(sandbox) > 0
    assert salesforce.count("Lead") == len(sandbox.salesforce.tables["Lead"])


def calls_of_jobs(sandbox: Sandbox) -> int:
    counts = sandbox.faults.calls()["salesforce"]
    return sum(number for call, number in counts.items() if call.endswith("/results"))


def test_plan_estimate_shows_the_method_per_object_and_reads_no_rows(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As JSON too."""
    for name, value in sandbox_environment(sandbox, tmp_path).items():
        monkeypatch.setenv(name, value)

    shown = CliRunner().invoke(app, ["plan", "--estimate"])
    told = json.loads(CliRunner().invoke(app, ["plan", "--estimate", "--json"]).stdout)

    assert shown.exit_code == 0
    assert "HubSpot: next extract" in shown.stdout
    assert {row["object"]: row["method"] for row in told["hubspot"]}["contacts"] == "list"
    assert {row["object"]: row["method"] for row in told["salesforce"]}["Lead"] == "query"
