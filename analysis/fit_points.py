"""Fit points and thresholds by logistic regression; needs numpy and scipy (extra `suggest`)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import minimize

from analysis.month_end_snapshots import MonthEndSnapshots, NamedDefinition, to_rows
from analysis.suggest_points import (
    HoldoutMetrics,
    ParameterChange,
    Suggestion,
    changes_as_diff,
    score_leaves,
)
from config.definition import Definition, FitLine, leaves
from transforms.evaluation import features as made_of
from transforms.evaluation.snapshots import signal_kinds
from transforms.lifecycle.reasons import describe_leaf
from transforms.lifecycle.score import fit_column, fit_lines

FloatArray = NDArray[np.float64]

MAX_SAMPLE = 200_000
"""Lives that are held in memory at once, at most (and all that bought)."""

MIN_SIGNAL_BUYERS = 20
"""A kind or line keeps its points where fewer different people had it."""


@dataclass(frozen=True)
class SnapshotMatrix:
    """A part of the lives as numbers: what they held, whether they bought, and who they were."""

    features: FloatArray
    rest: FloatArray
    converted: FloatArray
    weight: FloatArray
    person_ids: NDArray[np.object_]

    @property
    def buyers(self) -> int:
        """How many different people bought."""
        return len(set(self.person_ids[self.converted == 1]))


def load_matrix(
    seen: MonthEndSnapshots, definition: Definition, moments: Sequence[datetime]
) -> SnapshotMatrix:
    """Bring some month ends into memory: who bought, and of the others a part."""
    judged = seen.evaluated[0]
    judged = judged.filter(judged.month_end.isin(moments))
    [size] = to_rows(judged.aggregate(lives=judged.count()))
    rows = made_of.sample(judged, share=MAX_SAMPLE / max(size["lives"], 1)).to_pyarrow()
    held = [_numbers(rows, name) for name in _columns(definition)]
    return SnapshotMatrix(
        np.column_stack(held),
        _numbers(rows, "rest"),
        _numbers(rows, "became"),
        _numbers(rows, "weight"),
        np.array(rows["of"].to_pylist(), dtype=object),
    )


def _numbers(rows: pa.Table, name: str) -> FloatArray:
    return np.asarray(rows[name].to_numpy(), dtype=np.float64)


def _columns(definition: Definition) -> list[str]:
    lines = [fit_column(i) for i, _ in enumerate(fit_lines(definition))]
    return [*signal_kinds(definition), *lines]


def _points(definition: Definition) -> list[ParameterChange]:
    """The points of every column, as they are: what they are given for, and where they stand."""
    kinds = [
        ParameterChange(name, ("events", name, "points"), entry.points, entry.points)
        for name in signal_kinds(definition).values()
        for entry in (definition.events[name],)
    ]
    lines = [
        ParameterChange(
            _describe_fit_line(line, definition),
            ("score", "fit", i, "points"),
            line.points,
            line.points,
        )
        for i, line in enumerate(fit_lines(definition))
    ]
    return kinds + lines


def _describe_fit_line(line: FitLine, definition: Definition) -> str:
    return "fit: " + ", ".join(describe_leaf(leaf, definition) for leaf in leaves(line.when))


def fit_points(
    found: Suggestion, definition_file: NamedDefinition, early: SnapshotMatrix, late: SnapshotMatrix
) -> Suggestion:
    """Fit points to the early snapshots and measure them on the late ones."""
    definition = definition_file.definition
    points = _points(definition)
    kinds = len(signal_kinds(definition))
    before = np.array([point.before for point in points])
    weights = _weights(early, before)
    after = _scale_to_points(weights, before, early, kinds)
    changes = [replace(p, after=float(new)) for p, new in zip(points, after, strict=True)]
    for place, leaf in score_leaves(definition).items():
        is_kind = np.arange(len(points)) < kinds
        used = is_kind * (leaf.score != "fit") + ~is_kind * (leaf.score != "engagement")
        old, new = ((early.features @ (given * used) + early.rest) for given in (before, after))
        floor = _matching_threshold(old, new, leaf.gte, early.weight)
        what = f"score {leaf.score} gte"
        changes.append(ParameterChange(what, (*place, "gte"), leaf.gte, floor))
    leaf = next(iter(score_leaves(definition).values()))
    was, now = (late.features @ given + late.rest for given in (before, after))
    marked = float(late.weight[was >= leaf.gte].sum())
    gains = [holdout_metrics(score, late, marked) for score in (was, now)]
    found = replace(found, selected=round(marked), before=gains[0], after=gains[1])
    if gains[1].average_precision <= gains[0].average_precision:
        note = "on the later month ends the present points predict as well or better: keep them"
        return replace(found, note=note)
    changed = tuple(change for change in changes if change.before != change.after)
    return replace(found, changes=changed, diff=changes_as_diff(definition_file, changed))


def _weights(part: SnapshotMatrix, before: FloatArray) -> FloatArray:
    """What each column adds to the odds of buying, in the direction its points have: logistic.

    NaN where too few people had it. Each is measured against its own spread, with a slight
    pull towards nothing.
    """
    had = np.array([len(set(part.person_ids[column > 0])) for column in part.features.T])
    has_enough = had >= MIN_SIGNAL_BUYERS
    held = part.features[:, has_enough]
    spread = np.sqrt(np.average(held**2, axis=0, weights=part.weight))
    x = np.column_stack([held / spread, np.ones(len(held))])
    bounds = [(0, None) if points >= 0 else (None, 0) for points in before[has_enough]]

    def loss(beta: FloatArray) -> tuple[float, FloatArray]:
        z = x @ beta
        wrong = part.weight * (1 / (1 + np.exp(-z)) - part.converted)
        pull = np.append(beta[:-1], 0)
        likelihood = part.weight @ (np.logaddexp(0, z) - part.converted * z)
        return float(likelihood + pull @ pull / 2), x.T @ wrong + pull

    start = np.zeros(x.shape[1])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)])
    weights = np.full(len(before), np.nan)
    weights[has_enough] = best.x[:-1] / spread
    return weights


def _scale_to_points(
    weights: FloatArray, before: FloatArray, part: SnapshotMatrix, kinds: int
) -> FloatArray:
    """Whole points: the total for activity stays the same, its distribution changes."""
    has_enough = ~np.isnan(weights)
    mass = (part.weight[:, None] * part.features).sum(axis=0)
    gained = has_enough & (weights > 0) & (np.arange(len(weights)) < kinds)
    spent = (mass * before)[has_enough & (before > 0) & (np.arange(len(weights)) < kinds)].sum()
    scale = spent / (mass * weights)[gained].sum() if gained.any() and spent > 0 else 1.0
    return np.where(has_enough, np.round(np.nan_to_num(weights) * scale), before)


def _matching_threshold(
    old: FloatArray, new: FloatArray, floor: float, weight: FloatArray
) -> float:
    """The whole threshold that about as many reach by the new score as `floor` by the old."""
    marked = weight[old >= floor].sum()
    if not marked:
        return floor
    order = np.argsort(-new, kind="stable")
    last = min(int(np.searchsorted(np.cumsum(weight[order]), marked)), len(order) - 1)
    return max(1.0, float(np.round(new[order][last])))


def holdout_metrics(score: FloatArray, part: SnapshotMatrix, marked: float) -> HoldoutMetrics:
    """Judge a score; of equal scores each counts for a part, so that no order favours anybody."""
    values, group = np.unique(-score, return_inverse=True)
    people = np.bincount(group, weights=part.weight, minlength=len(values))
    bought = np.bincount(group, weights=part.weight * part.converted, minlength=len(values))
    found, hits = np.cumsum(people), np.cumsum(bought)
    average = float((bought * hits / found).sum() / hits[-1])
    top = float(np.interp(marked, np.append(0, found), np.append(0, hits)))
    return HoldoutMetrics(top / marked if marked else 0.0, top / float(hits[-1]), average)
