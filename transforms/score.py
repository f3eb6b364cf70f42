"""The score: what somebody's engagement is still worth, plus what their profile adds."""

from collections.abc import Iterable

import ibis
import ibis.expr.types as ir

from transforms.activity import by_kind, in_cycle
from transforms.definition import Definition, FitLine, Leaf, Score, ScoreLeaf
from transforms.instants import NEVER, days

_BLOCK = 900
"""Half-lives per block. Within a block weights grow up to 2 ** 900, which a double still holds;
what is older than a whole block is worth nothing in six decimals."""

PLACES = 6
"""Decimals kept before any comparison, so that all engines compare the same number."""


def number(value: float) -> ir.FloatingValue:
    """A double literal; a bare one may become DECIMAL in the engine."""
    return ibis.literal(repr(float(value))).cast("float64")


def fit_column(line: int) -> str:
    """The name of a fit line's column: since when it holds, us or NEVER."""
    return f"fit_{line}"


def fit_lines(definition: Definition) -> tuple[FitLine, ...]:
    """The fit lines, none where the definition has no score."""
    return definition.score.fit if definition.score else ()


def fit(rows: ir.Table, definition: Definition, *, at: ir.Value | int) -> ir.FloatingValue:
    """Sum the fit lines true at an instant; `rows` has their columns."""
    return sum(
        (
            ibis.ifelse(rows[fit_column(i)] <= at, number(line.points), number(0))
            for i, line in enumerate(fit_lines(definition))
        ),
        start=number(0),
    )


def engagement(admitted: ir.Table, definition: Definition, *, as_of: int) -> ir.Table:
    """Sum what each person's admitted events are still worth at `as_of`.

    In:     admitted(who, at int64 us, kind)
    Out:    who (unique), engagement float64 (points, 6 decimals)
    NULLs:  a person without events has no row; without a score nobody has.
    Source: docs/definition.md, "Score".
    """
    if definition.score is None:
        return admitted.filter(ibis.literal(False)).select("who", engagement=number(0))
    worth = _worth(admitted, definition)
    left = worth.points * _power(worth.at - as_of, definition.score)
    summed = worth.group_by("who").aggregate(engagement=left.sum())
    return summed.mutate(engagement=summed.engagement.round(PLACES))


def score_firsts(
    admitted: ir.Table,
    journeys: ir.Table,
    fits: ir.Table,
    leaves: Iterable[Leaf],
    definition: Definition,
    *,
    as_of: int,
) -> list[tuple[Leaf, ir.Table]]:
    """Find the first moment of each cycle at which a score reached a threshold.

    In:     admitted(who, at, kind), journeys as `cycles` gives them, fits(who, created, fit_0, ...)
    Out:    for each leaf a table who, cycle, since (us), only where it was reached
    Source: docs/definition.md, "True since".
    """
    asked = list(dict.fromkeys(leaf for leaf in leaves if isinstance(leaf, ScoreLeaf)))
    if not asked or definition.score is None:
        return []
    stream = _stream(admitted, journeys, fits, definition)
    running = _running(stream, definition.score, as_of=as_of)
    events = in_cycle(running.filter(running.is_event), journeys, definition)
    dates = in_cycle(running.filter(~running.is_event), journeys, definition, lasting=True)
    moments = events.union(dates)
    with_fit = moments.join(fits.drop("created"), "who")
    total = with_fit.engagement + fit(with_fit, definition, at=with_fit.at)
    scored = with_fit.select(
        "who",
        "cycle",
        "at",
        engagement=with_fit.engagement.round(PLACES),
        total=total.round(PLACES),
    )
    firsts: list[tuple[Leaf, ir.Table]] = []
    for leaf in asked:
        reached = scored.filter(scored[leaf.score] >= number(leaf.gte))
        firsts.append((leaf, reached.group_by("who", "cycle").aggregate(since=reached.at.min())))
    return firsts


def _power(length: ir.Value, score: Score) -> ir.FloatingValue:
    """Two to the number of half-lives in a length of microseconds."""
    return number(2) ** (length / number(days(score.half_life_days)))


def _worth(admitted: ir.Table, definition: Definition) -> ir.Table:
    """The events worth points: who, at, points."""
    scoring = [name for name, kind in definition.events.items() if kind.points]
    worth = admitted.filter(admitted.kind.isin(scoring))
    points = by_kind(worth.kind, definition, lambda kind: kind.points, otherwise=0.0)
    return worth.select("who", "at", points=number(1) * points)


def _stream(
    admitted: ir.Table, journeys: ir.Table, fits: ir.Table, definition: Definition
) -> ir.Table:
    """All moments at which a score may be reached: who, at, points, is_event.

    They are the admitted events, the starts of cycles and the dates of fit lines.
    """
    points = by_kind(admitted.kind, definition, lambda kind: kind.points, otherwise=0.0)
    stream = admitted.select("who", "at", points=number(1) * points, is_event=ibis.literal(True))
    moments = [journeys.select("who", at=journeys.start)]
    for i, _ in enumerate(fit_lines(definition)):
        dated = fits.filter(fits[fit_column(i)] > fits.created, fits[fit_column(i)] < NEVER)
        moments.append(dated.select("who", at=dated[fit_column(i)]))
    for moment in moments:
        stream = stream.union(
            moment.select("who", "at", points=number(0), is_event=ibis.literal(False))
        )
    return stream


def _running(stream: ir.Table, score: Score, *, as_of: int) -> ir.Table:
    """Add the engagement at each moment, of everything up to and with it.

    A running sum of points that grow instead of points that fade: both differ by a factor that
    depends on the moment alone. Blocks keep that factor inside a double.
    """
    length = _BLOCK * days(score.half_life_days)
    block = ((as_of - stream.at) // length).cast("int64")
    placed = stream.mutate(block=block)
    grown = _power((placed.block + 1) * length - (as_of - placed.at), score)
    placed = placed.mutate(grown=grown)
    placed = placed.mutate(weight=placed.points * placed.grown)
    journey = ibis.window(group_by=["who", "block"], order_by=placed.at, range=(None, 0))
    summed = placed.mutate(summed=placed.weight.sum().over(journey))
    old = placed.filter(placed.block >= 1)
    old = old.group_by("who", "block").aggregate(carried=old.weight.sum())
    old = old.select(old_who=old.who, old_block=old.block - 1, carried=old.carried)
    both = summed.left_join(old, [summed.who == old.old_who, summed.block == old.old_block])
    carried = both.carried.fill_null(number(0)) * number(2.0**-_BLOCK)
    return both.select("who", "at", "is_event", engagement=(both.summed + carried) / both.grown)
