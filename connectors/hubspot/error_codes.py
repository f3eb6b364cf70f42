"""What each of HubSpot's answers means, and what an admin can do about it."""

import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from connectors.error_mapping import Meaning, codes, meaning, without_nulls
from connectors.http import Answer, lost
from errors import (
    AccessError,
    ConfigError,
    QuotaError,
    RefusedError,
    RetryableError,
    SyncError,
)
from settings import setting

MEANINGS = (
    # one property or value
    Meaning(
        400, "PROPERTY_DOESNT_EXIST", RefusedError, "create the property, or map another", "field"
    ),
    Meaning(
        400, "READ_ONLY_VALUE", RefusedError, "the property cannot be written; map another", "field"
    ),
    Meaning(
        400,
        "INVALID_OPTION",
        RefusedError,
        "map the value to an option the property has, or add the option",
        "value",
    ),
    Meaning(
        400, "INVALID_LONG", RefusedError, "the property takes numbers only; map another", "value"
    ),
    Meaning(
        400,
        "INVALID_INTEGER",
        RefusedError,
        "the property takes whole numbers only; map another",
        "value",
    ),
    Meaning(
        400, "INVALID_DATE", RefusedError, "the property takes dates only; map another", "value"
    ),
    Meaning(
        400,
        "INVALID_BOOLEAN",
        RefusedError,
        "the property takes true and false only; map another",
        "value",
    ),
    Meaning(
        400,
        "INVALID_ALPHA",
        RefusedError,
        "a validation rule of the property refuses the value: change the rule, or the mapping",
        "value",
    ),
    Meaning(
        400, "INVALID_EMAIL", RefusedError, "this is no e-mail address: correct the record", "value"
    ),
    Meaning(
        400,
        "LEADING_TRAILING_WHITESPACE",
        RefusedError,
        "take the spaces off the value in the mapping",
        "value",
    ),
    Meaning(400, "PROPERTY_VALUE_TOO_LONG", RefusedError, "map a shorter text", "value"),
    # one record
    Meaning(None, "OBJECT_NOT_FOUND", RefusedError, "the record was deleted", "deleted"),
    Meaning(
        409, None, RefusedError, "another record holds this value: look in HubSpot, merge the two"
    ),
    Meaning(400, None, RefusedError, "check the mapping against the property's settings"),
    Meaning(404, None, RefusedError, "the record or object is not there; look in HubSpot"),
    # the account
    Meaning(401, None, AccessError, f"renew {setting('hubspot', 'access_token')}"),
    Meaning(403, None, AccessError, "grant the private app what it lacks"),
    Meaning(414, None, ConfigError, "the mapping names too many fields; take some out"),
    Meaning(429, "DAILY", QuotaError, "the calls of the day are spent; the next run goes on"),
    # worth another try
    Meaning(429, None, RetryableError, "too many calls at once"),
    Meaning(408, None, RetryableError, "it took too long"),
    Meaning(423, None, RetryableError, "locked by a bulk operation"),
    Meaning(425, None, RetryableError, "too early"),
    Meaning(477, None, RetryableError, "HubSpot moves the account to another data centre"),
)
"""Any other 4xx is refused, any other 5xx is worth another try."""

FIELD_CODES, VALUE_CODES = codes(MEANINGS, "field"), codes(MEANINGS, "value")


class Problem(BaseModel):
    """HubSpot's error body; all but the message may be missing."""

    model_config = ConfigDict(coerce_numbers_to_str=True)
    _without_nulls = model_validator(mode="before")(without_nulls)

    message: str = ""
    category: str = ""
    subCategory: str = ""
    policyName: str = ""
    code: str = ""
    context: dict[str, list[str]] = {}
    errors: list["Problem"] = []


def error_of(answer: Answer, where: str, *, is_write: bool = False) -> SyncError:
    """Say what a refusal means, without a word of what it held."""
    if is_write and answer.status >= 500:
        return lost(where, is_write=True)
    problem = problem_of(answer.body)
    row = _meaning(answer.status, _word(problem))
    if row.error is RefusedError:
        return refusal(problem, where, status=answer.status)
    text = f"HubSpot answered {answer.status} to {where}: {row.fix}"
    if row.error is RetryableError:
        return RetryableError(text, retry_after=answer.retry_after)
    if answer.status == 403:
        return AccessError(f"{text}: {', '.join(scopes(problem)) or 'a scope it does not name'}")
    return row.error(text)


def refusal(problem: Problem, where: str, *, status: int = 400) -> RefusedError:
    """Make the error of one refused record or batch."""
    cause = _cause(problem)
    word = _word(problem) or str(status)
    field = next((name for name in cause.context.get("propertyName", ()) if _is_name(name)), None)
    fix = _meaning(status, word).fix
    text = f"HubSpot refused {where} with {word}" + (f" for {field}" if field else "")
    return RefusedError(f"{text}: {fix}", code=word, field=field, fix=fix)


def problem_of(body: bytes | Mapping[str, object]) -> Problem:
    """Read an error; an HTML page, or what else cannot be read, is a problem without words."""
    try:
        if isinstance(body, bytes):
            return Problem.model_validate_json(body)
        return Problem.model_validate(body)
    except ValidationError:
        return Problem()


def scopes(problem: Problem) -> list[str]:
    """Find the missing scopes, which HubSpot names in three ways."""
    named = [
        scope
        for one in (problem, *problem.errors)
        for scope in one.context.get("requiredGranularScopes", [])
    ]
    if told := _SCOPES.search(problem.message):
        named += [scope.strip() for scope in told[1].split(",")]
    return [scope for scope in dict.fromkeys(named) if _is_name(scope)]


_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_SCOPES = re.compile(r"requires one of \[([^\]]*)\]")


def _meaning(status: int, word: str) -> Meaning:
    if found := meaning(MEANINGS, status, word):
        return found
    if status >= 500:
        return Meaning(status, None, RetryableError, "it has trouble of its own")
    if status < 400:
        fix = f"check {setting('hubspot', 'base_url')}, it leads elsewhere"
        return Meaning(status, None, ConfigError, fix)
    return Meaning(status, None, RefusedError, "look the code up in HubSpot's documentation")


def _cause(problem: Problem) -> Problem:
    """Choose the error that says most: that of a property no record can be written with."""
    causes = problem.errors or [problem]
    return next((one for one in causes if one.code in FIELD_CODES), causes[0])


def _word(problem: Problem) -> str:
    if problem.policyName == "DAILY" or "daily limit" in problem.message:
        return "DAILY"
    sub_category = problem.subCategory.rsplit(".", 1)[-1]
    words = (_cause(problem).code, problem.code, sub_category, problem.category)
    return next((word for word in words if _is_name(word)), "")


def _is_name(text: str) -> bool:
    """Tell names and codes, which may be shown, from anything that might hold a value."""
    return _NAME.fullmatch(text) is not None
