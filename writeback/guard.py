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
    """From which shares on a plan is stopped: `GUARD__CHANGED_SHARE` and so on.

    `changed_share` is of a CRM's live records, counting only those whose stage is replaced: to
    fill what was empty harms nobody. `demoted_share` counts those of them that go down. CRMs with
    fewer than `from_records` records are let through.
    """

    changed_share: float = 0.5
    demoted_share: float = 0.1
    from_records: int = 50


@dataclass(frozen=True)
class Verdict:
    """What the guard thinks of one CRM's part of a plan."""

    crm: str
    records: int
    replaced: int
    demoted: int
    stops: str

    @property
    def told(self) -> str:
        """What it found, in words."""
        found = (
            f"it replaces the stage of {self.replaced:,} of {self.records:,} records, and moves "
            f"{self.demoted:,} down"
        )
        return f"{found}; {self.stops}" if self.stops else found

    @property
    def is_stopped(self) -> bool:
        """Whether a person has to say yes first."""
        return bool(self.stops)


def limits() -> Limits:
    """The limits configured, or the defaults.

    Raises: ConfigError where one of them is no number, or a share above 1: 50 would never stop
            anything, and whoever sets it means half of the records.
    """
    try:
        found = resolve_configuration(Limits(), sections=("guard",))
    except ConfigurationException as error:
        raise ConfigError(_WRONG) from error
    if not (0 <= found.changed_share <= 1 and 0 <= found.demoted_share <= 1):
        raise ConfigError(_WRONG)
    return found


_WRONG = (
    "a limit of the guard cannot be read: GUARD__CHANGED_SHARE and GUARD__DEMOTED_SHARE are "
    "shares from 0 to 1, such as 0.5, GUARD__FROM_RECORDS is a number of records"
)


def guard(
    plan: Plan,
    mappings: Mapping[str, CrmMapping],
    *,
    limits: Limits,
    written_before: frozenset[str],
) -> list[Verdict]:
    """Judge the plan of every CRM.

    The first run into a CRM replaces what is there by its nature: it is previewed (`plan`), and
    not stopped.
    """
    judged = []
    for crm, mapping in mappings.items():
        live = plan.verdicts.filter(plan.verdicts.crm == crm).count().to_pyarrow().as_py()
        replaced = plan.changes.filter(
            plan.changes.crm == crm,
            plan.changes.before.notnull(),
            plan.changes.field.isin(stage_fields(mapping)),
        )
        counts = int(live), _records(replaced), _records(replaced.filter(replaced.backward))
        stops = _why(*counts, limits) if crm in written_before else ""
        judged.append(Verdict(crm, *counts, stops))
    return judged


def _records(changes: ir.Table) -> int:
    return int(changes.select("object", "record_id").distinct().count().to_pyarrow().as_py())


def _why(live: int, replaced: int, demoted: int, limits: Limits) -> str:
    if live < limits.from_records:
        return ""
    if replaced > limits.changed_share * live:
        return f"more than {limits.changed_share:.0%} would be replaced"
    if demoted > limits.demoted_share * live:
        return f"more than {limits.demoted_share:.0%} would move down"
    return ""
