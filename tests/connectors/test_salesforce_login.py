"""Logging in to Salesforce by a refresh token, and what every call says of us."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from connector_helpers import ExtractHarness, live_lead, salesforce_client, write_outcomes
from connectors import Client, connector
from connectors.retry import no_sleep
from connectors.salesforce.auth import Settings
from errors import AccessError, ConfigError
from models import FieldChange, FieldSelection, RecordChange
from sandbox.faults import Fault
from sandbox.server import Sandbox, running

LEADS: FieldSelection = {"Lead": ("Email",)}


def refreshing_client(sandbox: Sandbox, **more: Any) -> Client:
    """Log in by the refresh token of a world."""
    token = sandbox.salesforce.credentials.refresh_token
    return salesforce_client(sandbox, refresh_token=token, **more)


def score(sandbox: Sandbox) -> RecordChange:
    lead = live_lead(sandbox.salesforce)
    before = lead.get("onefunnel_score__c")
    field = FieldChange("onefunnel_score__c", None if before is None else str(before), "7")
    return RecordChange("Lead", str(lead["Id"]), (field,))


def test_a_refresh_token_opens_the_org(sandbox: Sandbox, tmp_path: Path) -> None:
    """One login, whatever is read and written."""
    client = refreshing_client(sandbox)
    ExtractHarness("salesforce", tmp_path).extract(client, LEADS)

    (outcome,) = write_outcomes("salesforce", client, [score(sandbox)])

    assert outcome.status == "written"
    assert client.api_calls["login"] == 1
    assert client.warnings == []


def test_a_session_that_ends_is_renewed_by_the_refresh_token(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """In the middle of a pull; the pull ends."""
    client, warehouse = refreshing_client(sandbox), ExtractHarness("salesforce", tmp_path)
    sandbox.salesforce.credentials.tokens.clear()

    warehouse.extract(client, LEADS)

    assert warehouse.count("Lead") > 0
    assert client.api_calls["login"] == 2


def test_a_token_with_an_end_is_renewed_before_it(sandbox: Sandbox) -> None:
    """Where an answer names a time; no call is refused on the way."""
    token = sandbox.salesforce.credentials.new_token()
    body = {"access_token": token, "token_type": "Bearer", "expires_in": 0}
    sandbox.faults.plan(Fault(path="/oauth2/token", status=200, body=body))
    client = refreshing_client(sandbox)

    client.check_connection()

    assert client.api_calls["login"] == 2


def test_a_refresh_token_that_rotates_serves_the_run_and_is_reported(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The next run would be refused: nothing here can store the new one."""
    credentials = sandbox.salesforce.credentials
    credentials.rotates = True
    used_up = credentials.refresh_token
    client = refreshing_client(sandbox)
    credentials.tokens.clear()

    ExtractHarness("salesforce", tmp_path).extract(client, LEADS)

    assert client.api_calls["login"] == 2
    (warning,) = client.warnings
    assert "SOURCES__SALESFORCE__REFRESH_TOKEN" in warning
    with pytest.raises(AccessError, match="switch rotation off"):
        salesforce_client(sandbox, refresh_token=used_up)


def test_a_revoked_refresh_token_names_what_to_do(sandbox: Sandbox) -> None:
    """It is no wrong secret."""
    with pytest.raises(AccessError, match="authorize the app again") as refused:
        salesforce_client(sandbox, refresh_token="planted-revoked")

    assert "planted" not in str(refused.value)
    assert "SOURCES__SALESFORCE__REFRESH_TOKEN" in str(refused.value)


def test_a_refresh_token_needs_the_client_it_belongs_to(sandbox: Sandbox) -> None:
    """The message comes before the first call."""
    settings = Settings(instance_url=sandbox.url, refresh_token="planted")

    with pytest.raises(ConfigError, match="SOURCES__SALESFORCE__CLIENT_ID") as refused:
        connector("salesforce").connect(settings)

    assert "planted" not in str(refused.value)


def test_a_login_by_password_warns_of_its_end(sandbox: Sandbox) -> None:
    """Of both flows: a change from one to the other would last for months only."""
    known = sandbox.salesforce.credentials
    client = connector("salesforce").connect(
        Settings(
            instance_url=sandbox.url,
            username=known.username,
            password=known.password,
            security_token=known.security_token,
        )
    )

    (warning,) = client.warnings
    assert "2027-06-01" in warning
    assert "2027-02-20" in warning
    assert "External Client App" in warning
    assert client.support_warnings(date(2026, 12, 1)) == []


def test_every_call_names_us(tmp_path: Path) -> None:
    """Reading and writing, by REST and by bulk jobs: the org's logs show who changed what."""
    seen: list[tuple[str, bytes | None]] = []

    def watched(app: ASGIApp) -> ASGIApp:
        async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
            headers = {name.lower(): value for name, value in scope.get("headers", ())}
            seen.append((scope["path"], headers.get(b"sforce-call-options")))
            await app(scope, receive, send)

        return asgi

    now = datetime(2026, 3, 1, tzinfo=UTC)
    with (
        running(people=40, seed=11, now=now, rate_limits=False, around=watched) as sandbox,
        no_sleep(),
    ):
        ExtractHarness("salesforce", tmp_path).extract(salesforce_client(sandbox), LEADS)
        for bulk_min_records in (5_000, 1):
            client = salesforce_client(sandbox, bulk_min_records=bulk_min_records)
            (outcome,) = write_outcomes("salesforce", client, [score(sandbox)])
            assert outcome.status in ("written", "unchanged")
            row = live_lead(sandbox.salesforce)
            sandbox.salesforce.put("Lead", row | {"onefunnel_score__c": None})

    calls = [(path, header) for path, header in seen if path.startswith("/services/data/")]
    assert {header for _, header in calls} == {b"client=onefunnel"}
    for part in ("/query", "/composite/sobjects", "/jobs/ingest"):
        assert any(part in path for path, _ in calls)
