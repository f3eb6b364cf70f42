"""The HubSpot connector."""

LABEL = "HubSpot"
"""The name of the CRM in reports. `connector.py` imports the client library; this file does not."""

IDENTITY_FIELDS = frozenset(
    (
        *("email", "hs_additional_emails", "work_email", "hs_object_id", "hs_merged_object_ids"),
        *("phone", "mobilephone", "fax", "hs_whatsapp_phone_number"),
        *("salutation", "firstname", "lastname", "date_of_birth", "gender"),
        *("jobtitle", "company", "associatedcompanyid", "website", "hs_linkedin_url"),
        *("address", "city", "state", "zip", "country", "hs_country_region_code"),
        *("hs_state_code", "hubspot_owner_id", "salesforcecontactid", "salesforceleadid"),
    )
)
"""The standard properties that say who a contact is: a mapping writes them on purpose only."""
