"""What a test does to the org over HTTP: lock rows, end sessions, spend calls, hide fields."""

from sandbox.salesforce.request import Answer, Call
from sandbox.salesforce.validation_rules import duplicate_rule, validation_rule


def locks(call: Call) -> Answer:
    """Let the next writes that need these rows fail: `{"ids": [...], "times": 1}`."""
    asked = call.json()
    call.store.lock(asked["ids"], times=asked.get("times", 1))
    return Answer({"locked": len(asked["ids"])})


def revoke(call: Call) -> Answer:
    """End every session; logging in again helps, the token given at the start does not."""
    call.store.revoke()
    return Answer({"revoked": True})


def rotation(call: Call) -> Answer:
    """Let every refresh token be good once, as an administrator may set it: `{"rotate": true}`."""
    call.store.credentials.rotates = call.json()["rotate"]
    return Answer({"rotates": call.store.credentials.rotates})


def quota(call: Call) -> Answer:
    """Set how many calls a day has and how many are used: `{"limit": 100, "used": 99}`."""
    asked = call.json()
    call.store.daily_limit = asked.get("limit", call.store.daily_limit)
    call.store.calls_used = asked.get("used", call.store.calls_used)
    return Answer({"limit": call.store.daily_limit, "used": call.store.calls_used})


def hide(call: Call) -> Answer:
    """Take fields out of the user's sight: `{"object": "Lead", "fields": [...]}`."""
    asked = call.json()
    call.store.hide(asked["object"], *asked["fields"])
    return Answer({"hidden": len(asked["fields"])})


def rules(call: Call) -> Answer:
    """Forbid records: `{"object", "when", "message"}`, or `{"object", "duplicates": ["Email"]}`.

    `when` is a condition of SOQL; `code` and `fields` make another refusal of it, `blocks` a
    duplicate rule that no header passes.
    """
    asked = call.json()
    if "duplicates" in asked:
        blocks = asked.get("blocks", False)
        duplicate_rule(call.store, asked["object"], *asked["duplicates"], blocks=blocks)
    else:
        validation_rule(
            call.store,
            asked["object"],
            asked["when"],
            asked["message"],
            fields=tuple(asked.get("fields", ())),
            code=asked.get("code", "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        )
    return Answer({"rules": len(call.store.rules[asked["object"]])})


def merge(call: Call) -> Answer:
    """Merge two records as a user would: `{"winner": "00Q...", "loser": "00Q..."}`."""
    asked = call.json()
    call.store.merge(asked["winner"], asked["loser"])
    return Answer({"merged": True})
