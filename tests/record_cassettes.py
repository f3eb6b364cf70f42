"""Record what both CRMs answer, one behaviour a cassette: `make cassettes`.

The answers come from the sandbox over real HTTP and are scrubbed before they touch the disk:
no token, no person, no moment of recording is left in them, so that recording twice gives equal
files. The tests that replay them import the scenarios from here, and so ask the same questions.
"""

import re
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dlt
import orjson
import requests
from dlt.common.configuration.container import Container
from dlt.common.pipeline import StateInjectableContext
from vcr import VCR

sys.path.insert(0, str(Path(__file__).parents[1]))

from connectors import Client, connector
from connectors.hubspot import Settings as HubSpotSettings
from connectors.resilience import without_waiting
from connectors.salesforce import Settings as SalesforceSettings
from contract import Field, FieldChange, Outcome, RecordChange
from sandbox.faults import Fault
from sandbox.server import Sandbox, running

CASSETTES = Path(__file__).parent / "cassettes"
HOSTS = {
    "hubspot": "https://api.hubapi.com",
    "salesforce": "https://onefunnel-sandbox.my.salesforce.com",
}
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

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Scenario:
    """One behaviour: how the sandbox is prepared for it, and what is asked of the connector."""

    crm: str
    name: str
    act: Callable[[Client], Any]
    prepare: Callable[[Sandbox], None] = lambda _: None

    @property
    def cassette(self) -> str:
        """Where its recording lies."""
        return str(CASSETTES / self.crm / f"{self.name}.yaml")


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
    batches = connector(crm).apply(client, changes, CATALOGS[crm])
    return {outcome.record_id: outcome for batch in batches for outcome in batch}


def contact(record_id: str, score: str) -> RecordChange:
    """Change a contact's score."""
    return RecordChange("contacts", record_id, (FieldChange("onefunnel_score", None, score),))


def lead(record_id: str, score: str) -> RecordChange:
    """Change a lead's score."""
    return RecordChange("Lead", record_id, (FieldChange("onefunnel_score__c", None, score),))


def pages_of(client: Any, path: str) -> Rows:
    """Read a HubSpot list three records a page."""
    from connectors.hubspot.reading import paged

    pages = paged(client, path, limit=3, properties="email")
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
read_contacts = partial(read, crm="hubspot", object="contacts")
read_leads = partial(read, crm="salesforce", object="Lead")

SCENARIOS = (
    Scenario("hubspot", "first_page", read_contacts),
    Scenario("hubspot", "next_page", partial(pages_of, path="/crm/v3/objects/contacts")),
    Scenario("hubspot", "incremental", partial(read_contacts, since=SINCE)),
    Scenario("hubspot", "empty", partial(read, crm="hubspot", object="companies", since=NOW)),
    Scenario("hubspot", "rate_limit", read_contacts, busy("/objects/contacts", RATE_LIMIT)),
    Scenario("hubspot", "wrong_token", read_contacts, refused("/objects", 401, NO_TOKEN)),
    Scenario("hubspot", "missing_scope", read_contacts, deny("crm.objects.contacts.read")),
    Scenario(
        "hubspot",
        "one_bad_record",
        lambda client: apply(
            client, "hubspot", [contact(CONTACT, "64"), contact(OTHER_CONTACT, "65")]
        ),
        one_bad_record,
    ),
    Scenario("salesforce", "first_page", read_leads),
    Scenario("salesforce", "next_page", read_leads, two_pages),
    Scenario("salesforce", "incremental", partial(read_leads, since=SINCE)),
    Scenario("salesforce", "empty", partial(read_leads, since=NOW)),
    Scenario("salesforce", "busy", read_leads, busy("/queryAll", [])),
    Scenario("salesforce", "expired_session", read_leads, refused("/queryAll", 401, EXPIRED)),
    Scenario(
        "salesforce",
        "row_lock",
        lambda client: apply(client, "salesforce", [lead(LEAD, "64"), lead(OTHER_LEAD, "65")]),
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
        SalesforceSettings(instance_url=HOSTS[crm], client_id="replayed", client_secret="replayed")
    )


MATCH_ON = ("method", "scheme", "host", "path", "query", "raw_body")
KEPT_HEADERS = {
    "content-type",
    "date",
    "retry-after",
    "sforce-limit-info",
    "x-hubspot-ratelimit-daily-remaining",
    "x-hubspot-ratelimit-interval-milliseconds",
    "x-hubspot-ratelimit-max",
}
MOMENTS = {"completedAt", "startedAt", "hs_lastmodifieddate", "lastmodifieddate", "updatedAt"}
"""Replaced where they tell when the cassette was recorded, and not when the record changed."""
SECRETS = {"access_token", "correlationId", "id_token", "issued_at", "requestId", "signature"}
PERSONAL = {"email", "firstname", "lastname", "phone", "name"}
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")


class Scrubber:
    """Takes out of requests and answers what must not be kept, the same way every time."""

    def __init__(self, crm: str, url: str) -> None:
        """Scrub what is exchanged with `url`, and give it the CRM's own address."""
        self._url = url
        self._host = HOSTS[crm]
        self._people: dict[str, str] = {}

    def request(self, request: Any) -> Any:
        """Move a request to the CRM's host; drop its headers and any login."""
        request.uri = request.uri.replace(self._url, self._host)
        request.headers = {}
        if request.path.endswith("/oauth2/token"):
            request.body = b"grant_type=client_credentials"
        return request

    def response(self, response: dict[str, Any]) -> dict[str, Any]:
        """Keep what the connectors read; replace people, secrets and the time of recording."""
        headers = response["headers"]
        kept = {name: headers[name] for name in headers if name.lower() in KEPT_HEADERS}
        kept = {name: _fixed(name, value) for name, value in sorted(kept.items())}
        body = response["body"]["string"].replace(self._url.encode(), self._host.encode())
        if body:
            body = orjson.dumps(self._scrubbed(orjson.loads(body)))
        return response | {"headers": kept, "body": {"string": body}}

    def _scrubbed(self, value: Any, key: str = "") -> Any:
        match value:
            case dict():
                return {name: self._scrubbed(one, name) for name, one in value.items()}
            case list():
                return [self._scrubbed(one, key) for one in value]
            case str() if key in SECRETS:
                return "scrubbed"
            case str() if key in MOMENTS and value > NOW.isoformat():
                return "2026-03-01T00:00:00.000Z"
            case str() if key.lower() in PERSONAL:
                return self._person(value)
            case str():
                return _EMAIL.sub(lambda found: self._person(found[0]), value)
        return value

    def _person(self, value: str) -> str:
        number = len(self._people)
        domain = "@example.com" if "@" in value else ""
        return self._people.setdefault(value, f"person-{number}{domain}")


def _fixed(name: str, value: Any) -> Any:
    return ["Sun, 01 Mar 2026 00:00:00 GMT"] if name.lower() == "date" else value


def record(scenario: Scenario) -> None:
    """Record one scenario in a world of its own; what the connector raises belongs to it."""
    with running(people=4, seed=3, now=NOW, rate_limits=False) as sandbox, without_waiting():
        _plant(sandbox)
        scenario.prepare(sandbox)
        scrubber = Scrubber(scenario.crm, sandbox.url)
        vcr = VCR(
            record_mode="all",
            before_record_request=scrubber.request,
            before_record_response=scrubber.response,
            decode_compressed_response=True,
        )
        with vcr.use_cassette(scenario.cassette):
            try:
                scenario.act(connect(scenario.crm, sandbox=sandbox))
            except Exception as error:
                sys.stderr.write(f"  ends with {type(error).__name__}\n")


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
    """Record all scenarios anew."""
    shutil.rmtree(CASSETTES, ignore_errors=True)
    for scenario in scenarios:
        sys.stderr.write(f"{scenario.crm}/{scenario.name}\n")
        record(scenario)


if __name__ == "__main__":
    main()
