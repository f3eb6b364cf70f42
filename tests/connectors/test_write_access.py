"""Whether records may be written, found out without a write."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from connector_helpers import hubspot_client, salesforce_client, small_sandbox
from connectors import Client, connector
from errors import AccessError
from sandbox.faults import Fault
from sandbox.server import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Serve both CRMs, small."""
    with small_sandbox(people=5) as sandbox:
        yield sandbox


def require_write_access(crm: str, client: Client, *objects: str) -> None:
    """Ask a connector."""
    ask = connector(crm).require_write_access
    assert ask is not None
    ask(client, objects)


def test_hubspot_names_the_missing_scope(sandbox: Sandbox) -> None:
    """The probe is a write of no record: HubSpot looks at the scope first."""
    sandbox.hubspot.denied_scopes.add("crm.objects.contacts.write")

    with pytest.raises(AccessError, match=r"crm\.objects\.contacts\.write"):
        require_write_access("hubspot", hubspot_client(sandbox), "contacts")


def test_the_probe_changes_no_record(sandbox: Sandbox) -> None:
    """With the scope, HubSpot accepts the empty batch."""
    contacts = sandbox.hubspot.tables["contacts"].records
    before = [record.properties for record in contacts.values()]

    require_write_access("hubspot", hubspot_client(sandbox), "contacts")

    assert [record.properties for record in contacts.values()] == before


def test_hubspot_may_refuse_the_empty_batch(sandbox: Sandbox) -> None:
    """Any answer but 403 comes after the scopes were found to be right."""
    body = {"status": "error", "category": "VALIDATION_ERROR", "message": "inputs is empty"}
    sandbox.faults.plan(Fault(path="/batch/update", status=400, body=body))

    require_write_access("hubspot", hubspot_client(sandbox), "contacts")

    assert sandbox.faults.calls()["hubspot"]["POST /crm/v3/objects/contacts/batch/update"] == 1


def test_salesforce_names_every_object_that_cannot_be_edited(sandbox: Sandbox) -> None:
    """Only descriptions are read."""
    store = sandbox.salesforce
    store.define("Lead", *(replace(field, writable=False) for field in store.schema["Lead"]))
    client = salesforce_client(sandbox)

    require_write_access("salesforce", client, "Contact")
    with pytest.raises(AccessError, match="Lead"):
        require_write_access("salesforce", client, "Lead", "Contact")

    assert not client.api_calls["write"]
