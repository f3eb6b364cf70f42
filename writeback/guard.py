"""The guard stops a plan that would take too much away at once; `apply` writes it after review."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import ibis.expr.types as ir
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration

from config.mapping import Mapping as CrmMapping
from connectors import crm_label
from settings import Rule, read_settings
from transforms.planning.harm import Harm


@configspec
class Limits(BaseConfiguration):
    """The shares above which a plan is stopped, per CRM: `GUARD__...`.

    Of the records that the last run knew: `max_changed_ratio` limits those whose stage is replaced
    (filling an empty field does not count), `max_demoted_ratio` those that move to an earlier
    stage, `max_vanished_ratio` those that are deleted or out of sight. Of the values of each
    written field: `max_overwritten_ratio` limits those that no run wrote and that are replaced or
    cleared. A CRM with fewer than `min_records` known records is not checked, and a field with
    fewer values is taken to have that many.
    """

    max_changed_ratio: float = 0.5
    max_demoted_ratio: float = 0.1
    max_overwritten_ratio: float = 0.1
    max_vanished_ratio: float = 0.05
    min_records: int = 50


@dataclass(frozen=True)
class FieldCount:
    """One written field: its values, and those not written by us that the plan takes away."""

    field: str
    values: int
    overwritten: int


@dataclass(frozen=True)
class GuardResult:
    """The guard's result for one CRM's part of a plan; `stop_reason` is empty where it passes.

    records:     records that the last run knew
    replaced:    records whose stage is replaced: `promoted` and `demoted`
    vanished:    known records that are deleted or out of sight
    overwritten: per field the values not written by us that are replaced or cleared

    `is_allowed_first_write`: it is the first write into the CRM, which a person allowed; no limit
    was checked.
    """

    crm: str
    records: int
    replaced: int
    promoted: int
    demoted: int
    vanished: int
    overwritten: tuple[FieldCount, ...]
    stop_reason: str = ""
    is_allowed_first_write: bool = False

    @property
    def summary(self) -> str:
        """The counts, and why the plan is stopped."""
        counts = (
            f"of {self.records:,} known records the plan replaces the stage of {self.replaced:,} "
            f"({self.promoted:,} up, {self.demoted:,} down); {self.vanished:,} vanished"
        )
        fields = ", ".join(
            f"{one.field} {one.overwritten:,} of {one.values:,}" for one in self.overwritten
        )
        counts += f"; values not written by us that it replaces or clears: {fields or 'none'}"
        return f"{counts}. {self.stop_reason}" if self.stop_reason else counts

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
    "max_overwritten_ratio": _RATIO,
    "max_vanished_ratio": _RATIO,
    "min_records": Rule("a number of records, such as 50"),
}


def check_plan(
    harm: Harm,
    changes: ir.Table,
    mappings: Mapping[str, CrmMapping],
    *,
    limits: Limits,
    written_crms: frozenset[str],
    behind: Mapping[str, str],
    first: bool,
) -> list[GuardResult]:
    """Check the plan of every CRM against the limits.

    `written_crms` names the CRMs into which a run of this warehouse has written. A warehouse that
    knows of no write is new, lost or the wrong one, and its plan replaces most values: it needs a
    person's yes (`first`), and no limit counts then. Where neither the plan nor the CRM has a
    value for the fields that are written, there is nothing to ask. A
    warehouse that is behind a CRM needs the same yes; `behind` has the reason by CRM.
    """
    records, vanished = _counts(harm.known), _counts(harm.vanished)
    planned = _counts(changes.group_by("crm").aggregate(records=changes.count()))
    stages = {row["crm"]: row for row in harm.stages.to_pyarrow().to_pylist()}
    fields = _field_counts(harm)
    results = []
    for crm in mappings:
        moved = stages.get(crm, {"replaced": 0, "promoted": 0, "demoted": 0})
        result = GuardResult(
            crm,
            records=records[crm],
            replaced=moved["replaced"],
            promoted=moved["promoted"],
            demoted=moved["demoted"],
            vanished=vanished[crm],
            overwritten=tuple(one for one in fields[crm] if one.overwritten),
        )
        if crm in written_crms:
            is_behind = planned[crm] and not first
            stop_reason = (is_behind and behind.get(crm)) or _exceeded_limits(result, limits)
        elif not first and (values := sum(one.values for one in fields[crm])) + planned[crm]:
            stop_reason = _first_write(crm, values)
        else:
            stop_reason = ""
        is_allowed = first and crm not in written_crms
        results.append(replace(result, stop_reason=stop_reason, is_allowed_first_write=is_allowed))
    return results


def _counts(table: ir.Table) -> Counter[str]:
    return Counter({row["crm"]: row["records"] for row in table.to_pyarrow().to_pylist()})


def _field_counts(harm: Harm) -> Mapping[str, list[FieldCount]]:
    """Per CRM its written fields; a field of several record types is one."""
    values: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (crm, _), counted in harm.filled.items():
        [row] = counted.to_pyarrow().to_pylist()
        values[crm].update(row)
    overwritten = {
        (row["crm"], row["field"]): row["records"]
        for row in harm.overwritten.to_pyarrow().to_pylist()
    }
    counts = {
        crm: [FieldCount(name, n, overwritten.get((crm, name), 0)) for name, n in fields.items()]
        for crm, fields in values.items()
    }
    return defaultdict(list, counts)


def _first_write(crm: str, values: int) -> str:
    label = crm_label(crm)
    return (
        f"This warehouse knows of no write into {label}, where {values:,} values stand in fields "
        f"that the plan writes. If onefunnel wrote into this {label} account before, this is the "
        "wrong warehouse or it was lost: correct DESTINATION__..., or restore it. If not, review "
        "the plan: `run --first` writes it"
    )


def _exceeded_limits(result: GuardResult, limits: Limits) -> str:
    if result.records < limits.min_records:
        return ""
    shares = (
        (result.replaced, limits.max_changed_ratio, "of the stages would be replaced"),
        (result.demoted, limits.max_demoted_ratio, "of the records would move down"),
        (result.vanished, limits.max_vanished_ratio, "of the known records vanished"),
    )
    reasons = [
        f"more than {limit:.0%} {what}"
        for count, limit, what in shares
        if count > limit * result.records
    ]
    limit = limits.max_overwritten_ratio
    reasons += [
        f"more than {limit:.0%} of the values of {one.field} that onefunnel did not write would be "
        "lost"
        for one in result.overwritten
        if one.overwritten > limit * max(one.values, limits.min_records)
    ]
    return "; ".join(reasons)
