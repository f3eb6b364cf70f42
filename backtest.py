"""The backtest: one or two definitions over the history that both had to judge at the time."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis.expr.types as ir
from more_itertools import chunked

from configuration import Configuration
from transforms import backtest as history
from transforms.backtest import Tables
from transforms.definition import Definition
from transforms.instants import from_datetime
from transforms.lifecycle import Store, journeys, stage_history
from transforms.reasons import phrase
from warehouse import Warehouse

Rows = list[dict[str, Any]]

TOO_FEW = 10
"""With fewer customers on a side nothing is said of it: chance alone would speak."""

LIVES = 3_000_000
"""People times month ends that are judged in one go; more is done in several."""


@dataclass(frozen=True)
class Named:
    """A definition with all that belongs to it, and what people call it: its file."""

    name: str
    configuration: Configuration

    @property
    def definition(self) -> Definition:
        """The definition itself."""
        return self.configuration.definition


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


Say = Callable[[str], None]
"""Told what is being done, for people who wait."""


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
    now = utc(warehouse.pulled_at() or datetime.now(UTC))
    judge = definitions[0].definition
    known = warehouse.answerable(definitions[0].configuration)
    present = known.people, known.field_since, known.events
    moments = _moments(known.people, now, within_days=within_days, months=months)
    with warehouse.aside() as keep:
        histories = []
        for nth, one in enumerate(definitions):
            say(f"{one.name}: the history as it is known now")
            histories.append(_history_now(present, one.definition, now, keep, f"{nth}"))
        judged: list[ir.Table] = []
        unknown: dict[str, int] = {}
        if moments:
            states = _states(warehouse, moments, definitions, within_days, keep, say)
            unknown = states.unknown
            won = keep("outcomes", history.outcomes(known.people, histories[0], judge))
            chosen = history.population(
                states.lived, won, states.of[0], judge, within_days=within_days
            )
            chosen = keep("population", chosen)
            judged = [
                keep(f"judged{nth}", chosen.join(of, "life")) for nth, of in enumerate(states.of)
            ]
        since = moments[0] if moments else now - timedelta(days=366)
        sides = []
        for nth, one in enumerate(definitions):
            say(f"{one.name}: counting")
            side = _funnel(one, histories[nth], since=since, now=now, within_days=within_days)
            side |= _judgement(judged[nth], one.definition, keep) if judged else {}
            sides.append(_side(one, side))
        people, became, buyers = _size(judged[0]) if judged else (0, 0, 0)
    top = judge.stages[-1].label or judge.stages[-1].id
    return Backtest(
        now,
        within_days,
        tuple(moments),
        top,
        people,
        became,
        buyers,
        unknown,
        tuple(sides),
        tuple(_notes(top, moments, buyers, unknown, months=months, within_days=within_days)),
    )


def utc(at: datetime) -> datetime:
    """The same instant without a zone, in UTC, as the middle keeps it."""
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def _moments(people: ir.Table, now: datetime, *, within_days: float, months: int) -> list[datetime]:
    """The month ends at which somebody was known already."""
    first = people.created_at.min().to_pyarrow().as_py()
    ends = history.month_ends(now, within_days=within_days, months=months)
    return [moment for moment in ends if first is not None and moment > utc(first)]


def _history_now(
    known: Tables, definition: Definition, now: datetime, keep: Store, name: str
) -> ir.Table:
    def store(step: str, table: ir.Table) -> ir.Table:
        return keep(f"step_{step}", table)

    steps = journeys(*known, definition, as_of=now, store=store)
    return keep(f"history_{name}", stage_history(steps, definition))


@dataclass(frozen=True)
class _States:
    """The lives that were lived, what each definition says of them, and what nobody knows."""

    lived: ir.Table
    of: list[ir.Table]
    unknown: dict[str, int]


def _states(
    warehouse: Warehouse,
    moments: Sequence[datetime],
    definitions: Sequence[Named],
    within_days: float,
    keep: Store,
    say: Say,
) -> _States:
    """Ask every definition where everybody stood at each month's end, many ends at once."""
    lived: list[ir.Table] = []
    of: list[list[ir.Table]] = [[] for _ in definitions]
    unknown: Counter[str] = Counter()
    people = int(warehouse.table("people").count().to_pyarrow().as_py())

    def store(step: str, table: ir.Table) -> ir.Table:
        return keep(f"step_{step}", table)

    for nth, some in enumerate(chunked(moments, max(1, LIVES // max(people, 1)))):
        until = some[-1]
        tables = _lives(warehouse, some, definitions, keep, unknown, say)
        for side, one in enumerate(definitions):
            say(f"{one.name}: {some[0]:%Y-%m-%d} to {until:%Y-%m-%d}")
            steps = journeys(*tables, one.definition, as_of=until, store=store)
            found = history.states(
                steps, one.definition, as_of=from_datetime(until), within_days=within_days
            )
            of[side].append(keep(f"states{side}_{nth}", found))
        lived.append(keep(f"lived_{nth}", tables[0].select("person_id", "of", "month_end")))
    return _States(
        history.together(lived), [history.together(tables) for tables in of], dict(unknown)
    )


def _lives(
    warehouse: Warehouse,
    moments: Sequence[datetime],
    definitions: Sequence[Named],
    keep: Store,
    unknown: Counter[str],
    say: Say,
) -> Tables:
    """What was known at each of some moments, all moved to the last of them."""
    fields = dict.fromkeys(name for one in definitions for name in one.definition.fields())
    parts: list[Tables] = []
    for moment in moments:
        say(f"what was known on {moment:%Y-%m-%d}")
        known = warehouse.answerable(
            definitions[0].configuration, as_of=moment, fields=tuple(fields)
        )
        there = [name for name in fields if name in known.people.columns]
        tables = (known.people, known.field_since, known.events)
        moved = history.lives(tables, there, moment=moment, until=moments[-1])
        # kept before the next moment is asked for: that one takes the place of this one
        people, since, events = (
            keep(f"life_{part}_{moment:%Y%m}", table) for part, table in enumerate(moved)
        )
        parts.append((people, since, events))
        unknown.update(_unknown(known.unknown))
    people, since, events = (history.together(tables) for tables in zip(*parts, strict=True))
    return people, since, events


def _unknown(people: ir.Table) -> dict[str, int]:
    """Of how many people each field was not known."""
    names = [name for name in people.columns if name != "person_id"]
    if not names:
        return {}
    [row] = _rows(people.aggregate(**{name: people[name].sum().fill_null(0) for name in names}))
    return row


def _size(judged: ir.Table) -> tuple[int, int, int]:
    [row] = _rows(
        judged.aggregate(
            people=judged.count(),
            became=judged.became.sum().fill_null(0),
            buyers=judged.of.nunique(where=judged.became == 1),
        )
    )
    return row["people"], row["became"], row["buyers"]


def _rows(table: ir.Table, *order: str) -> Rows:
    return list((table.order_by(*order) if order else table).to_pyarrow().to_pylist())


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
        for row in _rows(went, "rank")
    ]
    entered = _rows(history.entered(entries, since=since), "month", "stage")
    return {"entered": entered, "conversions": conversions}


def _judgement(judged: ir.Table, definition: Definition, keep: Store) -> dict[str, Any]:
    names = history.flags(definition)
    by_person = keep("by_person", history.per_person(judged, names))
    [sums] = _rows(history.totals(by_person))
    [spread] = _rows(history.spread(by_person, sums, names))
    scores = _rows(history.by_score(judged), "points")
    stood = _rows(history.by_stage(judged), "rank")
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
    top: str,
    moments: Sequence[datetime],
    buyers: int,
    unknown: Mapping[str, int],
    *,
    months: int,
    within_days: float,
) -> Iterator[str]:
    """What a reader has to know before believing the figures."""
    if not moments:
        yield (
            f"the history is too short: nobody was known {within_days:g} days before the end of "
            "it, so nobody's outcome can be told"
        )
        return
    if len(moments) < months:
        yield f"the history holds {len(moments)} month ends of the {months} asked for"
    if gaps := [f"{name} {count:,} times" for name, count in unknown.items() if count]:
        yield f"nobody can tell what these said then, and they count as empty: {', '.join(gaps)}"
    if buyers < TOO_FEW:
        yield f"{buyers} people became {top}: too few to judge anything by"
