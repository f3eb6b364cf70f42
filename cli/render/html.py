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

from analysis.backtest import TOO_FEW, Backtest, Mark, Side
from analysis.definition_diff import Difference
from analysis.month_end_snapshots import Rows
from cli.render.run import figure
from models import crm_name

HERE = Path(__file__).parent
Drawn = alt.Chart | alt.LayerChart | alt.FacetChart

COLOURS = ("#2563a8", "#d97706", "#2f855a", "#8b5a9e", "#b03a48", "#5b6b7b")
GRAY = "#94a3b8"
BARS = 20
"""Bars of the score's distribution."""

FLOWS = 15
"""Flows drawn; the table beside them has all."""

ENOUGH = 50
"""Of fewer people a share jumps about: the curve ends there."""


@dataclass(frozen=True)
class Part:
    """A section of the page: what is shown, a chart and the numbers beside it."""

    title: str
    told: str
    chart: dict[str, Any] | None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    is_wide: bool = False


def backtest_page(told: Backtest, path: Path) -> None:
    """Write a backtest as a page."""
    names = " and ".join(f"{side.name} ({side.definition_id})" for side in told.sides)
    ends = told.month_ends
    span = f", {ends[0]:%Y-%m-%d} to {ends[-1]:%Y-%m-%d}" if ends else ""
    _write(
        path,
        title=f"Who would have told us the next {told.outcome}?",
        told=f"{names} on the history{span}. Data as of {told.now:%Y-%m-%d}.",
        notes=told.notes,
        facts=[
            (figure(told.people), "people, counted at each month end"),
            (figure(told.became), f"times {told.outcome} within {told.within_days:g} days"),
            (figure(told.buyers), "different people"),
            (figure(len(ends)), "month ends"),
        ],
        parts=list(_backtest_parts(told)),
        footer=(
            "Each month's end was judged by what had happened until then. Left out: who had "
            f"bought already, and month ends less than {told.within_days:g} days ago. Limits are "
            "at 95 % confidence, by person. A lift is no cause."
        ),
    )


def difference_page(told: Difference, path: Path) -> None:
    """Write a difference as a page."""
    _write(
        path,
        title=f"What {told.theirs} would change",
        told=(
            f"{told.ours} ({told.ids[0]}) against {told.theirs} ({told.ids[1]}), by what was "
            f"pulled on {told.as_of:%Y-%m-%d}. Nothing was written."
        ),
        notes=(),
        facts=[
            (figure(told.moved), f"people would move, of {told.people:,}"),
            (_percent(told.share), "of all people"),
            (f"{told.per_week[0]:.0f} → {told.per_week[1]:.0f}", "follow-ups a week"),
            (figure(sum(row["calls"] for row in told.writes)), "API calls to write it, about"),
        ],
        parts=list(_difference_parts(told)),
        footer="Counted from the warehouse; neither CRM was asked. No person is named here.",
    )


def _write(path: Path, *, parts: list[Part], **words: Any) -> None:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html")
    text = page.render(
        parts=parts, library=javascript_bundle("window.vegaEmbed = vegaEmbed;"), **words
    )
    path.write_text(text, encoding="utf-8")


def _backtest_parts(told: Backtest) -> Iterator[Part]:
    within = f"{told.within_days:g} days"
    yield _funnel(told, within)
    yield _flows(told)
    if told.month_ends:
        text = f"How many times as likely to become {told.outcome} within {within} as all others"
        yield _lifts("Lift by stage", f"{text}, for those in a stage or above.", told, _stages)
        yield _lifts("Lift by threshold", f"{text}, once it was reached.", told, _thresholds)
        yield _distribution(told, within)
        yield _precision(told)
        first = told.sides[:1]
        yield _lifts("Lift by what people did", f"{text}, after at least one.", told, _kinds, first)


# --- a difference -------------------------------------------------------------------------------


def _difference_parts(told: Difference) -> Iterator[Part]:
    if told.flows:
        yield _moves(told)
    if told.follow_ups:
        text = "Entries into the stages that ask for a follow-up, a week, over the last 12 weeks."
        yield _pairs(told, "Follow-ups a week", text, "stage", told.follow_ups)
    text = "People by what is to be done with them next, as things stand."
    yield _pairs(told, "What is to be done", text, "next_action", told.actions)
    yield Part(
        "Records to be written anew",
        "Records of which the two definitions want different values in some field, beyond the "
        "smallest change that is written.",
        None,
        ("where", "records", "differing", "share", "calls, about"),
        tuple(
            (
                f"{crm_name(row['crm'])} {row['object']}",
                figure(row["records"]),
                figure(row["differing"]),
                _percent(row["differing"] / row["records"] if row["records"] else None),
                figure(row["calls"]),
            )
            for row in told.writes
        ),
    )


def _moves(told: Difference) -> Part:
    rows = [
        (told.place(row["stage"], row["status"]), told.place(row["stage_to"], row["status_to"]))
        for row in told.flows
    ]
    data = [
        {"flow": f"{before} → {after}", "people": row["people"]}
        for (before, after), row in zip(rows, told.flows, strict=True)
    ][:FLOWS]
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("flow:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)),
        x=alt.X("people:Q", title="people"),
    )
    labels = base.mark_text(align="left", dx=4, color="#1c2733").encode(text="people:Q")
    return Part(
        "Who would move",
        "From where to where, most people first.",
        _spec(base.mark_bar(cornerRadius=2, color=COLOURS[0]) + labels, step=30, rows=len(data)),
        ("from", "to", "people", "share"),
        tuple(
            (before, after, figure(row["people"]), _percent(row["people"] / told.people))
            for (before, after), row in zip(rows, told.flows, strict=True)
        ),
    )


def _pairs(told: Difference, title: str, text: str, key: str, rows: Rows) -> Part:
    sides = (told.ours, told.theirs)
    data = [
        {"what": told.labels.get(row[key], row[key]), "count": row[column], "side": side}
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
    return Part(
        title,
        text,
        _spec(bars, step=54, rows=len(names)),
        ("", told.ours, told.theirs),
        tuple(
            (str(told.labels.get(row[key], row[key])), *map(_amount, (row["before"], row["after"])))
            for row in rows
        ),
    )


def _amount(count: float) -> str:
    return figure(count) if isinstance(count, int) else f"{count:,.1f}"


# --- the funnel -----------------------------------------------------------------------------------


def _funnel(told: Backtest, within: str) -> Part:
    data: Rows = []
    rows: list[tuple[str, ...]] = []
    for side in told.sides:
        rows += [(side.name,)] if len(told.sides) > 1 else []
        for row in side.conversions:
            share = row["went_on"] / row["people"] if row["people"] else None
            step = f"{side.labels[row['stage']]} → {side.labels[row['next']]}"
            data.append({"step": step, "share": share or 0, "side": side.name})
            days = row["median_days"]
            rows.append(
                (
                    step,
                    figure(row["people"]),
                    figure(row["went_on"]),
                    _percent(share),
                    "–" if days is None else f"{days:.0f}",
                )
            )
    steps = list(dict.fromkeys(row["step"] for row in data))
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("step:N", sort=steps, title=None),
        yOffset=alt.YOffset("side:N", sort=_names(told.sides)),
        x=alt.X("share:Q", axis=alt.Axis(format="%", title=f"went on within {within}")),
    )
    bars = base.mark_bar(cornerRadius=2).encode(color=_by_side(told.sides))
    labels = base.mark_text(align="left", dx=4, color="#1c2733").encode(
        text=alt.Text("share:Q", format=".0%")
    )
    return Part(
        "How many go on to the next stage",
        f"Of those who entered a stage for the first time since the first month, the share that "
        f"entered the next within {within}. Who entered more recently is left out.",
        _spec(bars + labels, step=34 * len(told.sides), rows=len(steps)),
        ("step", "people", "went on", "share", "median days"),
        tuple(rows),
    )


def _flows(told: Backtest) -> Part:
    data = [
        {
            "month": f"{row['month']:%Y-%m}",
            "stage": side.labels[row["stage"]],
            "people": row["people"],
            "side": side.name,
        }
        for side in told.sides
        for row in side.entered
    ]
    labels = list(dict.fromkeys(label for side in told.sides for label in side.labels.values()))
    dash = _dashes(told.sides)
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
    return Part(
        "People entering each stage, month by month",
        "Different people with an entry in that month, as it is known now. The last month is not "
        "over yet.",
        _spec(chart, height=300),
        is_wide=True,
    )


# --- lift -----------------------------------------------------------------------------------------


def _stages(side: Side) -> Iterable[tuple[str, Mark]]:
    return [(f"{side.labels[mark.what]} or above", mark) for mark in side.stages]


def _thresholds(side: Side) -> Iterable[tuple[str, Mark]]:
    return [(mark.what, mark) for mark in side.thresholds]


def _kinds(side: Side) -> Iterable[tuple[str, Mark]]:
    happened = [mark for mark in side.kinds if mark.yes]
    happened.sort(key=lambda mark: (-(mark.lift or 0), mark.what))
    return [(mark.what.replace("_", " "), mark) for mark in happened]


def _lifts(
    title: str,
    text: str,
    told: Backtest,
    of: Callable[[Side], Iterable[tuple[str, Mark]]],
    sides: Sequence[Side] | None = None,
) -> Part:
    sides = told.sides if sides is None else sides
    data: Rows = []
    rows: list[tuple[str, ...]] = []
    for side in sides:
        rows += [(side.name,)] if len(sides) > 1 else []
        for name, mark in of(side):
            spoken = "too few"
            if mark.lift is not None and mark.between is not None:
                low, high = mark.between
                spoken = f"{mark.lift:.1f} ({low:.1f}–{high:.1f})"
                data.append(
                    {"what": name, "lift": mark.lift, "low": low, "high": high, "side": side.name}
                )
            shares = (_percent(mark.precision), _percent(mark.base), spoken, _percent(mark.recall))
            rows.append((name, figure(mark.yes), *shares))
    return Part(
        title,
        f"{text} Bars reach over the limits of chance. Fewer than {TOO_FEW} customers on a side: "
        "too few to tell.",
        _lift_chart(data, sides) if data else None,
        ("", "times", "bought", "others", "lift", "of all buyers"),
        tuple(rows),
    )


def _lift_chart(data: Rows, sides: Sequence[Side]) -> dict[str, Any]:
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


def _distribution(told: Backtest, within: str) -> Part:
    data: Rows = []
    for side in told.sides:
        data += _histogram(side, told.outcome)
    names = [f"became {told.outcome}", "did not"]
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
            strokeDash=_dashes(told.sides),
            tooltip=["points:Q", alt.Tooltip("share:Q", format=".1%"), "group:N", "side:N"],
        )
    )
    return Part(
        "How the score parts those who bought from those who did not",
        f"Scores at the month's end: of those who became {told.outcome} within {within}, and of "
        "all others. The further apart the two lines, the more the score tells.",
        _spec(chart, height=260),
        is_wide=True,
    )


def _histogram(side: Side, outcome: str) -> Rows:
    if not side.scores:
        return []
    people, became = _sums(side.scores)
    low, high = side.scores[0]["points"], _most(side.scores)
    width = max(1, -(-(high - low + 1) // BARS))
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


def _most(scores: Rows) -> int:
    """The score that all but a thousandth stay below: what lies above is one last bar."""
    people, _ = _sums(scores)
    seen = 0
    for row in scores:
        seen += row["people"]
        if seen >= 0.999 * people:
            return int(row["points"])
    return int(scores[-1]["points"])


def _precision(told: Backtest) -> Part:
    curve = [
        {**row, "side": side.name}
        for side in told.sides
        for row in side.curve
        if row["people"] >= ENOUGH and row["recall"] is not None
    ]
    marks: Rows = []
    rows: list[tuple[str, ...]] = []
    for side in told.sides:
        rows += [(side.name,)] if len(told.sides) > 1 else []
        for name, mark in [*_stages(side), *_thresholds(side)]:
            nth = str(len(marks) + 1)
            shares = {"precision": mark.precision, "recall": mark.recall}
            marks.append({"nth": nth, "what": name, "side": side.name, **shares})
            cells = (_percent(mark.precision), _percent(mark.recall))
            rows.append((f"{nth}. {name}", figure(mark.yes), *cells))
    return Part(
        "Precision and recall",
        "The line is the score: each point of it a threshold. The numbered dots are the stages and "
        "thresholds of the definition. Up is fewer calls in vain, right is fewer customers missed.",
        _spec(_curve(curve, told) + _dots(marks, told), height=360),
        ("", "times", "precision", "recall"),
        tuple(rows),
    )


def _axes() -> dict[str, Any]:
    find = alt.Axis(format="%", title="recall: found, of all who bought")
    hit = alt.Axis(format="%", title="precision: bought, of those found")
    return {"x": alt.X("recall:Q", axis=find), "y": alt.Y("precision:Q", axis=hit)}


def _curve(curve: Rows, told: Backtest) -> Drawn:
    line = alt.Chart(alt.InlineData(values=curve)).mark_line(strokeWidth=2)
    drawn: Drawn = line.encode(**_axes(), color=_by_side(told.sides), order="points:Q")
    return drawn


def _dots(marks: Rows, told: Backtest) -> Drawn:
    base = alt.Chart(alt.InlineData(values=marks)).encode(**_axes(), tooltip=["what:N", "side:N"])
    dots = base.mark_point(filled=True, size=260, opacity=1, stroke="white")
    numbers = base.mark_text(color="white", fontSize=10, fontWeight="bold")
    drawn: Drawn = dots.encode(color=_by_side(told.sides)) + numbers.encode(text="nth:N")
    return drawn


# --- what all charts share ------------------------------------------------------------------------


def _spec(chart: Drawn, *, height: int = 0, step: int = 0, rows: int = 0) -> dict[str, Any]:
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


def _names(sides: Sequence[Side]) -> list[str]:
    return [side.name for side in sides]


def _legend(sides: Sequence[Side]) -> alt.Legend | None:
    return alt.Legend(orient="top", title=None) if len(sides) > 1 else None


def _dashes(sides: Sequence[Side]) -> alt.StrokeDash:
    """The second definition's lines are dashed."""
    legend = alt.Legend(orient="top", title=None, symbolType="stroke", symbolSize=300)
    scale = alt.Scale(domain=_names(sides), range=[[1, 0], [4, 3]][: len(sides)])
    return alt.StrokeDash("side:N", scale=scale, legend=legend if len(sides) > 1 else None)


def _by_side(sides: Sequence[Side]) -> alt.Color:
    names = _names(sides)
    scale = alt.Scale(domain=names, range=_colours(len(names)))
    return alt.Color("side:N", scale=scale, legend=_legend(sides))


def _colours(count: int) -> list[str]:
    return [COLOURS[n % len(COLOURS)] for n in range(count)]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}".replace("%", " %")
