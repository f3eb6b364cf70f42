"""onefunnel: one definition of lead, MQL, SQL/prospect and customer in HubSpot and Salesforce.

`run` is the whole flow from top to bottom; the commands in `cli/` call it.
"""

import os
import sys
from pathlib import Path

# before dlt is imported: dlt reads .dlt/ of this checkout, not of the working directory
os.environ.setdefault("DLT_PROJECT_DIR", str(Path(__file__).parent))

if __name__ == "__main__":
    # before the imports below, which take seconds: a command imports them when it needs them
    from cli.main import main

    main()
    sys.exit()

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import ibis.expr.types as ir

from analysis import run_report
from analysis.run_report import Report
from config.loader import Configuration
from models import ProgressReporter
from session import (
    CrmSession,
    catalogs_by_crm,
    connect_all,
    ensure_schema_unchanged,
    mappings_by_crm,
    read_crm_settings,
    require_stage_fields,
)
from settings import raise_problems
from transforms.identity.known_records import Known, known_records, people_on_hold
from transforms.lifecycle.lifecycle import lifecycle
from transforms.planning.crm_agreement import read_crm_stages
from transforms.planning.harm import harm
from transforms.planning.plan import plan
from transforms.planning.undo import undo
from transforms.resolve import resolve
from warehouse import absences, accounts, reconcile, row_checks, runs, status, withheld
from warehouse.attempts import active_run
from warehouse.destination import destination_problems
from warehouse.dlt_runner import run_dlt
from warehouse.erasure import delete_erased_records, load_erasure_settings
from warehouse.known import accept_vanished, load_known, save_known
from warehouse.run_lock import RunLock, lock_ttl
from warehouse.runs import Run
from warehouse.warehouse import Warehouse, open_warehouse
from writeback.api_budget import load_reserve
from writeback.apply import apply_changes, hold_plan, plan_api_budgets
from writeback.behind import behind_reasons
from writeback.guard import check_plan, load_limits


def run(
    configuration: Configuration,
    *,
    write: bool,
    first: bool = False,
    full: bool = False,
    wait: bool = False,
    adopt: bool = False,
    as_of: datetime | None = None,
    current_run: Run | None = None,
    bars: ProgressReporter,
) -> Report:
    """Extract from the CRMs, compute the lifecycle, plan the differences, and write them.

    `as_of` is the time at which the lifecycle is computed (default: now). Without `write` the plan
    is stored and not written. `first` allows the first write into a CRM; without it the guard stops
    a run whose warehouse knows of no write, or is behind a CRM. `full` reads all records again.
    `wait` waits for another run's lock. `adopt` deletes what the warehouse holds of another account
    of a CRM, and starts over. `current_run` is the attempt that a command has begun (default: a new
    one).

    Raises: WarehouseBusyError: another run holds the lock.
            AccountError: a login leads to another account than before; nothing was read.
            ConfigError: a setting or a file is wrong; nothing was read.
            DriftError: an account no longer fits its mapping; nothing was computed or written.
            AccessError, RetryableError: a CRM cannot be read. Rows that were landed or written
            before the error stay, and the next run continues after them.
    """
    require_settings(configuration)
    definition, limits = configuration.definition, load_limits()
    erasure_settings = load_erasure_settings()
    current_run = current_run or new_run("run" if write else "plan", as_of)
    current_run.definition_id = definition.id
    with run_session(current_run, configuration, wait=wait, adopt=adopt) as (lock, crms):
        if write:
            require_stage_fields(configuration, crms)
        extract(current_run, crms, lock, full=full, bars=bars)
        ensure_schema_unchanged(configuration, crms)
        with open_warehouse() as warehouse, warehouse.compiled_sql():
            lock.renew(warehouse)
            mappings, catalogs = mappings_by_crm(crms), catalogs_by_crm(crms)
            source_tables = read_source_tables(warehouse, crms)
            known_before = load_known(warehouse)
            delete_erased_records(
                warehouse,
                configuration,
                crms,
                source_tables,
                erasure_settings,
                as_of=current_run.started_at,
                is_dry_run=not write,
            )
            reconcile.resolve_unknown(warehouse, source_tables, mappings, catalogs)
            resolved = resolve(
                mappings,
                source_tables,
                configuration.people,
                definition,
                as_of=current_run.started_at,
                known_before=known_before,
                table_store=warehouse,
            )
            lifecycle_tables = warehouse.save_lifecycle(
                lifecycle(
                    resolved.people,
                    resolved.field_since,
                    resolved.events,
                    definition,
                    as_of=current_run.started_at,
                    materialize=warehouse.materialize,
                )
            )
            known_now = warehouse.materialize(
                "known_now",
                known_records(
                    resolved.records,
                    lifecycle_tables.lifecycle,
                    known_before.records,
                    mappings,
                    definition,
                    absent=absences.all_absent(warehouse),
                    as_of=current_run.started_at,
                ),
            )
            write_history = withheld.write_history(warehouse)
            change_plan = plan(
                resolved.records,
                lifecycle_tables.lifecycle,
                source_tables,
                mappings,
                catalogs,
                definition,
                write_history=write_history,
                absent=absences.records_of_absent_people(warehouse, resolved.records),
                held_people=people_on_hold(known_now),
                as_of=current_run.started_at,
                materialize=warehouse.materialize,
            )
            # the plan is stored before the first write: what is planned survives a crash
            runs.write_plan(warehouse, current_run, change_plan)
            withheld.save_withheld(warehouse, current_run, change_plan.held)
            behind = behind_reasons(warehouse, crms, source_tables, write_history.attempts)
            guard_results = check_plan(
                harm(
                    change_plan.changes,
                    resolved.records,
                    known_before.records,
                    known_now,
                    source_tables,
                    mappings,
                ),
                change_plan.changes,
                mappings,
                limits=limits,
                written_crms=runs.written_crms(warehouse),
                behind=behind,
                first=first,
            )
            save_known(warehouse, Known(known_now, resolved.address_owners))
            report = run_report.build_report(
                current_run,
                definition,
                lifecycle_tables,
                read_crm_stages(resolved.records, source_tables, mappings, definition),
                change_plan,
                resolved,
                source_tables,
                crms,
                guard_results,
            )
            plan_api_budgets(warehouse, current_run, crms, since=current_run.started_at)
            if not write:
                hold_plan(warehouse, current_run, crms, status="planned", reason="approval")
            elif any(result.is_stopped for result in guard_results):
                hold_plan(warehouse, current_run, crms, status="stopped", reason="guard")
            else:
                accept_vanished(warehouse, until=current_run.started_at)
                apply_changes(warehouse, current_run, crms, lock, bars=bars)
            report.records = status.outcome_counts(warehouse, current_run.run_id)
            current_run.counts |= report.counts()
            return report


def dry_run_as_of(configuration: Configuration, at: datetime, *, bars: ProgressReporter) -> Report:
    """Plan with a full refresh and the lifecycle as of a time; write nothing."""
    return run(configuration, write=False, full=True, as_of=at, bars=bars)


def new_run(command: str, at: datetime | None = None) -> Run:
    """Begin an attempt now, or as of a time."""
    return Run(None, at or datetime.now(UTC), command=command)


def require_settings(configuration: Configuration) -> None:
    """Check all settings of a run before its first call.

    Raises: ConfigError naming every bad or missing setting: of the guard, the erasure, the quota,
    the lock, the warehouse and of each CRM that has a mapping.
    """
    problems: list[str] = []
    load_limits(problems)
    load_erasure_settings(problems)
    load_reserve(problems)
    lock_ttl(problems)
    problems += destination_problems()
    read_crm_settings(configuration.mappings, problems)
    raise_problems(problems)


@contextmanager
def run_session(
    current_run: Run, configuration: Configuration, *, wait: bool, adopt: bool = False
) -> Iterator[tuple[RunLock, list[CrmSession]]]:
    """Hold the run lock, connect to the accounts of before, and store how the run ends."""
    with active_run(current_run, wait=wait) as lock:
        with open_warehouse() as warehouse:
            source_types = {crm: warehouse.source_types(crm) for crm in configuration.mappings}
            known_accounts = accounts.known_accounts(warehouse)
        if adopt:
            crms = connect_all(configuration)
        else:
            crms = connect_all(configuration, source_types, known_accounts=known_accounts)
        current_run.clients = {crm.crm: crm.client for crm in crms}
        with open_warehouse() as warehouse:
            accounts.save_accounts(warehouse, {crm.crm: crm.account for crm in crms})
        yield lock, crms


def extract(
    current_run: Run, crms: list[CrmSession], lock: RunLock, *, full: bool, bars: ProgressReporter
) -> None:
    """Land the changed records of each CRM (`full`: all records) and store what was compared.

    For an erased record that a CRM shows again the logs are read again from the beginning: its
    rows in them were deleted.
    """
    reserve = load_reserve()
    with open_warehouse() as warehouse:
        last_full_check = {crm.crm: row_checks.last_full_check(warehouse, crm.crm) for crm in crms}
        known_absent = {crm.crm: absences.known_absences(warehouse, crm.crm) for crm in crms}
    for crm in crms:
        read = partial(
            crm.extract,
            reserve=reserve,
            last_full_check=last_full_check[crm.crm],
            known_absent=known_absent[crm.crm],
            progress=bars.extract_callback(crm.crm, lock.renew_if_due),
        )
        verification = run_dlt(crm.crm, partial(read, full=full))
        with open_warehouse() as warehouse:
            row_checks.save_row_checks(
                warehouse, current_run.run_id, crm.crm, verification.row_checks
            )
            absences.save_absences(
                warehouse,
                crm,
                verification,
                last_full_check=last_full_check[crm.crm],
                at=current_run.started_at,
            )
            has_returned = absences.forget_returned(warehouse, crm)
        if has_returned and not full:
            run_dlt(crm.crm, partial(read, full=True, only=crm.logs()))


def apply_run(
    configuration: Configuration,
    run_id: str,
    *,
    limit: int | None = None,
    wait: bool = False,
    current_run: Run | None = None,
    bars: ProgressReporter,
) -> Report:
    """Write the stored plan of a run; hold each record that changed in the CRM since the plan.

    `limit` is the largest number of records to write; the rest stays in the plan. The `apply` is a
    run of its own, with its own times and calls; the outcomes are those of the plan.

    Raises: WarehouseBusyError: another run holds the lock. ConfigError: the run is unknown.
    """
    require_settings(configuration)
    current_run = current_run or new_run("apply")
    with open_warehouse() as warehouse:
        planned = runs.load_plan(warehouse, run_id)
    current_run.plan_run_id, current_run.definition_id = planned.run_id, planned.definition_id
    with run_session(current_run, configuration, wait=wait) as (lock, crms):
        ensure_schema_unchanged(configuration, crms)
        with open_warehouse() as warehouse, warehouse.compiled_sql():
            accept_vanished(warehouse, until=planned.started_at)
            apply_changes(warehouse, current_run, crms, lock, limit=limit, bars=bars)
            report = run_report.build_apply_report(
                current_run, status.outcome_counts(warehouse, planned.run_id)
            )
            current_run.counts |= {"records": report.records}
            if not any(row["reason"] == "limit" for row in report.records):
                planned.status = "done"
                runs.save_run(warehouse, planned)
            return report


def undo_run(
    configuration: Configuration,
    run_id: str,
    *,
    write: bool,
    record_id: str | None = None,
    field: str | None = None,
    wait: bool = False,
    current_run: Run | None = None,
    bars: ProgressReporter,
) -> Report:
    """Restore the values that a run replaced, where the CRM still has the value it wrote.

    `record_id` and `field` select one record or one field. The undo is a run of its own: it can be
    planned, applied and undone like any other.

    Raises: WarehouseBusyError: another run holds the lock.
            ConfigError: the run is unknown, or wrote nothing to this record or field.
    """
    require_settings(configuration)
    current_run = current_run or new_run("undo")
    current_run.definition_id = configuration.definition.id
    with open_warehouse() as warehouse:
        undone_id = runs.load_plan(warehouse, run_id).run_id
        withheld.require_written(warehouse, undone_id, record_id=record_id, field=field)
    with run_session(current_run, configuration, wait=wait) as (lock, crms):
        extract(current_run, crms, lock, full=False, bars=bars)
        ensure_schema_unchanged(configuration, crms)
        with open_warehouse() as warehouse, warehouse.compiled_sql():
            lock.renew(warehouse)
            mappings, catalogs = mappings_by_crm(crms), catalogs_by_crm(crms)
            source_tables = read_source_tables(warehouse, crms)
            reconcile.resolve_unknown(warehouse, source_tables, mappings, catalogs)
            undo_plan = undo(
                withheld.fields_written(warehouse, undone_id, record_id=record_id, field=field),
                warehouse.table("records"),
                source_tables,
                mappings,
                catalogs,
                materialize=warehouse.materialize,
            )
            runs.write_plan(warehouse, current_run, undo_plan)
            report = run_report.build_undo_report(current_run, undo_plan, crms)
            if write:
                apply_changes(warehouse, current_run, crms, lock, bars=bars)
            else:
                hold_plan(warehouse, current_run, crms, status="planned", reason="approval")
            report.records = status.outcome_counts(warehouse, current_run.run_id)
            current_run.counts |= {"undo": undone_id, "records": report.records}
            return report


def read_source_tables(
    warehouse: Warehouse, crms: list[CrmSession]
) -> dict[str, Mapping[str, ir.Table]]:
    """Return the landed tables of each CRM: crm -> object -> table, in the CRM's own names."""
    return {crm.crm: warehouse.source_tables(crm.crm, crm.selected_fields) for crm in crms}
