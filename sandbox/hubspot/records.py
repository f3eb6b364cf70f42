"""From people to HubSpot: everything one account knows about them."""

from typing import Any, Final

from sandbox.diary import Happening
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
from sandbox.people import Person

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


def fill(store: HubSpotStore, people: list[Person]) -> None:
    """Put everything HubSpot knows about the people into the account."""
    _add_owners(store)
    store.lists = make_lists()
    add_forms(store, people)
    known = [person for person in people if person.hubspot_records]
    _add_companies(store, known)
    for person in known:
        add_contacts(store, person)
        _add_happenings(store, person)
    for log in store.submissions.values():
        log.sort(key=lambda each: each["submittedAt"], reverse=True)
    store.email_events.sort(key=lambda each: each["created"], reverse=True)
    for events in store.events.values():
        events.sort(key=lambda each: each[0], reverse=True)


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


def _add_companies(store: HubSpotStore, people: list[Person]) -> None:
    table = store.tables["companies"]
    first: dict[str, Person] = {}
    for person in people:
        if person.domain:
            first.setdefault(person.domain, person)
    for number, (domain, person) in enumerate(first.items()):
        at = milliseconds(person.created_at)
        properties = {"name": person.company, "domain": domain, "country": person.country}
        if person.industry:
            properties["industry"] = INDUSTRY[person.industry]
        if person.employees:
            properties["numberofemployees"] = str(person.employees)
        table.add(Record(9_000_000_000 + number * 7, present(properties), at, at))
    companies = {record.properties["domain"]: record.id for record in table.live()}
    for person in people:
        if person.domain:
            store.associate("contacts", contact_id(person), "companies", companies[person.domain])


def _add_happenings(store: HubSpotStore, person: Person) -> None:
    deal: Record | None = None
    sent: dict[str, dict[str, Any]] = {}
    for index, entry in enumerate(person.happenings):
        if entry.crm == "salesforce":
            continue
        if entry.kind in FORMS:
            add_submission(store, person, entry)
        elif entry.kind in TRACKED_EVENTS:
            add_event(store, person, entry, index)
        elif entry.kind in EMAIL_EVENTS or (entry.kind == "email_sent" and not entry.message_id):
            add_email_event(store, person, entry, index, sent)
        elif entry.kind.startswith("opportunity_"):
            deal = _add_deal(store, person, entry, deal)
        elif entry.kind in ENGAGEMENT:
            add_engagement(store, person, entry, index)


def _add_deal(store: HubSpotStore, person: Person, entry: Happening, deal: Record | None) -> Record:
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
        for company in store.associated("contacts", contact_id(person), "companies"):
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
