"""The error responses of MiniCRM: the class of each, and what an admin can do."""

from connectors.error_mapping import ErrorRule, codes_in_scope, match_rule
from connectors.http import Response
from errors import AccessError, RejectedError, RetryableError, SyncError

ERROR_RULES = (
    ErrorRule(
        code="invalid_option", error=RejectedError, fix="map the value to an option", scope="value"
    ),
    ErrorRule(code="not_found", error=RejectedError, fix="the record was deleted", scope="deleted"),
    ErrorRule(status=401, error=AccessError, fix="renew SOURCES__MINICRM__TOKEN"),
    ErrorRule(status=429, error=RetryableError, fix="too many calls at once"),
)

VALUE_CODES = codes_in_scope(ERROR_RULES, "value")
EXCLUDED = dict.fromkeys(codes_in_scope(ERROR_RULES, "deleted"), "deleted")


def to_error(response: Response, where: str) -> SyncError:
    """Return the error for a response with an error status."""
    rule = match_rule(ERROR_RULES, response.status, "")
    if rule is None:
        error = RetryableError if response.status >= 500 else RejectedError
        return error(f"MiniCRM answered {response.status} to {where}")
    return rule.error(f"MiniCRM answered {response.status} to {where}: {rule.fix}")


def rejection(code: str, field: str | None) -> RejectedError:
    """Return the error for one refused record of a batch."""
    rule = match_rule(ERROR_RULES, 400, code)
    fix = rule.fix if rule else "see the API documentation of MiniCRM"
    return RejectedError(
        f"MiniCRM refused a record with {code}: {fix}", code=code, field=field, fix=fix
    )
