"""From rules to entries: when each cycle made the rule of a stage true, and what it entered."""

from collections.abc import Callable, Mapping

import ibis
import ibis.expr.types as ir

from config.definition import (
    Condition,
    Definition,
    FieldLeaf,
    Leaf,
    QualifiedLeaf,
    Stage,
    StageLeaf,
    leaves,
)
from transforms.lifecycle.field_conditions import (
    condition_since,
    earliest,
    field_leaf_column,
    latest,
    nth_earliest,
)
from transforms.staging.literals import int64
from transforms.staging.timestamps import NEVER

LeafColumns = Mapping[Leaf, str]
"""Where a row of `cycles` holds since when a leaf other than field and stage leaves is true."""


def rule_true_at(stage: str) -> str:
    """The column that says when the rule of a stage became true in a cycle."""
    return f"raw_{stage}"


def entered_column(stage: str) -> str:
    """The column that says when a cycle entered a stage."""
    return f"entered_{stage}"


def reached_before(stage: str) -> str:
    """The column that says whether an earlier cycle had entered a stage."""
    return f"remembered_{stage}"


def field_leaf_since(rows: ir.Table, leaf: FieldLeaf, definition: Definition) -> ir.IntegerValue:
    """Since when a field leaf is true, but never before the row's `start`."""
    return latest([rows[field_leaf_column(leaf, definition)], rows.start])


def qualified_since(rows: ir.Table, leaf: QualifiedLeaf, definition: Definition) -> ir.IntegerValue:
    """Since when the wanted number of criteria holds, but never before the row's `start`."""
    return latest(
        [nth_earliest(criteria_since(rows, definition).values(), leaf.qualified), rows.start]
    )


def criteria_since(rows: ir.Table, definition: Definition) -> dict[str, ir.IntegerValue]:
    """Since when each qualification criterion holds; `rows` has the columns of `facts`."""
    criteria = definition.qualification.criteria if definition.qualification else {}
    return {
        name: field_condition_since(rows, asked, definition) for name, asked in criteria.items()
    }


def field_condition_since(
    rows: ir.Table, condition: Condition, definition: Definition
) -> ir.IntegerValue:
    """Since when a condition of field leaves alone holds, whatever the cycle."""

    def since(leaf: Leaf) -> ir.IntegerValue:
        return (
            rows[field_leaf_column(leaf, definition)] if isinstance(leaf, FieldLeaf) else _never()
        )

    return condition_since(condition, since)


def carried_over_stages(definition: Definition) -> tuple[str, ...]:
    """The stages that a later cycle remembers: those up to where the recycled fall back to.

    Of these, only those that a rule asks for.
    """
    if definition.recycled is None:
        return ()
    ids = definition.stage_ids
    rules = [stage.enter for stage in definition.stages if stage.enter is not None]
    asked = {leaf.stage for rule in rules for leaf in leaves(rule) if isinstance(leaf, StageLeaf)}
    return tuple(one for one in ids[: ids.index(definition.recycled.to) + 1] if one in asked)


def evaluate_rules(rows: ir.Table, definition: Definition, leaf_columns: LeafColumns) -> ir.Table:
    """Add when the rule of each stage became true in each cycle, and what it remembers.

    In:     one row per cycle: who, cycle, start, next_start, closed, final, created, a column per
            leaf
    Out:    the same rows with `raw_<stage>` (us or NEVER) for every stage and `remembered_<stage>`
            (boolean) for those a cycle remembers
    Source: docs/definition.md, "From rules to the stage".
    """
    none = ibis.literal(False)
    memory = carried_over_stages(definition)
    rows = rows.mutate(**{reached_before(stage): none for stage in memory})
    # what a cycle remembers of a stage depends on what it remembers of lower ones only
    for stage in memory:
        rows = _mark_reached_before(
            rows, _rule_columns(rows, definition, leaf_columns), stage, definition
        )
    return _rule_columns(rows, definition, leaf_columns)


def _mark_reached_before(
    rows: ir.Table, ruled: ir.Table, stage: str, definition: Definition
) -> ir.Table:
    """Note in which cycles an earlier one had entered a stage."""
    ids = definition.stage_ids
    reached = ruled.filter(
        earliest(ruled[rule_true_at(one)] for one in ids[ids.index(stage) :]) < NEVER
    )
    first = reached.group_by("who").aggregate(first=reached.cycle.min())
    both = rows.left_join(first, "who").drop("who_right")
    is_later = (both.cycle > both["first"]).fill_null(False)
    return both.mutate(**{reached_before(stage): is_later}).drop("first")


def _rule_columns(rows: ir.Table, definition: Definition, leaf_columns: LeafColumns) -> ir.Table:
    first, *others = definition.stages
    is_first = rows.start == rows.created
    rows = rows.mutate(**{rule_true_at(first.id): ibis.ifelse(is_first, rows.created, NEVER)})
    for stage in others:
        if stage.enter is None:
            since = _never()
        elif stage.final:
            since = ibis.ifelse(rows.next_start == NEVER, rows.final, NEVER)
        else:
            since = condition_since(stage.enter, leaf_since(rows, definition, leaf_columns, stage))
            # what comes true only when the next cycle has begun is not true in this one, nor what
            # comes true after its closing
            is_inside = (since < rows.next_start) & (since <= rows.closed)
            since = ibis.ifelse(is_inside, since, NEVER)
        rows = rows.mutate(**{rule_true_at(stage.id): since.cast("int64")})
    return rows


def leaf_since(
    rows: ir.Table, definition: Definition, leaf_columns: LeafColumns, stage: Stage
) -> Callable[[Leaf], ir.IntegerValue]:
    """Say how a leaf in the rule of a stage reads its instant from a cycle's row."""

    def since(leaf: Leaf) -> ir.IntegerValue:
        match leaf:
            case FieldLeaf():
                return field_leaf_since(rows, leaf, definition)
            case StageLeaf(stage=lower):
                return _stage_since(rows, lower, stage.id, definition)
            case _:
                return rows[leaf_columns[leaf]] if leaf in leaf_columns else _never()

    return since


def _never() -> ir.IntegerValue:
    return int64(NEVER)


def _stage_since(rows: ir.Table, lower: str, of: str, definition: Definition) -> ir.IntegerValue:
    ids = definition.stage_ids
    here = earliest(rows[rule_true_at(one)] for one in ids[ids.index(lower) : ids.index(of)])
    if lower not in carried_over_stages(definition):
        return here
    return ibis.ifelse(rows[reached_before(lower)], rows.start, here)


def entries(evaluated_rules: ir.Table, definition: Definition) -> ir.Table:
    """List what each cycle entered, one row per stage.

    Out:    who, cycle, rank int64 (0 = the first stage), at (us), by_final boolean (whether only
            the final stage's rule brought it)
    Source: docs/definition.md, "From rules to the stage".
    """
    ids = definition.stage_ids
    last_below = len(ids) - 1 if definition.final else len(ids)
    listed = []
    for rank, stage in enumerate(ids):
        higher = [evaluated_rules[rule_true_at(one)] for one in ids[rank:]]
        below = earliest(evaluated_rules[rule_true_at(one)] for one in ids[rank:last_below])
        at = evaluated_rules[rule_true_at(stage)] if rank == 0 else earliest(higher)
        row = evaluated_rules.select(
            "who",
            "cycle",
            rank=int64(rank),
            at=at.cast("int64"),
            by_final=(at < below),
        )
        listed.append(row.filter(row.at < NEVER))
    return ibis.union(*listed) if len(listed) > 1 else listed[0]
