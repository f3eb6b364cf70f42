"""Endpoints of objects that this account does not have: empty lists."""

from typing import Any, Final

from sandbox.hubspot.request import ApiRequest, ApiResponse, Handler
from sandbox.hubspot.store import HubSpotStore


def _always(body: dict[str, Any]) -> Handler:
    def response(_store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
        return ApiResponse(body)

    return response


_NONE: Final = _always({"results": []})
_NONE_COUNTED: Final = _always({"total": 0, "results": []})

UNUSED: Final[tuple[tuple[str, str, Handler, str], ...]] = (
    ("GET", "/marketing/v3/campaigns", _NONE_COUNTED, "marketing.campaigns.read"),
    ("GET", "/marketing/v3/marketing-events", _NONE, "crm.objects.marketing_events.read"),
    ("GET", "/scheduler/v3/meetings/meeting-links", _NONE_COUNTED, "scheduler.meetings.read"),
    ("GET", "/automation/v4/flows", _NONE, "automation"),
    ("GET", "/crm/v3/imports", _NONE, "crm.import"),
    ("GET", "/cms/v3/domains", _NONE_COUNTED, "cms.domains.read"),
    ("GET", "/cms/v3/blogs/posts", _NONE_COUNTED, "content"),
    ("GET", "/cms/v3/pages/site-pages", _NONE_COUNTED, "content"),
    ("GET", "/cms/v3/pages/landing-pages", _NONE_COUNTED, "content"),
    ("GET", "/conversations/v3/conversations/threads", _NONE, "conversations.read"),
    ("GET", "/conversations/v3/conversations/inboxes", _NONE_COUNTED, "conversations.read"),
    (
        "GET",
        "/communication-preferences/v3/definitions",
        _always({"subscriptionDefinitions": []}),
        "communication_preferences.read",
    ),
    ("GET", "/communication-preferences/v4/definitions", _NONE, "communication_preferences.read"),
)
