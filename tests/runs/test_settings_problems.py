"""All settings of a run are checked at once, before its first call."""

from pathlib import Path

import pytest

from run_helpers import configured_sandbox, run_cli
from warehouse.warehouse import open_warehouse

SECRET = "planted-secret"

BAD_SETTINGS = {
    "GUARD__MAX_CHANGED_RATIO": "nan",
    "GUARD__MAX_DEMOTED_RATIO": "inf",
    "GUARD__MIN_RECORDS": "inf",
    "ERASURE__WAIT_HOURS": "inf",
    "QUOTA__RESERVE": "nan",
    "LOCK__TTL_MINUTES": "inf",
    "DESTINATION__DUCKDB__CREDENTIALS": f"mysql://u:{SECRET}@host/db",
    "SOURCES__HUBSPOT__ACCESS_TOKEN": f"{SECRET}\n",
    "SOURCES__HUBSPOT__BASE_URL": "https://api.hubapi.com/crm",
    "SOURCES__SALESFORCE__INSTANCE_URL": "https://acme my.salesforce.com",
    "SOURCES__SALESFORCE__CLIENT_SECRET": f" {SECRET}",
}


@pytest.mark.parametrize(
    "command", [["run"], ["plan"], ["apply", "RUN"], ["undo", "RUN"], ["check"]], ids=" ".join
)
def test_every_bad_setting_is_named_at_once(command: list[str], tmp_path: Path) -> None:
    """Of guard, erasure, quota, lock, warehouse and both CRMs; no value is repeated."""
    with configured_sandbox(tmp_path, people=1) as sandbox, pytest.MonkeyPatch.context() as env:
        for name, value in BAD_SETTINGS.items():
            env.setenv(name, value)

        result = run_cli(*command)

        assert result.exit_code == 2
        lines = result.stderr.removeprefix("Configuration error: ").splitlines()
        assert [line.partition(" ")[0] for line in lines] == list(BAD_SETTINGS)
        assert SECRET not in result.stderr
        assert sum(calls["total"] for calls in sandbox.faults.calls().values()) == 0


def test_a_person_without_a_name_is_wrong_usage(tmp_path: Path) -> None:
    """Also one of blanks."""
    with configured_sandbox(tmp_path, people=1):
        with open_warehouse():
            pass

        assert [run_cli("explain", person).exit_code for person in ("", "  ")] == [2, 2]
