"""Control endpoints of the org: lock rows, end sessions, set quotas, hide fields."""

from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.validation_rules import duplicate_rule, validation_rule


def locks(request: ApiRequest) -> ApiResponse:
    """Create the next writes to these rows fail: `{"ids": [...], "times": 1}`."""
    body = request.json()
    request.store.lock(body["ids"], times=body.get("times", 1))
    return ApiResponse({"locked": len(body["ids"])})


def revoke(request: ApiRequest) -> ApiResponse:
    """End every session, also that of the token printed at the start."""
    request.store.revoke()
    return ApiResponse({"revoked": True})


def rotation(request: ApiRequest) -> ApiResponse:
    """Create each refresh token valid for one use: `{"rotate": true}`."""
    request.store.credentials.rotates = request.json()["rotate"]
    return ApiResponse({"rotates": request.store.credentials.rotates})


def quota(request: ApiRequest) -> ApiResponse:
    """Set the daily limit and the used calls: `{"limit": 100, "used": 99}`."""
    body = request.json()
    request.store.daily_limit = body.get("limit", request.store.daily_limit)
    request.store.calls_used = body.get("used", request.store.calls_used)
    return ApiResponse({"limit": request.store.daily_limit, "used": request.store.calls_used})


def hide(request: ApiRequest) -> ApiResponse:
    """Hide fields from the user: `{"object": "Lead", "fields": [...]}`."""
    body = request.json()
    request.store.hide(body["object"], *body["fields"])
    return ApiResponse({"hidden": len(body["fields"])})


def rules(request: ApiRequest) -> ApiResponse:
    """Add a rule: `{"object", "when", "message"}` or `{"object", "duplicates": ["Email"]}`.

    when: a condition of SOQL.
    code, fields: another error than that of a validation rule.
    blocks: whether no header allows the duplicate.
    """
    body = request.json()
    if "duplicates" in body:
        blocks = body.get("blocks", False)
        duplicate_rule(request.store, body["object"], *body["duplicates"], blocks=blocks)
    else:
        validation_rule(
            request.store,
            body["object"],
            body["when"],
            body["message"],
            fields=tuple(body.get("fields", ())),
            code=body.get("code", "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        )
    return ApiResponse({"rules": len(request.store.rules[body["object"]])})


def merge(request: ApiRequest) -> ApiResponse:
    """Merge two records as a user does: `{"winner": "00Q...", "loser": "00Q..."}`."""
    body = request.json()
    request.store.merge(body["winner"], body["loser"])
    return ApiResponse({"merged": True})
