"""The login to each CRM: what passes is repeated, and what does not pass names its true cause."""

from collections.abc import Iterator
from typing import Any

import pytest

from connector_helpers import hubspot_client, salesforce_client, small_sandbox
from connectors.http import Response
from connectors.hubspot.client import Settings as HubSpotSettings
from connectors.hubspot.client import connect as connect_hubspot
from connectors.salesforce.auth import SALESFORCE_HOSTS, settings_problems
from connectors.salesforce.auth import Settings as SalesforceSettings
from connectors.salesforce.client import connect as connect_salesforce
from connectors.salesforce.login_errors import (
    LOGIN_RULES,
    OTHER_FIXES,
    LoginMethod,
    LoginRule,
    login_error,
    token_or_error,
)
from errors import AccessError, RetryableError
from sandbox.faults import Fault
from sandbox.server import Sandbox

TOKEN = "/services/oauth2/token"
SOAP = "/services/Soap/"
MARKER = "planted-secret"
HTML = "<html><body>Maintenance</body></html>"

PASSING = [
    pytest.param({"status": 503, "body": None}, id="no service"),
    pytest.param({"status": 500, "body": HTML}, id="an error page"),
    pytest.param({"status": 429, "body": {"error": "rate_limit_exceeded"}}, id="too many logins"),
    pytest.param({"status": 200, "body": HTML}, id="a page with a good status"),
    pytest.param({"status": 403, "body": HTML}, id="a page of a firewall"),
    pytest.param({"status": 404, "body": HTML}, id="a page that is not there"),
    pytest.param({"status": 302, "headers": {"Location": "https://other.example/"}}, id="moved"),
    pytest.param({"status": 200, "body": '{"access_tok'}, id="cut off"),
    pytest.param({"status": 200, "body": {}}, id="no token"),
    pytest.param({"status": 200, "body": [None]}, id="a list"),
    pytest.param({"status": 200, "body": {"access_token": 7}}, id="a number for a token"),
    pytest.param({"status": 400, "body": {"error": "unknown_error"}}, id="a code that passes"),
    pytest.param({"effect": "reset"}, id="reset"),
]


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    with small_sandbox(people=5) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(world: Sandbox) -> Iterator[Sandbox]:
    yield world
    world.faults.reset()


def by_password(sandbox: Sandbox) -> SalesforceSettings:
    known = sandbox.salesforce.credentials
    return SalesforceSettings(
        instance_url=sandbox.url,
        username=known.username,
        password=known.password,
        security_token=known.security_token,
    )


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_of_the_token_endpoint_that_passes_is_repeated(
    sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    """By the policy of every other call."""
    sandbox.faults.plan(Fault(path=TOKEN, **fault))

    client = salesforce_client(sandbox)

    assert client.check_connection()
    assert client.api_calls["login"] == 2


@pytest.mark.parametrize("fault", PASSING)
def test_so_is_one_in_the_middle_of_a_run(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """A session ends, and the login that renews it meets the fault."""
    client = salesforce_client(sandbox)
    sandbox.salesforce.credentials.tokens.clear()
    sandbox.faults.plan(Fault(path=TOKEN, **fault))

    assert client.check_connection()
    assert client.api_calls["login"] == 3


@pytest.mark.parametrize("fault", PASSING)
def test_the_login_by_password_repeats_it_as_well(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """A refusal of SOAP has the status 500 itself: only its form differs from a fault."""
    sandbox.faults.plan(Fault(path=SOAP, **fault))

    client = connect_salesforce(by_password(sandbox))

    assert client.check_connection()
    assert client.api_calls["login"] == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 500, "body": HTML},
        {"status": 200, "body": HTML},
        {"status": 403, "body": HTML},
        {"status": 401, "body": HTML},
        {"status": 302, "headers": {"Location": "https://other.example/"}},
        {"status": 200, "body": '{"portalI'},
        {"status": 200, "body": {}},
        {"status": 200, "body": [None]},
        {"effect": "reset"},
    ],
    ids=str,
)
def test_so_does_the_first_call_to_hubspot(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """A page is no missing scope; JSON without a portal is no account."""
    client = hubspot_client(sandbox)
    sandbox.faults.plan(Fault(path="/account-info/", **fault))

    account = client.check_connection()

    assert account == hubspot_client(sandbox).check_connection()
    assert client.api_calls["read"] == 2


def test_an_address_that_is_not_hubspots_is_named(sandbox: Sandbox) -> None:
    """It knows no accounts."""
    sandbox.faults.plan(Fault(path="/account-info/", status=404, body=HTML))

    with pytest.raises(AccessError, match=r"is the address right.*SOURCES__HUBSPOT__BASE_URL"):
        hubspot_client(sandbox).check_connection()


def test_a_login_page_that_stays_is_named_as_that(sandbox: Sandbox) -> None:
    """With CRM, host, status and the setting: never as a broken key."""
    sandbox.faults.plan(Fault(path=TOKEN, status=200, body=HTML, times=None))

    with pytest.raises(RetryableError) as raised:
        salesforce_client(sandbox)

    text = str(raised.value)
    assert "Salesforce answered 200 to the login by client credentials at 127.0.0.1" in text
    assert "an HTML page: is the address right? Check SOURCES__SALESFORCE__INSTANCE_URL" in text


def test_a_firewall_before_hubspot_is_named_as_that(sandbox: Sandbox) -> None:
    """Never as a missing scope or a bad token."""
    sandbox.faults.plan(Fault(path="/account-info/", status=403, body=HTML, times=None))

    with pytest.raises(RetryableError) as raised:
        hubspot_client(sandbox).check_connection()

    assert "HubSpot answered 403" in str(raised.value)
    assert "an HTML page: is the address right? Check SOURCES__HUBSPOT__BASE_URL" in str(
        raised.value
    )


def test_a_closed_port_is_named_for_both_crms(sandbox: Sandbox) -> None:
    """Each names itself, its host and the cause."""
    nowhere = "http://127.0.0.1:9"
    hubspot = connect_hubspot(HubSpotSettings(access_token="t", base_url=nowhere))
    salesforce = SalesforceSettings(instance_url=nowhere, client_id="c", client_secret="s")

    with pytest.raises(RetryableError, match=r"HubSpot 127\.0\.0\.1.*connection refused"):
        hubspot.check_connection()
    with pytest.raises(RetryableError, match=r"Salesforce 127\.0\.0\.1.*connection refused"):
        connect_salesforce(salesforce)


def test_the_login_follows_no_redirect(sandbox: Sandbox) -> None:
    """Password and secret go to no other address, by neither way of login."""
    elsewhere = {"Location": f"{sandbox.url}/elsewhere"}
    sandbox.faults.plan(Fault(path=TOKEN, status=307, headers=elsewhere, times=None))
    sandbox.faults.plan(Fault(path=SOAP, status=307, headers=elsewhere, times=None))

    with pytest.raises(RetryableError, match="it leads to 127"):
        salesforce_client(sandbox)
    with pytest.raises(RetryableError, match="it leads to 127"):
        connect_salesforce(by_password(sandbox))

    assert "POST /elsewhere" not in sandbox.faults.calls()["hubspot"]


def test_a_session_that_is_refused_when_fresh_did_not_expire(sandbox: Sandbox) -> None:
    """API access control answers as if it had; a new login would not help."""
    client = salesforce_client(sandbox)
    body = [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]
    sandbox.faults.plan(Fault(path="/limits", status=401, body=body, times=None))

    with pytest.raises(AccessError, match="API access control"):
        client.check_connection()

    assert client.api_calls["login"] == 2


@pytest.mark.parametrize("rule", LOGIN_RULES, ids=lambda rule: f"{rule.code} {rule.description}")
def test_every_row_of_the_login_table_is_reached(rule: LoginRule) -> None:
    """None stands behind another that fits as well; what to do is in the text."""
    description = f"{MARKER} {rule.description.upper()}"

    error = login_error(rule.code, description, "JWT", "x.my.salesforce.com")

    assert str(error).endswith(f"at x.my.salesforce.com (400 {rule.code}): {rule.fix}")
    assert isinstance(error, RetryableError if rule.passes else AccessError)
    assert MARKER not in str(error)


@pytest.mark.parametrize("method", OTHER_FIXES)
def test_a_code_of_tomorrow_gets_the_advice_of_the_login_in_use(method: LoginMethod) -> None:
    """Of a JWT login no one checks a password."""
    error = login_error("code_of_tomorrow", MARKER, method, "x.my.salesforce.com")

    assert isinstance(error, AccessError)
    assert str(error).endswith(
        f"by {method} at x.my.salesforce.com (400 code_of_tomorrow): {OTHER_FIXES[method]}"
    )


def test_a_token_that_is_bound_to_a_key_is_refused() -> None:
    """We send Bearer tokens."""
    body = b'{"access_token": "planted-secret", "token_type": "DPoP"}'

    error = token_or_error(Response(200, {}, body), "JWT", "x.my.salesforce.com")

    assert isinstance(error, AccessError)
    assert "DPoP" in str(error)
    assert MARKER not in str(error)


@pytest.mark.parametrize("ending", SALESFORCE_HOSTS)
def test_every_host_of_salesforce_may_have_a_secret(ending: str) -> None:
    """That of governments, and that in China, too."""
    settings = SalesforceSettings(
        instance_url=f"https://acme.my{ending}", client_id="c", client_secret="s"
    )

    assert settings_problems(settings) == []


@pytest.mark.parametrize("host", ["salesforce.example.com", "evilsalesforce.com"])
def test_any_other_host_may_have_a_token_alone(host: str) -> None:
    """The admin chose both; a secret, which opens more, is not sent there."""
    url = f"https://{host}"

    assert settings_problems(SalesforceSettings(instance_url=url, access_token="t")) == []
    assert "no host of Salesforce" in "".join(
        settings_problems(SalesforceSettings(instance_url=url, client_id="c", client_secret="s"))
    )
