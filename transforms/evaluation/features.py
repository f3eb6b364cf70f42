"""What a score could be made of: how much of each kind a life still holds, and which lines fit."""

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from transforms.evaluation.snapshots import signal_kinds
from transforms.lifecycle import current_stage, score
from transforms.lifecycle.cycles import kind_numbers, kinds_where
from transforms.lifecycle.lifecycle import Steps, fit_lines_since
from transforms.staging.literals import float64
from transforms.staging.timestamps import NEVER

HASH_DIGITS = 6
"""Hexadecimal digits by which a part of all lives is drawn, always the same."""


def features(steps: Steps, definition: Definition, *, as_of: int) -> ir.Table:
    """Say what every life's score is made of at `as_of`, before any points are given.

    Out:    life, rank int64, one float64 column per `signal_kinds` (admitted events of the kind,
            each faded by its age), `fit_0`, ... (1 where the fit line holds), rest (points of all
            other kinds)
    """
    stands = current_stage.standing(steps.entries, steps.recyclings, steps.cycles, definition)
    rows = steps.field_conditions.select("who", "person_id").join(
        stands.select("who", "rank"), "who"
    )
    held = _decayed(steps.admitted, definition, as_of=as_of)
    rows = rows.left_join(held, "who").drop("who_right")
    since = fit_lines_since(steps.field_conditions, definition)
    lines = {
        score.fit_column(i): (since[score.fit_column(i)] < NEVER).ifelse(1.0, 0.0)
        for i, _ in enumerate(score.fit_lines(definition))
    }
    rows = rows.join(since.select("who", **lines), "who")
    columns = [*signal_kinds(definition), "rest"]
    return rows.select(
        "rank", *lines, life="person_id", **{n: rows[n].fill_null(float64(0)) for n in columns}
    )


def _decayed(admitted: ir.Table, definition: Definition, *, as_of: int) -> ir.Table:
    """How much of each kind is left: who, a column per kind, rest."""
    kinds = signal_kinds(definition)
    left = float64(1)
    if definition.score is not None:
        left = score.decay(admitted["at"] - as_of, definition.score)
    rows = admitted.mutate(left=left)
    own = [kind_numbers([kind], definition)[0] for kind in kinds.values()]
    others = kinds_where(definition, lambda kind: kind.points != 0)
    points = {
        n: entry.points
        for n, entry in enumerate(definition.events.values())
        if n in others and n not in own
    }
    branches = [(rows.kind == n, float64(worth)) for n, worth in points.items()]
    worth = ibis.cases(*branches, else_=float64(0)) if branches else float64(0)
    return rows.group_by("who").aggregate(
        **{
            name: rows.left.sum(where=rows.kind == nth)
            for name, nth in zip(kinds, own, strict=True)
        },
        rest=(rows.left * worth).sum(),
    )


def sample(evaluated: ir.Table, *, share: float) -> ir.Table:
    """Keep every life that bought, and a part of the others, the same on every engine and run.

    Out:    the columns of `judged` less `life`, `weight` float64 (how many lives a row stands for)
    """
    last = round(min(share, 1.0) * (16**HASH_DIGITS - 1))
    is_drawn = evaluated.life.hexdigest("md5")[:HASH_DIGITS] <= f"{last:0{HASH_DIGITS}x}"
    bought = evaluated.became == 1
    kept = evaluated.filter(bought | is_drawn).order_by("life")
    stands_for = 16**HASH_DIGITS / (last + 1)
    return kept.mutate(weight=ibis.ifelse(kept.became == 1, float64(1), float64(stands_for))).drop(
        "life"
    )
