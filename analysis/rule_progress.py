"""How far one person is with the rules of the stages, read from the tables of the engine.

The rules are computed in transforms/lifecycle only. This module asks the same functions which
conditions hold, and counts the events that a threshold needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.types as ir

from config.definition import (
    AllOf,
    AnyOf,
    ChannelsLeaf,
    Condition,
    Definition,
    EventLeaf,
    FieldLeaf,
    Leaf,
    QualifiedLeaf,
    Stage,
    leaves,
)
from transforms.lifecycle.cycles import cycle_end, kind_numbers, kinds_where
from transforms.lifecycle.field_conditions import condition_since, field_leaf_column
from transforms.lifecycle.lifecycle import Steps, leaf_columns, person_leaves
from transforms.lifecycle.stage_entries import (
    carried_over_stages,
    evaluate_rules,
    leaf_since,
    reached_before,
    rule_true_at,
)
from transforms.staging.literals import int64
from transforms.staging.timestamps import NEVER, days_to_microseconds, from_datetime


@dataclass(frozen=True)
class RuleProgress:
    """How far one person is, in the cycle to which their next event will belong.

    true: the conditions that hold, with the id of the stage whose rule has them; counts: events of
    an event leaf in its window; channels: those of a channels leaf, in alphabetical order.
    """

    starts_new_cycle: bool
    has_events: bool
    true: frozenset[tuple[str, Condition]]
    counts: dict[tuple[str, Leaf], int]
    channels: dict[tuple[str, Leaf], list[str]]

    def holds(self, stage: Stage, condition: Condition) -> bool:
        """Whether a condition in the rule of a stage is true."""
        return (stage.id, condition) in self.true


def rule_progress(steps: Steps, definition: Definition, *, as_of: datetime) -> RuleProgress:
    """Read the progress of the one person whom the steps are about."""
    now = from_datetime(as_of)
    cycle = next_event_cycle(steps, definition, as_of=now)
    fields = steps.field_conditions.drop("person_id", "created")
    rows = cycle.join(fields, "who").join(
        steps.person_conditions.drop("final", "disqualified"), "who"
    )
    conditions = {
        (stage.id, condition): _since(rows, stage, condition, definition) < NEVER
        for stage in definition.stages
        if stage.enter is not None
        for condition in _parts(stage.enter)
    }
    columns = {f"condition_{n}": holds for n, holds in enumerate(conditions.values())}
    [row] = rows.select("starts_new_cycle", **columns).to_pyarrow().to_pylist()
    counts, channels, total = _count_events(steps.admitted, cycle, definition, as_of=now)
    return RuleProgress(
        row["starts_new_cycle"],
        total > 0,
        frozenset(key for name, key in zip(columns, conditions, strict=True) if row[name]),
        counts,
        channels,
    )


def next_event_cycle(steps: Steps, definition: Definition, *, as_of: int) -> ir.Table:
    """Give the cycle of each person to which an event at `as_of` would belong.

    After a long silence that is a new cycle, in which only fields, criteria and the stages that
    earlier cycles reached are true.

    Out:    the columns of `evaluated_rules`, starts_new_cycle boolean; one row per person
    """
    rules = steps.evaluated_rules
    last = rules.filter(rules.next_start == NEVER)
    is_over = cycle_end(last, definition) < as_of
    columns = leaf_columns(definition)
    of_cycle = [name for leaf, name in columns.items() if not isinstance(leaf, QualifiedLeaf)]
    new = last.filter(is_over)
    new = new.mutate(
        cycle=new.cycle + 1,
        start=int64(as_of),
        closed=int64(NEVER),
        **{name: int64(NEVER) for name in of_cycle},
    )
    results = [rule_true_at(stage) for stage in definition.stage_ids]
    reached = [reached_before(stage) for stage in carried_over_stages(definition)]
    cycles = rules.union(new.select(*rules.columns)).drop(*results, *reached)
    fields = steps.field_conditions.drop("person_id", "created")
    evaluated = evaluate_rules(cycles.join(fields, "who"), definition, columns)
    new = evaluated.semi_join(new, ["who", "cycle"])
    # rules of fields alone are true at once, but no stage is entered before the next activity
    new = new.mutate(**{name: int64(NEVER) for name in results})
    current = last.filter(~is_over).mutate(starts_new_cycle=ibis.literal(False))
    return current.union(new.mutate(starts_new_cycle=ibis.literal(True)).select(*current.columns))


def _since(
    rows: ir.Table, stage: Stage, condition: Condition, definition: Definition
) -> ir.IntegerValue:
    if not stage.final:
        columns = leaf_columns(definition)
        return condition_since(condition, leaf_since(rows, definition, columns, stage))
    person_columns = person_leaves(definition)

    def person_leaf_since(leaf: Leaf) -> ir.IntegerValue:
        if isinstance(leaf, FieldLeaf):
            return rows[field_leaf_column(leaf, definition)]
        return rows[person_columns[leaf]]

    return condition_since(condition, person_leaf_since)


def _parts(condition: Condition) -> Iterator[Condition]:
    yield condition
    match condition:
        case AnyOf(any=parts) | AllOf(all=parts):
            for part in parts:
                yield from _parts(part)


def _count_events(
    admitted: ir.Table, cycle: ir.Table, definition: Definition, *, as_of: int
) -> tuple[dict[tuple[str, Leaf], int], dict[tuple[str, Leaf], list[str]], int]:
    """Count the events of each event leaf, and name the channels of each channels leaf."""
    events = admitted.join(cycle.select("who", current="cycle"), "who")
    channels = sorted({kind.channel for kind in definition.events.values() if kind.channel})
    aggregates: dict[str, ir.Value] = {"total": events.count()}
    count_columns: dict[tuple[str, Leaf], str] = {}
    channel_columns: dict[tuple[str, Leaf], list[str]] = {}
    for number, (stage, leaf) in enumerate(_threshold_leaves(definition)):
        # a final rule looks at all events of a person, the others at those of one cycle
        near = ibis.literal(True) if stage.final else events.cycle == events.current
        if leaf.within_days is not None:
            near = near & (events["at"] > as_of - days_to_microseconds(leaf.within_days))
        if isinstance(leaf, EventLeaf):
            kinds = {f"count_{number}": kind_numbers(leaf.event, definition)}
            [count_columns[stage.id, leaf]] = kinds
        else:
            kinds = {
                f"channel_{number}_{n}": _channel_kinds(channel, definition)
                for n, channel in enumerate(channels)
            }
            channel_columns[stage.id, leaf] = list(kinds)
        for name, numbers in kinds.items():
            aggregates[name] = events.count(where=near & events.kind.isin(numbers))
    [row] = events.aggregate(**aggregates).to_pyarrow().to_pylist()
    return (
        {key: row[name] for key, name in count_columns.items()},
        {
            key: [channel for channel, name in zip(channels, names, strict=True) if row[name]]
            for key, names in channel_columns.items()
        },
        row["total"],
    )


def _threshold_leaves(definition: Definition) -> Iterator[tuple[Stage, EventLeaf | ChannelsLeaf]]:
    for stage in definition.stages:
        for leaf in leaves(stage.enter) if stage.enter is not None else ():
            if isinstance(leaf, EventLeaf | ChannelsLeaf):
                yield stage, leaf


def _channel_kinds(channel: str, definition: Definition) -> list[int]:
    return kinds_where(definition, lambda kind: kind.is_activity and kind.channel == channel)
