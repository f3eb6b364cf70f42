"""`as_of`: the values of an earlier time, in a warehouse that whole runs have filled."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.loader import load_configuration
from run_helpers import configured_sandbox, edit_contact, run_cli, run_sync, table_rows
from warehouse.warehouse import open_warehouse

pytestmark = pytest.mark.long  # whole runs

BEFORE, AFTER = "software", "bee keeping"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An industry changes between two runs: the person, and a time between the runs."""
    with configured_sandbox(tmp_path_factory.mktemp("past"), people=60) as sandbox:
        run_sync(write=False)
        record = _contact_with_one_record()
        edit_contact(sandbox, record["record_id"], industry=BEFORE)
        run_sync(write=False)
        between = datetime.now(UTC)
        edit_contact(sandbox, record["record_id"], industry=AFTER)
        run_sync(write=False)
        yield record["person_id"], between


def _contact_with_one_record() -> dict[str, Any]:
    records = table_rows("records")
    persons = [row["person_id"] for row in records]
    return next(
        row for row in records if row["crm"] == "hubspot" and persons.count(row["person_id"]) == 1
    )


def _industry(person_id: str, as_of: datetime | None) -> Any:
    with open_warehouse() as warehouse:
        people = warehouse.inputs_as_of(
            load_configuration(), as_of=as_of, person_id=person_id
        ).people
        return people.industry.to_pyarrow().to_pylist()


def test_as_of_gives_the_value_of_that_time(changed: Any) -> None:
    """Without `as_of` it gives the present value."""
    person_id, between = changed

    assert (_industry(person_id, between), _industry(person_id, None)) == ([BEFORE], [AFTER])


def test_an_unchanged_record_gets_no_new_version(changed: Any) -> None:
    """record_history has one row per record and one more per change."""
    person_id, _ = changed
    records, history = table_rows("records"), table_rows("record_history")

    versions = [row["industry"] for row in history if row["key"] == person_id]
    assert (len(history), versions[-2:]) == (len(records) + 2, [BEFORE, AFTER])


def test_field_since_is_the_last_change_before_that_time(changed: Any) -> None:
    """The later change is not in it."""
    person_id, between = changed
    with open_warehouse() as warehouse:
        since = warehouse.inputs_as_of(
            load_configuration(), as_of=between, person_id=person_id
        ).field_since
        past = since.filter(since.field == "industry").to_pyarrow().to_pylist()
    [present] = [
        row
        for row in table_rows("field_since")
        if (row["person_id"], row["field"]) == (person_id, "industry")
    ]

    assert past[0]["since"] < between.replace(tzinfo=None) < present["since"]


def test_recompute_as_of_the_past_uses_the_values_of_that_time(changed: Any) -> None:
    """The fit has the points of an industry that the person no longer has."""
    person_id, between = changed

    past = run_cli("recompute", "--save", "--as-of", f"{between:%Y-%m-%dT%H:%M:%S}")
    [then] = [row for row in table_rows("lifecycle") if row["person_id"] == person_id]
    run_cli("recompute", "--save")
    [now] = [row for row in table_rows("lifecycle") if row["person_id"] == person_id]

    assert (past.exit_code, then["fit"] - now["fit"]) == (0, 15)


@pytest.mark.usefixtures("changed")
def test_recompute_counts_the_fields_without_a_historical_value() -> None:
    """Salesforce tracks no history of most fields, and no run had read them at that time."""
    long_ago = f"{datetime.now(UTC) - timedelta(days=100):%Y-%m-%d}"

    result = run_cli("recompute", "--as-of", long_ago, "--json")

    assert json.loads(result.stdout)["unknown"]["employees"] > 0


@pytest.mark.usefixtures("changed")
def test_the_present_has_no_unknown_value() -> None:
    """Without `--as-of` the tables of the last run are the input."""
    result = run_cli("recompute", "--json")

    assert json.loads(result.stdout)["unknown"] == {}
