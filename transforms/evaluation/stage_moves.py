"""What another definition would change: who would move, what it means in work and in writing."""

from collections.abc import Mapping as Map
from datetime import datetime

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from config.mapping import FieldWrite, Mapping
from transforms.planning.plan import NUMBER_TOLERANCE
from transforms.staging.timestamps import from_datetime, to_microseconds

FLOW_COLUMNS = ["stage", "status", "stage_to", "status_to"]
"""The stage and status before and after."""


def join_answers(ours: ir.Table, theirs: ir.Table) -> ir.Table:
    """The answers of two definitions for the same people: the other's columns end in `_to`.

    Out:    person_id, all columns of both, is_moved boolean (stage or status differ)
    """
    joined = ours.join(theirs, "person_id", rname="{name}_to")
    moved = (joined.stage != joined.stage_to) | (joined.status != joined.status_to)
    return joined.mutate(is_moved=moved)


def flows(joined: ir.Table) -> ir.Table:
    """From where to where how many move: stage, status, stage_to, status_to, people."""
    moved = joined.filter(joined.is_moved)
    return moved.group_by(FLOW_COLUMNS).aggregate(people=moved.count())


def sample(joined: ir.Table, *, per_flow: int) -> ir.Table:
    """A few people of every flow, always the same: person_id, the flow, both reasons."""
    moved = joined.filter(joined.is_moved)
    of_flow = ibis.window(group_by=FLOW_COLUMNS, order_by=moved.person_id)
    numbered = moved.select(
        "person_id", *FLOW_COLUMNS, "reasons", "reasons_to", nth=ibis.row_number().over(of_flow)
    )
    return numbered.filter(numbered.nth < per_flow).drop("nth")


def follow_ups(
    stage_history: ir.Table, definition: Definition, *, since: datetime, until: datetime
) -> ir.Table:
    """How often people entered a stage that asks for a follow-up, in `(since, until]`.

    Who enters several stages at one instant is followed up once, for the highest.

    Out:    stage, entries
    """
    ids = definition.stage_ids
    rank = ibis.cases(*((stage_history.stage == one, n) for n, one in enumerate(ids)), else_=None)
    rows = stage_history.mutate(
        rank=rank.cast("int64"), at=to_microseconds(stage_history.entered_at)
    )
    rows = rows.filter(
        rows["rank"].notnull(),
        rows["at"] > from_datetime(since),
        rows["at"] <= from_datetime(until),
    )
    highest = rows.group_by("person_id", "at").aggregate(rank=rows["rank"].max())
    asked = [n for n, stage in enumerate(definition.stages) if stage.follow_up is not None]
    highest = highest.filter(highest["rank"].isin(asked)) if asked else highest.limit(0)
    named = ibis.cases(*((highest["rank"] == n, ids[n]) for n in asked), else_=ids[0])
    return highest.group_by(stage=named).aggregate(entries=highest.count())


def next_actions(lifecycle: ir.Table) -> ir.Table:
    """What is to be done now: next_action, people, due (of them with a follow-up that waits)."""
    return lifecycle.group_by("next_action").aggregate(
        people=lifecycle.count(), due=lifecycle.follow_up_due.notnull().sum()
    )


def changed_records(
    joined: ir.Table, records: ir.Table, writes: Map[str, FieldWrite], *, crm: str, object: str
) -> ir.Table:
    """How many records of one object would be written: one row.

    Counted are the records of which the two definitions want different values, in the CRM's words
    and beyond `min_change`; what the CRM itself holds is not asked.

    Out:    records (live and ours to write), differing, and a column per field
    """
    live = records.filter(
        records.crm == crm, records.object == object, ~records.deleted, ~records.read_only
    )
    rows = live.select("person_id").join(joined, "person_id")
    wrong = {name: _differs(rows, write) for name, write in writes.items()}
    rows = rows.select(**wrong, _any=ibis.or_(*wrong.values()))
    return rows.aggregate(
        records=rows.count(),
        differing=rows._any.sum().fill_null(0),
        **{name: rows[name].sum().fill_null(0) for name in wrong},
    )


def _differs(rows: ir.Table, write: FieldWrite) -> ir.BooleanValue:
    ours, theirs = rows[write.from_], rows[f"{write.from_}_to"]
    if ours.type().is_numeric() and not write.values:
        apart = (ours.cast("float64") - theirs.cast("float64")).abs()
        limit = max(write.min_change or 0, NUMBER_TOLERANCE)
        return (apart >= limit).fill_null(ours.isnull() != theirs.isnull())
    return ~_to_crm_values(ours, write).identical_to(_to_crm_values(theirs, write))


def _to_crm_values(value: ir.Value, write: FieldWrite) -> ir.StringValue:
    text = value.cast("string")
    words = [(text == word, theirs[0]) for word, theirs in write.values.items()]
    return ibis.cases(*words, else_=text) if words else text


def written_objects(mappings: Map[str, Mapping]) -> list[tuple[str, str, Map[str, FieldWrite]]]:
    """Every object that is written to: crm, object, its fields."""
    return [
        (crm, object, fields)
        for crm, mapping in mappings.items()
        for object, fields in mapping.write.items()
        if fields
    ]
