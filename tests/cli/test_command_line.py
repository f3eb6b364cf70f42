"""The command line as a user meets it: exit codes, texts, JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from run_helpers import sandbox_environment
from sandbox.server import running

SETTINGS = ("SOURCES__", "DESTINATION__")


def sync(*words, settings=None):
    """Run the command in a process of its own, with these settings and no others."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    return subprocess.run(
        [sys.executable, "sync.py", *words],
        env=plain | {"COLUMNS": "200"} | (settings or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    with running(people=30, seed=3, rate_limits=False) as sandbox:
        yield sandbox_environment(sandbox, tmp_path_factory.mktemp("line"))


def test_a_missing_setting_ends_the_run_before_its_first_call(tmp_path):
    """It names the setting, and where to put it."""
    warehouse = {"DESTINATION__DUCKDB__CREDENTIALS": f"duckdb:///{tmp_path}/w.duckdb"}

    ended = sync("run", settings=warehouse)

    assert ended.returncode == 2
    assert "SOURCES__HUBSPOT__ACCESS_TOKEN" in ended.stderr
    assert ".dlt/secrets.toml" in ended.stderr


def test_plain_http_beyond_loopback_is_refused(settings):
    """A token must not travel in the open."""
    far = {**settings, "SOURCES__HUBSPOT__BASE_URL": "http://crm.example.com"}

    ended = sync("run", settings=far)

    assert (ended.returncode, "https" in ended.stderr) == (2, True)


def test_a_wrong_token_breaks_off_and_is_never_shown(settings):
    """Exit code 1; the text names the setting, not the token."""
    wrong = {**settings, "SOURCES__HUBSPOT__ACCESS_TOKEN": "pat-na1-marker-of-a-secret"}

    ended = sync("run", settings=wrong)

    assert ended.returncode == 1
    assert "SOURCES__HUBSPOT__ACCESS_TOKEN" in ended.stderr
    assert "marker-of-a-secret" not in ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def planned(settings):
    return sync("plan", "--json", settings=settings)


def test_a_plan_and_its_status_speak_json(settings, planned):
    """What machines read is one document on stdout."""
    status = sync("status", "--json", settings=settings)

    run = json.loads(planned.stdout)["run"]
    assert (planned.returncode, run["status"]) == (0, "planned")
    assert json.loads(status.stdout)["runs"][0]["run_id"] == run["run_id"]


@pytest.mark.usefixtures("planned")
def test_nobody_by_that_name_is_told_plainly(settings):
    """It says what to give instead, and repeats no address."""
    ended = sync("explain", "nobody@example.com", settings=settings)

    assert ended.returncode == 2
    assert "e-mail address" in ended.stderr
    assert "nobody@example.com" not in ended.stderr


@pytest.mark.usefixtures("planned")
def test_a_backtest_of_two_definitions_speaks_json(settings, tmp_path):
    """Both are there, judged by the same people."""
    other = tmp_path / "other.yaml"
    other.write_text(Path("mappings/lifecycle.yaml").read_text().replace("gte: 50", "gte: 60"))

    ended = sync("backtest", "--definition", str(other), "--json", settings=settings)

    told = json.loads(ended.stdout)
    assert (ended.returncode, told["within_days"]) == (0, 90)
    assert [side["name"] for side in told["sides"]] == ["lifecycle.yaml", "other.yaml"]


@pytest.mark.usefixtures("planned")
def test_too_little_history_suggests_nothing_and_is_no_failure(settings):
    """It says so, with exit code 0."""
    ended = sync("backtest", "--suggest", settings=settings)

    assert (ended.returncode, "Nothing suggested" in ended.stdout) == (0, True)


@pytest.mark.usefixtures("planned")
def test_a_diff_that_moves_too_many_ends_with_3(settings, tmp_path):
    """So that a pull request can be held up by it; the difference is told all the same."""
    other = tmp_path / "other.yaml"
    other.write_text(Path("mappings/lifecycle.yaml").read_text().replace("gte: 50", "gte: 5"))
    words, page = ("diff", str(other), "--json"), str(tmp_path / "diff.html")

    held = sync(*words, "--fail-above", "0", "--html", page, settings=settings)
    passed = sync(*words, settings=settings)

    assert (held.returncode, passed.returncode) == (3, 0), held.stderr
    assert "of all people would move" in held.stderr
    assert json.loads(held.stdout)["moved"] > 0
    assert (tmp_path / "diff.html").exists()


def test_an_unknown_run_cannot_be_applied(settings):
    """It says where the runs are listed."""
    ended = sync("apply", "no-such-run", settings=settings)

    assert (ended.returncode, "status" in ended.stderr) == (2, True)


def test_the_mappings_are_checked_against_what_the_crms_have(settings):
    """Every mapped field is there."""
    ended = sync("mappings", "check", settings=settings)

    assert (ended.returncode, "every mapped field is there" in ended.stdout) == (0, True)


def test_a_retry_of_what_no_mapping_writes_names_the_nearest_field(settings):
    """Nothing would come of it, and nobody would notice."""
    ended = sync("retry", "--field", "lifecycle_stage", settings=settings)

    assert (ended.returncode, "lifecyclestage" in ended.stderr) == (2, True)


def test_a_retry_is_noted_for_the_next_run(settings):
    """It calls no CRM."""
    ended = sync("retry", "--crm", "hubspot", settings=settings)

    assert (ended.returncode, "next run" in ended.stdout) == (0, True)


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "plan",
        "apply",
        "undo",
        "retry",
        "accept",
        "changes",
        "explain",
        "status",
        "demo",
        "backtest",
        "diff",
    ],
)
def test_every_command_says_what_it_does(command):
    """`--help` describes it."""
    ended = CliRunner().invoke(app, [command, "--help"])

    assert (ended.exit_code, "Usage" in ended.stdout) == (0, True)
