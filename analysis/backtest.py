"""The backtest: one or two definitions over the history that both had to judge at the time."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import ibis.expr.types as ir

from analysis.month_end_snapshots import Hindsight, Named, Rows, Say, hindsight, rows_of, too_short
from config.definition import Definition
from transforms.evaluation import snapshots as history
from transforms.lifecycle.lifecycle import Store
from transforms.lifecycle.reasons import phrase
from warehouse.warehouse import Warehouse

TOO_FEW = 10
"""With fewer customers on a side nothing is said of it: chance alone would speak."""


@dataclass(frozen=True)
class Mark:
    """How well a yes or no at a month's end told who would become a customer.

    `yes` and `no` count month ends of people, `yes_became` and `no_became` those of them that a
    purchase followed in time; `buyers` counts the people who bought after a yes, `others` those who
    bought after a no. `error` is the standard error of the logarithm of the lift.
    """

    what: str
    yes: int
    yes_became: int
    no: int
    no_became: int
    buyers: int
    others: int
    error: float | None

    @property
    def precision(self) -> float | None:
        """The share of the yes that bought."""
        return self.yes_became / self.yes if self.yes else None

    @property
    def base(self) -> float | None:
        """The share of the no that bought all the same."""
        return self.no_became / self.no if self.no else None

    @property
    def recall(self) -> float | None:
        """The share of those who bought that had a yes before."""
        bought = self.yes_became + self.no_became
        return self.yes_became / bought if bought else None

    @property
    def is_judged(self) -> bool:
        """Whether there are customers enough on both sides."""
        return min(self.buyers, self.others) >= TOO_FEW and self.error is not None

    @property
    def lift(self) -> float | None:
        """How many times as likely a yes is to buy as a no; None: too few to judge."""
        if not self.is_judged or not self.precision or not self.base:
            return None
        return self.precision / self.base

    @property
    def between(self) -> tuple[float, float] | None:
        """The lift's limits at 95 % confidence."""
        if self.lift is None or self.error is None:
            return None
        factor = math.exp(1.96 * self.error)
        return self.lift / factor, self.lift * factor

    def as_json(self) -> dict[str, Any]:
        """The counts, and what follows from them."""
        names = ("precision", "recall", "base", "lift", "between")
        return asdict(self) | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Side:
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
    stood: Rows = field(default_factory=list)
    stages: tuple[Mark, ...] = ()
    thresholds: tuple[Mark, ...] = ()
    kinds: tuple[Mark, ...] = ()
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
    buyers: the different people who bought; unknown: how often nobody can tell what a field said.
    """

    now: datetime
    within_days: float
    month_ends: tuple[datetime, ...]
    outcome: str
    people: int
    became: int
    buyers: int
    unknown: dict[str, int]
    sides: tuple[Side, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self) | {"sides": [side.as_json() for side in self.sides]}


def backtest(
    warehouse: Warehouse,
    definitions: Sequence[Named],
    *,
    within_days: float,
    months: int,
    say: Say,
) -> Backtest:
    """Judge definitions by who became a customer within so many days after each month's end.

    The first definition says what a customer is, for all of them. Nothing is pulled or written.

    Raises: ConfigError where nothing was pulled yet, or a definition asks for an unknown field.
    """
    with warehouse.aside() as keep:
        seen = hindsight(
            warehouse,
            definitions,
            partial(history.states, within_days=within_days),
            within_days=within_days,
            months=months,
            keep=keep,
            say=say,
        )
        since = seen.moments[0] if seen.moments else seen.now - timedelta(days=366)
        sides = []
        for nth, one in enumerate(definitions):
            say(f"{one.name}: counting")
            entries = seen.histories[nth]
            side = _funnel(one, entries, since=since, now=seen.now, within_days=within_days)
            side |= _judgement(seen.judged[nth], one.definition, keep) if seen.judged else {}
            sides.append(_side(one, side))
        people, became, buyers = _size(seen.judged[0]) if seen.judged else (0, 0, 0)
    top = definitions[0].definition.stages[-1]
    return Backtest(
        seen.now,
        within_days,
        tuple(seen.moments),
        top.label or top.id,
        people,
        became,
        buyers,
        seen.unknown,
        tuple(sides),
        tuple(_notes(seen, top.label or top.id, buyers, months=months, within_days=within_days)),
    )


def _size(judged: ir.Table) -> tuple[int, int, int]:
    [row] = rows_of(
        judged.aggregate(
            people=judged.count(),
            became=judged.became.sum().fill_null(0),
            buyers=judged.of.nunique(where=judged.became == 1),
        )
    )
    return row["people"], row["became"], row["buyers"]


def _funnel(
    one: Named, entries: ir.Table, *, since: datetime, now: datetime, within_days: float
) -> dict[str, Any]:
    ids = one.definition.stage_ids
    went = history.conversions(
        entries, one.definition, since=since, now=now, within_days=within_days
    )
    conversions = [
        {"stage": ids[row["rank"]], "next": ids[row["rank"] + 1]}
        | {name: value for name, value in row.items() if name != "rank"}
        for row in rows_of(went, "rank")
    ]
    entered = rows_of(history.entered(entries, since=since), "month", "stage")
    return {"entered": entered, "conversions": conversions}


def _judgement(judged: ir.Table, definition: Definition, keep: Store) -> dict[str, Any]:
    names = history.flags(definition)
    by_person = keep("by_person", history.per_person(judged, names))
    [sums] = rows_of(history.totals(by_person))
    [spread] = rows_of(history.spread(by_person, sums, names))
    scores = rows_of(history.by_score(judged), "points")
    stood = rows_of(history.by_stage(judged), "rank")
    ids = definition.stage_ids

    def marks(texts: Mapping[str, str]) -> tuple[Mark, ...]:
        return tuple(_mark(name, text, sums, spread) for name, text in texts.items())

    return {
        "stood": [
            {"stage": ids[row["rank"]], "people": row["lives"], "became": row["became"]}
            for row in stood
        ],
        "stages": marks({n: ids[rank] for n, rank in history.stage_flags(definition).items()}),
        "thresholds": marks(
            {
                n: phrase(leaf, definition)
                for leaf, n in history.threshold_leaves(definition).items()
            }
        ),
        "kinds": marks(history.signal_kinds(definition)),
        "scores": [
            {"points": row["points"], "people": row["lives"], "became": row["became"]}
            for row in scores
        ],
    }


def _mark(
    name: str, what: str, sums: Mapping[str, int], spread: Mapping[str, float | None]
) -> Mark:
    yes, became = sums[f"{name}_lives"], sums[f"{name}_became"]
    variance = spread.get(name)
    return Mark(
        what,
        yes,
        became,
        sums["lives"] - yes,
        sums["became"] - became,
        buyers=sums[f"{name}_became_people"],
        others=sums[f"{name}_passed_people"],
        error=None if variance is None else math.sqrt(variance),
    )


def _side(one: Named, found: dict[str, Any]) -> Side:
    labels = {stage.id: stage.label or stage.id for stage in one.definition.stages}
    return Side(one.name, one.definition.id, labels, **found)


def _notes(
    seen: Hindsight, top: str, buyers: int, *, months: int, within_days: float
) -> Iterator[str]:
    """What a reader has to know before believing the figures."""
    if not seen.moments:
        yield too_short(within_days)
        return
    if len(seen.moments) < months:
        yield f"the history holds {len(seen.moments)} month ends of the {months} asked for"
    if gaps := [f"{name} {count:,} times" for name, count in seen.unknown.items() if count]:
        yield f"nobody can tell what these said then, and they count as empty: {', '.join(gaps)}"
    if buyers < TOO_FEW:
        yield f"{buyers} people became {top}: too few to judge anything by"
