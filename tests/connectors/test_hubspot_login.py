"""Logging in to HubSpot by a refresh token, and how the token lasts longer than it is valid."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cassettes.leak_check import check_cassette
from cassettes.recorder import recording
from connector_helpers import (
    ExtractHarness,
    add_blank_records,
    hubspot_client,
    hubspot_oauth_client,
    write_outcomes,
)
from connectors import Client, connector
from connectors.hubspot.client import Settings
from connectors.retry import POLICY
from errors import AccessError, ConfigError, RetryableError
from models import Account, FieldChange, FieldSelection, RecordChange
from sandbox.faults import Fault
from sandbox.server import Sandbox

TOKEN_PATH = "/oauth/v3/token"
"""How the sandbox spells the path of every version."""

CONTACTS: FieldSelection = {"contacts": ("email",)}


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return hubspot_oauth_client(sandbox)


def score(sandbox: Sandbox) -> RecordChange:
    record = next(sandbox.hubspot.tables["contacts"].live())
    before = record.properties.get("onefunnel_score")
    return RecordChange("contacts", str(record.id), (FieldChange("onefunnel_score", before, "7"),))


def refuse_token(times: int | None, path: str = "/crm/") -> Fault:
    body = {"status": "error", "message": "", "category": "EXPIRED_AUTHENTICATION"}
    return Fault(path=path, status=401, body=body, times=times)


@pytest.mark.parametrize("version", ["v3", "2026-03", "2026-09"])
def test_a_refresh_token_opens_the_account(sandbox: Sandbox, tmp_path: Path, version: str) -> None:
    """One login, whatever is read and written."""
    client = hubspot_oauth_client(sandbox, api_version=version)
    ExtractHarness("hubspot", tmp_path).extract(client, CONTACTS)

    (outcome,) = write_outcomes("hubspot", client, [score(sandbox)])

    assert outcome.status == "written"
    assert client.api_calls["login"] == 1
    assert client.check_connection() == Account("44237313", "HubSpot account 44237313")


def test_a_token_is_renewed_before_its_time_is_over(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """A pull that takes longer than the token is valid ends, and no call is refused on the way."""
    sandbox.hubspot.token_seconds = 1
    add_blank_records(sandbox, "contacts", 700)
    sandbox.faults.plan(Fault(path="/objects/contacts", effect="delay", seconds=0.3, times=None))
    begun_at = time.monotonic()

    rows = ExtractHarness("hubspot", tmp_path).extract(client, CONTACTS)

    assert time.monotonic() - begun_at > sandbox.hubspot.token_seconds
    assert rows == len(sandbox.hubspot.tables["contacts"].records)
    assert client.api_calls["login"] > 1


@pytest.mark.parametrize("kind", ["read", "write"])
def test_a_refused_token_is_renewed_once(sandbox: Sandbox, client: Client, kind: str) -> None:
    """And the same call is made again: HubSpot did nothing with the first one."""
    catalog = connector("hubspot").catalog(client, ["contacts"])
    sandbox.faults.plan(refuse_token(1, "/batch/read" if kind == "read" else "/batch/update"))

    outcomes = connector("hubspot").write(client, [score(sandbox)], catalog)

    assert [one.status for batch in outcomes for one in batch] == ["written"]
    assert client.api_calls["login"] == 2


def test_many_calls_renew_a_token_once(sandbox: Sandbox, client: Client) -> None:
    """Sixteen are refused at a time."""
    client.check_connection()
    sandbox.hubspot.expire_tokens()
    logins = client.api_calls["login"]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: client.check_connection(), range(16)))

    assert client.api_calls["login"] == logins + 1


def test_a_token_that_is_refused_again_stops(sandbox: Sandbox, client: Client) -> None:
    """A 401 after a new login does not pass: it is not asked for a third token."""
    sandbox.faults.plan(refuse_token(None))

    with pytest.raises(AccessError, match="install the OAuth app again"):
        connector("hubspot").catalog(client, ["contacts"])

    assert client.api_calls["login"] == 2


def test_a_refresh_token_that_changes_serves_the_run_and_is_reported(sandbox: Sandbox) -> None:
    """HubSpot gives the same one today; nothing here can store another one for the next run."""
    client = hubspot_oauth_client(sandbox)
    body = {
        "access_token": sandbox.hubspot_token,
        "refresh_token": "planted-newer",
        "expires_in": 0,
    }
    sandbox.faults.plan(Fault(path=TOKEN_PATH, status=200, body=body))
    sent: list[bytes] = []

    def note(moment: str, _: str, path: str, form: bytes) -> None:
        if moment == "asked" and path.endswith("/token"):
            sent.append(form)

    sandbox.faults.watch(note)
    client.check_connection()

    with pytest.raises(AccessError, match="install the app in the account again"):
        client.check_connection()

    (warning,) = client.warnings
    assert "SOURCES__HUBSPOT__REFRESH_TOKEN" in warning
    assert "planted" not in warning
    assert b"planted-newer" in sent[-1]


def test_a_service_key_is_not_renewed(sandbox: Sandbox) -> None:
    """There is nothing to renew it with."""
    client = hubspot_client(sandbox)
    sandbox.faults.plan(refuse_token(None))

    with pytest.raises(AccessError, match="SOURCES__HUBSPOT__ACCESS_TOKEN"):
        connector("hubspot").catalog(client, ["contacts"])

    assert client.api_calls["login"] == 0


@pytest.mark.parametrize(
    ("error", "status", "advice"),
    [
        ("invalid_grant", "BAD_REFRESH_TOKEN", "install the app in the account again"),
        ("access_denied", "BAD_HUB", "not installed in the account any more"),
        ("invalid_client", "BAD_CLIENT_ID", "SOURCES__HUBSPOT__CLIENT_ID"),
        ("invalid_client", "BAD_CLIENT_SECRET", "SOURCES__HUBSPOT__CLIENT_SECRET"),
        ("invalid_grant", "", "install the app in the account again"),
        ("invalid_scope", "BAD_SCOPES", "BAD_SCOPES"),
    ],
)
def test_a_refused_login_names_its_cause(
    sandbox: Sandbox, client: Client, error: str, status: str, advice: str
) -> None:
    """Its errors have another form than those of the CRM. None is worth a retry."""
    body = {"error": error, "error_description": "planted", "status": status, "message": "planted"}
    sandbox.faults.plan(Fault(path=TOKEN_PATH, status=400, body=body))

    with pytest.raises(AccessError) as refused:
        client.check_connection()

    assert advice in str(refused.value)
    assert "planted" not in str(refused.value)
    assert client.api_calls["login"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 503}, id="trouble"),
        pytest.param({"status": 429, "body": {"message": "no"}}, id="too many logins"),
        pytest.param({"status": 400, "body": "<html>"}, id="the page of a proxy"),
        pytest.param({"status": 200, "body": {}}, id="no token"),
        pytest.param({"status": 302, "headers": {"Location": "/login"}}, id="a redirect"),
        pytest.param({"effect": "reset"}, id="a broken connection"),
    ],
)
def test_a_login_that_fails_for_now_is_tried_again(
    sandbox: Sandbox, client: Client, fault: dict[str, Any]
) -> None:
    """As every other call; it is given up as they are."""
    sandbox.faults.plan(Fault(path=TOKEN_PATH, **fault))
    assert client.check_connection().id
    assert client.api_calls["login"] == 2

    sandbox.hubspot.expire_tokens()
    sandbox.faults.plan(Fault(path=TOKEN_PATH, times=None, **fault))
    with pytest.raises(RetryableError):
        client.check_connection()
    assert client.api_calls["login"] == 2 + POLICY.max_attempts


def test_the_account_is_known_from_the_login(sandbox: Sandbox, client: Client) -> None:
    """Also where its details are not granted."""
    sandbox.hubspot.denied_scopes = {"oauth"}

    assert client.check_connection() == Account("44237313", "HubSpot account 44237313")
    assert client.warnings == []


def test_a_recording_holds_nothing_of_the_login(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """Neither the secrets that were sent nor the token that came."""
    with recording() as taken:
        client.check_connection()
    cassette = tmp_path / "login.json"
    taken.save(cassette, allowed_words=frozenset(), at=datetime.now(UTC))

    text = cassette.read_text()
    secrets = {sandbox.client_secret, sandbox.hubspot_refresh_token, *sandbox.hubspot.oauth_tokens}
    assert "/account-info/" in text
    assert not [secret for secret in secrets if secret in text]
    assert check_cassette(cassette) == []


@pytest.mark.parametrize("missing", ["client_id", "client_secret"])
def test_a_refresh_token_alone_is_not_enough(missing: str) -> None:
    """What is missing is named."""
    given = {"client_id": "c", "client_secret": "planted", "refresh_token": "planted"}

    with pytest.raises(ConfigError, match=f"HUBSPOT__{missing.upper()}") as refused:
        connector("hubspot").connect(Settings(**given | {missing: ""}))

    assert "planted" not in str(refused.value)


def test_an_unknown_version_is_refused() -> None:
    """The text lists those that there are."""
    with pytest.raises(ConfigError, match="v3, 2026-03, 2026-09"):
        connector("hubspot").connect(Settings(access_token="t", api_version="v4"))
