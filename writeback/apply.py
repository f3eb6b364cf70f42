"""How the stored changes of a run reach both CRMs: within the calls of the day, or not at all."""

from dataclasses import asdict
from datetime import UTC, datetime

from errors import AccessError
from models import ProgressReporter
from session import Connection
from warehouse import runs
from warehouse.run_lock import Lease
from warehouse.runs import Run
from warehouse.warehouse import Warehouse
from writeback.api_budget import Budget, budget_of, reserve


def budgets(
    warehouse: Warehouse, this: Run, crms: list[Connection], *, since: datetime
) -> list[Budget]:
    """Count the calls that the changes of a run need, before the first of them."""
    kept = reserve()
    told = [
        budget_of(
            crm.crm,
            crm.connector,
            crm.client,
            runs.pending_load(warehouse, this.run_id, crm.crm, since=since),
            kept,
        )
        for crm in crms
    ]
    this.counts["quota"] = {one.crm: asdict(one) for one in told}
    return told


def hold_all(
    warehouse: Warehouse, this: Run, crms: list[Connection], *, status: str, reason: str
) -> None:
    """Write nothing; `apply` goes on from here."""
    for crm in crms:
        runs.hold(warehouse, this.run_id, crm.crm, reason, since=this.started_at)
    this.status = status


def apply_changes(
    warehouse: Warehouse, this: Run, crms: list[Connection], lease: Lease, *, bars: ProgressReporter
) -> None:
    """Write the stored changes of a run that have no outcome yet; journal every batch."""
    denied: list[AccessError] = []
    since = datetime.now(UTC)
    for crm, budget in zip(crms, budgets(warehouse, this, crms, since=since), strict=True):
        runs.hold(warehouse, this.run_id, crm.crm, "quota", since=since, beyond=budget.affordable)
        done = bars.writing(crm.crm, budget.affordable)
        changes = runs.pending(warehouse, this.run_id, crm.crm, crm.mapping, since=since)
        try:
            for outcomes in crm.connector.apply(crm.client, changes, crm.catalog):
                runs.write_outcomes(warehouse, this.run_id, crm.crm, outcomes)
                done(len(outcomes))
                lease.renew(warehouse)
        except AccessError as error:
            # it stops this CRM, not the others; `apply` goes on from here once it is granted
            denied.append(error)
    if denied:
        raise denied[0]
    this.status = "done"
