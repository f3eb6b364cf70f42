"""The charts of a definition diff."""

from collections.abc import Iterator

import altair as alt

from analysis.definition_diff import DefinitionDiff
from cli.render.charts import COLOURS, Section, colours, percent, vega_spec
from cli.render.run import format_count
from connectors import crm_label
from models import Rows

MAX_FLOWS = 15
"""Flows in the chart; the table beside it has all."""


def difference_sections(difference: DefinitionDiff) -> Iterator[Section]:
    """Give the sections of the page of a definition diff."""
    if difference.flows:
        yield _stage_moves(difference)
    if difference.follow_ups:
        text = "Entries into the stages that ask for a follow-up, a week, over the last 12 weeks."
        yield _paired_bars(difference, "Follow-ups a week", text, "stage", difference.follow_ups)
    text = "People by next action."
    yield _paired_bars(difference, "Next actions", text, "next_action", difference.actions)
    yield Section(
        "Records to write",
        "Records of which the two definitions want different values in some field, beyond the "
        "smallest change that is written.",
        None,
        ("where", "records", "differing", "share", "estimated calls"),
        tuple(
            (
                f"{crm_label(row['crm'])} {row['object']}",
                format_count(row["records"]),
                format_count(row["differing"]),
                percent(row["differing"] / row["records"] if row["records"] else None),
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
        "Stage changes",
        "Current and new stage, most people first.",
        vega_spec(
            base.mark_bar(cornerRadius=2, color=COLOURS[0]) + labels, step=30, rows=len(data)
        ),
        ("from", "to", "people", "share"),
        tuple(
            (
                before,
                after,
                format_count(row["people"]),
                percent(row["people"] / difference.people),
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
    scale = alt.Scale(domain=list(sides), range=colours(2))
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
        vega_spec(bars, step=54, rows=len(names)),
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
