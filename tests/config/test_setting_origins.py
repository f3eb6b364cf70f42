"""Where a setting comes from, without the value of a secret."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "planted-secret"
CODE = """
import json
from connectors.hubspot.client import Settings
from settings import setting_origins, value_origin
found = setting_origins(Settings(), "sources", "hubspot")
found.append(value_origin("destination.duckdb.credentials", is_secret=True))
print(json.dumps([list(one) for one in found]))
"""


def origins(folder: Path, **environment: str) -> dict[str, list[str]]:
    """Ask in a process of its own, whose files are those of a folder: name -> origin, value."""
    ended = subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | {"DLT_PROJECT_DIR": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert SECRET not in ended.stdout + ended.stderr
    return {name: rest for name, *rest in json.loads(ended.stdout)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout with a secret in one file and an address in the other."""
    (tmp_path / ".dlt").mkdir()
    secrets = f'[sources.hubspot]\naccess_token = "{SECRET}"\n'
    (tmp_path / ".dlt" / "secrets.toml").write_text(secrets)
    config = '[sources.hubspot]\nbase_url = "https://crm.example.com"\n'
    (tmp_path / ".dlt" / "config.toml").write_text(config)
    return tmp_path


def test_files_and_defaults_are_named(folder: Path) -> None:
    """A secret is shown as ***."""
    found = origins(folder)

    assert found["SOURCES__HUBSPOT__ACCESS_TOKEN"] == [".dlt/secrets.toml", "***"]
    assert found["SOURCES__HUBSPOT__BASE_URL"] == [".dlt/config.toml", "https://crm.example.com"]
    assert found["DESTINATION__DUCKDB__CREDENTIALS"] == ["default", ""]


def test_the_environment_goes_before_the_files(folder: Path) -> None:
    """Also a variable with fewer sections. It is named: it may be there by accident."""
    address = f"https://user:{SECRET}@x.example.com"
    found = origins(folder, SOURCES__HUBSPOT__ACCESS_TOKEN=SECRET, BASE_URL=address)

    assert found["SOURCES__HUBSPOT__ACCESS_TOKEN"] == ["environment", "***"]
    assert found["SOURCES__HUBSPOT__BASE_URL"] == ["environment (BASE_URL)", "***"]
