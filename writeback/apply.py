"""How the stored changes of a run reach both CRMs: within the calls of the day, or not at all."""

from dataclasses import asdict
from datetime import UTC, datetime

from errors import AccessError
from models import ProgressReporter
from session import CrmSession
from warehouse import runs
from warehouse.run_lock import RunLock
from warehouse.runs import Run
from warehouse.warehouse import Warehouse
from writeback.api_budget import ApiBudget, api_budget, load_reserve


def plan_api_budgets(
    warehouse: Warehouse, run: Run, crms: list[CrmSession], *, since: datetime
) -> list[ApiBudget]:
    """Count the calls that the changes of a run need, before the first of them."""
    reserved = load_reserve()
    budgets = [
        api_budget(
            crm.crm,
            crm.connector,
            crm.client,
            runs.pending_volume(warehouse, run.run_id, crm.crm, since=since),
            reserved,
        )
        for crm in crms
    ]
    run.counts["quota"] = {one.crm: asdict(one) for one in budgets}
    return budgets


def hold_plan(
    warehouse: Warehouse, run: Run, crms: list[CrmSession], *, status: str, reason: str
) -> None:
    """Write nothing; `apply` goes on from here."""
    for crm in crms:
        runs.hold_pending(warehouse, run.run_id, crm.crm, reason, since=run.started_at)
    run.status = status


def apply_changes(
    warehouse: Warehouse,
    run: Run,
    crms: list[CrmSession],
    lease: RunLock,
    *,
    bars: ProgressReporter,
) -> None:
    """Write the stored changes of a run that have no outcome yet; journal every batch."""
    access_errors: list[AccessError] = []
    since = datetime.now(UTC)
    for crm, budget in zip(crms, plan_api_budgets(warehouse, run, crms, since=since), strict=True):
        runs.hold_pending(
            warehouse, run.run_id, crm.crm, "quota", since=since, skip_first=budget.max_records
        )
        report_written = bars.write_callback(crm.crm, budget.max_records)
        changes = runs.pending_changes(warehouse, run.run_id, crm.crm, crm.mapping, since=since)
        try:
            for outcomes in crm.connector.write(crm.client, changes, crm.catalog):
                runs.write_outcomes(warehouse, run.run_id, crm.crm, outcomes)
                report_written(len(outcomes))
                lease.renew(warehouse)
        except AccessError as error:
            # it stops this CRM, not the others; `apply` goes on from here once it is granted
            access_errors.append(error)
    if access_errors:
        raise access_errors[0]
    run.status = "done"
