"""What `doctor` asks a Salesforce org: may records be written, what is hidden, which limits?"""

from collections.abc import Iterable, Iterator
from typing import Any

from connectors import Check, ConnectedAccount
from connectors.salesforce.auth import Settings
from connectors.salesforce.client import DATA_PATH, Client
from connectors.salesforce.field_setup import explain_missing
from errors import AccessError, RejectedError
from models import Finding


def address(settings: Settings) -> str:
    """Return the URL of the org."""
    return settings.instance_url


def require_write_access(client: Client, objects: Iterable[str]) -> None:
    """Make sure that the user may edit records of these objects; reads their description only.

    Raises: AccessError naming the objects that the user may not edit.
    """
    denied = [object for object in objects if not _is_editable(client, object)]
    if denied:
        raise AccessError(
            f"the user of Salesforce may not edit {', '.join(denied)}: give the user the object"
            " permission Edit on each of them, such as with a permission set"
        )


def _is_editable(client: Client, object: str) -> bool:
    try:
        answer = client.get(f"{DATA_PATH}/sobjects/{object}", expected_key="objectDescribe")
    except RejectedError:
        return False
    return bool(answer["objectDescribe"].get("updateable"))


def _hidden_fields(account: ConnectedAccount[Client]) -> Iterator[Finding]:
    for object, missing in account.missing_fields():
        reasons = explain_missing(account.client, object, missing)
        hidden = [name for name in missing if reasons[name] == "hidden"]
        unknown = [name for name in missing if reasons[name] == "unknown"]
        if hidden:
            yield Finding("warning", f"{object}: the user does not see {', '.join(hidden)}")
        if unknown:
            yield Finding(
                "warning",
                f"{object}: missing or hidden: {', '.join(unknown)}",
                "Give the user View Setup and Configuration, so that `doctor` can see which.",
            )


def _user_permissions(account: ConnectedAccount[Client]) -> Iterator[Finding]:
    """Sharing rules hide records without a sign: only this permission excludes it."""
    try:
        soql = "SELECT PermissionsViewAllData FROM UserPermissionAccess"
        rows = account.client.read_page(f"{DATA_PATH}/query", q=soql)["records"]
    except (AccessError, RejectedError):
        rows = []
    if not rows:
        yield Finding("warning", "the permissions of the user cannot be read")
    elif not rows[0].get("PermissionsViewAllData"):
        yield Finding("warning", "sharing rules may hide records from the user")


def _job_limits(account: ConnectedAccount[Client]) -> Iterator[Finding]:
    limits = account.client.get(f"{DATA_PATH}/limits", expected_key="DailyApiRequests")
    for name in ("DailyBulkApiBatches", "DailyBulkV2QueryJobs"):
        limit: dict[str, Any] = limits.get(name) or {}
        if limit.get("Remaining") == 0:
            yield Finding("fault", f"the limit {name} of the day is used up")


CHECKS: tuple[Check[ConnectedAccount[Client]], ...] = (
    Check(
        id="hidden",
        title="hidden fields",
        run=_hidden_fields,
        advice="Give the user the field permission Read, and Edit where the field is written.",
        needs=("read",),
    ),
    Check(
        id="sharing",
        title="sees all records",
        run=_user_permissions,
        advice="Give the user View All on the objects that are read, or View All Data.",
        needs=("login",),
    ),
    Check(
        id="jobs",
        title="job limits",
        run=_job_limits,
        advice="Wait until tomorrow, or find the program that uses the jobs.",
        needs=("login",),
    ),
)
