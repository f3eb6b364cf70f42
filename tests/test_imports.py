"""Imports between packages go in one direction: from the flow to what it uses."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VALUES = {"errors", "models"}
LEAVES = {"settings"} | VALUES
ALLOWED = {
    "errors.py": set(),
    "models.py": set(),
    "settings.py": {"errors"},
    "sandbox": set(),
    "connectors": LEAVES,
    "config": {"connectors"} | LEAVES,
    "session.py": {"config", "connectors"} | LEAVES,
    "transforms": {"config"} | VALUES,
    "warehouse": {"config", "connectors", "session", "transforms"} | LEAVES,
    "writeback": {"config", "connectors", "session", "transforms", "warehouse"} | LEAVES,
    "analysis": {"config", "connectors", "session", "transforms", "warehouse", "writeback"}
    | LEAVES,
    "account_setup": {"config", "connectors", "session", "warehouse", "writeback"} | LEAVES,
    "cassettes": {"analysis", "config", "connectors"} | LEAVES,
    "benchmarks": {"config", "connectors", "sandbox", "transforms", "warehouse"} | LEAVES,
}
"""What each package or module may import of this project, besides itself."""

FLOW = {"sync.py", "cli", "pytest_plugin.py"}
"""The flow and the commands that call it; nothing of the above may import them."""

PROJECT = {path.stem for path in ROOT.glob("*.py")}
PROJECT |= {path.parent.name for path in ROOT.glob("*/*.py")}


def imported(path: Path) -> Iterator[str]:
    """Return the first part of every module name a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


def project_imports(package: str) -> set[str]:
    """Return the packages and modules of this project that the files of a package import."""
    path = ROOT / package
    # the conformance tests install other programs below their folder
    found = (file for file in path.rglob("*.py") if ".venv" not in file.parts)
    files = [path] if path.is_file() else sorted(found)
    assert files
    names = {name for file in files for name in imported(file)}
    return (names & PROJECT) - {path.stem}


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package):
    """Transforms import no connector, connectors no rule, and no package imports the flow."""
    assert project_imports(package) <= ALLOWED[package]


def test_every_package_is_in_the_table():
    """A new package needs a row as well."""
    assert {Path(package).stem for package in ALLOWED.keys() | FLOW} == PROJECT - {"tests"}
