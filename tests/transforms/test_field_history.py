"""The history of a field in canonical values: docs/people.md, "Since when"."""

from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa
import pytest

from config.mapping import Mapping, People, with_sources
from transforms.identity.field_history import field_history

BEGUN = datetime(2025, 1, 1)
JAN, FEB, MAR, APR = (datetime(2026, month, 1) for month in (1, 2, 3, 4))
PEOPLE = People.model_validate(
    {
        "fields": {
            "email": "text",
            "employees": "integer",
            "bounced": "boolean",
            "lead_status": "text",
            "need": "text",
        }
    }
)
COLUMNS = {"id": "id", "created_at": "born", "updated_at": "seen", "deleted": "gone"}
FIELDS = {
    "email": "email",
    "employees": "size",
    "bounced": {"field": "bounces", "gte": 1},
    "lead_status": {
        "field": "status",
        "values": {"OPEN_DEAL": "working", "IN PROGRESS": "working"},
    },
    "need": "need",
}
NEW_VALUES = {"object": "past", "record": "id", "field": "field", "at": "at", "value": "new"}
BOTH_VALUES = {**NEW_VALUES, "record": "whose", "before": "old"}
CONTACTS = pa.table(
    {
        "id": ["1"],
        "email": ["a@example.com"],
        "size": pa.array([50.0]),
        "bounces": pa.array([3.0]),
        "status": ["OPEN_DEAL"],
        "need": ["x"],
    }
)
ENTRIES = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "whose", "field", "old", "new")),
        ("at", pa.timestamp("us", "UTC")),
    ]
)


def spells(field: str, history: dict[str, Any], *entries: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Give (tracked from, until, value) of contact 1, a `?` where the value is unknown.

    Entries are (at, new) or (at, old, new) of the CRM's field behind one of ours.
    """
    theirs = Mapping.model_validate(
        {"system_fields": COLUMNS, "records": {"contacts": {"fields": FIELDS, "history": history}}}
    )
    created = {"id": "", "whose": "2", "field": "created", "at": BEGUN}
    rows = [created] + [
        {
            "id": "1" if history is NEW_VALUES or "max_entries" in history else str(number),
            "whose": "1",
            "field": theirs.records["contacts"].fields[field].field,
            "at": at,
            "old": values[0] if len(values) == 2 else None,
            "new": values[-1],
        }
        for number, (at, *values) in enumerate(entries)
    ]
    landed = {
        "contacts": ibis.memtable(CONTACTS),
        "past": ibis.memtable(pa.Table.from_pylist(rows, schema=ENTRIES)),
    }
    told = field_history({"crm": theirs}, {"crm": landed}, PEOPLE, [field])
    found = told.order_by("since").to_pyarrow().to_pylist()
    found.sort(key=lambda row: row["tracked_from"] or datetime.min)
    return [(r["tracked_from"], r["until"], r["value"] if r["value_known"] else "?") for r in found]


@pytest.mark.parametrize(
    ("field", "values", "said"),
    [
        pytest.param("bounced", ("1", "2", "3"), ["true"], id="a number that makes one yes"),
        pytest.param(
            "lead_status", ("OPEN_DEAL", "in progress"), ["working"], id="one word of ours"
        ),
        pytest.param("email", ("A@x.org", " a@X.org "), ["a@x.org"], id="case and blanks"),
        pytest.param("employees", ("50", "50.0", "60"), ["50", "60"], id="one number, spelt twice"),
    ],
)
def test_what_changes_nothing_in_our_words_is_no_change(
    field: str, values: tuple[str, ...], said: list[str]
) -> None:
    """A history is read as the record is: translated, tested, typed."""
    entries = [(datetime(2026, 1, day), value) for day, value in enumerate(values, 1)]

    found = spells(field, NEW_VALUES, *entries)

    assert [value for tracked_from, _, value in found if tracked_from] == said


def test_nothing_stood_there_before_the_first_entry_of_new_values() -> None:
    """HubSpot keeps a history from the creation on."""
    found = spells("need", NEW_VALUES, (JAN, "a"), (FEB, ""), (MAR, "b"))

    assert found == [(None, JAN, None), (JAN, FEB, "a"), (FEB, MAR, None), (MAR, None, "b")]


def test_what_a_full_history_has_forgotten_is_not_told() -> None:
    """As many entries as are kept: older ones may be gone."""
    found = spells("need", {**NEW_VALUES, "max_entries": 2}, (JAN, "a"), (FEB, "b"))

    assert found[0] == (None, JAN, "?")


def test_the_old_value_of_an_entry_stood_there_until_then() -> None:
    """As far back as the oldest entry of any record: what is older has been forgotten."""
    found = spells("need", BOTH_VALUES, (FEB, "a", "b"), (MAR, "b", "c"))

    assert found == [(BEGUN, FEB, "a"), (FEB, MAR, "b"), (MAR, None, "c")]


def test_where_a_change_is_missing_the_later_old_value_is_believed() -> None:
    """Tracking was off in between."""
    found = spells("need", BOTH_VALUES, (FEB, "a", "b"), (APR, "x", "c"))

    assert found == [(BEGUN, FEB, "a"), (FEB, APR, "x"), (APR, None, "c")]


def test_a_change_without_values_is_a_change_to_nobody_knows_what() -> None:
    """Salesforce stores no values of long texts in its history."""
    found = spells("need", BOTH_VALUES, (FEB, None, None), (MAR, None, None))

    assert found == [(BEGUN, FEB, "?"), (FEB, MAR, "?"), (MAR, None, "?")]


def test_an_instant_of_many_changes_keeps_the_last() -> None:
    """The values in between are unknown."""
    found = spells("need", BOTH_VALUES, (FEB, "a", "b"), (FEB, "b", "c"))

    assert found == [(BEGUN, FEB, "a"), (FEB, None, "c")]


def test_a_field_that_is_read_off_another_is_told_by_its_history() -> None:
    """Seniority comes from the job title, the mail domain from the address."""
    assert with_sources(["seniority", "need", "is_free_mail"]) == (
        "seniority",
        "job_title",
        "need",
        "is_free_mail",
        "email",
    )
