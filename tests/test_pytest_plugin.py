"""The fixtures in a user's repository, which has the files of docs/ci.md as it shows them."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console
from ruamel.yaml import YAML

from cassettes.replay import record
from cli.render.progress import progress_bars
from config.loader import load_configuration
from run_helpers import configured_sandbox
from sync import dry_run_as_of

pytestmark = pytest.mark.long

HERE = Path(__file__).parents[1]
SHOWN = re.compile(r"^`([\w./-]+)`(?:(?!\n\n).)*\n\n```\w+\n(.*?)^```$", re.M | re.S)
"""A block of code under a paragraph that begins with the name of a file."""

LEFT_OUT = shutil.ignore_patterns(".venv*", ".git", ".demo", "node_modules", "*.duckdb")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the documented files, two cassettes, and onefunnel checked out in it."""
    folder = tmp_path_factory.mktemp("theirs")
    for name, text in SHOWN.findall((HERE / "docs/ci.md").read_text(encoding="utf-8")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copytree(HERE, folder / "onefunnel", ignore=LEFT_OUT)
    shutil.copytree(HERE / "mappings", folder / "mappings")
    sql = _record(folder / "cassettes/ours.json")
    shutil.copy(folder / "cassettes/ours.json", folder / "cassettes/refused-20260301T120000Z.json")
    decisions = folder / "tests/test_decisions.py"
    decisions.write_text(decisions.read_text().replace("37", str(sql)))
    _shell(
        folder,
        "git init -q && git add cassettes mappings tests conftest.py pytest.ini"
        " && git -c user.name=them -c user.email=them@example.com commit -qm ours"
        " && git update-ref refs/remotes/origin/main HEAD",
    )
    return folder


def _record(path: Path) -> int:
    """Record a sync of a small world; give how many people are an SQL in it."""
    path.parent.mkdir()
    with (
        configured_sandbox(path.parent.parent / "onefunnel", people=12),
        progress_bars(Console(quiet=True)) as progress,
    ):
        report, _ = record(partial(dry_run_as_of, bars=progress), load_configuration(), path)
    return sum(stage["people"] for stage in report.stages if stage["stage"] == "sql")


def _shell(folder: Path, script: str) -> str:
    """Run a script as the workflow does, with the interpreter of these tests; give its output."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "DLT", "COV"))}
    clean["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    clean["GITHUB_STEP_SUMMARY"] = "summary.md"
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script.replace("${{ github.base_ref }}", "main")],
        cwd=folder,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _step(repository: Path, name: str) -> str:
    """What a step of the documented workflow runs."""
    workflow = YAML().load(repository / ".github/workflows/decisions.yml")
    (step,) = (one for one in workflow["jobs"]["replay"]["steps"] if one.get("name") == name)
    return str(step["run"])


def test_the_documented_tests_pass_in_a_repository_of_their_own(repository: Path) -> None:
    """pytest finds the fixtures, and what they import, from a foreign root folder."""
    output = _shell(repository, _step(repository, "your tests"))

    assert "2 passed" in output


def test_the_documented_steps_say_what_a_change_moves(repository: Path) -> None:
    """A branch that changes nothing leads to an empty difference."""
    if not shutil.which("jq"):
        pytest.skip("jq is not installed; the machines of GitHub Actions have it")
    _shell(repository, _step(repository, "decisions of the target branch, then of this branch"))

    _shell(repository, _step(repository, "what the change moves"))

    assert (repository / "after.stages").read_text().startswith("[")
    assert (repository / "summary.md").read_text() == "```diff\n```\n"
