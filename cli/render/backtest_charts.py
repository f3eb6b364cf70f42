"""The charts of a backtest."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import altair as alt

from analysis.backtest import MIN_BUYERS, Backtest, DefinitionResult, SignalStats
from cli.render.charts import (
    COLOURS,
    Chart,
    Section,
    colours,
    percent,
    side_colour,
    side_dashes,
    side_names,
    vega_spec,
)
from cli.render.run import format_count
from models import Rows

GRAY = "#94a3b8"
HISTOGRAM_BARS = 20
MIN_CURVE_PEOPLE = 50
"""The curve ends where fewer people are left: shares of fewer vary too much."""


def backtest_sections(backtest: Backtest) -> Iterator[Section]:
    """Give the sections of the page of a backtest."""
    within = f"{backtest.within_days:g} days"
    yield _funnel(backtest, within)
    yield _stage_entries(backtest)
    if backtest.month_ends:
        text = (
            f"How many times as likely to become {backtest.target_stage} within {within} "
            "as all others"
        )
        yield _lift_section(
            "Lift by stage", f"{text}, for those in a stage or above.", backtest, _stages
        )
        yield _lift_section(
            "Lift by threshold", f"{text}, once it was reached.", backtest, _thresholds
        )
        yield _distribution(backtest, within)
        yield _precision(backtest)
        first = backtest.results[:1]
        yield _lift_section(
            "Lift by what people did", f"{text}, after at least one.", backtest, _kinds, first
        )


def _funnel(backtest: Backtest, within: str) -> Section:
    data: Rows = []
    rows: list[tuple[str, ...]] = []
    for side in backtest.results:
        rows += [(side.name,)] if len(backtest.results) > 1 else []
        for row in side.conversions:
            share = row["went_on"] / row["people"] if row["people"] else None
            step = f"{side.labels[row['stage']]} → {side.labels[row['next']]}"
            data.append({"step": step, "share": share or 0, "side": side.name})
            days = row["median_days"]
            rows.append(
                (
                    step,
                    format_count(row["people"]),
                    format_count(row["went_on"]),
                    percent(share),
                    "–" if days is None else f"{days:.0f}",
                )
            )
    steps = list(dict.fromkeys(row["step"] for row in data))
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("step:N", sort=steps, title=None),
        yOffset=alt.YOffset("side:N", sort=side_names(backtest.results)),
        x=alt.X("share:Q", axis=alt.Axis(format="%", title=f"converted within {within}")),
    )
    bars = base.mark_bar(cornerRadius=2).encode(color=side_colour(backtest.results))
    labels = base.mark_text(align="left", dx=4, color="#1c2733").encode(
        text=alt.Text("share:Q", format=".0%")
    )
    return Section(
        "Conversion to the next stage",
        f"Of those who entered a stage for the first time since the first month, the share that "
        f"entered the next within {within}. Later entries are still open and not counted.",
        vega_spec(bars + labels, step=34 * len(backtest.results), rows=len(steps)),
        ("step", "people", "converted", "share", "median days"),
        tuple(rows),
    )


def _stage_entries(backtest: Backtest) -> Section:
    data = [
        {
            "month": f"{row['month']:%Y-%m}",
            "stage": side.labels[row["stage"]],
            "people": row["people"],
            "side": side.name,
        }
        for side in backtest.results
        for row in side.entered
    ]
    labels = list(
        dict.fromkeys(label for side in backtest.results for label in side.labels.values())
    )
    dash = side_dashes(backtest.results)
    chart = (
        alt.Chart(alt.InlineData(values=data))
        .mark_line(point=True, strokeWidth=2)
        .encode(
            x=alt.X("month:O", title=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("people:Q", title="people entering the stage"),
            color=alt.Color(
                "stage:N",
                sort=labels,
                scale=alt.Scale(domain=labels, range=colours(len(labels))),
                legend=alt.Legend(orient="top", title=None, columns=3),
            ),
            strokeDash=dash,
            tooltip=["month:O", "stage:N", "people:Q", "side:N"],
        )
    )
    return Section(
        "People entering each stage, month by month",
        "Different people with an entry in that month, as it is known now. The last month is not "
        "over yet.",
        vega_spec(chart, height=300),
        is_wide=True,
    )


def _stages(side: DefinitionResult) -> Iterable[tuple[str, SignalStats]]:
    return [(f"{side.labels[mark.signal]} or above", mark) for mark in side.stages]


def _thresholds(side: DefinitionResult) -> Iterable[tuple[str, SignalStats]]:
    return [(mark.signal, mark) for mark in side.thresholds]


def _kinds(side: DefinitionResult) -> Iterable[tuple[str, SignalStats]]:
    happened = [mark for mark in side.kinds if mark.yes]
    happened.sort(key=lambda mark: (-(mark.lift or 0), mark.signal))
    return [(mark.signal.replace("_", " "), mark) for mark in happened]


def _lift_section(
    title: str,
    text: str,
    backtest: Backtest,
    of: Callable[[DefinitionResult], Iterable[tuple[str, SignalStats]]],
    sides: Sequence[DefinitionResult] | None = None,
) -> Section:
    sides = backtest.results if sides is None else sides
    data: Rows = []
    rows: list[tuple[str, ...]] = []
    for side in sides:
        rows += [(side.name,)] if len(sides) > 1 else []
        for name, mark in of(side):
            spoken = "too few"
            if mark.lift is not None and mark.confidence_interval is not None:
                low, high = mark.confidence_interval
                spoken = f"{mark.lift:.1f} ({low:.1f}–{high:.1f})"
                data.append(
                    {"what": name, "lift": mark.lift, "low": low, "high": high, "side": side.name}
                )
            shares = (
                percent(mark.precision),
                percent(mark.baseline),
                spoken,
                percent(mark.recall),
            )
            rows.append((name, format_count(mark.yes), *shares))
    return Section(
        title,
        f"{text} Bars show the 95 % interval. 'too few': fewer than {MIN_BUYERS} "
        "customers with or without the signal.",
        _lift_chart(data, sides) if data else None,
        ("", "snapshots", "converted", "baseline", "lift", "recall"),
        tuple(rows),
    )


def _lift_chart(data: Rows, sides: Sequence[DefinitionResult]) -> dict[str, Any]:
    names = list(dict.fromkeys(row["what"] for row in data))
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("what:N", sort=names, title=None, axis=alt.Axis(labelLimit=190)),
        yOffset=alt.YOffset("side:N", sort=side_names(sides)),
        color=side_colour(sides),
    )
    scale = alt.Scale(type="log", nice=False, padding=12)
    limits = base.mark_rule(strokeWidth=3, opacity=0.45).encode(
        x=alt.X("low:Q", scale=scale, title="times as likely as all others"), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("lift:Q", scale=scale),
        tooltip=["what:N", alt.Tooltip("lift:Q", format=".1f"), "side:N"],
    )
    one = alt.Chart(alt.InlineData(values=[{"one": 1}])).mark_rule(strokeDash=[4, 4], color=GRAY)
    one = one.encode(x=alt.X("one:Q", scale=scale))
    return vega_spec(one + limits + points, step=22 * len(sides) + 6, rows=len(names))


def _distribution(backtest: Backtest, within: str) -> Section:
    data: Rows = []
    for side in backtest.results:
        data += _histogram(side, backtest.target_stage)
    names = [f"became {backtest.target_stage}", "did not"]
    chart = (
        alt.Chart(alt.InlineData(values=data))
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("points:Q", title="score at the month's end"),
            y=alt.Y("share:Q", axis=alt.Axis(format="%", title="share of each group")),
            color=alt.Color(
                "group:N",
                sort=names,
                scale=alt.Scale(domain=names, range=[COLOURS[1], COLOURS[0]]),
                legend=alt.Legend(orient="top", title=None),
            ),
            strokeDash=side_dashes(backtest.results),
            tooltip=["points:Q", alt.Tooltip("share:Q", format=".1%"), "group:N", "side:N"],
        )
    )
    return Section(
        "Score of people who converted, and of all others",
        f"Scores at the month's end: of those who became {backtest.target_stage} within {within}, "
        "and of all others. The further apart the lines, the better the score.",
        vega_spec(chart, height=260),
        is_wide=True,
    )


def _histogram(side: DefinitionResult, outcome: str) -> Rows:
    if not side.scores:
        return []
    people, became = _sums(side.scores)
    low, high = side.scores[0]["points"], _high_score(side.scores)
    width = max(1, -(-(high - low + 1) // HISTOGRAM_BARS))
    found: dict[int, list[int]] = {n: [0, 0] for n in range((high - low) // width + 1)}
    for row in side.scores:
        bar = found[(min(row["points"], high) - low) // width]
        bar[0] += row["became"]
        bar[1] += row["people"] - row["became"]
    totals = (became, people - became)
    return [
        {"points": low + n * width, "share": count / total, "group": group, "side": side.name}
        for n, bar in found.items()
        for count, total, group in zip(bar, totals, (f"became {outcome}", "did not"), strict=True)
        if total
    ]


def _sums(scores: Rows) -> tuple[int, int]:
    return sum(row["people"] for row in scores), sum(row["became"] for row in scores)


def _high_score(scores: Rows) -> int:
    """The score that all but a thousandth stay below: higher scores are one last bar."""
    people, _ = _sums(scores)
    seen = 0
    for row in scores:
        seen += row["people"]
        if seen >= 0.999 * people:
            return int(row["points"])
    return int(scores[-1]["points"])


def _precision(backtest: Backtest) -> Section:
    curve = [
        {**row, "side": side.name}
        for side in backtest.results
        for row in side.curve
        if row["people"] >= MIN_CURVE_PEOPLE and row["recall"] is not None
    ]
    marks: Rows = []
    rows: list[tuple[str, ...]] = []
    for side in backtest.results:
        rows += [(side.name,)] if len(backtest.results) > 1 else []
        for name, mark in [*_stages(side), *_thresholds(side)]:
            nth = str(len(marks) + 1)
            shares = {"precision": mark.precision, "recall": mark.recall}
            marks.append({"nth": nth, "what": name, "side": side.name, **shares})
            cells = (percent(mark.precision), percent(mark.recall))
            rows.append((f"{nth}. {name}", format_count(mark.yes), *cells))
    return Section(
        "Precision and recall",
        "The line is the score: each point of it a threshold. The numbered dots are the stages and "
        "thresholds of the definition. Up: fewer wasted calls; right: fewer missed customers.",
        vega_spec(_curve(curve, backtest) + _numbered_points(marks, backtest), height=360),
        ("", "snapshots", "precision", "recall"),
        tuple(rows),
    )


def _axes() -> dict[str, Any]:
    find = alt.Axis(format="%", title="recall: share of all customers that was selected")
    hit = alt.Axis(format="%", title="precision: share of selected people who converted")
    return {"x": alt.X("recall:Q", axis=find), "y": alt.Y("precision:Q", axis=hit)}


def _curve(curve: Rows, backtest: Backtest) -> Chart:
    line = alt.Chart(alt.InlineData(values=curve)).mark_line(strokeWidth=2)
    drawn: Chart = line.encode(**_axes(), color=side_colour(backtest.results), order="points:Q")
    return drawn


def _numbered_points(marks: Rows, backtest: Backtest) -> Chart:
    base = alt.Chart(alt.InlineData(values=marks)).encode(**_axes(), tooltip=["what:N", "side:N"])
    dots = base.mark_point(filled=True, size=260, opacity=1, stroke="white")
    numbers = base.mark_text(color="white", fontSize=10, fontWeight="bold")
    drawn: Chart = dots.encode(color=side_colour(backtest.results)) + numbers.encode(text="nth:N")
    return drawn
