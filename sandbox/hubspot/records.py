"""Generate the content of a HubSpot account from people."""

from datetime import datetime
from typing import Any, Final

from sandbox.hubspot.contacts import add_contacts, present
from sandbox.hubspot.engagement import ENGAGEMENT, add_engagement
from sandbox.hubspot.ids import OWNER_COUNT, contact_id, owner_id
from sandbox.hubspot.lists import make_lists
from sandbox.hubspot.marketing import (
    EMAIL_EVENTS,
    FORMS,
    TRACKED_EVENTS,
    add_email_event,
    add_event,
    add_forms,
    add_submission,
)
from sandbox.hubspot.store import HubSpotStore, Record
from sandbox.hubspot.values import iso, milliseconds
from sandbox.seed.activity_log import Event
from sandbox.seed.people import Person

INDUSTRY: Final = {
    "Software": "COMPUTER_SOFTWARE",
    "Finance": "FINANCIAL_SERVICES",
    "Manufacturing": "INDUSTRIAL_AUTOMATION",
    "Retail": "RETAIL",
    "Health care": "HOSPITAL_HEALTH_CARE",
    "Logistics": "LOGISTICS_AND_SUPPLY_CHAIN",
    "Education": "EDUCATION_MANAGEMENT",
    "Energy": "OIL_ENERGY",
}

AMOUNTS: Final = {"Starter": 4800, "Team": 18000, "Enterprise": 96000}
_COMPANIES_FROM: Final = 9_000_000_000


class Account:
    """An account to which people are added one after the other."""

    def __init__(self, now: datetime) -> None:
        """Start with owners, forms and lists."""
        self._store = HubSpotStore(now=now, access_token="", rate_limits=False)
        self._companies: dict[str, int] = {}
        self._since: datetime | None = None
        _add_owners(self._store)
        self._store.lists = make_lists()

    def add(self, person: Person) -> None:
        """Add all records and events of a person."""
        self._since = min(self._since or person.created_at, person.created_at)
        if not person.hubspot_records:
            return
        company = self._company(person.domain, person) if person.domain else None
        add_contacts(self._store, person)
        _add_events(self._store, person, company)

    def pack(self) -> None:
        """Compress the records that were added."""
        self._store.pack()

    def contents(self) -> tuple[Any, ...]:
        """Return the compressed content of the account."""
        add_forms(self._store, self._since)
        return self._store.contents()

    def _company(self, domain: str, person: Person) -> int:
        """Associate a person with the employer; its first person creates the company."""
        if domain not in self._companies:
            self._companies[domain] = _COMPANIES_FROM + len(self._companies) * 7
            self._store.tables["companies"].add(_company(self._companies[domain], person))
        id = self._companies[domain]
        self._store.associate("contacts", contact_id(person), "companies", id)
        return id


def _add_owners(store: HubSpotStore) -> None:
    for number in range(OWNER_COUNT):
        created_at = f"2022-0{number % 9 + 1}-03T09:00:00Z"
        store.owners.append(
            {
                "id": owner_id(number),
                "email": f"owner{number}@onefunnel.example",
                "type": "PERSON",
                "firstName": f"Owner {number}",
                "lastName": "Sandbox",
                "userId": 4_800_000 + number,
                "userIdIncludingInactive": 4_800_000 + number,
                "createdAt": created_at,
                "updatedAt": created_at,
                "archived": False,
                "teams": [],
            }
        )


def _company(id: int, person: Person) -> Record:
    at = milliseconds(person.created_at)
    properties = {"name": person.company, "domain": person.domain, "country": person.country}
    if person.industry:
        properties["industry"] = INDUSTRY[person.industry]
    if person.employees:
        properties["numberofemployees"] = str(person.employees)
    return Record(id, present(properties), at, at)


def _add_events(store: HubSpotStore, person: Person, company: int | None) -> None:
    deal: Record | None = None
    sent: dict[str, dict[str, Any]] = {}
    for index, entry in enumerate(person.events):
        if entry.crm == "salesforce":
            continue
        if entry.kind in FORMS:
            add_submission(store, person, entry)
        elif entry.kind in TRACKED_EVENTS:
            add_event(store, person, entry, index)
        elif entry.kind in EMAIL_EVENTS or (entry.kind == "email_sent" and not entry.message_id):
            add_email_event(store, person, entry, index, sent)
        elif entry.kind.startswith("opportunity_"):
            deal = _add_deal(store, person, entry, deal, company)
        elif entry.kind in ENGAGEMENT:
            add_engagement(store, person, entry, index)


def _add_deal(
    store: HubSpotStore, person: Person, entry: Event, deal: Record | None, company: int | None
) -> Record:
    """Open a deal, or close the open one."""
    table = store.tables["deals"]
    at = milliseconds(entry.at)
    if deal is None:
        properties = {
            "dealname": f"{person.company or person.last_name} {entry.detail}",
            "amount": str(AMOUNTS.get(entry.detail, 4800)),
            "pipeline": "default",
            "dealstage": "qualifiedtobuy",
            "hs_is_closed": "false",
            "hs_is_closed_won": "false",
        }
        deal = Record(7_000_000_000 + person.number * 3, properties, at, at)
        table.add(deal)
        store.associate("deals", deal.id, "contacts", contact_id(person))
        if company:
            store.associate("deals", deal.id, "companies", company)
    if entry.kind in ("opportunity_won", "opportunity_lost"):
        won = entry.kind == "opportunity_won"
        deal.updated_at = at
        deal.properties |= {
            "dealstage": "closedwon" if won else "closedlost",
            "closedate": iso(at),
            "hs_is_closed": "true",
            "hs_is_closed_won": "true" if won else "false",
            table.type.modified: iso(at),
        }
    return deal
