"""The backtest: how well one or two definitions predicted customers in the past."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import ibis.expr.types as ir

from analysis.month_end_snapshots import (
    MonthEndSnapshots,
    NamedDefinition,
    ProgressCallback,
    compute_snapshots,
    history_too_short,
    to_rows,
)
from config.definition import Definition
from models import Rows
from transforms.evaluation import snapshots as history
from transforms.lifecycle.lifecycle import Materialize
from transforms.lifecycle.reasons import describe_leaf
from warehouse.warehouse import Warehouse

MIN_BUYERS = 10
"""With fewer customers with or without a signal its lift is not reported."""


@dataclass(frozen=True)
class SignalStats:
    """How well a yes or no at a month's end predicted who would become a customer.

    `yes` and `no` count month ends of people, `yes_became` and `no_became` those of them that a
    purchase followed in time; `buyers` counts the people who bought after a yes, `others` those who
    bought after a no. `error` is the standard error of the logarithm of the lift.
    """

    signal: str
    yes: int
    yes_converted: int
    no: int
    no_converted: int
    buyers: int
    other_buyers: int
    error: float | None

    @property
    def precision(self) -> float | None:
        """The share of the yes that bought."""
        return self.yes_converted / self.yes if self.yes else None

    @property
    def baseline(self) -> float | None:
        """The share of the no that bought all the same."""
        return self.no_converted / self.no if self.no else None

    @property
    def recall(self) -> float | None:
        """The share of those who bought that had a yes before."""
        bought = self.yes_converted + self.no_converted
        return self.yes_converted / bought if bought else None

    @property
    def has_enough_buyers(self) -> bool:
        """Whether there are customers enough on both sides."""
        return min(self.buyers, self.other_buyers) >= MIN_BUYERS and self.error is not None

    @property
    def lift(self) -> float | None:
        """How many times as likely a yes is to buy as a no; None: too few to judge."""
        if not self.has_enough_buyers or not self.precision or not self.baseline:
            return None
        return self.precision / self.baseline

    @property
    def confidence_interval(self) -> tuple[float, float] | None:
        """The lift's limits at 95 % confidence."""
        if self.lift is None or self.error is None:
            return None
        factor = math.exp(1.96 * self.error)
        return self.lift / factor, self.lift * factor

    def as_json(self) -> dict[str, Any]:
        """The counts, and what follows from them."""
        names = ("precision", "recall", "baseline", "lift", "confidence_interval")
        return asdict(self) | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class DefinitionResult:
    """What the history says of one definition.

    entered: month, stage, people; conversions: stage, next, people, went_on, median_days, recent;
    stood: stage, people, became (month ends of people in just that stage); scores: points, people,
    became.
    """

    name: str
    definition_id: str
    labels: dict[str, str]
    entered: Rows = field(default_factory=list)
    conversions: Rows = field(default_factory=list)
    by_stage: Rows = field(default_factory=list)
    stages: tuple[SignalStats, ...] = ()
    thresholds: tuple[SignalStats, ...] = ()
    kinds: tuple[SignalStats, ...] = ()
    scores: Rows = field(default_factory=list)

    @property
    def curve(self) -> Rows:
        """Precision and recall of "the score is at least so much", for each whole number."""
        bought = sum(row["became"] for row in self.scores)
        people = became = 0
        found = []
        for row in reversed(self.scores):
            people, became = people + row["people"], became + row["became"]
            found.append(
                {
                    "points": row["points"],
                    "people": people,
                    "precision": became / people,
                    "recall": became / bought if bought else None,
                }
            )
        return found[::-1]

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        marks = ("stages", "thresholds", "kinds")
        return (
            asdict(self)
            | {name: [mark.as_json() for mark in getattr(self, name)] for name in marks}
            | {"curve": self.curve}
        )


@dataclass(frozen=True)
class Backtest:
    """One or two definitions, judged by the same people, moments and outcome.

    people: month ends of people that were judged; became: those that a purchase followed in time;
    buyers: the different people who bought; unknown: how often the value of a field is unknown.
    """

    now: datetime
    within_days: float
    month_ends: tuple[datetime, ...]
    target_stage: str
    people: int
    converted: int
    buyers: int
    unknown: dict[str, int]
    results: tuple[DefinitionResult, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self) | {"results": [side.as_json() for side in self.results]}


def backtest(
    warehouse: Warehouse,
    definitions: Sequence[NamedDefinition],
    *,
    within_days: float,
    months: int,
    on_progress: ProgressCallback,
) -> Backtest:
    """Measure definitions by who became a customer within some days after each month's end.

    The first definition says what a customer is, for all of them. Nothing is pulled or written.

    Raises: ConfigError where nothing was pulled yet, or a definition asks for an unknown field.
    """
    with warehouse.temp_tables() as keep:
        seen = compute_snapshots(
            warehouse,
            definitions,
            partial(history.states, within_days=within_days),
            within_days=within_days,
            months=months,
            materialize=keep,
            on_progress=on_progress,
        )
        since = seen.month_ends[0] if seen.month_ends else seen.now - timedelta(days=366)
        sides = []
        for nth, one in enumerate(definitions):
            on_progress(f"{one.name}: counting")
            entries = seen.stage_histories[nth]
            side = _funnel(one, entries, since=since, now=seen.now, within_days=within_days)
            side |= (
                _signal_results(seen.evaluated[nth], one.definition, keep) if seen.evaluated else {}
            )
            sides.append(_definition_result(one, side))
        people, became, buyers = (
            _population_counts(seen.evaluated[0]) if seen.evaluated else (0, 0, 0)
        )
    top = definitions[0].definition.stages[-1]
    return Backtest(
        seen.now,
        within_days,
        tuple(seen.month_ends),
        top.label or top.id,
        people,
        became,
        buyers,
        seen.unknown,
        tuple(sides),
        tuple(_notes(seen, top.label or top.id, buyers, months=months, within_days=within_days)),
    )


def _population_counts(judged: ir.Table) -> tuple[int, int, int]:
    [row] = to_rows(
        judged.aggregate(
            people=judged.count(),
            became=judged.became.sum().fill_null(0),
            buyers=judged.of.nunique(where=judged.became == 1),
        )
    )
    return row["people"], row["became"], row["buyers"]


def _funnel(
    one: NamedDefinition, entries: ir.Table, *, since: datetime, now: datetime, within_days: float
) -> dict[str, Any]:
    ids = one.definition.stage_ids
    went = history.conversions(
        entries, one.definition, since=since, now=now, within_days=within_days
    )
    conversions = [
        {"stage": ids[row["rank"]], "next": ids[row["rank"] + 1]}
        | {name: value for name, value in row.items() if name != "rank"}
        for row in to_rows(went, "rank")
    ]
    entered = to_rows(history.entries_by_month(entries, since=since), "month", "stage")
    return {"entered": entered, "conversions": conversions}


def _signal_results(judged: ir.Table, definition: Definition, keep: Materialize) -> dict[str, Any]:
    names = history.flag_columns(definition)
    by_person = keep("by_person", history.per_person(judged, names))
    [sums] = to_rows(history.totals(by_person))
    [spread] = to_rows(history.lift_variance(by_person, sums, names))
    scores = to_rows(history.by_score(judged), "points")
    stood = to_rows(history.by_stage(judged), "rank")
    ids = definition.stage_ids

    def marks(texts: Mapping[str, str]) -> tuple[SignalStats, ...]:
        return tuple(_signal_stats(name, text, sums, spread) for name, text in texts.items())

    return {
        "by_stage": [
            {"stage": ids[row["rank"]], "people": row["lives"], "became": row["became"]}
            for row in stood
        ],
        "stages": marks({n: ids[rank] for n, rank in history.stage_flags(definition).items()}),
        "thresholds": marks(
            {
                n: describe_leaf(leaf, definition)
                for leaf, n in history.threshold_leaves(definition).items()
            }
        ),
        "kinds": marks(history.signal_kinds(definition)),
        "scores": [
            {"points": row["points"], "people": row["lives"], "became": row["became"]}
            for row in scores
        ],
    }


def _signal_stats(
    name: str, what: str, sums: Mapping[str, int], spread: Mapping[str, float | None]
) -> SignalStats:
    yes, became = sums[f"{name}_lives"], sums[f"{name}_became"]
    variance = spread.get(name)
    return SignalStats(
        what,
        yes,
        became,
        sums["lives"] - yes,
        sums["became"] - became,
        buyers=sums[f"{name}_became_people"],
        other_buyers=sums[f"{name}_passed_people"],
        error=None if variance is None else math.sqrt(variance),
    )


def _definition_result(one: NamedDefinition, found: dict[str, Any]) -> DefinitionResult:
    labels = {stage.id: stage.label or stage.id for stage in one.definition.stages}
    return DefinitionResult(one.name, one.definition.id, labels, **found)


def _notes(
    seen: MonthEndSnapshots, top: str, buyers: int, *, months: int, within_days: float
) -> Iterator[str]:
    """What a reader has to know before believing the figures."""
    if not seen.month_ends:
        yield history_too_short(within_days)
        return
    if len(seen.month_ends) < months:
        yield f"the history has {len(seen.month_ends)} month ends, {months} were requested"
    if gaps := [f"{name} {count:,} times" for name, count in seen.unknown.items() if count]:
        yield f"no historical value, treated as empty: {', '.join(gaps)}"
    if buyers < MIN_BUYERS:
        yield f"{buyers} people became {top}: too few to judge"
