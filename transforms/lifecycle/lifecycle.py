"""The answer: where every person stands, since when, why, and what to do next."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from config.definition import (
    ChannelsLeaf,
    Definition,
    EventLeaf,
    FieldLeaf,
    Leaf,
    QualifiedLeaf,
    ScoreLeaf,
    leaves,
)
from transforms.lifecycle import (
    contact_policy,
    current_stage,
    event_conditions,
    field_conditions,
    reasons,
    score,
    stage_entries,
)
from transforms.lifecycle import cycles as activity
from transforms.staging.literals import float64, int64
from transforms.staging.timestamps import NEVER, days_to_microseconds, from_datetime, to_timestamp

Materialize = Callable[[str, ir.Table], ir.Table]
"""Keeps a table under a name in the warehouse and hands it back: each step is computed once."""


class LifecycleTables(NamedTuple):
    """The two tables that a definition makes of people and events."""

    lifecycle: ir.Table
    stage_history: ir.Table


class Steps(NamedTuple):
    """The steps on the way to the answer, each kept once; what receipts are read from."""

    field_conditions: ir.Table
    countable: ir.Table
    cycles: ir.Table
    admitted: ir.Table
    person_conditions: ir.Table
    evaluated_rules: ir.Table
    entries: ir.Table
    recyclings: ir.Table


def lifecycle(
    people: ir.Table,
    field_since: ir.Table,
    events: ir.Table,
    definition: Definition,
    *,
    as_of: datetime,
    materialize: Materialize,
) -> LifecycleTables:
    """Decide where every person stands at `as_of`.

    In:     people(person_id, created_at, canonical fields), field_since(person_id, field, since),
            events(event_id, person_id, kind, at, duplicate_of); timestamps are UTC
    Out:    `lifecycle`, one row per person known at `as_of`; `stage_history`, one per entry
    Raises: ConfigError where the definition asks for a field that people do not have.
    Source: docs/definition.md.
    """
    steps = compute_steps(
        people, field_since, events, definition, as_of=as_of, materialize=materialize
    )
    return build_tables(steps, definition, as_of=as_of, materialize=materialize)


def compute_steps(
    people: ir.Table,
    field_since: ir.Table,
    events: ir.Table,
    definition: Definition,
    *,
    as_of: datetime,
    materialize: Materialize,
) -> Steps:
    """Follow everybody's journey up to what each cycle entered and what was taken back when."""
    now = from_datetime(as_of)
    known = materialize(
        "facts", field_conditions.field_conditions(people, field_since, definition, as_of=now)
    )
    counted = materialize("counted", activity.countable(events, known, definition, as_of=now))
    ends = materialize("ends", _person_conditions(known, counted, definition))
    closings = materialize(
        "closings", activity.closing_events(events, known, definition, as_of=now)
    )
    shown = activity.activity(counted, definition)
    cycles = materialize("cycles", activity.cycles(known, shown, closings, ends, definition))
    admitted = materialize("admitted", activity.admitted(counted, cycles, definition))
    rows = materialize("leaves", _cycle_leaves(known, admitted, cycles, definition, as_of=now))
    fields = known.drop("person_id", "created")
    ruled = stage_entries.evaluate_rules(
        rows.join(fields, "who"), definition, leaf_columns(definition)
    )
    ruled = materialize("ruled", ruled.drop(*fields.drop("who").columns))
    entries = materialize("entries", stage_entries.entries(ruled, definition))
    recyclings = current_stage.recyclings(
        entries, cycles, closings, definition, as_of=now, materialize=materialize
    )
    recyclings = materialize("recyclings", recyclings)
    return Steps(known, counted, cycles, admitted, ends, ruled, entries, recyclings)


def build_tables(
    steps: Steps, definition: Definition, *, as_of: datetime, materialize: Materialize
) -> LifecycleTables:
    """Say where everybody's journey has brought them."""
    stands = current_stage.standing(steps.entries, steps.recyclings, steps.cycles, definition)
    stands = materialize("standing", stands)
    told = materialize("reasons", _reasons(steps, stands, definition))
    return LifecycleTables(
        _lifecycle(steps, stands, told, definition, as_of=as_of),
        stage_history(steps, definition),
    )


def person_leaves(definition: Definition) -> dict[Leaf, str]:
    """The columns of the event leaves that look at all of a person's events at once."""
    final = definition.final
    ends = [final.enter if final else None, definition.disqualified]
    found = [leaf for end in ends if end is not None for leaf in leaves(end)]
    asked = dict.fromkeys(leaf for leaf in found if isinstance(leaf, EventLeaf))
    return {leaf: f"end_{i}" for i, leaf in enumerate(asked)}


def _person_conditions(known: ir.Table, counted: ir.Table, definition: Definition) -> ir.Table:
    """Since when the final stage's rule and `disqualified` hold: who, final, disqualified (us)."""
    columns = person_leaves(definition)
    asked_for = [leaf for leaf in columns if isinstance(leaf, EventLeaf)]
    kinds = {n for leaf in asked_for for n in activity.kind_numbers(leaf.event, definition)}
    asked = counted.filter(counted.kind.isin(sorted(kinds)))
    admitted = activity.cap_per_day(asked, definition)
    found = event_conditions.first_true_at(admitted, columns, definition, ["who"])
    rows = event_conditions.join_columns(known, found, ["who"])
    read = _person_leaf_since(rows, definition)
    never = int64(NEVER)
    final = definition.final
    won = field_conditions.condition_since(final.enter, read) if final and final.enter else never
    lost = definition.disqualified
    return rows.select(
        "who",
        *columns.values(),
        final=won.cast("int64"),
        disqualified=(field_conditions.condition_since(lost, read) if lost else never).cast(
            "int64"
        ),
    )


def _person_leaf_since(rows: ir.Table, definition: Definition) -> Callable[[Leaf], ir.IntegerValue]:
    columns = person_leaves(definition)

    def since(leaf: Leaf) -> ir.IntegerValue:
        if isinstance(leaf, FieldLeaf):
            return field_conditions.latest(
                [rows[field_conditions.field_leaf_column(leaf, definition)], rows.created]
            )
        return rows[columns[leaf]]

    return since


def leaf_columns(definition: Definition) -> dict[Leaf, str]:
    """Name the column of each leaf that is asked cycle by cycle; field and stage leaves have none.

    Without a score no score leaf is ever true, and has no column either.
    """
    rules = [stage.enter for stage in definition.stages if stage.enter and not stage.final]
    found = (leaf for rule in rules for leaf in leaves(rule))
    kinds: tuple[type[Leaf], ...] = (EventLeaf, ChannelsLeaf, QualifiedLeaf)
    kinds = (*kinds, ScoreLeaf) if definition.score else kinds
    asked = dict.fromkeys(leaf for leaf in found if isinstance(leaf, kinds))
    return {leaf: f"leaf_{i}" for i, leaf in enumerate(asked)}


def _cycle_leaves(
    known: ir.Table,
    admitted: ir.Table,
    cycles: ir.Table,
    definition: Definition,
    *,
    as_of: int,
) -> ir.Table:
    """One row per cycle with the instant of every leaf that its rules may ask for."""
    columns = leaf_columns(definition)
    by = ["who", "cycle"]
    inside = admitted.filter(admitted.cycle.notnull())
    found = [*event_conditions.first_true_at(inside, columns, definition, by)]
    since = fit_lines_since(known, definition)
    found += score.score_reached_at(admitted, cycles, since, columns, definition, as_of=as_of)
    rows = event_conditions.join_columns(cycles, found, by)
    with_fields = rows.join(known.drop("person_id", "created"), "who")
    qualified = {
        name: stage_entries.qualified_since(with_fields, leaf, definition)
        for leaf, name in columns.items()
        if isinstance(leaf, QualifiedLeaf)
    }
    return with_fields.select(*rows.columns, **qualified)


def fit_lines_since(field_rows: ir.Table, definition: Definition) -> ir.Table:
    """Since when each fit line holds: who, created, fit_0, ... (us or NEVER)."""
    lines = score.fit_lines(definition)
    return field_rows.select(
        "who",
        "created",
        **{
            score.fit_column(i): stage_entries.field_condition_since(
                field_rows, line.when, definition
            )
            for i, line in enumerate(lines)
        },
    )


def _reasons(steps: Steps, stands: ir.Table, definition: Definition) -> ir.Table:
    """The reasons of those who entered their stage by a rule; the recycled have their own."""
    rows, leaf_since = _entry_cycles(steps, stands, definition)
    return reasons.reasons(rows, steps.admitted, definition, leaf_since)


def reason_leaves(
    steps: Steps, standings: ir.Table, definition: Definition
) -> tuple[ir.Table, list[Leaf]]:
    """The leaves behind the reasons: who, at (us), place; and the leaf of each place."""
    rows, leaf_since = _entry_cycles(steps, standings, definition)
    return reasons.reason_leaves(rows, definition, leaf_since)


def _entry_cycles(
    steps: Steps, stands: ir.Table, definition: Definition
) -> tuple[ir.Table, Callable[[ir.Table, int], reasons.LeafSince]]:
    """The cycles that brought people to their stage, and how to read the leaves of its rule."""
    risen = stands.filter(stands.entry_cycle.notnull(), stands["rank"] > 0)
    risen = risen.select("who", "rank", cycle=risen.entry_cycle)
    rows = steps.evaluated_rules.join(risen, ["who", "cycle"])
    rows = rows.join(steps.field_conditions.drop("person_id", "created"), "who")
    rows = rows.join(steps.person_conditions.drop("final", "disqualified"), "who")
    columns = leaf_columns(definition)

    def leaf_since(here: ir.Table, rank: int) -> Callable[[Leaf], ir.IntegerValue]:
        stage = definition.stages[rank]
        if stage.final:
            return _person_leaf_since(here, definition)
        return stage_entries.leaf_since(here, definition, columns, stage)

    return rows, leaf_since


def stage_history(steps: Steps, definition: Definition) -> ir.Table:
    """List everybody's entries and recyclings: person_id, cycle, stage, entered_at."""
    entered = steps.entries.select(
        "who", "cycle", "at", stage=_stage_name(steps.entries["rank"], definition)
    )
    recycled = steps.recyclings.select("who", "cycle", "at", stage=ibis.literal("recycled"))
    both = entered.union(recycled)
    named = both.join(steps.field_conditions.select("who", "person_id"), "who")
    return named.select("person_id", "cycle", "stage", entered_at=to_timestamp(named.at))


def _stage_name(rank: ir.IntegerValue, definition: Definition) -> ir.StringValue:
    ids = definition.stage_ids
    return ibis.cases(*((rank == i, name) for i, name in enumerate(ids)), else_=ids[0])


def _lifecycle(
    steps: Steps,
    stands: ir.Table,
    told: ir.Table,
    definition: Definition,
    *,
    as_of: datetime,
) -> ir.Table:
    now = from_datetime(as_of)
    moments = current_stage.stage_dates(steps.entries, definition)
    rows = steps.field_conditions
    for table in (stands, moments, steps.person_conditions):
        rows = rows.join(table, "who")
    optional = [
        told,
        contact_policy.follow_up_activity(steps.countable, definition, as_of=now),
        score.engagement(steps.admitted, definition, as_of=now),
    ]
    for table in optional:
        rows = rows.left_join(table, "who").drop("who_right")
    rows = _add_decisions(rows, definition, now=now)
    return rows.select(
        "person_id",
        "stage",
        "status",
        standing=ibis.ifelse(
            rows.status.isin(["recycled", "disqualified"]), rows.status, rows.stage
        ),
        stage_since=to_timestamp(rows.since),
        **{f"{stage}_at": to_timestamp(rows[f"{stage}_at"]) for stage in definition.stage_ids[1:]},
        recycled_at=to_timestamp(rows.recycled_at),
        disqualified_at=to_timestamp(rows.disqualified),
        furthest_stage=_stage_name(rows.furthest, definition),
        cycle=rows.cycle,
        score=score.round_2((rows.engagement + rows.fit).round(score.DECIMAL_PLACES)),
        engagement=score.round_2(rows.engagement),
        fit=rows.fit,
        grade=_grade(rows.fit, definition),
        qualified=rows.qualified,
        touches=rows.touches.cast("float64") / float64(100),
        pressure=rows.pressure,
        contactable=rows.contactable,
        next_action=rows.next_action,
        follow_up_due=to_timestamp(_follow_up_due(rows, definition)),
        reasons=_reason_text(rows, definition),
        definition_id=ibis.literal(definition.id),
        as_of=to_timestamp(int64(now)),
    )


def _add_decisions(rows: ir.Table, definition: Definition, *, now: int) -> ir.Table:
    """Add stage, status, fit, qualified, contactable, pressure and next_action."""
    fits = {
        score.fit_column(i): stage_entries.field_condition_since(rows, line.when, definition)
        for i, line in enumerate(score.fit_lines(definition))
    }
    rows = rows.mutate(**fits)
    reachable = definition.contact.contactable
    criteria = stage_entries.criteria_since(rows, definition).values()
    rows = rows.mutate(
        stage=_stage_name(rows["rank"], definition),
        fit=score.fit_points(rows, definition, at=now).round(score.DECIMAL_PLACES),
        engagement=rows.engagement.fill_null(float64(0)),
        qualified=sum(((one < NEVER).ifelse(1, 0) for one in criteria), int64(0)),
        touches=rows.touches.fill_null(0),
        contactable=(
            stage_entries.field_condition_since(rows, reachable, definition) < NEVER
            if reachable is not None
            else ibis.literal(True)
        ),
    )
    rows = rows.mutate(
        status=_status(rows, definition), pressure=contact_policy.pressure(rows.touches, definition)
    )
    return rows.mutate(next_action=_next_action(rows, definition))


def _status(rows: ir.Table, definition: Definition) -> ir.StringValue:
    branches = [(rows.disqualified < NEVER, "disqualified"), (rows.is_quiet, "recycled")]
    if definition.final:
        branches.insert(0, (rows["rank"] == len(definition.stages) - 1, "won"))
    return ibis.cases(*branches, else_="open")


def _next_action(rows: ir.Table, definition: Definition) -> ir.StringValue:
    actions = ((rows["rank"] == i, s.action or "none") for i, s in enumerate(definition.stages))
    return ibis.cases(
        (rows.status.isin(["won", "disqualified"]) | ~rows.contactable, "none"),
        (rows.pressure == "stop", "pause"),
        (rows.status == "recycled", "nurture"),
        *actions,
        else_="none",
    )


def _follow_up_due(rows: ir.Table, definition: Definition) -> ir.IntegerValue:
    never = int64(NEVER)
    silent = rows.next_action.isin(["none", "pause"]) | (rows.status == "recycled")
    due = [(silent, never)]
    for rank, stage in enumerate(definition.stages):
        if stage.follow_up is not None:
            done = (rows[contact_policy.follow_up_column(rank)] >= rows.since).fill_null(False)
            deadline = rows.since + days_to_microseconds(stage.follow_up.within_hours / 24)
            due.append(((rows["rank"] == rank) & ~done, deadline))
    return ibis.cases(*due, else_=never)


def _grade(fit: ir.FloatingValue, definition: Definition) -> ir.StringValue:
    grades = definition.score.grades if definition.score else {}
    steps = [(fit >= float64(grades[letter]), letter) for letter in sorted(grades)]
    return ibis.cases(*steps, else_="D") if steps else ibis.literal("D")


def _reason_text(rows: ir.Table, definition: Definition) -> ir.StringValue:
    fell = _stage_name(rows.fell_from.fill_null(0), definition)
    recycled = ibis.literal("recycled from ") + fell + " on "
    recycled = recycled + to_timestamp(rows.recycled_at).strftime("%Y-%m-%d")
    recycled = recycled + (ibis.literal(" (") + rows.fell_by + ")").fill_null("")
    return ibis.ifelse(rows.is_recycled, recycled, rows.reasons.fill_null(""))
