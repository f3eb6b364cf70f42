"""A backtest or a difference as one page for a browser: charts, numbers, nothing from elsewhere.

The page holds figures only: no person, no address, no record.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from vl_convert import javascript_bundle

from analysis.backtest import MIN_BUYERS, Backtest, DefinitionResult, SignalStats
from analysis.definition_diff import DefinitionDiff
from analysis.month_end_snapshots import Rows
from cli.render.run import format_count
from connectors import crm_label

TEMPLATE_FOLDER = Path(__file__).parent
Chart = alt.Chart | alt.LayerChart | alt.FacetChart

COLOURS = ("#2563a8", "#d97706", "#2f855a", "#8b5a9e", "#b03a48", "#5b6b7b")
GRAY = "#94a3b8"
HISTOGRAM_BARS = 20
"""Bars of the score's distribution."""

MAX_FLOWS = 15
"""Flows drawn; the table beside them has all."""

MIN_CURVE_PEOPLE = 50
"""Of fewer people a share jumps about: the curve ends there."""


@dataclass(frozen=True)
class Section:
    """A section of the page: what is shown, a chart and the numbers beside it."""

    title: str
    text: str
    chart: dict[str, Any] | None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    is_wide: bool = False


def backtest_page(backtest: Backtest, path: Path) -> None:
    """Write a backtest as a page."""
    names = " and ".join(f"{side.name} ({side.definition_id})" for side in backtest.results)
    ends = backtest.month_ends
    span = f", {ends[0]:%Y-%m-%d} to {ends[-1]:%Y-%m-%d}" if ends else ""
    _write(
        path,
        title=f"Who would have told us the next {backtest.target_stage}?",
        told=f"{names} on the history{span}. Data as of {backtest.now:%Y-%m-%d}.",
        notes=backtest.notes,
        facts=[
            (format_count(backtest.people), "people, counted at each month end"),
            (
                format_count(backtest.converted),
                f"times {backtest.target_stage} within {backtest.within_days:g} days",
            ),
            (format_count(backtest.buyers), "different people"),
            (format_count(len(ends)), "month ends"),
        ],
        parts=list(_backtest_sections(backtest)),
        footer=(
            "Each month's end was judged by what had happened until then. Left out: who had "
            f"bought already, and month ends less than {backtest.within_days:g} days ago. Limits "
            "are at 95 % confidence, by person. A lift is no cause."
        ),
    )


def difference_page(difference: DefinitionDiff, path: Path) -> None:
    """Write a difference as a page."""
    _write(
        path,
        title=f"What {difference.theirs} would change",
        told=(
            f"{difference.ours} ({difference.ids[0]}) against {difference.theirs} "
            f"({difference.ids[1]}), by what was pulled on {difference.as_of:%Y-%m-%d}. Nothing was written."
        ),
        notes=(),
        facts=[
            (format_count(difference.moved), f"people would move, of {difference.people:,}"),
            (_percent(difference.share), "of all people"),
            (
                " → ".join(f"{count:.0f}" for count in difference.follow_ups_per_week),
                "follow-ups a week",
            ),
            (
                format_count(sum(row["calls"] for row in difference.writes)),
                "API calls to write it, about",
            ),
        ],
        parts=list(_difference_sections(difference)),
        footer="Counted from the warehouse; neither CRM was asked. No person is named here.",
    )


def _write(path: Path, *, parts: list[Section], **words: Any) -> None:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_FOLDER), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html")
    text = page.render(
        parts=parts, library=javascript_bundle("window.vegaEmbed = vegaEmbed;"), **words
    )
    path.write_text(text, encoding="utf-8")


def _backtest_sections(backtest: Backtest) -> Iterator[Section]:
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


# --- a difference -------------------------------------------------------------------------------


def _difference_sections(difference: DefinitionDiff) -> Iterator[Section]:
    if difference.flows:
        yield _stage_moves(difference)
    if difference.follow_ups:
        text = "Entries into the stages that ask for a follow-up, a week, over the last 12 weeks."
        yield _paired_bars(difference, "Follow-ups a week", text, "stage", difference.follow_ups)
    text = "People by what is to be done with them next, as things stand."
    yield _paired_bars(difference, "What is to be done", text, "next_action", difference.actions)
    yield Section(
        "Records to be written anew",
        "Records of which the two definitions want different values in some field, beyond the "
        "smallest change that is written.",
        None,
        ("where", "records", "differing", "share", "calls, about"),
        tuple(
            (
                f"{crm_label(row['crm'])} {row['object']}",
                format_count(row["records"]),
                format_count(row["differing"]),
                _percent(row["differing"] / row["records"] if row["records"] else None),
                format_count(row["calls"]),
            )
            for row in difference.writes
        ),
    )


def _stage_moves(difference: DefinitionDiff) -> Section:
    rows = [
        (
            difference.stage_label(row["stage"], row["status"]),
            difference.stage_label(row["stage_to"], row["status_to"]),
        )
        for row in difference.flows
    ]
    data = [
        {"flow": f"{before} → {after}", "people": row["people"]}
        for (before, after), row in zip(rows, difference.flows, strict=True)
    ][:MAX_FLOWS]
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("flow:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)),
        x=alt.X("people:Q", title="people"),
    )
    labels = base.mark_text(align="left", dx=4, color="#1c2733").encode(text="people:Q")
    return Section(
        "Who would move",
        "From where to where, most people first.",
        _spec(base.mark_bar(cornerRadius=2, color=COLOURS[0]) + labels, step=30, rows=len(data)),
        ("from", "to", "people", "share"),
        tuple(
            (
                before,
                after,
                format_count(row["people"]),
                _percent(row["people"] / difference.people),
            )
            for (before, after), row in zip(rows, difference.flows, strict=True)
        ),
    )


def _paired_bars(
    difference: DefinitionDiff, title: str, text: str, key: str, rows: Rows
) -> Section:
    sides = (difference.ours, difference.theirs)
    data = [
        {"what": difference.labels.get(row[key], row[key]), "count": row[column], "side": side}
        for row in rows
        for side, column in zip(sides, ("before", "after"), strict=True)
    ]
    names = list(dict.fromkeys(row["what"] for row in data))
    scale = alt.Scale(domain=list(sides), range=_colours(2))
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("what:N", sort=names, title=None),
        yOffset=alt.YOffset("side:N", sort=list(sides)),
        x=alt.X("count:Q", title="a week" if key == "stage" else "people"),
    )
    legend = alt.Legend(orient="top", title=None)
    bars = base.mark_bar(cornerRadius=2).encode(
        color=alt.Color("side:N", scale=scale, legend=legend)
    )
    return Section(
        title,
        text,
        _spec(bars, step=54, rows=len(names)),
        ("", difference.ours, difference.theirs),
        tuple(
            (
                str(difference.labels.get(row[key], row[key])),
                *map(_amount, (row["before"], row["after"])),
            )
            for row in rows
        ),
    )


def _amount(count: float) -> str:
    return format_count(count) if isinstance(count, int) else f"{count:,.1f}"


# --- the funnel -----------------------------------------------------------------------------------


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
                    _percent(share),
                    "–" if days is None else f"{days:.0f}",
                )
            )
    steps = list(dict.fromkeys(row["step"] for row in data))
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("step:N", sort=steps, title=None),
        yOffset=alt.YOffset("side:N", sort=_names(backtest.results)),
        x=alt.X("share:Q", axis=alt.Axis(format="%", title=f"went on within {within}")),
    )
    bars = base.mark_bar(cornerRadius=2).encode(color=_by_side(backtest.results))
    labels = base.mark_text(align="left", dx=4, color="#1c2733").encode(
        text=alt.Text("share:Q", format=".0%")
    )
    return Section(
        "How many go on to the next stage",
        f"Of those who entered a stage for the first time since the first month, the share that "
        f"entered the next within {within}. Who entered more recently is left out.",
        _spec(bars + labels, step=34 * len(backtest.results), rows=len(steps)),
        ("step", "people", "went on", "share", "median days"),
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
    dash = _dashes(backtest.results)
    chart = (
        alt.Chart(alt.InlineData(values=data))
        .mark_line(point=True, strokeWidth=2)
        .encode(
            x=alt.X("month:O", title=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("people:Q", title="people entering the stage"),
            color=alt.Color(
                "stage:N",
                sort=labels,
                scale=alt.Scale(domain=labels, range=_colours(len(labels))),
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
        _spec(chart, height=300),
        is_wide=True,
    )


# --- lift -----------------------------------------------------------------------------------------


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
                _percent(mark.precision),
                _percent(mark.baseline),
                spoken,
                _percent(mark.recall),
            )
            rows.append((name, format_count(mark.yes), *shares))
    return Section(
        title,
        f"{text} Bars reach over the limits of chance. Fewer than {MIN_BUYERS} customers on a "
        "side: too few to tell.",
        _lift_chart(data, sides) if data else None,
        ("", "times", "bought", "others", "lift", "of all buyers"),
        tuple(rows),
    )


def _lift_chart(data: Rows, sides: Sequence[DefinitionResult]) -> dict[str, Any]:
    names = list(dict.fromkeys(row["what"] for row in data))
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("what:N", sort=names, title=None, axis=alt.Axis(labelLimit=190)),
        yOffset=alt.YOffset("side:N", sort=_names(sides)),
        color=_by_side(sides),
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
    return _spec(one + limits + points, step=22 * len(sides) + 6, rows=len(names))


# --- the score ------------------------------------------------------------------------------------


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
            strokeDash=_dashes(backtest.results),
            tooltip=["points:Q", alt.Tooltip("share:Q", format=".1%"), "group:N", "side:N"],
        )
    )
    return Section(
        "How the score parts those who bought from those who did not",
        f"Scores at the month's end: of those who became {backtest.target_stage} within {within}, "
        "and of all others. The further apart the two lines, the more the score tells.",
        _spec(chart, height=260),
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
    """The score that all but a thousandth stay below: what lies above is one last bar."""
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
            cells = (_percent(mark.precision), _percent(mark.recall))
            rows.append((f"{nth}. {name}", format_count(mark.yes), *cells))
    return Section(
        "Precision and recall",
        "The line is the score: each point of it a threshold. The numbered dots are the stages and "
        "thresholds of the definition. Up is fewer calls in vain, right is fewer customers missed.",
        _spec(_curve(curve, backtest) + _numbered_points(marks, backtest), height=360),
        ("", "times", "precision", "recall"),
        tuple(rows),
    )


def _axes() -> dict[str, Any]:
    find = alt.Axis(format="%", title="recall: found, of all who bought")
    hit = alt.Axis(format="%", title="precision: bought, of those found")
    return {"x": alt.X("recall:Q", axis=find), "y": alt.Y("precision:Q", axis=hit)}


def _curve(curve: Rows, backtest: Backtest) -> Chart:
    line = alt.Chart(alt.InlineData(values=curve)).mark_line(strokeWidth=2)
    drawn: Chart = line.encode(**_axes(), color=_by_side(backtest.results), order="points:Q")
    return drawn


def _numbered_points(marks: Rows, backtest: Backtest) -> Chart:
    base = alt.Chart(alt.InlineData(values=marks)).encode(**_axes(), tooltip=["what:N", "side:N"])
    dots = base.mark_point(filled=True, size=260, opacity=1, stroke="white")
    numbers = base.mark_text(color="white", fontSize=10, fontWeight="bold")
    drawn: Chart = dots.encode(color=_by_side(backtest.results)) + numbers.encode(text="nth:N")
    return drawn


# --- what all charts share ------------------------------------------------------------------------


def _spec(chart: Chart, *, height: int = 0, step: int = 0, rows: int = 0) -> dict[str, Any]:
    """The chart as Vega-Lite, as wide as its place."""
    tall = height or 60 + step * rows
    made: dict[str, Any] = (
        chart.properties(width="container", height=tall)
        .configure_view(stroke=None)
        .configure_axis(grid=True, gridColor="#e8edf3", domain=False, tickColor="#dde3ea")
        .configure(font="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif")
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
        .to_dict()
    )
    return made


def _names(sides: Sequence[DefinitionResult]) -> list[str]:
    return [side.name for side in sides]


def _legend(sides: Sequence[DefinitionResult]) -> alt.Legend | None:
    return alt.Legend(orient="top", title=None) if len(sides) > 1 else None


def _dashes(sides: Sequence[DefinitionResult]) -> alt.StrokeDash:
    """The second definition's lines are dashed."""
    legend = alt.Legend(orient="top", title=None, symbolType="stroke", symbolSize=300)
    scale = alt.Scale(domain=_names(sides), range=[[1, 0], [4, 3]][: len(sides)])
    return alt.StrokeDash("side:N", scale=scale, legend=legend if len(sides) > 1 else None)


def _by_side(sides: Sequence[DefinitionResult]) -> alt.Color:
    names = _names(sides)
    scale = alt.Scale(domain=names, range=_colours(len(names)))
    return alt.Color("side:N", scale=scale, legend=_legend(sides))


def _colours(count: int) -> list[str]:
    return [COLOURS[n % len(COLOURS)] for n in range(count)]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}".replace("%", " %")
