"""What `doctor` asks a HubSpot account: may records be written, are mapped properties hidden?"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from connectors import Check, ConnectedAccount
from connectors.hubspot.catalog import FIXED_FIELDS
from connectors.hubspot.client import Client, Settings
from connectors.hubspot.field_setup import explain_missing
from errors import AccessError, RejectedError
from models import Finding


def address(settings: Settings) -> str:
    """Return the URL of the API."""
    return settings.base_url


def require_write_access(client: Client, objects: Iterable[str]) -> None:
    """Make sure that the token may write records of these objects.

    The probe is the call with which records are written, with no record in it, so it can change
    nothing. HubSpot looks at the scopes first: without the scope it answers 403 and names it. Any
    other answer, also that the batch is empty, means that the scope is there.

    Raises: AccessError naming the scopes that the token lacks.
    """
    denied: list[str] = []
    for object in objects:
        path = client.path("batch_update", object=object)
        try:
            with suppress(RejectedError):
                client.post(path, {"inputs": []}, expected_key="")
        except AccessError as error:
            denied.append(str(error))
    if denied:
        raise AccessError("\n".join(dict.fromkeys(denied)))


def _hidden_properties(account: ConnectedAccount[Client]) -> Iterator[Finding]:
    for object, missing in account.missing_fields():
        if object in FIXED_FIELDS or object.endswith("_history"):
            continue  # these have no properties of their own
        reasons = explain_missing(account.client, object, missing)
        archived = [name for name in missing if reasons[name] == "archived"]
        hidden = [name for name in missing if reasons[name] == "hidden"]
        if archived:
            text = f"{object}: archived: {', '.join(archived)}"
            yield Finding("warning", text, "Restore the properties in the settings of HubSpot.")
        if hidden:
            yield Finding("warning", f"{object}: sensitive data: {', '.join(hidden)}")


CHECKS: tuple[Check[ConnectedAccount[Client]], ...] = (
    Check(
        id="hidden",
        title="hidden properties",
        run=_hidden_properties,
        advice="Give the token the scope for sensitive data, or take them out of the mapping.",
        needs=("read",),
    ),
)
