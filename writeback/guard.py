"""The guard stops a plan that changes too many stages at once; `apply` writes it after review."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration

from config.mapping import Mapping as CrmMapping
from settings import Rule, read_settings
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


def load_limits(problems: list[str] | None = None) -> Limits:
    """Read the limits that are configured, or the defaults.

    A ratio above 1, such as 50 where 50 % is meant, would never stop a plan: it is an error.

    problems: see `read_settings`.
    Raises:   ConfigError where one of them is not in its range.
    """
    return read_settings(Limits(), "guard", rules=_LIMIT_RULES, problems=problems)


_RATIO = Rule("a share from 0 to 1, such as 0.5", lambda value: 0 <= value <= 1)
_LIMIT_RULES = {
    "max_changed_ratio": _RATIO,
    "max_demoted_ratio": _RATIO,
    "min_records": Rule("a number of records, such as 50"),
}


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
