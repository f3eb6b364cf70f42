"""Marketing in HubSpot's first API: campaigns, subscriptions, forms, workflows."""

from collections import Counter
from typing import Any, Final

from sandbox.hubspot.errors import api_error
from sandbox.hubspot.request import ApiRequest, ApiResponse, page_size, parse_integer
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore
from sandbox.hubspot.values import parse_instant

_SUBSCRIPTION: Final = 44_237_001


def campaigns(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the mailings, newest first."""
    newest: dict[tuple[int, int], int] = {}
    for event in store.email_events:
        key = event["emailCampaignId"], event["appId"]
        newest[key] = max(newest.get(key, 0), event["created"])
    found = [
        {"id": id, "appId": app, "appName": "Batch", "lastUpdatedTime": at}
        for (id, app), at in sorted(newest.items(), key=lambda one: -one[1])
    ]
    return _paged(request, "campaigns", found, page_size(request.query.get("limit"), 10, 1000))


def campaign(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return one mailing and the counts of its events."""
    id = parse_integer(request.parameters["campaign_id"])
    events = [one for one in store.email_events if one["emailCampaignId"] == id]
    if not events:
        raise api_error(404, "resource not found")
    counts = Counter(one["type"].lower() for one in events)
    return ApiResponse(
        {
            "id": id,
            "appId": events[0]["appId"],
            "appName": events[0]["appName"],
            "name": f"Mailing {id}",
            "subject": f"Mailing {id}",
            "type": "BATCH_EMAIL",
            "counters": dict(counts),
            "numIncluded": counts["sent"],
            "numQueued": counts["sent"],
            "processingState": "DONE",
            "lastProcessingFinishedAt": max(one["created"] for one in events),
        }
    )


def subscriptions(_store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return the subscription types."""
    definition = {
        "id": _SUBSCRIPTION,
        "portalId": PORTAL_ID,
        "name": "Marketing Information",
        "description": "Marketing offers and updates.",
        "active": True,
        "internal": False,
        "category": "Marketing",
        "channel": "Email",
        "order": 0,
        "internalName": "MARKETING_INFORMATION",
    }
    return ApiResponse({"subscriptionDefinitions": [definition]})


def timeline(store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Page through the opt-outs, newest first."""
    since = parse_instant(request.query.get("startTimestamp") or "0") or 0
    until = parse_instant(request.query.get("endTimestamp") or str(2**53)) or 0
    wanted = (request.query.get("recipient") or "").lower()
    changes = [
        one
        for one in store.email_events
        if one["type"] == "STATUSCHANGE"
        and since <= one["created"] <= until
        and (not wanted or one["recipient"] == wanted)
    ]
    entries = [
        {
            "timestamp": one["created"],
            "portalId": PORTAL_ID,
            "recipient": one["recipient"],
            "normalizedEmailId": one["id"],
            "changes": [_change(one)],
        }
        for one in changes
    ]
    return _paged(request, "timeline", entries, page_size(request.query.get("limit"), 10, 1000))


def forms(store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return all forms as a plain list."""
    return ApiResponse([_form(one) for one in store.forms.values()])


def workflows(_store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return the workflows: none."""
    return ApiResponse({"workflows": []})


def mails(_store: HubSpotStore, request: ApiRequest) -> ApiResponse:
    """Return the composed mails: none."""
    limit, offset = (
        parse_integer(request.query.get("limit") or 10),
        parse_integer(request.query.get("offset") or 0),
    )
    return ApiResponse(
        {"objects": [], "limit": limit, "offset": offset, "total": 0, "totalCount": 0}
    )


def mails_today(_store: HubSpotStore, _call: ApiRequest) -> ApiResponse:
    """Return the mails of today's API: none."""
    return ApiResponse({"total": 0, "results": []})


def _change(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "source": "SOURCE_RECIPIENT",
        "timestamp": event["created"],
        "portalId": PORTAL_ID,
        "subscriptionId": _SUBSCRIPTION,
        "changeType": "PORTAL_STATUS",
        "change": "UNSUBSCRIBED",
        "causedByEvent": {"id": event["id"], "created": event["created"]},
    }


def _form(one: dict[str, Any]) -> dict[str, Any]:
    settings = one["configuration"]
    return {
        "portalId": PORTAL_ID,
        "guid": one["id"],
        "name": one["name"],
        "action": "",
        "method": "POST",
        "cssClass": "",
        "redirect": "",
        "submitText": one["displayOptions"]["submitButtonText"],
        "followUpId": "",
        "notifyRecipients": "",
        "leadNurturingCampaignId": "",
        "formFieldGroups": [],
        "createdAt": parse_instant(one["createdAt"]),
        "updatedAt": parse_instant(one["updatedAt"]),
        "performableHtml": "",
        "migratedFrom": "",
        "ignoreCurrentValues": False,
        "metaData": [],
        "deletable": settings["archivable"],
        "inlineMessage": settings["postSubmitAction"]["value"],
        "tmsId": "",
        "captchaEnabled": settings["recaptchaEnabled"],
        "campaignGuid": "",
        "cloneable": settings["cloneable"],
        "editable": settings["editable"],
        "formType": "HUBSPOT",
    }


def _paged(request: ApiRequest, name: str, found: list[dict[str, Any]], limit: int) -> ApiResponse:
    start = parse_integer(request.query.get("offset") or 0)
    end = min(start + limit, len(found))
    response = {name: found[start:end], "hasMore": end < len(found), "offset": str(end)}
    return ApiResponse(response)
