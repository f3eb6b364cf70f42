"""The dated versions of the API: what has a dated path, and the numbered path that serves it.

HubSpot writes `/{api}/{YYYY-MM}/{resource}`. A resource that is not in the table has no dated path.
"""

import re
from typing import Final

DATES: Final = ("2026-03", "2026-09")

_DATED_ROOTS: Final = {
    "/account-info": "/account-info/v3",
    "/crm-object-schemas": "/crm-object-schemas/v3",
    "/crm/associations": "/crm/v4/associations",
    "/crm/exports": "/crm/v3/exports",
    "/crm/lists": "/crm/v3/lists",
    "/crm/objects": "/crm/v3/objects",
    "/crm/owners": "/crm/v3/owners",
    "/crm/pipelines": "/crm/v3/pipelines",
    "/crm/properties": "/crm/v3/properties",
    "/events/event-occurrences": "/events/v3/events",
    "/oauth": "/oauth/v3",
    "/settings/users": "/settings/v3/users",
}
"""What stands before the date -> the numbered path of the same resource."""

_DATED: Final = re.compile(rf"(/[a-z-]+(?:/[a-z-]+)?)/({'|'.join(DATES)})(?=/|$)")
_NUMBERED: Final = re.compile(r"/(v\d)(?=/|$)")
_LINKS_OF_RECORD: Final = re.compile(r"/crm/v3/(objects/[^/]+/[^/]+/associations/.+)")


def numbered_path(path: str) -> str:
    """Return the numbered path that serves a dated one; any other path as it is."""
    dated = _DATED.match(path)
    if dated is None or dated[1] not in _DATED_ROOTS:
        return path
    numbered = _DATED_ROOTS[dated[1]] + path[dated.end() :]
    # the links of one record are answered as by v4
    return _LINKS_OF_RECORD.sub(r"/crm/v4/\1", numbered)


def version_of(path: str) -> str:
    """Return the version in a path as the client wrote it, such as `v3` or `2026-09`."""
    if dated := _DATED.match(path):
        return dated[2]
    numbered = _NUMBERED.search(path)
    return numbered[1] if numbered else ""


def has_dated_path(path: str) -> bool:
    """Return whether the resource of a numbered path has a dated one too."""
    return any(path == root or path.startswith(f"{root}/") for root in _DATED_ROOTS.values())
