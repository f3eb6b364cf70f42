"""What a run did, in figures that add up."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from models import crm_label
from session import CrmSession
from transforms.lifecycle.lifecycle import LifecycleTables
from transforms.planning.crm_agreement import disagreements, stage_field
from transforms.planning.plan import Plan
from transforms.resolve import ResolvedTables
from warehouse.runs import Run
from writeback.guard import GuardResult

Rows = list[dict[str, Any]]


@dataclass
class Report:
    """One run in figures that add up.

    stages: stage, status, people; said: crm, stage, people; moves: crm, object, field, before,
    after, records (stage fields only), why: of most of them, why_records; writes: crm, object,
    field, set, cleared; left: crm, object, field, hold, records (wrong and not written); records:
    crm, status, reason, records; unread: object, kind of gap, rows.
    """

    run: Run
    labels: dict[str, str]
    people: int = 0
    disagreeing: int = 0
    stages: Rows = field(default_factory=list)
    crm_stages: Rows = field(default_factory=list)
    stage_changes: Rows = field(default_factory=list)
    field_changes: Rows = field(default_factory=list)
    records: Rows = field(default_factory=list)
    unmatched_rows: Rows = field(default_factory=list)
    withheld: Rows = field(default_factory=list)
    guard: list[GuardResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, Any]:
        """What is remembered of a run: what was reported at the time."""
        return {
            "people": self.people,
            "disagreeing": self.disagreeing,
            "stages": self.stages,
            "records": self.records,
        }

    def as_json(self) -> dict[str, Any]:
        """The same figures for machines."""
        document = asdict(self)
        document["run"]["started_at"] = self.run.started_at.isoformat()
        document["run"]["ended_at"] = self.run.ended_at and self.run.ended_at.isoformat()
        return document


def build_report(
    run: Run,
    definition: Definition,
    lifecycle_tables: LifecycleTables,
    crm_stages: ir.Table,
    plan: Plan,
    resolved: ResolvedTables,
    crms: Sequence[CrmSession],
    guard_results: list[GuardResult],
) -> Report:
    """Count what a run found and what it means to write."""
    return Report(
        run,
        stage_labels(definition),
        people=int(lifecycle_tables.lifecycle.count().to_pyarrow().as_py()),
        disagreeing=int(disagreements(crm_stages).count().to_pyarrow().as_py()),
        stages=count_stages(lifecycle_tables.lifecycle),
        crm_stages=_crm_stages(crm_stages),
        stage_changes=_stage_changes(plan.changes, _stage_field_names(crms)),
        field_changes=_field_changes(plan.changes),
        withheld=_withheld(plan.held),
        unmatched_rows=_unmatched_rows(resolved.raw_events, resolved.events),
        guard=guard_results,
        warnings=list(_warnings(crms, resolved.records)),
    )


def build_undo_report(run: Run, undo_plan: Plan, crms: Sequence[CrmSession]) -> Report:
    """Count what a run means to put back, and what somebody has touched since."""
    return Report(
        run,
        {},
        stage_changes=_stage_changes(undo_plan.changes, _stage_field_names(crms)),
        field_changes=_field_changes(undo_plan.changes),
        withheld=_withheld(undo_plan.held),
    )


def _stage_field_names(crms: Sequence[CrmSession]) -> list[str]:
    """The fields by which the CRMs show stages."""
    shown = [stage_field(crm.mapping, object) for crm in crms for object in crm.mapping.write]
    return [field for field, _ in filter(None, shown)]


def build_apply_report(run: Run, records: Rows) -> Report:
    """Count what became of a plan that was made before."""
    return Report(run, {}, records=records)


def stage_labels(definition: Definition) -> dict[str, str]:
    """What people call the stages, lowest first."""
    return {stage.id: stage.label or stage.id for stage in definition.stages}


def _warnings(crms: Sequence[CrmSession], records: ir.Table) -> Iterator[str]:
    for crm in crms:
        if crm.skipped_optional:
            yield (
                f"{crm_label(crm.crm)} has no {', '.join(crm.skipped_optional)}: marked optional "
                f"in mappings/{crm.crm}.yaml, so the run goes on without"
            )
        yield from crm.client.warnings
        for (object, name), count in sorted(crm.client.type_mismatches.items()):
            yield f"{crm_label(crm.crm)} {object}.{name}: {count:,} values do not fit its type"
    apart = records.filter(~records.email_match_ok)
    if count := apart.count().to_pyarrow().as_py():
        yield (
            f"{count:,} records were not matched by e-mail: more records than max_cluster_size in "
            "people.yaml share the address"
        )


def _rows(table: ir.Table, *order: str) -> Rows:
    """The few rows of a summary."""
    return list(table.order_by(*order).to_pyarrow().to_pylist())


def count_stages(lifecycle: ir.Table) -> Rows:
    """How many people stand where."""
    return _rows(
        lifecycle.group_by("stage", "status").aggregate(people=lifecycle.count()), "stage", "status"
    )


def _crm_stages(said: ir.Table) -> Rows:
    """How many people each CRM shows in which stage."""
    return _rows(said.group_by("crm", "stage").aggregate(people=said.count()), "crm", "stage")


def _stage_changes(changes: ir.Table, fields: Sequence[str]) -> Rows:
    """From which stage to which the records go, and why most of them do."""
    moved = changes.filter(changes.field.isin(list(fields)))
    # a reason without its dates is the same for many
    moved = moved.mutate(why=moved.reason.re_replace(r" on \d{4}-\d{2}-\d{2}", ""))
    key = ["crm", "object", "field", "before", "after"]
    counted = moved.group_by(*key, "why").aggregate(why_records=moved.count())
    flow = ibis.window(group_by=key)
    ranked = counted.mutate(
        records=counted.why_records.sum().over(flow),
        nth=ibis.row_number().over(
            group_by=key, order_by=[ibis.desc(counted.why_records), counted.why]
        ),
    )
    flows = ranked.filter(ranked.nth == 0).drop("nth")
    order = [ibis.desc("records"), "crm", "object", "before", "after"]
    return list(flows.order_by(order).to_pyarrow().to_pylist())


def _withheld(held: ir.Table) -> Rows:
    """What is wrong and not written, and why."""
    key = ["crm", "object", "field", "hold_reason"]
    return _rows(held.group_by(key).aggregate(records=held.count()), *key)


def _field_changes(changes: ir.Table) -> Rows:
    """How many values are set and cleared, field by field."""
    key = ["crm", "object", "field"]
    counted = changes.group_by(key).aggregate(
        set=changes.after.notnull().sum(), cleared=changes.after.isnull().sum()
    )
    return _rows(counted, *key)


def _unmatched_rows(happenings: ir.Table, events: ir.Table) -> Rows:
    """What was pulled and became no event: no rule fits, no instant, or nobody known."""
    key = ["crm", "source_object", "source_id", "kind"]
    dated = happenings.group_by(key).aggregate(is_dated=happenings.at.notnull().any())
    placed = events.select(*key, is_placed=ibis.literal(True)).distinct()
    gaps = dated.left_join(placed, key)
    kind, placed_ = gaps.kind.notnull(), gaps.is_placed.fill_null(False)
    gaps = gaps.mutate(
        no_rule=~kind, no_date=kind & ~gaps.is_dated, nobody=kind & gaps.is_dated & ~placed_
    )
    counted = gaps.group_by("crm", "source_object").aggregate(
        without_rule=gaps.no_rule.sum(),
        without_date=gaps.no_date.sum(),
        without_person=gaps.nobody.sum(),
    )
    some = counted.without_rule + counted.without_date + counted.without_person > 0
    return _rows(counted.filter(some), "crm", "source_object")
