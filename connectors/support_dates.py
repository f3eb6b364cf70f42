"""When the CRMs end the support of what this program uses: the only place that holds such dates.

A version without support still answers for some time, but gets no fixes and may be switched off.
Where a vendor names a month only, its first day is taken.
"""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final, NamedTuple

WARNING_PERIOD: Final = timedelta(days=180)


class Used(NamedTuple):
    """What this program uses of a CRM, such as a path; `fix` is what an admin can do about it."""

    what: str
    until: date | None
    fix: str


HUBSPOT_VERSIONS: Final = {
    # HubSpot, "Legacy APIs and Apps: What's Going Unsupported and When", 2026-09-15
    "v1": date(2027, 9, 1),
    "v2": date(2027, 9, 1),
    "v3": date(2027, 9, 1),
    # HubSpot, "Deprecating support for HubSpot v4 APIs", 2026-05-21
    "v4": date(2027, 3, 30),
    # HubSpot, "API versioning": 18 months after the release
    "2026-03": date(2027, 9, 30),
    "2026-09": date(2028, 3, 8),
}

SALESFORCE_VERSIONS: Final = {
    # Salesforce, "API End-of-Life Policy": the newest version of each group and its end
    40: date(2027, 6, 1)
}
"""The end of this version and of all older ones."""

SALESFORCE_PASSWORD_LOGINS: Final = {
    # Salesforce, help article 005461976
    "OAuth user name and password": date(2027, 2, 20),
    # Salesforce, "API End-of-Life Policy": removed in Summer '27
    "SOAP": date(2027, 6, 1),
}


def hubspot_support_end(path: str) -> date | None:
    """Return when the version in a path loses its support; None: no date is known."""
    version = _VERSION.search(path)
    return HUBSPOT_VERSIONS.get(version[1]) if version else None


def salesforce_support_end(version: str) -> date | None:
    """Return when a version such as `60.0` loses its support; None: no date is known."""
    ends = (until for newest, until in SALESFORCE_VERSIONS.items() if float(version) <= newest)
    return min(ends, default=None)


def ending_soon(crm: str, used: Iterable[Used], today: date) -> list[str]:
    """Warn of everything whose support has ended or ends within `WARNING_PERIOD`, soonest first."""
    ending = sorted(
        (one.until, one)
        for one in used
        if one.until is not None and one.until - today <= WARNING_PERIOD
    )
    return [
        f"{crm} {'ended' if until <= today else 'ends'} the support of {one.what}"
        f" on {until}: {one.fix}"
        for until, one in ending
    ]


_VERSION = re.compile(r"/(v\d|\d{4}-\d{2})(?=/|$)")
