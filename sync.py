"""onefunnel: one definition of lead, MQL, SQL/prospect and customer, kept true in both CRMs.

`run` is the whole flow, from top to bottom; `cli/` holds the commands that call it.
"""

import os
import sys
from pathlib import Path

# before dlt is imported: it looks for its settings in the checkout, not in the working directory
os.environ.setdefault("DLT_PROJECT_DIR", str(Path(__file__).parent))

if __name__ == "__main__":
    # before the imports of the flow: a command imports them when it needs them
    from cli.main import main

    main()
    sys.exit()

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from analysis import run_report
from analysis.run_report import Report
from config.loader import Configuration
from models import ProgressReporter
from session import CrmSession, connect_all, ensure_schema_unchanged, mappings_by_crm
from transforms.lifecycle.lifecycle import lifecycle
from transforms.planning.crm_agreement import read_crm_stages
from transforms.planning.plan import plan
from transforms.planning.undo import undo
from transforms.resolve import resolve
from warehouse import reconcile, row_checks, runs, status, withheld
from warehouse.erasure import delete_erased_people
from warehouse.run_lock import RunLock, run_lock
from warehouse.runs import Run, track_run
from warehouse.warehouse import open_warehouse, run_dlt
from writeback.apply import apply_changes, hold_plan, plan_api_budgets
from writeback.guard import check_plan, load_limits


def run(
    configuration: Configuration,
    *,
    write: bool,
    full: bool = False,
    wait: bool = False,
    as_of: datetime | None = None,
    bars: ProgressReporter,
) -> Report:
    """Pull both CRMs, decide with one definition, write back what is wrong.

    `as_of` is the moment of the decision, by default the present.

    Raises: HeldError where another run is under way; ConfigError before the first pull;
            DriftError after it, where an account no longer fits its mapping; AccessError,
            RetryableError where a CRM cannot be read. What was landed or written by then stays,
            and the next run goes on from it.
    """
    definition, limits = configuration.definition, load_limits()
    current_run = Run(definition.id, started_at=as_of or datetime.now(UTC))
    with run_session(current_run, configuration, wait=wait) as (lock, crms):
        extract(current_run, crms, lock, full=full, bars=bars)
        ensure_schema_unchanged(configuration, crms)
        with open_warehouse() as warehouse:
            lock.renew(warehouse)
            mappings, catalogs = mappings_by_crm(crms), {crm.crm: crm.catalog for crm in crms}
            source_tables = {
                crm.crm: warehouse.source_tables(crm.crm, crm.selected_fields) for crm in crms
            }
            delete_erased_people(warehouse, configuration, crms, source_tables)
            reconcile.resolve_unknown(warehouse, source_tables, mappings, catalogs)
            resolved = resolve(
                mappings,
                source_tables,
                configuration.people,
                definition,
                as_of=current_run.started_at,
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
            change_plan = plan(
                resolved.records,
                lifecycle_tables.lifecycle,
                source_tables,
                mappings,
                catalogs,
                definition,
                write_history=withheld.write_history(warehouse),
                as_of=current_run.started_at,
                materialize=warehouse.materialize,
            )
            runs.write_plan(warehouse, current_run, change_plan)
            withheld.save_withheld(warehouse, current_run, change_plan.held)
            guard_results = check_plan(
                change_plan, mappings, limits=limits, written_crms=runs.written_crms(warehouse)
            )
            crm_stages = read_crm_stages(resolved.records, source_tables, mappings, definition)
            report = run_report.build_report(
                current_run,
                definition,
                lifecycle_tables,
                crm_stages,
                change_plan,
                resolved,
                crms,
                guard_results,
            )
            plan_api_budgets(warehouse, current_run, crms, since=current_run.started_at)
            if not write:
                hold_plan(warehouse, current_run, crms, status="planned", reason="approval")
            elif any(result.is_stopped for result in guard_results):
                hold_plan(warehouse, current_run, crms, status="stopped", reason="guard")
            else:
                apply_changes(warehouse, current_run, crms, lock, bars=bars)
            report.records = status.outcome_counts(warehouse, current_run.run_id)
            current_run.counts |= report.counts()
            return report


def dry_run_as_of(configuration: Configuration, at: datetime, *, bars: ProgressReporter) -> Report:
    """Plan as of a moment from a full pull, and write nothing."""
    return run(configuration, write=False, full=True, as_of=at, bars=bars)


@contextmanager
def run_session(
    current_run: Run, configuration: Configuration, *, wait: bool
) -> Iterator[tuple[RunLock, list[CrmSession]]]:
    """Hold the lease, log in to both CRMs, and store how the run ends."""
    with run_lock(current_run.run_id, wait=wait) as lock:
        with open_warehouse() as warehouse:
            runs.mark_interrupted(warehouse)
            source_types = {crm: warehouse.source_types(crm) for crm in configuration.mappings}
        crms = connect_all(configuration, source_types)
        with track_run(current_run, {crm.crm: crm.client for crm in crms}):
            yield lock, crms


def extract(
    current_run: Run, crms: list[CrmSession], lock: RunLock, *, full: bool, bars: ProgressReporter
) -> None:
    """Land what changed in each CRM (`full`: everything), and journal how it was proven."""
    with open_warehouse() as warehouse:
        last_full_check = {crm.crm: row_checks.last_full_check(warehouse, crm.crm) for crm in crms}
    for crm in crms:
        report_progress = bars.extract_callback(crm.crm, lock.renew_if_due)
        checks = run_dlt(
            crm.crm,
            partial(
                crm.extract,
                last_full_check=last_full_check[crm.crm],
                full=full,
                progress=report_progress,
            ),
        )
        with open_warehouse() as warehouse:
            row_checks.save_row_checks(warehouse, current_run.run_id, crm.crm, checks)


def apply_run(
    configuration: Configuration, run_id: str, *, wait: bool = False, bars: ProgressReporter
) -> Report:
    """Write a plan that was made before; what was edited meanwhile is held.

    Raises: HeldError where another run is under way; ConfigError where no such run is known.
    """
    with open_warehouse() as warehouse:
        current_run = runs.load_run(warehouse, run_id)
    with run_session(current_run, configuration, wait=wait) as (lock, crms):
        ensure_schema_unchanged(configuration, crms)
        with open_warehouse() as warehouse:
            apply_changes(warehouse, current_run, crms, lock, bars=bars)
            return run_report.build_apply_report(
                current_run, status.outcome_counts(warehouse, run_id)
            )


def undo_run(
    configuration: Configuration,
    run_id: str,
    *,
    write: bool,
    wait: bool = False,
    bars: ProgressReporter,
) -> Report:
    """Write back what a run replaced, where the CRM still holds what it wrote; list the rest.

    It is a run of its own: previewed, applied and undone like any other.

    Raises: HeldError where another run is under way; ConfigError where no such run is known.
    """
    with open_warehouse() as warehouse:
        runs.load_run(warehouse, run_id)
    current_run = Run(configuration.definition.id, started_at=datetime.now(UTC))
    with run_session(current_run, configuration, wait=wait) as (lock, crms):
        extract(current_run, crms, lock, full=False, bars=bars)
        ensure_schema_unchanged(configuration, crms)
        with open_warehouse() as warehouse:
            lock.renew(warehouse)
            mappings, catalogs = mappings_by_crm(crms), {crm.crm: crm.catalog for crm in crms}
            source_tables = {
                crm.crm: warehouse.source_tables(crm.crm, crm.selected_fields) for crm in crms
            }
            reconcile.resolve_unknown(warehouse, source_tables, mappings, catalogs)
            undo_plan = undo(
                withheld.fields_written(warehouse, run_id),
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
            current_run.counts |= {"undo": run_id, "records": report.records}
            return report
