"""Questions about the past, asked of a warehouse that was filled by whole runs."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from cli import main
from config.loader import load_configuration
from run_helpers import configured_sandbox, run_sync, table_rows
from warehouse.warehouse import open_warehouse

BEFORE, AFTER = "software", "bee keeping"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A world in which an industry is changed between two runs: whose, and an instant between."""
    with configured_sandbox(tmp_path_factory.mktemp("past"), people=60) as sandbox:
        run_sync(write=False)
        record = _alone_in_hubspot()
        _enter(sandbox, record["record_id"], industry=BEFORE)
        run_sync(write=False)
        between = datetime.now(UTC)
        _enter(sandbox, record["record_id"], industry=AFTER)
        run_sync(write=False)
        yield record["person_id"], between


def _alone_in_hubspot() -> dict[str, Any]:
    records = table_rows("records")
    owners = [row["person_id"] for row in records]
    return next(
        row for row in records if row["crm"] == "hubspot" and owners.count(row["person_id"]) == 1
    )


def _enter(sandbox: Any, record_id: str, **properties: str) -> None:
    answer = requests.patch(
        f"{sandbox.url}/crm/v3/objects/contacts/{record_id}",
        json={"properties": properties},
        headers={"Authorization": f"Bearer {sandbox.hubspot_token}"},
        timeout=10,
    )
    answer.raise_for_status()


def _industry(person_id: str, as_of: datetime | None) -> Any:
    with open_warehouse() as warehouse:
        people = warehouse.inputs_as_of(
            load_configuration(), as_of=as_of, person_id=person_id
        ).people
        return people.industry.to_pyarrow().to_pylist()


def test_a_value_of_the_past_is_the_one_of_that_time(changed: Any) -> None:
    """Not today's."""
    who, between = changed

    assert (_industry(who, between), _industry(who, None)) == ([BEFORE], [AFTER])


def test_runs_that_find_nothing_new_add_no_version(changed: Any) -> None:
    """Every record once, and one row more for each change."""
    who, _ = changed
    records, kept = table_rows("records"), table_rows("record_history")

    versions = [row["industry"] for row in kept if row["key"] == who]
    assert (len(kept), versions[-2:]) == (len(records) + 2, [BEFORE, AFTER])


def test_a_field_has_its_value_since_its_last_change_by_then(changed: Any) -> None:
    """The change of the second run had not happened."""
    who, between = changed
    with open_warehouse() as warehouse:
        since = warehouse.inputs_as_of(
            load_configuration(), as_of=between, person_id=who
        ).field_since
        then = since.filter(since.field == "industry").to_pyarrow().to_pylist()
    [today] = [
        row
        for row in table_rows("field_since")
        if (row["person_id"], row["field"]) == (who, "industry")
    ]

    assert then[0]["since"] < between.replace(tzinfo=None) < today["since"]


def test_recompute_as_of_the_past_gives_fit_by_the_values_of_then(changed: Any) -> None:
    """The points of an industry that somebody no longer has."""
    who, between = changed

    told = CliRunner().invoke(main.app, ["recompute", "--as-of", f"{between:%Y-%m-%dT%H:%M:%S}"])
    [then] = [row for row in table_rows("lifecycle") if row["person_id"] == who]
    CliRunner().invoke(main.app, ["recompute"])
    [now] = [row for row in table_rows("lifecycle") if row["person_id"] == who]

    assert (told.exit_code, then["fit"] - now["fit"]) == (0, 15)


@pytest.mark.usefixtures("changed")
def test_recompute_says_how_many_lack_what_nobody_can_tell() -> None:
    """Salesforce keeps no history of most fields here, and nobody had looked yet."""
    long_ago = f"{datetime.now(UTC) - timedelta(days=100):%Y-%m-%d}"

    told = CliRunner().invoke(main.app, ["recompute", "--as-of", long_ago, "--json"])
    shown = CliRunner().invoke(main.app, ["recompute", "--as-of", long_ago])
    CliRunner().invoke(main.app, ["recompute"])

    assert json.loads(told.stdout)["unknown"]["employees"] > 0
    assert "Not known of that time" in shown.stdout


@pytest.mark.usefixtures("changed")
def test_today_nothing_is_unknown() -> None:
    """Without `--as-of` the tables of the last run are the answer."""
    told = CliRunner().invoke(main.app, ["recompute", "--json"])

    assert json.loads(told.stdout)["unknown"] == {}
