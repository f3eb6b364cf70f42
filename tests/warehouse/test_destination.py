"""The DuckDB file of a command that only looks is the one that dlt would open."""

from pathlib import Path

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from warehouse import destination
from warehouse.destination import duckdb_file

CREDENTIALS = '[destination.duckdb]\ncredentials = "duckdb:////data/{}.duckdb"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project and an empty home, with their `.dlt/` folders."""
    for name, variable in (("project", "DLT_PROJECT_DIR"), ("home", "HOME")):
        (tmp_path / name / ".dlt").mkdir(parents=True)
        monkeypatch.setenv(variable, str(tmp_path / name))
    for variable in ("DESTINATION__DUCKDB__CREDENTIALS", "DESTINATION__NAME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "project" / ".dlt"


@pytest.mark.parametrize(
    ("files", "environment", "expected"),
    [
        pytest.param({}, {}, destination.DEFAULT_FILE, id="nothing is set"),
        pytest.param({"secrets": "a", "config": "b"}, {}, Path("/data/a.duckdb"), id="secrets"),
        pytest.param({"config": "b"}, {}, destination.DEFAULT_FILE, id="config"),
        pytest.param(
            {"secrets": "a"},
            {"DESTINATION__DUCKDB__CREDENTIALS": "duckdb:////data/c.duckdb"},
            Path("/data/c.duckdb"),
            id="environment",
        ),
    ],
)
def test_the_file_is_found_as_dlt_finds_it(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    environment: dict[str, str],
    expected: Path,
) -> None:
    """In the environment first, then in secrets.toml; it is no credential in config.toml."""
    for name, file in files.items():
        (project / f"{name}.toml").write_text(CREDENTIALS.format(file), encoding="utf-8")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert duckdb_file() == expected
    monkeypatch.setattr(destination, "_duckdb_file_without_dlt", lambda: None)
    Container()[PluggableRunContext].reload_providers()
    try:
        assert duckdb_file() == expected
    finally:
        monkeypatch.undo()
        Container()[PluggableRunContext].reload_providers()


def test_another_engine_has_no_file(project: Path) -> None:
    """A DuckDB file that the settings name as well is not opened then."""
    text = '[destination]\nname = "postgres"\n' + CREDENTIALS.format("a")
    (project / "config.toml").write_text(text, encoding="utf-8")

    assert destination._duckdb_file_without_dlt() is None
