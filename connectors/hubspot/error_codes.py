"""What each of HubSpot's answers means, and what an admin can do about it."""

import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from connectors.error_mapping import ErrorRule, codes_in_scope, drop_nulls, match_rule
from connectors.http import Response, response_lost
from errors import (
    AccessError,
    ConfigError,
    QuotaError,
    RejectedError,
    RetryableError,
    SyncError,
)
from settings import setting

ERROR_RULES = (
    # one property or value
    ErrorRule(
        400, "PROPERTY_DOESNT_EXIST", RejectedError, "create the property, or map another", "field"
    ),
    ErrorRule(
        400,
        "READ_ONLY_VALUE",
        RejectedError,
        "the property cannot be written; map another",
        "field",
    ),
    ErrorRule(
        400,
        "INVALID_OPTION",
        RejectedError,
        "map the value to an option the property has, or add the option",
        "value",
    ),
    ErrorRule(
        400, "INVALID_LONG", RejectedError, "the property takes numbers only; map another", "value"
    ),
    ErrorRule(
        400,
        "INVALID_INTEGER",
        RejectedError,
        "the property takes whole numbers only; map another",
        "value",
    ),
    ErrorRule(
        400, "INVALID_DATE", RejectedError, "the property takes dates only; map another", "value"
    ),
    ErrorRule(
        400,
        "INVALID_BOOLEAN",
        RejectedError,
        "the property takes true and false only; map another",
        "value",
    ),
    ErrorRule(
        400,
        "INVALID_ALPHA",
        RejectedError,
        "a validation rule of the property refuses the value: change the rule, or the mapping",
        "value",
    ),
    ErrorRule(
        400,
        "INVALID_EMAIL",
        RejectedError,
        "this is no e-mail address: correct the record",
        "value",
    ),
    ErrorRule(
        400,
        "LEADING_TRAILING_WHITESPACE",
        RejectedError,
        "take the spaces off the value in the mapping",
        "value",
    ),
    ErrorRule(400, "PROPERTY_VALUE_TOO_LONG", RejectedError, "map a shorter text", "value"),
    # one record
    ErrorRule(None, "OBJECT_NOT_FOUND", RejectedError, "the record was deleted", "deleted"),
    ErrorRule(
        409, None, RejectedError, "another record holds this value: look in HubSpot, merge the two"
    ),
    ErrorRule(400, None, RejectedError, "check the mapping against the property's settings"),
    ErrorRule(404, None, RejectedError, "the record or object is not there; look in HubSpot"),
    # the account
    ErrorRule(401, None, AccessError, f"renew {setting('hubspot', 'access_token')}"),
    ErrorRule(403, None, AccessError, "grant the private app what it lacks"),
    ErrorRule(414, None, ConfigError, "the mapping names too many fields; take some out"),
    ErrorRule(429, "DAILY", QuotaError, "the calls of the day are spent; the next run goes on"),
    # worth another try
    ErrorRule(429, None, RetryableError, "too many calls at once"),
    ErrorRule(408, None, RetryableError, "it took too long"),
    ErrorRule(423, None, RetryableError, "locked by a bulk operation"),
    ErrorRule(425, None, RetryableError, "too early"),
    ErrorRule(477, None, RetryableError, "HubSpot moves the account to another data centre"),
)
"""Any other 4xx is refused, any other 5xx is worth another try."""

FIELD_CODES, VALUE_CODES = (
    codes_in_scope(ERROR_RULES, "field"),
    codes_in_scope(ERROR_RULES, "value"),
)


class ApiError(BaseModel):
    """HubSpot's error body; all but the message may be missing."""

    model_config = ConfigDict(coerce_numbers_to_str=True)
    _drop_nulls = model_validator(mode="before")(drop_nulls)

    message: str = ""
    category: str = ""
    subCategory: str = ""
    policyName: str = ""
    code: str = ""
    context: dict[str, list[str]] = {}
    errors: list["ApiError"] = []


def to_error(response: Response, where: str, *, is_write: bool = False) -> SyncError:
    """Say what a refusal means, without a word of what it held."""
    if is_write and response.status >= 500:
        return response_lost(where, is_write=True)
    problem = parse_error(response.body)
    row = _rule(response.status, _error_code(problem))
    if row.error is RejectedError:
        return rejection(problem, where, status=response.status)
    text = f"HubSpot answered {response.status} to {where}: {row.fix}"
    if row.error is RetryableError:
        return RetryableError(text, retry_after=response.retry_after)
    if response.status == 403:
        return AccessError(f"{text}: {', '.join(scopes(problem)) or 'a scope it does not name'}")
    return row.error(text)


def rejection(error: ApiError, where: str, *, status: int = 400) -> RejectedError:
    """Make the error of one refused record or batch."""
    cause = _main_error(error)
    word = _error_code(error) or str(status)
    field = next((name for name in cause.context.get("propertyName", ()) if _is_name(name)), None)
    fix = _rule(status, word).fix
    text = f"HubSpot refused {where} with {word}" + (f" for {field}" if field else "")
    return RejectedError(f"{text}: {fix}", code=word, field=field, fix=fix)


def parse_error(body: bytes | Mapping[str, object]) -> ApiError:
    """Read an error; an HTML page, or what else cannot be read, is a problem without words."""
    try:
        if isinstance(body, bytes):
            return ApiError.model_validate_json(body)
        return ApiError.model_validate(body)
    except ValidationError:
        return ApiError()


def scopes(error: ApiError) -> list[str]:
    """Find the missing scopes, which HubSpot names in three ways."""
    named = [
        scope
        for one in (error, *error.errors)
        for scope in one.context.get("requiredGranularScopes", [])
    ]
    if told := _SCOPES.search(error.message):
        named += [scope.strip() for scope in told[1].split(",")]
    return [scope for scope in dict.fromkeys(named) if _is_name(scope)]


_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_SCOPES = re.compile(r"requires one of \[([^\]]*)\]")


def _rule(status: int, word: str) -> ErrorRule:
    if found := match_rule(ERROR_RULES, status, word):
        return found
    if status >= 500:
        return ErrorRule(status, None, RetryableError, "it has trouble of its own")
    if status < 400:
        fix = f"check {setting('hubspot', 'base_url')}, it leads elsewhere"
        return ErrorRule(status, None, ConfigError, fix)
    return ErrorRule(status, None, RejectedError, "look the code up in HubSpot's documentation")


def _main_error(problem: ApiError) -> ApiError:
    """Choose the error that says most: that of a property no record can be written with."""
    causes = problem.errors or [problem]
    return next((one for one in causes if one.code in FIELD_CODES), causes[0])


def _error_code(problem: ApiError) -> str:
    if problem.policyName == "DAILY" or "daily limit" in problem.message:
        return "DAILY"
    sub_category = problem.subCategory.rsplit(".", 1)[-1]
    words = (_main_error(problem).code, problem.code, sub_category, problem.category)
    return next((word for word in words if _is_name(word)), "")


def _is_name(text: str) -> bool:
    """Tell names and codes, which may be shown, from anything that might hold a value."""
    return _NAME.fullmatch(text) is not None
