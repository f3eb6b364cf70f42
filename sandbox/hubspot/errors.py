"""HubSpot's error responses: status codes and bodies."""

from typing import Any, Final
from uuid import uuid4

import orjson

NOT_FOUND_PAGE: Final = (
    "<html><head><meta http-equiv='Content-Type' content='text/html;charset=ISO-8859-1'/>"
    "<title>Error 404 </title></head>"
    "<body><h2>HTTP ERROR 404</h2><p>Resource not found</p></body></html>"
)


class ApiError(Exception):
    """An error response; `body` is JSON, or an HTML page if it is a string."""

    def __init__(self, status: int, body: dict[str, Any] | str) -> None:
        """Store the status and the body of the response."""
        super().__init__(status, body)
        self.status = status
        self.body = body


def api_error(status: int, message: str, category: str | None = None, **more: Any) -> ApiError:
    """Build an error in HubSpot's usual envelope."""
    body: dict[str, Any] = {"status": "error", "message": message, "correlationId": str(uuid4())}
    if category:
        body["category"] = category
    return ApiError(status, body | more)


def invalid(message: str, **more: Any) -> ApiError:
    """Build the error of an invalid request."""
    return api_error(400, message, "VALIDATION_ERROR", **more)


def invalid_json(message: str, *, line: int = 1, column: int = 2) -> ApiError:
    """Build the error of a body that is not JSON or does not match; it has no category."""
    return api_error(400, f"Invalid input JSON on line {line}, column {column}: {message}")


def record_not_found() -> ApiError:
    """Build the error of a single unknown record: an HTML page, not JSON."""
    return ApiError(404, NOT_FOUND_PAGE)


def invalid_properties(problems: list[tuple[str, str, str]]) -> ApiError:
    """Build the error of invalid properties (name, code, message); it names no record."""
    listed = [
        {"isValid": False, "message": message, "error": code, "name": name}
        for name, code, message in problems
    ]
    return invalid(
        f"Property values were not valid: {orjson.dumps(listed).decode()}",
        errors=[
            {"message": message, "code": code, "context": {"propertyName": [name]}}
            for name, code, message in problems
        ],
    )


def missing_conditional(missing: list[tuple[str, str]]) -> ApiError:
    """Build the error of a rule of the account; it names the property that was not sent."""
    return invalid(
        "The property values provided are invalid",
        errors=[
            {
                "message": f"{name} is required because of a conditional property rule based on "
                f"[{cause}]",
                "code": "MISSING_CONDITIONAL_REQUIRED_PROPERTY",
                "context": {"propertyName": [name]},
            }
            for name, cause in missing
        ],
    )


def missing_scope(scope: str) -> ApiError:
    """Build the error of a token without a scope."""
    return api_error(
        403,
        "This app hasn't been granted all required scopes to make this call.",
        "MISSING_SCOPES",
        links={"scopes": "https://developers.hubspot.com/scopes"},
        errors=[
            {
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": [scope]},
            }
        ],
    )


def not_found_entry(singular: str, ids: list[str]) -> dict[str, Any]:
    """Build the error entry (207) of unknown ids."""
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": f"Could not get some {singular.upper()} objects, they may be deleted or "
        "not exist. Check that ids are valid.",
        "context": {"ids": ids},
    }
