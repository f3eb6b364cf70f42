"""What each of HubSpot's answers means, and what an admin can do about it."""

import json
import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from connectors.error_mapping import (
    ErrorRule,
    codes_in_scope,
    drop_nulls,
    match_rule,
    retryable,
    unexpected_page,
)
from connectors.http import Response, response_lost
from connectors.hubspot import LABEL
from errors import (
    AccessError,
    ConfigError,
    QuotaError,
    RejectedError,
    RetryableError,
    SyncError,
)
from settings import setting

ALREADY_EXISTS = "OBJECT_ALREADY_EXISTS"

ERROR_RULES = (
    # one property or value
    ErrorRule(
        status=400,
        code="PROPERTY_DOESNT_EXIST",
        error=RejectedError,
        fix="create the property, or map another",
        scope="field",
    ),
    ErrorRule(
        status=400,
        code="READ_ONLY_VALUE",
        error=RejectedError,
        fix="the property cannot be written; map another",
        scope="field",
    ),
    ErrorRule(
        status=400,
        code="INVALID_OPTION",
        error=RejectedError,
        fix="map the value to an option the property has, or add the option",
        scope="value",
    ),
    ErrorRule(
        status=400,
        code="INVALID_LONG",
        error=RejectedError,
        fix="the property takes numbers only; map another",
        scope="value",
    ),
    ErrorRule(
        status=400,
        code="INVALID_INTEGER",
        error=RejectedError,
        fix="the property takes whole numbers only; map another",
        scope="value",
    ),
    ErrorRule(
        status=400,
        code="INVALID_DATE",
        error=RejectedError,
        fix="the property takes dates only; map another",
        scope="value",
    ),
    ErrorRule(
        status=400,
        code="INVALID_BOOLEAN",
        error=RejectedError,
        fix="the property takes true and false only; map another",
        scope="value",
    ),
    ErrorRule(
        status=400,
        code="INVALID_ALPHA",
        error=RejectedError,
        fix="a validation rule of the property refuses the value: change the rule, or the mapping",
        scope="value",
    ),
    ErrorRule(
        status=400,
        code="INVALID_EMAIL",
        error=RejectedError,
        fix="this is no e-mail address: correct the record",
        scope="value",
    ),
    ErrorRule(
        status=400,
        code="PROPERTY_VALUE_TOO_LONG",
        error=RejectedError,
        fix="map a shorter text",
        scope="value",
    ),
    # one record
    ErrorRule(
        status=400,
        code="MISSING_CONDITIONAL_REQUIRED_PROPERTY",
        error=RejectedError,
        fix="a rule of the account requires it with the other values of the record: fill it in"
        " HubSpot, map it too, or change the rule; then `retry`",
    ),
    ErrorRule(
        status=400,
        code="MISSING_REQUIRED_PROPERTY",
        error=RejectedError,
        fix="the account requires it: fill it in HubSpot, or map it too; then `retry`",
    ),
    ErrorRule(
        code="OBJECT_NOT_FOUND", error=RejectedError, fix="the record was deleted", scope="deleted"
    ),
    ErrorRule(
        status=409,
        code=ALREADY_EXISTS,
        error=RejectedError,
        fix="there is one of this name already",
    ),
    ErrorRule(
        status=409,
        error=RejectedError,
        fix="another record holds this value: look in HubSpot, merge the two",
    ),
    ErrorRule(
        status=400, error=RejectedError, fix="check the mapping against the property's settings"
    ),
    ErrorRule(
        status=404, error=RejectedError, fix="the record or object is not there; look in HubSpot"
    ),
    # the account
    ErrorRule(
        status=401,
        error=AccessError,
        fix=f"the token is not valid: renew {setting('hubspot', 'access_token')} (a service key or"
        " the token of a private app), or install the OAuth app again",
    ),
    ErrorRule(
        status=403,
        error=AccessError,
        fix="give the token (service key, private app or OAuth app) the scope that it lacks",
    ),
    ErrorRule(
        status=414, error=ConfigError, fix="the mapping names too many fields; take some out"
    ),
    ErrorRule(
        status=429,
        code="DAILY",
        error=QuotaError,
        fix="the daily API calls are used up; the next run continues",
    ),
    # worth another try
    ErrorRule(status=429, error=RetryableError, fix="too many calls at once"),
    ErrorRule(status=408, error=RetryableError, fix="it took too long"),
    ErrorRule(status=423, error=RetryableError, fix="locked by a bulk operation"),
    ErrorRule(status=425, error=RetryableError, fix="too early"),
    ErrorRule(
        status=477, error=RetryableError, fix="HubSpot moves the account to another data centre"
    ),
)
"""Any other 4xx is refused, any other 5xx is worth another try."""

UNSENT_PROPERTY_CODES = frozenset(
    ("MISSING_CONDITIONAL_REQUIRED_PROPERTY", "MISSING_REQUIRED_PROPERTY")
)
"""These name a property that was not sent: nothing is wrong with the property itself."""

FIELD_CODES, VALUE_CODES = (
    codes_in_scope(ERROR_RULES, "field"),
    codes_in_scope(ERROR_RULES, "value"),
)


class TokenRefusedError(AccessError):
    """HubSpot does not accept the token, or does not accept it any more."""


class MissingScopeError(AccessError):
    """The token works, but may not do this."""


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
    address = setting("hubspot", "base_url")
    page = unexpected_page(response, where, crm=LABEL, address=address, is_write=is_write)
    if page is not None:
        return page
    problem = parse_error(response.body)
    row = _rule(response.status, _error_code(problem))
    if row.error is RejectedError:
        return rejection(problem, where, status=response.status)
    text = f"HubSpot answered {response.status} to {where}: {row.fix}"
    if row.error is RetryableError:
        return retryable(text, response)
    if response.status == 401:
        return TokenRefusedError(text)
    if response.status == 403:
        # any one of the scopes is enough
        listed = " or ".join(scopes(problem)) or "a scope it does not name"
        return MissingScopeError(f"{text}: {listed}")
    return row.error(text)


def rejection(error: ApiError, where: str, *, status: int = 400) -> RejectedError:
    """Make the error of one refused record or batch."""
    cause = _main_error(error)
    word = _error_code(error) or str(status)
    field = next((name for name in cause.context.get("propertyName", ()) if is_name(name)), None)
    fix = _rule(status, word).fix
    text = f"HubSpot refused {where} with {word}" + (f" for {field}" if field else "")
    if word in UNSENT_PROPERTY_CODES:
        # the error must not count against the property: it was not even sent
        fix, field = f"{field or 'a property'} has no value: {fix}", None
    return RejectedError(f"{text}: {fix}", code=word, field=field, fix=fix)


def parse_error(body: bytes | Mapping[str, object]) -> ApiError:
    """Read an error; an HTML page, or what else cannot be read, is a problem without words."""
    try:
        if isinstance(body, bytes):
            error = ApiError.model_validate_json(body)
        else:
            error = ApiError.model_validate(body)
    except ValidationError:
        return ApiError()
    return error if error.errors else error.model_copy(update={"errors": _in_message(error)})


def _in_message(error: ApiError) -> list[ApiError]:
    """Read the list of bad properties that some answers hold in their message only."""
    _, found, listed = error.message.partition("not valid: ")
    if not found:
        return []
    try:
        properties, _ = json.JSONDecoder().raw_decode(listed)
        return [
            ApiError(code=one["error"], context={"propertyName": [one["name"]]})
            for one in properties
        ]
    except (ValueError, TypeError, KeyError):
        return []


def scopes(error: ApiError) -> list[str]:
    """Find the missing scopes, which HubSpot names in three ways."""
    named = [
        scope
        for one in (error, *error.errors)
        for scope in one.context.get("requiredGranularScopes", [])
    ]
    if match := _SCOPES.search(error.message):
        named += [scope.strip() for scope in match[1].split(",")]
    shown = (_SCOPE_NAMES.get(scope, scope) for scope in named if is_name(scope))
    return list(dict.fromkeys(shown))


_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_SCOPE_NAMES = {"crm.objects.emails.read": "sales-email-read"}
"""HubSpot asks for a scope that cannot be chosen anywhere: the name of the one it means."""
_SCOPES = re.compile(r"requires one of \[([^\]]*)\]")


def _rule(status: int, word: str) -> ErrorRule:
    if found := match_rule(ERROR_RULES, status, word):
        return found
    if status >= 500:
        return ErrorRule(status=status, error=RetryableError, fix="it has trouble of its own")
    return ErrorRule(
        status=status, error=RejectedError, fix="look the code up in HubSpot's documentation"
    )


def _main_error(problem: ApiError) -> ApiError:
    """Choose the error that says most: that of a property no record can be written with."""
    causes = problem.errors or [problem]
    return next((one for one in causes if one.code in FIELD_CODES), causes[0])


def _error_code(problem: ApiError) -> str:
    if problem.policyName == "DAILY" or "daily limit" in problem.message:
        return "DAILY"
    sub_category = problem.subCategory.rsplit(".", 1)[-1]
    words = (_main_error(problem).code, problem.code, sub_category, problem.category)
    return next((word for word in words if is_name(word)), "")


def is_name(text: str) -> bool:
    """Accept names and codes, which may be shown; refuse text that might contain a value."""
    return _NAME.fullmatch(text) is not None
