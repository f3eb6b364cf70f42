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
from session import Connection, by_crm, fit, log_in
from transforms.lifecycle.lifecycle import lifecycle
from transforms.planning.crm_agreement import said
from transforms.planning.plan import plan
from transforms.planning.undo import undo
from transforms.resolve import resolve
from warehouse import reconcile, row_checks, runs, status, withheld
from warehouse.erasure import forget_erased
from warehouse.run_lock import Lease, leased
from warehouse.runs import Run, recorded
from warehouse.warehouse import land, opened
from writeback.apply import apply_changes, budgets, hold_all
from writeback.guard import guard, limits


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
    definition, allowed = configuration.definition, limits()
    this = Run(definition.id, started_at=as_of or datetime.now(UTC))
    with begun(this, configuration, wait=wait) as (lease, crms):
        pull(this, crms, lease, full=full, bars=bars)
        fit(configuration, crms)
        with opened() as warehouse:
            lease.renew(warehouse)
            mappings, catalogs = by_crm(crms), {crm.crm: crm.catalog for crm in crms}
            landed = {crm.crm: warehouse.landed(crm.crm, crm.wanted) for crm in crms}
            forget_erased(warehouse, configuration, crms, landed)
            reconcile.settle(warehouse, landed, mappings, catalogs)
            found = resolve(
                mappings,
                landed,
                configuration.people,
                definition,
                as_of=this.started_at,
                tools=warehouse,
            )
            answer = warehouse.keep(
                lifecycle(
                    found.people,
                    found.field_since,
                    found.events,
                    definition,
                    as_of=this.started_at,
                    store=warehouse.step,
                )
            )
            wrong = plan(
                found.records,
                answer.lifecycle,
                landed,
                mappings,
                catalogs,
                definition,
                past=withheld.past(warehouse),
                as_of=this.started_at,
                store=warehouse.step,
            )
            runs.write_plan(warehouse, this, wrong)
            withheld.write_held(warehouse, this, wrong.held)
            verdicts = guard(
                wrong, mappings, limits=allowed, written_before=runs.written_to(warehouse)
            )
            shown = said(found.records, landed, mappings, definition)
            told = run_report.of(this, definition, answer, shown, wrong, found, crms, verdicts)
            budgets(warehouse, this, crms, since=this.started_at)
            if not write:
                hold_all(warehouse, this, crms, status="planned", reason="approval")
            elif any(verdict.is_stopped for verdict in verdicts):
                hold_all(warehouse, this, crms, status="stopped", reason="guard")
            else:
                apply_changes(warehouse, this, crms, lease, bars=bars)
            told.records = status.account(warehouse, this.run_id)
            this.counts |= told.counts()
            return told


def planned(configuration: Configuration, at: datetime, *, bars: ProgressReporter) -> Report:
    """Plan as of a moment from a full pull, and write nothing."""
    return run(configuration, write=False, full=True, as_of=at, bars=bars)


@contextmanager
def begun(
    this: Run, configuration: Configuration, *, wait: bool
) -> Iterator[tuple[Lease, list[Connection]]]:
    """Hold the lease, log in to both CRMs, and store how the run ends."""
    with leased(this.run_id, wait=wait) as lease:
        with opened() as warehouse:
            runs.close_killed(warehouse)
            landed = {crm: warehouse.landed_types(crm) for crm in configuration.mappings}
        crms = log_in(configuration, landed)
        with recorded(this, {crm.crm: crm.client for crm in crms}):
            yield lease, crms


def pull(
    this: Run, crms: list[Connection], lease: Lease, *, full: bool, bars: ProgressReporter
) -> None:
    """Land what changed in each CRM (`full`: everything), and journal how it was proven."""
    with opened() as warehouse:
        swept = {crm.crm: row_checks.swept(warehouse, crm.crm) for crm in crms}
    for crm in crms:
        shown = bars.reading(crm.crm, lease.renew_if_due)
        found = land(crm.crm, partial(crm.pull, swept=swept[crm.crm], full=full, progress=shown))
        with opened() as warehouse:
            row_checks.write(warehouse, this.run_id, crm.crm, found)


def apply_run(
    configuration: Configuration, run_id: str, *, wait: bool = False, bars: ProgressReporter
) -> Report:
    """Write a plan that was made before; what was edited meanwhile is held.

    Raises: HeldError where another run is under way; ConfigError where no such run is known.
    """
    with opened() as warehouse:
        this = runs.load(warehouse, run_id)
    with begun(this, configuration, wait=wait) as (lease, crms):
        fit(configuration, crms)
        with opened() as warehouse:
            apply_changes(warehouse, this, crms, lease, bars=bars)
            return run_report.of_outcomes(this, status.account(warehouse, run_id))


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
    with opened() as warehouse:
        runs.load(warehouse, run_id)
    this = Run(configuration.definition.id, started_at=datetime.now(UTC))
    with begun(this, configuration, wait=wait) as (lease, crms):
        pull(this, crms, lease, full=False, bars=bars)
        fit(configuration, crms)
        with opened() as warehouse:
            lease.renew(warehouse)
            mappings, catalogs = by_crm(crms), {crm.crm: crm.catalog for crm in crms}
            landed = {crm.crm: warehouse.landed(crm.crm, crm.wanted) for crm in crms}
            reconcile.settle(warehouse, landed, mappings, catalogs)
            back = undo(
                withheld.written(warehouse, run_id),
                warehouse.table("records"),
                landed,
                mappings,
                catalogs,
                store=warehouse.step,
            )
            runs.write_plan(warehouse, this, back)
            told = run_report.of_undo(this, back, crms)
            if write:
                apply_changes(warehouse, this, crms, lease, bars=bars)
            else:
                hold_all(warehouse, this, crms, status="planned", reason="approval")
            told.records = status.account(warehouse, this.run_id)
            this.counts |= {"undo": run_id, "records": told.records}
            return told
