"""Contact policy: how many touches a person got, and the follow-up that a stage needs."""

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from transforms.lifecycle.cycles import by_kind, kind_numbers, kinds_where
from transforms.staging.timestamps import days_to_microseconds


def follow_up_activity(
    countable_events: ir.Table, definition: Definition, *, as_of: int
) -> ir.Table:
    """Say what was done with each person lately.

    Out:    who, touches int64 (outbound events since the last sign of interest, in hundredths of a
            touch), and answered_<rank> (us, NULL: never) for every stage with a follow-up; people
            without any counted event have no row
    Source: docs/definition.md, "Courtesy and speed".
    """
    shown = kinds_where(definition, lambda kind: kind.is_activity)
    asked = _follow_up_kinds(definition)
    latest = countable_events.group_by("who").aggregate(
        active=countable_events.at.max(where=countable_events.kind.isin(shown)),
        **{
            name: countable_events.at.max(where=countable_events.kind.isin(kinds))
            for name, kinds in asked.items()
        },
    )
    sent = _outbound_events(countable_events, definition, as_of=as_of)
    both = sent.join(latest.select("who", "active"), "who")
    since = both.filter(both.active.isnull() | (both.at > both.active))
    weight = by_kind(since.kind, definition, lambda kind: kind.touch_hundredths, default=100)
    since = since.mutate(weight=weight.cast("int64"))
    touches = since.group_by("who").aggregate(touches=since.weight.sum())
    return latest.drop("active").left_join(touches, "who").drop("who_right")


def follow_up_column(rank: int) -> str:
    """The column that says when a follow-up of a stage last happened."""
    return f"answered_{rank}"


def _follow_up_kinds(definition: Definition) -> dict[str, list[int]]:
    """The kinds that follow up each stage."""
    by_default = kinds_where(definition, lambda kind: kind.direction in ("outbound", "two_way"))
    followed = {
        follow_up_column(rank): stage.follow_up
        for rank, stage in enumerate(definition.stages)
        if stage.follow_up is not None
    }
    return {
        name: kind_numbers(follow_up.by, definition) if follow_up.by else by_default
        for name, follow_up in followed.items()
    }


def _outbound_events(counted: ir.Table, definition: Definition, *, as_of: int) -> ir.Table:
    """The outbound events that count as touches."""
    ours = kinds_where(definition, lambda kind: kind.direction == "outbound")
    sent = counted.filter(counted.kind.isin(ours))
    pressure = definition.contact.pressure
    if pressure is None:
        return sent
    return sent.filter(sent.at > as_of - days_to_microseconds(pressure.within_days))


def pressure(touches: ir.IntegerValue, definition: Definition) -> ir.StringValue:
    """The pressure of touches, which are in hundredths: ok, high or stop."""
    limits = definition.contact.pressure
    if limits is None:
        return ibis.literal("ok")
    return ibis.cases(
        (touches >= 100 * limits.stop, "stop"), (touches >= 100 * limits.high, "high"), else_="ok"
    )
