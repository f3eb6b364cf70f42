"""Compare two definitions on the data of today; no CRM is called."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from analysis.month_end_snapshots import (
    NamedDefinition,
    ProgressCallback,
    to_naive_utc,
    to_rows,
)
from config.definition import Definition
from config.loader import Configuration
from connectors import connector
from models import Rows, WriteVolume
from transforms.evaluation import stage_moves
from transforms.lifecycle.lifecycle import LifecycleTables, Materialize, lifecycle
from warehouse.warehouse import Warehouse

FOLLOW_UP_WEEKS = 12
"""Follow-ups are counted over this number of past weeks."""

SAMPLE_PER_FLOW = 3
"""People shown of every flow."""


@dataclass(frozen=True)
class DefinitionDiff:
    """Who changes stage, and the follow-ups and API calls that it means.

    flows: stage, status, stage_to, status_to, people; sample: the same with person_id, reasons,
    reasons_to, records; follow_ups: stage, before, after (a week); actions: next_action, before,
    after (people), due, due_to (of them with a follow-up that waits); writes: crm, object, records,
    differing, calls, fields (name -> records).
    """

    ours: str
    theirs: str
    ids: tuple[str, str]
    labels: dict[str, str]
    as_of: datetime
    people: int
    moved: int
    flows: Rows
    sample: Rows
    follow_ups: Rows
    actions: Rows
    writes: Rows

    @property
    def share(self) -> float:
        """The share of all people who would move."""
        return self.moved / self.people if self.people else 0.0

    @property
    def follow_ups_per_week(self) -> tuple[float, float]:
        """All follow-ups a week, by the current and by the other definition."""
        return (
            sum(row["before"] for row in self.follow_ups),
            sum(row["after"] for row in self.follow_ups),
        )

    def stage_label(self, stage: str, status: str) -> str:
        """What people call a stage, with the status where it says more."""
        label = self.labels[stage]
        return f"{label}, {status}" if status in ("recycled", "disqualified") else label

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self) | {"share": self.share}


def diff_definitions(
    warehouse: Warehouse,
    ours: NamedDefinition,
    theirs: NamedDefinition,
    *,
    on_progress: ProgressCallback,
) -> DefinitionDiff:
    """Decide by both definitions as of the last pull, and compare.

    Raises: ConfigError where nothing was pulled yet, or a definition asks for an unknown field.
    """
    as_of = to_naive_utc(warehouse.last_extract_at() or datetime.now(UTC))
    since = as_of - timedelta(weeks=FOLLOW_UP_WEEKS)
    sides = (ours, theirs)
    with warehouse.temp_tables() as keep:
        answers = []
        for nth, one in enumerate(sides):
            on_progress(f"{one.name}: computing the lifecycle")
            answers.append(_lifecycle_tables(warehouse, one, as_of, keep, name=f"{nth}"))
        both = keep("both", stage_moves.join_answers(answers[0].lifecycle, answers[1].lifecycle))
        [size] = to_rows(both.aggregate(people=both.count(), moved=both.is_moved.sum()))
        order = [ibis.desc("people"), *stage_moves.FLOW_COLUMNS]
        worked = [
            stage_moves.follow_ups(answer.stage_history, one.definition, since=since, until=as_of)
            for answer, one in zip(answers, sides, strict=True)
        ]
        return DefinitionDiff(
            ours.name,
            theirs.name,
            (ours.definition.id, theirs.definition.id),
            _labels(ours.definition) | _labels(theirs.definition),
            as_of,
            size["people"],
            size["moved"] or 0,
            flows=to_rows(stage_moves.flows(both).order_by(order)),
            sample=_sample(both, warehouse.table("records")),
            follow_ups=_follow_ups(*(to_rows(table) for table in worked)),
            actions=_actions(
                *(to_rows(stage_moves.next_actions(one.lifecycle)) for one in answers)
            ),
            writes=_writes(both, warehouse.table("records"), ours.configuration),
        )


def _lifecycle_tables(
    warehouse: Warehouse, one: NamedDefinition, as_of: datetime, keep: Materialize, *, name: str
) -> LifecycleTables:
    def store(step: str, table: ir.Table) -> ir.Table:
        return keep(f"step_{step}", table)

    known = warehouse.inputs_as_of(one.configuration)
    tables = known.people, known.field_since, known.events
    answer = lifecycle(*tables, one.definition, as_of=as_of, materialize=store)
    return LifecycleTables(
        keep(f"lifecycle_{name}", answer.lifecycle),
        keep(f"stage_history_{name}", answer.stage_history),
    )


def _labels(definition: Definition) -> dict[str, str]:
    return {stage.id: stage.label or stage.id for stage in definition.stages}


def _sample(both: ir.Table, records: ir.Table) -> Rows:
    """A few people of every flow, with the records by which the CRMs know them."""
    people = to_rows(
        stage_moves.sample(both, per_flow=SAMPLE_PER_FLOW).order_by(
            *stage_moves.FLOW_COLUMNS, "person_id"
        )
    )
    ids = [row["person_id"] for row in people]
    live = records.filter(~records.deleted, records.person_id.isin(ids)) if ids else None
    known: dict[str, list[str]] = {}
    if live is not None:
        for row in to_rows(live.select("person_id", "key").order_by("person_id", "key")):
            known.setdefault(row["person_id"], []).append(row["key"])
    return [row | {"records": known.get(row["person_id"], [])} for row in people]


def _follow_ups(before: Rows, after: Rows) -> Rows:
    counts = [
        {row["stage"]: row["entries"] / FOLLOW_UP_WEEKS for row in side} for side in (before, after)
    ]
    stages = dict.fromkeys(stage for side in counts for stage in side)
    return [
        {"stage": stage, "before": counts[0].get(stage, 0.0), "after": counts[1].get(stage, 0.0)}
        for stage in stages
    ]


def _actions(before: Rows, after: Rows) -> Rows:
    counts = [{row["next_action"]: row for row in side} for side in (before, after)]
    empty = {"people": 0, "due": 0}
    names = sorted({action for side in counts for action in side})
    return [
        {
            "next_action": name,
            "before": counts[0].get(name, empty)["people"],
            "after": counts[1].get(name, empty)["people"],
            "due": counts[0].get(name, empty)["due"],
            "due_to": counts[1].get(name, empty)["due"],
        }
        for name in names
    ]


def _writes(both: ir.Table, records: ir.Table, configuration: Configuration) -> Rows:
    """The records that would be written, per object, and the API calls for them."""
    found = []
    for crm, object, fields in stage_moves.written_objects(configuration.mappings):
        [row] = to_rows(stage_moves.changed_records(both, records, fields, crm=crm, object=object))
        found.append(
            {
                "crm": crm,
                "object": object,
                "records": row.pop("records"),
                "differing": row["differing"],
                "calls": _max_calls(crm, row.pop("differing")),
                "fields": row,
            }
        )
    return found


def _max_calls(crm: str, records: int) -> int:
    """Calls by batches, each record's stage being emptied first where the CRM asks for that."""
    return connector(crm).estimate_writes(
        None, WriteVolume(records, stages=records, backward=records)
    )
