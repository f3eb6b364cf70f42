"""Answers no CRM should give: asked for again, put aside and counted, or found by the proof."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connected import Warehouse, hubspot_client, salesforce_client, world
from connectors.salesforce.roads import BULK_FROM
from contract import Wanted
from sandbox.faults import Fault
from sandbox.server import Sandbox
from test_connectors_parts import fill
from test_connectors_salesforce_source import add_leads

CONTACTS: Wanted = {"contacts": ("email",)}
LEADS: Wanted = {"Lead": ("Company",)}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with world() as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<html><body>Bad gateway</body></html>", id="a proxy's page"),
        pytest.param('{"results": [{"id": "5', id="cut off"),
        pytest.param([], id="a list"),
        pytest.param({}, id="nothing"),
        pytest.param({"results": None}, id="no records"),
    ],
)
def test_a_page_that_is_none_is_asked_for_again(
    sandbox: Sandbox, tmp_path: Path, body: Any
) -> None:
    """The status says 200 all the same."""
    fill(sandbox, "contacts", 300)
    warehouse = Warehouse("hubspot", tmp_path)
    sandbox.faults.plan(Fault(path="/objects/contacts", status=200, body=body, after=2))

    warehouse.pull(hubspot_client(sandbox), CONTACTS)

    assert warehouse.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)


def test_a_record_without_id_is_left_out_and_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    """And the page that had it in place of others is made good by the proof."""
    client = hubspot_client(sandbox)
    warehouse = Warehouse("hubspot", tmp_path)
    nobody = {"results": [{"properties": {"email": "x"}}]}
    sandbox.faults.plan(Fault(path="/objects/contacts", status=200, body=nobody, after=1))

    warehouse.pull(client, CONTACTS, proves=True)

    live = sum(1 for _ in sandbox.hubspot.tables["contacts"].live())
    assert client.drift["contacts", "id"] == 1
    assert warehouse.ask("SELECT count(*) FROM contacts WHERE NOT archived") == [(live,)]
    assert warehouse.proofs[0].missed == live


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<html><body>Maintenance</body></html>", id="a page for people"),
        pytest.param({"totalSize": 3, "done": True}, id="no records"),
    ],
)
def test_rows_that_are_none_are_asked_for_again(
    sandbox: Sandbox, tmp_path: Path, body: Any
) -> None:
    """Of a query, behind the count."""
    warehouse = Warehouse("salesforce", tmp_path)
    sandbox.faults.plan(Fault(path="/queryAll", status=200, body=body, after=1))

    warehouse.pull(salesforce_client(sandbox), LEADS)

    assert warehouse.count("Lead") == len(sandbox.salesforce.tables["Lead"])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<html><body>Maintenance</body></html>", id="no CSV"),
        pytest.param('"Id","CreatedDate"\n"00Q', id="cut off"),
    ],
)
def test_csv_that_came_cut_off_is_asked_for_again(
    sandbox: Sandbox, tmp_path: Path, body: str
) -> None:
    """Its header says how many rows there should be."""
    add_leads(sandbox.salesforce, BULK_FROM)
    warehouse = Warehouse("salesforce", tmp_path)
    told = {"Sforce-NumberOfRecords": str(BULK_FROM), "Sforce-Locator": "null"}
    sandbox.faults.plan(Fault(path="/results", status=200, body=body, headers=told))

    warehouse.pull(salesforce_client(sandbox), LEADS)

    assert warehouse.count("Lead") == len(sandbox.salesforce.tables["Lead"])
