"""Generate activities, e-mails, campaign members and opportunities from events."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.salesforce.ids import record_id
from sandbox.salesforce.rows import Row, Tables, number_of, stamped
from sandbox.salesforce.values import instant
from sandbox.seed.people import Event, Person

ARCHIVED_AFTER = timedelta(days=365)

_LOGGED_AT_MOST = 1000
_CAMPAIGN_TYPES = {
    "newsletter_signup": "Newsletter",
    "white_paper": "Content",
    "webinar_registered": "Webinar",
    "webinar_attended": "Webinar",
    "campaign_response": "Trade Show",
    "account_created": "Website",
    "page_view": "Website",
}
_MEMBER_STATUSES = {
    "newsletter_signup": "Subscribed",
    "webinar_registered": "Registered",
    "webinar_attended": "Attended",
}
_CALLS = {
    "call_inbound": ("Inbound", "Connected", 540),
    "call_connected": ("Outbound", "Connected", 780),
    "call_attempted": ("Outbound", "No answer", 0),
}
_MEETINGS = {"meeting_booked": "Scheduled", "meeting_held": "Held", "meeting_no_show": "No show"}


@dataclass
class EngagementLog:
    """The activity rows of one person, while they are generated."""

    person: Person
    who: Row
    tables: Tables
    now: datetime
    is_contact: bool
    serial: int = 0
    sent: Row | None = None
    opportunity: Row | None = None
    first_opportunity_id: str | None = None
    members: dict[str, Row] = field(default_factory=dict)
    """The person's campaign members, by campaign id."""

    def next_id(self, prefix: str) -> str:
        """Return the id of the next row of the person; rows of one event share a number."""
        return record_id(prefix, self.person.number * _LOGGED_AT_MOST + self.serial)

    def add(self, sobject: str, row: Row, created: datetime, modified: datetime) -> Row:
        """Store a row, created by the person's owner."""
        stamped(row, created, modified, self.who["OwnerId"])
        self.tables[sobject][row["Id"]] = row
        return row


def log_event(journal: EngagementLog) -> datetime | None:
    """Add the rows of all events that Salesforce logs; return the time of the last one."""
    last = None
    for happening in journal.person.events:
        writer = _WRITERS.get(happening.kind)
        if writer is None or happening.crm == "hubspot":
            continue
        journal.serial += 1
        last = logged_at(happening)
        writer(journal, happening, last)
    return last


def logged_at(happening: Event) -> datetime:
    """Return when Salesforce logged an event: later if both CRMs did."""
    late = happening.skew_seconds if happening.crm == "both" else 0
    return happening.at + timedelta(seconds=late)


def _task(journal: EngagementLog, subtype: str, kind: str, subject: str, at: datetime) -> Row:
    day = at.date().isoformat()
    row = {
        "Id": journal.next_id("00T"),
        "WhoId": journal.who["Id"],
        "OwnerId": journal.who["OwnerId"],
        "Subject": subject,
        "Status": "Completed",
        "Priority": "Normal",
        "TaskSubtype": subtype,
        "Type": kind,
        "ActivityDate": day,
        "CompletedDateTime": instant(at),
        "IsClosed": True,
    }
    _place(journal, row, at)
    return journal.add("Task", row, at, at)


def _place(journal: EngagementLog, activity: Row, at: datetime) -> None:
    if account := journal.who.get("AccountId"):
        activity["AccountId"] = account
    if journal.now - at > ARCHIVED_AFTER:
        activity["IsArchived"] = True
    journal.who["LastActivityDate"] = at.date().isoformat()


def _call(journal: EngagementLog, happening: Event, at: datetime) -> None:
    direction, disposition, seconds = _CALLS[happening.kind]
    task = _task(journal, "Call", "Call", happening.detail, at)
    task["CallType"] = direction
    task["CallDisposition"] = disposition
    task["CallDurationInSeconds"] = seconds


def _mail(journal: EngagementLog, happening: Event, at: datetime) -> None:
    incoming = happening.kind == "email_reply"
    task = _task(journal, "Email", "Email", f"Email: {happening.detail}", at)
    theirs, ours = journal.person.email, journal.tables["User"][journal.who["OwnerId"]]["Email"]
    row = {
        "Id": journal.next_id("02s"),
        "ActivityId": task["Id"],
        "Subject": happening.detail,
        "FromAddress": theirs if incoming else ours,
        "ToAddress": ours if incoming else theirs,
        "Incoming": incoming,
        "Status": "1" if incoming else "3",
        "MessageDate": instant(at),
        "MessageIdentifier": happening.message_id,
    }
    journal.add("EmailMessage", row, at, at)
    relation = {
        "Id": journal.next_id("0Dx"),
        "EmailMessageId": row["Id"],
        "RelationId": journal.who["Id"],
        "RelationType": "FromAddress" if incoming else "ToAddress",
        "RelationAddress": theirs,
        "RelationObjectType": "Contact" if journal.is_contact else "Lead",
    }
    journal.add("EmailMessageRelation", relation, at, at)
    if not incoming:
        journal.sent = row


def _opened(journal: EngagementLog, _: Event, at: datetime) -> None:
    if journal.sent is not None:
        journal.sent.setdefault("FirstOpenedDate", instant(at))
        journal.sent["LastOpenedDate"] = journal.sent["SystemModstamp"] = instant(at)
        journal.sent["IsOpened"] = journal.sent["IsTracked"] = True


def _bounced(journal: EngagementLog, _: Event, at: datetime) -> None:
    journal.who["EmailBouncedDate"] = instant(at)
    if journal.sent is not None:
        journal.sent["IsBounced"] = True
        journal.sent["SystemModstamp"] = instant(at)


def _meeting(journal: EngagementLog, happening: Event, at: datetime) -> None:
    starts = at + timedelta(days=3) if happening.kind == "meeting_booked" else at
    row = {
        "Id": journal.next_id("00U"),
        "WhoId": journal.who["Id"],
        "OwnerId": journal.who["OwnerId"],
        "Subject": happening.detail,
        "Type": "Meeting",
        "EventSubtype": "Event",
        "ShowAs": "Busy",
        "StartDateTime": instant(starts),
        "EndDateTime": instant(starts + timedelta(minutes=45)),
        "DurationInMinutes": 45,
        "ActivityDate": starts.date().isoformat(),
        "Outcome__c": _MEETINGS[happening.kind],
    }
    _place(journal, row, at)
    journal.add("Event", row, at, at)


def _todo(journal: EngagementLog, happening: Event, at: datetime) -> None:
    task = _task(journal, "Task", "Other", happening.detail, at)
    if journal.now - at < timedelta(days=14):
        task.update(Status="Not Started", IsClosed=False, CompletedDateTime=None)


def _note(journal: EngagementLog, happening: Event, at: datetime) -> None:
    _task(journal, "Task", "Note", happening.detail, at)


def _form(journal: EngagementLog, happening: Event, at: datetime) -> None:
    _task(journal, "Task", "Web Form", f"{happening.kind}: {happening.detail}", at)


def _response(journal: EngagementLog, happening: Event, at: datetime) -> None:
    """Add a campaign member, once a campaign: attending updates a registration."""
    campaign = _campaign(journal.tables, happening, at)
    side = "ContactId" if journal.is_contact else "LeadId"
    row = journal.members.get(campaign["Id"])
    if row is None:
        number = number_of(f"{campaign['Id']}{journal.person.number}")
        row = {"Id": record_id("00v", number), "CampaignId": campaign["Id"]}
        row[side] = journal.who["Id"]
        journal.members[campaign["Id"]] = journal.add("CampaignMember", row, at, at)
    row["Status"] = _MEMBER_STATUSES.get(happening.kind, "Responded")
    row["LastModifiedDate"] = row["SystemModstamp"] = instant(at)
    if happening.kind != "webinar_registered":
        row["HasResponded"] = True
        row.setdefault("FirstRespondedDate", at.date().isoformat())


def _campaign(tables: Tables, happening: Event, at: datetime) -> Row:
    found = tables["Campaign"].get(record_id("701", number_of(happening.detail)))
    if found is not None:
        return found
    row: Row = {
        "Id": record_id("701", number_of(happening.detail)),
        "Name": happening.detail,
        "Type": _CAMPAIGN_TYPES.get(happening.kind, "Other"),
        "Status": "Completed",
        "IsActive": True,
        "OwnerId": record_id("005", 1),
    }
    stamped(row, at, at, row["OwnerId"])
    tables["Campaign"][row["Id"]] = row
    return row


def _deal_opened(journal: EngagementLog, happening: Event, at: datetime) -> None:
    if not journal.is_contact:
        return
    person = journal.person
    row = {
        "Id": journal.next_id("006"),
        "Name": f"{person.company or person.last_name}: {happening.detail}",
        "AccountId": journal.who.get("AccountId"),
        "StageName": "Qualification",
        "Amount": person.budget,
        "CloseDate": (at + timedelta(days=60)).date().isoformat(),
        "OwnerId": journal.who["OwnerId"],
    }
    journal.opportunity = journal.add("Opportunity", row, at, at)
    journal.first_opportunity_id = journal.first_opportunity_id or row["Id"]
    role = {
        "Id": journal.next_id("00K"),
        "OpportunityId": row["Id"],
        "ContactId": journal.who["Id"],
        "Role": "Decision Maker",
        "IsPrimary": True,
    }
    journal.add("OpportunityContactRole", role, at, at)
    _deal_moved(journal, row, at)


def _deal_closed(journal: EngagementLog, happening: Event, at: datetime) -> None:
    if journal.opportunity is None:
        _deal_opened(journal, happening, at)
    deal, journal.opportunity = journal.opportunity, None
    if deal is None:
        return
    won = happening.kind == "opportunity_won"
    deal["StageName"] = "Closed Won" if won else "Closed Lost"
    deal["IsWon"], deal["IsClosed"] = won, True
    deal["CloseDate"] = at.date().isoformat()
    deal["LastModifiedDate"] = deal["SystemModstamp"] = instant(at)
    journal.serial += 1
    _deal_moved(journal, deal, at)


def _deal_moved(journal: EngagementLog, deal: Row, at: datetime) -> None:
    row = {
        "Id": journal.next_id("008"),
        "OpportunityId": deal["Id"],
        **{name: deal[name] for name in ("StageName", "Amount", "CloseDate")},
    }
    journal.add("OpportunityHistory", row, at, at)


_Writer = Callable[[EngagementLog, Event, datetime], None]

_WRITERS: dict[str, _Writer] = {
    **dict.fromkeys(_CALLS, _call),
    **dict.fromkeys(_MEETINGS, _meeting),
    **dict.fromkeys(_CAMPAIGN_TYPES, _response),
    **dict.fromkeys(("email_sent", "email_reply"), _mail),
    **dict.fromkeys(("detailed_form", "demo_request", "quote_request"), _form),
    "email_open": _opened,
    "email_bounce": _bounced,
    "email_bounced": _bounced,
    "note": _note,
    "task": _todo,
    "opportunity_opened": _deal_opened,
    "opportunity_won": _deal_closed,
    "opportunity_lost": _deal_closed,
}
