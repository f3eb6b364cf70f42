"""Why not the next stage: what one person lacks for it, in words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analysis.supporting_events import PersonEvent, within_window
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
from transforms.lifecycle import field_conditions
from transforms.lifecycle.cycles import inactive_after
from transforms.lifecycle.lifecycle import leaf_columns, person_leaves
from transforms.lifecycle.reasons import describe_leaf
from transforms.lifecycle.stage_entries import reached_before, rule_true_at
from transforms.staging.timestamps import NEVER, from_datetime

Row = dict[str, Any]


@dataclass(frozen=True)
class PersonState:
    """One person at one instant: the row of each step that words about them need.

    answer: of `lifecycle`; values: of `people`; facts, ends: of the steps of these names; cycle:
    of `ruled`, the last one.
    """

    definition: Definition
    as_of: datetime
    lifecycle: Row
    values: Row
    field_conditions: Row
    person_conditions: Row
    cycle: Row
    events: list[PersonEvent]

    @property
    def starts_new_cycle(self) -> bool:
        """Whether they have been quiet for so long that the next activity begins a new cycle."""
        return from_datetime(self.as_of) - int(self.cycle["last"]) > inactive_after(self.definition)

    def since(self, condition: Condition) -> int:
        """Since when a condition of fields alone holds: us or NEVER."""
        match condition:
            case AnyOf(any=parts):
                return min(self.since(part) for part in parts)
            case AllOf(all=parts):
                return max(self.since(part) for part in parts)
            case FieldLeaf():
                return int(
                    self.field_conditions[
                        field_conditions.field_leaf_column(condition, self.definition)
                    ]
                )
        return NEVER

    def unmet_criteria(self) -> list[str]:
        """The qualification criteria that are not met."""
        section = self.definition.qualification
        asked = section.criteria if section else {}
        return [name for name, condition in asked.items() if self.since(condition) == NEVER]


def missing_for_next_stage(person: PersonState) -> str:
    """Say what is missing for the stage above; empty at the top."""
    stages = person.definition.stages
    rank = person.definition.stage_ids.index(person.lifecycle["stage"]) + 1
    if rank >= len(stages):
        return ""
    stage = stages[rank]
    anew = person.starts_new_cycle and not stage.final and bool(person.events)
    aside = "; after the long silence counts and channels begin anew" if anew else ""
    return f"{stage.label or stage.id} needs {MissingCriteria(person, stage).text()}{aside}"


@dataclass(frozen=True)
class MissingCriteria:
    """What one person lacks for one stage."""

    person: PersonState
    stage: Stage

    def text(self) -> str:
        """Everything that is missing, the alternatives joined by `or`."""
        rule = self.stage.enter
        if rule is None or self._holds(rule):
            return "any new activity"
        return self._of(rule)

    def _of(self, condition: Condition) -> str:
        match condition:
            case AnyOf(any=parts):
                return ", or ".join(self._of(part) for part in parts)
            case AllOf(all=parts):
                missing = [part for part in parts if not self._holds(part)]
                if len(missing) == 1:
                    return self._of(missing[0])
                return " and ".join(self._grouped(part) for part in missing)
            case leaf:
                return self._of_leaf(leaf)

    def _grouped(self, part: Condition) -> str:
        is_choice = isinstance(part, AnyOf) and len(part.any) > 1
        return f"either {self._of(part)}" if is_choice else self._of(part)

    def _of_leaf(self, leaf: Leaf) -> str:
        match leaf:
            case EventLeaf():
                return self._of_events(leaf)
            case ChannelsLeaf():
                return self._of_channels(leaf)
            case ScoreLeaf(score=which, gte=floor):
                have = self.person.lifecycle["score" if which == "total" else "engagement"]
                if have >= floor:
                    return f"any further event (the score is {have:.2f} already)"
                of = "" if which == "total" else " of engagement"
                return f"{floor - have:.2f} more points{of} ({have:.2f} of {floor:g})"
            case QualifiedLeaf(qualified=n):
                have, open_ones = self.person.lifecycle["qualified"], self.person.unmet_criteria()
                return f"{n - have} more of {_join_with_or(open_ones)} ({have} of {n} so far)"
            case FieldLeaf(field=name):
                now = format_value(self.person.values.get(name))
                return f"{describe_leaf(leaf, self.person.definition)} (now {now})"
            case StageLeaf(stage=lower):
                return self._of_stage(lower)

    def _of_events(self, leaf: EventLeaf) -> str:
        kinds = _join_with_or(list(leaf.event))
        if leaf.count == 1:
            return f"{'an' if kinds[0] in 'aeiou' else 'a'} {kinds}"
        near = within_window(self._countable(), self.person.as_of, leaf.within_days)
        have = sum(one.kind in leaf.event for one in near)
        more = f"{leaf.count - have} more" if have else f"{leaf.count}"
        so_far = f" ({have} of {leaf.count} so far)" if have else ""
        return f"{more} {kinds}{_window(leaf.within_days)}{so_far}"

    def _of_channels(self, leaf: ChannelsLeaf) -> str:
        events = self.person.definition.events
        near = within_window(self._countable(), self.person.as_of, leaf.within_days)
        seen = {one.channel for one in near if one.channel and events[one.kind].is_activity}
        short = leaf.channels - len(seen)
        more = f"{short} more channel{'s' * (short > 1)}" if seen else f"{short} channels"
        so_far = f" (so far {', '.join(sorted(seen))})" if seen else ""
        return f"{more}{_window(leaf.within_days)}{so_far}"

    def _countable(self) -> list[PersonEvent]:
        """The events that would count together with the next one."""
        happened = self.person.events
        if self.stage.final:
            return happened
        if self.person.starts_new_cycle:
            return []
        return [one for one in happened if one.cycle == self.person.cycle["cycle"]]

    def _of_stage(self, lower: str) -> str:
        definition = self.person.definition
        stage = definition.stages[definition.stage_ids.index(lower)]
        needs = MissingCriteria(self.person, stage).text()
        return f"{stage.label or stage.id} again (which needs {needs})"

    def _holds(self, condition: Condition) -> bool:
        match condition:
            case AnyOf(any=parts):
                return any(self._holds(part) for part in parts)
            case AllOf(all=parts):
                return all(self._holds(part) for part in parts)
            case FieldLeaf():
                return self.person.since(condition) < NEVER
            case QualifiedLeaf(qualified=n):
                return bool(self.person.lifecycle["qualified"] >= n)
            case StageLeaf(stage=lower):
                return self._has_stage(lower)
            case leaf:
                return self._came_true(leaf)

    def _came_true(self, leaf: Leaf) -> bool:
        if self.stage.final:
            return bool(
                self.person.person_conditions[person_leaves(self.person.definition)[leaf]] < NEVER
            )
        column = leaf_columns(self.person.definition).get(leaf)
        return (
            not self.person.starts_new_cycle
            and column is not None
            and self.person.cycle[column] < NEVER
        )

    def _has_stage(self, lower: str) -> bool:
        """Whether a stage leaf is true in the cycle to which the next event belongs."""
        definition, ids = self.person.definition, self.person.definition.stage_ids
        if not self.person.starts_new_cycle:
            ranks = ids[ids.index(lower) : ids.index(self.stage.id)]
            here = any(self.person.cycle[rule_true_at(one)] < NEVER for one in ranks)
            return here or bool(self.person.cycle.get(reached_before(lower)))
        back_to = ids.index(definition.recycled.to) if definition.recycled else -1
        reached = ids.index(self.person.lifecycle["furthest_stage"])
        return ids.index(lower) <= min(back_to, reached)


def format_value(value: Any) -> str:
    """A value as people write it."""
    match value:
        case None:
            return "empty"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"
    return str(value)


def _window(within_days: float | None) -> str:
    return "" if within_days is None else f" within {within_days:g} days"


def _join_with_or(words: list[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
