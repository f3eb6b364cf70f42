"""Generate HubSpot's marketing logs from events: form submissions, events, e-mail events."""

from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from sandbox.hubspot.ids import contact_id, form_guid
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore
from sandbox.hubspot.values import iso, milliseconds
from sandbox.seed.activity_log import Event
from sandbox.seed.journeys import ROBOT
from sandbox.seed.people import Person

FORMS: Final = {
    "newsletter_signup": "Newsletter",
    "white_paper": "White paper",
    "webinar_registered": "Webinar registration",
    "detailed_form": "Assessment",
    "demo_request": "Demo request",
    "quote_request": "Quote request",
    "meeting_booked": "Meetings link",
}
"""Kind of event -> name of the submitted form."""

TRACKED_EVENTS: Final = {
    "page_view": "e_visited_page",
    "account_created": f"pe{PORTAL_ID}_account_created",
    "webinar_attended": f"pe{PORTAL_ID}_webinar_attended",
}
"""Kind of event -> event type of the contact."""

EMAIL_EVENTS: Final = {
    "email_open": "OPEN",
    "email_click": "CLICK",
    "email_bounced": "BOUNCE",
    "unsubscribed": "STATUSCHANGE",
}
"""Kind of event -> type of the marketing e-mail event."""

_FORM: Final[dict[str, Any]] = {
    "configuration": {
        "language": "en",
        "cloneable": True,
        "editable": True,
        "archivable": True,
        "recaptchaEnabled": False,
        "notifyContactOwner": False,
        "notifyRecipients": [],
        "createNewContactForNewEmail": False,
        "prePopulateKnownValues": True,
        "allowLinkToResetKnownValues": False,
        "lifecycleStages": [],
        "postSubmitAction": {"type": "thank_you", "value": "Thank you."},
    },
    "displayOptions": {
        "renderRawHtml": False,
        "theme": "default_style",
        "submitButtonText": "Submit",
        "style": {
            "fontFamily": "arial, helvetica, sans-serif",
            "backgroundWidth": "100%",
            "labelTextColor": "#33475b",
            "labelTextSize": "13px",
            "helpTextColor": "#7C98B6",
            "helpTextSize": "11px",
            "legalConsentTextColor": "#33475b",
            "legalConsentTextSize": "14px",
            "submitColor": "#ff7a59",
            "submitAlignment": "left",
            "submitFontColor": "#ffffff",
            "submitSize": "12px",
        },
    },
    "legalConsentOptions": {
        "type": "implicit_consent_to_process",
        "communicationsCheckboxes": [],
        "subscriptionTypeIds": [],
        "lawfulBasis": "lead",
        "privacyText": "",
    },
}
"""The JSON that all forms share."""


def add_forms(store: HubSpotStore, since: datetime | None) -> None:
    """Add the forms of the account, created before its first person."""
    created_at = iso(milliseconds(since)) if since else "2024-01-01T00:00:00Z"
    for name in FORMS.values():
        guid = form_guid(name)
        store.forms[guid] = {
            "id": guid,
            "name": name,
            "formType": "hubspot",
            "createdAt": created_at,
            "updatedAt": created_at,
            "archived": False,
            "fieldGroups": [],
        } | _FORM


def add_submission(store: HubSpotStore, person: Person, entry: Event) -> None:
    """Add a form submission; it has an e-mail address and no contact id."""
    values = {
        "email": person.email,
        "firstname": person.first_name,
        "lastname": person.last_name,
        "company": person.company,
        "topic": entry.detail,
    }
    guid = form_guid(FORMS[entry.kind])
    at = milliseconds(entry.at)
    store.submissions[guid].add(
        at,
        {
            "conversionId": str(
                uuid5(NAMESPACE_URL, f"submission/{person.number}/{at}/{entry.kind}")
            ),
            "submittedAt": at,
            "values": [
                {"name": name, "value": value, "objectTypeId": "0-1"}
                for name, value in values.items()
                if value
            ],
            "pageUrl": f"https://www.onefunnel.example/{entry.kind.replace('_', '-')}",
        },
    )


def add_event(store: HubSpotStore, person: Person, entry: Event, index: int) -> None:
    """Add an event of the contact: a page view, or a custom event type."""
    event_type = TRACKED_EVENTS[entry.kind]
    properties = {"detail": entry.detail}
    if entry.kind == "page_view":
        page = entry.detail.lower().replace(" ", "-")
        properties = {
            "hs_page_title": entry.detail,
            "hs_url": f"https://www.onefunnel.example/{page}",
            "hs_cf_bot_score": str(99 - person.number % 40),
        }
    at = milliseconds(entry.at)
    event = {
        "objectType": "CONTACT",
        "objectId": str(contact_id(person)),
        "eventType": event_type,
        "occurredAt": iso(at),
        "id": f"leviathan-{person.number}-{index}",
        "properties": properties,
    }
    store.events[event_type].add(at, event)


def add_email_event(
    store: HubSpotStore,
    person: Person,
    entry: Event,
    index: int,
    sent: dict[str, dict[str, Any]],
) -> None:
    """Add a marketing e-mail event; opens and clicks refer to their mail, if there is one."""
    if not person.email:
        return
    campaign = entry.detail.removesuffix(ROBOT)
    event = _email_event(person, entry, index, campaign, EMAIL_EVENTS.get(entry.kind, "SENT"))
    if event["type"] == "SENT":
        sent[campaign] = {"id": event["id"], "created": event["created"]}
        delivered = _email_event(person, entry, index, campaign, "DELIVERED")
        delivered["created"] += 1700
        store.email_events.add(delivered["created"], delivered)
    elif campaign in sent:
        event["sentBy"] = sent[campaign]
    if event["type"] in ("OPEN", "CLICK"):
        # HubSpot marks most bots, not all of them
        event["filteredEvent"] = entry.detail.endswith(ROBOT) and person.number % 4 != 0
    if event["type"] == "CLICK":
        event["url"] = "https://www.onefunnel.example/read-more"
    store.email_events.add(event["created"], event)


def _email_event(
    person: Person, entry: Event, index: int, campaign: str, type_: str
) -> dict[str, Any]:
    return {
        "id": str(uuid5(NAMESPACE_URL, f"email/{person.number}/{index}/{type_}")),
        "created": milliseconds(entry.at),
        "type": type_,
        "recipient": (person.email or "").lower(),
        "emailCampaignId": 300_000_000 + sum(map(ord, campaign)),
        "appId": 113,
        "appName": "Batch",
        "portalId": PORTAL_ID,
    }
