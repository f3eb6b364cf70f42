"""The generated people, from which both CRMs generate their own records.

Seed, number and `now` determine a person: person 7 is the same with 20 people as with 2,000.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Final, overload

from sandbox.seed.activity_log import ActivityLog, Crm, Event
from sandbox.seed.identities import Identity, make_identity
from sandbox.seed.journeys import ARCHETYPES, random_created_at, simulate

__all__ = ["Event", "People", "Person", "make_people"]

AUTHORITIES: Final = ("decision maker", "influencer", "user", "unknown")
NEEDS: Final = (
    "One definition for both teams",
    "Cleaner data",
    "Faster hand-over",
    "Better reporting",
    "Just looking",
)
_MQL, _SQL = "marketingqualifiedlead", "salesqualifiedlead"
_OPEN, _WORKING = "Open - Not Contacted", "Working - Contacted"

# The stage in each CRM, by the step that the person has reached: mostly one step behind, sometimes
# ahead, sometimes empty.
_HUBSPOT_STAGES: Final[dict[str, tuple[str | None, ...]]] = {
    "quiet": ("subscriber", "lead", "lead", None, "other"),
    "engaged": ("lead", "lead", _MQL, "subscriber", _SQL),
    "asked": ("lead", _MQL, _MQL, _SQL, "opportunity"),
    "dealing": (_SQL, "opportunity", "opportunity", "lead"),
    "bought": ("customer", "customer", "opportunity", _SQL, _MQL),
    "lost": ("opportunity", _SQL, _MQL, "lead"),
}
_SALESFORCE_STAGES: Final[dict[str, tuple[str | None, ...]]] = {
    "quiet": ("Suspect", "Suspect", None, "Lead"),
    "engaged": ("Lead", "Suspect", None, "Marketing Qualified", "Nurture"),
    "asked": ("Prospect", "Marketing Qualified", "Lead", "Lead", None),
    "dealing": ("Prospect", "Prospect", "Marketing Qualified", None),
    "bought": ("Customer", "Customer", "Prospect", None),
    "lost": ("Prospect", "Nurture", "Nurture", "Lead"),
}
_LEAD_STATUSES: Final = {
    "quiet": (_OPEN, _OPEN, "Nurturing"),
    "engaged": (_OPEN, _WORKING, "Nurturing"),
    "asked": (_WORKING, _WORKING, _OPEN, "Qualified"),
    "dealing": ("Qualified", "Qualified", _WORKING),
    "bought": ("Qualified",),
    "lost": ("Qualified", "Unqualified", "Nurturing"),
}
_SALES_ARCHETYPES: Final = frozenset(("asking", "buying", "losing", "cold"))


@dataclass(frozen=True, slots=True)
class Person:
    """A person: identity, events, and the records in each CRM.

    hubspot_records: 0 none, 1 a contact, 2 a contact and a duplicate.
    hubspot_merged: number of earlier contacts merged into the first one.
    salesforce_as: None, "Lead", "Contact" or "ConvertedLead" (a converted lead and its contact).
    hubspot_stage, salesforce_stage: the stage that each team set last, often outdated.
    """

    number: int
    first_name: str
    last_name: str
    email: str | None
    additional_emails: tuple[str, ...]
    phone: str | None
    job_title: str | None
    company: str | None
    domain: str | None
    industry: str | None
    employees: int | None
    country: str | None
    created_at: datetime
    hubspot_records: int
    hubspot_merged: int
    hubspot_archived: bool
    salesforce_as: str | None
    salesforce_duplicate: bool
    salesforce_merged: bool
    linked: bool
    hubspot_stage: str | None
    salesforce_stage: str | None
    lead_status: str
    opted_out: bool
    bounced: bool
    budget: float | None
    authority: str | None
    need: str | None
    timeline: date | None
    events: tuple[Event, ...]


@dataclass(frozen=True)
class People(Sequence[Person]):
    """A sequence of people, each generated on access: a million people need no memory."""

    size: int
    seed: int
    now: datetime

    def __len__(self) -> int:
        """Return the number of people."""
        return self.size

    @overload
    def __getitem__(self, number: int) -> Person: ...
    @overload
    def __getitem__(self, number: slice) -> list[Person]: ...
    def __getitem__(self, number: int | slice) -> Person | list[Person]:
        """Generate one or several people."""
        chosen = range(self.size)[number]
        if isinstance(chosen, range):
            return [_make_person(one, self.seed, self.now) for one in chosen]
        return _make_person(chosen, self.seed, self.now)


def make_people(count: int, seed: int, now: datetime) -> list[Person]:
    """Generate `count` people with events up to `now`, a UTC midnight."""
    return [_make_person(number, seed, now) for number in range(count)]


def _make_person(number: int, seed: int, now: datetime) -> Person:
    rng = Random(f"{seed}/person/{number}")
    identity = make_identity(rng, number, seed)
    archetype = rng.choices(list(ARCHETYPES), [share for share, _ in ARCHETYPES.values()])[0]
    crms = _choose_crms(rng, archetype)
    created_at = random_created_at(rng, now)
    events = _events(rng, archetype, crms, created_at, now, has_email=identity.email is not None)
    reached = _reached(archetype, events)
    in_salesforce = crms != "hubspot"
    in_hubspot = crms != "salesforce"
    company = identity.company
    qualified = reached in ("asked", "dealing", "bought", "lost")
    return Person(
        number=number,
        first_name=identity.first_name,
        last_name=identity.last_name,
        email=identity.email,
        additional_emails=identity.additional_emails,
        phone=identity.phone,
        job_title=identity.job_title,
        company=company.name if company else None,
        domain=company.domain if company else None,
        industry=company.industry if company and rng.random() < 0.8 else None,
        employees=company.employees if company and rng.random() < 0.75 else None,
        country=identity.country,
        created_at=created_at,
        hubspot_records=(2 if rng.random() < 0.03 else 1) if in_hubspot else 0,
        hubspot_merged=rng.choices((0, 1, 2), (96, 3, 1))[0] if in_hubspot else 0,
        hubspot_archived=in_hubspot and rng.random() < 0.02,
        salesforce_as=_salesforce_as(rng, reached, identity) if in_salesforce else None,
        salesforce_duplicate=in_salesforce and identity.email is not None and rng.random() < 0.03,
        salesforce_merged=in_salesforce and rng.random() < 0.02,
        linked=crms == "both" and rng.random() < 0.7,
        hubspot_stage=_hubspot_stage(rng, reached) if in_hubspot else None,
        salesforce_stage=_salesforce_stage(rng, reached) if in_salesforce else None,
        lead_status=_lead_status(rng, reached),
        opted_out=any(entry.kind == "unsubscribed" for entry in events) or rng.random() < 0.01,
        bounced=any(entry.kind == "email_bounced" for entry in events),
        budget=float(rng.choice((1000, 3000, 5000, 12500, 40000)))
        if qualified and rng.random() < 0.5
        else None,
        authority=rng.choice(AUTHORITIES) if qualified and rng.random() < 0.6 else None,
        need=rng.choice(NEEDS) if qualified and rng.random() < 0.55 else None,
        timeline=(now + timedelta(days=rng.randint(-90, 300))).date()
        if qualified and rng.random() < 0.4
        else None,
        events=events,
    )


def _choose_crms(rng: Random, archetype: str) -> Crm:
    if archetype == "cold":
        return "salesforce"
    if archetype in _SALES_ARCHETYPES:
        return "both" if rng.random() < 0.9 else "hubspot"
    draw = rng.random()
    if draw < 0.42:
        return "both"
    return "salesforce" if draw < 0.47 else "hubspot"


def _events(
    rng: Random, archetype: str, crms: Crm, created_at: datetime, now: datetime, *, has_email: bool
) -> tuple[Event, ...]:
    log = ActivityLog(rng, created_at, now, crms=crms, has_email=has_email)
    simulate(log, archetype)
    if rng.random() < 0.03:
        log.add("unsubscribed", created_at + timedelta(days=rng.uniform(5, 300)), "All mailings")
    if rng.random() < 0.02:
        log.add("email_bounced", created_at + timedelta(days=rng.uniform(1, 200)), "Mailing 07")
    return log.events()


def _reached(archetype: str, events: tuple[Event, ...]) -> str:
    kinds = {entry.kind for entry in events}
    if "opportunity_won" in kinds:
        return "bought"
    if "opportunity_lost" in kinds:
        return "lost"
    if "opportunity_opened" in kinds:
        return "dealing"
    if kinds & {
        "demo_request",
        "quote_request",
        "call_connected",
        "email_reply",
    }:
        return "asked"
    return (
        "engaged"
        if archetype in ("engaged", "returning", "asking", "buying", "losing")
        else "quiet"
    )


def _salesforce_as(rng: Random, reached: str, identity: Identity) -> str:
    if reached in ("dealing", "bought", "lost") or (
        reached == "asked" and identity.company and rng.random() < 0.35
    ):
        return rng.choice(("ConvertedLead", "ConvertedLead", "Contact"))
    return "Contact" if rng.random() < 0.08 else "Lead"


def _hubspot_stage(rng: Random, reached: str) -> str | None:
    return rng.choice(_HUBSPOT_STAGES[reached])


def _salesforce_stage(rng: Random, reached: str) -> str | None:
    return rng.choice(_SALESFORCE_STAGES[reached])


def _lead_status(rng: Random, reached: str) -> str:
    return "Unqualified" if rng.random() < 0.03 else rng.choice(_LEAD_STATUSES[reached])
