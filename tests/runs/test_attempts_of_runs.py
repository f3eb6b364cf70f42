"""Attempts of whole commands: how a signal ends one, and the JSON line of each."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from run_helpers import configured_sandbox, run_cli, sandbox_environment, table_rows
from sandbox.faults import Fault
from sandbox.server import Sandbox
from warehouse.run_lock import lock_holder
from warehouse.warehouse import open_warehouse

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with configured_sandbox(tmp_path, people=12) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        pytest.param("/events/v3/events", signal.SIGTERM, id="SIGTERM in an extract"),
        pytest.param("/batch/update", signal.SIGTERM, id="SIGTERM in a write"),
        pytest.param("/batch/update", signal.SIGINT, id="SIGINT in a write"),
    ],
)
def test_a_signal_ends_a_run_in_order(sandbox, tmp_path, path, sent):
    """The lock is free, the attempt is a row and a JSON line, and nothing that was sent is lost."""
    sandbox.faults.plan(Fault(path=path, effect="delay", seconds=2))
    process = subprocess.Popen(
        [sys.executable, "sync.py", "run", "--first", "--json"],
        cwd=ROOT,
        env=os.environ | sandbox_environment(sandbox, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # where the tests run in the background, a shell makes them ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until_delayed(sandbox, process)
    process.send_signal(sent)
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 128 + sent
    [line] = stdout.splitlines()
    run = json.loads(line)["run"]
    assert (run["status"], run["exit_code"]) == ("interrupted", 128 + sent)
    assert f"ended by the signal {sent.name}" in stderr
    with open_warehouse() as warehouse:
        assert lock_holder(warehouse) is None
    [row] = table_rows("runs")
    assert (row["run_id"], row["status"]) == (run["run_id"], "interrupted")
    assert json.loads(row["calls"])["hubspot"]


def wait_until_delayed(sandbox: Sandbox, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while sandbox.faults.planned() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None
    # the answer comes later
    time.sleep(0.3)


def test_each_run_prints_one_json_line_also_where_it_fails(sandbox, monkeypatch):
    with monkeypatch.context() as env:
        env.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "pat-na1-of-another-time")
        refused = run_cli("run", "--json")
    with monkeypatch.context() as env:
        env.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "pat na1")
        misspelled = run_cli("run", "--json")
    planned = run_cli("plan", "--json")

    lines = [json.loads(ended.stdout) for ended in (refused, misspelled, planned)]
    assert [ended.stdout.count("\n") for ended in (refused, misspelled, planned)] == [1, 1, 1]
    ends = [(line["run"]["status"], line["run"]["exit_code"]) for line in lines]
    assert ends == [("failed", 1), ("failed", 2), ("planned", 0)]
    stored = {row["run_id"]: row for row in table_rows("runs")}
    assert [stored[line["run"]["run_id"]]["error_class"] for line in lines] == [
        "TokenRefusedError",
        "ConfigError",
        None,
    ]


@pytest.mark.parametrize("text", ["written", "held=-1", "held=x", "=3"])
def test_a_wrong_limit_is_a_usage_error(text):
    ended = run_cli("plan", "--fail-on", text)

    assert ended.exit_code == 2


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Iterator[dict[str, Any]]:
    """The JSON of a plan, in a sandbox that stays."""
    with configured_sandbox(tmp_path_factory.mktemp("plan"), people=30, seed=5) as sandbox:
        plan = run_cli("plan", "--json")
        yield {"sandbox": sandbox, **json.loads(plan.stdout)}


def show(run_id: str, *options: str) -> list[dict[str, Any]]:
    ended = run_cli("show", run_id, "--json", *options)
    assert ended.exit_code == 0, ended.stderr
    return list(json.loads(ended.stdout))


def test_show_lists_every_change_of_a_plan(planned):
    """As many changes of stages and fields as the report counts."""
    changes = show(planned["run"]["run_id"])

    written = [change for change in changes if change["outcome_reason"] == "approval"]
    counted = sum(row["set"] + row["cleared"] for row in planned["field_changes"])
    assert len(written) == counted
    assert {"", "up"} <= {change["move"] for change in changes} <= {"", "up", "down", "first"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("crm", "salesforce"), ("field", "lifecyclestage"), ("move", "up"), ("outcome", "held")],
)
def test_show_filters(planned, name, value):
    run_id = planned["run"]["run_id"]

    found = show(run_id, f"--{name}", value)

    assert found == [change for change in show(run_id) if change[name] == value]
    assert found


def test_show_of_a_person_has_its_records_in_both_crms(planned):
    run_id = planned["run"]["run_id"]
    person = next(row["person_id"] for row in show(run_id, "--crm", "salesforce"))

    found = show(run_id, "--person", person)

    assert found == [change for change in show(run_id) if change["person_id"] == person]


def test_show_as_csv_has_the_columns_and_rows_of_json(planned):
    ended = run_cli("show", planned["run"]["run_id"], "--csv")

    rows = list(csv.DictReader(io.StringIO(ended.stdout)))
    changes = show(planned["run"]["run_id"])
    assert list(rows[0]) == list(changes[0])
    assert [(row["record_id"], row["field"]) for row in rows] == [
        (change["record_id"], change["field"]) for change in changes
    ]


def test_show_of_an_unknown_run_or_crm_is_a_configuration_error(planned):
    ended = [
        run_cli("show", "no-such-run"),
        run_cli("show", planned["run"]["run_id"], "--crm", "salesfroce"),
        run_cli("show", planned["run"]["run_id"], "--move", "sideways"),
    ]

    assert [one.exit_code for one in ended] == [2, 2, 2]
    assert "salesforce" in ended[1].stderr


def test_a_plan_is_applied_in_parts_and_undone_for_one_record(planned):
    """`apply` is a run of its own: its times, its calls, and the outcomes that it added."""
    run_id = planned["run"]["run_id"]
    first = run_cli("apply", run_id, "--limit", "3", "--json")
    part = json.loads(first.stdout)
    after_part = json.loads(run_cli("status", "--json").stdout)["runs"]
    rest = json.loads(run_cli("apply", run_id, "--json").stdout)
    after_rest = json.loads(run_cli("status", "--json").stdout)["runs"]

    assert count_records(part, "written", "") == 3
    assert [run["command"] for run in after_rest[:3]] == ["apply", "apply", "plan"]
    assert after_part[0]["records"] == {"written": 3}
    assert [run["status"] for run in after_part[:2]] == ["done", "planned"]
    assert [run["status"] for run in after_rest[:3]] == ["done", "done", "done"]
    assert count_records(rest, "held", "limit") == 0
    assert after_rest[0]["records"]["written"] == count_records(rest, "written", "") - 3
    plan_row = next(row for row in table_rows("runs") if row["run_id"] == run_id)
    assert json.loads(plan_row["calls"]) == planned["run"]["calls"]
    assert part["run"]["plan_run_id"] == run_id
    assert part["run"]["started_at"] > planned["run"]["ended_at"]

    change = show(run_id, "--crm", "hubspot", "--outcome", "written")[0]
    undone = run_cli(
        "undo", run_id, "--record", change["record_id"], "--field", change["field"], "--json"
    )
    undo = json.loads(undone.stdout)
    assert count_records(undo, "written", "") == 1
    [restored] = show(undo["run"]["run_id"])
    assert (restored["record_id"], restored["field"], restored["after"]) == (
        change["record_id"],
        change["field"],
        change["before"],
    )

    ended = run_cli("history", change["record_id"])
    assert undo["run"]["run_id"] in ended.stdout
    assert f"{change['record_id']} {change['field']}: " in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_an_undo_of_a_record_that_the_run_did_not_write_is_a_configuration_error(planned):
    ended = run_cli("undo", planned["run"]["run_id"], "--record", "no-such-record")

    assert ended.exit_code == 2
    assert f"show {planned['run']['run_id']}" in ended.stderr


def count_records(report: dict[str, Any], status: str, reason: str) -> int:
    return sum(
        row["records"]
        for row in report["records"]
        if (row["status"], row["reason"]) == (status, reason)
    )
