"""The score: the decayed points of a person's events, plus the points of the profile."""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from config.definition import Definition, FitLine, Leaf, Score, ScoreLeaf
from transforms.lifecycle.cycles import assign_cycle, by_kind, kind_name, kinds_where
from transforms.staging.literals import float64, int64
from transforms.staging.timestamps import NEVER, days_to_microseconds

_BLOCK = 900
"""Half-lives per block. Within a block weights grow up to 2 ** 900, which a double still holds;
what is older than a whole block is worth nothing in six decimals."""

DECIMAL_PLACES = 6
"""Decimals kept before any comparison, so that all engines compare the same number."""


def fit_column(line: int) -> str:
    """The name of a fit line's column: since when it holds, us or NEVER."""
    return f"fit_{line}"


def fit_lines(definition: Definition) -> tuple[FitLine, ...]:
    """The fit lines, none where the definition has no score."""
    return definition.score.fit if definition.score else ()


def fit_points(rows: ir.Table, definition: Definition, *, at: ir.Value | int) -> ir.FloatingValue:
    """Sum the fit lines true at an instant; `rows` has their columns."""
    return sum(
        (
            ibis.ifelse(rows[fit_column(i)] <= at, float64(line.points), float64(0))
            for i, line in enumerate(fit_lines(definition))
        ),
        start=float64(0),
    )


def round_2(points: ir.FloatingValue) -> ir.FloatingValue:
    """Round six decimals once more, to the two that are stored.

    As decimals, and half away from zero: 0.565 is a little less than that in binary.
    """
    return points.cast("decimal(18, 6)").round(2).cast("float64")


def engagement(admitted: ir.Table, definition: Definition, *, as_of: int) -> ir.Table:
    """Sum what each person's admitted events are still worth at `as_of`.

    In:     admitted(who, at int64 us, kind int16)
    Out:    who (unique), engagement float64 (points, 6 decimals)
    NULLs:  a person without events has no row; without a section `score` no person has one.
    Source: docs/definition.md, "Score".
    """
    worth = contributions(admitted, definition, as_of=as_of)
    summed = worth.group_by("who").aggregate(engagement=worth.left.sum())
    return summed.mutate(engagement=summed.engagement.round(DECIMAL_PLACES))


def contributions(admitted: ir.Table, definition: Definition, *, as_of: int) -> ir.Table:
    """Say what is left of the points of every admitted event at `as_of`.

    Out:    who, at int64 us, kind string, points float64, left float64; only kinds worth points
    """
    if definition.score is None:
        nothing = admitted.filter(ibis.literal(False)).select("who", "at", "kind")
        return nothing.mutate(points=float64(0), left=float64(0))
    scoring = kinds_where(definition, lambda kind: kind.points != 0)
    worth = admitted.filter(admitted.kind.isin(scoring))
    points = _points(worth.kind, definition)
    left = points * decay(worth.at - as_of, definition.score)
    name = kind_name(worth.kind, definition)
    return worth.select("who", "at", kind=name, points=points, left=left)


def score_reached_at(
    admitted: ir.Table,
    cycles: ir.Table,
    fit_since: ir.Table,
    columns: Mapping[Leaf, str],
    definition: Definition,
    *,
    as_of: int,
) -> list[ir.Table]:
    """Find the first moment of each cycle at which a score reached its thresholds.

    In:     admitted(who, cycle, at, kind) and journeys as `activity` gives them,
            fits(who, created, fit_0, ...); columns: the leaves and the names of their columns
    Out:    a table who, cycle, a column (us) per leaf, or none where no leaf asks
    Source: docs/definition.md, "True since".
    """
    asked = {name: leaf for leaf, name in columns.items() if isinstance(leaf, ScoreLeaf)}
    if not asked or definition.score is None:
        return []
    stream = _stream(admitted, cycles, fit_since, definition)
    if definition.closing_kinds:
        stream = _count_closings(stream, cycles)
    scored = _running(stream, definition.score, as_of=as_of)
    scored = scored.filter(scored.cycle.notnull())
    reached = {name: scored[leaf.score] >= float64(leaf.gte) for name, leaf in asked.items()}
    some = scored.filter(ibis.or_(*reached.values()))
    return [
        some.group_by("who", "cycle").aggregate(
            **{
                name: some.at.min(where=some[leaf.score] >= float64(leaf.gte))
                for name, leaf in asked.items()
            }
        )
    ]


def decay(length: ir.Value, score: Score) -> ir.FloatingValue:
    """What one point becomes: two to the number of half-lives in a length of microseconds.

    >>> half_life = ibis.literal(-days_to_microseconds(30))
    >>> decay(half_life, Score(half_life_days=30)).to_pyarrow().as_py()
    0.5
    """
    halves = length / float64(days_to_microseconds(score.half_life_days))
    # some engines refuse a power that is too small for a double
    return float64(2) ** ibis.greatest(halves, float64(-_BLOCK))


def _points(kind: ir.Value, definition: Definition) -> ir.FloatingValue:
    return float64(1) * by_kind(kind, definition, lambda kind: kind.points, default=0.0)


def _stream(
    admitted: ir.Table, journeys: ir.Table, fits: ir.Table, definition: Definition
) -> ir.Table:
    """All moments that change a score, or at which it is asked for.

    They are the admitted events, the starts of cycles and the dates of fit lines.

    Out: who, cycle (NULL: not asked for), at, points (of events), fit (points of fit lines)
    """
    happened = admitted.select(
        "who", "cycle", "at", points=_points(admitted.kind, definition), fit=float64(0)
    )
    begun = journeys.join(fits.drop("created"), "who")
    from_start = fit_points(begun, definition, at=begun.created)
    started = begun.select(
        "who",
        "cycle",
        at=begun.start,
        points=float64(0),
        fit=ibis.ifelse(begun.start == begun.created, from_start, float64(0)),
    )
    stream = happened.union(started)
    for i, line in enumerate(fit_lines(definition)):
        dated = fits.filter(fits[fit_column(i)] > fits.created, fits[fit_column(i)] < NEVER)
        dated = dated.select("who", at=dated[fit_column(i)])
        dated = assign_cycle(dated, journeys, until=journeys.next_start)
        stream = stream.union(
            dated.select("who", "cycle", "at", points=float64(0), fit=float64(line.points))
        )
    return stream


def _count_closings(stream: ir.Table, cycles: ir.Table) -> ir.Table:
    """Add how many cycles had been closed before each moment: engagement starts again with each."""
    closed = cycles.filter(cycles.closed < NEVER)
    # one microsecond later: an event at the instant of the closing is not after it
    marks = closed.select(
        "who",
        cycle=ibis.null("int64"),
        at=closed.closed + 1,
        points=float64(0),
        fit=float64(0),
        mark=int64(1),
    )
    both = stream.mutate(mark=int64(0)).union(marks)
    upto = ibis.window(group_by=both.who, order_by=both.at, range=(None, 0))
    return both.mutate(closings=both.mark.sum().over(upto)).drop("mark")


def _running(stream: ir.Table, score: Score, *, as_of: int) -> ir.Table:
    """Give both scores at each moment, of everything up to and with it.

    A running sum of points that grow instead of points that fade: both differ by a factor that
    depends on the moment alone. Blocks keep that factor inside a double.

    Out: who, cycle, at, engagement, fit, total
    """
    length = _BLOCK * days_to_microseconds(score.half_life_days)
    journey: list[ir.Value | str] = ["who"]
    if "closings" in stream.columns:
        journey.append("closings")
    block: ir.Value = int64(0)
    if length < as_of:
        # one block does not reach back to 1970
        stream = stream.mutate(block=((as_of - stream.at) // length).cast("int64"))
        stream = stream.union(_brought_forward(stream, journey, score, as_of=as_of))
        block = stream.block
        journey = [*journey, "block"]
    grown = decay(stream.at - _begin(block, length, as_of=as_of), score)
    # no column that is not needed: this is the widest sort of all
    upto = ibis.window(group_by=journey, order_by=stream.at, range=(None, 0))
    engagement = (stream.points * grown).sum().over(upto) / grown
    # the points of the profile neither fade nor end with a closing
    fit = stream.fit.sum().over(ibis.window(group_by="who", order_by=stream.at, range=(None, 0)))
    return stream.select(
        "who",
        "cycle",
        "at",
        engagement=engagement.round(DECIMAL_PLACES),
        fit=fit.round(DECIMAL_PLACES),
        total=(engagement + fit).round(DECIMAL_PLACES),
    )


def _begin(block: ir.Value, length: int, *, as_of: int) -> ir.IntegerValue:
    """Just before the first moment of a block; block 0 ends at `as_of`."""
    return as_of - (block + 1) * length


def _brought_forward(
    stream: ir.Table, journey: list[ir.Value | str], score: Score, *, as_of: int
) -> ir.Table:
    """Sum up the points of each block as one moment at the beginning of the next block."""
    length = _BLOCK * days_to_microseconds(score.half_life_days)
    older = stream.filter(stream.block >= 1)
    worth = older.points * decay(older.at - _begin(older.block - 1, length, as_of=as_of), score)
    sums = older.group_by([*journey, "block"]).aggregate(points=worth.sum())
    following = sums.block.lead(1).over(group_by=journey, order_by=ibis.desc(sums.block))
    carried = sums.mutate(into=following.fill_null(0))
    # what is older than a whole block is worth nothing any more, and of next to nothing the rest
    # would be too small for a double
    is_worth = (carried.block - carried.into == 1) & (carried.points.abs() > float64(1e-30))
    carried = carried.filter(is_worth)
    return carried.mutate(
        cycle=ibis.null("int64"),
        at=_begin(carried.into, length, as_of=as_of) + 1,
        fit=float64(0),
        block=carried.into,
    ).select(*stream.columns)
