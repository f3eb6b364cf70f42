"""Salesforce's errors: codes, messages and statuses."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ApiError(Exception):
    """An error of a request or of a record."""

    code: str
    message: str
    fields: tuple[str, ...] | None = None
    status: int = 400
    more: dict[str, Any] = field(default_factory=dict)

    def as_rest(self) -> dict[str, Any]:
        """Write the error as single-record resources do."""
        body: dict[str, Any] = {"message": self.message, "errorCode": self.code, **self.more}
        return body if self.fields is None else body | {"fields": list(self.fields)}

    def as_record_error(self) -> dict[str, Any]:
        """Write the error as collections do: the key of the code is `statusCode`."""
        return {
            "statusCode": self.code,
            "message": self.message,
            "fields": list(self.fields or ()),
            **self.more,
        }

    def as_bulk_error(self) -> str:
        """Write the error as the column `sf__Error` of a bulk job does."""
        return f"{self.code}:{self.message}:{','.join(self.fields or ())} --".replace(": --", ":--")


def session_expired() -> ApiError:
    """Build the error of an unknown or expired token."""
    return ApiError("INVALID_SESSION_ID", "Session expired or invalid", status=401)


def not_found(what: str = "The requested resource does not exist") -> ApiError:
    """Build the error of an unknown path, object, version or record."""
    return ApiError("NOT_FOUND", what, status=404)


def deleted() -> ApiError:
    """Build the error of a write to a record in the recycle bin."""
    return ApiError("ENTITY_IS_DELETED", "entity is deleted", (), status=404)


def malformed_id(text: str) -> ApiError:
    """Build the error of an id with a wrong length, suffix or object."""
    return ApiError("MALFORMED_ID", f"Record ID: id value of incorrect type: {text}", ("Id",))


def no_such_column(name: str, sobject: str) -> ApiError:
    """Build the error of a write to an unknown or hidden field."""
    return ApiError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}")


def unreadable_json(message: str) -> ApiError:
    """Build the error of a body that is not JSON, or has a value of a wrong type."""
    return ApiError("JSON_PARSER_ERROR", message)


def limit_exceeded() -> ApiError:
    """Build the error of a call over the daily limit."""
    return ApiError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)
