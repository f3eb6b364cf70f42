"""The path of every call to HubSpot, in each version of its API.

HubSpot dates its versions: `/{api}/{YYYY-MM}/{resource}`. Not every resource has a dated path yet;
such a resource keeps its older path, whatever version is set.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal, NamedTuple, get_args

from connectors.hubspot import LABEL
from connectors.support_dates import Used, ending_soon, hubspot_support_end
from settings import setting_name

API_VERSION_SETTING: Final = setting_name(("sources", "hubspot"), "api_version", file="config.toml")

Version = Literal["v3", "2026-03", "2026-09"]
"""`v3` stands for the numbered paths: v1 to v4, each resource in its newest."""

VERSIONS: Final[tuple[Version, ...]] = get_args(Version)
NEWEST: Final[Version] = "2026-09"

Resource = Literal[
    "account_details",
    "associations",
    "batch_read",
    "batch_update",
    "email_events",
    "forms",
    "list_members",
    "list_search",
    "owners",
    "page_views",
    "pipelines",
    "properties",
    "property",
    "property_groups",
    "records",
    "search",
    "submissions",
    "token",
]


class Paths(NamedTuple):
    """The numbered path of a resource and its dated one; empty: HubSpot has none."""

    numbered: str
    dated: str = ""


PATHS: Final[Mapping[Resource, Paths]] = {
    "account_details": Paths("/account-info/v3/details", "/account-info/{version}/details"),
    "associations": Paths(
        "/crm/v4/associations/{object}/contacts/batch/read",
        "/crm/associations/{version}/{object}/contacts/batch/read",
    ),
    "batch_read": Paths(
        "/crm/v3/objects/{object}/batch/read", "/crm/objects/{version}/{object}/batch/read"
    ),
    "batch_update": Paths(
        "/crm/v3/objects/{object}/batch/update", "/crm/objects/{version}/{object}/batch/update"
    ),
    "email_events": Paths("/email/public/v1/events"),
    # there is a dated path in beta only: /marketing/forms/2026-09-beta
    "forms": Paths("/marketing/v3/forms/"),
    "list_members": Paths(
        "/crm/v3/lists/{list}/memberships", "/crm/lists/{version}/{list}/memberships"
    ),
    "list_search": Paths("/crm/v3/lists/search", "/crm/lists/{version}/search"),
    "owners": Paths("/crm/v3/owners", "/crm/owners/{version}"),
    "page_views": Paths("/events/v3/events/", "/events/event-occurrences/{version}"),
    "pipelines": Paths("/crm/v3/pipelines/{object}", "/crm/pipelines/{version}/{object}"),
    "properties": Paths("/crm/v3/properties/{object}", "/crm/properties/{version}/{object}"),
    "property": Paths(
        "/crm/v3/properties/{object}/{name}", "/crm/properties/{version}/{object}/{name}"
    ),
    "property_groups": Paths(
        "/crm/v3/properties/{object}/groups", "/crm/properties/{version}/{object}/groups"
    ),
    "records": Paths("/crm/v3/objects/{object}", "/crm/objects/{version}/{object}"),
    "search": Paths("/crm/v3/objects/{object}/search", "/crm/objects/{version}/{object}/search"),
    "submissions": Paths("/form-integrations/v1/submissions/forms/{form}"),
    # not /oauth/v1: HubSpot switches it off on 2027-02-16
    "token": Paths("/oauth/v3/token", "/oauth/{version}/token"),
}


def path(resource: Resource, version: Version, **parts: Any) -> str:
    """Write the path of a resource; `parts` fill its {braces}."""
    return _template(resource, version).format(version=version, **parts)


def support_warnings(version: Version, today: date) -> list[str]:
    """Warn of the paths in use whose support ends soon, those of one version in one line."""
    ending: dict[tuple[date | None, bool], list[str]] = {}
    for resource, paths in PATHS.items():
        template = _template(resource, version).replace("{version}", version)
        key = hubspot_support_end(template), bool(paths.dated)
        ending.setdefault(key, []).append(template.rstrip("/"))
    used = (
        Used(
            ", ".join(templates),
            until,
            f"set {API_VERSION_SETTING} to {NEWEST}"
            if has_newer and version != NEWEST
            else "a newer release of onefunnel is needed",
        )
        for (until, has_newer), templates in ending.items()
    )
    return ending_soon(LABEL, used, today)


def _template(resource: Resource, version: Version) -> str:
    paths = PATHS[resource]
    return paths.dated if version != "v3" and paths.dated else paths.numbered
