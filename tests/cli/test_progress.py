"""What people see while records are read: how far, how fast, and how long still."""

import logging
from pathlib import Path

import pytest
from rich.progress import Progress

from cli.render.progress import ProgressBars, Rate
from connector_helpers import (
    ExtractHarness,
    add_blank_records,
    add_leads,
    hubspot_client,
    salesforce_client,
)
from connectors.salesforce.estimate import BULK_MIN_ROWS
from models import FieldSelection
from sandbox.server import Sandbox


def test_a_long_list_says_how_much_there_is(sandbox: Sandbox, tmp_path: Path) -> None:
    """The call that asks for the newest record returns the total as well."""
    add_blank_records(sandbox, "contacts", 500)
    warehouse = ExtractHarness("hubspot", tmp_path)

    warehouse.extract(hubspot_client(sandbox), {"contacts": ()})

    live = sum(1 for _ in sandbox.hubspot.tables["contacts"].live())
    assert warehouse.progress_reports[-1] == (len(sandbox.hubspot.tables["contacts"].records), live)


def test_a_search_says_how_much_there_is(sandbox: Sandbox, tmp_path: Path) -> None:
    """With its first page."""
    warehouse = ExtractHarness("hubspot", tmp_path)
    warehouse.extract(hubspot_client(sandbox), {"contacts": ()})
    add_blank_records(sandbox, "contacts", 450)
    before = len(warehouse.progress_reports)

    warehouse.extract(hubspot_client(sandbox), {"contacts": ()})

    assert warehouse.progress_reports[before] == (200, 450)


def test_a_job_says_how_much_there_is(sandbox: Sandbox, tmp_path: Path) -> None:
    """When it is done."""
    add_leads(sandbox.salesforce, BULK_MIN_ROWS)

    warehouse = ExtractHarness("salesforce", tmp_path)

    warehouse.extract(salesforce_client(sandbox), {"Lead": ()})

    rows = len(sandbox.salesforce.tables["Lead"])
    assert warehouse.progress_reports[-1] == (rows, rows)
    assert set(warehouse.progress_reports[:-1]) == {(0, None)}, "it waits for the job"


def test_the_log_has_a_line_per_object(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With its rows, also where they came in several parts."""
    add_blank_records(sandbox, "contacts", 300)
    caplog.set_level(logging.INFO, logger="onefunnel.extract")
    warehouse = ExtractHarness("hubspot", tmp_path)

    warehouse.extract(
        hubspot_client(sandbox), {"contacts": (), "companies": ()}, checkpoint_rows=100
    )

    rows = len(sandbox.hubspot.tables["contacts"].records)
    lines = [record.getMessage().split()[:-1] for record in caplog.records]
    told = [
        "object.extracted",
        "crm=hubspot",
        "object=contacts",
        f"rows={rows}",
        "mode=full_refresh",
    ]
    assert told in lines
    assert len(lines) == 2


def test_the_log_has_no_line_where_nothing_changed(
    sandbox: Sandbox, hubspot: ExtractHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """On a quiet night nothing hides what did."""
    caplog.set_level(logging.INFO, logger="onefunnel.extract")
    wanted: FieldSelection = {"contacts": (), "companies": ()}
    hubspot.extract(hubspot_client(sandbox), wanted)
    caplog.clear()
    add_blank_records(sandbox, "contacts", 2)

    hubspot.extract(hubspot_client(sandbox), wanted)

    [line] = [record.getMessage().split()[:-1] for record in caplog.records]
    assert line == [
        "object.extracted",
        "crm=hubspot",
        "object=contacts",
        "rows=2",
        "mode=incremental",
    ]


def test_a_bar_shows_records_a_second() -> None:
    """And nothing before there is something to count from."""
    clock = iter(range(100))
    progress = Progress(get_time=lambda: float(next(clock)))
    report = ProgressBars(progress).extract_callback("hubspot", lambda: None)
    report("contacts", 100, 2000)
    first = Rate().render(progress.tasks[0]).plain

    report("contacts", 1100, 2000)
    report("contacts", 1900, 2000)

    assert first == ""
    assert Rate().render(progress.tasks[0]).plain.endswith("/s")
