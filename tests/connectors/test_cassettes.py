"""What both CRMs answered, played back: nothing here goes to a network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dlt.extract.exceptions import ResourceExtractionError

from cassettes.leak_check import check_cassette
from cassettes.recorder import replaying
from connectors import Client, root_sync_error
from connectors.retry import no_sleep
from errors import AccessError
from record_cassettes import CASSETTES, MARKER, PLAYED, SCENARIOS, connect

FILES = sorted(path for path in CASSETTES.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def _nobody_waits() -> Iterator[None]:
    with no_sleep():
        yield


def play(crm: str, name: str) -> tuple[Any, Client]:
    """Play a scenario; give what it gave, and the client."""
    (scenario,) = (one for one in SCENARIOS if (one.crm, one.name) == (crm, name))
    with replaying(scenario.cassette):
        client = connect(crm)
        return scenario.act(client, PLAYED[crm]), client


def refusal(crm: str, name: str) -> str:
    """Play a scenario that ends with a missing login or permission, and give the text."""
    with pytest.raises(ResourceExtractionError) as raised:
        play(crm, name)
    error = root_sync_error(raised.value)
    assert isinstance(error, AccessError)
    return str(error)


@pytest.mark.parametrize(("crm", "key"), [("hubspot", "id"), ("salesforce", "Id")])
def test_a_first_page_is_read(crm: str, key: str) -> None:
    """Each row with its key, typed."""
    rows, _ = play(crm, "first_page")

    assert rows[0][key] == min(row[key] for row in rows)
    assert len(rows) == 3


@pytest.mark.parametrize("crm", ["hubspot", "salesforce"])
def test_a_next_page_is_read(crm: str) -> None:
    """Where the page before says it is."""
    rows, client = play(crm, "next_page")

    assert len(rows) == 3
    assert client.api_calls["read"] > 1


@pytest.mark.parametrize("crm", ["hubspot", "salesforce"])
def test_an_increment_holds_what_changed_since(crm: str) -> None:
    """Five minutes overlap included."""
    rows, _ = play(crm, "incremental")

    assert len(rows) == {"hubspot": 2, "salesforce": 1}[crm]


@pytest.mark.parametrize("crm", ["hubspot", "salesforce"])
def test_an_increment_may_be_empty(crm: str) -> None:
    """It costs one look."""
    rows, client = play(crm, "empty")

    assert rows == []
    assert client.api_calls["read"] == 1


@pytest.mark.parametrize(("crm", "name"), [("hubspot", "rate_limit"), ("salesforce", "busy")])
def test_a_busy_crm_is_asked_again_after_the_time_it_names(crm: str, name: str) -> None:
    """Two seconds, and then everything comes."""
    rows, client = play(crm, name)

    assert len(rows) == 3
    assert client.wait_seconds == 2


def test_a_wrong_token_stops_hubspot() -> None:
    """No token is named, but where it stands."""
    assert "SOURCES__HUBSPOT__ACCESS_TOKEN" in refusal("hubspot", "wrong_token")


def test_an_expired_session_is_renewed_once() -> None:
    """And the same call is made again."""
    rows, client = play("salesforce", "expired_session")

    assert len(rows) == 3
    assert client.api_calls["login"] == 2


def test_a_missing_scope_is_named() -> None:
    """As HubSpot's settings page spells it."""
    assert "crm.objects.contacts.read" in refusal("hubspot", "missing_scope")


def test_a_missing_permission_is_named() -> None:
    """As Salesforce's setup spells it."""
    assert "API Enabled" in refusal("salesforce", "missing_permission")


def test_one_bad_record_of_a_batch_is_told_apart() -> None:
    """It vanished after it was looked at."""
    outcomes, _ = play("hubspot", "one_bad_record")

    first, second = (outcomes[id] for id in PLAYED["hubspot"])
    assert first.status == "written"
    assert (second.status, second.reason) == ("excluded", "deleted")


def test_a_locked_row_of_a_batch_is_sent_again() -> None:
    """The other one is not."""
    outcomes, client = play("salesforce", "row_lock")

    first, second = (outcomes[id] for id in PLAYED["salesforce"])
    assert (first.status, first.attempts) == ("written", 1)
    assert (second.status, second.attempts) == ("written", 2)
    assert client.api_calls["write"] == 2


def test_every_scenario_has_its_cassette_and_no_other_is_kept() -> None:
    """There is no unused cassette, and none in another format."""
    assert sorted(one.cassette for one in SCENARIOS) == FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_cassettes_hold_no_secret_and_no_person(path: Path) -> None:
    """They are scrubbed before they touch the disk."""
    assert check_cassette(path) == []
    assert MARKER not in path.read_text().lower()
