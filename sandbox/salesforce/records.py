"""Generate leads, contacts and accounts from people, with merges and conversions.

The number of a person determines the ids, so a larger data set has the same records.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.salesforce.engagement import EngagementLog, log_event, logged_at
from sandbox.salesforce.ids import record_id
from sandbox.salesforce.objects import LIFECYCLE_STAGES, org
from sandbox.salesforce.rows import Row, Tables, number_of, stamped, table
from sandbox.salesforce.values import instant
from sandbox.seed.people import Person

DUPLICATES_FROM = 1_000_000
LOSERS_FROM = 2_000_000
EARLIER_LOSERS_FROM = 3_000_000

_USERS = ("Ines Duarte", "Tom Becker", "Priya Nair", "Lukas Novak", "Integration User")
INTEGRATION_USER = record_id("005", len(_USERS))
ORGANIZATION = record_id("00D", 1)
USER_PERMISSIONS = record_id("0Up", 1)

_LEAD_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other", None)
_QUALIFICATION = ("Budget__c", "Authority__c", "Need__c", "Timeline__c")
_LOWEST_STATUS = "Open - Not Contacted"
_SHARED = {"User", "Account", "Campaign"}
"""Objects whose rows several people share."""


class Org:
    """An org to which people are added one after the other; rows leave out empty fields."""

    def __init__(self, now: datetime) -> None:
        """Start with the users."""
        self._now = now
        self._tables = {name: table(sobject.prefix) for name, sobject in org().items()}
        self._tables["User"].update((row["Id"], row) for row in _users(now))
        self._tables["Organization"][ORGANIZATION] = _organization(now)
        self._tables["UserPermissionAccess"][USER_PERMISSIONS] = _user_permissions(now)

    def add(self, person: Person) -> None:
        """Add the rows of a person."""
        if person.salesforce_as is not None:
            _add_person(person, self._tables, self._now)

    def pack(self) -> None:
        """Compress the rows that belong to one person."""
        for name in self._tables.keys() - _SHARED:
            self._tables[name].pack()

    def tables(self) -> Tables:
        """Return the compressed rows, by object and id."""
        for rows in self._tables.values():
            rows.pack()
        return self._tables


def _users(now: datetime) -> list[Row]:
    since = now - timedelta(days=1200)
    return [_user(number, name, since) for number, name in enumerate(_USERS, start=1)]


def _organization(now: datetime) -> Row:
    since = now - timedelta(days=1200)
    row: Row = {
        "Id": ORGANIZATION,
        "Name": "onefunnel",
        "OrganizationType": "Enterprise Edition",
        "InstanceName": "EU1",
        "DefaultLocaleSidKey": "en_US",
        "LanguageLocaleKey": "en_US",
        "TimeZoneSidKey": "Europe/Berlin",
    }
    return stamped(row, since, since, INTEGRATION_USER)


def _user_permissions(now: datetime) -> Row:
    names = ("ApiEnabled", "ViewAllData", "ModifyAllData", "CustomizeApplication")
    row: Row = {"Id": USER_PERMISSIONS} | {f"Permissions{name}": True for name in names}
    return stamped(row, now, now, INTEGRATION_USER)


def _user(number: int, name: str, since: datetime) -> Row:
    first, last = name.split()
    row: Row = {
        "Id": record_id("005", number),
        "FirstName": first,
        "LastName": last,
        "Name": name,
        "Email": f"{first}.{last}@onefunnel.example".lower(),
        "Username": f"{first}.{last}@onefunnel.example".lower(),
        "IsActive": True,
        "UserType": "Standard",
        "Alias": name[:5].lower(),
        "LocaleSidKey": "en_US",
        "LanguageLocaleKey": "en_US",
        "TimeZoneSidKey": "Europe/Berlin",
    }
    return stamped(row, since, since, INTEGRATION_USER)


def _add_person(person: Person, tables: Tables, now: datetime) -> None:
    is_contact = person.salesforce_as != "Lead"
    sobject = "Contact" if is_contact else "Lead"
    row = _contact(person, tables) if is_contact else _lead(person)
    log = EngagementLog(person, row, tables, now, is_contact)
    last = log_event(log)
    changes = _changes(row, person)
    if person.salesforce_as == "ConvertedLead":
        changes = _add_converted(row, changes, log)
    _add(sobject, row, changes, tables, last_event_at=last)
    if person.salesforce_duplicate:
        _add_duplicate(person, tables, now)
    if person.salesforce_merged:
        _add_losers(person, sobject, row, tables, now)


def _person(person: Person, record_id_: str) -> Row:
    owner = record_id("005", 1 + person.number % (len(_USERS) - 1))
    row = {
        "Id": record_id_,
        "FirstName": person.first_name,
        "LastName": person.last_name,
        "Name": f"{person.first_name} {person.last_name}".strip(),
        "Email": person.email,
        "Phone": person.phone,
        "Title": person.job_title,
        "LeadSource": _LEAD_SOURCES[person.number % len(_LEAD_SOURCES)],
        "OwnerId": owner,
        "HasOptedOutOfEmail": _opted_out_here(person),
        "Lifecycle_Stage__c": person.salesforce_stage,
        "Budget__c": person.budget,
        "Authority__c": person.authority.capitalize() if person.authority else None,
        "Need__c": person.need,
        "Timeline__c": person.timeline.isoformat() if person.timeline else None,
    }
    return _without_empty(row)


def _without_empty(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def _opted_out_here(person: Person) -> bool:
    """Return the opt-out in Salesforce: a click in a HubSpot mailing is not copied."""
    crms = [entry.crm for entry in person.events if entry.kind == "unsubscribed"]
    return person.opted_out and (not crms or any(crm != "hubspot" for crm in crms))


def _lead(person: Person) -> Row:
    fields = {
        "Company": person.company or "[not provided]",
        "Industry": person.industry,
        "NumberOfEmployees": person.employees,
        "AnnualRevenue": person.employees * 110_000.0 if person.employees else None,
        "Country": person.country,
        "Website": f"https://www.{person.domain}" if person.domain else None,
        "Status": person.lead_status,
    }
    return _person(person, record_id("00Q", person.number)) | _without_empty(fields)


def _contact(person: Person, tables: Tables) -> Row:
    fields = {"MailingCountry": person.country, "AccountId": _account_id(person, tables)}
    return _person(person, record_id("003", person.number)) | _without_empty(fields)


def _account_id(person: Person, tables: Tables) -> str | None:
    if person.company is None:
        return None
    account_id = record_id("001", number_of(person.company.casefold()))
    if account_id not in tables["Account"]:
        row: Row = {
            "Id": account_id,
            "Name": person.company,
            "Type": "Prospect",
            "Industry": person.industry,
            "NumberOfEmployees": person.employees,
            "AnnualRevenue": person.employees * 110_000.0 if person.employees else None,
            "Website": f"https://www.{person.domain}" if person.domain else None,
            "BillingCountry": person.country,
            "OwnerId": record_id("005", 1),
        }
        made = stamped(_without_empty(row), person.created_at, person.created_at, row["OwnerId"])
        tables["Account"][account_id] = made
    return account_id


@dataclass(frozen=True)
class _Change:
    """One row of a history."""

    field: str
    before: Any
    after: Any
    at: datetime


def _add(
    sobject: str,
    row: Row,
    changes: list[_Change],
    tables: Tables,
    *,
    last_event_at: datetime | None = None,
) -> None:
    """Store a row with its history; the first entry is the creation."""
    for serial, change in enumerate(changes):
        _add_history(sobject, row, serial, change, tables)
    changed = changes[-1].at
    stamped(row, changes[0].at, changed, row["OwnerId"])
    row["SystemModstamp"] = instant(max(changed, last_event_at or changed))
    tables[sobject][row["Id"]] = row


def _changes(row: Row, person: Person) -> list[_Change]:
    """Generate the history of tracked fields, spread over the events in Salesforce."""
    steps: list[tuple[str, Any, Any]] = [("created", None, None)]
    ladder = _way_to(row.get("Lifecycle_Stage__c"))
    steps += [
        ("Lifecycle_Stage__c", before, after)
        for before, after in zip([None, *ladder], ladder, strict=False)
    ]
    if row.get("Status", _LOWEST_STATUS) != _LOWEST_STATUS:
        steps.append(("Status", _LOWEST_STATUS, row["Status"]))
    steps += [(name, None, row[name]) for name in _QUALIFICATION if row.get(name) is not None]
    heard = [logged_at(one) for one in person.events if one.crm != "hubspot"]
    moments = [person.created_at, *(at for at in heard if at > person.created_at)]
    last = len(moments) - 1
    return [
        _Change(*step, moments[number * last // max(len(steps) - 1, 1)])
        for number, step in enumerate(steps)
    ]


def _way_to(stage: str | None) -> list[str]:
    if stage is None:
        return []
    if stage == "Nurture":
        return ["Suspect", "Lead", "Nurture"]
    return list(LIFECYCLE_STAGES[: LIFECYCLE_STAGES.index(stage) + 1])


def _add_history(sobject: str, row: Row, serial: int, change: _Change, tables: Tables) -> None:
    prefix = "017" if sobject == "Lead" else "03J"
    history_id = record_id(prefix, number_of(f"{row['Id']}{serial}"))
    entry = {"Id": history_id, f"{sobject}Id": row["Id"], "Field": change.field}
    entry |= _without_empty({"OldValue": change.before, "NewValue": change.after})
    tables[f"{sobject}History"][history_id] = stamped(entry, change.at, change.at, row["OwnerId"])


def _add_converted(contact: Row, changes: list[_Change], log: EngagementLog) -> list[_Change]:
    """Add the converted lead, and return the part of the history that belongs to the contact.

    Activity of the lead belongs to the contact now; the lead keeps its own history.
    """
    person = log.person
    at = _converted_at(person, log)
    account, deal = contact.get("AccountId"), log.first_opportunity_id
    lead = _lead(person) | {
        "Status": "Qualified",
        "IsConverted": True,
        "ConvertedDate": at.date().isoformat(),
        "ConvertedContactId": contact["Id"],
        **_without_empty({"ConvertedAccountId": account, "ConvertedOpportunityId": deal}),
    }
    before = [one for one in changes if one.at < at]
    _add("Lead", lead, [*before, _Change("leadConverted", None, None, at)], log.tables)
    return [_Change("created", None, None, at), *changes[len(before) :]]


def _converted_at(person: Person, log: EngagementLog) -> datetime:
    deals = [logged_at(one) for one in person.events if one.kind == "opportunity_opened"]
    later = person.created_at + timedelta(days=21)
    return max(person.created_at + timedelta(minutes=5), min([*deals, later, log.now]))


def _add_duplicate(person: Person, tables: Tables, now: datetime) -> None:
    """Add a duplicate lead, with the address in another case."""
    lead = _lead(person) | {"Id": record_id("00Q", DUPLICATES_FROM + person.number)}
    lead["Status"] = _LOWEST_STATUS
    for name in ("Lifecycle_Stage__c", *_QUALIFICATION):
        lead.pop(name, None)
    if person.email is not None:
        local, _, domain = person.email.partition("@")
        lead["Email"] = f"{local.title()}@{domain.upper()}"
    at = min(person.created_at + timedelta(days=20), now - timedelta(hours=1))
    _add("Lead", lead, [_Change("created", None, None, at)], tables)


def _add_losers(person: Person, sobject: str, winner: Row, tables: Tables, now: datetime) -> None:
    """Add the rows merged into the winner; every third loser was a winner before."""
    merged_at = now - timedelta(days=person.number % 10, hours=7)
    loser = _loser(person, sobject, LOSERS_FROM, winner, merged_at)
    tables[sobject][loser["Id"]] = loser
    if person.number % 3 == 0:
        earlier = merged_at - timedelta(days=2)
        first = _loser(person, sobject, EARLIER_LOSERS_FROM, loser, earlier)
        tables[sobject][first["Id"]] = first
    winner["SystemModstamp"] = max(winner["SystemModstamp"], instant(merged_at))


def _loser(person: Person, sobject: str, numbers: int, winner: Row, at: datetime) -> Row:
    prefix = "00Q" if sobject == "Lead" else "003"
    row = _lead(person) if sobject == "Lead" else _person(person, winner["Id"])
    row["Id"] = record_id(prefix, numbers + person.number)
    row["IsDeleted"], row["MasterRecordId"] = True, winner["Id"]
    created = min(person.created_at - timedelta(days=3), at)
    return stamped(row, created, at, row["OwnerId"])
