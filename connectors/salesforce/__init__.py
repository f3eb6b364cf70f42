"""The Salesforce connector."""

LABEL = "Salesforce"
"""The name of the CRM in reports. `connector.py` imports the client library; this file does not."""

_ADDRESS_PARTS = (
    *("Street", "City", "State", "StateCode", "PostalCode", "Country", "CountryCode", "Address"),
)

IDENTITY_FIELDS = frozenset(
    (
        *("Id", "Email", "Phone", "MobilePhone", "HomePhone", "OtherPhone", "AssistantPhone"),
        *("Fax", "Name", "Salutation", "FirstName", "MiddleName", "LastName", "Suffix"),
        *("Birthdate", "GenderIdentity", "Title", "Department", "Company", "Website"),
        *("AccountId", "ReportsToId", "OwnerId", "MasterRecordId", "ConvertedContactId"),
        *(f"{kind}{part}" for kind in ("", "Mailing", "Other") for part in _ADDRESS_PARTS),
    )
)
"""The standard fields that say who a lead or contact is: a mapping writes them on purpose only."""
