"""Courtesy and speed: how much somebody was pressed, and what was done in answer to a stage."""

import ibis
import ibis.expr.types as ir

from transforms.activity import activity, kinds_where
from transforms.definition import Definition
from transforms.instants import days


def touches(counted: ir.Table, definition: Definition, *, as_of: int) -> ir.Table:
    """Count our outbound events since each person's last sign of interest.

    Out:    who, touches int64; people without any have no row
    Source: docs/definition.md, "Courtesy and speed".
    """
    ours = kinds_where(definition, lambda kind: kind.direction == "outbound")
    sent = counted.filter(counted.kind.isin(ours))
    pressure = definition.contact.pressure
    if pressure is not None:
        sent = sent.filter(sent.at > as_of - days(pressure.within_days))
    shown = activity(counted, definition)
    last = shown.group_by("who").aggregate(last=shown.at.max())
    both = sent.left_join(last, "who").drop("who_right")
    since = both.filter(both["last"].isnull() | (both.at > both["last"]))
    return since.group_by("who").aggregate(touches=since.count())


def answered(rank: int) -> str:
    """The column that says when a follow-up of a stage last happened."""
    return f"answered_{rank}"


def answers(counted: ir.Table, definition: Definition) -> ir.Table:
    """Say when each person was last followed up in the way each stage asks for.

    Out:    who, answered_<rank> (us, NULL: never) for every stage with a follow-up
    """
    by_default = tuple(
        kinds_where(definition, lambda kind: kind.direction in ("outbound", "two_way"))
    )
    asked = {
        answered(rank): stage.follow_up.by or by_default
        for rank, stage in enumerate(definition.stages)
        if stage.follow_up is not None
    }
    wanted = counted.filter(counted.kind.isin(sorted({k for ks in asked.values() for k in ks})))
    return wanted.group_by("who").aggregate(
        **{name: wanted.at.max(where=wanted.kind.isin(kinds)) for name, kinds in asked.items()},
        _rows=wanted.count(),
    )


def pressure(touched: ir.IntegerValue, definition: Definition) -> ir.StringValue:
    """Say how pressing so many touches are: ok, high or stop."""
    limits = definition.contact.pressure
    if limits is None:
        return ibis.literal("ok")
    return ibis.cases(
        (touched >= limits.stop, "stop"), (touched >= limits.high, "high"), else_="ok"
    )
