"""Write the stored changes of a run into the CRMs, within the API budget."""

from dataclasses import asdict
from datetime import UTC, datetime

from errors import AccessError
from models import ProgressReporter
from session import CrmSession, require_write_access
from warehouse import changes
from warehouse.run_lock import RunLock
from warehouse.runs import Run
from warehouse.warehouse import Warehouse
from writeback.api_budget import ApiBudget, api_budget, load_reserve


def plan_api_budgets(
    warehouse: Warehouse, run: Run, crms: list[CrmSession], *, since: datetime
) -> list[ApiBudget]:
    """Return the API budget of each CRM for the pending changes of a run; store it in the run."""
    reserve = load_reserve()
    budgets = [
        api_budget(
            crm.crm,
            crm.connector,
            crm.client,
            changes.pending_volume(warehouse, run.run_id, crm.crm, since=since),
            reserve,
        )
        for crm in crms
    ]
    run.counts["quota"] = {budget.crm: asdict(budget) for budget in budgets}
    return budgets


def hold_plan(
    warehouse: Warehouse, run: Run, crms: list[CrmSession], *, status: str, reason: str
) -> None:
    """Hold all pending changes of a run; `apply` writes them later."""
    for crm in crms:
        changes.hold_pending(warehouse, run.run_id, crm.crm, reason, since=run.started_at)
    run.status = status


def apply_changes(
    warehouse: Warehouse,
    run: Run,
    crms: list[CrmSession],
    lock: RunLock,
    *,
    bars: ProgressReporter,
) -> None:
    """Write the pending changes of a run; store the outcomes after each batch.

    Raises: AccessError: a login may not write what is planned, and nothing was written; or a CRM
            refuses it later, and the other CRMs were written.
            WarehouseBusyError: another run took the run lock.
    """
    access_errors: list[AccessError] = []
    since = datetime.now(UTC)
    budgets = plan_api_budgets(warehouse, run, crms, since=since)
    require_write_access(
        crm for crm, budget in zip(crms, budgets, strict=True) if budget.max_records
    )
    for crm, budget in zip(crms, budgets, strict=True):
        changes.hold_pending(
            warehouse, run.run_id, crm.crm, "quota", since=since, skip_first=budget.max_records
        )
        report_written = bars.write_callback(crm.crm, budget.max_records)
        record_changes = changes.pending_changes(warehouse, run.run_id, crm.crm, since=since)
        try:
            for outcomes in crm.connector.write(crm.client, record_changes, crm.catalog):
                changes.write_outcomes(warehouse, run.run_id, crm.crm, outcomes)
                report_written(len(outcomes))
                lock.renew(warehouse)
        except AccessError as error:
            # the other CRMs go on; `apply` writes the rest once the permission is granted
            access_errors.append(error)
    if access_errors:
        raise access_errors[0]
    run.status = "done"
