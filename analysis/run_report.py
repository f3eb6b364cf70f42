"""Build the report of a run, an undo or an apply."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from connectors import crm_label
from models import Rows
from session import CrmSession
from transforms.events import catch_all_names
from transforms.identity.known_records import PERSON_HOLDS
from transforms.lifecycle.lifecycle import LifecycleTables
from transforms.planning.crm_agreement import disagreements, stage_field
from transforms.planning.plan import Plan
from transforms.resolve import ResolvedTables
from transforms.staging.fields import SourceTables
from warehouse.runs import Run
from writeback.guard import GuardResult

MAX_NAMES = 20
"""How many names of forms, campaigns and call results a report lists."""

MAX_IDS = 5
"""How many people a warning names by their id."""


@dataclass
class Report:
    """The counts of one run; `as_json` gives the fields under the same names.

    people: all people; disagreeing: people whose stages differ between the CRMs; stages: stage,
    status, people; crm_stages: crm, stage, people; stage_changes: crm, object, field, before,
    after, records (stage fields only), why: the most frequent reason, why_records; field_changes:
    crm, object, field, set, cleared; withheld: crm, object, field, hold_reason, records (they
    differ and are not written); records: crm, status, reason, records; unmatched_rows: crm,
    source_object, without_rule, without_date, without_person; unknown_names: crm, source_object,
    field, name, kind, rows (names that no list of words knows, the most frequent); guard: the
    results per CRM; warnings: sentences.
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
    unknown_names: Rows = field(default_factory=list)
    withheld: Rows = field(default_factory=list)
    guard: list[GuardResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, Any]:
        """Return the counts that the table runs stores."""
        return {
            "people": self.people,
            "disagreeing": self.disagreeing,
            "stages": self.stages,
            "records": self.records,
        }

    def as_json(self) -> dict[str, Any]:
        """Return all fields by name, the times as ISO 8601."""
        # the run's clients are no part of it
        document = {one.name: getattr(self, one.name) for one in fields(self)}
        return document | {"run": self.run.as_json(), "guard": [asdict(one) for one in self.guard]}


def build_report(
    run: Run,
    definition: Definition,
    lifecycle_tables: LifecycleTables,
    crm_stages: ir.Table,
    plan: Plan,
    resolved: ResolvedTables,
    landed: SourceTables,
    crms: Sequence[CrmSession],
    guard_results: list[GuardResult],
) -> Report:
    """Count the results of a run and the changes that it plans."""
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
        unknown_names=_unknown_names(crms, landed),
        guard=guard_results,
        warnings=[*_warnings(crms, resolved.records), *_people_on_hold(plan.held)],
    )


def build_undo_report(run: Run, undo_plan: Plan, crms: Sequence[CrmSession]) -> Report:
    """Count the values that an undo restores, and those that were changed since the run."""
    return Report(
        run,
        {},
        stage_changes=_stage_changes(undo_plan.changes, _stage_field_names(crms)),
        field_changes=_field_changes(undo_plan.changes),
        withheld=_withheld(undo_plan.held),
    )


def _stage_field_names(crms: Sequence[CrmSession]) -> list[str]:
    """The fields of the CRMs that hold a stage."""
    shown = [stage_field(crm.mapping, object) for crm in crms for object in crm.mapping.write]
    return [field for field, _ in filter(None, shown)]


def build_apply_report(run: Run, records: Rows) -> Report:
    """Report the outcomes of a stored plan."""
    return Report(run, {}, records=records)


def stage_labels(definition: Definition) -> dict[str, str]:
    """The labels of the stages, lowest first."""
    return {stage.id: stage.label or stage.id for stage in definition.stages}


def _warnings(crms: Sequence[CrmSession], records: ir.Table) -> Iterator[str]:
    for crm in crms:
        if crm.skipped_optional:
            yield (
                f"{crm_label(crm.crm)} has no {', '.join(crm.skipped_optional)}: marked optional "
                f"in mappings/{crm.crm}.yaml, so the run continues without it"
            )
        yield from crm.client.warnings
        for (object, name), count in sorted(crm.client.type_mismatches.items()):
            yield f"{crm_label(crm.crm)} {object}.{name}: {count:,} values do not fit its type"
    apart = records.filter(~records.email_match_ok)
    if count := apart.count().to_pyarrow().as_py():
        yield (
            f"{count:,} records were not matched by e-mail: with them more records than "
            "max_cluster_size in people.yaml would share the address. Those that were one person "
            "in the last run still are"
        )


def _people_on_hold(held: ir.Table) -> Iterator[str]:
    """Name the people who are held for review: all of them counted, the first few by id."""
    mine = held.filter(held.hold_reason.isin(PERSON_HOLDS))
    mine = mine.select("hold_reason", "person_id").distinct().order_by("hold_reason", "person_id")
    people = mine.to_pyarrow().to_pylist()
    for reason in PERSON_HOLDS:
        ids = [row["person_id"] for row in people if row["hold_reason"] == reason]
        if ids:
            more = f" and {len(ids) - MAX_IDS:,} more" if len(ids) > MAX_IDS else ""
            yield (
                f"{len(ids):,} people are held for review ({reason}): {', '.join(ids[:MAX_IDS])}"
                f"{more}. `status` says what to do"
            )


def _rows(table: ir.Table, *order: str) -> Rows:
    """The few rows of a summary."""
    return list(table.order_by(*order).to_pyarrow().to_pylist())


def count_stages(lifecycle: ir.Table) -> Rows:
    """Count people by stage and status."""
    return _rows(
        lifecycle.group_by("stage", "status").aggregate(people=lifecycle.count()), "stage", "status"
    )


def _crm_stages(said: ir.Table) -> Rows:
    """Count people by CRM and the stage that it holds."""
    return _rows(said.group_by("crm", "stage").aggregate(people=said.count()), "crm", "stage")


def _stage_changes(changes: ir.Table, fields: Sequence[str]) -> Rows:
    """Count records by old and new stage, with the most frequent reason."""
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
    """Count the differences that are not written, by reason."""
    key = ["crm", "object", "field", "hold_reason"]
    return _rows(held.group_by(key).aggregate(records=held.count()), *key)


def _field_changes(changes: ir.Table) -> Rows:
    """Count the values that are set and cleared, by field."""
    key = ["crm", "object", "field"]
    counted = changes.group_by(key).aggregate(
        set=changes.after.notnull().sum(), cleared=changes.after.isnull().sum()
    )
    return _rows(counted, *key)


def _unknown_names(crms: Sequence[CrmSession], landed: SourceTables) -> Rows:
    """The most frequent names of forms, campaigns and calls that no list of words knows."""
    names = catch_all_names({one.crm: one.mapping for one in crms}, landed)
    if names is None:
        return []
    order = [ibis.desc("rows"), "crm", "source_object", "name"]
    return list(names.order_by(order).limit(MAX_NAMES).to_pyarrow().to_pylist())


def _unmatched_rows(happenings: ir.Table, events: ir.Table) -> Rows:
    """Count the activities without an event: no matching rule, no timestamp, or no person."""
    key = ["crm", "source_object", "source_id", "kind"]
    dated = happenings.group_by(key).aggregate(is_dated=happenings.at.notnull().any())
    placed = events.select(*key, is_placed=ibis.literal(True)).distinct()
    gaps = dated.left_join(placed, key)
    kind, placed_ = gaps.kind.notnull(), gaps.is_placed.fill_null(False)
    gaps = gaps.mutate(
        no_rule=~kind, no_date=kind & ~gaps.is_dated, no_person=kind & gaps.is_dated & ~placed_
    )
    counted = gaps.group_by("crm", "source_object").aggregate(
        without_rule=gaps.no_rule.sum(),
        without_date=gaps.no_date.sum(),
        without_person=gaps.no_person.sum(),
    )
    some = counted.without_rule + counted.without_date + counted.without_person > 0
    return _rows(counted.filter(some), "crm", "source_object")
