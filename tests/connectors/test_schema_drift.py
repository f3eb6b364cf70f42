"""Fields that vanish or change their type: their object is not read on, all else is."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.render.progress import progress_bars
from config.loader import load_configuration
from connector_helpers import (
    ExtractHarness,
    add_blank_records,
    add_leads,
    hubspot_client,
    live_lead,
    salesforce_client,
)
from connectors.salesforce.estimate import BULK_MIN_ROWS
from errors import ConfigError, DriftError
from models import FieldSelection
from run_helpers import configured_sandbox as whole_world
from run_helpers import count_write_calls, run_sync
from sandbox.faults import Fault
from sandbox.server import Sandbox
from sync import apply_run
from warehouse.warehouse import open_warehouse

HUBSPOT: FieldSelection = {"contacts": ("email", "bant_need"), "companies": ("name",)}
SALESFORCE: FieldSelection = {"Lead": ("Email", "Need__c"), "Account": ("Name",)}


def renamed(crm: str, object: str, old: str, new: str, *, at: str, after: int = 0) -> Fault:
    """Let an admin rename a field just before a call."""
    edit = {"crm": crm, "object": object, "rename": {old: new}}
    return Fault(path=at, effect="edit", edit=edit, after=after)


def retype(sandbox: Sandbox, object: str, name: str, type: str) -> None:
    properties = sandbox.hubspot.tables[object].properties
    properties[name] = replace(properties[name], type=type)


def halted(client: Any) -> dict[str, str | None]:
    return {object: error.field for object, error in client.failed_objects.items()}


def test_a_property_that_vanishes_meanwhile_stops_its_object_alone(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """HubSpot leaves out what it does not know: the values landed are not emptied by it."""
    add_blank_records(sandbox, "contacts", 600)
    for record in sandbox.hubspot.tables["contacts"].live():
        sandbox.hubspot.write(sandbox.hubspot.tables["contacts"], record, {"bant_need": "yes"})
    client = hubspot_client(sandbox)
    gone = renamed("hubspot", "contacts", "bant_need", "need", at="/objects/contacts", after=7)
    sandbox.faults.plan(gone)

    hubspot.extract(client, HUBSPOT, checkpoint_rows=200)

    assert halted(client) == {"contacts": "bant_need"}
    live = "SELECT count(*) FROM contacts WHERE NOT archived"
    assert hubspot.query(live)[0][0] > 0
    assert hubspot.query(f"{live} AND bant_need IS NULL") == [(0,)]
    assert hubspot.count("companies") == len(sandbox.hubspot.tables["companies"].records)


def test_an_increment_that_misses_a_property_lands_nothing_of_it(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """The search leaves it out as well."""
    hubspot.extract(hubspot_client(sandbox), HUBSPOT)
    add_blank_records(sandbox, "contacts", 5)
    before = hubspot.count("contacts")
    client = hubspot_client(sandbox)
    at = "/contacts/search"
    sandbox.faults.plan(renamed("hubspot", "contacts", "bant_need", "need", at=at))

    hubspot.extract(client, HUBSPOT)

    assert halted(client) == {"contacts": "bant_need"}
    assert hubspot.count("contacts") == before


def test_the_object_is_read_whole_once_the_mapping_is_right_again(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """Under its new name the field is newly wanted."""
    hubspot.extract(hubspot_client(sandbox), HUBSPOT)
    add_blank_records(sandbox, "contacts", 5)
    at = "/contacts/search"
    sandbox.faults.plan(renamed("hubspot", "contacts", "bant_need", "need", at=at))
    hubspot.extract(hubspot_client(sandbox), HUBSPOT)

    hubspot.extract(hubspot_client(sandbox), HUBSPOT | {"contacts": ("email", "need")})

    assert hubspot.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)
    assert hubspot.query("SELECT count(*) FROM contacts WHERE need IS NOT NULL")[0][0] > 0


def test_answers_without_empty_properties_are_believed(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """What no record of a page has may only be empty: the account is asked once, and has it."""
    hubspot.extract(hubspot_client(sandbox), HUBSPOT)
    records = [
        {"id": str(number), "properties": {"email": "a@example.com"}, "archived": False}
        for number in (1, 2)
    ]
    times = {"createdAt": "2026-02-01T00:00:00Z", "updatedAt": "2026-02-01T00:00:00Z"}
    body = {"total": 2, "results": [record | times for record in records]}
    sandbox.faults.plan(Fault(path="/contacts/search", status=200, body=body))
    client = hubspot_client(sandbox)

    hubspot.extract(client, HUBSPOT)

    assert halted(client) == {}
    assert hubspot.query("SELECT count(*) FROM contacts WHERE id IN ('1', '2')") == [(2,)]


def test_a_property_that_changes_its_type_meanwhile_stops_its_object(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """A value that does not fit makes doubtful; the account confirms it."""
    wanted: FieldSelection = {"contacts": ("numberofemployees",), "companies": ("name",)}
    retype(sandbox, "contacts", "numberofemployees", "number")
    client = hubspot_client(sandbox)
    contacts = sandbox.hubspot.tables["contacts"]

    def asked(moment: str, _method: str, path: str, _body: bytes) -> None:
        if moment == "asked" and path.endswith("/objects/contacts/search"):
            retype(sandbox, "contacts", "numberofemployees", "string")
            contacts.records[next(iter(contacts.records))].properties["numberofemployees"] = "many"

    hubspot.extract(hubspot_client(sandbox), wanted)
    add_blank_records(sandbox, "contacts", 1)
    newest = list(contacts.records.values())[-1]
    sandbox.faults.watch(asked)
    newest.properties["numberofemployees"] = "about fifty"

    hubspot.extract(client, wanted)

    assert halted(client) == {"contacts": "numberofemployees"}
    assert hubspot.query(f"SELECT id FROM contacts WHERE id = '{newest.id}'") == []


def test_an_object_of_another_type_than_landed_is_not_read(
    sandbox: Sandbox, hubspot: ExtractHarness
) -> None:
    """Two types in one column would empty the old values, or the new ones."""
    hubspot.extract(hubspot_client(sandbox), HUBSPOT, verify=True)
    retype(sandbox, "contacts", "bant_need", "number")
    client = hubspot_client(sandbox)

    hubspot.extract(client, HUBSPOT, verify=True)

    assert halted(client) == {"contacts": "bant_need"}
    assert "was landed as text, and is number now" in str(client.failed_objects["contacts"])
    assert [proof.object for proof in hubspot.row_checks] == ["companies"]


def test_a_full_pull_takes_the_new_type(sandbox: Sandbox, hubspot: ExtractHarness) -> None:
    """Its table is dropped and read again."""
    hubspot.extract(hubspot_client(sandbox), HUBSPOT, verify=True)
    retype(sandbox, "contacts", "bant_need", "number")
    for record in sandbox.hubspot.tables["contacts"].records.values():
        record.properties["bant_need"] = "7"
    client = hubspot_client(sandbox)

    hubspot.extract(client, HUBSPOT, full=True, verify=True)

    assert halted(client) == {}
    assert hubspot.query("SELECT DISTINCT typeof(bant_need), bant_need FROM contacts") == [
        ("DOUBLE", 7.0)
    ]
    assert hubspot.count("contacts") == len(sandbox.hubspot.tables["contacts"].records)


@pytest.mark.parametrize("leads", [10, BULK_MIN_ROWS], ids=["by pages", "by a job"])
def test_a_field_that_salesforce_loses_meanwhile_stops_its_object_alone(
    sandbox: Sandbox, salesforce: ExtractHarness, leads: int
) -> None:
    """It refuses the question."""
    add_leads(sandbox.salesforce, leads)
    client = salesforce_client(sandbox)
    sandbox.faults.plan(renamed("salesforce", "Lead", "Need__c", "Needs__c", at="/queryAll"))

    salesforce.extract(client, SALESFORCE)

    assert halted(client) == {"Lead": "Need__c"}
    assert salesforce.count("Account") == len(sandbox.salesforce.tables["Account"])


def test_a_field_of_salesforce_that_changes_its_type_stops_its_object(
    sandbox: Sandbox, salesforce: ExtractHarness
) -> None:
    """Before the extract, from the description of the object."""
    wanted: FieldSelection = {"Lead": ("NumberOfEmployees",), "Account": ("Name",)}
    salesforce.extract(salesforce_client(sandbox), wanted, verify=True)
    field = sandbox.salesforce.schema["Lead"].fields["NumberOfEmployees"]
    sandbox.salesforce.define("Lead", replace(field, type="string"))
    add_leads(sandbox.salesforce, 1, NumberOfEmployees="many")
    client = salesforce_client(sandbox)

    salesforce.extract(client, wanted, verify=True)

    assert halted(client) == {"Lead": "NumberOfEmployees"}
    assert salesforce.count("Lead") == len(sandbox.salesforce.tables["Lead"]) - 1


def test_a_new_field_nobody_maps_is_nothing_to_stop_for(
    sandbox: Sandbox, salesforce: ExtractHarness
) -> None:
    """It is not asked for."""
    salesforce.extract(salesforce_client(sandbox), SALESFORCE)
    field = sandbox.salesforce.schema["Lead"].fields["Need__c"]
    sandbox.salesforce.define("Lead", replace(field, name="More__c"))
    lead = live_lead(sandbox.salesforce)
    stamp = sandbox.salesforce.stamp()
    sandbox.salesforce.put("Lead", lead | {"More__c": "x", "SystemModstamp": stamp})
    client = salesforce_client(sandbox)

    rows = salesforce.extract(client, SALESFORCE)

    assert (rows, halted(client)) == (1, {})


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Two CRMs after a first run."""
    with whole_world(tmp_path_factory.mktemp("synced")) as sandbox:
        run_sync()
        yield sandbox


def rename(sandbox: Sandbox, old: str, new: str) -> None:
    edit = {"crm": "hubspot", "object": "contacts", "rename": {old: new}}
    sandbox.faults.editor(edit)


def landed_of(crm: str, object: str) -> int:
    with open_warehouse() as warehouse:
        return int(warehouse.source_tables(crm, [object])[object].count().to_pyarrow().as_py())


@pytest.mark.long
def test_a_run_that_lost_a_field_pulls_all_else_and_decides_nothing(synced: Sandbox) -> None:
    """It names file, line and field, also of what its history asks for."""
    rename(synced, "country", "land")
    add_blank_records(synced, "contacts", 1)
    add_blank_records(synced, "notes", 1)
    add_leads(synced.salesforce, 1)
    before = count_write_calls(synced), landed_of("hubspot", "contacts")
    others = landed_of("hubspot", "notes"), landed_of("salesforce", "Lead")

    with pytest.raises(DriftError, match=r"hubspot\.yaml:\d+: contacts has no field `country`"):
        run_sync()

    assert (count_write_calls(synced), landed_of("hubspot", "contacts")) == before
    notes, leads = landed_of("hubspot", "notes"), landed_of("salesforce", "Lead")
    assert (notes, leads) == (others[0] + 1, others[1] + 1)
    rename(synced, "land", "country")


@pytest.mark.long
def test_a_run_that_loses_a_field_meanwhile_names_the_line(synced: Sandbox) -> None:
    """And continues when the field is back."""
    add_blank_records(synced, "contacts", 1)
    at = "/contacts/search"
    synced.faults.plan(renamed("hubspot", "contacts", "country", "land", at=at))
    with pytest.raises(DriftError, match=r"hubspot\.yaml:\d+: contacts: `country` is gone"):
        run_sync()
    rename(synced, "land", "country")

    again = run_sync()

    assert again.run.status == "done"


@pytest.mark.long
def test_a_stored_plan_is_not_written_to_an_account_that_changed(synced: Sandbox) -> None:
    """It was made for the mapping as it fitted then."""
    planned = run_sync(write=False)
    rename(synced, "country", "land")
    before = count_write_calls(synced)

    with progress_bars(Console(quiet=True)) as shown, pytest.raises(DriftError, match="country"):
        apply_run(load_configuration(), planned.run.run_id, bars=shown)

    assert count_write_calls(synced) == before
    rename(synced, "land", "country")


@pytest.mark.long
def test_a_type_that_changed_is_named_with_the_way_out(synced: Sandbox) -> None:
    """Which is a full run, once the mapping suits it."""
    retype(synced, "contacts", "country", "number")

    with pytest.raises(DriftError, match=r"was landed as text, and is number now(?s:.)+--full"):
        run_sync()

    retype(synced, "contacts", "country", "string")


def test_a_field_nobody_ever_read_stops_the_run_before_it_begins(
    synced: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a warehouse that is new a missing field is a mistake in the mapping: no pull is spent."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path / 'new.duckdb'}")
    rename(synced, "country", "land")

    with pytest.raises(ConfigError, match="country") as stopped:
        run_sync()

    assert not isinstance(stopped.value, DriftError)
    rename(synced, "land", "country")
