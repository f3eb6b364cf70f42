"""The guard: a plan that would change too much at once waits for a person to say so."""

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
    """From which shares on a plan is stopped: `GUARD__MAX_CHANGED_RATIO` and so on.

    `max_changed_ratio` is of a CRM's live records, counting only those whose stage is replaced: to
    fill what was empty harms nobody. `max_demoted_ratio` counts those of them that go down. CRMs with
    fewer than `min_records` records are let through.
    """

    max_changed_ratio: float = 0.5
    max_demoted_ratio: float = 0.1
    min_records: int = 50


@dataclass(frozen=True)
class GuardResult:
    """What the guard thinks of one CRM's part of a plan."""

    crm: str
    records: int
    replaced: int
    demoted: int
    stop_reason: str

    @property
    def summary(self) -> str:
        """What it found, in words."""
        found = (
            f"it replaces the stage of {self.replaced:,} of {self.records:,} records, and moves "
            f"{self.demoted:,} down"
        )
        return f"{found}; {self.stop_reason}" if self.stop_reason else found

    @property
    def is_stopped(self) -> bool:
        """Whether a person has to say yes first."""
        return bool(self.stop_reason)


def load_limits() -> Limits:
    """The limits configured, or the defaults.

    Raises: ConfigError where one of them is no number, or a share above 1: 50 would never stop
            anything, and whoever sets it means half of the records.
    """
    try:
        configured = resolve_configuration(Limits(), sections=("guard",))
    except ConfigurationException as error:
        raise ConfigError(_INVALID_LIMIT) from error
    if not (0 <= configured.max_changed_ratio <= 1 and 0 <= configured.max_demoted_ratio <= 1):
        raise ConfigError(_INVALID_LIMIT)
    return configured


_INVALID_LIMIT = (
    "a limit of the guard cannot be read: GUARD__MAX_CHANGED_RATIO and GUARD__MAX_DEMOTED_RATIO are "
    "shares from 0 to 1, such as 0.5, GUARD__MIN_RECORDS is a number of records"
)


def check_plan(
    plan: Plan,
    mappings: Mapping[str, CrmMapping],
    *,
    limits: Limits,
    written_crms: frozenset[str],
) -> list[GuardResult]:
    """Judge the plan of every CRM.

    The first run into a CRM replaces what is there by its nature: it is previewed (`plan`), and
    not stopped.
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
