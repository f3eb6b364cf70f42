"""The reasons of a stage: one line of text with the leaves that made its rule true."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

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
    StageLeaf,
)
from transforms.lifecycle.cycles import kind_numbers
from transforms.lifecycle.field_conditions import condition_since
from transforms.lifecycle.stage_entries import carried_over_stages, reached_before, rule_true_at
from transforms.staging.literals import int64
from transforms.staging.timestamps import NEVER, to_timestamp

LeafSince = Callable[[Leaf], ir.IntegerValue]

_ORDER_WORDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True)
class CandidateLeaf:
    """A leaf on the way to a stage: whether a row came through it, and when it became true."""

    leaf: Leaf
    is_reason: ir.BooleanValue
    since: ir.IntegerValue


def describe_leaf(leaf: Leaf, definition: Definition) -> str:
    """Say a leaf in a few words, as `reasons` and receipts print it."""
    match leaf:
        case EventLeaf(event=kinds, count=1):
            return "/".join(kinds)
        case EventLeaf(event=kinds, count=count, within_days=within):
            return f"{count} {'/'.join(kinds)}{_window(within)}"
        case ChannelsLeaf(channels=n, within_days=within):
            return f"{n} channels{_window(within)}"
        case ScoreLeaf(score=of, gte=floor):
            return f"score {of} >= {_format_value(floor)}"
        case QualifiedLeaf(qualified=n):
            framework = definition.qualification and definition.qualification.framework
            return f"{n} of {framework}" if framework else f"{n} criteria"
        case FieldLeaf():
            return f"{leaf.field} {' and '.join(_tests(leaf))}"
        case StageLeaf(stage=stage):
            return stage


def candidate_leaves(
    rows: ir.Table, rank: int, definition: Definition, leaf_since: Callable[[int], LeafSince]
) -> Iterator[CandidateLeaf]:
    """Walk the rule of a stage and give every leaf through which a row may have entered it.

    `rows` has the columns of `stages.rules`; `leaf_since(rank)` reads the instants of the leaves
    in the rule of a stage.
    """
    rule = definition.stages[rank].enter
    if rule is not None:
        yield from _walk(rows, rule, ibis.literal(True), rank, definition, leaf_since)


def reasons(
    rows: ir.Table,
    admitted: ir.Table,
    definition: Definition,
    leaf_since: Callable[[ir.Table, int], LeafSince],
) -> ir.Table:
    """Write down through which leaves each person came to stand where they stand.

    In:     rows: one per person, the columns of `stages.rules` of the cycle that entered the
            stage, and `rank`; admitted(who, at, kind)
    Out:    who, reasons string; people in the first stage have no row
    Source: docs/definition.md, "Reasons".
    """
    came, spoken = reason_leaves(rows, definition, leaf_since)
    if not spoken:
        return came.select("who", reasons=ibis.literal(""))
    told = _add_text(came, spoken, admitted, definition)
    told = told.group_by("who", "at", "text").aggregate(place=told.place.min())
    return _in_one_line(told, most=len(spoken))


def reason_leaves(
    rows: ir.Table, definition: Definition, leaf_since: Callable[[ir.Table, int], LeafSince]
) -> tuple[ir.Table, list[Leaf]]:
    """List the leaves through which each person came to stand where they stand.

    In:     as `reasons` takes them
    Out:    who, at (us), place; and the leaf of each place
    """
    listed: list[ir.Table] = []
    spoken: list[Leaf] = []
    for rank in range(1, len(definition.stages)):
        here = rows.filter(rows["rank"] == rank)
        for part in candidate_leaves(here, rank, definition, partial(leaf_since, here)):
            place = int64(len(spoken))
            came = here.filter(part.is_reason)
            listed.append(came.select("who", at=part.since, place=place))
            spoken.append(part.leaf)
    nobody = rows.filter(ibis.literal(False)).select("who", at=int64(NEVER), place=int64(0))
    return ibis.union(nobody, *listed) if listed else nobody, spoken


def _walk(
    rows: ir.Table,
    condition: Condition,
    through: ir.BooleanValue,
    rank: int,
    definition: Definition,
    leaf_since: Callable[[int], LeafSince],
) -> Iterator[CandidateLeaf]:
    read = leaf_since(rank)
    match condition:
        case AllOf(all=members):
            for member in members:
                yield from _walk(rows, member, through, rank, definition, leaf_since)
        case AnyOf(any=members):
            since = [condition_since(member, read) for member in members]
            for member, first in zip(members, _is_earliest(since), strict=True):
                yield from _walk(rows, member, through & first, rank, definition, leaf_since)
        case StageLeaf(stage=lower):
            yield from _walk_stage(rows, lower, through, rank, definition, leaf_since)
        case leaf:
            yield CandidateLeaf(leaf, through, read(leaf))


def _walk_stage(
    rows: ir.Table,
    lower: str,
    through: ir.BooleanValue,
    rank: int,
    definition: Definition,
    leaf_since: Callable[[int], LeafSince],
) -> Iterator[CandidateLeaf]:
    """A stage leaf is replaced by the reasons of the stage that made it true first."""
    ids = definition.stage_ids
    if lower in carried_over_stages(definition):
        through = through & ~rows[reached_before(lower)]
    ranks = range(ids.index(lower), rank)
    firsts = _is_earliest([rows[rule_true_at(ids[one])] for one in ranks])
    for one, first in zip(ranks, firsts, strict=True):
        rule = definition.stages[one].enter
        if rule is not None:
            yield from _walk(rows, rule, through & first, one, definition, leaf_since)


def _is_earliest(since: list[ir.IntegerValue]) -> list[ir.BooleanValue]:
    """Which of these came true first; of equal ones the one written first."""
    return [
        ibis.and_(
            one < NEVER, *(one < other for other in since[:i]), *(one <= o for o in since[i + 1 :])
        )
        for i, one in enumerate(since)
    ]


def _add_text(
    told: ir.Table, spoken: list[Leaf], admitted: ir.Table, definition: Definition
) -> ir.Table:
    """Put leaves into words: who, at, place, text.

    A leaf that asks for one of several kinds is shown as the kind that happened at that time; of
    several the one written first.
    """
    words = ibis.cases(
        *(
            (told.place == place, describe_leaf(leaf, definition))
            for place, leaf in enumerate(spoken)
        ),
        else_="",
    )
    choices = [place for place, leaf in enumerate(spoken) if _is_choice(leaf)]
    if not choices:
        return told.mutate(text=words)
    plain = told.filter(told.place.notin(choices)).mutate(text=words)
    words = _choice_texts(spoken, definition)
    asked = told.filter(told.place.isin(choices))
    happened = asked.join(admitted.select("who", "at", "kind"), ["who", "at"])
    named = happened.join(words, ["place", "kind"])
    first = named.group_by("who", "at", "place").aggregate(text=named.word.argmin(named.nth))
    return plain.union(first)


def _is_choice(leaf: Leaf) -> bool:
    return isinstance(leaf, EventLeaf) and leaf.count == 1 and len(leaf.event) > 1


def _choice_texts(spoken: list[Leaf], definition: Definition) -> ir.Table:
    """The kinds a leaf may be shown as: place, kind (its number), nth (as written), word."""
    rows = [
        {"place": place, "kind": number, "nth": nth, "word": word}
        for place, leaf in enumerate(spoken)
        if isinstance(leaf, EventLeaf) and _is_choice(leaf)
        for nth, (number, word) in enumerate(
            zip(kind_numbers(leaf.event, definition), leaf.event, strict=True)
        )
    ]
    return ibis.memtable(pa.Table.from_pylist(rows))


def _in_one_line(told: ir.Table, most: int) -> ir.Table:
    """Join the parts of each person, oldest first.

    Ranked and put side by side: an ordered string aggregate is not to be had on every engine.
    """
    journey = ibis.window(group_by=told.who, order_by=[told.at, told.place])
    dated = told.text + " on " + to_timestamp(told.at).strftime("%Y-%m-%d")
    ranked = told.select("who", said=dated, nth=ibis.row_number().over(journey))
    sides = ranked.group_by("who").aggregate(
        **{f"part_{i}": ranked.said.max(where=ranked.nth == i) for i in range(most)}
    )
    line = sides.part_0
    for i in range(1, most):
        line = line + (ibis.literal("; ") + sides[f"part_{i}"]).fill_null("")
    return sides.select("who", reasons=line)


def _window(within: float | None) -> str:
    return "" if within is None else f" within {within:g} days"


def _tests(leaf: FieldLeaf) -> Iterator[str]:
    for name, asked in leaf.tests.items():
        match name:
            case "known":
                yield "known" if asked else "not known"
            case "is" | "is_not":
                yield f"{name.replace('_', ' ')} {_format_value(asked)}"
            case "in" | "not_in":
                yield f"{name.replace('_', ' ')} {', '.join(_format_value(one) for one in asked)}"
            case _:
                yield f"{_ORDER_WORDS[name]} {_format_value(asked)}"


def _format_value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case datetime() | date():
            return value.isoformat()
    return str(value)
