"""Where address and credentials come from, what is asked of them, and that they stay hidden."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from connector_helpers import small_sandbox
from connectors import connector, crm_names
from connectors.http import validate_url
from connectors.hubspot.client import Settings as HubSpotSettings
from connectors.hubspot.client import connect as connect_hubspot
from connectors.salesforce.auth import Settings as SalesforceSettings
from connectors.salesforce.client import connect as connect_salesforce
from errors import AccessError, ConfigError
from sandbox.server import Sandbox
from settings import read_settings

SECRET = "planted-secret"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with small_sandbox(people=5) as sandbox:
        yield sandbox


def test_every_folder_is_a_crm() -> None:
    """Adding one is adding a folder."""
    assert crm_names() == ("hubspot", "salesforce")


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """In dlt's own names."""
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", SECRET)

    found = read_settings(connector("hubspot").settings(), "sources", "hubspot")

    assert found.access_token == SECRET
    assert found.base_url == "https://api.hubapi.com"


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message does not quote its content."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text(f"token = [{SECRET}")
    monkeypatch.chdir(tmp_path)
    code = (
        "from settings import read_settings; from connectors.hubspot.client import Settings;"
        "read_settings(Settings(), 'sources', 'hubspot')"
    )

    root = str(Path(__file__).parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": root, "DLT_PROJECT_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "the settings cannot be read: this is not TOML" in ended.stderr
    assert SECRET not in ended.stderr


def test_settings_hide_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """However they are printed."""
    monkeypatch.setenv("SOURCES__SALESFORCE__CLIENT_SECRET", SECRET)

    found = read_settings(connector("salesforce").settings(), "sources", "salesforce")

    assert SECRET not in f"{found} {found!r}"


def test_a_missing_token_is_named_as_variable_and_as_entry() -> None:
    """So that the admin can choose."""
    with pytest.raises(ConfigError, match=r"SOURCES__HUBSPOT__ACCESS_TOKEN.*sources\.hubspot"):
        connect_hubspot(HubSpotSettings())


def test_salesforce_needs_some_way_to_log_in() -> None:
    """The best one is proposed."""
    with pytest.raises(ConfigError, match="SOURCES__SALESFORCE__CLIENT_ID"):
        connect_salesforce(SalesforceSettings(instance_url="https://x.my.salesforce.com"))


def test_salesforce_needs_an_address() -> None:
    """That of the org itself."""
    with pytest.raises(ConfigError, match="SOURCES__SALESFORCE__INSTANCE_URL"):
        connect_salesforce(SalesforceSettings())


BAD_URLS = [
    "https://api.hubapi.com/crm/v3",
    "https://api.hubapi.com?x=1",
    "https://api.hubapi.com#x",
    "https://api hubapi.com",
    " https://api.hubapi.com",
    "https://api.hubapi.com\n",
    "https://api.hubapi.com:port",
    "https://[::1",
    "https://",
    "",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_an_address_ends_after_the_host(url: str) -> None:
    """A path, a blank or a line break would be sent with every call."""
    with pytest.raises(ConfigError, match="BASE_URL"):
        validate_url(url, "BASE_URL")


@pytest.mark.parametrize(
    "token", [f"{SECRET}\n", f" {SECRET}", f"Bearer {SECRET}", f"{SECRET}\x00"]
)
def test_a_token_is_one_line_without_blanks(token: str) -> None:
    """HTTP would refuse it in the first call, or the CRM call it invalid."""
    hubspot = HubSpotSettings(access_token=token)
    salesforce = SalesforceSettings(instance_url="https://x.my.salesforce.com", access_token=token)

    with pytest.raises(ConfigError, match=r"SOURCES__HUBSPOT__ACCESS_TOKEN.*one line") as first:
        connect_hubspot(hubspot)
    with pytest.raises(ConfigError, match=r"SOURCES__SALESFORCE__ACCESS_TOKEN.*one line") as second:
        connect_salesforce(salesforce)

    assert SECRET not in f"{first.value}{second.value}"


@pytest.mark.parametrize(
    "url", ["http://api.hubapi.com", "ftp://127.0.0.1", "api.hubapi.com", "https://a:b@c.d"]
)
def test_a_token_travels_encrypted_or_not_at_all(url: str) -> None:
    """Nor does an address hold a password."""
    with pytest.raises(ConfigError):
        validate_url(url, "BASE_URL")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "http://localhost:80", "http://[::1]:1"])
def test_loopback_may_be_plain_http(url: str) -> None:
    """It never leaves the machine."""
    assert validate_url(url, "BASE_URL") == url.rstrip("/")


def test_salesforce_hosts_are_salesforces(sandbox: Sandbox) -> None:
    """A client secret is sent to no other host."""
    elsewhere = SalesforceSettings(
        instance_url="https://salesforce.example.com", client_id="c", client_secret=SECRET
    )

    with pytest.raises(ConfigError, match=r"\.salesforce\.com"):
        connect_salesforce(elsewhere)


def test_client_credentials_log_in(sandbox: Sandbox) -> None:
    """The way to prefer."""
    client = connect_salesforce(
        SalesforceSettings(
            instance_url=sandbox.url,
            client_id=sandbox.client_id,
            client_secret=sandbox.client_secret,
        )
    )

    assert client.check_connection()
    assert client.api_calls["login"] == 1


def test_a_signed_assertion_logs_in(sandbox: Sandbox) -> None:
    """JWT bearer: no secret is shared."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    credentials = sandbox.salesforce.credentials
    credentials.public_key = public.decode()

    client = connect_salesforce(
        SalesforceSettings(
            instance_url=sandbox.url,
            client_id=sandbox.client_id,
            username=credentials.username,
            private_key=pem,
        )
    )

    assert client.check_connection()


def by_password(sandbox: Sandbox, password: str) -> SalesforceSettings:
    """Settings of a user who logs in as Salesforce is ending it."""
    known = sandbox.salesforce.credentials
    return SalesforceSettings(
        instance_url=sandbox.url,
        username=known.username,
        password=password,
        security_token=known.security_token,
    )


def test_a_password_with_its_security_token_logs_in(sandbox: Sandbox) -> None:
    """By SOAP; a finding says that this way is closing, and an ended session is renewed by it."""
    known = sandbox.salesforce.credentials
    before = set(known.tokens)
    client = connect_salesforce(by_password(sandbox, known.password))
    known.tokens &= before

    assert client.check_connection()
    assert client.api_calls["login"] == 2
    assert any("password" in one for one in client.warnings)


def test_a_wrong_password_is_refused_and_not_shown(sandbox: Sandbox) -> None:
    """With Salesforce's word for it."""
    with pytest.raises(AccessError, match="INVALID_LOGIN") as raised:
        connect_salesforce(by_password(sandbox, SECRET))

    assert SECRET not in str(raised.value)


def test_a_key_that_is_none_is_named(sandbox: Sandbox) -> None:
    """And not shown."""
    bad = SalesforceSettings(
        instance_url=sandbox.url, client_id="c", username="u", private_key=SECRET
    )

    with pytest.raises(ConfigError, match="PRIVATE_KEY") as raised:
        connect_salesforce(bad)

    assert SECRET not in str(raised.value)


def test_a_token_alone_is_used_as_it_is(sandbox: Sandbox) -> None:
    """It costs no login, and cannot be renewed."""
    client = connect_salesforce(
        SalesforceSettings(instance_url=sandbox.url, access_token=sandbox.salesforce_token)
    )
    before = client.check_connection()
    sandbox.salesforce.credentials.tokens.discard(sandbox.salesforce_token)

    with pytest.raises(AccessError, match="SOURCES__SALESFORCE__ACCESS_TOKEN"):
        client.check_connection()

    assert before
    assert client.api_calls["login"] == 0


def test_a_refused_login_says_what_to_check(sandbox: Sandbox) -> None:
    """Never the secret."""
    wrong = SalesforceSettings(
        instance_url=sandbox.url, client_id=sandbox.client_id, client_secret=SECRET
    )

    with pytest.raises(AccessError, match="refused the login") as raised:
        connect_salesforce(wrong)

    assert SECRET not in str(raised.value)


def test_a_wrong_hubspot_token_is_told_at_the_start(sandbox: Sandbox) -> None:
    """By the look that names the account."""
    client = connect_hubspot(HubSpotSettings(access_token=SECRET, base_url=sandbox.url))

    with pytest.raises(AccessError, match="SOURCES__HUBSPOT__ACCESS_TOKEN") as raised:
        client.check_connection()

    assert SECRET not in str(raised.value)
