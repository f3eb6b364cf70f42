"""What the command line imports before it knows the command."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# pydantic is not among them: Typer itself imports it for any command
HEAVY = {
    "altair",
    "dlt",
    "duckdb",
    "hubspot",
    "ibis",
    "numpy",
    "pandas",
    "pyarrow",
    "requests",
    "scipy",
    "simple_salesforce",
    "splink",
    "vcr",
}


def imported_packages(*arguments: str) -> set[str]:
    """Run the command line in a new process and return the top-level packages it imported."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "sync.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (line for line in ended.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--help"], id="help"),
        pytest.param(["--version"], id="version"),
        pytest.param(["plan", "--help"], id="help of a command"),
        pytest.param(["plan", "--no-such-option"], id="wrong option"),
        pytest.param(["no-such-command"], id="wrong command"),
    ],
)
def test_help_and_usage_errors_import_no_heavy_library(arguments):
    """A user who reads the help or mistypes an option gets the answer at once."""
    packages = imported_packages(*arguments)

    assert "typer" in packages
    assert packages & HEAVY == set()


@pytest.mark.parametrize("command", ["status", "absent"])
def test_a_command_that_looks_imports_no_dlt(command, tmp_path, monkeypatch):
    """dlt takes half a second to import, and the warehouse alone is read."""
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{file}")

    packages = imported_packages(command)

    assert "duckdb" in packages
    assert packages & {"dlt", "splink", "hubspot", "simple_salesforce", "scipy"} == set()


@pytest.mark.parametrize("package", ["pandas", "scipy", "altair", "vl_convert"])
def test_a_run_does_not_import_libraries_of_extras(package):
    """pandas is not installed at all; the others belong to the HTML report and to --suggest."""
    code = f"import cli.main, sync, sys; print({package!r} in sys.modules)"

    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ended.stdout == "False\n"
