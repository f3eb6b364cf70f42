"""Record what both CRMs answer, one behaviour a cassette: `make cassettes`.

The answers come from the sandbox over real HTTP and go through the scrubber that users' recordings
go through: no token, no person, no moment of recording is left in them, so that recording twice
gives equal files. The tests that replay them import the scenarios from here, and so ask the same
questions.
"""

import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import dlt
import orjson
import requests
from dlt.common.configuration.container import Container
from dlt.common.pipeline import StateInjectableContext

sys.path.insert(0, str(Path(__file__).parents[1]))

from cassettes.recorder import recording
from cassettes.replay import configuration_words
from config.loader import load_configuration
from connectors import Client, connector
from connectors.hubspot.client import Settings as HubSpotSettings
from connectors.retry import no_sleep
from connectors.salesforce.anonymize_rules import SALESFORCE_URL
from connectors.salesforce.auth import Settings as SalesforceSettings
from models import Field, FieldChange, Outcome, RecordChange
from sandbox.faults import Fault
from sandbox.server import Sandbox, running

CASSETTES = Path(__file__).parent / "cassettes"
MARKER = "zyxmarker"
"""Planted into records: it must never be found in a cassette."""

SINCE = datetime(2026, 2, 5, tzinfo=UTC)
NOW = datetime(2026, 3, 1, tzinfo=UTC)

CONTACT_FIELDS = (
    Field("email", "text"),
    Field("firstname", "text"),
    Field("lifecyclestage", "text"),
    Field("onefunnel_score", "number"),
)
LEAD_FIELDS = (
    Field("Id", "text"),
    Field("SystemModstamp", "datetime"),
    Field("IsDeleted", "boolean"),
    Field("Email", "text"),
    Field("FirstName", "text"),
    Field("Lifecycle_Stage__c", "text"),
    Field("onefunnel_score__c", "number"),
)
CATALOGS = {
    "hubspot": {
        "contacts": {field.name: field for field in CONTACT_FIELDS},
        "companies": {"name": Field("name", "text")},
    },
    "salesforce": {"Lead": {field.name: field for field in LEAD_FIELDS}},
}
CONTACT, OTHER_CONTACT = "51", "153"
LEAD, OTHER_LEAD = "00Qak0000000000EAA", "00Qak0000000002EAA"

Ids = tuple[str, str]
RECORDED: dict[str, Ids] = {
    "hubspot": (CONTACT, OTHER_CONTACT),
    "salesforce": (LEAD, OTHER_LEAD),
}
PLAYED: dict[str, Ids] = {
    "hubspot": ("1001", "1002"),
    "salesforce": ("00QAnon00001003MAA", "00QAnon00001004MAA"),
}
"""What the scrubber makes of two records' ids; their order stays."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Scenario:
    """One behaviour: how the sandbox is prepared for it, and what is asked of the connector."""

    crm: str
    name: str
    act: Callable[[Client, Ids], Any]
    prepare: Callable[[Sandbox], None] = lambda _: None

    @property
    def cassette(self) -> Path:
        """The path of its recording."""
        return CASSETTES / self.crm / f"{self.name}.json"


def read(client: Client, crm: str, object: str, since: datetime | None = None) -> Rows:
    """Read an object as a pull does: everything, or what changed since."""
    catalog = CATALOGS[crm]
    fields = tuple(catalog[object])
    resources = connector(crm).source(client, {object: fields}, catalog)
    # A source has a name, and its state a place, whether or not a pipeline runs.
    source = dlt.source(lambda: resources, name="replayed")
    remembered = {"cursor": since.isoformat(), "fields": sorted(fields)} if since else {}
    state = {"sources": {"replayed": {"resources": {object: remembered}}}}
    with Container().injectable_context(StateInjectableContext(state=state)):  # type: ignore[arg-type]
        return [row for table in source() for row in table.to_pylist()]


def apply(client: Client, crm: str, changes: Iterable[RecordChange]) -> dict[str, Outcome]:
    """Write changes and give each record's outcome."""
    batches = connector(crm).write(client, changes, CATALOGS[crm])
    return {outcome.record_id: outcome for batch in batches for outcome in batch}


def contact(record_id: str, score: str) -> RecordChange:
    """Change a contact's score."""
    return RecordChange("contacts", record_id, (FieldChange("onefunnel_score", None, score),))


def lead(record_id: str, score: str) -> RecordChange:
    """Change a lead's score."""
    return RecordChange("Lead", record_id, (FieldChange("onefunnel_score__c", None, score),))


def pages_of(client: Any, path: str) -> Rows:
    """Read a HubSpot list two records a page."""
    from connectors.hubspot.pagination import paginate

    pages = paginate(client, path, limit=2, properties="email")
    return [row for page, _ in pages for row in page]


def busy(path: str, body: Any) -> Callable[[Sandbox], None]:
    """Let the sandbox refuse one call for now, and say for how long."""
    fault = Fault(path=path, status=429, body=body, headers={"Retry-After": "2"})
    return lambda sandbox: sandbox.faults.plan(fault)


def refused(path: str, status: int, body: Any) -> Callable[[Sandbox], None]:
    """Let the sandbox refuse one call."""
    return lambda sandbox: sandbox.faults.plan(Fault(path=path, status=status, body=body))


def deny(scope: str) -> Callable[[Sandbox], None]:
    """Take a scope from the token."""
    return lambda sandbox: sandbox.hubspot.denied_scopes.add(scope)


def one_bad_record(sandbox: Sandbox) -> None:
    """Let a record vanish after it was looked at: the sandbox's own 207, given once more."""
    inputs = [
        {"id": CONTACT, "properties": {"onefunnel_score": "64"}},
        {"id": "404404", "properties": {"onefunnel_score": "65"}},
    ]
    answer = requests.post(
        f"{sandbox.url}/crm/v3/objects/contacts/batch/update",
        json={"inputs": inputs},
        headers={"Authorization": f"Bearer {sandbox.hubspot_token}"},
        timeout=10,
    )
    body = orjson.loads(answer.content.replace(b"404404", OTHER_CONTACT.encode()))
    store = sandbox.hubspot
    found = store.tables["contacts"].find(CONTACT)
    assert found
    store.write(store.tables["contacts"], found, {"onefunnel_score": ""})
    sandbox.faults.plan(Fault(path="/batch/update", status=207, body=body))


def two_pages(sandbox: Sandbox) -> None:
    """Cut the sandbox's own answer in two: a real page would hold 2,000 leads."""
    query = f"SELECT {', '.join(field.name for field in LEAD_FIELDS)} FROM Lead"
    path = "/services/data/v60.0/queryAll"
    answer = requests.get(
        f"{sandbox.url}{path}",
        params={"q": query},
        headers={"Authorization": f"Bearer {sandbox.salesforce_token}"},
        timeout=10,
    ).json()
    locator = "/services/data/v60.0/query/0r8ak000000SBoX-2"
    records = answer["records"]
    first = answer | {"records": records[:2], "done": False, "nextRecordsUrl": locator}
    sandbox.faults.plan(Fault(path=path, status=200, body=first, after=1))
    sandbox.faults.plan(Fault(path=locator, status=200, body=answer | {"records": records[2:]}))


def lock(sandbox: Sandbox) -> None:
    """Let another process hold one lead for a moment."""
    sandbox.salesforce.lock([OTHER_LEAD], times=1)


RATE_LIMIT = {
    "status": "error",
    "message": "You have reached your ten_secondly_rolling limit.",
    "errorType": "RATE_LIMIT",
    "policyName": "TEN_SECONDLY_ROLLING",
}
NO_TOKEN = {"status": "error", "message": "", "category": "INVALID_AUTHENTICATION"}
EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


def reading(crm: str, object: str, since: datetime | None = None) -> Callable[[Client, Ids], Rows]:
    """Read an object, whichever records it holds."""
    return lambda client, _: read(client, crm, object, since)


def scoring(
    crm: str, change: Callable[[str, str], RecordChange]
) -> Callable[[Client, Ids], dict[str, Outcome]]:
    """Give two records their scores."""
    return lambda client, ids: apply(client, crm, map(change, ids, ("64", "65")))


read_contacts = reading("hubspot", "contacts")
read_leads = reading("salesforce", "Lead")

SCENARIOS = (
    Scenario("hubspot", "first_page", read_contacts),
    Scenario(
        "hubspot",
        "next_page",
        lambda client, _: pages_of(client, cast(Any, client).path("records", object="contacts")),
    ),
    Scenario("hubspot", "incremental", reading("hubspot", "contacts", SINCE)),
    Scenario("hubspot", "empty", reading("hubspot", "companies", NOW)),
    Scenario("hubspot", "rate_limit", read_contacts, busy("/objects/contacts", RATE_LIMIT)),
    Scenario("hubspot", "wrong_token", read_contacts, refused("/objects", 401, NO_TOKEN)),
    Scenario("hubspot", "missing_scope", read_contacts, deny("crm.objects.contacts.read")),
    Scenario(
        "hubspot",
        "one_bad_record",
        scoring("hubspot", contact),
        one_bad_record,
    ),
    Scenario("salesforce", "first_page", read_leads),
    Scenario("salesforce", "next_page", read_leads, two_pages),
    Scenario("salesforce", "incremental", reading("salesforce", "Lead", SINCE)),
    Scenario("salesforce", "empty", reading("salesforce", "Lead", NOW)),
    Scenario("salesforce", "busy", read_leads, busy("/queryAll", [])),
    Scenario("salesforce", "expired_session", read_leads, refused("/queryAll", 401, EXPIRED)),
    Scenario(
        "salesforce",
        "row_lock",
        scoring("salesforce", lead),
        lock,
    ),
    Scenario(
        "salesforce",
        "missing_permission",
        read_leads,
        refused("/queryAll", 403, [{"message": "", "errorCode": "API_DISABLED_FOR_ORG"}]),
    ),
)


def connect(crm: str, *, sandbox: Sandbox | None = None) -> Client:
    """Connect to the sandbox, or to where the CRM would be while a cassette is played."""
    if crm == "hubspot":
        settings = (
            HubSpotSettings(access_token=sandbox.hubspot_token, base_url=sandbox.url)
            if sandbox
            else HubSpotSettings(access_token="replayed")
        )
        return connector(crm).connect(settings)
    if sandbox:
        return connector(crm).connect(
            SalesforceSettings(
                instance_url=sandbox.url,
                client_id=sandbox.client_id,
                client_secret=sandbox.client_secret,
            )
        )
    return connector(crm).connect(
        SalesforceSettings(
            instance_url=SALESFORCE_URL, client_id="replayed", client_secret="replayed"
        )
    )


def record(scenario: Scenario) -> None:
    """Record one scenario in a world of its own; what the connector raises belongs to it."""
    with running(people=4, seed=3, now=NOW, rate_limits=False) as sandbox, no_sleep():
        _plant(sandbox)
        scenario.prepare(sandbox)
        with recording() as taken:
            try:
                scenario.act(connect(scenario.crm, sandbox=sandbox), RECORDED[scenario.crm])
            except Exception as error:
                sys.stderr.write(f"  ends with {type(error).__name__}\n")
        taken.save(
            scenario.cassette, allowed_words=configuration_words(load_configuration()), at=NOW
        )


def _plant(sandbox: Sandbox) -> None:
    store = sandbox.hubspot
    found = store.tables["contacts"].find(CONTACT)
    assert found
    planted = {"email": f"{MARKER}@planted.test", "firstname": MARKER, "phone": f"+47 {MARKER}"}
    found.properties.update(planted)
    row = sandbox.salesforce.tables["Lead"][LEAD]
    planted = {"Email": f"{MARKER}@planted.test", "FirstName": MARKER, "Phone": f"+47 {MARKER}"}
    sandbox.salesforce.tables["Lead"][LEAD] = row | planted


def main(scenarios: Iterable[Scenario] = SCENARIOS) -> None:
    """Record all scenarios again."""
    shutil.rmtree(CASSETTES, ignore_errors=True)
    for scenario in scenarios:
        sys.stderr.write(f"{scenario.crm}/{scenario.name}\n")
        record(scenario)


if __name__ == "__main__":
    main()
