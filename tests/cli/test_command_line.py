"""The command line as a user sees it: exit codes, messages, JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import app
from models import VERSION
from run_helpers import run_cli, sandbox_environment
from sandbox.server import running

COMMANDS = sorted(
    command.name
    for group in app.registered_groups
    for command in group.typer_instance.registered_commands
)


@pytest.fixture(scope="module", autouse=True)
def settings(tmp_path_factory):
    """Point all settings at a small sandbox and an empty warehouse."""
    with (
        running(people=30, seed=3, rate_limits=False) as sandbox,
        pytest.MonkeyPatch.context() as env,
    ):
        for name, value in sandbox_environment(sandbox, tmp_path_factory.mktemp("line")).items():
            env.setenv(name, value)
        yield sandbox


@pytest.fixture(scope="module")
def plan(settings):
    """Run `plan` once for the commands that only look."""
    return run_cli("plan", "--json")


def test_the_file_is_a_command():
    """`python sync.py` runs a command and ends with its exit code."""
    ended = subprocess.run(
        [sys.executable, "sync.py", "apply", "no-such-run"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, "Configuration error" in ended.stderr) == (2, True)


def test_a_missing_setting_ends_the_run_before_its_first_call(monkeypatch):
    """The message names the setting and the file for it."""
    monkeypatch.delenv("SOURCES__HUBSPOT__ACCESS_TOKEN")

    ended = run_cli("run")

    assert ended.exit_code == 2
    assert "SOURCES__HUBSPOT__ACCESS_TOKEN" in ended.stderr
    assert ".dlt/secrets.toml" in ended.stderr


def test_plain_http_is_refused_except_on_loopback(monkeypatch):
    """A token must not travel without encryption."""
    monkeypatch.setenv("SOURCES__HUBSPOT__BASE_URL", "http://crm.example.com")

    ended = run_cli("run")

    assert (ended.exit_code, "https" in ended.stderr) == (2, True)


def test_a_wrong_token_ends_the_run_and_is_never_shown(monkeypatch):
    """Exit code 1; the message names the setting and not the token."""
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "pat-na1-marker-of-a-secret")

    ended = run_cli("run")

    assert ended.exit_code == 1
    assert "SOURCES__HUBSPOT__ACCESS_TOKEN" in ended.stderr
    assert "marker-of-a-secret" not in ended.stdout + ended.stderr


def test_plan_and_status_print_one_json_document(plan):
    """Both name the run."""
    status = run_cli("status", "--json")

    run = json.loads(plan.stdout)["run"]
    assert (plan.exit_code, run["status"]) == (0, "planned")
    assert json.loads(status.stdout)["runs"][0]["run_id"] == run["run_id"]


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("command", ["explain", "history"])
def test_an_unknown_person_is_a_configuration_error(command):
    """The message says what to give instead; it does not repeat the address."""
    ended = run_cli(command, "unknown@example.com")

    assert ended.exit_code == 2
    assert "e-mail address" in ended.stderr
    assert "unknown@example.com" not in ended.stderr


def test_an_empty_person_is_a_usage_error():
    """Typer answers before the warehouse is opened."""
    assert run_cli("explain", " ").exit_code == 2


@pytest.mark.long
@pytest.mark.usefixtures("plan")
def test_recompute_saves_only_on_request(tmp_path):
    """A what-if prints its result; `--save` replaces the tables."""
    other = tmp_path / "other.yaml"
    other.write_text(Path("mappings/lifecycle.yaml").read_text().replace("gte: 50", "gte: 5"))
    before = run_cli("recompute", "--json")

    what_if = run_cli("recompute", "--definition", str(other))
    after = run_cli("recompute", "--json")
    saved = run_cli("recompute", "--save", "--json")

    assert "Nothing was saved" in what_if.stderr
    assert json.loads(after.stdout) == json.loads(before.stdout)
    assert (json.loads(before.stdout)["saved"], json.loads(saved.stdout)["saved"]) == (False, True)


@pytest.mark.long
@pytest.mark.usefixtures("plan")
def test_a_backtest_of_two_definitions_prints_json(tmp_path):
    """It has a result per definition."""
    other = tmp_path / "other.yaml"
    other.write_text(Path("mappings/lifecycle.yaml").read_text().replace("gte: 50", "gte: 60"))

    ended = run_cli("backtest", "--definition", str(other), "--json")

    document = json.loads(ended.stdout)
    assert (ended.exit_code, document["within_days"]) == (0, 90)
    assert [result["name"] for result in document["results"]] == ["lifecycle.yaml", "other.yaml"]


@pytest.mark.long
@pytest.mark.usefixtures("plan")
def test_too_little_history_suggests_nothing_and_is_not_an_error():
    """Exit code 0."""
    ended = run_cli("backtest", "--suggest")

    assert (ended.exit_code, "Nothing suggested" in ended.stdout) == (0, True)


@pytest.mark.long
@pytest.mark.usefixtures("plan")
def test_a_diff_above_its_limit_ends_with_3(tmp_path):
    """A pull request can be stopped by it; the difference is printed all the same."""
    other = tmp_path / "other.yaml"
    other.write_text(Path("mappings/lifecycle.yaml").read_text().replace("gte: 50", "gte: 5"))
    page = tmp_path / "diff.html"

    stopped = run_cli("diff", str(other), "--json", "--fail-above", "0", "--html", str(page))
    passed = run_cli("diff", str(other), "--json")

    assert (stopped.exit_code, passed.exit_code) == (3, 0), stopped.stderr
    assert "of people change stage" in stopped.stderr
    assert json.loads(stopped.stdout)["moved"] > 0
    assert page.exists()


def test_an_unknown_run_cannot_be_applied():
    """The message says where the runs are listed."""
    ended = run_cli("apply", "no-such-run")

    assert (ended.exit_code, "status" in ended.stderr) == (2, True)


def test_check_validates_against_both_crms():
    """All mapped fields exist in the sandbox."""
    ended = run_cli("check")

    assert (ended.exit_code, ended.stdout.count("all mapped fields exist")) == (0, 2)


def test_check_names_a_missing_write_scope(settings):
    """Before anything is written: exit code 1, as for any missing permission."""
    settings.hubspot.denied_scopes.add("crm.objects.contacts.write")
    ended = run_cli("check")
    settings.hubspot.denied_scopes.clear()

    assert (ended.exit_code, "crm.objects.contacts.write" in ended.stderr) == (1, True)


def test_check_warns_of_paths_whose_support_ends(monkeypatch):
    """It says what to set. The support of version 4 ends on 2027-03-30."""
    monkeypatch.setenv("SOURCES__HUBSPOT__API_VERSION", "v3")

    ended = run_cli("check")

    assert ended.exit_code == 0
    assert "2027-03-30" in ended.stdout + ended.stderr
    assert "SOURCES__HUBSPOT__API_VERSION" in ended.stdout + ended.stderr


def test_check_offline_calls_no_crm(monkeypatch):
    """It needs no settings."""
    monkeypatch.delenv("SOURCES__HUBSPOT__ACCESS_TOKEN")

    ended = run_cli("check", "--offline")

    assert (ended.exit_code, "Configuration OK" in ended.stdout) == (0, True)


def test_retry_of_an_unmapped_field_names_the_nearest_field():
    """Without that message the admin would wait for a retry that never comes."""
    ended = run_cli("retry", "--field", "lifecycle_stage")

    assert (ended.exit_code, "lifecyclestage" in ended.stderr) == (2, True)


def test_retry_is_stored_for_the_next_run():
    """It calls no CRM."""
    ended = run_cli("retry", "--crm", "hubspot")

    assert (ended.exit_code, "next run" in ended.stdout) == (0, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_a_help_text(command):
    """`--help` describes the command and each of its options."""
    ended = run_cli(command, "--help")

    assert (ended.exit_code, "Usage" in ended.stdout) == (0, True)


def test_the_version_is_that_of_the_project():
    """pyproject.toml and the command name the same release."""
    assert run_cli("--version").stdout == f"onefunnel {VERSION}\n"
    assert f'version = "{VERSION}"' in Path("pyproject.toml").read_text()


def test_verbose_and_quiet_exclude_each_other():
    """It is a usage error."""
    assert run_cli("-v", "-q", "status").exit_code == 2


def test_quiet_prints_no_log_lines(caplog):
    """Errors are still printed."""
    run_cli("-q", "plan", "--estimate")

    assert caplog.messages == []
