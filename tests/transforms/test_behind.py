"""A warehouse is behind a CRM where our own login wrote later than the journal knows."""

from datetime import datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest

from config.mapping import FieldWrite, Mapping, SystemFields
from models import Field
from transforms.planning.behind import (
    MAX_OWN,
    MAX_SUSPECTS,
    WRITERS,
    records_to_ask,
    suspects,
    written_later,
)

LAST = datetime(2026, 3, 1, 2)
"""The last write that the journal knows."""

LATER = LAST + timedelta(hours=20)
FIELDS = ("score", "reasons", "stage")
KEY = {"crm": "string", "object": "string", "record_id": "string"}
ATTEMPTS = KEY | dict.fromkeys(("field", "after", "status", "reason"), "string")
ATTEMPTS |= {"at": "timestamp(6)"}
LANDED = {"id": "string", "updated": "timestamp(6)", "archived": "boolean"}
LANDED |= dict.fromkeys(FIELDS, "string")


def mapping() -> Mapping:
    write = {"contacts": {name: FieldWrite.model_validate({"from": name}) for name in FIELDS}}
    system = {"id": "id", "created_at": "id", "updated_at": "updated", "deleted": "archived"}
    return Mapping.model_construct(write=write, system_fields=SystemFields.model_validate(system))


CATALOG = {"contacts": {name: Field(name, "text") for name in FIELDS}}


def table(rows: list[dict[str, Any]], columns: Any) -> ir.Table:
    return ibis.memtable(pa.Table.from_pylist(rows, schema=ibis.schema(columns).to_pyarrow()))


def row(record_id: object, crm: str = "hubspot", **values: Any) -> dict[str, Any]:
    return {"crm": crm, "object": "contacts", "record_id": str(record_id), **values}


def contact(record_id: object = 2, **values: Any) -> dict[str, Any]:
    """A record in which a value stands that no run wrote."""
    return {"id": str(record_id), "updated": LATER, "archived": False, "score": "70", **values}


def attempt(record_id: object, at: datetime = LAST, **values: Any) -> dict[str, Any]:
    return row(record_id, field="score", **{"after": "64", "status": "written", "at": at, **values})


def wrote(record_id: object, at: datetime, writer: str, **values: Any) -> dict[str, Any]:
    told = {"field": "score", "value": "70", "is_own": None, **values}
    return row(record_id, at=at, writer=writer, **told)


JOURNAL = [attempt(1)]
OUR_NAME = wrote(1, LAST - timedelta(minutes=2), "INTEGRATION 4169410", value="64")
"""HubSpot remembers a value that the journal knows, and by whom it was written."""


def late_values(contacts: list[dict[str, Any]], attempts: ir.Table, crm: str) -> ir.Table:
    landed = {crm: {"contacts": table(contacts, LANDED)}}
    return suspects(landed, {crm: mapping()}, {crm: CATALOG}, attempts)


def behind(
    writers: list[dict[str, Any]],
    *contacts: dict[str, Any],
    journal: list[dict[str, Any]] = JOURNAL,
    crm: str = "hubspot",
) -> dict[str, tuple[int, datetime]]:
    """Return the values and the last known write per CRM that the warehouse is behind."""
    attempts = table(journal, ATTEMPTS)
    late = late_values(list(contacts or [contact()]), attempts, crm)
    counted = written_later(late, table(writers, WRITERS), attempts).to_pyarrow().to_pylist()
    return {one["crm"]: (one["values"], one["last_at"]) for one in counted}


def test_a_value_that_our_app_wrote_later_is_counted():
    """HubSpot does not say who we are: the journal and the history together do."""
    later = wrote(2, LATER, "INTEGRATION 4169410")

    assert behind([OUR_NAME, later]) == {"hubspot": (1, LAST)}


@pytest.mark.parametrize(
    "writers",
    [
        pytest.param([OUR_NAME, wrote(2, LATER, "CRM_UI userId:7")], id="a person wrote it"),
        pytest.param([OUR_NAME, wrote(2, LATER, "INTEGRATION 8")], id="another app wrote it"),
        pytest.param([wrote(2, LATER, "INTEGRATION 4169410")], id="our name is not known"),
        pytest.param([OUR_NAME, wrote(2, LAST, "INTEGRATION 4169410")], id="as old as the journal"),
        pytest.param(
            [OUR_NAME, wrote(2, LAST + timedelta(minutes=9), "INTEGRATION 4169410")],
            id="as the clocks differ",
        ),
        pytest.param(
            [
                OUR_NAME,
                wrote(2, LATER, "INTEGRATION 4169410"),
                wrote(2, LATER + timedelta(hours=1), "CRM_UI userId:7"),
            ],
            id="a person replaced it",
        ),
        pytest.param(
            [OUR_NAME, wrote(2, LATER, "INTEGRATION 4169410", field="phone")], id="another field"
        ),
        pytest.param(
            [
                wrote(1, LAST - timedelta(hours=2), "CRM_UI userId:7", value="64"),
                wrote(2, LATER, "CRM_UI userId:7"),
            ],
            id="a person had written the same value before",
        ),
    ],
)
def test_other_values_are_not(writers):
    """They are changes by people and programs, as every day."""
    assert behind(writers) == {}


@pytest.mark.parametrize(
    "landed",
    [
        pytest.param(contact(score="64"), id="a run wrote the value"),
        pytest.param(contact(score=None), id="no value"),
        pytest.param(contact(updated=LAST), id="not modified since"),
        pytest.param(contact(archived=True), id="deleted"),
    ],
)
def test_what_is_no_suspect(landed):
    """The CRM is not asked about it."""
    later = [OUR_NAME, wrote(2, LATER, "INTEGRATION 4169410")]

    assert behind(later, landed, journal=[*JOURNAL, attempt(2)]) == {}


def test_a_crm_without_a_known_write_has_no_suspects():
    """The first write into it needs a person's yes anyway."""
    assert behind([OUR_NAME, wrote(2, LATER, "INTEGRATION 4169410")], journal=[]) == {}


@pytest.mark.parametrize(
    ("field", "is_own", "expected"),
    [("score", True, {"salesforce": (1, LAST)}), ("stage", True, {}), ("score", False, {})],
)
def test_the_last_user_of_a_record_speaks_for_computed_fields_only(field, is_own, expected):
    """Salesforce: people set a stage too, and another program may use our user."""
    writers = [wrote(2, LATER, "005", crm="salesforce", field=None, value=None, is_own=is_own)]
    lead = contact(score=None) | {field: "70"}
    journal = [attempt(1, crm="salesforce")]

    assert behind(writers, lead, journal=journal, crm="salesforce") == expected


def test_few_records_are_asked_about():
    """The newest suspects, and some of what we wrote last; nothing without a suspect."""
    contacts = [
        contact(number, updated=LATER + timedelta(seconds=number))
        for number in range(MAX_SUSPECTS + 5)
    ]
    journal = table(
        [attempt(f"w{number}", at=LAST - timedelta(seconds=number)) for number in range(50)],
        ATTEMPTS,
    )
    late = late_values(contacts, journal, "hubspot")

    asked = {one["record_id"] for one in records_to_ask(late, journal).to_pyarrow().to_pylist()}

    assert asked == {str(number) for number in range(5, MAX_SUSPECTS + 5)} | {
        f"w{number}" for number in range(MAX_OWN)
    }
    assert not records_to_ask(late.limit(0), journal).to_pyarrow().to_pylist()
