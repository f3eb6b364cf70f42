"""What each of Salesforce's answers means, and what an admin can do about it."""

import re
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError, model_validator

from connectors.error_mapping import (
    ErrorRule,
    codes_in_scope,
    drop_nulls,
    match_rule,
    retryable,
    unexpected_page,
)
from connectors.http import Response, response_lost
from connectors.salesforce import LABEL
from errors import (
    AccessError,
    ConfigError,
    QuotaError,
    RejectedError,
    RetryableError,
    RowLockedError,
    SyncError,
)
from settings import setting

VALIDATION_RULE = "FIELD_CUSTOM_VALIDATION_EXCEPTION"

ERROR_RULES = (
    # one field
    ErrorRule(
        code="INVALID_FIELD",
        error=RejectedError,
        fix="the field is missing or hidden: correct the mapping, or permit the field to our user",
        scope="field",
    ),
    ErrorRule(
        code="INVALID_FIELD_FOR_INSERT_UPDATE",
        error=RejectedError,
        fix="the field cannot be written: permit it to our user, or map another",
        scope="field",
    ),
    # one value in one record: a picklist may differ by record type
    ErrorRule(
        code="INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        error=RejectedError,
        fix="map the value to an active one of the picklist, or activate it",
    ),
    ErrorRule(
        code="JSON_PARSER_ERROR",
        error=RejectedError,
        fix="a value does not fit the type of its field; map another field",
    ),
    ErrorRule(
        code="INVALID_TYPE_ON_FIELD_IN_RECORD",
        error=RejectedError,
        fix="a value does not fit the type of its field; map another field",
    ),
    ErrorRule(
        code="NUMBER_OUTSIDE_VALID_RANGE",
        error=RejectedError,
        fix="the field is too small for the number: widen it, or map another",
    ),
    ErrorRule(
        code="STRING_TOO_LONG", error=RejectedError, fix="map a shorter text, or lengthen the field"
    ),
    ErrorRule(
        code="INVALID_EMAIL_ADDRESS",
        error=RejectedError,
        fix="correct the address of the record by hand",
    ),
    ErrorRule(
        code="REQUIRED_FIELD_MISSING", error=RejectedError, fix="fill in the required field by hand"
    ),
    ErrorRule(
        code="MALFORMED_ID",
        error=RejectedError,
        fix="this is no id of a record; correct the mapping",
    ),
    ErrorRule(
        code="INVALID_CROSS_REFERENCE_KEY",
        error=RejectedError,
        fix="the record, or one it refers to, is not there; look in Salesforce",
    ),
    # what the org's own rules say
    ErrorRule(
        code=VALIDATION_RULE,
        error=RejectedError,
        fix="a validation rule refuses it: correct the record, or exempt our user",
    ),
    ErrorRule(
        code="FIELD_FILTER_VALIDATION_EXCEPTION",
        error=RejectedError,
        fix="a lookup filter refuses it: correct the record, or exempt our user",
    ),
    ErrorRule(
        code="FIELD_INTEGRITY_EXCEPTION",
        error=RejectedError,
        fix="a trigger or flow refuses it: ask who built it",
    ),
    ErrorRule(
        code="CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        error=RejectedError,
        fix="a trigger or flow failed: ask who built it",
    ),
    ErrorRule(
        code="CANNOT_EXECUTE_FLOW_TRIGGER",
        error=RejectedError,
        fix="a flow failed: ask who built it",
    ),
    ErrorRule(
        code="DUPLICATES_DETECTED",
        error=RejectedError,
        fix="a duplicate rule refuses it: merge the records",
    ),
    ErrorRule(
        code="ENTITY_IS_LOCKED",
        error=RejectedError,
        fix="the record is locked, such as by an approval: `retry` once that has ended",
    ),
    ErrorRule(
        code="DUPLICATE_VALUE",
        error=RejectedError,
        fix="another record holds this value: look in Salesforce, merge the two",
    ),
    ErrorRule(
        code="INSUFFICIENT_ACCESS_OR_READONLY",
        error=RejectedError,
        fix="share the record with our user, or give permission to edit it",
    ),
    ErrorRule(
        code="INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        error=RejectedError,
        fix="share the related record with our user",
    ),
    # the record is no more
    ErrorRule(
        code="CANNOT_UPDATE_CONVERTED_LEAD",
        error=RejectedError,
        fix="the lead was converted",
        scope="converted",
    ),
    ErrorRule(
        code="ENTITY_IS_DELETED", error=RejectedError, fix="the record was deleted", scope="deleted"
    ),
    ErrorRule(
        code="NOT_FOUND",
        error=RejectedError,
        fix="the record or object is not there",
        scope="deleted",
    ),
    ErrorRule(
        code="INVALID_TYPE",
        error=RejectedError,
        fix="the object is not there or hidden from our user",
    ),
    # the org
    ErrorRule(
        code="API_DISABLED_FOR_ORG",
        error=AccessError,
        fix="give our user the permission API Enabled",
    ),
    ErrorRule(
        code="INSUFFICIENT_ACCESS",
        error=AccessError,
        fix="give our user permission for this object",
    ),
    ErrorRule(
        code="REQUEST_LIMIT_EXCEEDED",
        error=QuotaError,
        fix="the API calls of the last 24 hours are used up; a later run continues",
    ),
    # worth another try
    ErrorRule(code="CONCURRENT_REQUESTS", error=RetryableError, fix="too many long calls at once"),
    ErrorRule(
        code="UNABLE_TO_LOCK_ROW", error=RowLockedError, fix="another process holds the record"
    ),
    ErrorRule(
        code="APEX_LIMIT",
        error=RetryableError,
        fix="a trigger or flow takes more than the org allows in one transaction",
    ),
    ErrorRule(code="SERVER_UNAVAILABLE", error=RetryableError, fix="the server is busy"),
    ErrorRule(code="SERVICE_UNAVAILABLE", error=RetryableError, fix="the server is busy"),
    ErrorRule(
        code="FUNCTIONALITY_TEMPORARILY_UNAVAILABLE",
        error=RetryableError,
        fix="Salesforce switched this off for a time",
    ),
    ErrorRule(
        code="TOO_MANY_APEX_REQUESTS", error=RetryableError, fix="too many Apex calls at once"
    ),
    ErrorRule(
        code="API_CURRENTLY_DISABLED", error=RetryableError, fix="Salesforce is being maintained"
    ),
    ErrorRule(
        code="UNKNOWN_EXCEPTION", error=RetryableError, fix="Salesforce has trouble of its own"
    ),
    ErrorRule(code="REQUEST_RUNNING_TOO_LONG", error=RetryableError, fix="the call ran too long"),
    ErrorRule(code="QUERY_TIMEOUT", error=RetryableError, fix="the query ran too long"),
    # without a code we know, on the call as a whole
    ErrorRule(
        status=401, code="", error=AccessError, fix=f"renew {setting('salesforce', 'access_token')}"
    ),
    ErrorRule(status=403, code="", error=AccessError, fix="give our user the permission it lacks"),
    ErrorRule(status=408, error=RetryableError, fix="it took too long"),
    ErrorRule(
        status=414, error=ConfigError, fix="the mapping names too many fields; take some out"
    ),
    ErrorRule(status=425, error=RetryableError, fix="too early"),
    ErrorRule(status=429, error=RetryableError, fix="too many calls at once"),
    ErrorRule(
        status=431, error=ConfigError, fix="the mapping names too many fields; take some out"
    ),
)
"""Any other code is refused, unless the status of the call says more."""

FIELD_CODES = codes_in_scope(ERROR_RULES, "field")

_PASSING_CODES = frozenset(
    row.code for row in ERROR_RULES if row.code and issubclass(row.error, RetryableError)
)


class ApiError(BaseModel):
    """One of the errors of an answer; collections and Bulk call the code `statusCode`."""

    _drop_nulls = model_validator(mode="before")(drop_nulls)

    message: str = ""
    errorCode: str = ""
    statusCode: str = ""
    fields: list[str] | None = None

    @property
    def code(self) -> str:
        """Return the code, or one of the message where that says more."""
        code = self.errorCode or self.statusCode
        # ConcurrentRequests, ConcurrentPerOrgLongTxn: they share the code of the daily limit
        if code == "REQUEST_LIMIT_EXCEEDED" and self.message.startswith("Concurrent"):
            return "CONCURRENT_REQUESTS"
        # what passes comes wrapped in the error of a trigger, which does not
        if _APEX_LIMIT.search(self.message):
            return "APEX_LIMIT"
        in_message = _CODE.findall(self.message)
        if passing := [one for one in in_message if one in _PASSING_CODES]:
            return str(passing[0])
        if self.message.startswith("Failed to deserialize field"):
            return "JSON_PARSER_ERROR"  # Bulk's word for a wrong type is that of a missing field
        if not code and (leading := _LEADING_CODE.match(self.message)):
            return leading[1]
        return code if is_name(code) else ""

    @property
    def field_names(self) -> list[str]:
        """Name the refused fields; where the list is missing, the message may name one."""
        match = _COLUMN.search(self.message)
        return self.fields or ([match[1]] if match else [])


class SessionExpiredError(AccessError):
    """The session expired; a client that can log in again may repeat the call once."""


def to_error(response: Response, where: str, *, is_write: bool = False) -> SyncError:
    """Say what a refusal means, without a word of what it held."""
    address = setting("salesforce", "instance_url")
    page = unexpected_page(response, where, crm=LABEL, address=address, is_write=is_write)
    if page is not None:
        return page
    problems = parse_errors(response.body)
    code = problems[0].code
    if code == "INVALID_SESSION_ID":
        return SessionExpiredError(
            f"Salesforce ended the session ({code}): {_rule(401, '').fix}. If it refuses a new one"
            " as well, API access control may block the app (Setup, API Access Control)"
        )
    if is_write and response.status >= 500:
        return response_lost(where, is_write=True)
    row = _rule(response.status, code)
    if row.error is RejectedError:
        return rejection(problems, where)
    text = f"Salesforce answered {response.status} {code} to {where}: {row.fix}"
    if issubclass(row.error, RetryableError):
        return retryable(text, response, error=row.error)
    return row.error(text)


def rejection(errors: list[ApiError], where: str) -> SyncError:
    """Make the error of one refused record or call: RejectedError, or one that passes."""
    first = errors[0]
    code = first.code or "UNKNOWN"
    row = _rule(400, code)
    if issubclass(row.error, (RetryableError, QuotaError)):
        # a limit that a trigger met for one record: the record itself is right
        error = row.error if issubclass(row.error, RetryableError) else RetryableError
        return error(f"Salesforce answered {code} to {where}: {row.fix}")
    field = next((name for name in first.field_names if is_name(name)), None)
    text = f"Salesforce refused {where} with {code}" + (f" for {field}" if field else "")
    message = first.message if code == VALIDATION_RULE else None
    return RejectedError(
        f"{text}: {row.fix}", code=code, field=field, fix=row.fix, crm_message=message
    )


def parse_errors(body: bytes | list[Any]) -> list[ApiError]:
    """Read errors; an HTML page, or what else cannot be read, is one problem without words."""
    try:
        if isinstance(body, bytes):
            return _API_ERRORS.validate_json(body) or [ApiError()]
        return _API_ERRORS.validate_python(body) or [ApiError()]
    except ValidationError:
        return [ApiError()]


def is_name(text: str) -> bool:
    """Accept names and codes, which may be shown; refuse text that might contain a value."""
    return _NAME.fullmatch(text) is not None


_NAME = re.compile(r"\w{1,100}")
_CODE = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")
_LEADING_CODE = re.compile(r"([A-Z]+(?:_[A-Z]+)+)\s*[:,]")
_APEX_LIMIT = re.compile(r"System\.LimitException|Apex CPU time limit exceeded")
_COLUMN = re.compile(r"No such column '(\w+)'")
_API_ERRORS = TypeAdapter(list[ApiError])


def _rule(status: int, code: str) -> ErrorRule:
    if found := match_rule(ERROR_RULES, status, code):
        return found
    if status >= 500:
        return ErrorRule(status=status, error=RetryableError, fix="it has trouble of its own")
    return ErrorRule(
        status=status, error=RejectedError, fix="look the code up in Salesforce's documentation"
    )
