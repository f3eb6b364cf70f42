"""What people see of a definition tried on the history."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from analysis.backtest import TOO_FEW, Backtest, Mark, Side
from analysis.month_end_snapshots import Rows
from cli.render.run import WIDE, figure, grid

CURVE = 12
"""Rows of the score's curve, at most."""

STEPS = (1, 2, 5, 10, 20, 25, 50, 100, 1_000_000)

SIGNALS = 15


def show_backtest(told: Backtest, console: Console) -> None:
    """Print a backtest for people."""
    console.print(_heading(told))
    for part in _parts(told, is_wide=console.width >= WIDE):
        console.print(part)
        console.print()


def _heading(told: Backtest) -> Text:
    names = " and ".join(f"{side.name} ({side.definition_id})" for side in told.sides)
    text = Text.assemble(("Backtest ", "bold"), (names, "bold cyan"), "\n")
    if told.month_ends:
        first, last = told.month_ends[0], told.month_ends[-1]
        text.append(
            f"Everybody known at each of {len(told.month_ends)} month ends, {first:%Y-%m-%d} to "
            f"{last:%Y-%m-%d}, by what was known then: who became {told.outcome} within "
            f"{told.within_days:g} days? {told.became:,} of {told.people:,} times somebody did, "
            f"{told.buyers:,} people in all.\n"
        )
    return text


def _parts(told: Backtest, *, is_wide: bool) -> Iterator[RenderableType]:
    if told.notes:
        yield Group(*(Text(f"- {note}", style="yellow") for note in told.notes))
    yield _entered(told.sides)
    yield _conversions(told)
    if told.month_ends:
        within = f"{told.within_days:g} days"
        title = f"Who became {told.outcome} within {within}, by stage"
        yield _marks(title, "at the month's end", told.sides, _stages, is_wide=is_wide)
        title, what = "The same by each threshold of the definition", "reached in the cycle"
        yield _marks(title, what, told.sides, _thresholds, is_wide=is_wide)
        yield _curve(told.sides)
        title = f"The same by what people did in the {within} before"
        yield _marks(title, "at least one", told.sides[:1], _strongest, is_wide=is_wide)
        yield _legend(told)


def _entered(sides: Sequence[Side]) -> Table:
    """People entering each stage, month by month; of two definitions "ours / theirs"."""
    labels = {stage: label for side in sides[::-1] for stage, label in side.labels.items()}
    title = "People entering each stage, by month"
    if len(sides) > 1:
        title += f" ({' / '.join(side.name for side in sides)})"
    table = grid(title, "month", *(f"{label} >" for label in labels.values()))
    counted = [{(row["month"], row["stage"]): row["people"] for row in s.entered} for s in sides]
    months = sorted({month for one in counted for month, _ in one})
    for month in months:
        cells = (
            " / ".join(figure(one.get((month, stage), 0)) for one in counted) for stage in labels
        )
        mark = " so far" if month == months[-1] else ""
        table.add_row(f"{month:%Y-%m}{mark}", *cells)
    return table


def _conversions(told: Backtest) -> Table:
    title = f"From stage to stage within {told.within_days:g} days, since the first month above"
    columns = ("from", "to", "people >", "went on >", "share >", "median days >", "too recent >")
    table = grid(title, *columns)
    for side in told.sides:
        _head(table, side, told.sides)
        for row in side.conversions:
            share = row["went_on"] / row["people"] if row["people"] else None
            days = row["median_days"]
            table.add_row(
                side.labels[row["stage"]],
                side.labels[row["next"]],
                figure(row["people"]),
                figure(row["went_on"]),
                percent(share),
                "-" if days is None else f"{days:.1f}",
                figure(row["recent"]),
            )
        table.add_section()
    return table


def _stages(side: Side) -> Iterable[Mark]:
    return side.stages


def _thresholds(side: Side) -> Iterable[Mark]:
    return side.thresholds


def _strongest(side: Side) -> Iterable[Mark]:
    """The kinds that tell most, the strongest first."""
    happened = (mark for mark in side.kinds if mark.yes)
    return sorted(happened, key=lambda mark: (-(mark.lift or 0), mark.what))[:SIGNALS]


def _marks(
    title: str,
    what: str,
    sides: Sequence[Side],
    of: Callable[[Side], Iterable[Mark]],
    *,
    is_wide: bool,
) -> Table:
    bought = ["bought >"] if is_wide else []
    columns = (what, "times >", *bought, "share >", "others >", "lift >", "95 % >", "recall >")
    table = grid(title, *columns)
    table.columns[-2].no_wrap = True
    for side in sides:
        _head(table, side, sides)
        for mark in of(side):
            name = side.labels.get(mark.what)
            table.add_row(
                f"{name} or above" if name else mark.what,
                figure(mark.yes),
                *([figure(mark.yes_became)] if is_wide else []),
                percent(mark.precision),
                percent(mark.base),
                *lift(mark),
                percent(mark.recall),
            )
        table.add_section()
    return table


def _head(table: Table, side: Side, sides: Sequence[Side]) -> None:
    """Say whose rows follow, where there are two definitions."""
    if len(sides) > 1:
        table.add_row(Text(side.name, style="bold cyan", overflow="fold"))


def _curve(sides: Sequence[Side]) -> Table:
    columns = ("score at least", "times >", "share that bought >", "recall >")
    table = grid("The same by the score at the month's end", *columns)
    for side in sides:
        _head(table, side, sides)
        for row in _some(side.curve):
            table.add_row(
                str(row["points"]),
                figure(row["people"]),
                percent(row["precision"]),
                percent(row["recall"]),
            )
        table.add_section()
    return table


def _some(curve: Rows) -> Rows:
    """A few rows of the curve at round numbers, up to where hardly anybody is left."""
    high = max((row["points"] for row in curve if row["people"] >= TOO_FEW), default=0)
    step = next(step for step in STEPS if high < step * CURVE)
    return [
        next(row for row in curve if row["points"] >= points) | {"points": points}
        for points in range(0, high + 1, step)
        if curve
    ]


def _legend(told: Backtest) -> Text:
    return Text(
        "times: people counted at each month end. share, others: of those of whom it was true, "
        "and of all others, how many bought. lift: share / others, with its limits at 95 % "
        "confidence, by person. recall: of all who bought, how many it had found before. Left "
        f"out: customers already, and month ends less than {told.within_days:g} days ago. too "
        f"few: less than {TOO_FEW} different people bought on one of the two sides.",
        style="dim",
    )


def percent(share: float | None) -> str:
    """A share as people read it; a dash where there is none."""
    return "-" if share is None else f"{share:.1%}".replace("%", " %")


def lift(mark: Mark) -> tuple[str, str]:
    """The lift and its limits, or that too few bought to tell."""
    if mark.lift is None or mark.between is None:
        return "too few", ""
    low, high = mark.between
    return f"{mark.lift:.1f}", f"{low:.1f}-{high:.1f}"
