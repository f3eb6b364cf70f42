"""The events of one person: those that made a leaf true, and the points left of each."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import ibis.expr.types as ir

from config.definition import ChannelsLeaf, Definition, EventLeaf, Leaf, ScoreLeaf
from transforms.lifecycle import score
from transforms.lifecycle.cycles import kind_name
from transforms.lifecycle.lifecycle import Steps
from transforms.staging.timestamps import (
    days_to_microseconds,
    from_datetime,
    to_microseconds,
    to_timestamp,
)

MAX_SCORE_EVENTS = 5
"""The most events that are listed as the reason of a score."""


@dataclass(frozen=True)
class PersonEvent:
    """An admitted event: its time, its cycle (None: in no cycle), and its row in the CRM.

    `points_left` is what its points are still worth at `as_of`.
    """

    at: datetime
    kind: str
    channel: str | None
    cycle: int | None
    points: float
    points_left: float
    event_id: str
    crm: str
    object: str
    record_id: str


def person_events(
    steps: Steps, events: ir.Table, definition: Definition, *, as_of: datetime
) -> list[PersonEvent]:
    """List the admitted events of the one person whom the tables are about, oldest first."""
    admitted = steps.admitted
    worth = score.contributions(admitted, definition, as_of=from_datetime(as_of))
    left = {
        (row["kind"], row["at"]): row["left"] for row in _rows(worth.select("kind", "at", "left"))
    }
    counted = events.filter(events.duplicate_of.isnull())
    sources = counted.select(
        "event_id", "kind", "crm", "source_object", "source_id", at=to_microseconds(counted.at)
    )
    rows_by_event = defaultdict(list)
    for row in sorted(_rows(sources), key=lambda row: row["event_id"], reverse=True):
        rows_by_event[row["kind"], row["at"]].append(row)
    named = admitted.select(
        "cycle", "at", time=to_timestamp(admitted.at), kind=kind_name(admitted.kind, definition)
    )
    result = []
    for row in sorted(_rows(named), key=lambda row: row["at"]):
        # equal events at one instant are interchangeable: any of their rows may be named
        event = rows_by_event[row["kind"], row["at"]].pop()
        kind = definition.events[row["kind"]]
        result.append(
            PersonEvent(
                row["time"],
                row["kind"],
                kind.channel,
                row["cycle"],
                kind.points,
                left.get((row["kind"], row["at"]), 0.0),
                event["event_id"],
                event["crm"],
                event["source_object"],
                event["source_id"],
            )
        )
    return result


def supporting_events(
    leaf: Leaf,
    events: list[PersonEvent],
    definition: Definition,
    *,
    at: datetime,
    cycle: int | None,
) -> list[PersonEvent]:
    """The events that made a leaf true at an instant; `cycle` None: of all cycles.

    Of a score, those with the most points left.
    """
    in_cycle = [event for event in events if event.at <= at and cycle in (None, event.cycle)]
    match leaf:
        case EventLeaf(event=kinds, count=count, within_days=within):
            near = within_window(in_cycle, at, within)
            return [event for event in near if event.kind in kinds][-count:]
        case ChannelsLeaf(within_days=within):
            near = within_window(in_cycle, at, within)
            active = [event for event in near if definition.events[event.kind].is_activity]
            return list({event.channel: event for event in active if event.channel}.values())
        case ScoreLeaf():
            scored = [event for event in events if event.at <= at and event.points]
            ranked = sorted(scored, key=lambda event: -decayed_points(event, definition, at=at))
            return sorted(ranked[:MAX_SCORE_EVENTS], key=lambda event: event.at)
    return []


def within_window(
    events: list[PersonEvent], at: datetime, within_days: float | None
) -> list[PersonEvent]:
    """The events in the window `(at - within_days, at]`; None: no limit."""
    if within_days is None:
        return events
    since = from_datetime(at) - days_to_microseconds(within_days)
    return [event for event in events if from_datetime(event.at) > since]


def decayed_points(event: PersonEvent, definition: Definition, *, at: datetime) -> float:
    """The points that were left of an event at an instant."""
    if definition.score is None:
        return 0
    half_life = timedelta(days=definition.score.half_life_days)
    return float(event.points * 0.5 ** ((at - event.at) / half_life))


def allocate_rounding(points: list[float], total: float) -> list[float]:
    """Round points to cents so that they add up to the total (largest remainder method)."""
    exact = [Decimal(repr(round(value, score.DECIMAL_PLACES))) for value in points]
    floors = [value.quantize(_CENT, ROUND_FLOOR) for value in exact]
    short = int((Decimal(repr(total)) - sum(floors)) / _CENT)
    ranked = sorted(range(len(exact)), key=lambda i: floors[i] - exact[i])
    raised = set(ranked[:short])
    return [float(value + _CENT if i in raised else value) for i, value in enumerate(floors)]


_CENT = Decimal("0.01")


def _rows(table: ir.Table) -> list[dict[str, Any]]:
    return list(table.to_pyarrow().to_pylist())
