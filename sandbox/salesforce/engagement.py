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


def log_event(log: EngagementLog) -> datetime | None:
    """Add the rows of all events that Salesforce logs; return the time of the last one."""
    last = None
    for event in log.person.events:
        writer = _WRITERS.get(event.kind)
        if writer is None or event.crm == "hubspot":
            continue
        log.serial += 1
        last = logged_at(event)
        writer(log, event, last)
    return last


def logged_at(event: Event) -> datetime:
    """Return when Salesforce logged an event: later if both CRMs did."""
    late = event.skew_seconds if event.crm == "both" else 0
    return event.at + timedelta(seconds=late)


def _task(log: EngagementLog, subtype: str, kind: str, subject: str, at: datetime) -> Row:
    day = at.date().isoformat()
    row = {
        "Id": log.next_id("00T"),
        "WhoId": log.who["Id"],
        "OwnerId": log.who["OwnerId"],
        "Subject": subject,
        "Status": "Completed",
        "Priority": "Normal",
        "TaskSubtype": subtype,
        "Type": kind,
        "ActivityDate": day,
        "CompletedDateTime": instant(at),
        "IsClosed": True,
    }
    _place(log, row, at)
    return log.add("Task", row, at, at)


def _place(log: EngagementLog, activity: Row, at: datetime) -> None:
    if account := log.who.get("AccountId"):
        activity["AccountId"] = account
    if log.now - at > ARCHIVED_AFTER:
        activity["IsArchived"] = True
    log.who["LastActivityDate"] = at.date().isoformat()


def _call(log: EngagementLog, event: Event, at: datetime) -> None:
    direction, disposition, seconds = _CALLS[event.kind]
    task = _task(log, "Call", "Call", event.detail, at)
    task["CallType"] = direction
    task["CallDisposition"] = disposition
    task["CallDurationInSeconds"] = seconds


def _mail(log: EngagementLog, event: Event, at: datetime) -> None:
    incoming = event.kind == "email_reply"
    task = _task(log, "Email", "Email", f"Email: {event.detail}", at)
    person_address, owner_address = (
        log.person.email,
        log.tables["User"][log.who["OwnerId"]]["Email"],
    )
    row = {
        "Id": log.next_id("02s"),
        "ActivityId": task["Id"],
        "Subject": event.detail,
        "FromAddress": person_address if incoming else owner_address,
        "ToAddress": owner_address if incoming else person_address,
        "Incoming": incoming,
        "Status": "1" if incoming else "3",
        "MessageDate": instant(at),
        "MessageIdentifier": event.message_id,
    }
    log.add("EmailMessage", row, at, at)
    relation = {
        "Id": log.next_id("0Dx"),
        "EmailMessageId": row["Id"],
        "RelationId": log.who["Id"],
        "RelationType": "FromAddress" if incoming else "ToAddress",
        "RelationAddress": person_address,
        "RelationObjectType": "Contact" if log.is_contact else "Lead",
    }
    log.add("EmailMessageRelation", relation, at, at)
    if not incoming:
        log.sent = row


def _opened(log: EngagementLog, _: Event, at: datetime) -> None:
    if log.sent is not None:
        log.sent.setdefault("FirstOpenedDate", instant(at))
        log.sent["LastOpenedDate"] = log.sent["SystemModstamp"] = instant(at)
        log.sent["IsOpened"] = log.sent["IsTracked"] = True


def _bounced(log: EngagementLog, _: Event, at: datetime) -> None:
    log.who["EmailBouncedDate"] = instant(at)
    if log.sent is not None:
        log.sent["IsBounced"] = True
        log.sent["SystemModstamp"] = instant(at)


def _meeting(log: EngagementLog, event: Event, at: datetime) -> None:
    starts = at + timedelta(days=3) if event.kind == "meeting_booked" else at
    row = {
        "Id": log.next_id("00U"),
        "WhoId": log.who["Id"],
        "OwnerId": log.who["OwnerId"],
        "Subject": event.detail,
        "Type": "Meeting",
        "EventSubtype": "Event",
        "ShowAs": "Busy",
        "StartDateTime": instant(starts),
        "EndDateTime": instant(starts + timedelta(minutes=45)),
        "DurationInMinutes": 45,
        "ActivityDate": starts.date().isoformat(),
        "Outcome__c": _MEETINGS[event.kind],
    }
    _place(log, row, at)
    log.add("Event", row, at, at)


def _todo(log: EngagementLog, event: Event, at: datetime) -> None:
    task = _task(log, "Task", "Other", event.detail, at)
    if log.now - at < timedelta(days=14):
        task.update(Status="Not Started", IsClosed=False, CompletedDateTime=None)


def _note(log: EngagementLog, event: Event, at: datetime) -> None:
    _task(log, "Task", "Note", event.detail, at)


def _form(log: EngagementLog, event: Event, at: datetime) -> None:
    _task(log, "Task", "Web Form", f"{event.kind}: {event.detail}", at)


def _response(log: EngagementLog, event: Event, at: datetime) -> None:
    """Add a campaign member, once a campaign: attending updates a registration."""
    campaign = _campaign(log.tables, event, at)
    side = "ContactId" if log.is_contact else "LeadId"
    row = log.members.get(campaign["Id"])
    if row is None:
        number = number_of(f"{campaign['Id']}{log.person.number}")
        row = {"Id": record_id("00v", number), "CampaignId": campaign["Id"]}
        row[side] = log.who["Id"]
        log.members[campaign["Id"]] = log.add("CampaignMember", row, at, at)
    row["Status"] = _MEMBER_STATUSES.get(event.kind, "Responded")
    row["LastModifiedDate"] = row["SystemModstamp"] = instant(at)
    if event.kind != "webinar_registered":
        row["HasResponded"] = True
        row.setdefault("FirstRespondedDate", at.date().isoformat())


def _campaign(tables: Tables, event: Event, at: datetime) -> Row:
    found = tables["Campaign"].get(record_id("701", number_of(event.detail)))
    if found is not None:
        return found
    row: Row = {
        "Id": record_id("701", number_of(event.detail)),
        "Name": event.detail,
        "Type": _CAMPAIGN_TYPES.get(event.kind, "Other"),
        "Status": "Completed",
        "IsActive": True,
        "OwnerId": record_id("005", 1),
    }
    stamped(row, at, at, row["OwnerId"])
    tables["Campaign"][row["Id"]] = row
    return row


def _deal_opened(log: EngagementLog, event: Event, at: datetime) -> None:
    if not log.is_contact:
        return
    person = log.person
    row = {
        "Id": log.next_id("006"),
        "Name": f"{person.company or person.last_name}: {event.detail}",
        "AccountId": log.who.get("AccountId"),
        "StageName": "Qualification",
        "Amount": person.budget,
        "CloseDate": (at + timedelta(days=60)).date().isoformat(),
        "OwnerId": log.who["OwnerId"],
    }
    log.opportunity = log.add("Opportunity", row, at, at)
    log.first_opportunity_id = log.first_opportunity_id or row["Id"]
    role = {
        "Id": log.next_id("00K"),
        "OpportunityId": row["Id"],
        "ContactId": log.who["Id"],
        "Role": "Decision Maker",
        "IsPrimary": True,
    }
    log.add("OpportunityContactRole", role, at, at)
    _deal_moved(log, row, at)


def _deal_closed(log: EngagementLog, event: Event, at: datetime) -> None:
    if log.opportunity is None:
        _deal_opened(log, event, at)
    deal, log.opportunity = log.opportunity, None
    if deal is None:
        return
    won = event.kind == "opportunity_won"
    deal["StageName"] = "Closed Won" if won else "Closed Lost"
    deal["IsWon"], deal["IsClosed"] = won, True
    deal["CloseDate"] = at.date().isoformat()
    deal["LastModifiedDate"] = deal["SystemModstamp"] = instant(at)
    log.serial += 1
    _deal_moved(log, deal, at)


def _deal_moved(log: EngagementLog, deal: Row, at: datetime) -> None:
    row = {
        "Id": log.next_id("008"),
        "OpportunityId": deal["Id"],
        **{name: deal[name] for name in ("StageName", "Amount", "CloseDate")},
    }
    log.add("OpportunityHistory", row, at, at)


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
