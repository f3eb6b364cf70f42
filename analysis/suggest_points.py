"""Points and thresholds fitted to the history; printed, and never applied by itself."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from difflib import unified_diff
from pathlib import Path
from typing import Any

from analysis.extras import require_extra
from analysis.month_end_snapshots import (
    NamedDefinition,
    ProgressCallback,
    compute_snapshots,
    history_too_short,
)
from config.definition import Definition, ScoreLeaf
from config.yaml_document import Edit
from transforms.evaluation import features as made_of
from warehouse.warehouse import Warehouse

MIN_TRAIN_BUYERS, MIN_TEST_BUYERS = 30, 10
"""The number of buyers needed: in the earlier months to fit, in the later ones to test."""


@dataclass(frozen=True)
class ParameterChange:
    """A number of the definition: where it stands, what it is and what it could be."""

    parameter: str
    place: tuple[str | int, ...]
    before: float
    after: float


@dataclass(frozen=True)
class HoldoutMetrics:
    """How well a score predicted buyers, on month ends that it was not fitted to.

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
    train_month_ends: tuple[datetime, ...] = ()
    test_month_ends: tuple[datetime, ...] = ()
    buyers: tuple[int, int] = (0, 0)
    selected: int = 0
    before: HoldoutMetrics | None = None
    after: HoldoutMetrics | None = None
    changes: tuple[ParameterChange, ...] = ()
    diff: str = ""
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


def suggest(
    warehouse: Warehouse,
    definition_file: NamedDefinition,
    *,
    within_days: float,
    months: int,
    on_progress: ProgressCallback,
) -> Suggestion:
    """Fit points and thresholds to the earlier month ends, and judge them by the later ones.

    No outcome of the earlier ones is in the time by which the later ones are tested.
    """
    require_extra("numpy", "report")
    require_extra("scipy.optimize", "report")
    from analysis.fit_points import fit_points, load_matrix

    definition = definition_file.definition
    if definition.score is None or not score_leaves(definition):
        return Suggestion(
            definition_file.name, note="the definition asks for no score: nothing to fit"
        )
    with warehouse.temp_tables() as keep:
        seen = compute_snapshots(
            warehouse,
            [definition_file],
            made_of.features,
            within_days=within_days,
            months=months,
            materialize=keep,
            on_progress=on_progress,
        )
        learned, tested = split_month_ends(seen.month_ends, within_days=within_days)
        if not learned or not tested:
            note = (
                history_too_short(within_days)
                if not seen.month_ends
                else _too_few_months(within_days)
            )
            return Suggestion(definition_file.name, note=note)
        on_progress("fitting")
        early, late = (load_matrix(seen, definition, some) for some in (learned, tested))
    found = Suggestion(
        definition_file.name, tuple(learned), tuple(tested), (early.buyers, late.buyers)
    )
    if early.buyers < MIN_TRAIN_BUYERS or late.buyers < MIN_TEST_BUYERS:
        return replace(found, note=_too_few(found))
    return fit_points(found, definition_file, early, late)


def split_month_ends(
    month_ends: Sequence[datetime], *, within_days: float
) -> tuple[list[datetime], list[datetime]]:
    """The month ends to fit by and those to judge by: the last third, and what ends before it."""
    tested = list(month_ends[-max(1, len(month_ends) // 3) :]) if month_ends else []
    learned = [moment for moment in month_ends if moment + timedelta(days=within_days) <= tested[0]]
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
        f"{tested} after the later ones; it takes {MIN_TRAIN_BUYERS} and "
        f"{MIN_TEST_BUYERS}. Try more `--months`, or wait"
    )


def score_leaves(definition: Definition) -> dict[tuple[str | int, ...], ScoreLeaf]:
    """List the score leaves of a definition by their place in the file."""
    found = definition.all_leaves_with_path()
    return {place: leaf for place, leaf in found if isinstance(leaf, ScoreLeaf)}


def changes_as_diff(definition_file: NamedDefinition, changes: Sequence[ParameterChange]) -> str:
    """The changes as a diff of the definition's file; all else in it stays as it is written."""
    document = definition_file.configuration.documents.definition
    if document is None:
        return ""
    text = Path(document.file).read_text(encoding="utf-8-sig")
    edits: list[Edit] = [(change.place, f"{change.after:g}") for change in changes]
    before, after = (part.splitlines(True) for part in (text, document.apply_edits(text, edits)))
    name = f"mappings/{Path(document.file).name}"
    return "".join(unified_diff(before, after, f"a/{name}", f"b/{name}", n=1))
