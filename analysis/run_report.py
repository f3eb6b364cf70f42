"""What a run did, in figures that add up."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from models import crm_name
from session import Connection
from transforms.lifecycle.lifecycle import Answer
from transforms.planning.crm_agreement import disagreements, stage_field
from transforms.planning.plan import Plan
from transforms.resolve import Resolved
from warehouse.runs import Run
from writeback.guard import Verdict

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
    said: Rows = field(default_factory=list)
    moves: Rows = field(default_factory=list)
    writes: Rows = field(default_factory=list)
    records: Rows = field(default_factory=list)
    unread: Rows = field(default_factory=list)
    left: Rows = field(default_factory=list)
    guard: list[Verdict] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

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
        told = asdict(self)
        told["run"]["started_at"] = self.run.started_at.isoformat()
        told["run"]["ended_at"] = self.run.ended_at and self.run.ended_at.isoformat()
        return told


def of(
    run: Run,
    definition: Definition,
    answer: Answer,
    said: ir.Table,
    wrong: Plan,
    found: Resolved,
    crms: Sequence[Connection],
    verdicts: list[Verdict],
) -> Report:
    """Count what a run found and what it means to write."""
    return Report(
        run,
        labels(definition),
        people=int(answer.lifecycle.count().to_pyarrow().as_py()),
        disagreeing=int(disagreements(said).count().to_pyarrow().as_py()),
        stages=stages(answer.lifecycle),
        said=_said(said),
        moves=_moved(wrong.changes, _shown(crms)),
        writes=_written(wrong.changes),
        left=_left(wrong.held),
        unread=_unread(found.happenings, found.events),
        guard=verdicts,
        findings=list(_findings(crms, found.records)),
    )


def of_undo(run: Run, back: Plan, crms: Sequence[Connection]) -> Report:
    """Count what a run means to put back, and what somebody has touched since."""
    return Report(
        run,
        {},
        moves=_moved(back.changes, _shown(crms)),
        writes=_written(back.changes),
        left=_left(back.held),
    )


def _shown(crms: Sequence[Connection]) -> list[str]:
    """The fields by which the CRMs show stages."""
    shown = [stage_field(crm.mapping, object) for crm in crms for object in crm.mapping.write]
    return [field for field, _ in filter(None, shown)]


def of_outcomes(run: Run, records: Rows) -> Report:
    """Count what became of a plan that was made before."""
    return Report(run, {}, records=records)


def labels(definition: Definition) -> dict[str, str]:
    """What people call the stages, lowest first."""
    return {stage.id: stage.label or stage.id for stage in definition.stages}


def _findings(crms: Sequence[Connection], records: ir.Table) -> Iterator[str]:
    for crm in crms:
        if crm.left_out:
            yield (
                f"{crm_name(crm.crm)} has no {', '.join(crm.left_out)}: marked optional in "
                f"mappings/{crm.crm}.yaml, so the run goes on without"
            )
        yield from crm.client.findings
        for (object, name), count in sorted(crm.client.drift.items()):
            yield f"{crm_name(crm.crm)} {object}.{name}: {count:,} values do not fit its type"
    apart = records.filter(~records.by_email)
    if count := apart.count().to_pyarrow().as_py():
        yield (
            f"{count:,} records share addresses with more others than people.max_records allows: "
            "they were not joined by e-mail"
        )


def _rows(table: ir.Table, *order: str) -> Rows:
    """The few rows of a summary."""
    return list(table.order_by(*order).to_pyarrow().to_pylist())


def stages(lifecycle: ir.Table) -> Rows:
    """How many people stand where."""
    return _rows(
        lifecycle.group_by("stage", "status").aggregate(people=lifecycle.count()), "stage", "status"
    )


def _said(said: ir.Table) -> Rows:
    """How many people each CRM shows in which stage."""
    return _rows(said.group_by("crm", "stage").aggregate(people=said.count()), "crm", "stage")


def _moved(changes: ir.Table, fields: Sequence[str]) -> Rows:
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


def _left(held: ir.Table) -> Rows:
    """What is wrong and not written, and why."""
    key = ["crm", "object", "field", "hold"]
    return _rows(held.group_by(key).aggregate(records=held.count()), *key)


def _written(changes: ir.Table) -> Rows:
    """How many values are set and cleared, field by field."""
    key = ["crm", "object", "field"]
    counted = changes.group_by(key).aggregate(
        set=changes.after.notnull().sum(), cleared=changes.after.isnull().sum()
    )
    return _rows(counted, *key)


def _unread(happenings: ir.Table, events: ir.Table) -> Rows:
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
