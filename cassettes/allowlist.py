"""The words of the two APIs, which say nothing of anybody: what the scrubber may leave as it is."""

import re
from typing import Final

CATALOG_PATHS: Final = re.compile(
    r"/crm/v3/(properties|pipelines|schemas)/.*|/crm/v4/associations/.*/labels|/account-info/.*"
    r"|/marketing/v3/forms/?|/events/v3/events/event-types|/services/data/?"
    r"|/services/data/v[\d.]+/(limits.*|sobjects(/\w+/describe)?/?)"
)
"""Paths whose answers say what an account has, and nothing of its people."""

SECRET_KEYS: Final = frozenset(
    ("access_token", "refresh_token", "id_token", "signature", "token", "client_secret")
)
ALLOWED_PHRASES: Final = (
    "You have reached your secondly limit.",
    "You have reached your ten_secondly_rolling limit.",
    "You have reached your daily limit.",
    "Session expired or invalid",
    "TotalRequests Limit exceeded.",
    "CONTACT",
    "LEAD",
)
"""What the vendors say in answers that a client has to tell apart by their words."""

VOLATILE: Final = {
    "correlationId": "00000000-0000-4000-8000-000000000000",
    "requestId": "00000000-0000-4000-8000-000000000000",
    "startedAt": "2026-01-01T00:00:00.000Z",
    "completedAt": "2026-01-01T00:00:00.000Z",
    "issued_at": "1767225600000",
}
"""What differs from call to call and says nothing."""

ALLOWED_KEYS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        apiVersion archived associations associationCategory category code columnDelimiter
        concurrencyMode contentType direction errorCode errorType eventType fields formType
        fromObjectType in jobType label lineEnding object objectType objectTypeId operation
        operator policyName processingType properties propertiesWithHistory propertyName
        relationshipName requiredGranularScopes scope scopes sourceType state status
        statusCode subCategory toObjectType token_type type version
        """,
    )
)
"""Keys of envelopes and parameters whose values are words of the API; not names of properties."""
