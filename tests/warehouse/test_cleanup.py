"""Nothing of an erased person is left, searched byte by byte; files are for their owner only."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from run_helpers import configured_sandbox, run_sync, table_rows
from sandbox.server import Sandbox
from warehouse import cleanup
from warehouse.changes import CHANGES
from warehouse.destination import read_copy
from warehouse.dlt_runner import FOLDER_PREFIX, run_dlt
from warehouse.run_lock import run_lock
from warehouse.warehouse import open_warehouse

MARKER = "zyxmarker"
ERASED_RECORDS = ibis.schema(dict.fromkeys(("crm", "object", "record_id"), "string"))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{file}")
    return file


def files_with(word: str, folder: Path) -> list[str]:
    """Return the files below a folder that hold a word, in UTF-8 in upper or lower case."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if word.encode() in path.read_bytes().lower()]


def a_change(record_id: str, value: str) -> pa.Table:
    texts = [name for name, of in CHANGES.items() if of.is_string()]
    row = dict.fromkeys(texts, "x") | {"crm": "hubspot", "object": "contacts"}
    row |= {"record_id": record_id, "before": value, "after": value}
    return pa.Table.from_pylist([row], schema=CHANGES.to_pyarrow())


def store_copies_of_an_erased_record(*, rows: int = 1) -> None:
    """Store a value in the journal, a staging table, an intermediate table and deleted rows."""
    values = pa.table({"a": [f"{MARKER}{number}" for number in range(rows)]})
    with open_warehouse() as warehouse:
        warehouse.append("changes", a_change("1", MARKER), CHANGES)
        warehouse.append("changes", a_change("2", "kept"), CHANGES)
        warehouse.engine.create_database("hubspot_staging")
        warehouse.engine.create_table("contacts", values, database="hubspot_staging")
        warehouse.materialize("erased_addresses", ibis.memtable(values))
        warehouse.replace_table("landed", ibis.memtable(values))
        erased = pa.table({"crm": ["hubspot"], "object": ["contacts"], "record_id": ["1"]})
        warehouse.append("erased_records", erased, ERASED_RECORDS)


def test_a_run_that_erased_leaves_no_byte(file: Path) -> None:
    """Neither in the journal, staging or intermediate tables, nor in free blocks or the copy."""
    with run_lock("before"):
        store_copies_of_an_erased_record(rows=5_000)
    before = files_with(MARKER, file.parent)

    with run_lock("erasing"), open_warehouse() as warehouse:
        warehouse.delete_matching("landed", warehouse.table("landed"))
        cleanup.require_cleanup(warehouse)

    assert set(before) == {file.name, read_copy(file).name}
    assert files_with(MARKER, file.parent) == []
    rows = {row["record_id"]: row for row in table_rows("changes")}
    assert (rows["1"]["before"], rows["1"]["after"], rows["1"]["field"]) == (None, None, "x")
    assert rows["2"]["before"] == "kept"


def test_the_run_after_a_killed_one_cleans_up(file: Path) -> None:
    """The killed run had deleted the rows, and nothing else."""
    store_copies_of_an_erased_record()
    with open_warehouse() as warehouse:
        warehouse.engine.drop_table("landed", database="onefunnel")
        cleanup.require_cleanup(warehouse)

    with run_lock("next"):
        pass

    assert files_with(MARKER, file.parent) == []


def test_the_compacted_warehouse_is_the_same(file: Path) -> None:
    """Its tables, rows and types; another process can write to it, and a reader finds the copy."""
    with run_lock("before"), open_warehouse() as warehouse:
        numbers = pa.table({"number": list(range(10_000))})
        warehouse.replace_table("numbers", ibis.memtable(numbers))
        before = warehouse.table("numbers").order_by("number").to_pyarrow()
        cleanup.require_cleanup(warehouse)

    with run_lock("after"), open_warehouse() as warehouse:
        after = warehouse.table("numbers").order_by("number").to_pyarrow()
        is_due = cleanup.is_due(warehouse)
    with open_warehouse(read_only=True) as copy:
        published = copy.table("numbers").order_by("number").to_pyarrow()

    assert before.equals(after)
    assert before.equals(published)
    assert not is_due


def test_files_are_for_their_owner_only(file: Path) -> None:
    """The warehouse, its read copy, and the working folder of an extract."""
    modes = []
    with run_lock("one"):
        run_dlt(
            "hubspot", lambda pipeline: modes.append(Path(pipeline.pipelines_dir).stat().st_mode)
        )

    modes += [path.stat().st_mode for path in (file, read_copy(file))]
    assert [mode & 0o077 for mode in modes] == [0, 0, 0]


def test_working_folders_of_killed_runs_are_removed(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next extract. That of a run in another warehouse stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        left = tmp_path / f"{FOLDER_PREFIX}{ended.pid}-abc"
        used = tmp_path / f"{FOLDER_PREFIX}{running.pid}-abc"
        for folder in (left, used):
            folder.mkdir()
            (folder / "rows.parquet").write_text(MARKER)
        run_dlt("hubspot", lambda _: None)
        running.kill()

    assert (left.exists(), used.exists()) == (False, True)


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with configured_sandbox(tmp_path, people=25) as sandbox:
        yield sandbox


@pytest.mark.long
def test_an_erased_person_of_each_crm_leaves_no_byte(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Name, address, telephone number and form values: in no file, and in no line of the log."""
    contacts = sandbox.hubspot.tables["contacts"]
    contact = next(contacts.live())
    address = f"{MARKER}@{MARKER}.test"
    marked = {"email": address, "firstname": MARKER, "lastname": MARKER, "phone": "+4915999888777"}
    sandbox.hubspot.edit(contacts, contact, marked)
    form = next(submissions for submissions in sandbox.hubspot.submissions.values() if submissions)
    form[0]["values"] = [
        {"name": "email", "value": address},
        {"name": "message", "value": MARKER},
    ]
    leads = sandbox.salesforce.tables["Lead"]
    lead = next(
        id for id, row in leads.items() if not row.get("IsDeleted") and not row.get("IsConverted")
    )
    values = {"Email": f"lead@{MARKER}.test", "LastName": MARKER, "Phone": "+4915999888777"}
    sandbox.salesforce.put("Lead", leads[lead] | values)
    run_sync()
    before = files_with(MARKER, tmp_path)

    sandbox.hubspot.erase(contacts, contact)
    del leads[lead]
    run_sync()
    sandbox.skew_clocks(timedelta(hours=25).total_seconds())
    run_sync(as_of=datetime.now(UTC) + timedelta(hours=25))

    assert "warehouse.duckdb" in before
    assert files_with(MARKER, tmp_path) == []
    assert files_with("4915999888777", tmp_path) == []
    assert MARKER not in caplog.text.lower()
