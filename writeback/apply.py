"""Write the stored changes of a run into the CRMs, within the API budget."""

from collections.abc import Sequence
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
            changes.pending_volume(warehouse, run.planned_by, crm.crm, since=since),
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
    limit: int | None = None,
    bars: ProgressReporter,
) -> None:
    """Write the pending changes of a plan; store the outcomes after each batch.

    limit: the largest number of records to write in all CRMs together; the rest stays in the plan

    Raises: AccessError: a login may not write what is planned, and nothing was written; or a CRM
            refuses it later, and the other CRMs were written.
            WarehouseBusyError: another run took the run lock.
    """
    access_errors: list[AccessError] = []
    plan_id = run.planned_by
    since = datetime.now(UTC)
    budgets = plan_api_budgets(warehouse, run, crms, since=since)
    shares = share_limit([budget.max_records for budget in budgets], limit)
    require_write_access(crm for crm, share in zip(crms, shares, strict=True) if share)
    run.writing_since = since
    for crm, budget, share in zip(crms, budgets, shares, strict=True):
        for reason, count in (("quota", budget.max_records), ("limit", share)):
            changes.hold_pending(warehouse, plan_id, crm.crm, reason, since=since, skip_first=count)
    for crm, share in zip(crms, shares, strict=True):
        report_written = bars.write_callback(crm.crm, share)
        record_changes = changes.pending_changes(warehouse, plan_id, crm.crm, since=since)
        try:
            for outcomes in crm.connector.write(crm.client, record_changes, crm.catalog):
                changes.write_outcomes(warehouse, plan_id, crm.crm, outcomes)
                report_written(len(outcomes))
                lock.renew(warehouse)
        except AccessError as error:
            # the other CRMs go on; `apply` writes the rest once the permission is granted
            access_errors.append(error)
    if access_errors:
        raise access_errors[0]
    run.status = "done"


def share_limit(records: Sequence[int], limit: int | None) -> list[int]:
    """Divide a limit among the CRMs: evenly, and more where another has fewer records."""
    if limit is None:
        return list(records)
    shares = [0] * len(records)
    fewest_first = sorted(range(len(records)), key=lambda crm: records[crm])
    for place, crm in enumerate(fewest_first):
        shares[crm] = min(records[crm], limit // (len(records) - place))
        limit -= shares[crm]
    return shares
