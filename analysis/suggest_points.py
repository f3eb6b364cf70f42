"""Points and thresholds fitted to the history; printed, and never applied by itself."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from difflib import unified_diff
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import minimize

from analysis.month_end_snapshots import Hindsight, Named, Say, hindsight, rows_of, too_short
from config.definition import Definition, FitLine, ScoreLeaf, leaves
from config.yaml_document import Edit
from transforms.evaluation import features as made_of
from transforms.evaluation.snapshots import signal_kinds
from transforms.lifecycle.reasons import phrase
from transforms.lifecycle.score import fit_column, fit_lines
from warehouse.warehouse import Warehouse

Numbers = NDArray[np.float64]

SAMPLE = 200_000
"""Lives that are held in memory at once, at most (and all that bought)."""

TO_LEARN, TO_TEST = 30, 10
"""So many different people must have bought: before, to fit by; and later, to judge by."""

TO_FIT = 20
"""A kind or line keeps its points where fewer different people had it."""


@dataclass(frozen=True)
class Change:
    """A number of the definition: where it stands, what it is and what it could be."""

    what: str
    place: tuple[str | int, ...]
    before: float
    after: float


@dataclass(frozen=True)
class Gain:
    """How well a score told who would buy, on month ends that it was not fitted to.

    `precision` and `recall` are those of the as many highest as reach the threshold today;
    `average_precision` is the area under the curve of both.
    """

    precision: float
    recall: float
    average_precision: float


@dataclass(frozen=True)
class Suggestion:
    """What the history suggests; `diff` is empty where it suggests nothing, `note` says why."""

    name: str
    learned: tuple[datetime, ...] = ()
    tested: tuple[datetime, ...] = ()
    buyers: tuple[int, int] = (0, 0)
    marked: int = 0
    before: Gain | None = None
    after: Gain | None = None
    changes: tuple[Change, ...] = ()
    diff: str = ""
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


@dataclass(frozen=True)
class Part:
    """A part of the lives as numbers: what they held, whether they bought, and who they were."""

    held: Numbers
    rest: Numbers
    became: Numbers
    weight: Numbers
    of: NDArray[np.object_]

    @property
    def buyers(self) -> int:
        """How many different people bought."""
        return len(set(self.of[self.became == 1]))


def suggest(
    warehouse: Warehouse, ours: Named, *, within_days: float, months: int, say: Say
) -> Suggestion:
    """Fit points and thresholds to the earlier month ends, and judge them by the later ones.

    No outcome of the earlier ones lies in the time that the later ones are judged by.
    """
    definition = ours.definition
    if definition.score is None or not _score_leaves(definition):
        return Suggestion(ours.name, note="the definition asks for no score: nothing to fit")
    with warehouse.aside() as keep:
        seen = hindsight(
            warehouse,
            [ours],
            made_of.features,
            within_days=within_days,
            months=months,
            keep=keep,
            say=say,
        )
        learned, tested = split(seen.moments, within_days=within_days)
        if not learned or not tested:
            note = too_short(within_days) if not seen.moments else _too_few_months(within_days)
            return Suggestion(ours.name, note=note)
        say("fitting")
        early, late = (_part(seen, definition, some) for some in (learned, tested))
    found = Suggestion(ours.name, tuple(learned), tuple(tested), (early.buyers, late.buyers))
    if early.buyers < TO_LEARN or late.buyers < TO_TEST:
        return replace(found, note=_too_few(found))
    return _fitted(found, ours, early, late)


def split(
    moments: Sequence[datetime], *, within_days: float
) -> tuple[list[datetime], list[datetime]]:
    """The month ends to fit by and those to judge by: the last third, and what ends before it."""
    tested = list(moments[-max(1, len(moments) // 3) :]) if moments else []
    learned = [moment for moment in moments if moment + timedelta(days=within_days) <= tested[0]]
    return learned, tested


def _too_few_months(within_days: float) -> str:
    return (
        "too few month ends: the earlier ones are to be fitted by, the later ones to judge by, "
        f"and between them lie {within_days:g} days; try more `--months`"
    )


def _too_few(found: Suggestion) -> str:
    learned, tested = found.buyers
    return (
        f"too little to learn from: {learned} people bought after the earlier month ends and "
        f"{tested} after the later ones; it takes {TO_LEARN} and {TO_TEST}. Try more `--months`, "
        "or wait"
    )


def _score_leaves(definition: Definition) -> dict[tuple[str | int, ...], ScoreLeaf]:
    found = definition.placed_leaves()
    return {place: leaf for place, leaf in found if isinstance(leaf, ScoreLeaf)}


def _part(seen: Hindsight, definition: Definition, moments: Sequence[datetime]) -> Part:
    """Bring some month ends into memory: who bought, and of the others a part."""
    judged = seen.judged[0]
    judged = judged.filter(judged.month_end.isin(moments))
    [size] = rows_of(judged.aggregate(lives=judged.count()))
    rows = made_of.sample(judged, share=SAMPLE / max(size["lives"], 1)).to_pyarrow()
    held = [_numbers(rows, name) for name in _columns(definition)]
    return Part(
        np.column_stack(held),
        _numbers(rows, "rest"),
        _numbers(rows, "became"),
        _numbers(rows, "weight"),
        np.array(rows["of"].to_pylist(), dtype=object),
    )


def _numbers(rows: pa.Table, name: str) -> Numbers:
    return np.asarray(rows[name].to_numpy(), dtype=np.float64)


def _columns(definition: Definition) -> list[str]:
    lines = [fit_column(i) for i, _ in enumerate(fit_lines(definition))]
    return [*signal_kinds(definition), *lines]


def _points(definition: Definition) -> list[Change]:
    """The points of every column, as they are: what they are given for, and where they stand."""
    kinds = [
        Change(name, ("events", name, "points"), entry.points, entry.points)
        for name in signal_kinds(definition).values()
        for entry in (definition.events[name],)
    ]
    lines = [
        Change(_said(line, definition), ("score", "fit", i, "points"), line.points, line.points)
        for i, line in enumerate(fit_lines(definition))
    ]
    return kinds + lines


def _said(line: FitLine, definition: Definition) -> str:
    return "fit: " + ", ".join(phrase(leaf, definition) for leaf in leaves(line.when))


def _fitted(found: Suggestion, ours: Named, early: Part, late: Part) -> Suggestion:
    definition = ours.definition
    points = _points(definition)
    kinds = len(signal_kinds(definition))
    before = np.array([point.before for point in points])
    weights = _weights(early, before)
    after = _as_points(weights, before, early, kinds)
    changes = [replace(p, after=float(new)) for p, new in zip(points, after, strict=True)]
    for place, leaf in _score_leaves(definition).items():
        used = np.array([leaf.score == "total" or n < kinds for n in range(len(points))])
        old, new = ((early.held @ (given * used) + early.rest) for given in (before, after))
        floor = _as_many(old, new, leaf.gte, early.weight)
        what = f"score {leaf.score} gte"
        changes.append(Change(what, (*place, "gte"), leaf.gte, floor))
    leaf = next(iter(_score_leaves(definition).values()))
    was, now = (late.held @ given + late.rest for given in (before, after))
    marked = float(late.weight[was >= leaf.gte].sum())
    gains = [_gain(score, late, marked) for score in (was, now)]
    found = replace(found, marked=round(marked), before=gains[0], after=gains[1])
    if gains[1].average_precision <= gains[0].average_precision:
        note = "on the later month ends the points of today tell as much or more: keep them"
        return replace(found, note=note)
    changed = tuple(change for change in changes if change.before != change.after)
    return replace(found, changes=changed, diff=_diff(ours, changed))


def _weights(part: Part, before: Numbers) -> Numbers:
    """What each column adds to the odds of buying, in the direction its points have: logistic.

    NaN where too few people had it to tell. Each is measured against its own spread, with a slight
    pull towards nothing.
    """
    had = np.array([len(set(part.of[column > 0])) for column in part.held.T])
    told = had >= TO_FIT
    held = part.held[:, told]
    spread = np.sqrt(np.average(held**2, axis=0, weights=part.weight))
    x = np.column_stack([held / spread, np.ones(len(held))])
    bounds = [(0, None) if points >= 0 else (None, 0) for points in before[told]]

    def loss(beta: Numbers) -> tuple[float, Numbers]:
        z = x @ beta
        wrong = part.weight * (1 / (1 + np.exp(-z)) - part.became)
        pull = np.append(beta[:-1], 0)
        likelihood = part.weight @ (np.logaddexp(0, z) - part.became * z)
        return float(likelihood + pull @ pull / 2), x.T @ wrong + pull

    start = np.zeros(x.shape[1])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)])
    weights = np.full(len(before), np.nan)
    weights[told] = best.x[:-1] / spread
    return weights


def _as_points(weights: Numbers, before: Numbers, part: Part, kinds: int) -> Numbers:
    """Whole points: as many in all are given for what people did as today, to others."""
    told = ~np.isnan(weights)
    mass = (part.weight[:, None] * part.held).sum(axis=0)
    gained = told & (weights > 0) & (np.arange(len(weights)) < kinds)
    spent = (mass * before)[told & (before > 0) & (np.arange(len(weights)) < kinds)].sum()
    scale = spent / (mass * weights)[gained].sum() if gained.any() and spent > 0 else 1.0
    return np.where(told, np.round(np.nan_to_num(weights) * scale), before)


def _as_many(old: Numbers, new: Numbers, floor: float, weight: Numbers) -> float:
    """The whole threshold that about as many reach by the new score as `floor` by the old."""
    marked = weight[old >= floor].sum()
    if not marked:
        return floor
    order = np.argsort(-new, kind="stable")
    last = min(int(np.searchsorted(np.cumsum(weight[order]), marked)), len(order) - 1)
    return max(1.0, float(np.round(new[order][last])))


def _gain(score: Numbers, part: Part, marked: float) -> Gain:
    """Judge a score; of equal scores each counts for a part, so that no order favours anybody."""
    values, group = np.unique(-score, return_inverse=True)
    people = np.bincount(group, weights=part.weight, minlength=len(values))
    bought = np.bincount(group, weights=part.weight * part.became, minlength=len(values))
    found, hits = np.cumsum(people), np.cumsum(bought)
    average = float((bought * hits / found).sum() / hits[-1])
    top = float(np.interp(marked, np.append(0, found), np.append(0, hits)))
    return Gain(top / marked if marked else 0.0, top / float(hits[-1]), average)


def _diff(ours: Named, changes: Sequence[Change]) -> str:
    """The changes as a diff of the definition's file; all else in it stays as it is written."""
    document = ours.configuration.documents.definition
    if document is None:
        return ""
    text = Path(document.file).read_text(encoding="utf-8-sig")
    edits: list[Edit] = [(change.place, f"{change.after:g}") for change in changes]
    before, after = (part.splitlines(True) for part in (text, document.edited(text, edits)))
    name = f"mappings/{Path(document.file).name}"
    return "".join(unified_diff(before, after, f"a/{name}", f"b/{name}", n=1))
