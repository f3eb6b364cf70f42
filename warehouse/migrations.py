"""The schema version of a warehouse, and the migrations that bring an older one up to date.

The table `schema_version` has a row per migration that was applied. A migration changes tables of
the dataset `onefunnel` only: dlt's tables, with the cursors of the CRMs, stay as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import sqlglot.expressions as sge

from errors import ConfigError, OutdatedWarehouseError
from models import VERSION

if TYPE_CHECKING:
    from warehouse.warehouse import Warehouse

SCHEMA_VERSION = ibis.schema(
    {"version": "int64", "applied_at": "timestamp(6)", "onefunnel_version": "string"}
)


@dataclass(frozen=True)
class Migration:
    """One step from the version before to `version`; it runs in one transaction."""

    version: int
    summary: str
    apply: Callable[["Warehouse"], None]


def migrate(warehouse: "Warehouse") -> None:
    """Apply the migrations that a warehouse lacks, each in a transaction of its own.

    A new warehouse gets the present version. An error rolls the migration back: the warehouse
    keeps the version before.

    Raises: ConfigError: the warehouse has a newer version than this code.
    """
    if schema_version(warehouse) == CURRENT_VERSION:
        return
    # two processes on PostgreSQL must not migrate at once
    warehouse.advisory_lock()
    if schema_version(warehouse) is None:
        with warehouse.transaction():
            _record(warehouse, CURRENT_VERSION)
        return
    for migration in MIGRATIONS:
        if migration.version > _known_version(warehouse):
            with warehouse.transaction():
                migration.apply(warehouse)
                _record(warehouse, migration.version)


def require_current(warehouse: "Warehouse") -> None:
    """Make sure that this code can read a warehouse without a migration.

    Raises: ConfigError: the warehouse has another version.
    """
    if schema_version(warehouse) is not None and (stored := _known_version(warehouse)) != (
        CURRENT_VERSION
    ):
        raise OutdatedWarehouseError(
            f"the warehouse has schema version {stored}, and this code reads version "
            f"{CURRENT_VERSION}. The next `python sync.py run` (or `plan`) migrates it; commands "
            "that only read do not"
        )


def schema_version(warehouse: "Warehouse") -> int | None:
    """Return the version of a warehouse: 0 before versions existed; None for an empty one."""
    names = warehouse.table_names()
    if "schema_version" not in names:
        return 0 if names else None
    stored = warehouse.table("schema_version").version.max().to_pyarrow().as_py()
    return int(stored or 0)


def _known_version(warehouse: "Warehouse") -> int:
    """Return the version of a warehouse.

    Raises: ConfigError: no release of this code made it, or a newer one did.
    """
    stored = schema_version(warehouse)
    if stored is None or not 0 <= stored <= CURRENT_VERSION:
        raise ConfigError(
            f"the warehouse has schema version {stored}, and this code supports versions 0 to "
            f"{CURRENT_VERSION}. Upgrade onefunnel, or set DESTINATION__DUCKDB__CREDENTIALS "
            "(DESTINATION__POSTGRES__CREDENTIALS) to another warehouse"
        )
    return stored


def _record(warehouse: "Warehouse", applied: int) -> None:
    row = {
        "version": applied,
        "applied_at": datetime.now(UTC).replace(tzinfo=None),
        "onefunnel_version": VERSION,
    }
    rows = pa.Table.from_pylist([row], schema=SCHEMA_VERSION.to_pyarrow())
    warehouse.append("schema_version", rows, SCHEMA_VERSION)


def rename_table(warehouse: "Warehouse", name: str, new_name: str) -> None:
    """Rename a table, where it exists and the new name is free."""
    names = warehouse.table_names()
    if name in names and new_name not in names:
        table = warehouse.table_identifier(name).sql(warehouse.engine.compiler.dialect)
        warehouse.engine.raw_sql(f'ALTER TABLE {table} RENAME TO "{new_name}"')


def rename_columns(warehouse: "Warehouse", name: str, columns: Mapping[str, str]) -> None:
    """Rename columns of a table (old -> new), where they exist."""
    if not warehouse.has(name):
        return
    table = warehouse.table_identifier(name).sql(warehouse.engine.compiler.dialect)
    for column in warehouse.table(name).columns:
        if column in columns:
            warehouse.engine.raw_sql(
                f'ALTER TABLE {table} RENAME COLUMN "{column}" TO "{columns[column]}"'
            )


def replace_values(
    warehouse: "Warehouse", name: str, column: str, values: Mapping[str, str]
) -> None:
    """Replace values of a text column (old -> new), where table and column exist."""
    if not warehouse.has(name) or column not in warehouse.table(name).columns:
        return
    identifier = sge.column(column, quoted=True)
    for value, new_value in values.items():
        update = sge.Update(
            this=warehouse.table_identifier(name),
            expressions=[sge.EQ(this=identifier, expression=sge.Literal.string(new_value))],
            where=sge.Where(this=sge.EQ(this=identifier, expression=sge.Literal.string(value))),
        )
        warehouse.engine.raw_sql(update.sql(warehouse.engine.compiler.dialect))


RENAMED_TABLES = {"proofs": "row_checks", "held": "withheld", "lease": "run_lock"}
RENAMED_COLUMNS = {
    "row_checks": {
        "missed": "missing",
        "gone": "deleted",
        "relinked": "reassociated",
        "is_proven": "is_complete",
        "swept_at": "full_check_at",
    },
    "withheld": {"cause": "field_at_fault", "shown": "crm_value", "hold": "hold_reason"},
    "run_lock": {"process": "pid", "until": "expires_at"},
    "changes": {
        "overruled": "was_overwritten",
        "fingerprint": "rule_hash",
        "nth_record": "write_order",
    },
    "record_history": {"read_fields": "mapped_fields"},
}
RENAMED_REASONS = {
    "already_so": "already_set",
    "broken off": "interrupted",
    "changed_meanwhile": "changed_in_crm",
    "changed_since": "changed_after_run",
    "crm_ahead": "crm_stage_higher",
    "emptied_only": "cleared_not_set",
    "no mapping": "not_mapped",
    "no_answer": "no_response",
    "not in that run": "not_in_run",
    "not known yet": "no_lifecycle",
}


def _rename_to_field_terms(warehouse: "Warehouse") -> None:
    for name, new_name in RENAMED_TABLES.items():
        rename_table(warehouse, name, new_name)
    for name, columns in RENAMED_COLUMNS.items():
        rename_columns(warehouse, name, columns)
    replace_values(warehouse, "runs", "status", {"broken off": "interrupted"})
    replace_values(warehouse, "outcomes", "reason", RENAMED_REASONS)
    replace_values(warehouse, "withheld", "hold_reason", RENAMED_REASONS)


def _rename_deleted_to_absent(warehouse: "Warehouse") -> None:
    rename_columns(warehouse, "row_checks", {"deleted": "absent"})


RUN_COLUMNS = dict.fromkeys(("command", "error_class", "error", "plan_run_id"), "string") | {
    "exit_code": "int64"
}


def _add_ends_of_runs(warehouse: "Warehouse") -> None:
    if warehouse.has("runs"):
        warehouse.ensure_table("runs", ibis.schema(RUN_COLUMNS))
    if warehouse.has("outcomes"):
        warehouse.ensure_table("outcomes", ibis.schema({"crm_message": "string"}))


MIGRATIONS = (
    Migration(1, "tables, columns and reasons get the terms of the field", _rename_to_field_terms),
    Migration(
        2, "rows that a CRM does not show are absent, not deleted", _rename_deleted_to_absent
    ),
    Migration(3, "how a run ended, and the CRM's own message about a refusal", _add_ends_of_runs),
)
"""In order, without a gap. A migration that was released is never changed: add the next one."""

CURRENT_VERSION = MIGRATIONS[-1].version
