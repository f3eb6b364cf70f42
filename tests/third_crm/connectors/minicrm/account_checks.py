"""What `doctor` asks an account of MiniCRM, besides what it asks every CRM."""

from collections.abc import Iterator

from connectors import Check, ConnectedAccount
from models import Finding

from .client import Client, Settings


def address(settings: Settings) -> str:
    """Return the URL of the API."""
    return settings.base_url


def _has_records(account: ConnectedAccount[Client]) -> Iterator[Finding]:
    total = account.client.get("/contacts")["total"]
    yield Finding("ok" if total else "warning", f"{total:,} contacts")


CHECKS: tuple[Check[ConnectedAccount[Client]], ...] = (
    Check(
        id="records",
        title="sees contacts",
        run=_has_records,
        advice="Share the contacts with the user of the token.",
        needs=("login",),
    ),
)
