"""Print a backtest as tables."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table

from analysis.backtest import MIN_BUYERS, Backtest, DefinitionResult, SignalStats
from cli.render.run import WIDE_CONSOLE, format_count, make_table
from cli.safe_text import styled
from models import Rows

MAX_CURVE_ROWS = 12
"""Rows of the score's curve, at most."""

CURVE_STEPS = (1, 2, 5, 10, 20, 25, 50, 100, 1_000_000)

MAX_SIGNALS = 15


def show_backtest(backtest: Backtest, console: Console) -> None:
    """Print a backtest for people."""
    console.print(_heading(backtest))
    for part in _sections(backtest, is_wide=console.width >= WIDE_CONSOLE):
        console.print(part)
        console.print()


def _heading(backtest: Backtest) -> RenderableType:
    names = " and ".join(f"{side.name} ({side.definition_id})" for side in backtest.results)
    lines: list[RenderableType] = [styled(("Backtest ", "bold"), (names, "bold cyan"))]
    if backtest.month_ends:
        first, last = backtest.month_ends[0], backtest.month_ends[-1]
        lines.append(
            f"{len(backtest.month_ends)} month-end snapshots, {first:%Y-%m-%d} to {last:%Y-%m-%d}, "
            f"each with the data known then. Of {backtest.people:,} people counted per snapshot, "
            f"{backtest.converted:,} became {backtest.target_stage} within "
            f"{backtest.within_days:g} days ({backtest.buyers:,} different people)."
        )
    return Group(*lines, "")


def _sections(backtest: Backtest, *, is_wide: bool) -> Iterator[RenderableType]:
    if backtest.notes:
        yield Group(*(styled(f"- {note}", style="yellow") for note in backtest.notes))
    yield _stage_entries(backtest.results)
    yield _conversions(backtest)
    if backtest.month_ends:
        within = f"{backtest.within_days:g} days"
        title = f"Became {backtest.target_stage} within {within}, by stage"
        yield _signal_table(title, "at the month end", backtest.results, _stages, is_wide=is_wide)
        title, what = "By threshold of the definition", "reached in the cycle"
        yield _signal_table(title, what, backtest.results, _thresholds, is_wide=is_wide)
        yield _curve(backtest.results)
        title = f"By activity in the {within} before the month end"
        yield _signal_table(
            title, "at least one", backtest.results[:1], _strongest_kinds, is_wide=is_wide
        )
        yield _legend(backtest)


def _stage_entries(sides: Sequence[DefinitionResult]) -> Table:
    """People entering each stage, month by month; of two definitions "current / other"."""
    labels = {stage: label for side in sides[::-1] for stage, label in side.labels.items()}
    title = "People entering each stage, by month"
    if len(sides) > 1:
        title += f" ({' / '.join(side.name for side in sides)})"
    table = make_table(title, "month", *(f"{label} >" for label in labels.values()))
    counted = [{(row["month"], row["stage"]): row["people"] for row in s.entered} for s in sides]
    months = sorted({month for one in counted for month, _ in one})
    for month in months:
        cells = (
            " / ".join(format_count(one.get((month, stage), 0)) for one in counted)
            for stage in labels
        )
        mark = " so far" if month == months[-1] else ""
        table.add_row(f"{month:%Y-%m}{mark}", *cells)
    return table


def _conversions(backtest: Backtest) -> Table:
    title = f"From stage to stage within {backtest.within_days:g} days, since the first month above"
    columns = ("from", "to", "people >", "converted >", "share >", "median days >", "open >")
    table = make_table(title, *columns)
    for side in backtest.results:
        _add_side_heading(table, side, backtest.results)
        for row in side.conversions:
            share = row["went_on"] / row["people"] if row["people"] else None
            days = row["median_days"]
            table.add_row(
                side.labels[row["stage"]],
                side.labels[row["next"]],
                format_count(row["people"]),
                format_count(row["went_on"]),
                format_percent(share),
                "-" if days is None else f"{days:.1f}",
                format_count(row["recent"]),
            )
        table.add_section()
    return table


def _stages(side: DefinitionResult) -> Iterable[SignalStats]:
    return side.stages


def _thresholds(side: DefinitionResult) -> Iterable[SignalStats]:
    return side.thresholds


def _strongest_kinds(side: DefinitionResult) -> Iterable[SignalStats]:
    """The kinds that predict best, the strongest first."""
    happened = (mark for mark in side.kinds if mark.yes)
    return sorted(happened, key=lambda mark: (-(mark.lift or 0), mark.signal))[:MAX_SIGNALS]


def _signal_table(
    title: str,
    what: str,
    sides: Sequence[DefinitionResult],
    of: Callable[[DefinitionResult], Iterable[SignalStats]],
    *,
    is_wide: bool,
) -> Table:
    bought = ["converted >"] if is_wide else []
    columns = (
        what,
        "snapshots >",
        *bought,
        "share >",
        "baseline >",
        "lift >",
        "95 % >",
        "recall >",
    )
    table = make_table(title, *columns)
    table.columns[-2].no_wrap = True
    for side in sides:
        _add_side_heading(table, side, sides)
        for mark in of(side):
            name = side.labels.get(mark.signal)
            table.add_row(
                f"{name} or above" if name else mark.signal,
                format_count(mark.yes),
                *([format_count(mark.yes_converted)] if is_wide else []),
                format_percent(mark.precision),
                format_percent(mark.baseline),
                *format_lift(mark),
                format_percent(mark.recall),
            )
        table.add_section()
    return table


def _add_side_heading(
    table: Table, side: DefinitionResult, sides: Sequence[DefinitionResult]
) -> None:
    """Say whose rows follow, where there are two definitions."""
    if len(sides) > 1:
        table.add_row(styled(side.name, style="bold cyan"))


def _curve(sides: Sequence[DefinitionResult]) -> Table:
    columns = ("score at least", "snapshots >", "share >", "recall >")
    table = make_table("By score at the month end", *columns)
    for side in sides:
        _add_side_heading(table, side, sides)
        for row in _sampled_curve(side.curve):
            table.add_row(
                str(row["points"]),
                format_count(row["people"]),
                format_percent(row["precision"]),
                format_percent(row["recall"]),
            )
        table.add_section()
    return table


def _sampled_curve(curve: Rows) -> Rows:
    """A few rows of the curve at round numbers, up to where hardly anybody is left."""
    high = max((row["points"] for row in curve if row["people"] >= MIN_BUYERS), default=0)
    step = next(step for step in CURVE_STEPS if high < step * MAX_CURVE_ROWS)
    return [
        next(row for row in curve if row["points"] >= points) | {"points": points}
        for points in range(0, high + 1, step)
        if curve
    ]


def _legend(backtest: Backtest) -> RenderableType:
    return styled(
        "snapshots: people counted once per month end. share: how many of them converted. "
        "baseline: the same share of all other people. lift: share / baseline, with its 95 % "
        "confidence interval, clustered by person. recall: share of all conversions that the "
        "signal preceded. open: entered too recently to have had the whole time. Not counted: "
        f"customers, and month ends less than {backtest.within_days:g} days ago. too few: fewer "
        f"than {MIN_BUYERS} customers with or without the signal.",
        style="dim",
    )


def format_percent(share: float | None) -> str:
    """A share as people read it; a dash where there is none."""
    return "-" if share is None else f"{share:.1%}".replace("%", " %")


def format_lift(mark: SignalStats) -> tuple[str, str]:
    """The lift and its limits, or that too few people bought."""
    if mark.lift is None or mark.confidence_interval is None:
        return "too few", ""
    low, high = mark.confidence_interval
    return f"{mark.lift:.1f}", f"{low:.1f}-{high:.1f}"
