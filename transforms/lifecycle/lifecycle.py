"""The answer: where every person stands, since when, why, and what to do next."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from config.definition import (
    ChannelsLeaf,
    Definition,
    EventLeaf,
    FieldLeaf,
    Leaf,
    QualifiedLeaf,
    ScoreLeaf,
    leaves,
)
from transforms.lifecycle import (
    contact_policy,
    current_stage,
    event_conditions,
    field_conditions,
    reasons,
    score,
    stage_entries,
)
from transforms.lifecycle import cycles as activity
from transforms.staging.literals import number, whole
from transforms.staging.timestamps import NEVER, days, from_datetime, instant

Store = Callable[[str, ir.Table], ir.Table]
"""Keeps a table under a name in the warehouse and hands it back: each step is computed once."""


class Answer(NamedTuple):
    """The two tables that a definition makes of people and events."""

    lifecycle: ir.Table
    stage_history: ir.Table


class Journeys(NamedTuple):
    """The steps on the way to the answer, each kept once; what receipts are read from."""

    facts: ir.Table
    counted: ir.Table
    cycles: ir.Table
    admitted: ir.Table
    ends: ir.Table
    ruled: ir.Table
    entries: ir.Table
    lapses: ir.Table


def lifecycle(
    people: ir.Table,
    field_since: ir.Table,
    events: ir.Table,
    definition: Definition,
    *,
    as_of: datetime,
    store: Store,
) -> Answer:
    """Decide where every person stands at `as_of`.

    In:     people(person_id, created_at, canonical fields), field_since(person_id, field, since),
            events(event_id, person_id, kind, at, duplicate_of); timestamps are UTC
    Out:    `lifecycle`, one row per person known at `as_of`; `stage_history`, one per entry
    Raises: ConfigError where the definition asks for a field that people do not have.
    Source: docs/definition.md.
    """
    steps = journeys(people, field_since, events, definition, as_of=as_of, store=store)
    return answered(steps, definition, as_of=as_of, store=store)


def journeys(
    people: ir.Table,
    field_since: ir.Table,
    events: ir.Table,
    definition: Definition,
    *,
    as_of: datetime,
    store: Store,
) -> Journeys:
    """Follow everybody's journey up to what each cycle entered and when silence took it back."""
    now = from_datetime(as_of)
    known = store("facts", field_conditions.facts(people, field_since, definition, as_of=now))
    counted = store("counted", activity.counted(events, known, definition, as_of=now))
    ends = store("ends", _ends(known, counted, definition))
    shown = activity.activity(counted, definition)
    cycles = store("cycles", activity.cycles(known, shown, ends, definition))
    admitted = store("admitted", activity.admitted(counted, cycles, definition))
    rows = store("leaves", _cycle_leaves(known, admitted, cycles, definition, as_of=now))
    fields = known.drop("person_id", "created")
    ruled = stage_entries.rules(rows.join(fields, "who"), definition, leaf_columns(definition))
    ruled = store("ruled", ruled.drop(*fields.drop("who").columns))
    entries = store("entries", stage_entries.entries(ruled, definition))
    lapses = store("lapses", current_stage.lapses(entries, cycles, definition, as_of=now))
    return Journeys(known, counted, cycles, admitted, ends, ruled, entries, lapses)


def answered(steps: Journeys, definition: Definition, *, as_of: datetime, store: Store) -> Answer:
    """Say where everybody's journey has brought them."""
    stands = current_stage.standing(steps.entries, steps.lapses, steps.cycles, definition)
    stands = store("standing", stands)
    told = store("reasons", _reasons(steps, stands, definition))
    return Answer(
        _lifecycle(steps, stands, told, definition, as_of=as_of),
        stage_history(steps, definition),
    )


def end_leaves(definition: Definition) -> dict[Leaf, str]:
    """The columns of the event leaves that look at all of a person's events at once."""
    final = definition.final
    ends = [final.enter if final else None, definition.disqualified]
    found = [leaf for end in ends if end is not None for leaf in leaves(end)]
    asked = dict.fromkeys(leaf for leaf in found if isinstance(leaf, EventLeaf))
    return {leaf: f"end_{i}" for i, leaf in enumerate(asked)}


def _ends(known: ir.Table, counted: ir.Table, definition: Definition) -> ir.Table:
    """Since when the final stage's rule and `disqualified` hold: who, final, disqualified (us)."""
    columns = end_leaves(definition)
    asked_for = [leaf for leaf in columns if isinstance(leaf, EventLeaf)]
    kinds = {n for leaf in asked_for for n in activity.numbers(leaf.event, definition)}
    asked = counted.filter(counted.kind.isin(sorted(kinds)))
    admitted = activity.within_limits(asked, definition)
    found = event_conditions.first_moments(admitted, columns, definition, ["who"])
    rows = event_conditions.attach(known, found, ["who"])
    read = _end_since(rows, definition)
    never = whole(NEVER)
    final = definition.final
    won = field_conditions.condition_since(final.enter, read) if final and final.enter else never
    lost = definition.disqualified
    return rows.select(
        "who",
        *columns.values(),
        final=won.cast("int64"),
        disqualified=(field_conditions.condition_since(lost, read) if lost else never).cast(
            "int64"
        ),
    )


def _end_since(rows: ir.Table, definition: Definition) -> Callable[[Leaf], ir.IntegerValue]:
    columns = end_leaves(definition)

    def since(leaf: Leaf) -> ir.IntegerValue:
        if isinstance(leaf, FieldLeaf):
            return field_conditions.latest(
                [rows[field_conditions.column(leaf, definition)], rows.created]
            )
        return rows[columns[leaf]]

    return since


def leaf_columns(definition: Definition) -> dict[Leaf, str]:
    """Name the column of each leaf that is asked cycle by cycle; field and stage leaves have none.

    Without a score no score leaf is ever true, and has no column either.
    """
    rules = [stage.enter for stage in definition.stages if stage.enter and not stage.final]
    found = (leaf for rule in rules for leaf in leaves(rule))
    kinds: tuple[type[Leaf], ...] = (EventLeaf, ChannelsLeaf, QualifiedLeaf)
    kinds = (*kinds, ScoreLeaf) if definition.score else kinds
    asked = dict.fromkeys(leaf for leaf in found if isinstance(leaf, kinds))
    return {leaf: f"leaf_{i}" for i, leaf in enumerate(asked)}


def _cycle_leaves(
    known: ir.Table,
    admitted: ir.Table,
    cycles: ir.Table,
    definition: Definition,
    *,
    as_of: int,
) -> ir.Table:
    """One row per cycle with the instant of every leaf that its rules may ask for."""
    columns = leaf_columns(definition)
    by = ["who", "cycle"]
    inside = admitted.filter(admitted.cycle.notnull())
    found = [*event_conditions.first_moments(inside, columns, definition, by)]
    since = fits(known, definition)
    found += score.score_firsts(admitted, cycles, since, columns, definition, as_of=as_of)
    rows = event_conditions.attach(cycles, found, by)
    with_fields = rows.join(known.drop("person_id", "created"), "who")
    qualified = {
        name: stage_entries.qualified_since(with_fields, leaf, definition)
        for leaf, name in columns.items()
        if isinstance(leaf, QualifiedLeaf)
    }
    return with_fields.select(*rows.columns, **qualified)


def fits(known: ir.Table, definition: Definition) -> ir.Table:
    """Since when each fit line holds: who, created, fit_0, ... (us or NEVER)."""
    lines = score.fit_lines(definition)
    return known.select(
        "who",
        "created",
        **{
            score.fit_column(i): stage_entries.plain_since(known, line.when, definition)
            for i, line in enumerate(lines)
        },
    )


def _reasons(steps: Journeys, stands: ir.Table, definition: Definition) -> ir.Table:
    """The reasons of those who entered their stage by a rule; the recycled have their own."""
    rows, leaf_since = _risen(steps, stands, definition)
    return reasons.reasons(rows, steps.admitted, definition, leaf_since)


def grounds(
    steps: Journeys, stands: ir.Table, definition: Definition
) -> tuple[ir.Table, list[Leaf]]:
    """The leaves behind the reasons: who, at (us), place; and the leaf of each place."""
    rows, leaf_since = _risen(steps, stands, definition)
    return reasons.grounds(rows, definition, leaf_since)


def _risen(
    steps: Journeys, stands: ir.Table, definition: Definition
) -> tuple[ir.Table, Callable[[ir.Table, int], reasons.LeafSince]]:
    """The cycles that brought people to their stage, and how to read the leaves of its rule."""
    risen = stands.filter(stands.entry_cycle.notnull(), stands["rank"] > 0)
    risen = risen.select("who", "rank", cycle=risen.entry_cycle)
    rows = steps.ruled.join(risen, ["who", "cycle"])
    rows = rows.join(steps.facts.drop("person_id", "created"), "who")
    rows = rows.join(steps.ends.drop("final", "disqualified"), "who")
    columns = leaf_columns(definition)

    def leaf_since(here: ir.Table, rank: int) -> Callable[[Leaf], ir.IntegerValue]:
        stage = definition.stages[rank]
        if stage.final:
            return _end_since(here, definition)
        return stage_entries.leaf_since(here, definition, columns, stage)

    return rows, leaf_since


def stage_history(steps: Journeys, definition: Definition) -> ir.Table:
    """List everybody's entries and recyclings: person_id, cycle, stage, entered_at."""
    entered = steps.entries.select(
        "who", "cycle", "at", stage=_stage_name(steps.entries["rank"], definition)
    )
    recycled = steps.lapses.select("who", "cycle", "at", stage=ibis.literal("recycled"))
    both = entered.union(recycled)
    named = both.join(steps.facts.select("who", "person_id"), "who")
    return named.select("person_id", "cycle", "stage", entered_at=instant(named.at))


def _stage_name(rank: ir.IntegerValue, definition: Definition) -> ir.StringValue:
    ids = definition.stage_ids
    return ibis.cases(*((rank == i, name) for i, name in enumerate(ids)), else_=ids[0])


def _lifecycle(
    steps: Journeys,
    stands: ir.Table,
    told: ir.Table,
    definition: Definition,
    *,
    as_of: datetime,
) -> ir.Table:
    now = from_datetime(as_of)
    moments = current_stage.stage_moments(steps.entries, definition)
    rows = steps.facts
    for table in (stands, moments, steps.ends):
        rows = rows.join(table, "who")
    optional = [
        told,
        contact_policy.deeds(steps.counted, definition, as_of=now),
        score.engagement(steps.admitted, definition, as_of=now),
    ]
    for table in optional:
        rows = rows.left_join(table, "who").drop("who_right")
    rows = _judged(rows, definition, now=now)
    return rows.select(
        "person_id",
        "stage",
        "status",
        standing=ibis.ifelse(
            rows.status.isin(["recycled", "disqualified"]), rows.status, rows.stage
        ),
        stage_since=instant(rows.since),
        **{f"{stage}_at": instant(rows[f"{stage}_at"]) for stage in definition.stage_ids[1:]},
        recycled_at=instant(rows.recycled_at),
        disqualified_at=instant(rows.disqualified),
        furthest_stage=_stage_name(rows.furthest, definition),
        cycle=rows.cycle,
        score=score.hundredths((rows.engagement + rows.fit).round(score.PLACES)),
        engagement=score.hundredths(rows.engagement),
        fit=rows.fit,
        grade=_grade(rows.fit, definition),
        qualified=rows.qualified,
        touches=rows.touches,
        pressure=rows.pressure,
        contactable=rows.contactable,
        next_action=rows.next_action,
        follow_up_due=instant(_follow_up_due(rows, definition)),
        reasons=_spoken(rows, definition),
        definition_id=ibis.literal(definition.id),
        as_of=instant(whole(now)),
    )


def _judged(rows: ir.Table, definition: Definition, *, now: int) -> ir.Table:
    """Add stage, status, fit, qualified, contactable, pressure and next_action."""
    fits = {
        score.fit_column(i): stage_entries.plain_since(rows, line.when, definition)
        for i, line in enumerate(score.fit_lines(definition))
    }
    rows = rows.mutate(**fits)
    reachable = definition.contact.contactable
    criteria = stage_entries.criteria_since(rows, definition).values()
    rows = rows.mutate(
        stage=_stage_name(rows["rank"], definition),
        fit=score.fit(rows, definition, at=now).round(score.PLACES),
        engagement=rows.engagement.fill_null(number(0)),
        qualified=sum(((one < NEVER).ifelse(1, 0) for one in criteria), whole(0)),
        touches=rows.touches.fill_null(0),
        contactable=(
            stage_entries.plain_since(rows, reachable, definition) < NEVER
            if reachable is not None
            else ibis.literal(True)
        ),
    )
    rows = rows.mutate(
        status=_status(rows, definition), pressure=contact_policy.pressure(rows.touches, definition)
    )
    return rows.mutate(next_action=_next_action(rows, definition))


def _status(rows: ir.Table, definition: Definition) -> ir.StringValue:
    branches = [(rows.disqualified < NEVER, "disqualified"), (rows.is_quiet, "recycled")]
    if definition.final:
        branches.insert(0, (rows["rank"] == len(definition.stages) - 1, "won"))
    return ibis.cases(*branches, else_="open")


def _next_action(rows: ir.Table, definition: Definition) -> ir.StringValue:
    actions = ((rows["rank"] == i, s.action or "none") for i, s in enumerate(definition.stages))
    return ibis.cases(
        (rows.status.isin(["won", "disqualified"]) | ~rows.contactable, "none"),
        (rows.pressure == "stop", "pause"),
        (rows.status == "recycled", "nurture"),
        *actions,
        else_="none",
    )


def _follow_up_due(rows: ir.Table, definition: Definition) -> ir.IntegerValue:
    never = whole(NEVER)
    silent = rows.next_action.isin(["none", "pause"]) | (rows.status == "recycled")
    due = [(silent, never)]
    for rank, stage in enumerate(definition.stages):
        if stage.follow_up is not None:
            done = (rows[contact_policy.answered(rank)] >= rows.since).fill_null(False)
            deadline = rows.since + days(stage.follow_up.within_hours / 24)
            due.append(((rows["rank"] == rank) & ~done, deadline))
    return ibis.cases(*due, else_=never)


def _grade(fit: ir.FloatingValue, definition: Definition) -> ir.StringValue:
    grades = definition.score.grades if definition.score else {}
    steps = [(fit >= number(grades[letter]), letter) for letter in sorted(grades)]
    return ibis.cases(*steps, else_="D") if steps else ibis.literal("D")


def _spoken(rows: ir.Table, definition: Definition) -> ir.StringValue:
    fell = _stage_name(rows.fell_from.fill_null(0), definition)
    recycled = ibis.literal("recycled from ") + fell + " on "
    recycled = recycled + instant(rows.recycled_at).strftime("%Y-%m-%d")
    return ibis.ifelse(rows.is_recycled, recycled, rows.reasons.fill_null(""))
