"""Reading Salesforce: what a pull lands, what the next one costs."""

from pathlib import Path

import pytest

from connector_helpers import ExtractHarness, add_leads, live_lead, salesforce_client
from connectors import Client, connector
from connectors.salesforce.estimate import BULK_MIN_ROWS
from errors import ConfigError
from models import Account, FieldSelection
from record_cassettes import SINCE, read
from sandbox.faults import Fault
from sandbox.salesforce.records import ORGANIZATION
from sandbox.salesforce.rows import Row
from sandbox.salesforce.store import SalesforceStore
from sandbox.server import Sandbox

salesforce = connector("salesforce")
WANTED: FieldSelection = {
    "Lead": ("Email", "Status", "NumberOfEmployees", "IsConverted", "ConvertedDate", "Timeline__c"),
    "Contact": ("Email", "AccountId"),
    "Account": ("Name",),
    "Task": ("WhoId", "ActivityDate"),
    "Event": ("WhoId",),
    "EmailMessage": ("Incoming",),
    "CampaignMember": ("LeadId", "HasResponded"),
    "Campaign": ("Type",),
    "Opportunity": ("Amount", "IsWon"),
    "OpportunityContactRole": ("ContactId", "Role"),
    "OpportunityHistory": ("StageName",),
    "User": ("Email",),
    "LeadHistory": ("LeadId", "Field", "NewValue"),
}
LEADS: FieldSelection = {"Lead": ("Email", "Status")}


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return salesforce_client(sandbox)


@pytest.fixture
def warehouse(tmp_path: Path) -> ExtractHarness:
    return ExtractHarness("salesforce", tmp_path)


def edit(store: SalesforceStore, row: Row, **values: object) -> None:
    store.put("Lead", row | values | {"SystemModstamp": store.stamp()})


def test_first_pull_lands_exactly_what_the_org_holds(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """Deleted, merged and converted rows too."""
    warehouse.extract(client, WANTED)

    landed = {name: warehouse.count(name) for name in WANTED}
    assert landed == {name: len(sandbox.salesforce.tables[name]) for name in WANTED}
    assert not client.type_mismatches


def test_second_pull_lands_nothing_and_only_looks(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """One query an object, beside its description."""
    warehouse.extract(client, WANTED)
    again = salesforce_client(sandbox)

    rows = warehouse.extract(again, WANTED)

    assert rows == 0
    assert again.api_calls == {"login": 1, "read": 2 * len(WANTED)}


def test_an_edit_is_picked_up(sandbox: Sandbox, client: Client, warehouse: ExtractHarness) -> None:
    """And nothing else is."""
    warehouse.extract(client, LEADS)
    lead = live_lead(sandbox.salesforce)
    edit(sandbox.salesforce, lead, Status="Nurturing")

    rows = warehouse.extract(client, LEADS)

    assert rows == 1
    landed = warehouse.query(f"""SELECT "Status" FROM "Lead" WHERE "Id" = '{lead["Id"]}'""")
    assert landed == [("Nurturing",)]


def test_a_merged_row_is_picked_up(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """Only queryAll shows it, with its winner."""
    wanted: FieldSelection = {"Lead": ("MasterRecordId",)}
    warehouse.extract(client, wanted)
    lead = live_lead(sandbox.salesforce)
    edit(sandbox.salesforce, lead, IsDeleted=True, MasterRecordId="00Qak0000000000EAA")

    warehouse.extract(client, wanted)

    landed = warehouse.query(
        f"""SELECT "IsDeleted", "MasterRecordId" FROM "Lead" WHERE "Id" = '{lead["Id"]}'"""
    )
    assert landed == [(True, "00Qak0000000000EAA")]


def test_a_big_first_pull_goes_through_one_bulk_job(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """CSV lands the same as JSON: line breaks and quotes in text, empty as NULL."""
    text = 'said "hello",\nand went'
    add_leads(sandbox.salesforce, BULK_MIN_ROWS, Company=text, NumberOfEmployees=None)

    rows = warehouse.extract(client, {"Lead": ("Company", "NumberOfEmployees", "IsConverted")})

    assert rows == len(sandbox.salesforce.tables["Lead"])
    landed = warehouse.query(
        """SELECT "Company", "NumberOfEmployees", "IsConverted" FROM "Lead"
           WHERE "Company" LIKE 'said%'"""
    )
    assert landed == [(text, None, False)] * BULK_MIN_ROWS
    assert client.api_calls["read"] < 10


def test_what_no_bulk_job_can_read_is_read_by_pages(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """The refusal of the job costs one call."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    refusal = [{"errorCode": "INVALIDENTITY", "message": "not supported by the Bulk API"}]
    sandbox.faults.plan(Fault(path="/jobs/query", status=400, body=refusal))

    rows = warehouse.extract(client, LEADS)

    assert rows == len(sandbox.salesforce.tables["Lead"])


def test_what_a_bulk_job_fails_to_read_is_read_by_pages(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """A job may be taken and then fail."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)
    sandbox.faults.plan(
        Fault(path="/jobs/query/", method="GET", status=200, body={"state": "Failed"})
    )

    rows = warehouse.extract(client, LEADS)

    assert rows == len(sandbox.salesforce.tables["Lead"])


def test_a_pull_after_a_long_pause_says_what_it_may_have_missed(client: Client) -> None:
    """Salesforce does not return records deleted more than fifteen days ago."""
    read(client, "salesforce", "Lead", SINCE)

    assert "recycle bin" in client.warnings[0]


def test_a_session_that_ends_is_renewed_once(
    sandbox: Sandbox, client: Client, warehouse: ExtractHarness
) -> None:
    """And the same call is made again."""
    warehouse.extract(client, LEADS)
    sandbox.salesforce.revoke()

    warehouse.extract(client, LEADS)

    assert client.api_calls["login"] == 2


def test_a_field_the_org_hides_is_refused_before_reading(sandbox: Sandbox, client: Client) -> None:
    """Hidden and missing look alike: the text says both."""
    sandbox.salesforce.hide("Lead", "HasOptedOutOfEmail")
    catalog = salesforce.catalog(client, ["Lead"])

    with pytest.raises(ConfigError, match="HasOptedOutOfEmail, or does not show it"):
        salesforce.source(client, {"Lead": ("HasOptedOutOfEmail",)}, catalog)


def test_catalog_tells_types_options_lengths_and_what_cannot_be_written(client: Client) -> None:
    """As the object's description says; an object that is not there is left out."""
    catalog = salesforce.catalog(client, ["Lead", "Nothing"])

    fields = catalog["Lead"]
    assert set(catalog) == {"Lead"}
    assert fields["onefunnel_score__c"].type == "number"
    assert fields["NumberOfEmployees"].type == "integer"
    assert fields["ConvertedDate"].type == "date"
    assert "Prospect" in (fields["Lifecycle_Stage__c"].options or ())
    assert fields["onefunnel_next_action__c"].max_length == 40
    assert not fields["IsConverted"].writable


def test_account_is_named(client: Client) -> None:
    """After a look at the limits, which says what is left of the day."""
    assert client.check_connection() == Account(ORGANIZATION, "Salesforce org 127.0.0.1")
    assert client.calls_remaining
