"""The events of one person: what, when, and which CRM logs it."""

from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Final, Literal

Crm = Literal["hubspot", "salesforce", "both"]

_WEB_KINDS: Final = frozenset(
    (
        "page_view",
        "newsletter_signup",
        "white_paper",
        "account_created",
        "detailed_form",
        "demo_request",
        "quote_request",
        "email_open",
        "email_click",
        "unsubscribed",
        "email_bounced",
        "meeting_booked",
    )
)
_WRITTEN_KINDS: Final = frozenset(("email_sent", "email_reply"))
_BY_ADDRESS: Final = (_WEB_KINDS | _WRITTEN_KINDS | {"webinar_registered"}) - {"page_view"}


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a person, such as a page view or a call.

    at: UTC, in whole milliseconds.
    message_id: the RFC 5322 Message-ID of an e-mail between two people, equal in both CRMs; None
        for a mailing.
    skew_seconds: how much later the second CRM logs the event, if `crm` is "both".
    """

    kind: str
    at: datetime
    crm: Crm
    message_id: str | None
    skew_seconds: int
    detail: str


class ActivityLog:
    """Collects the events of one person and decides which CRM logs each of them."""

    def __init__(
        self, rng: Random, created_at: datetime, now: datetime, *, crms: Crm, has_email: bool
    ) -> None:
        """Start without events; the person exists in `crms` since `created_at`."""
        self.rng = rng
        self.created_at = created_at
        self.now = now
        self.crms: Crm = crms
        self.has_email = has_email
        self._entries: list[Event] = []

    def add(
        self, kind: str, at: datetime, detail: str, *, crm: Crm | None = None, personal: bool = True
    ) -> None:
        """Add one event, unless it is in the future or no CRM would log it."""
        crm = crm or self._logged_by(kind)
        if not self.has_email and kind in _BY_ADDRESS:
            return
        at = truncate_to_milliseconds(at)
        if crm is None or not self.created_at <= at <= self.now:
            return
        message_id = None
        if personal and kind in _WRITTEN_KINDS:
            message_id = f"<{self.rng.getrandbits(80):020x}@mail.onefunnel.example>"
        self._entries.append(
            Event(kind, at, crm, message_id, self._skew() if crm == "both" else 0, detail)
        )

    def events(self) -> tuple[Event, ...]:
        """Return the events, oldest first."""
        return tuple(sorted(self._entries, key=lambda entry: entry.at))

    def owner_of_deal(self) -> Crm:
        """Choose the CRM that has a deal of this person: mostly Salesforce."""
        if self.crms != "both":
            return self.crms
        return self.rng.choices(("salesforce", "both", "hubspot"), (6, 3, 1))[0]

    def _logged_by(self, kind: str) -> Crm | None:
        if kind in _WEB_KINDS:
            return None if self.crms == "salesforce" else "hubspot"
        if kind == "campaign_response":
            return None if self.crms == "hubspot" else "salesforce"
        if self.crms != "both":
            return self.crms
        draw = self.rng.random()
        if draw < 0.45:
            return "both"
        return "salesforce" if draw < 0.8 else "hubspot"

    def _skew(self) -> int:
        return self.rng.randint(121, 900) if self.rng.random() < 0.04 else self.rng.randint(0, 90)


def truncate_to_milliseconds(at: datetime) -> datetime:
    """Truncate a time to whole milliseconds."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
