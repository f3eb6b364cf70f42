"""How recorded traffic of HubSpot is anonymised."""

import re
from typing import Final

from connectors.anonymize_rules import AnonymizeRules

HUBSPOT_URL: Final = "https://api.hubapi.com"

RULES: Final = AnonymizeRules(
    url=HUBSPOT_URL,
    paths=re.compile(r"/(crm|oauth|account-info|email|events|form|marketing)"),
    # links in responses: `app` to records, `developers` to the documentation of an error
    public_hosts=("app.hubspot.com", "developers.hubspot.com"),
    replay_settings={
        "SOURCES__HUBSPOT__BASE_URL": HUBSPOT_URL,
        "SOURCES__HUBSPOT__ACCESS_TOKEN": "replayed",
        # a cassette holds no login
        "SOURCES__HUBSPOT__REFRESH_TOKEN": "",
    },
    catalog_paths=re.compile(
        r"/crm/(v3/)?(properties|pipelines|schemas)/.*|/crm/(v4/)?associations/.*/labels"
        r"|/crm-object-schemas/.*|/account-info/.*|/marketing/v3/forms/?"
        r"|/events/(v3/events|event-occurrences)/.*event-types"
    ),
    headers=re.compile(r"x-hubspot-ratelimit-.*"),
    keys=frozenset(
        (
            *("archived", "associations", "associationCategory", "category", "code", "eventType"),
            *(
                "formType",
                "formTypes",
                "fromObjectType",
                "in",
                "label",
                "objectType",
                "objectTypeId",
            ),
            *("operator", "policyName", "processingType", "properties", "propertiesWithHistory"),
            *("propertyName", "requiredGranularScopes", "sourceType", "status", "subCategory"),
            *("direction", "errorType", "toObjectType"),
        )
    ),
    count_keys=frozenset(("total", "count", "offset", "size", "currentUsage", "usageLimit")),
    # the text of a 429 says which limit was exceeded: the daily one, or that of ten seconds
    phrases=(
        "You have reached your secondly limit.",
        "You have reached your ten_secondly_rolling limit.",
        "You have reached your daily limit.",
        "CONTACT",
    ),
    volatile={
        "correlationId": "00000000-0000-4000-8000-000000000000",
        "requestId": "00000000-0000-4000-8000-000000000000",
        "startedAt": "2026-01-01T00:00:00.000Z",
        "completedAt": "2026-01-01T00:00:00.000Z",
    },
    # `after` is the id of the next record; `vid` is the contact id of the first API
    id_keys=re.compile(r"(^|_|[a-z])(vid|vids|after)$"),
    other_id_keys=frozenset(("typeId", "associationTypeId", "objectTypeId", "message_id")),
    domain_keys=("domain", "hs_email_domain"),
    property_keys=("properties", "propertiesWithHistory", "values"),
    name_keys=("propertyName", "name"),
    value_keys=("value", "values", "highValue"),
    value_segments={"objects": 2},
    path_actions=("batch", "search", "merge", "gdpr-delete"),
    field_parameters=("properties", "propertiesWithHistory"),
    open_end_parameters=("endTimestamp", "occurredBefore"),
    # 207: some records of a batch failed
    failure_statuses=(207,),
    leaks={"a token": re.compile(r"pat-\w+-|refresh-\w+-")},
)
