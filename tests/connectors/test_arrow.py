"""What a CRM's value becomes when it lands: itself, or NULL and counted; never something else."""

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from connectors.extract.arrow import MIN_ROWS, TYPES, cast_table, to_tables
from models import Field, FieldType

DAY = date(2026, 3, 4)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)


def landed(value: object, type: FieldType, drift: Counter[str] | None = None) -> Any:
    """Land one value and give what it became."""
    seen = Counter[str]() if drift is None else drift
    pages = [([{"f": value}], None)]
    table, _ = next(to_tables(pages, [Field("f", type)], key=(), on_mismatch=_into(seen)))
    return table["f"][0].as_py()


def _into(seen: Counter[str]) -> Any:
    def drifted(field: str, count: int) -> None:
        seen[field] += count

    return drifted


@pytest.mark.parametrize(
    ("value", "type", "became"),
    [
        pytest.param("Grüße 👋", "text", "Grüße 👋", id="text as it is"),
        pytest.param(7, "text", "7", id="a number where text is kept"),
        pytest.param("249", "number", 249.0, id="number in a string, as HubSpot has it"),
        pytest.param(249.5, "number", 249.5, id="bare number, as Salesforce has it"),
        pytest.param("9.12260031E8", "number", 912260031.0, id="number as Bulk CSV has it"),
        pytest.param("3.0", "integer", 3, id="integer as Bulk CSV has it"),
        pytest.param(" 3 ", "integer", 3, id="integer with spaces"),
        pytest.param("true", "boolean", True, id="boolean in a string"),
        pytest.param(False, "boolean", False, id="bare boolean"),
        pytest.param("2026-03-04T12:00:00.000Z", "datetime", NOON, id="with milliseconds"),
        pytest.param("2026-03-04T12:00:00Z", "datetime", NOON, id="without milliseconds"),
        pytest.param("2026-03-04T12:00:00.000+0000", "datetime", NOON, id="Salesforce's offset"),
        pytest.param("2026-03-04T04:00:00-08:00", "datetime", NOON, id="another offset"),
        pytest.param("1772625600000", "datetime", NOON, id="epoch milliseconds in a string"),
        pytest.param(1772625600000, "datetime", NOON, id="epoch milliseconds"),
        pytest.param("2026-03-04", "datetime", NOON.replace(hour=0), id="a day is its midnight"),
        pytest.param("0001-01-01T00:00:00Z", "datetime", FIRST, id="year 1"),
        pytest.param("2026-03-04", "date", DAY, id="day"),
        pytest.param("2026-03-04T00:00:00Z", "date", DAY, id="day as midnight"),
        pytest.param("1772582400000", "date", DAY, id="day as epoch milliseconds"),
        pytest.param("0001-01-01", "date", FIRST.date(), id="day in year 1"),
        pytest.param(None, "number", None, id="nothing"),
        pytest.param("", "datetime", None, id="blank"),
    ],
)
def test_a_value_lands_as_its_type(value: object, type: FieldType, became: object) -> None:
    """In every form the two APIs use."""
    drift = Counter[str]()

    assert landed(value, type, drift) == became
    assert not drift


@pytest.mark.parametrize(
    ("value", "type"),
    [
        pytest.param("about 50", "number", id="words"),
        pytest.param("nan", "number", id="not a number"),
        pytest.param("1e999", "number", id="beyond all numbers"),
        pytest.param("1,5", "number", id="a comma"),
        pytest.param("3.5", "integer", id="half an integer"),
        pytest.param("9007199254740993", "integer", id="an integer float64 cannot hold"),
        pytest.param("0x1F", "integer", id="hexadecimal"),
        pytest.param("yes", "boolean", id="yes"),
        pytest.param("2024-02-30T00:00:00Z", "datetime", id="30 February"),
        pytest.param("2026-03-04T12:00:00", "datetime", id="an instant without an offset"),
        pytest.param("20260304", "datetime", id="a day without dashes is no epoch"),
        pytest.param("253402300800000", "datetime", id="year 10,000"),
        pytest.param("20260304", "date", id="a day without dashes"),
        pytest.param("04/03/2026", "date", id="which is the month?"),
        pytest.param({"city": "Oslo"}, "text", id="a compound value"),
    ],
)
def test_a_value_that_does_not_fit_is_null_and_counted(value: object, type: FieldType) -> None:
    """Never a wrong value, never a crash."""
    drift = Counter[str]()

    assert landed(value, type, drift) is None
    assert drift == {"f": 1}


def test_one_misfit_takes_no_other_value_with_it() -> None:
    """It is found among thousands."""
    drift = Counter[str]()
    rows = [{"f": str(number)} for number in range(5000)]
    rows[1234]["f"] = "-."

    ((table, _),) = to_tables(
        [(rows, None)], [Field("f", "number")], key=(), on_mismatch=_into(drift)
    )

    assert table["f"].null_count == 1
    assert table["f"][1234].as_py() is None
    assert drift == {"f": 1}


def test_pages_are_collected_into_big_tables() -> None:
    """The rest comes at the end; each table knows behind which page it ends."""
    pages = [([{"id": str(one)} for one in range(100)], number) for number in range(250)]

    found = [
        (table.num_rows, at)
        for table, at in to_tables(
            pages, [Field("id", "text")], key=("id",), on_mismatch=_into(Counter())
        )
    ]

    assert found == [(MIN_ROWS, 99), (MIN_ROWS, 199), (5000, 249)]


def test_nothing_at_all_is_one_empty_table() -> None:
    """So that the landed table exists, with every column and type."""
    fields = [Field(type, type) for type in TYPES]

    ((table, _),) = to_tables([], fields, key=("text",), on_mismatch=_into(Counter()))

    assert table.num_rows == 0
    assert [field.type for field in table.schema] == list(TYPES.values())
    assert [field.name for field in table.schema if not field.nullable] == ["text"]


def test_a_table_of_text_is_given_its_types() -> None:
    """As Bulk CSV comes."""
    texts = pa.table({"n": ["1", None], "Id": ["a", "b"]})

    table = cast_table(
        texts,
        [Field("Id", "text"), Field("n", "integer")],
        key=("Id",),
        on_mismatch=_into(Counter()),
    )

    assert table.to_pylist() == [{"Id": "a", "n": 1}, {"Id": "b", "n": None}]
