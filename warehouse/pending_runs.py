"""Attempts that are not rows of `runs` yet: a file each, in a folder beside the DuckDB file.

DuckDB lets one process use its file. So an attempt that ends without the run lock leaves a file
here and does not disturb the active run. The run that has the lock is here as `running`, because
readers open a copy of the warehouse that does not have it yet. A run stores the ended attempts as
rows when it takes the lock and when it ends. On PostgreSQL there are no such files: an attempt
stores its row at once.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from warehouse.destination import duckdb_file
from warehouse.processes import HOST_ID, has_ended
from warehouse.runs import KILLED, KILLED_TEXT, Run, run_from_json, save_run
from warehouse.warehouse import Warehouse


def save(run: Run) -> bool:
    """Store an attempt beside the DuckDB file; False on PostgreSQL, where nothing is stored."""
    if (folder := _folder()) is None:
        return False
    folder.mkdir(mode=0o700, exist_ok=True)
    document = run.as_json() | {"host": HOST_ID, "pid": os.getpid()}
    part = folder / f"{run.run_id}.part"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as target:  # noqa: PTH123
        json.dump(document, target)
    # the file appears whole
    part.replace(folder / f"{run.run_id}.json")
    return True


def load() -> list[Run]:
    """Return the attempts that are not rows yet, and the active run (where killed: interrupted)."""
    return [_as_seen(document) for _, document in _documents()]


def take_in(warehouse: Warehouse) -> None:
    """Store the attempts that have ended in the warehouse, and delete their files."""
    for file, document in _documents():
        if document["status"] != "running":
            save_run(warehouse, run_from_json(document))
            file.unlink(missing_ok=True)


def remove_running(run_id: str | None = None) -> None:
    """Delete the file of an active run, or of all killed ones: their rows say how they ended."""
    for file, document in _documents():
        if document["status"] == "running" and run_id in (None, document["run_id"]):
            file.unlink(missing_ok=True)


def _as_seen(document: dict[str, Any]) -> Run:
    run, process = run_from_json(document), document["pid"]
    if run.status == "running" and process != os.getpid() and has_ended(document["host"], process):
        run.status, run.error_class, run.error = "interrupted", KILLED, KILLED_TEXT
    return run


def _documents() -> Iterator[tuple[Path, dict[str, Any]]]:
    if folder := _folder():
        for file in sorted(folder.glob("*.json")):
            try:
                text = file.read_text("utf-8")
            except FileNotFoundError:
                # taken in meanwhile
                continue
            yield file, json.loads(text)


def _folder() -> Path | None:
    file = duckdb_file()
    if file is None or file == Path(":memory:"):
        return None
    return file.with_name(f"{file.stem}_runs")
