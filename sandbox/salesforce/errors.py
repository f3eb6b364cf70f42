"""What Salesforce says when it refuses, with the status and the words it uses."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ApiError(Exception):
    """A request or a record that Salesforce turns down."""

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
        """Write the error as collections do, where the code has another name."""
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
    """Refuse a request whose token is unknown or no longer good."""
    return ApiError("INVALID_SESSION_ID", "Session expired or invalid", status=401)


def not_found(what: str = "The requested resource does not exist") -> ApiError:
    """Refuse a path, an object, a version or a record that is not there."""
    return ApiError("NOT_FOUND", what, status=404)


def deleted() -> ApiError:
    """Refuse a write to a record in the recycle bin."""
    return ApiError("ENTITY_IS_DELETED", "entity is deleted", (), status=404)


def malformed_id(text: str) -> ApiError:
    """Refuse an id of the wrong length, suffix or object."""
    return ApiError("MALFORMED_ID", f"Record ID: id value of incorrect type: {text}", ("Id",))


def no_such_column(name: str, sobject: str) -> ApiError:
    """Refuse to write a field that is not there or that this user may not see."""
    return ApiError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}")


def unreadable_json(message: str) -> ApiError:
    """Refuse a body that is no JSON, or holds a value of another type than its field."""
    return ApiError("JSON_PARSER_ERROR", message)


def limit_exceeded() -> ApiError:
    """Refuse a call after the last one of the day."""
    return ApiError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)
