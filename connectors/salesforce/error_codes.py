"""What each of Salesforce's answers means, and what an admin can do about it."""

import re
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError, model_validator

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
    # one field
    Meaning(
        None,
        "INVALID_FIELD",
        RefusedError,
        "the field is not there or hidden: correct the mapping, or permit the field to our user",
        "field",
    ),
    Meaning(
        None,
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        RefusedError,
        "the field cannot be written: permit it to our user, or map another",
        "field",
    ),
    # one value in one record: a picklist may differ by record type
    Meaning(
        None,
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        RefusedError,
        "map the value to an active one of the picklist, or activate it",
    ),
    Meaning(
        None,
        "JSON_PARSER_ERROR",
        RefusedError,
        "a value does not fit the type of its field; map another field",
    ),
    Meaning(
        None,
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        RefusedError,
        "a value does not fit the type of its field; map another field",
    ),
    Meaning(
        None,
        "NUMBER_OUTSIDE_VALID_RANGE",
        RefusedError,
        "the field is too small for the number: widen it, or map another",
    ),
    Meaning(None, "STRING_TOO_LONG", RefusedError, "map a shorter text, or lengthen the field"),
    Meaning(
        None, "INVALID_EMAIL_ADDRESS", RefusedError, "correct the address of the record by hand"
    ),
    Meaning(None, "REQUIRED_FIELD_MISSING", RefusedError, "fill in the required field by hand"),
    Meaning(None, "MALFORMED_ID", RefusedError, "this is no id of a record; correct the mapping"),
    Meaning(
        None,
        "INVALID_CROSS_REFERENCE_KEY",
        RefusedError,
        "the record, or one it refers to, is not there; look in Salesforce",
    ),
    # what the org's own rules say
    Meaning(
        None,
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        RefusedError,
        "a validation rule refuses it: correct the record, or exempt our user",
    ),
    Meaning(
        None,
        "FIELD_FILTER_VALIDATION_EXCEPTION",
        RefusedError,
        "a lookup filter refuses it: correct the record, or exempt our user",
    ),
    Meaning(
        None,
        "FIELD_INTEGRITY_EXCEPTION",
        RefusedError,
        "a trigger or flow refuses it: ask who built it",
    ),
    Meaning(
        None,
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        RefusedError,
        "a trigger or flow failed: ask who built it",
    ),
    Meaning(None, "CANNOT_EXECUTE_FLOW_TRIGGER", RefusedError, "a flow failed: ask who built it"),
    Meaning(
        None, "DUPLICATES_DETECTED", RefusedError, "a duplicate rule refuses it: merge the records"
    ),
    Meaning(
        None,
        "ENTITY_IS_LOCKED",
        RefusedError,
        "the record is locked, such as by an approval: `retry` once that has ended",
    ),
    Meaning(
        None,
        "DUPLICATE_VALUE",
        RefusedError,
        "another record holds this value: look in Salesforce, merge the two",
    ),
    Meaning(
        None,
        "INSUFFICIENT_ACCESS_OR_READONLY",
        RefusedError,
        "share the record with our user, or give permission to edit it",
    ),
    Meaning(
        None,
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        RefusedError,
        "share the related record with our user",
    ),
    # the record is no more
    Meaning(
        None, "CANNOT_UPDATE_CONVERTED_LEAD", RefusedError, "the lead was converted", "converted"
    ),
    Meaning(None, "ENTITY_IS_DELETED", RefusedError, "the record was deleted", "deleted"),
    Meaning(None, "NOT_FOUND", RefusedError, "the record or object is not there", "deleted"),
    Meaning(None, "INVALID_TYPE", RefusedError, "the object is not there or hidden from our user"),
    # the org
    Meaning(None, "API_DISABLED_FOR_ORG", AccessError, "give our user the permission API Enabled"),
    Meaning(None, "INSUFFICIENT_ACCESS", AccessError, "give our user permission for this object"),
    Meaning(
        None,
        "REQUEST_LIMIT_EXCEEDED",
        QuotaError,
        "the calls of the last 24 hours are spent; a later run goes on",
    ),
    # worth another try
    Meaning(None, "CONCURRENT_REQUESTS", RetryableError, "too many long calls at once"),
    Meaning(None, "UNABLE_TO_LOCK_ROW", RetryableError, "another process holds the record"),
    Meaning(None, "SERVER_UNAVAILABLE", RetryableError, "the server is busy"),
    Meaning(None, "QUERY_TIMEOUT", RetryableError, "the query ran too long"),
    # without a code we know, on the call as a whole
    Meaning(401, "", AccessError, f"renew {setting('salesforce', 'access_token')}"),
    Meaning(403, "", AccessError, "give our user the permission it lacks"),
    Meaning(408, None, RetryableError, "it took too long"),
    Meaning(414, None, ConfigError, "the mapping names too many fields; take some out"),
    Meaning(425, None, RetryableError, "too early"),
    Meaning(429, None, RetryableError, "too many calls at once"),
    Meaning(431, None, ConfigError, "the mapping names too many fields; take some out"),
)
"""Any other code is refused, unless the status of the call says more."""

FIELD_CODES = codes(MEANINGS, "field")


class Problem(BaseModel):
    """One of the errors of an answer; collections and Bulk call the code `statusCode`."""

    _without_nulls = model_validator(mode="before")(without_nulls)

    message: str = ""
    errorCode: str = ""
    statusCode: str = ""
    fields: list[str] | None = None

    @property
    def code(self) -> str:
        """Give the code, and tell the two limits apart that share one."""
        code = self.errorCode or self.statusCode
        if code == "REQUEST_LIMIT_EXCEEDED" and self.message.startswith("ConcurrentRequests"):
            return "CONCURRENT_REQUESTS"
        if "UNABLE_TO_LOCK_ROW" in self.message:
            return "UNABLE_TO_LOCK_ROW"  # it comes wrapped in a trigger's own error
        if self.message.startswith("Failed to deserialize field"):
            return "JSON_PARSER_ERROR"  # Bulk's word for a wrong type is that of a missing field
        return code if is_name(code) else ""

    @property
    def named(self) -> list[str]:
        """Name the refused fields; where the list is missing, the message may name one."""
        told = _COLUMN.search(self.message)
        return self.fields or ([told[1]] if told else [])


class ExpiredSession(AccessError):
    """The session ended; whoever can log in anew may repeat the call once."""


def error_of(answer: Answer, where: str, *, is_write: bool = False) -> SyncError:
    """Say what a refusal means, without a word of what it held."""
    problems = problems_of(answer.body)
    code = problems[0].code
    if code == "INVALID_SESSION_ID":
        return ExpiredSession(f"Salesforce ended the session: {_meaning(401, '').fix}")
    if is_write and answer.status >= 500:
        return lost(where, is_write=True)
    row = _meaning(answer.status, code)
    if row.error is RefusedError:
        return refusal(problems, where)
    text = f"Salesforce answered {answer.status} {code} to {where}: {row.fix}"
    if row.error is RetryableError:
        return RetryableError(text, retry_after=answer.retry_after)
    return row.error(text)


def refusal(problems: list[Problem], where: str) -> SyncError:
    """Make the error of one refused record or call: RefusedError, or RetryableError for a lock."""
    first = problems[0]
    code = first.code or "UNKNOWN"
    row = _meaning(400, code)
    if row.error is RetryableError:
        return RetryableError(f"Salesforce answered {code} to {where}: {row.fix}")
    field = next((name for name in first.named if is_name(name)), None)
    text = f"Salesforce refused {where} with {code}" + (f" for {field}" if field else "")
    return RefusedError(f"{text}: {row.fix}", code=code, field=field, fix=row.fix)


def problems_of(body: bytes | list[Any]) -> list[Problem]:
    """Read errors; an HTML page, or what else cannot be read, is one problem without words."""
    try:
        if isinstance(body, bytes):
            return _PROBLEMS.validate_json(body) or [Problem()]
        return _PROBLEMS.validate_python(body) or [Problem()]
    except ValidationError:
        return [Problem()]


def is_name(text: str) -> bool:
    """Tell names and codes, which may be shown, from anything that might hold a value."""
    return _NAME.fullmatch(text) is not None


_NAME = re.compile(r"\w{1,100}")
_COLUMN = re.compile(r"No such column '(\w+)'")
_PROBLEMS = TypeAdapter(list[Problem])


def _meaning(status: int, code: str) -> Meaning:
    if found := meaning(MEANINGS, status, code):
        return found
    if status >= 500:
        return Meaning(status, None, RetryableError, "it has trouble of its own")
    if status < 400:
        fix = f"check {setting('salesforce', 'instance_url')}, it leads elsewhere"
        return Meaning(status, None, ConfigError, fix)
    return Meaning(status, None, RefusedError, "look the code up in Salesforce's documentation")
