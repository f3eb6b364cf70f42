"""`doctor`: every fault of an installation at once, each with what to do."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from account_setup.doctor import Diagnosis, diagnose
from account_setup.examine import examine
from config.loader import CONFIG_FOLDER, load_configuration
from connectors import Check
from engines import postgres_server
from errors import SyncError
from models import Finding
from run_helpers import configured_sandbox, run_cli
from sandbox.server import Sandbox
from warehouse.run_lock import open_for_decision, run_lock
from warehouse.warehouse import open_warehouse

SECRET = "pat-na1-marker-of-a-secret"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """Serve both CRMs, and point all settings at them."""
    with configured_sandbox(tmp_path, people=5) as sandbox:
        yield sandbox


def found(subject: str, id: str, diagnosis: Diagnosis | None = None) -> list[tuple[str, str]]:
    """Return status and text of what one check finds."""
    results = (diagnosis or diagnose()).results
    return [(one.status, one.text) for one in results if (one.subject, one.id) == (subject, id)]


def test_a_right_installation_has_no_fault(sandbox: Sandbox) -> None:
    """Exit code 0; warnings are allowed."""
    ended = run_cli("doctor")

    assert (ended.exit_code, "0 faults" in ended.stdout) == (0, True)
    assert max(len(line) for line in ended.stdout.splitlines()) <= 80


def test_all_faults_are_named_at_once(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting, a login, a scope, a field: each has its row with advice, and exit code 2."""
    monkeypatch.setenv("GUARD__MIN_RECORDS", "many")
    monkeypatch.setenv("SOURCES__SALESFORCE__CLIENT_SECRET", SECRET)
    sandbox.hubspot.denied_scopes.add("crm.objects.contacts.write")
    del sandbox.hubspot.tables["contacts"].properties["jobtitle"]

    ended = run_cli("doctor", "--json")

    document = json.loads(ended.stdout)
    faults = [one for one in document["checks"] if one["status"] == "fault"]
    assert ended.exit_code == 2
    assert [(one["subject"], one["id"]) for one in faults] == [
        ("onefunnel", "settings"),
        ("HubSpot", "fields"),
        ("HubSpot", "write"),
        ("Salesforce", "login"),
    ]
    assert all(one["advice"] for one in faults)
    assert document["faults"] == 4
    assert SECRET not in ended.stdout + ended.stderr


def test_what_needs_a_failed_check_is_skipped(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong token makes no fault of every permission."""
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", SECRET)

    results = [one for one in diagnose().results if one.subject == "HubSpot"]

    assert [one.id for one in results if one.status == "fault"] == ["login"]
    assert {one.status for one in results if one.id in ("read", "write", "stage")} == {"skipped"}


@pytest.mark.parametrize(
    ("url", "check", "text"),
    [
        pytest.param("https://no-such-host.invalid", "dns", "is not known", id="unknown name"),
        pytest.param("http://127.0.0.1:1", "tls", "refuses the connection", id="closed port"),
    ],
)
def test_a_wrong_host_is_named(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, url: str, check: str, text: str
) -> None:
    """Before the login, which would try again for minutes."""
    monkeypatch.setenv("SOURCES__HUBSPOT__BASE_URL", url)

    [(status, words)] = found("HubSpot", check)

    assert (status, text in words) == ("fault", True)


def test_hidden_and_missing_fields_differ(sandbox: Sandbox) -> None:
    """An optional field that is missing is a warning of its own."""
    sandbox.salesforce.hide("Lead", "Budget__c")
    table = sandbox.hubspot.tables["contacts"]
    table.archived_properties["bant_need"] = table.properties.pop("bant_need")

    diagnosis = diagnose()

    assert found("Salesforce", "hidden", diagnosis) == [
        ("warning", "Lead: the user does not see Budget__c")
    ]
    assert found("HubSpot", "hidden", diagnosis) == [("warning", "contacts: archived: bant_need")]


@pytest.mark.long
def test_a_crm_without_a_field_for_the_stage_is_a_fault(sandbox: Sandbox) -> None:
    """`check` and `run` refuse it as well; `plan` works, because a plan writes nothing."""
    for object in ("Lead", "Contact"):
        sandbox.salesforce.hide(object, "Lifecycle_Stage__c", "onefunnel_standing__c")

    [(status, text)] = found("Salesforce", "stage")
    ended = [run_cli(command).exit_code for command in ("check", "run", "plan")]

    assert (status, "Contact.onefunnel_standing__c" in text) == ("fault", True)
    assert ended == [2, 2, 0]


def test_sharing_rules_are_a_warning(sandbox: Sandbox) -> None:
    """A user without View All Data may see a part of the records."""
    [(id, row)] = sandbox.salesforce.tables["UserPermissionAccess"].items()
    sandbox.salesforce.tables["UserPermissionAccess"][id] = row | {"PermissionsViewAllData": False}

    assert found("Salesforce", "sharing") == [
        ("warning", "sharing rules may hide records from the user")
    ]


def test_used_up_quotas_are_a_fault_and_reserved_calls_a_warning(sandbox: Sandbox) -> None:
    """The reserve is left for other programs."""
    sandbox.salesforce.daily_limit, sandbox.salesforce.calls_used = 1_000, 950
    sandbox.hubspot.daily_used = sandbox.hubspot.daily_limit

    diagnosis = diagnose()

    assert [status for status, _ in found("Salesforce", "quota", diagnosis)] == ["warning"]
    assert [status for status, _ in found("HubSpot", "quota", diagnosis)] == ["fault"]


@pytest.mark.long
def test_another_account_than_before_is_a_fault(sandbox: Sandbox) -> None:
    """The warehouse knows from which accounts its rows came."""
    run_cli("plan")
    organization = sandbox.salesforce.tables["Organization"]
    [(id, row)] = organization.items()
    del organization[id]
    other = id[:-4] + "9" + id[-3:]
    organization[other] = row | {"Id": other}

    statuses = [status for status, _ in found("Salesforce", "login")]

    assert "fault" in statuses


def test_the_run_lock_is_shown_and_is_no_fault(sandbox: Sandbox) -> None:
    """A run is on, on another machine: its id is named."""
    with run_lock("20260101-000000-test"):
        with open_warehouse() as warehouse:
            warehouse.engine.raw_sql("UPDATE onefunnel.run_lock SET host = 'another'")
        [(status, text)] = found("onefunnel", "lock")

    assert (status, "20260101-000000-test" in text) == ("warning", True)


def test_a_missing_folder_of_the_warehouse_is_a_fault(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file is created to find out."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{tmp_path}/no/w.duckdb")

    [(status, text)] = found("onefunnel", "writable")

    assert (status, f"{tmp_path}/no does not exist" in text) == ("fault", True)
    assert not (tmp_path / "no").exists()


def test_a_foreign_address_of_the_warehouse_is_a_fault(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs the warehouse is skipped; the CRMs are tested all the same."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"mysql://user:{SECRET}@db/onefunnel")

    ended = run_cli("doctor", "--json")

    checks = json.loads(ended.stdout)["checks"]
    statuses = {(one["subject"], one["id"]): one["status"] for one in checks}
    assert statuses["onefunnel", "destination"] == "fault"
    assert statuses["onefunnel", "warehouse"] == statuses["onefunnel", "lock"] == "skipped"
    assert statuses["HubSpot", "login"] == "ok"
    assert SECRET not in ended.stdout + ended.stderr


@pytest.mark.long
def test_a_warehouse_of_another_program_version_is_named(sandbox: Sandbox) -> None:
    """An older one is migrated by the next run; that is no fault."""
    run_cli("plan")
    with open_for_decision() as warehouse:
        warehouse.engine.raw_sql("UPDATE onefunnel.schema_version SET version = 1")

    [(status, text)] = found("onefunnel", "warehouse")

    assert (status, "schema version 1" in text) == ("warning", True)


def test_wrong_files_skip_what_needs_them(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The logins are tested all the same."""
    folder = shutil.copytree(CONFIG_FOLDER, tmp_path / "mappings")
    (folder / "people.yaml").write_text("fields: 3\n")
    monkeypatch.setattr(load_configuration, "__defaults__", (folder,))

    diagnosis = diagnose()

    assert "fault" in [status for status, _ in found("onefunnel", "files", diagnosis)]
    assert [status for status, _ in found("HubSpot", "login", diagnosis)] == ["ok"]
    assert [status for status, _ in found("HubSpot", "write", diagnosis)] == ["skipped"]


def test_a_check_that_raises_is_a_fault_per_line() -> None:
    """An error names several permissions, one a line."""

    def fail(_: object) -> Iterator[Finding]:
        yield Finding("ok", "first")
        raise SyncError("one\ntwo")

    checks = [Check(id="a", title="a", run=fail, advice="do it")]

    results = list(examine("it", checks, object()))

    assert [(one.status, one.text, one.advice) for one in results] == [
        ("ok", "first", ""),
        ("fault", "one", "do it"),
        ("fault", "two", "do it"),
    ]


@pytest.mark.postgres
def test_the_privileges_on_postgresql_are_tested(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user of the test owns the database."""
    with postgres_server() as address:
        monkeypatch.setenv("DESTINATION__NAME", "postgres")
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)
        diagnosis = diagnose()

    assert [status for status, _ in found("onefunnel", "writable", diagnosis)] == ["ok"]
    assert [status for status, _ in found("onefunnel", "warehouse", diagnosis)] == ["ok"]
