"""The guard stops a plan that changes too many stages at once; `apply` writes it after review."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir
from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.specs import BaseConfiguration

from config.mapping import Mapping as CrmMapping
from errors import ConfigError
from transforms.planning.crm_agreement import stage_fields
from transforms.planning.plan import Plan


@configspec
class Limits(BaseConfiguration):
    """The shares of a CRM's live records above which a plan is stopped: `GUARD__...`.

    `max_changed_ratio` counts records whose stage is replaced; filling an empty field does not
    count. `max_demoted_ratio` counts those that move to an earlier stage. A CRM with fewer than
    `min_records` live records is not checked.
    """

    max_changed_ratio: float = 0.5
    max_demoted_ratio: float = 0.1
    min_records: int = 50


@dataclass(frozen=True)
class GuardResult:
    """The guard's result for one CRM's part of a plan; `stop_reason` is empty where it passes."""

    crm: str
    records: int
    replaced: int
    demoted: int
    stop_reason: str

    @property
    def summary(self) -> str:
        """The counts, and why the plan is stopped."""
        counts = (
            f"it replaces the stage of {self.replaced:,} of {self.records:,} records, and moves "
            f"{self.demoted:,} down"
        )
        return f"{counts}; {self.stop_reason}" if self.stop_reason else counts

    @property
    def is_stopped(self) -> bool:
        """Whether a person must review the plan first."""
        return bool(self.stop_reason)


def load_limits() -> Limits:
    """Return the configured limits, or the defaults.

    Raises: ConfigError: a limit is not a number, or a share is outside 0 to 1. 50 would never stop
            a plan; who writes it means 50 %.
    """
    try:
        configured = resolve_configuration(Limits(), sections=("guard",))
    except ConfigurationException as error:
        raise ConfigError(_INVALID_LIMIT) from error
    if not (0 <= configured.max_changed_ratio <= 1 and 0 <= configured.max_demoted_ratio <= 1):
        raise ConfigError(_INVALID_LIMIT)
    return configured


_INVALID_LIMIT = (
    "a limit of the guard is invalid: GUARD__MAX_CHANGED_RATIO and GUARD__MAX_DEMOTED_RATIO must "
    "be shares from 0 to 1, such as 0.5, and GUARD__MIN_RECORDS a number of records"
)


def check_plan(
    plan: Plan,
    mappings: Mapping[str, CrmMapping],
    *,
    limits: Limits,
    written_crms: frozenset[str],
) -> list[GuardResult]:
    """Check the plan of every CRM against the limits.

    The first run into a CRM replaces most values and is not stopped: `written_crms` names the CRMs
    that a run has written to.
    """
    results = []
    for crm, mapping in mappings.items():
        live = (
            plan.record_statuses.filter(plan.record_statuses.crm == crm)
            .count()
            .to_pyarrow()
            .as_py()
        )
        replaced = plan.changes.filter(
            plan.changes.crm == crm,
            plan.changes.before.notnull(),
            plan.changes.field.isin(stage_fields(mapping)),
        )
        counts = int(live), _records(replaced), _records(replaced.filter(replaced.backward))
        stop_reason = _stop_reason(*counts, limits) if crm in written_crms else ""
        results.append(GuardResult(crm, *counts, stop_reason))
    return results


def _records(changes: ir.Table) -> int:
    return int(changes.select("object", "record_id").distinct().count().to_pyarrow().as_py())


def _stop_reason(live: int, replaced: int, demoted: int, limits: Limits) -> str:
    if live < limits.min_records:
        return ""
    if replaced > limits.max_changed_ratio * live:
        return f"more than {limits.max_changed_ratio:.0%} would be replaced"
    if demoted > limits.max_demoted_ratio * live:
        return f"more than {limits.max_demoted_ratio:.0%} would move down"
    return ""
