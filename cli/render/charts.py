"""What the charts of the HTML report share; needs altair (extra `report`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from analysis.backtest import DefinitionResult
from cli.safe_text import visible_json

Chart = alt.Chart | alt.LayerChart | alt.FacetChart

COLOURS = ("#2563a8", "#d97706", "#2f855a", "#8b5a9e", "#b03a48", "#5b6b7b")


@dataclass(frozen=True)
class Section:
    """A section of the page: what is shown, a chart and the numbers beside it."""

    title: str
    text: str
    chart: dict[str, Any] | None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    is_wide: bool = False


def vega_spec(chart: Chart, *, height: int = 0, step: int = 0, rows: int = 0) -> dict[str, Any]:
    """The chart as Vega-Lite, as wide as its place."""
    tall = height or 60 + step * rows
    made = (
        chart.properties(width="container", height=tall)
        .configure_view(stroke=None)
        .configure_axis(grid=True, gridColor="#e8edf3", domain=False, tickColor="#dde3ea")
        .configure(font="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif")
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
        .to_dict()
    )
    shown: dict[str, Any] = visible_json(made)
    return shown


def side_names(sides: Sequence[DefinitionResult]) -> list[str]:
    """The names of the definitions, in order."""
    return [side.name for side in sides]


def side_legend(sides: Sequence[DefinitionResult]) -> alt.Legend | None:
    """A legend where there are two definitions."""
    return alt.Legend(orient="top", title=None) if len(sides) > 1 else None


def side_dashes(sides: Sequence[DefinitionResult]) -> alt.StrokeDash:
    """The second definition's lines are dashed."""
    legend = alt.Legend(orient="top", title=None, symbolType="stroke", symbolSize=300)
    scale = alt.Scale(domain=side_names(sides), range=[[1, 0], [4, 3]][: len(sides)])
    return alt.StrokeDash("side:N", scale=scale, legend=legend if len(sides) > 1 else None)


def side_colour(sides: Sequence[DefinitionResult]) -> alt.Color:
    """One colour per definition."""
    names = side_names(sides)
    scale = alt.Scale(domain=names, range=colours(len(names)))
    return alt.Color("side:N", scale=scale, legend=side_legend(sides))


def colours(count: int) -> list[str]:
    """The first colours of the palette, repeated where it is too short."""
    return [COLOURS[n % len(COLOURS)] for n in range(count)]


def percent(share: float | None) -> str:
    """Write a share in percent."""
    return "–" if share is None else f"{share:.1%}".replace("%", " %")
