"""The first write into a CRM, and a run whose warehouse was lost, need a person's yes."""

from pathlib import Path

import pytest

from run_helpers import (
    CommandResult,
    configured_sandbox,
    count_write_calls,
    outcome_counts,
    run_cli,
    run_sync,
    table_rows,
)
from sandbox.server import Sandbox

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first-write")


@pytest.fixture(scope="module")
def sandbox(folder: Path):
    with configured_sandbox(folder, people=40) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def stopped(sandbox: Sandbox):
    """A run of a new warehouse, as a scheduler would start it."""
    return run_sync(first=False)


@pytest.fixture(scope="module")
def allowed(stopped, sandbox: Sandbox):
    """The same with `--first`; then one as the scheduler starts it."""
    return run_cli("run", "--first"), run_cli("run")


@pytest.fixture(scope="module")
def lost(allowed, sandbox: Sandbox, folder: Path) -> tuple[CommandResult, int]:
    """A run after the warehouse was deleted, and how many calls it wrote with."""
    for file in folder.glob("warehouse.duckdb*"):
        file.unlink()
    writes = count_write_calls(sandbox)
    return run_cli("run"), count_write_calls(sandbox) - writes


def test_the_first_write_is_stopped_with_its_plan(stopped, sandbox):
    """Every record that would change is held, and both CRMs are named."""
    assert stopped.run.status == "stopped"
    assert [(one.crm, "run --first" in one.stop_reason) for one in stopped.guard] == [
        ("hubspot", True),
        ("salesforce", True),
    ]
    assert outcome_counts(stopped)["held", "guard"] > 0
    assert "written" not in {status for status, _ in outcome_counts(stopped)}


def test_first_allows_it_and_later_runs_need_it_no_more(allowed):
    """The journal knows of the write."""
    first, second = allowed

    assert (first.exit_code, second.exit_code) == (0, 0), first.stdout + second.stdout


def test_a_run_without_its_journal_is_stopped(lost):
    """The fields hold values, and the warehouse knows of no write: exit code 3, no call."""
    result, writes = lost

    assert (result.exit_code, writes) == (3, 0)
    assert "knows of no write into HubSpot" in " ".join(result.stdout.split())
    assert "knows of no write into Salesforce" in " ".join(result.stdout.split())


@pytest.mark.usefixtures("lost")
def test_apply_is_a_yes_as_well():
    """After `apply` of the stopped plan the next run is an ordinary one."""
    [stopped_run] = table_rows("runs")
    applied = run_cli("apply", stopped_run["run_id"])

    assert (stopped_run["status"], applied.exit_code) == ("stopped", 0)
    assert run_cli("run").exit_code == 0
