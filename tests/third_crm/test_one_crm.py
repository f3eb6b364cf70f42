"""One CRM alone: a CRM without a mapping file is off, and all commands work without it."""

import json
import shutil

import pytest

from config.loader import CONFIG_FOLDER, load_configuration
from connectors import crm_label
from run_helpers import configured_sandbox, run_cli, table_rows

OTHER = {"hubspot": "salesforce", "salesforce": "hubspot"}


@pytest.mark.long
@pytest.mark.parametrize("crm", OTHER)
def test_every_command_works_with_one_crm(crm, tmp_path, monkeypatch):
    """The mappings of this repository, without the file of the other CRM and its settings."""
    folder = shutil.copytree(CONFIG_FOLDER, tmp_path / "mappings")
    (folder / f"{OTHER[crm]}.yaml").unlink()
    monkeypatch.setattr(load_configuration, "__defaults__", (folder,))
    with configured_sandbox(tmp_path, people=20):
        checked = succeed("check")
        examined = json.loads(succeed("doctor", "--json"))
        succeed("fields")
        succeed("plan")
        succeed("run", "--first")
        record = next(row for row in table_rows("records") if not row["deleted"])
        succeed("explain", record["record_id"])
        crms = {row["crm"] for row in table_rows("outcomes")}
        succeed("undo", json.loads(succeed("status", "--json"))["runs"][0]["run_id"])

    assert f"{OTHER[crm]}: off" in checked
    assert crms == {crm}
    assert {one["subject"] for one in examined["checks"]} == {"onefunnel", crm_label(crm)}


def succeed(*arguments: str) -> str:
    """Run a command that must exit with 0, and return what it printed."""
    result = run_cli(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout
