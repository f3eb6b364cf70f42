"""The paths of HubSpot in each version, and the warnings before a CRM ends the support of one."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from connector_helpers import hubspot_client, salesforce_client
from connectors import Client
from connectors.hubspot import paths
from connectors.hubspot.paths import NEWEST, PATHS, VERSIONS, Version, support_warnings
from connectors.support_dates import (
    HUBSPOT_VERSIONS,
    WARNING_PERIOD,
    Used,
    ending_soon,
    hubspot_support_end,
    salesforce_support_end,
)
from sandbox.faults import Fault
from sandbox.server import Sandbox

ROOT = Path(__file__).parents[2]
WITHOUT_DATED_PATH = {"forms", "submissions", "email_events"}
DAY = timedelta(days=1)
PARTS = {"object": "contacts", "list": "1", "form": "1", "name": "phone"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_path_has_a_version_whose_end_is_known(version: Version) -> None:
    """A path that is added without a date in the file of dates fails here."""
    for resource in PATHS:
        written = paths.path(resource, version, **PARTS)
        assert hubspot_support_end(written), written
        assert "{" not in written


def test_only_three_resources_have_no_dated_path() -> None:
    """Their older paths stay; all others leave v3 and v4 with the default setting."""
    assert {name for name, templates in PATHS.items() if not templates.dated} == WITHOUT_DATED_PATH
    for resource in PATHS.keys() - WITHOUT_DATED_PATH:
        written = paths.path(resource, NEWEST, **PARTS)
        assert f"/{NEWEST}" in written
        assert not re.search(r"/v\d", written)


def test_no_other_file_of_the_connector_writes_a_path() -> None:
    """A call that goes past the table would never leave its version."""
    allowed = {"paths.py", "anonymize_rules.py"}  # the rules fit recordings of all versions
    files = [
        path for path in (ROOT / "connectors/hubspot").glob("*.py") if path.name not in allowed
    ]

    assert files
    for path in files:
        assert not re.search(r'"[^"\n]*/(v\d|\d{4}-\d{2})/', path.read_text()), path.name


@pytest.mark.parametrize(("days", "is_warned"), [(181, False), (180, True), (0, True), (-1, True)])
def test_a_warning_comes_180_days_before_the_end(days: int, is_warned: bool) -> None:
    """And stays after it."""
    until = date(2027, 3, 30)
    used = [Used("v4", until, "leave it")]

    warnings = ending_soon("HubSpot", used, until - days * DAY)

    assert bool(warnings) == is_warned
    assert all("v4" in text and "2027-03-30" in text and "leave it" in text for text in warnings)


def test_associations_of_version_4_are_warned_of_first() -> None:
    """Half a year before 2027-03-30; the setting that helps is named."""
    today = HUBSPOT_VERSIONS["v4"] - WARNING_PERIOD

    (warning,) = support_warnings("v3", today)

    assert "/crm/v4/associations/" in warning
    assert "SOURCES__HUBSPOT__API_VERSION" in warning
    assert support_warnings("v3", today - DAY) == []
    assert support_warnings(NEWEST, today) == []


def test_what_has_no_newer_path_needs_a_newer_release() -> None:
    """A setting does not help there."""
    (warning,) = support_warnings(NEWEST, HUBSPOT_VERSIONS["v1"] - DAY)

    assert "/form-integrations/v1/" in warning
    assert "newer release" in warning
    assert "SOURCES__" not in warning


@pytest.mark.parametrize(
    ("connect", "path", "headers"),
    [
        (hubspot_client, "/account-info/", {"X-HubSpot-API-Deprecated": "true"}),
        (salesforce_client, "/limits", {"Warning": '299 - "This API is deprecated"'}),
    ],
)
def test_a_response_that_calls_its_path_deprecated_is_reported_once(
    sandbox: Sandbox, connect: Callable[[Sandbox], Client], path: str, headers: dict[str, str]
) -> None:
    """With the call, and without the words of the header."""
    client = connect(sandbox)
    body = {"portalId": 1, "DailyApiRequests": {"Max": 1, "Remaining": 1}}
    sandbox.faults.plan(Fault(path=path, status=200, body=body, headers=headers, times=None))

    client.check_connection()
    client.check_connection()

    (warning,) = client.warnings
    assert path in warning
    assert "This API" not in warning


@pytest.mark.parametrize(
    ("version", "until"), [("40.0", date(2027, 6, 1)), ("31.0", date(2027, 6, 1)), ("60.0", None)]
)
def test_old_versions_of_salesforce_end(version: str, until: date | None) -> None:
    """Version 41.0 and later have no date."""
    assert salesforce_support_end(version) == until


def test_clients_tell_what_ends(sandbox: Sandbox) -> None:
    """On the day of the question, not of the login."""
    today = date(2026, 12, 1)
    numbered = hubspot_client(sandbox, api_version="v3")

    assert len(numbered.support_warnings(today)) == 1
    assert hubspot_client(sandbox).support_warnings(today) == []
    assert salesforce_client(sandbox).support_warnings(today) == []
