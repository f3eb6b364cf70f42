"""One CRM alone: a CRM without a mapping file is off, and all commands work without it."""

import json
import shutil

import pytest

from config.loader import CONFIG_FOLDER, load_configuration
from run_helpers import configured_sandbox, run_cli, table_rows

OTHER = {"hubspot": "salesforce", "salesforce": "hubspot"}


@pytest.mark.parametrize("crm", OTHER)
def test_every_command_works_with_one_crm(crm, tmp_path, monkeypatch):
    """The mappings of this repository, without the file of the other CRM and its settings."""
    folder = shutil.copytree(CONFIG_FOLDER, tmp_path / "mappings")
    (folder / f"{OTHER[crm]}.yaml").unlink()
    monkeypatch.setattr(load_configuration, "__defaults__", (folder,))
    with configured_sandbox(tmp_path, people=20):
        for name in ("ACCESS_TOKEN", "CLIENT_ID"):
            monkeypatch.delenv(f"SOURCES__{OTHER[crm].upper()}__{name}", raising=False)
        results = [run_cli("check"), run_cli("plan"), run_cli("run")]
        runs = json.loads(run_cli("status", "--json").stdout)["runs"]
        record = next(row for row in table_rows("records") if not row["deleted"])
        results += [run_cli("explain", record["record_id"]), run_cli("undo", runs[0]["run_id"])]

    assert [(one.exit_code, one.stderr) for one in results if one.exit_code] == []
    assert f"{OTHER[crm]}: off" in results[0].stdout
    assert {row["crm"] for row in table_rows("outcomes")} == {crm}
