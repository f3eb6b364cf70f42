"""Generate contacts from people: history, duplicates, merged ids, links to Salesforce."""

from typing import Any, Final

from sandbox.hubspot.ids import contact_id, owner_id
from sandbox.hubspot.marketing import FORMS
from sandbox.hubspot.schema import CONTACTS, STAGES
from sandbox.hubspot.store import HubSpotStore, Record
from sandbox.hubspot.values import iso, milliseconds
from sandbox.salesforce.ids import record_id
from sandbox.seed.activity_log import Event
from sandbox.seed.people import Person

LEAD_STATUS: Final = {
    "Open - Not Contacted": "NEW",
    "Working - Contacted": "IN_PROGRESS",
    "Nurturing": "BAD_TIMING",
    "Unqualified": "UNQUALIFIED",
    "Qualified": "CONNECTED",
}


def add_contacts(store: HubSpotStore, person: Person) -> None:
    """Add the contact of a person, its duplicate, and the ids merged into it."""
    table = store.tables[CONTACTS.name]
    events = [entry for entry in person.events if entry.crm != "salesforce"]
    created_at = milliseconds(person.created_at)
    touched_at = milliseconds(max([person.created_at, *(entry.at for entry in events)]))
    record = Record(contact_id(person), _contact_properties(person, events), created_at, touched_at)
    record.history = _contact_history(person, record.properties, touched_at)
    if person.hubspot_merged:
        old_ids = [record.id + 11 + index for index in range(person.hubspot_merged + 1)]
        record.properties["hs_merged_object_ids"] = ";".join(map(str, old_ids))
        stamps = (f"{old_id}:{created_at + 86_400_000}" for old_id in old_ids)
        record.properties["hs_calculated_merged_vids"] = ";".join(stamps)
        table.merged_into |= dict.fromkeys(old_ids, record.id)
    if person.hubspot_archived:
        record.archived_at = touched_at + 3_600_000
    table.add(record)
    if person.hubspot_records > 1:
        table.add(_duplicate(person, record, touched_at))


def _duplicate(person: Person, original: Record, touched_at: int) -> Record:
    """Create a duplicate of a contact: with another spelling, or another address."""
    properties: dict[str, str] = {
        name: original.properties[name]
        for name in ("firstname", "lastname", "company", "lifecyclestage", "hs_lead_status")
        if name in original.properties
    }
    if person.additional_emails:
        properties["email"] = person.additional_emails[0].lower()
    elif person.email:
        properties["email"] = person.email.upper()
    properties["firstname"] = person.first_name.upper()
    created_at = min(original.created_at + 9 * 86_400_000, touched_at)
    return Record(original.id + 7, properties, created_at, touched_at)


def _contact_properties(person: Person, events: list[Event]) -> dict[str, str]:
    submitted = [entry.at for entry in events if entry.kind in FORMS]
    email = person.email
    return present(
        {
            "email": email.strip().lower() if email and person.number % 5 else email,
            "firstname": person.first_name,
            "lastname": person.last_name,
            "phone": person.phone,
            "jobtitle": person.job_title,
            "company": person.company,
            "industry": person.industry and _vary_industry(person.industry, person.number),
            "numberofemployees": person.employees and str(person.employees),
            "country": person.country,
            "website": person.domain and f"https://www.{person.domain}",
            "lifecyclestage": person.hubspot_stage,
            "hs_lead_status": LEAD_STATUS[person.lead_status] if person.salesforce_as else None,
            "hs_email_optout": "true" if person.opted_out else None,
            "hs_email_bounce": "1" if person.bounced else None,
            "hs_email_domain": email and email.rpartition("@")[2].lower(),
            "hs_additional_emails": ";".join(person.additional_emails),
            "salesforceleadid": _salesforce_link(person, "00Q", ("Lead", "ConvertedLead")),
            "salesforcecontactid": _salesforce_link(person, "003", ("Contact", "ConvertedLead")),
            "hubspot_owner_id": owner_id(person.number) if person.number % 2 else None,
            "hs_object_source": "IMPORT" if person.number % 3 else "FORM",
            "hs_pipeline": "contacts-lifecycle-pipeline",
            "hubspotscore": str(len(events) % 60),
            "num_conversion_events": str(len(submitted)),
            "first_conversion_date": iso(milliseconds(submitted[0])) if submitted else None,
            "recent_conversion_date": iso(milliseconds(submitted[-1])) if submitted else None,
            "hs_analytics_num_page_views": str(sum(entry.kind == "page_view" for entry in events)),
            "bant_budget": None if person.budget is None else str(int(person.budget)),
            "bant_authority": person.authority,
            "bant_need": person.need,
            "bant_timeline": person.timeline and person.timeline.isoformat(),
        }
    )


def _vary_industry(industry: str, number: int) -> str:
    """Vary the spelling of a free-text field."""
    return (
        (industry.upper(), f"{industry} ", industry.lower())[number % 3]
        if number % 7 == 0
        else industry
    )


def _salesforce_link(person: Person, prefix: str, wanted: tuple[str, ...]) -> str | None:
    return (
        record_id(prefix, person.number)
        if person.linked and person.salesforce_as in wanted
        else None
    )


def _contact_history(
    person: Person, properties: dict[str, str], until: int
) -> dict[str, list[tuple[int, str, str]]]:
    """Generate the history of the fields that a lifecycle definition reads."""
    since = milliseconds(person.created_at)
    span = until - since
    history: dict[str, list[tuple[int, str, str]]] = {}
    ladder = [option.value for option in STAGES]
    if stage := properties.get("lifecyclestage"):
        climbed = [*ladder[1 : min(ladder.index(stage), 5)][: person.number % 3], stage]
        history["lifecyclestage"] = [
            (since + span * step // len(climbed), value, "CRM_UI")
            for step, value in enumerate(climbed)
        ]
        for at, value, _ in history["lifecyclestage"]:
            properties[f"hs_lifecyclestage_{value}_date"] = iso(at)
            properties[f"hs_v2_date_entered_{value}"] = iso(at)
    if status := properties.get("hs_lead_status"):
        history["hs_lead_status"] = [(since, "NEW", "CRM_UI")]
        if status != "NEW":
            history["hs_lead_status"].append((since + span // 2, status, "CRM_UI"))
    for share, name in enumerate(
        ("bant_budget", "bant_authority", "bant_need", "bant_timeline"), 5
    ):
        if name in properties:
            history[name] = [(since + span * share // 9, properties[name], "CRM_UI")]
    return history


def present(properties: dict[str, Any]) -> dict[str, str]:
    """Keep the properties that have a value."""
    return {name: value for name, value in properties.items() if value}
