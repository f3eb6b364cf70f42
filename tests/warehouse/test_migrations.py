"""A warehouse of an older schema version is migrated; one of a newer version is refused."""

from datetime import datetime
from unittest.mock import ANY

import duckdb
import pytest

from errors import ConfigError
from warehouse import migrations, row_checks, run_lock, withheld
from warehouse.changes import CHANGES, OUTCOMES
from warehouse.migrations import CURRENT_VERSION, SCHEMA_VERSION, Migration
from warehouse.runs import load_run
from warehouse.warehouse import open_warehouse

AT = datetime(2026, 3, 1, 4, 0)

VERSION_0 = """
CREATE SCHEMA onefunnel;
CREATE SCHEMA hubspot;
CREATE TABLE onefunnel.runs (run_id VARCHAR, started_at TIMESTAMP, ended_at TIMESTAMP,
    status VARCHAR, definition_id VARCHAR, counts VARCHAR, calls VARCHAR, waited_seconds DOUBLE,
    waits VARCHAR, versions VARCHAR);
INSERT INTO onefunnel.runs VALUES ('1', '2026-03-01 04:00', NULL, 'broken off', 'd', '{}', '{}',
    1.5, '{}', '{}');
CREATE TABLE onefunnel.changes (run_id VARCHAR, change_id VARCHAR, crm VARCHAR, object VARCHAR,
    record_id VARCHAR, person_id VARCHAR, field VARCHAR, before VARCHAR, "after" VARCHAR,
    reason VARCHAR, backward BOOLEAN, is_stage BOOLEAN, overruled BOOLEAN, fingerprint VARCHAR,
    nth_record BIGINT);
INSERT INTO onefunnel.changes VALUES ('1', '1-0-lifecyclestage', 'hubspot', 'contacts', '7',
    'hubspot:contacts:7', 'lifecyclestage', 'lead', 'customer', 'deal_won', false, true, false,
    'f', 0);
CREATE TABLE onefunnel.outcomes (run_id VARCHAR, crm VARCHAR, object VARCHAR, record_id VARCHAR,
    status VARCHAR, reason VARCHAR, error_code VARCHAR, error VARCHAR, field VARCHAR,
    attempts BIGINT, "at" TIMESTAMP);
INSERT INTO onefunnel.outcomes VALUES ('1', 'hubspot', 'contacts', '7', 'unknown', 'no_answer',
    NULL, NULL, NULL, 1, '2026-03-01 04:00');
CREATE TABLE onefunnel.decisions ("at" TIMESTAMP, decision VARCHAR, crm VARCHAR, object VARCHAR,
    record_id VARCHAR, field VARCHAR, value VARCHAR);
INSERT INTO onefunnel.decisions VALUES ('2026-03-01 04:00', 'accept', 'hubspot', 'contacts', '7',
    'lifecyclestage', 'lead');
CREATE TABLE onefunnel.held (run_id VARCHAR, crm VARCHAR, object VARCHAR, record_id VARCHAR,
    person_id VARCHAR, field VARCHAR, cause VARCHAR, shown VARCHAR, "after" VARCHAR,
    reason VARCHAR, hold VARCHAR, error_code VARCHAR, error VARCHAR);
INSERT INTO onefunnel.held VALUES ('1', 'hubspot', 'contacts', '7', 'hubspot:contacts:7',
    'lifecyclestage', 'lifecyclestage', 'customer', 'lead', 'mql', 'crm_ahead', NULL, NULL);
CREATE TABLE onefunnel.lease (run_id VARCHAR, host VARCHAR, process BIGINT, "until" TIMESTAMP);
INSERT INTO onefunnel.lease VALUES ('1', 'elsewhere', 42, '2026-03-01 04:00');
CREATE TABLE onefunnel.proofs (run_id VARCHAR, crm VARCHAR, object VARCHAR, "at" TIMESTAMP,
    records BIGINT, missed BIGINT, gone BIGINT, relinked BIGINT, is_proven BOOLEAN,
    swept_at TIMESTAMP);
INSERT INTO onefunnel.proofs VALUES ('1', 'hubspot', 'contacts', '2026-03-01 04:00', 20, 1, 2, 3,
    true, '2026-03-01 04:00');
CREATE TABLE hubspot._dlt_pipeline_state (version BIGINT, state VARCHAR);
INSERT INTO hubspot._dlt_pipeline_state VALUES (3, 'cursors');
"""
"""The tables of a warehouse from before there were schema versions, with a row each."""


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "w.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"duckdb:///{path}")
    return path


@pytest.fixture
def old_file(file):
    with duckdb.connect(str(file)) as connection:
        connection.execute(VERSION_0)
    return file


def rows(warehouse, name, schema=None):
    table = warehouse.ensure_table(name, schema) if schema else warehouse.table(name)
    return table.to_pyarrow().to_pylist()


def test_a_new_warehouse_has_the_present_version(file):
    with open_warehouse() as warehouse:
        assert rows(warehouse, "schema_version") == [
            {"version": CURRENT_VERSION, "applied_at": ANY, "onefunnel_version": ANY}
        ]


def test_a_warehouse_is_migrated_once(old_file):
    for _ in range(2):
        with open_warehouse() as warehouse:
            versions = [row["version"] for row in rows(warehouse, "schema_version")]

    assert versions == list(range(1, CURRENT_VERSION + 1))


def test_the_journal_survives_the_first_migration(old_file):
    """Runs, changes and outcomes keep their rows, under the present names."""
    with open_warehouse() as warehouse:
        run = load_run(warehouse, "1")
        [change] = rows(warehouse, "changes", CHANGES)
        [outcome] = rows(warehouse, "outcomes", OUTCOMES)

    assert (run.status, run.waited_seconds) == ("interrupted", 1.5)
    assert (change["after"], change["was_overwritten"], change["rule_hash"]) == (
        "customer",
        False,
        "f",
    )
    assert (change["write_order"], change["clear_first"]) == (0, None)
    assert (outcome["status"], outcome["reason"]) == ("unknown", "no_response")


def test_the_third_migration_adds_how_a_run_ended(old_file):
    """A run of an older release keeps its row; what was not known then is NULL."""
    with open_warehouse() as warehouse:
        run = load_run(warehouse, "1")
    with duckdb.connect(str(old_file)) as connection:
        runs = connection.execute("FROM onefunnel.runs").fetch_arrow_table().to_pylist()
        outcomes = connection.execute("FROM onefunnel.outcomes").fetch_arrow_table().to_pylist()

    added = ("command", "error_class", "error", "plan_run_id", "exit_code")
    assert [runs[0][name] for name in added] == [None] * len(added)
    assert outcomes[0]["crm_message"] is None
    assert (run.command, run.exit_code, run.planned_by) == ("run", None, "1")


def test_decisions_and_withheld_fields_survive_the_first_migration(old_file):
    with open_warehouse() as warehouse:
        [decision] = rows(warehouse, "decisions", withheld.DECISIONS)
        [field] = rows(warehouse, "withheld", withheld.WITHHELD)
        has_old_table = warehouse.has("held")

    assert (decision["decision"], decision["value"]) == ("accept", "lead")
    assert (field["field_at_fault"], field["crm_value"], field["hold_reason"]) == (
        "lifecyclestage",
        "customer",
        "crm_stage_higher",
    )
    assert not has_old_table


def test_row_checks_and_the_run_lock_survive_the_first_migration(old_file):
    with open_warehouse() as warehouse:
        [check] = rows(warehouse, "row_checks", row_checks.ROW_CHECKS)
        [lock] = rows(warehouse, "run_lock", run_lock.LOCK)

    assert [check[name] for name in ("missing", "absent", "reassociated", "is_complete")] == [
        1,
        2,
        3,
        True,
    ]
    assert check["full_check_at"] == AT
    assert (lock["pid"], lock["expires_at"]) == (42, AT)


def test_the_cursors_survive_a_migration(old_file):
    """Migrations do not touch dlt's tables: the next extract stays incremental."""
    with open_warehouse() as warehouse:
        state = warehouse.engine.table("_dlt_pipeline_state", database="hubspot")

        assert state.to_pyarrow().to_pylist() == [{"version": 3, "state": "cursors"}]


def test_a_migration_that_fails_leaves_the_version_before(old_file, monkeypatch):
    """Its transaction is rolled back as a whole."""

    def fail(warehouse):
        migrations.rename_table(warehouse, "proofs", "row_checks")
        raise ZeroDivisionError

    monkeypatch.setattr(migrations, "MIGRATIONS", (Migration(1, "fails", fail),))
    with pytest.raises(ZeroDivisionError), open_warehouse():
        pass

    with duckdb.connect(str(old_file)) as connection:
        names = {
            row[0]
            for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        }
    assert "proofs" in names
    assert not {"schema_version", "row_checks"} & names


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("version", [CURRENT_VERSION + 1, -1])
def test_a_newer_or_unknown_version_is_refused(file, version, read_only):
    """The text says which version it is, which this code supports, and what to do."""
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA onefunnel")
        connection.execute(
            "CREATE TABLE onefunnel.schema_version AS SELECT ?::BIGINT AS version", [version]
        )

    with (
        pytest.raises(ConfigError, match=rf"version {version},.*Upgrade onefunnel, or set DEST"),
        open_warehouse(read_only=read_only),
    ):
        pass


def test_a_looking_command_does_not_migrate(old_file):
    """It says that the next run will."""
    before = old_file.read_bytes()

    with (
        pytest.raises(ConfigError, match=r"version 0, .* run` \(or `plan`\) migrates it"),
        open_warehouse(read_only=True),
    ):
        pass

    assert old_file.read_bytes() == before


def test_the_versions_are_consecutive():
    """And the table of versions has its three columns."""
    assert [one.version for one in migrations.MIGRATIONS] == list(range(1, CURRENT_VERSION + 1))
    assert list(SCHEMA_VERSION) == ["version", "applied_at", "onefunnel_version"]
