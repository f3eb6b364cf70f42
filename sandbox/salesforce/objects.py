"""The objects of the org: standard fields, and the custom fields of onefunnel."""

from sandbox.salesforce import standard_fields
from sandbox.salesforce.schema import Field, SObject

LIFECYCLE_STAGES = ("Suspect", "Lead", "Marketing Qualified", "Prospect", "Customer", "Nurture")
STANDINGS = ("suspect", "lead", "mql", "SQL / prospect", "customer", "recycled", "disqualified")
LEAD_STATUSES = (
    "Open - Not Contacted",
    "Working - Contacted",
    "Nurturing",
    "Unqualified",
    "Qualified",
)


def org() -> dict[str, SObject]:
    """Return every object by its name, in a new dictionary."""
    return {one.name: one for one in _objects()}


def _text(name: str, length: int = 255, *, required: bool = False, tracked: bool = False) -> Field:
    return Field(name, "string", length, required=required, tracked=tracked)


def _picklist(
    name: str, *values: str, restricted: bool = False, required: bool = False, tracked: bool = False
) -> Field:
    return Field(
        name,
        "picklist",
        255,
        values=values,
        restricted=restricted,
        required=required,
        tracked=tracked,
    )


def _reference(name: str, *to: str, writable: bool = True, required: bool = False) -> Field:
    return Field(name, "reference", 18, to=to, writable=writable, required=required)


def _fixed(name: str, type_: str, length: int = 0) -> Field:
    return Field(name, type_, length, writable=False)


def _once(name: str, *to: str, required: bool = False) -> Field:
    """Build a reference that only an insert can set."""
    return Field(name, "reference", 18, to=to, writable=False, createable=True, required=required)


def _flag(name: str) -> Field:
    return Field(name, "boolean")


def _money(name: str, *, tracked: bool = False) -> Field:
    return Field(name, "currency", scale=2, tracked=tracked)


_STAMPS = (
    _fixed("IsDeleted", "boolean"),
    _fixed("CreatedDate", "datetime"),
    _reference("CreatedById", "User", writable=False),
    _fixed("LastModifiedDate", "datetime"),
    _reference("LastModifiedById", "User", writable=False),
    _fixed("SystemModstamp", "datetime"),
)

_QUALIFICATION = (
    _picklist("Lifecycle_Stage__c", *LIFECYCLE_STAGES, restricted=True, tracked=True),
    _picklist("onefunnel_standing__c", *STANDINGS),
    Field("onefunnel_score__c", "double", scale=2),
    Field("onefunnel_stage_since__c", "datetime"),
    _text("onefunnel_next_action__c", 40),
    _text("onefunnel_reasons__c", 255),
    _text("onefunnel_definition__c", 80),
    _money("Budget__c", tracked=True),
    _picklist("Authority__c", "Decision maker", "Influencer", "User", "Unknown", tracked=True),
    _text("Need__c", 255, tracked=True),
    Field("Timeline__c", "date", tracked=True),
)

_PERSON = (
    _text("FirstName", 40),
    _text("LastName", 80, required=True),
    _fixed("Name", "string", 121),
    Field("Email", "email", 80),
    Field("Phone", "phone", 40),
    _text("Title", 128),
    _picklist("LeadSource", "Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"),
    _flag("HasOptedOutOfEmail"),
    Field("EmailBouncedDate", "datetime"),
    _fixed("LastActivityDate", "date"),
    _reference("OwnerId", "User"),
)

_EXTERNAL_ID = Field("Legacy_Id__c", "string", 40, external=True)
"""An external id for upserts: the id of the record in an older system."""

_ACTIVITY = (
    _text("Subject", 255),
    Field("Description", "textarea", 32000, filterable=False),
    _reference("WhoId", "Contact", "Lead"),
    _reference("WhatId", "Account", "Opportunity", "Campaign"),
    _reference("AccountId", "Account", writable=False),
    Field("ActivityDate", "date"),
    _reference("OwnerId", "User"),
    _fixed("IsArchived", "boolean"),
)


def _objects() -> list[SObject]:
    return [
        _object(
            "Lead",
            "00Q",
            _LEAD,
            _PERSON,
            _QUALIFICATION,
            standard_fields.LEAD,
            history="LeadHistory",
        ),
        _object(
            "Contact",
            "003",
            _CONTACT,
            _PERSON,
            _QUALIFICATION,
            standard_fields.CONTACT,
            history="ContactHistory",
        ),
        _object("Account", "001", _ACCOUNT, standard_fields.ACCOUNT),
        _object("Task", "00T", _ACTIVITY, _TASK, standard_fields.TASK),
        _object("Event", "00U", _ACTIVITY, _EVENT, standard_fields.EVENT),
        _object("EmailMessage", "02s", _EMAIL_MESSAGE),
        _object("EmailMessageRelation", "0Dx", _EMAIL_MESSAGE_RELATION),
        _object("Campaign", "701", _CAMPAIGN, standard_fields.CAMPAIGN),
        _object("CampaignMember", "00v", _CAMPAIGN_MEMBER),
        _object("Opportunity", "006", _OPPORTUNITY, standard_fields.OPPORTUNITY),
        _object("OpportunityContactRole", "00K", _OPPORTUNITY_CONTACT_ROLE),
        _object("OpportunityHistory", "008", _OPPORTUNITY_HISTORY),
        _object("LeadHistory", "017", _history_of("Lead")),
        _object("ContactHistory", "03J", _history_of("Contact")),
        _object("User", "005", _USER, standard_fields.USER),
        _object("Organization", "00D", standard_fields.ORGANIZATION),
        *_permissions(),
        *_without_records(),
    ]


def _permissions() -> list[SObject]:
    granted = (_flag("PermissionsRead"), _flag("PermissionsEdit"))
    return [
        _object("PermissionSet", "0PS", (_text("Name", 80, required=True), _text("Label", 80))),
        _object(
            "FieldPermissions",
            "01k",
            (_reference("ParentId", "PermissionSet", required=True),),
            (_text("SobjectType", 40, required=True), _text("Field", 255, required=True)),
            granted,
        ),
        _object(
            "PermissionSetAssignment",
            "0Pa",
            (_reference("AssigneeId", "User", required=True),),
            (_reference("PermissionSetId", "PermissionSet", required=True),),
        ),
        _object(
            "UserPermissionAccess",
            "0Up",
            tuple(
                _fixed(f"Permissions{name}", "boolean")
                for name in ("ApiEnabled", "ViewAllData", "ModifyAllData", "CustomizeApplication")
            ),
        ),
    ]


def _without_records() -> list[SObject]:
    """Return standard objects without records, which other programs read."""
    named = (_text("Name", 255, required=True), _flag("IsActive"))
    product = (_reference("Product2Id", "Product2"), _money("UnitPrice"))
    return [
        _object("Case", "500", standard_fields.CASE),
        _object("Contract", "800", standard_fields.CONTRACT),
        _object("Order", "801", standard_fields.ORDER),
        _object("Profile", "00e", standard_fields.PROFILE),
        _object("RecordType", "012", standard_fields.RECORD_TYPE),
        _object("Group", "00G", standard_fields.GROUP),
        _object("UserRole", "00E", (_text("Name", 80, required=True),)),
        _object("Product2", "01t", named, (_text("ProductCode", 255), _text("Family", 40))),
        _object("Pricebook2", "01s", named, (_flag("IsStandard"),)),
        _object(
            "PricebookEntry", "01u", named, product, (_reference("Pricebook2Id", "Pricebook2"),)
        ),
        _object(
            "OpportunityLineItem",
            "00k",
            (_reference("OpportunityId", "Opportunity", required=True),),
            (Field("Quantity", "double", scale=2), _money("TotalPrice")),
            product,
        ),
    ]


def _object(
    name: str, prefix: str, *groups: tuple[Field, ...], history: str | None = None
) -> SObject:
    fields = (_fixed("Id", "id", 18), *(one for group in groups for one in group), *_STAMPS)
    return SObject(name, prefix, {one.name: one for one in fields}, history)


_LEAD = (
    _EXTERNAL_ID,
    _text("Company", 255, required=True),
    _picklist("Industry", "Consulting", "Electronics", "Manufacturing", "Technology", "Other"),
    Field("NumberOfEmployees", "int"),
    _money("AnnualRevenue"),
    _text("Country", 80),
    Field("Website", "url", 255),
    _picklist("Status", *LEAD_STATUSES, tracked=True),
    _picklist("Rating", "Hot", "Warm", "Cold"),
    _fixed("IsConverted", "boolean"),
    _fixed("ConvertedDate", "date"),
    _reference("ConvertedAccountId", "Account", writable=False),
    _reference("ConvertedContactId", "Contact", writable=False),
    _reference("ConvertedOpportunityId", "Opportunity", writable=False),
    _reference("MasterRecordId", "Lead", writable=False),
)

_CONTACT = (
    _EXTERNAL_ID,
    _reference("AccountId", "Account"),
    _text("MailingCountry", 80),
    _text("Department", 80),
    _reference("MasterRecordId", "Contact", writable=False),
)

_ACCOUNT = (
    _EXTERNAL_ID,
    _text("Name", 255, required=True),
    _picklist("Type", "Prospect", "Customer - Direct", "Customer - Channel", "Other"),
    _picklist("Industry", "Consulting", "Electronics", "Manufacturing", "Technology", "Other"),
    Field("NumberOfEmployees", "int"),
    _money("AnnualRevenue"),
    Field("Website", "url", 255),
    _text("BillingCountry", 80),
    _reference("OwnerId", "User"),
    _reference("MasterRecordId", "Account", writable=False),
)

_TASK = (
    _picklist("Status", "Not Started", "In Progress", "Completed", "Deferred"),
    _picklist("Priority", "High", "Normal", "Low"),
    _picklist("Type", "Call", "Email", "Meeting", "Web Form", "Note", "Other"),
    Field(
        "TaskSubtype",
        "picklist",
        40,
        values=("Task", "Email", "ListEmail", "Cadence", "Call", "LinkedIn"),
        restricted=True,
        writable=False,
        createable=True,
    ),
    _picklist("CallType", "Internal", "Inbound", "Outbound", restricted=True),
    _text("CallDisposition", 255),
    Field("CallDurationInSeconds", "int"),
    _fixed("CompletedDateTime", "datetime"),
    _fixed("IsClosed", "boolean"),
)

_EVENT = (
    Field("StartDateTime", "datetime", required=True),
    Field("EndDateTime", "datetime"),
    Field("DurationInMinutes", "int"),
    _picklist("Type", "Call", "Email", "Meeting", "Other"),
    Field(
        "EventSubtype",
        "picklist",
        40,
        values=("Event",),
        restricted=True,
        writable=False,
        createable=True,
    ),
    _picklist("ShowAs", "Busy", "OutOfOffice", "Free", restricted=True),
    _picklist("Outcome__c", "Scheduled", "Held", "No show"),
)

_EMAIL_MESSAGE = (
    _text("Subject", 3000),
    Field("TextBody", "textarea", 131072, filterable=False),
    Field("Headers", "textarea", 32000, filterable=False),
    Field("FromAddress", "email", 1000),
    Field("ToAddress", "string", 4000),
    _flag("Incoming"),
    _picklist("Status", "0", "1", "2", "3", "4", "5"),
    Field("MessageDate", "datetime"),
    _text("MessageIdentifier", 765),
    _text("ThreadIdentifier", 765),
    _reference("RelatedToId", "Account", "Opportunity", "Campaign"),
    _once("ActivityId", "Task"),
    _fixed("IsTracked", "boolean"),
    _fixed("IsOpened", "boolean"),
    _fixed("IsBounced", "boolean"),
    _fixed("FirstOpenedDate", "datetime"),
    _fixed("LastOpenedDate", "datetime"),
)

_EMAIL_MESSAGE_RELATION = (
    _once("EmailMessageId", "EmailMessage", required=True),
    _once("RelationId", "Contact", "Lead", "User"),
    _picklist("RelationType", "ToAddress", "CcAddress", "BccAddress", "FromAddress"),
    _text("RelationAddress", 1333),
    _picklist("RelationObjectType", "Contact", "Lead", "User"),
)

_CAMPAIGN = (
    _text("Name", 80, required=True),
    _picklist("Type", "Webinar", "Trade Show", "Newsletter", "Content", "Website", "Other"),
    _picklist("Status", "Planned", "In Progress", "Completed", "Aborted"),
    Field("StartDate", "date"),
    _flag("IsActive"),
    _reference("OwnerId", "User"),
)

_CAMPAIGN_MEMBER = (
    _once("CampaignId", "Campaign", required=True),
    _once("LeadId", "Lead"),
    _once("ContactId", "Contact"),
    _picklist("Status", "Sent", "Registered", "Attended", "Subscribed", "Responded"),
    _fixed("HasResponded", "boolean"),
    _fixed("FirstRespondedDate", "date"),
)

_OPPORTUNITY = (
    _text("Name", 120, required=True),
    _reference("AccountId", "Account"),
    _picklist(
        "StageName",
        "Qualification",
        "Proposal/Price Quote",
        "Closed Won",
        "Closed Lost",
        required=True,
    ),
    _money("Amount"),
    Field("CloseDate", "date", required=True),
    _fixed("IsClosed", "boolean"),
    _fixed("IsWon", "boolean"),
    _reference("CampaignId", "Campaign"),
    _reference("OwnerId", "User"),
)

_OPPORTUNITY_CONTACT_ROLE = (
    _once("OpportunityId", "Opportunity", required=True),
    _once("ContactId", "Contact", required=True),
    _picklist("Role", "Decision Maker", "Business User", "Evaluator", "Other"),
    _flag("IsPrimary"),
)

_OPPORTUNITY_HISTORY = (
    _reference("OpportunityId", "Opportunity", writable=False),
    _fixed("StageName", "picklist", 255),
    Field("Amount", "currency", writable=False, scale=2),
    _fixed("CloseDate", "date"),
)

_USER = (
    _text("Username", 80, required=True),
    _text("FirstName", 40),
    _text("LastName", 80, required=True),
    _fixed("Name", "string", 121),
    Field("Email", "email", 128, required=True),
    _flag("IsActive"),
)


def _history_of(name: str) -> tuple[Field, ...]:
    return (
        _reference(f"{name}Id", name, writable=False),
        _fixed("Field", "picklist", 255),
        Field("OldValue", "string", 255, writable=False, filterable=False),
        Field("NewValue", "string", 255, writable=False, filterable=False),
    )
