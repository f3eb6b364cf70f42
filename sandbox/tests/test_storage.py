"""The compressed storage, with changed records on top."""

from datetime import UTC, datetime

import pytest

from sandbox.salesforce.ids import number_in, record_id
from sandbox.salesforce.rows import Row, table
from sandbox.storage.compression import Lines, RandomAccessLines, SequentialLines
from sandbox.storage.event_log import EventLog
from sandbox.storage.record_store import RecordStore

NOW = datetime(2026, 3, 1, tzinfo=UTC)
IDS = [record_id("00Q", number) for number in (7, 3, 500, 4)]


def row(id: str, city: str = "Oslo") -> Row:
    """A row."""
    return {"Id": id, "City": city, "SystemModstamp": "2026-01-01T00:00:00.000+0000"}


@pytest.fixture
def store() -> RecordStore[str, Row]:
    """Three compressed rows and a new one."""
    rows = table("00Q")
    rows.update((id, row(id)) for id in IDS[:3])
    rows.pack()
    rows[IDS[3]] = row(IDS[3], "Bern")
    return rows


def test_rows_keep_the_order_of_insertion(store: RecordStore[str, Row]) -> None:
    """As in a dictionary."""
    assert list(store) == IDS
    assert [one["Id"] for one in store.all()] == IDS


def test_a_returned_row_is_the_stored_row(store: RecordStore[str, Row]) -> None:
    """A change to it is a change of the store."""
    store[IDS[1]]["City"] = "Rome"

    assert store.read(IDS[1]) == row(IDS[1], "Rome")
    assert [one["City"] for one in store.all()] == ["Oslo", "Rome", "Oslo", "Bern"]


def test_a_row_for_reading_is_a_copy(store: RecordStore[str, Row]) -> None:
    """The store keeps no reference to it."""
    (store.read(IDS[0]) or {})["City"] = "Rome"

    assert store[IDS[0]]["City"] == "Oslo"


@pytest.mark.parametrize("id", [IDS[0], IDS[3]])
def test_a_deleted_row_is_not_found(store: RecordStore[str, Row], id: str) -> None:
    """Compressed or not."""
    del store[id]

    assert id not in store
    assert store.read(id) is store.current(id, row(id)) is None
    assert len(store) == len(list(store)) == len(list(store.all())) == 3


@pytest.mark.parametrize(
    "id", ["", IDS[0][:15], "00Qak0!!!!!!!!!AAA", record_id("003", 7), record_id("00Q", 8)]
)
def test_unknown_ids_are_not_found(store: RecordStore[str, Row], id: str) -> None:
    """Also similar ones."""
    assert id not in store
    with pytest.raises(KeyError):
        store[id]


def test_a_result_does_not_change(store: RecordStore[str, Row]) -> None:
    """Later writes do not affect it."""
    found = store.filter(lambda one: one["City"] == "Oslo")
    store[IDS[0]] = row(IDS[0], "Rome")

    assert [one["City"] for one in found] == ["Oslo", "Oslo", "Oslo"]
    assert store.current(IDS[0], found[0]) == row(IDS[0], "Rome")


def test_stamps_filter_compressed_rows_only(store: RecordStore[str, Row]) -> None:
    """A changed row may have another stamp."""
    store[IDS[0]]["City"] = "Rome"
    found = store.filter(lambda _row: True, lambda stamps: stamps < 0)

    assert [one["City"] for one in found] == ["Rome", "Bern"]


def test_an_index_finds_compressed_and_changed_rows(store: RecordStore[str, Row]) -> None:
    """But no rows with an old value."""
    assert len(list(store.find_by("City", lambda one: [one["City"]], "Oslo"))) == 3
    store[IDS[0]]["City"] = "Bern"

    assert [one["Id"] for one in store.find_by("City", lambda one: [one["City"]], "Bern")] == [
        IDS[0],
        IDS[3],
    ]


@pytest.mark.parametrize("packed", [RandomAccessLines(), SequentialLines()])
def test_lines_are_found_by_their_index(packed: Lines) -> None:
    """In full blocks and in the last one; short lines and compressible ones."""
    lines = [f'["{"and again" * (number % 9)}",{number}]'.encode() for number in range(600)]
    [packed.add(line) for line in lines]

    assert [packed[place] for place in range(600)] == lines
    assert list(packed) == lines


def test_a_log_is_newest_first() -> None:
    """The sort is stable."""
    log = EventLog()
    weeks = [at * 604_800_000 for at in (1, 3, 2, 3, 1)]
    [log.add(at, {"number": number}) for number, at in enumerate(weeks)]
    log.pack()

    assert [entry["number"] for entry in log] == [1, 3, 2, 0, 4]
    assert [log.read(place)["number"] for place in log.between(weeks[2], weeks[1])] == [1, 3, 2]


def test_a_returned_entry_of_a_log_can_be_changed() -> None:
    """As with records."""
    log = EventLog()
    log.add(1, {"values": []})
    log.pack()
    log[0]["values"] = [1]

    assert log.read(0) == {"values": [1]}


@pytest.mark.parametrize("number", [0, 61, 62**9 - 1])
def test_the_number_of_an_id_is_parsed(number: int) -> None:
    """Ids are stored as numbers."""
    assert number_in("00Q", record_id("00Q", number)) == number
