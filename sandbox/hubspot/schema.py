"""The schema of the account: object types, properties, pipelines, association types."""

from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.hubspot.errors import api_error

MADE_AT: Final = "2022-05-03T09:00:00Z"
_ADMIN: Final = "4800000"
LIFECYCLE_PIPELINE: Final = "contacts-lifecycle-pipeline"
CONNECTED: Final = "f240bbac-87c9-4f6e-bf70-924b57d47db7"
NO_ANSWER: Final = "73a0d17f-1163-4015-bdd5-ec830791da20"
LEFT_VOICEMAIL: Final = "b2cf5968-551e-4856-9783-52b3da59a7d0"


@dataclass(frozen=True, slots=True)
class Option:
    """One value an enumeration takes."""

    value: str
    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Property:
    """The definition of one property; `options` are in display order."""

    name: str
    label: str
    type: str = "string"
    field_type: str = "text"
    group: str = "contactinformation"
    options: tuple[Option, ...] = ()
    read_only: bool = False
    custom: bool = False
    external_options: bool = False
    unique: bool = False
    description: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the definition as JSON; custom properties have no `hubspotDefined`."""
        body: dict[str, Any] = {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": [
                {
                    "label": option.label,
                    "value": option.value,
                    "displayOrder": order,
                    "hidden": False,
                    **({"description": option.description} if option.description else {}),
                }
                for order, option in enumerate(self.options)
            ],
            "displayOrder": -1,
            "calculated": self.name == "hubspotscore",
            "externalOptions": self.external_options,
            "hasUniqueValue": self.unique,
            "hidden": False,
            "modificationMetadata": {
                "archivable": self.custom,
                "readOnlyDefinition": not self.custom,
                "readOnlyValue": self.read_only,
            },
            "formField": not self.read_only,
            "dataSensitivity": "non_sensitive",
        }
        body |= {"createdAt": MADE_AT, "updatedAt": MADE_AT}
        if not self.custom:
            return body | {"hubspotDefined": True}
        return body | {"createdUserId": _ADMIN, "updatedUserId": _ADMIN, "archived": False}


@dataclass(frozen=True, slots=True)
class ObjectType:
    """An object type: its names and ids, and the properties that reads return by default."""

    name: str
    singular: str
    type_id: str
    created: str
    modified: str
    shown: tuple[str, ...] = ()
    properties: tuple[Property, ...] = field(default=(), repr=False)


def _options(*values: str) -> tuple[Option, ...]:
    """Build options from values; "value: Label" if the label differs from the value."""
    pairs = [value.partition(": ") for value in values]
    return tuple(Option(value, label or value) for value, _, label in pairs)


def _choice(name: str, label: str, *values: str, custom: bool = False) -> Property:
    return Property(name, label, "enumeration", "select", options=_options(*values), custom=custom)


def _flag(name: str, label: str, *, read_only: bool = False) -> Property:
    options = _options("true: True", "false: False")
    return Property(name, label, "bool", "booleancheckbox", options=options, read_only=read_only)


def _number(name: str, label: str, *, read_only: bool = False, custom: bool = False) -> Property:
    return Property(name, label, "number", "number", read_only=read_only, custom=custom)


def _instant(name: str, label: str, *, read_only: bool = False, custom: bool = False) -> Property:
    return Property(name, label, "datetime", "date", read_only=read_only, custom=custom)


def _calculated(name: str, label: str) -> Property:
    return Property(name, label, read_only=True)


STANDING_OPTIONS: Final = (
    "suspect",
    "lead",
    "mql",
    "SQL / prospect",
    "customer",
    "recycled",
    "disqualified",
)
STAGES: Final = _options(
    "subscriber: Subscriber",
    "lead: Lead",
    "marketingqualifiedlead: Marketing Qualified Lead",
    "salesqualifiedlead: Sales Qualified Lead",
    "opportunity: Opportunity",
    "customer: Customer",
    "evangelist: Evangelist",
    "other: Other",
)
DEAL_STAGES: Final = (
    ("appointmentscheduled", "Appointment Scheduled", "0.2"),
    ("qualifiedtobuy", "Qualified To Buy", "0.4"),
    ("presentationscheduled", "Presentation Scheduled", "0.6"),
    ("decisionmakerboughtin", "Decision Maker Bought-In", "0.8"),
    ("contractsent", "Contract Sent", "0.9"),
    ("closedwon", "Closed Won", "1.0"),
    ("closedlost", "Closed Lost", "0.0"),
)
_SYSTEM: Final = (
    Property("hs_object_id", "Record ID", "number", "number", read_only=True, unique=True),
    _calculated("hs_object_source", "Record source"),
    _calculated("hs_object_source_id", "Record source ID"),
    _calculated("hs_object_source_label", "Record source label"),
    Property("hubspot_owner_id", "Owner", "number", "number"),
    _flag("hs_was_imported", "Performed in an import", read_only=True),
)
_MERGED: Final = Property(
    "hs_merged_object_ids", "Merged record IDs", "enumeration", "checkbox", read_only=True
)
_LOGGED: Final = (
    *_SYSTEM,
    _instant("hs_timestamp", "Activity date"),
    _instant("hs_createdate", "Object create date/time", read_only=True),
    _instant("hs_lastmodifieddate", "Last modified date/time", read_only=True),
)
_CONTACT_PROPERTIES: Final = (
    *_SYSTEM,
    Property("email", "Email", unique=True),
    Property("firstname", "First Name"),
    Property("lastname", "Last Name"),
    Property("phone", "Phone Number", field_type="phonenumber"),
    Property("mobilephone", "Mobile Phone Number", field_type="phonenumber"),
    Property("jobtitle", "Job Title"),
    Property("company", "Company Name"),
    Property("industry", "Industry"),
    _number("numberofemployees", "Number of employees"),
    Property("country", "Country/Region"),
    Property("city", "City"),
    Property("website", "Website URL"),
    Property(
        "lifecyclestage",
        "Lifecycle Stage",
        "enumeration",
        "radio",
        options=STAGES,
        external_options=True,
    ),
    _choice(
        "hs_lead_status",
        "Lead Status",
        "NEW: New",
        "OPEN: Open",
        "IN_PROGRESS: In Progress",
        "OPEN_DEAL: Open Deal",
        "UNQUALIFIED: Unqualified",
        "ATTEMPTED_TO_CONTACT: Attempted to Contact",
        "CONNECTED: Connected",
        "BAD_TIMING: Bad Timing",
    ),
    _flag("hs_email_optout", "Unsubscribed from all email"),
    _number("hs_email_bounce", "Emails bounced", read_only=True),
    _number("hs_email_open", "Marketing emails opened", read_only=True),
    _number("hs_email_click", "Marketing emails clicked", read_only=True),
    _calculated("hs_email_domain", "Email domain"),
    Property(
        "hs_additional_emails", "Additional email addresses", field_type="text", read_only=True
    ),
    _MERGED,
    Property("hs_calculated_merged_vids", "Merged vids", "enumeration", "checkbox", read_only=True),
    Property("salesforceleadid", "Salesforce Lead ID", read_only=True),
    Property("salesforcecontactid", "Salesforce Contact ID", read_only=True),
    _instant("createdate", "Create Date", read_only=True),
    _instant("lastmodifieddate", "Last Modified Date", read_only=True),
    _calculated("hs_all_contact_vids", "All vids"),
    _calculated("hs_pipeline", "Pipeline"),
    _flag("hs_is_contact", "Is a contact", read_only=True),
    _flag("hs_is_unworked", "Contact unworked", read_only=True),
    _number("hubspotscore", "HubSpot Score", read_only=True),
    _number("num_conversion_events", "Number of Form Submissions", read_only=True),
    _instant("first_conversion_date", "First Conversion Date", read_only=True),
    _instant("recent_conversion_date", "Recent Conversion Date", read_only=True),
    _number("hs_analytics_num_page_views", "Number of Pageviews", read_only=True),
    _number("num_notes", "Number of Sales Activities", read_only=True),
    *(
        _instant(
            f"hs_lifecyclestage_{stage.value}_date", f"Became a {stage.label} Date", read_only=True
        )
        for stage in STAGES
    ),
    *(
        _instant(f"hs_v2_date_entered_{stage.value}", f"Date entered {stage.label}", read_only=True)
        for stage in STAGES
    ),
    _choice("onefunnel_standing", "onefunnel standing", *STANDING_OPTIONS, custom=True),
    _number("onefunnel_score", "onefunnel score", custom=True),
    _instant("onefunnel_stage_since", "onefunnel stage since", custom=True),
    Property("onefunnel_next_action", "onefunnel next action", custom=True),
    Property("onefunnel_reasons", "onefunnel reasons", field_type="textarea", custom=True),
    Property("onefunnel_definition", "onefunnel definition", custom=True),
    _number("bant_budget", "Budget", custom=True),
    _choice(
        "bant_authority",
        "Authority",
        "decision maker",
        "influencer",
        "user",
        "unknown",
        custom=True,
    ),
    Property("bant_need", "Need", custom=True),
    Property("bant_timeline", "Timeline", "date", "date", custom=True),
)
_COMPANY_PROPERTIES: Final = (
    _MERGED,
    *_SYSTEM,
    Property("name", "Company name"),
    Property("domain", "Company Domain Name"),
    Property("country", "Country/Region"),
    _choice(
        "industry",
        "Industry",
        "COMPUTER_SOFTWARE: Computer Software",
        "FINANCIAL_SERVICES: Financial Services",
        "INDUSTRIAL_AUTOMATION: Industrial Automation",
        "RETAIL: Retail",
        "HOSPITAL_HEALTH_CARE: Hospital & Health Care",
        "LOGISTICS_AND_SUPPLY_CHAIN: Logistics and Supply Chain",
        "EDUCATION_MANAGEMENT: Education Management",
        "OIL_ENERGY: Oil & Energy",
    ),
    _number("numberofemployees", "Number of Employees"),
    _calculated("hs_pipeline", "Pipeline"),
    Property("lifecyclestage", "Lifecycle Stage", "enumeration", "radio", options=STAGES),
    _instant("createdate", "Create Date", read_only=True),
    _instant("hs_lastmodifieddate", "Last Modified Date", read_only=True),
)
_DEAL_PROPERTIES: Final = (
    _MERGED,
    *_SYSTEM,
    Property("dealname", "Deal Name"),
    _number("amount", "Amount"),
    Property(
        "pipeline", "Pipeline", "enumeration", "select", options=_options("default: Sales Pipeline")
    ),
    Property(
        "dealstage",
        "Deal Stage",
        "enumeration",
        "radio",
        options=tuple(Option(value, label) for value, label, _ in DEAL_STAGES),
        external_options=True,
    ),
    _instant("closedate", "Close Date"),
    _flag("hs_is_closed", "Is Deal Closed?", read_only=True),
    _flag("hs_is_closed_won", "Is Closed Won", read_only=True),
    _instant("createdate", "Create Date", read_only=True),
    _instant("hs_lastmodifieddate", "Last Modified Date", read_only=True),
)


def _logged(name: str, singular: str, type_id: str, *properties: Property) -> ObjectType:
    default_names = ("hs_createdate", "hs_lastmodifieddate", "hs_object_id")
    own = (*_LOGGED, *properties)
    return ObjectType(
        name, singular, type_id, "hs_createdate", "hs_lastmodifieddate", default_names, own
    )


CONTACTS: Final = ObjectType(
    "contacts",
    "contact",
    "0-1",
    "createdate",
    "lastmodifieddate",
    ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    _CONTACT_PROPERTIES,
)


def _unused(name: str, singular: str, type_id: str, title: str) -> ObjectType:
    """Build an object type without records."""
    properties = (
        *_SYSTEM,
        Property(title, "Name"),
        _instant("hs_createdate", "Create date", read_only=True),
        _instant("hs_lastmodifieddate", "Last modified date", read_only=True),
    )
    default_names = ("hs_createdate", "hs_lastmodifieddate", "hs_object_id", title)
    return ObjectType(
        name, singular, type_id, "hs_createdate", "hs_lastmodifieddate", default_names, properties
    )


def custom_type(
    name: str, singular: str, type_id: str, properties: tuple[Property, ...]
) -> ObjectType:
    """Build a custom object."""
    dates = ("hs_createdate", "hs_lastmodifieddate")
    own = (*_SYSTEM, *(_instant(one, one, read_only=True) for one in dates), *properties)
    return ObjectType(name, singular, type_id, *dates, (*dates, "hs_object_id"), own)


OBJECT_TYPES: Final = (
    CONTACTS,
    ObjectType(
        "companies",
        "company",
        "0-2",
        "createdate",
        "hs_lastmodifieddate",
        ("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
        _COMPANY_PROPERTIES,
    ),
    ObjectType(
        "deals",
        "deal",
        "0-3",
        "createdate",
        "hs_lastmodifieddate",
        (
            "amount",
            "closedate",
            "createdate",
            "dealname",
            "dealstage",
            "hs_lastmodifieddate",
            "hs_object_id",
            "pipeline",
        ),
        _DEAL_PROPERTIES,
    ),
    _logged(
        "emails",
        "email",
        "0-49",
        _choice("hs_email_direction", "Direction", "EMAIL", "INCOMING_EMAIL", "FORWARDED_EMAIL"),
        _choice("hs_email_status", "Status", "BOUNCED", "FAILED", "SCHEDULED", "SENDING", "SENT"),
        Property("hs_email_subject", "Subject"),
        Property("hs_email_text", "Text", field_type="textarea"),
        Property("hs_email_headers", "Headers"),
        Property("hs_email_message_id", "Message ID"),
        Property("hs_email_thread_id", "Thread ID"),
        _number("hs_email_open_count", "Opens", read_only=True),
        _number("hs_email_click_count", "Clicks", read_only=True),
        _number("hs_email_reply_count", "Replies", read_only=True),
    ),
    _logged(
        "calls",
        "call",
        "0-48",
        _choice("hs_call_direction", "Direction", "INBOUND", "OUTBOUND"),
        Property("hs_call_disposition", "Outcome"),
        _choice("hs_call_status", "Status", "COMPLETED", "NO_ANSWER", "BUSY", "FAILED", "CANCELED"),
        _number("hs_call_duration", "Duration"),
        Property("hs_call_title", "Title"),
        Property("hs_call_body", "Notes", field_type="textarea"),
    ),
    _logged(
        "meetings",
        "meeting",
        "0-47",
        _instant("hs_meeting_start_time", "Start"),
        _instant("hs_meeting_end_time", "End"),
        _choice(
            "hs_meeting_outcome",
            "Outcome",
            "SCHEDULED",
            "COMPLETED",
            "RESCHEDULED",
            "NO_SHOW",
            "CANCELED",
        ),
        Property("hs_meeting_title", "Title"),
    ),
    _logged("notes", "note", "0-46", Property("hs_note_body", "Note", field_type="textarea")),
    _logged(
        "tasks",
        "task",
        "0-27",
        Property("hs_task_subject", "Subject"),
        _choice("hs_task_type", "Type", "TODO", "EMAIL", "CALL"),
        _choice(
            "hs_task_status",
            "Status",
            "NOT_STARTED",
            "IN_PROGRESS",
            "WAITING",
            "COMPLETED",
            "DEFERRED",
        ),
        _instant("hs_task_completion_date", "Completed", read_only=True),
    ),
    _logged(
        "communications",
        "communication",
        "0-18",
        _choice("hs_communication_channel_type", "Channel", "SMS", "WHATS_APP", "LINKEDIN_MESSAGE"),
        _choice("hs_communication_logged_from", "Logged from", "CRM"),
        Property("hs_communication_body", "Body", field_type="textarea"),
    ),
    _unused("leads", "lead", "0-136", "hs_lead_name"),
    _unused("tickets", "ticket", "0-5", "subject"),
    _unused("products", "product", "0-7", "name"),
    _unused("line_items", "line_item", "0-8", "name"),
    _unused("quotes", "quote", "0-14", "hs_title"),
    _unused("deal_splits", "deal_split", "0-72", "hs_deal_split_percentage"),
    _unused("feedback_submissions", "feedback_submission", "0-19", "hs_survey_name"),
    _unused("forms", "form", "0-28", "name"),
    _unused("goal_targets", "goal_target", "0-74", "hs_goal_name"),
    _unused("postal_mail", "postal_mail", "0-116", "hs_postal_mail_body"),
    _unused("users", "user", "0-115", "hs_given_name"),
    _unused("appointments", "appointment", "0-421", "hs_appointment_name"),
    _unused("carts", "cart", "0-142", "hs_cart_name"),
    _unused("commerce_payments", "commerce_payment", "0-101", "hs_payment_id"),
    _unused("courses", "course", "0-410", "hs_course_name"),
    _unused("discounts", "discount", "0-84", "hs_label"),
    _unused("fees", "fee", "0-85", "hs_label"),
    _unused("invoices", "invoice", "0-53", "hs_title"),
    _unused("listings", "listing", "0-420", "hs_name"),
    _unused("orders", "order", "0-123", "hs_order_name"),
    _unused("services", "service", "0-162", "hs_name"),
    _unused("subscriptions", "subscription", "0-69", "hs_name"),
    _unused("taxes", "tax", "0-86", "hs_label"),
)
_SPELLINGS: Final = {
    spelling: object_type
    for object_type in OBJECT_TYPES
    for spelling in (object_type.name, object_type.singular, object_type.type_id)
}
ASSOCIATION_TYPES: Final[dict[tuple[str, str], tuple[int, int | None]]] = {
    ("contacts", "companies"): (279, 1),
    ("companies", "contacts"): (280, 2),
    ("contacts", "deals"): (4, None),
    ("deals", "contacts"): (3, None),
    ("companies", "deals"): (342, 6),
    ("deals", "companies"): (341, 5),
    ("emails", "contacts"): (198, None),
    ("contacts", "emails"): (197, None),
    ("calls", "contacts"): (194, None),
    ("contacts", "calls"): (193, None),
    ("meetings", "contacts"): (200, None),
    ("contacts", "meetings"): (199, None),
    ("notes", "contacts"): (202, None),
    ("contacts", "notes"): (201, None),
    ("tasks", "contacts"): (204, None),
    ("contacts", "tasks"): (203, None),
    ("communications", "contacts"): (81, None),
    ("contacts", "communications"): (82, None),
}
"""(from, to) -> type id, and the type id of the primary association if there is one."""


def object_type(spelling: str) -> ObjectType:
    """Find an object type by name, singular or type id, case-insensitively; or raise."""
    found = _SPELLINGS.get(spelling.lower())
    if found is None:
        raise api_error(400, f"Unable to infer object type from: {spelling}")
    return found
