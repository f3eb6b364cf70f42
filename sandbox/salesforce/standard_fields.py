"""Standard fields that the sandbox never fills, and compound addresses.

Third-party programs query them, and a query of a missing field fails.
"""

from typing import Any

from sandbox.salesforce.schema import Field

_PARTS = ("city", "country", "geocodeAccuracy", "latitude", "longitude")
_WORDS = ("postalCode", "state", "street")
_ACCURACIES = ("Address", "NearAddress", "Block", "Street", "Zip", "City", "State", "Unknown")


def _texts(**lengths: int) -> tuple[Field, ...]:
    return tuple(Field(name, "string", length) for name, length in lengths.items())


def _phones(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, "phone", 40) for name in names)


def _fixed(type_: str, *names: str) -> tuple[Field, ...]:
    return tuple(Field(name, type_, writable=False) for name in names)


def _plain(type_: str, *names: str) -> tuple[Field, ...]:
    return tuple(Field(name, type_, scale=2) for name in names)


def _choice(name: str, *values: str) -> Field:
    return Field(name, "picklist", 255, values=values)


def _long(name: str) -> Field:
    return Field(name, "textarea", 32000, filterable=False)


def _to(name: str, *objects: str) -> Field:
    return Field(name, "reference", 18, to=objects)


def _address(prefix: str = "") -> tuple[Field, ...]:
    """Build a compound address, which is read-only, and its parts."""
    whole = f"{prefix}Address"

    def read(row: dict[str, Any]) -> dict[str, Any] | None:
        address = {
            part: row.get(f"{prefix}{part[0].upper()}{part[1:]}") for part in _PARTS + _WORDS
        }
        return address if any(value is not None for value in address.values()) else None

    return (
        Field(f"{prefix}Street", "textarea", 255, compound=whole),
        Field(f"{prefix}City", "string", 40, compound=whole),
        Field(f"{prefix}State", "string", 80, compound=whole),
        Field(f"{prefix}PostalCode", "string", 20, compound=whole),
        Field(f"{prefix}Country", "string", 80, compound=whole),
        Field(f"{prefix}Latitude", "double", scale=15, compound=whole),
        Field(f"{prefix}Longitude", "double", scale=15, compound=whole),
        Field(f"{prefix}GeocodeAccuracy", "picklist", 40, values=_ACCURACIES, compound=whole),
        Field(whole, "address", writable=False, filterable=False, formula=read),
    )


_SEEN = _fixed("datetime", "LastViewedDate", "LastReferencedDate")
_PERSON = (
    _choice("Salutation", "Mr.", "Ms.", "Mrs.", "Dr.", "Prof."),
    *_phones("MobilePhone", "Fax"),
    _long("Description"),
    *_texts(EmailBouncedReason=255, Jigsaw=20),
    _choice("CleanStatus", "Matched", "Different", "Acknowledged", "NotFound", "Pending"),
    *_fixed("url", "PhotoUrl"),
    *_SEEN,
)
LEAD = (*_PERSON, *_address(), *_plain("boolean", "IsUnreadByOwner"))
CONTACT = (
    *_PERSON,
    *_address("Mailing"),
    *_address("Other"),
    *_plain("date", "Birthdate"),
    *_phones("HomePhone", "OtherPhone", "AssistantPhone"),
    *_texts(AssistantName=40),
    _to("ReportsToId", "Contact"),
    *_fixed("boolean", "IsEmailBounced"),
    *_fixed("datetime", "LastCURequestDate", "LastCUUpdateDate"),
)
ACCOUNT = (
    *_address("Billing"),
    *_address("Shipping"),
    *_phones("Phone", "Fax"),
    _long("Description"),
    _to("ParentId", "Account"),
    *_texts(AccountNumber=40, Site=80, Sic=20, SicDesc=80, TickerSymbol=20),
    _choice("Ownership", "Public", "Private", "Subsidiary", "Other"),
    _choice("Rating", "Hot", "Warm", "Cold"),
    _choice("AccountSource", "Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"),
    *_fixed("date", "LastActivityDate"),
    *_fixed("url", "PhotoUrl"),
    *_SEEN,
)
OPPORTUNITY = (
    _long("Description"),
    *_texts(NextStep=255),
    *_plain("percent", "Probability"),
    _choice("Type", "Existing Customer - Upgrade", "Existing Customer - Downgrade", "New Customer"),
    _choice("LeadSource", "Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"),
    _choice("ForecastCategoryName", "Omitted", "Pipeline", "Best Case", "Commit", "Closed"),
    *_fixed("picklist", "ForecastCategory"),
    *_fixed("currency", "ExpectedRevenue"),
    *_plain("double", "TotalOpportunityQuantity"),
    *_plain("boolean", "IsPrivate"),
    *_fixed("int", "FiscalYear", "FiscalQuarter"),
    *_fixed("string", "Fiscal"),
    *_fixed("boolean", "HasOpportunityLineItem", "HasOpenActivity", "HasOverdueTask"),
    _to("Pricebook2Id", "Pricebook2"),
    *_fixed("date", "LastActivityDate"),
    *_fixed("datetime", "LastStageChangeDate"),
    *_SEEN,
)
CAMPAIGN = (
    _long("Description"),
    *_plain("date", "EndDate"),
    _to("ParentId", "Campaign"),
    *_plain("currency", "BudgetedCost", "ActualCost", "ExpectedRevenue"),
    *_plain("percent", "ExpectedResponse"),
    *_plain("double", "NumberSent"),
    *_fixed("int", "NumberOfLeads", "NumberOfConvertedLeads", "NumberOfContacts"),
    *_fixed("int", "NumberOfResponses", "NumberOfOpportunities", "NumberOfWonOpportunities"),
    *_fixed("date", "LastActivityDate"),
    *_SEEN,
)
USER = (
    *_texts(Alias=8, CommunityNickname=40, Title=80, Department=80, Division=80, CompanyName=80),
    *_texts(EmployeeNumber=20, FederationIdentifier=512),
    *_texts(TimeZoneSidKey=40, LocaleSidKey=40, LanguageLocaleKey=40, EmailEncodingKey=40),
    *_phones("Phone", "MobilePhone", "Fax"),
    *_address(),
    _choice("UserType", "Standard", "PowerPartner", "CspLitePortal", "CustomerSuccess"),
    _to("ProfileId", "Profile"),
    _to("UserRoleId", "UserRole"),
    _to("ManagerId", "User"),
    *_fixed("datetime", "LastLoginDate"),
)
TASK = (
    *_plain("boolean", "IsReminderSet", "IsRecurrence"),
    *_plain("datetime", "ReminderDateTime"),
    *_fixed("boolean", "IsHighPriority"),
    *_texts(CallObject=255),
)
EVENT = (
    *_texts(Location=255),
    *_plain("boolean", "IsAllDayEvent", "IsPrivate", "IsReminderSet", "IsRecurrence"),
    *_fixed("boolean", "IsChild"),
    *_plain("datetime", "ActivityDateTime", "ReminderDateTime"),
)
ORGANIZATION = (
    *_texts(Name=80, Division=80, NamespacePrefix=15, InstanceName=5, PrimaryContact=80),
    *_texts(DefaultLocaleSidKey=40, TimeZoneSidKey=40, LanguageLocaleKey=40),
    *_phones("Phone", "Fax"),
    *_address(),
    _choice("OrganizationType", "Developer Edition", "Enterprise Edition", "Unlimited Edition"),
    *_fixed("boolean", "IsSandbox", "IsReadOnly"),
    *_fixed("datetime", "TrialExpirationDate"),
    *_fixed("int", "FiscalYearStartMonth"),
)
CASE = (
    *_fixed("string", "CaseNumber"),
    *_texts(Subject=255, SuppliedName=80, SuppliedEmail=80),
    _long("Description"),
    _to("AccountId", "Account"),
    _to("ContactId", "Contact"),
    _to("OwnerId", "User"),
    _choice("Status", "New", "Working", "Escalated", "Closed"),
    _choice("Priority", "High", "Medium", "Low"),
    _choice("Origin", "Phone", "Email", "Web"),
    _choice("Type", "Mechanical", "Electrical", "Other"),
    _choice("Reason", "Installation", "Performance", "Other"),
    *_fixed("boolean", "IsClosed", "IsEscalated"),
    *_fixed("datetime", "ClosedDate"),
)
CONTRACT = (
    *_fixed("string", "ContractNumber"),
    _to("AccountId", "Account"),
    _to("OwnerId", "User"),
    _choice("Status", "In Approval Process", "Activated", "Draft"),
    *_plain("date", "StartDate", "EndDate"),
    *_plain("int", "ContractTerm"),
)
ORDER = (
    *_fixed("string", "OrderNumber"),
    _to("AccountId", "Account"),
    _to("ContractId", "Contract"),
    _to("OwnerId", "User"),
    _choice("Status", "Draft", "Activated"),
    *_plain("date", "EffectiveDate", "EndDate"),
    *_fixed("currency", "TotalAmount"),
)
PROFILE = (*_texts(Name=255), *_fixed("picklist", "UserType"))
RECORD_TYPE = (
    *_texts(Name=80, DeveloperName=80, NamespacePrefix=15, Description=255),
    *_fixed("picklist", "SobjectType"),
    *_plain("boolean", "IsActive"),
)
GROUP = (*_texts(Name=40, DeveloperName=80), *_fixed("picklist", "Type"))
