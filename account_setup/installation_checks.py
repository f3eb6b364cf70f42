"""The checks of `doctor` that are about no CRM: files, settings, warehouse, run lock.

To add a check, write a function that yields findings, and add a row to CHECKS.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from config.loader import (
    CONFIG_FOLDER,
    Configuration,
    configuration_warnings,
    load_configuration,
)
from connectors import Check, crm_names
from errors import OutdatedWarehouseError, WarehouseBusyError
from models import Account, Finding
from settings import SettingOrigin, setting_origins, value_origin
from warehouse import accounts, migrations
from warehouse.destination import destination_problems, duckdb_file
from warehouse.erasure import ErasureSettings, load_erasure_settings
from warehouse.file_wait import FileWaitSettings
from warehouse.run_lock import LockSettings, lock_holder, lock_ttl
from warehouse.warehouse import DATASET, open_warehouse
from writeback.api_budget import QuotaSettings, load_reserve
from writeback.guard import Limits, load_limits

SETTINGS = (
    (Limits, "guard"),
    (QuotaSettings, "quota"),
    (ErasureSettings, "erasure"),
    (LockSettings, "lock"),
    (FileWaitSettings, "lock"),
)
"""The groups of settings that belong to no CRM."""

MIN_FREE_BYTES = 500_000_000


class Installation:
    """What the checks of this module find, for those of the CRMs."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self.configuration: Configuration | None = None
        self.known_accounts: dict[str, Account] = {}

    def crms(self) -> list[str]:
        """Return the CRMs that have a mapping file, also where the file has errors."""
        if self.configuration is not None:
            return list(self.configuration.mappings)
        return [crm for crm in crm_names() if (CONFIG_FOLDER / f"{crm}.yaml").exists()]


def general_setting_origins() -> list[SettingOrigin]:
    """Return where each setting comes from that belongs to no CRM."""
    groups = [setting_origins(empty(), section) for empty, section in SETTINGS]
    return [
        *(origin for group in groups for origin in group),
        value_origin("destination.name"),
        value_origin("destination.duckdb.credentials", is_secret=True),
        value_origin("destination.postgres.credentials", is_secret=True),
    ]


def _files(installation: Installation) -> Iterator[Finding]:
    installation.configuration = load_configuration()
    for warning in configuration_warnings(installation.configuration):
        yield Finding("warning", str(warning))
    yield Finding("ok", f"definition {installation.configuration.definition.id}")


def _settings(_: Installation) -> Iterator[Finding]:
    problems: list[str] = []
    load_limits(problems)
    load_reserve(problems)
    load_erasure_settings(problems)
    lock_ttl(problems)
    for problem in problems:
        yield Finding("fault", problem)


def _destination(_: Installation) -> Iterator[Finding]:
    for problem in destination_problems():
        yield Finding("fault", problem)


def _warehouse(installation: Installation) -> Iterator[Finding]:
    file = duckdb_file()
    if file and not file.exists():
        yield Finding("ok", f"{file} does not exist yet: the first run creates it")
        return
    try:
        with open_warehouse(read_only=True) as warehouse:
            version = migrations.schema_version(warehouse)
            installation.known_accounts = accounts.known_accounts(warehouse)
    except WarehouseBusyError:
        advice = "Nothing, if a run is on. Else close the program that has the file open."
        yield Finding("warning", f"{file} is open in another program", advice)
    except OutdatedWarehouseError as error:
        yield Finding("warning", str(error), "Nothing: the next run or plan migrates it.")
    else:
        state = "is empty" if version is None else f"has schema version {version}"
        yield Finding("ok", f"{file or 'the PostgreSQL database'} {state}")


def _writable(_: Installation) -> Iterator[Finding]:
    file = duckdb_file()
    if file is None:
        yield from _writable_database()
        return
    folder = file.absolute().parent
    if not folder.is_dir():
        yield Finding("fault", f"the folder {folder} does not exist")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("fault", f"the folder {folder} is not writable")
    elif file.exists() and not os.access(file, os.R_OK | os.W_OK):
        yield Finding("fault", f"the file {file} is not writable")
    else:
        yield from _free_space(folder)


def _free_space(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:,.1f} GB are free in {folder}"
    is_little = free < MIN_FREE_BYTES
    yield Finding("warning" if is_little else "ok", text, "Make room, or use another folder.")


def _writable_database() -> Iterator[Finding]:
    """Ask PostgreSQL for the privileges, because a trial would leave a trace."""
    with open_warehouse(read_only=True) as warehouse:
        question = (
            "SELECT pg_is_in_recovery(), has_database_privilege(current_database(), 'CREATE'),"
            f" coalesce(has_schema_privilege(to_regnamespace('{DATASET}')::oid, 'CREATE'), false)"
        )
        [(is_replica, may_create, may_write)] = warehouse.engine.raw_sql(question).fetchall()
    if is_replica:
        yield Finding("fault", "this PostgreSQL server is a replica, which takes no writes")
    elif not (may_create or may_write):
        yield Finding(
            "fault",
            "the user of PostgreSQL may not create schemas in this database",
            "Run GRANT CREATE ON DATABASE ... TO ... as the owner of the database.",
        )


def _lock(_: Installation) -> Iterator[Finding]:
    file = duckdb_file()
    if file and not file.exists():
        return
    try:
        with open_warehouse(read_only=True) as warehouse:
            holder = lock_holder(warehouse)
    except (WarehouseBusyError, OutdatedWarehouseError):
        yield Finding("skipped", "the warehouse cannot be read now")
        return
    if holder is None:
        yield Finding("ok", "free")
    else:
        text = f"run {holder['run_id']} holds it until {holder['expires_at']:%H:%M:%S} UTC"
        yield Finding("warning", f"{text}, unless the run extends it")


CHECKS: tuple[Check[Installation], ...] = (
    Check(
        id="files",
        title="mapping files",
        run=_files,
        advice="Correct this line; docs/mappings.md and docs/definition.md describe the words.",
    ),
    Check(
        id="settings",
        title="settings",
        run=_settings,
        advice="Correct the setting, or take it out to use the default.",
    ),
    Check(
        id="destination",
        title="warehouse settings",
        run=_destination,
        advice="Correct the setting, or take it out to use a DuckDB file in the checkout.",
    ),
    Check(
        id="warehouse",
        title="warehouse",
        run=_warehouse,
        needs=("destination",),
        advice="Correct DESTINATION__DUCKDB__CREDENTIALS or DESTINATION__POSTGRES__CREDENTIALS.",
    ),
    Check(
        id="writable",
        title="warehouse writable",
        run=_writable,
        advice="Create the folder or permit it to this user, or set"
        " DESTINATION__DUCKDB__CREDENTIALS to another file.",
        needs=("warehouse",),
    ),
    Check(
        id="lock",
        title="run lock",
        run=_lock,
        advice="Wait for that run, or start the next one with --wait-for-lock.",
        needs=("warehouse",),
    ),
)
