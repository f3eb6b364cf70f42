"""What a test does to the org over HTTP: lock rows, end sessions, spend calls, hide fields."""

from sandbox.salesforce.request import ApiRequest, ApiResponse
from sandbox.salesforce.validation_rules import duplicate_rule, validation_rule


def locks(request: ApiRequest) -> ApiResponse:
    """Let the next writes that need these rows fail: `{"ids": [...], "times": 1}`."""
    asked = request.json()
    request.store.lock(asked["ids"], times=asked.get("times", 1))
    return ApiResponse({"locked": len(asked["ids"])})


def revoke(request: ApiRequest) -> ApiResponse:
    """End every session; logging in again helps, the token given at the start does not."""
    request.store.revoke()
    return ApiResponse({"revoked": True})


def rotation(request: ApiRequest) -> ApiResponse:
    """Let every refresh token be good once, as an administrator may set it: `{"rotate": true}`."""
    request.store.credentials.rotates = request.json()["rotate"]
    return ApiResponse({"rotates": request.store.credentials.rotates})


def quota(request: ApiRequest) -> ApiResponse:
    """Set how many calls a day has and how many are used: `{"limit": 100, "used": 99}`."""
    asked = request.json()
    request.store.daily_limit = asked.get("limit", request.store.daily_limit)
    request.store.calls_used = asked.get("used", request.store.calls_used)
    return ApiResponse({"limit": request.store.daily_limit, "used": request.store.calls_used})


def hide(request: ApiRequest) -> ApiResponse:
    """Take fields out of the user's sight: `{"object": "Lead", "fields": [...]}`."""
    asked = request.json()
    request.store.hide(asked["object"], *asked["fields"])
    return ApiResponse({"hidden": len(asked["fields"])})


def rules(request: ApiRequest) -> ApiResponse:
    """Forbid records: `{"object", "when", "message"}`, or `{"object", "duplicates": ["Email"]}`.

    `when` is a condition of SOQL; `code` and `fields` make another refusal of it, `blocks` a
    duplicate rule that no header passes.
    """
    asked = request.json()
    if "duplicates" in asked:
        blocks = asked.get("blocks", False)
        duplicate_rule(request.store, asked["object"], *asked["duplicates"], blocks=blocks)
    else:
        validation_rule(
            request.store,
            asked["object"],
            asked["when"],
            asked["message"],
            fields=tuple(asked.get("fields", ())),
            code=asked.get("code", "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        )
    return ApiResponse({"rules": len(request.store.rules[asked["object"]])})


def merge(request: ApiRequest) -> ApiResponse:
    """Merge two records as a user would: `{"winner": "00Q...", "loser": "00Q..."}`."""
    asked = request.json()
    request.store.merge(asked["winner"], asked["loser"])
    return ApiResponse({"merged": True})
