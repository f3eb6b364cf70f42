"""Generate engagements from events: e-mails, calls, meetings, notes, tasks, communications."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import orjson

from sandbox.hubspot.ids import OWNER_COUNT, contact_id, owner_id
from sandbox.hubspot.schema import CONNECTED, LEFT_VOICEMAIL, NO_ANSWER
from sandbox.hubspot.store import HubSpotStore, Record
from sandbox.hubspot.values import iso, milliseconds
from sandbox.seed.activity_log import Event
from sandbox.seed.people import Person


def add_engagement(store: HubSpotStore, person: Person, entry: Event, index: int) -> None:
    """Add one engagement; for a duplicated person every fifth belongs to the duplicate."""
    type_name, properties_of = ENGAGEMENT[entry.kind]
    if entry.kind == "note" and entry.detail.startswith("WhatsApp"):
        type_name, properties_of = "communications", _communication
    table = store.tables[type_name]
    at = milliseconds(entry.at)
    logged_at = at + 1000 * (index % 40)
    properties = properties_of(person, entry) | {
        "hs_timestamp": iso(at),
        "hs_object_source": "CRM_UI",
        "hubspot_owner_id": owner_id(person.number),
    }
    engagement = Record(
        20_000_000_000 + person.number * 997 + index, properties, logged_at, logged_at
    )
    table.add(engagement)
    on_duplicate = person.hubspot_records > 1 and index % 5 == 0
    contact = contact_id(person) + (7 if on_duplicate else 0)
    store.associate(type_name, engagement.id, "contacts", contact)


def _email(person: Person, entry: Event) -> dict[str, str]:
    incoming = entry.kind == "email_reply"
    owner = {"email": f"owner{person.number % OWNER_COUNT}@onefunnel.example"}
    other = {"email": person.email or ""}
    sender, receiver = (other, owner) if incoming else (owner, other)
    return {
        "hs_email_direction": "INCOMING_EMAIL" if incoming else "EMAIL",
        "hs_email_status": "SENT",
        "hs_email_subject": entry.detail,
        "hs_email_message_id": entry.message_id or "",
        "hs_email_headers": orjson.dumps({"from": sender, "to": [receiver]}).decode(),
    }


def _call(person: Person, entry: Event) -> dict[str, str]:
    reached = entry.kind != "call_attempted"
    missed = (NO_ANSWER, LEFT_VOICEMAIL)[person.number % 2]
    return {
        "hs_call_direction": "INBOUND" if entry.kind == "call_inbound" else "OUTBOUND",
        "hs_call_disposition": CONNECTED if reached else missed,
        "hs_call_status": "COMPLETED" if reached else "NO_ANSWER",
        "hs_call_duration": str(240_000 + person.number % 900 * 1000 if reached else 0),
        "hs_call_title": entry.detail,
    }


def _meeting(_person: Person, entry: Event) -> dict[str, str]:
    return {
        "hs_meeting_start_time": iso(milliseconds(entry.at)),
        "hs_meeting_end_time": iso(milliseconds(entry.at + timedelta(minutes=45))),
        "hs_meeting_outcome": "COMPLETED" if entry.kind == "meeting_held" else "NO_SHOW",
        "hs_meeting_title": entry.detail,
    }


def _note(_person: Person, entry: Event) -> dict[str, str]:
    return {"hs_note_body": entry.detail}


def _task(person: Person, entry: Event) -> dict[str, str]:
    return {
        "hs_task_subject": entry.detail,
        "hs_task_type": "TODO",
        "hs_task_status": "COMPLETED" if person.number % 3 else "NOT_STARTED",
    }


def _communication(_person: Person, entry: Event) -> dict[str, str]:
    return {
        "hs_communication_channel_type": "WHATS_APP",
        "hs_communication_logged_from": "CRM",
        "hs_communication_body": entry.detail,
    }


ENGAGEMENT: Final[dict[str, tuple[str, Callable[[Person, Event], dict[str, str]]]]] = {
    "email_sent": ("emails", _email),
    "email_reply": ("emails", _email),
    "call_inbound": ("calls", _call),
    "call_connected": ("calls", _call),
    "call_attempted": ("calls", _call),
    "meeting_held": ("meetings", _meeting),
    "meeting_no_show": ("meetings", _meeting),
    "note": ("notes", _note),
    "task": ("tasks", _task),
}
"""Kind of event -> object type of its engagement, and the function for its properties.
"""
