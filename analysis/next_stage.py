"""What a person needs for the next stage, in words."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from analysis.rule_progress import RuleProgress
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
    ScoreLeaf,
    Stage,
    StageLeaf,
)
from transforms.lifecycle.reasons import describe_leaf
from transforms.staging.timestamps import NEVER


@dataclass(frozen=True)
class PersonState:
    """One person at `as_of`, as the steps of the engine describe them.

    lifecycle: the row of `lifecycle`; values: the row of `people`; leaf_since: field and event
    leaves that look at all of a person's events; fit_since, criteria_since: the fit lines and the
    qualification criteria; closings: what ended cycles; points: of each kind of score, what counts
    for a rule now. All instants are in microseconds, NEVER where a condition is false.
    """

    definition: Definition
    lifecycle: dict[str, Any]
    values: dict[str, Any]
    leaf_since: dict[Leaf, int]
    fit_since: list[int]
    criteria_since: dict[str, int]
    closings: list[int]
    points: dict[str, float]
    progress: RuleProgress


def missing_for_next_stage(person: PersonState) -> str:
    """Say what is missing for the next higher stage; an empty text at the highest."""
    stages = person.definition.stages
    rank = person.definition.stage_ids.index(person.lifecycle["stage"]) + 1
    if rank >= len(stages):
        return ""
    stage, progress = stages[rank], person.progress
    starts_again = progress.starts_new_cycle and not stage.final and progress.has_events
    hint = "; after the long inactivity, counts and channels start again" if starts_again else ""
    return f"{_label(stage)} needs {_missing_for(stage, person)}{hint}"


def format_value(value: Any) -> str:
    """Write a value for people."""
    match value:
        case None:
            return "empty"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"
    return str(value)


def _missing_for(stage: Stage, person: PersonState) -> str:
    if stage.enter is None or person.progress.holds(stage, stage.enter):
        return "any new activity"
    return _missing(stage.enter, stage, person)


def _missing(condition: Condition, stage: Stage, person: PersonState) -> str:
    """Write the false parts of a condition: alternatives with `or`, the others with `and`."""
    match condition:
        case AnyOf(any=parts):
            return ", or ".join(_missing(part, stage, person) for part in parts)
        case AllOf(all=parts):
            missing = [part for part in parts if not person.progress.holds(stage, part)]
            if len(missing) == 1:
                return _missing(missing[0], stage, person)
            return " and ".join(
                ("either " if isinstance(part, AnyOf) and len(part.any) > 1 else "")
                + _missing(part, stage, person)
                for part in missing
            )
        case leaf:
            return _missing_leaf(leaf, stage, person)


def _missing_leaf(leaf: Leaf, stage: Stage, person: PersonState) -> str:
    definition, lifecycle, progress = person.definition, person.lifecycle, person.progress
    match leaf:
        case EventLeaf():
            return _missing_events(leaf, progress.counts[stage.id, leaf])
        case ChannelsLeaf():
            return _missing_channels(leaf, progress.channels[stage.id, leaf])
        case ScoreLeaf(score=name, gte=threshold):
            points = person.points[name]
            if points >= threshold:
                return f"any further event (the score is already {points:.2f})"
            of = "" if name == "total" else f" of {name}"
            missing = _round_up(threshold - points)
            return f"{missing:.2f} more points{of} ({points:.2f} of {threshold:g})"
        case QualifiedLeaf(qualified=count):
            met = lifecycle["qualified"]
            unmet = [name for name, since in person.criteria_since.items() if since == NEVER]
            return f"{count - met} more of {_join_with_or(unmet)} ({met} of {count} so far)"
        case FieldLeaf(field=name):
            now = format_value(person.values.get(name))
            return f"{describe_leaf(leaf, definition)} (now {now})"
        case StageLeaf(stage=lower):
            lower_stage = definition.stages[definition.stage_ids.index(lower)]
            return f"{_label(lower_stage)} again (which needs {_missing_for(lower_stage, person)})"


def _round_up(points: float) -> float:
    """Round to two decimals, so that as many points are enough."""
    return ceil(round(100 * points, 4)) / 100


def _missing_events(leaf: EventLeaf, count: int) -> str:
    kinds = _join_with_or(list(leaf.event))
    if leaf.count == 1:
        return f"{'an' if kinds[0] in 'aeiou' else 'a'} {kinds}"
    window = _window(leaf.within_days)
    if not count:
        return f"{leaf.count} {kinds}{window}"
    return f"{leaf.count - count} more {kinds}{window} ({count} of {leaf.count} so far)"


def _missing_channels(leaf: ChannelsLeaf, channels: list[str]) -> str:
    window = _window(leaf.within_days)
    count = leaf.channels - len(channels)
    if not channels:
        return f"{count} channels{window}"
    plural = "s" if count > 1 else ""
    return f"{count} more channel{plural}{window} (so far {', '.join(channels)})"


def _label(stage: Stage) -> str:
    return stage.label or stage.id


def _window(within_days: float | None) -> str:
    return "" if within_days is None else f" within {within_days:g} days"


def _join_with_or(words: list[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
