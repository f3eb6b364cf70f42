"""The events of one person: which of them stand behind a leaf, and what they are worth."""

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
"""So many events are named behind a score."""


@dataclass(frozen=True)
class PersonEvent:
    """An admitted event: when, in which cycle (None: in none), and the row of the CRM that told it.

    `left` are the points still left of it at the instant that is asked for.
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
    """List the admitted events of the one person the tables are about, oldest first."""
    admitted = steps.admitted
    worth = score.contributions(admitted, definition, as_of=from_datetime(as_of))
    left = {
        (row["kind"], row["at"]): row["left"] for row in _rows(worth.select("kind", "at", "left"))
    }
    counted = events.filter(events.duplicate_of.isnull())
    told = counted.select(
        "event_id", "kind", "crm", "source_object", "source_id", at=to_microseconds(counted.at)
    )
    waiting = defaultdict(list)
    for row in sorted(_rows(told), key=lambda row: row["event_id"], reverse=True):
        waiting[row["kind"], row["at"]].append(row)
    named = admitted.select(
        "cycle", "at", shown=to_timestamp(admitted.at), kind=kind_name(admitted.kind, definition)
    )
    found = []
    for row in sorted(_rows(named), key=lambda row: row["at"]):
        # of equal events at one instant it makes no difference which was admitted
        event = waiting[row["kind"], row["at"]].pop()
        kind = definition.events[row["kind"]]
        found.append(
            PersonEvent(
                row["shown"],
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
    return found


def supporting_events(
    leaf: Leaf,
    events: list[PersonEvent],
    definition: Definition,
    *,
    at: datetime,
    cycle: int | None,
) -> list[PersonEvent]:
    """The events through which a leaf was true at an instant; `cycle` None: in the whole life.

    Of a score, those that were worth most.
    """
    mine = [one for one in events if one.at <= at and cycle in (None, one.cycle)]
    match leaf:
        case EventLeaf(event=kinds, count=count, within_days=within):
            return [one for one in within_window(mine, at, within) if one.kind in kinds][-count:]
        case ChannelsLeaf(within_days=within):
            near = within_window(mine, at, within)
            shown = [one for one in near if definition.events[one.kind].is_activity]
            return list({one.channel: one for one in shown if one.channel}.values())
        case ScoreLeaf():
            so_far = [one for one in events if one.at <= at and one.points]
            ranked = sorted(so_far, key=lambda one: -decayed_points(one, definition, at=at))
            return sorted(ranked[:MAX_SCORE_EVENTS], key=lambda one: one.at)
    return []


def within_window(
    events: list[PersonEvent], at: datetime, within_days: float | None
) -> list[PersonEvent]:
    """Those in the window that ends at an instant."""
    if within_days is None:
        return events
    since = from_datetime(at) - days_to_microseconds(within_days)
    return [one for one in events if from_datetime(one.at) > since]


def decayed_points(event: PersonEvent, definition: Definition, *, at: datetime) -> float:
    """What was left of an event's points at an instant."""
    if definition.score is None:
        return 0
    length = timedelta(days=definition.score.half_life_days)
    return float(event.points * 0.5 ** ((at - event.at) / length))


def allocate_rounding(points: list[float], total: float) -> list[float]:
    """Round each of these to cents so that they add up to the total: the largest rests go up."""
    exact = [Decimal(repr(round(one, score.DECIMAL_PLACES))) for one in points]
    floors = [one.quantize(_CENT, ROUND_FLOOR) for one in exact]
    short = int((Decimal(repr(total)) - sum(floors)) / _CENT)
    ranked = sorted(range(len(exact)), key=lambda i: floors[i] - exact[i])
    raised = set(ranked[:short])
    return [float(one + _CENT if i in raised else one) for i, one in enumerate(floors)]


_CENT = Decimal("0.01")


def _rows(table: ir.Table) -> list[dict[str, Any]]:
    return list(table.to_pyarrow().to_pylist())
