"""Groups, aggregates and child queries of SOQL."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.soql_compile import select
from sandbox.server import Sandbox, running

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Ask = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running(people=60, seed=5, now=NOW, rate_limits=False) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def ask(sandbox: Sandbox) -> Ask:
    """Send a query over HTTP and return the response."""

    def send(query: str) -> dict[str, Any]:
        answer = requests.get(
            f"{sandbox.url}/services/data/v60.0/query",
            params={"q": query},
            headers={"Authorization": f"Bearer {sandbox.salesforce_token}"},
            timeout=10,
        )
        body: dict[str, Any] = answer.json()
        return body

    return send


def test_rows_are_counted_by_group(ask: Ask) -> None:
    """One record per value, with the number of rows."""
    every = ask("SELECT COUNT() FROM Lead")["totalSize"]
    response = ask("SELECT Status, COUNT(Id) FROM Lead GROUP BY Status ORDER BY COUNT(Id) DESC")

    counts = [one["expr0"] for one in response["records"]]
    assert sum(counts) == every
    assert counts == sorted(counts, reverse=True)
    assert response["records"][0]["attributes"] == {"type": "AggregateResult"}


def test_aggregates_without_groups_return_one_record(ask: Ask) -> None:
    """Aliases stay, other aggregates are numbered."""
    rows = ask("SELECT COUNT(Id) all_, MIN(CreatedDate), MAX(CreatedDate) FROM Lead")["records"]

    assert len(rows) == 1
    assert rows[0]["all_"] > 0
    assert rows[0]["expr0"] < rows[0]["expr1"]


def test_a_group_can_use_a_field_of_a_parent(ask: Ask) -> None:
    """And have an alias."""
    response = ask("SELECT Owner.Name owner, COUNT_DISTINCT(Status) FROM Lead GROUP BY Owner.Name")

    assert {"owner", "expr0", "attributes"} == response["records"][0].keys()


def test_having_filters_groups(ask: Ask) -> None:
    """By an aggregate, with any logic."""
    query = "SELECT Status FROM Lead GROUP BY Status HAVING COUNT(Id) > 3 AND Status != 'Qualified'"
    response = ask(query)

    assert 0 < len(response["records"]) < 5


def test_child_rows_are_nested_as_a_result(ask: Ask) -> None:
    """Null without children."""
    query = "SELECT Name, (SELECT FirstName, LastName FROM Account.Contacts) FROM Account"
    records = ask(query)["records"]
    contacts = ask("SELECT COUNT() FROM Contact WHERE AccountId != null")["totalSize"]

    nested = [one["Contacts"] for one in records if one["Contacts"]]
    assert sum(one["totalSize"] for one in nested) == contacts
    assert nested[0]["done"] is True
    assert nested[0]["records"][0]["attributes"]["type"] == "Contact"


def test_describe_has_the_child_relationships(sandbox: Sandbox) -> None:
    """With the names that queries use."""
    answer = requests.get(
        f"{sandbox.url}/services/data/v60.0/sobjects/Account/describe",
        headers={"Authorization": f"Bearer {sandbox.salesforce_token}"},
        timeout=10,
    ).json()

    names = {one["relationshipName"] for one in answer["childRelationships"]}
    assert {"Contacts", "Opportunities"} <= names


@pytest.mark.parametrize(
    ("query", "error_text"),
    [
        pytest.param("SELECT Status, COUNT(Id) FROM Lead", "must be grouped", id="no group"),
        pytest.param("SELECT Status one FROM Lead", "aliasing", id="an alias of a field"),
        pytest.param("SELECT SUM(Status) FROM Lead", "aggregate operator SUM", id="sum of text"),
        pytest.param("SELECT MAX() FROM Lead", "unexpected token", id="nothing to compare"),
        pytest.param("SELECT Id FROM Lead HAVING COUNT(Id) > 1", "GROUP BY", id="having alone"),
        pytest.param(
            "SELECT Id, (SELECT Id FROM Wheels) FROM Account", "'Wheels'", id="nothing below"
        ),
    ],
)
def test_an_invalid_group_or_child_query_is_an_error(
    sandbox: Sandbox, query: str, error_text: str
) -> None:
    """The message names the place."""
    with pytest.raises(ApiError, match=error_text):
        select(sandbox.salesforce, query)
