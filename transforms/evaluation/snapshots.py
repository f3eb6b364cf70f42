"""The history as a definition would have seen it: who stood where at every month's end, and who of
them became a customer afterwards. Nothing that happened later is seen before."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from config.definition import (
    ChannelsLeaf,
    Definition,
    EventLeaf,
    Leaf,
    QualifiedLeaf,
    ScoreLeaf,
    leaves,
)
from transforms.lifecycle import current_stage, score
from transforms.lifecycle.cycles import cycle_end, kind_numbers
from transforms.lifecycle.lifecycle import Steps, fit_lines_since, leaf_columns
from transforms.staging.literals import float64, int64
from transforms.staging.timestamps import (
    MICROSECONDS_PER_DAY,
    NEVER,
    days_to_microseconds,
    from_datetime,
    to_microseconds,
    to_timestamp,
)

InputTables = tuple[ir.Table, ir.Table, ir.Table]
"""people, field_since, events: what was known at some moment."""


def month_ends(now: datetime, *, within_days: float, months: int) -> list[datetime]:
    """The last ends of months (UTC midnight) after which a whole window has passed, oldest first.

    `now` is without a zone and means UTC; so do the answers.
    """
    moment = now - timedelta(days=within_days)
    moment = datetime(moment.year, moment.month, 1)
    found = [moment]
    while len(found) < months:
        moment = moment - timedelta(days=1)
        moment = datetime(moment.year, moment.month, 1)
        found.append(moment)
    return found[::-1]


def snapshots(
    inputs: InputTables, fields: Iterable[str], *, moment: datetime, until: datetime
) -> InputTables:
    """Move what was known at a moment in time, so that it can be judged together with others.

    Everybody at that moment becomes a person of their own, a *life*. All that belongs to a life is
    moved by one length, so that it is asked at `until`. Only lengths of time and UTC days matter to
    a definition: both instants are midnights, so that whole days stay whole.

    In:     known: people, field_since, events, as known at `moment`
    Out:    people(person_id: the life, of: the person, month_end timestamp, created_at, the
            fields), field_since and events as the definition reads them
    """
    people, since, events = inputs
    length, now = from_datetime(until) - from_datetime(moment), from_datetime(moment)

    def life(person_id: ir.StringValue) -> ir.StringValue:
        return ibis.literal(f"{moment:%Y-%m}:") + person_id

    there = people.filter(to_microseconds(people.created_at) <= now)
    happened = events.filter(to_microseconds(events["at"]) <= now)
    return (
        there.select(
            *fields,
            person_id=life(there.person_id),
            of="person_id",
            month_end=to_timestamp(int64(now)),
            created_at=_shift(there.created_at, length),
        ),
        since.select("field", person_id=life(since.person_id), since=_shift(since.since, length)),
        happened.select(
            "event_id",
            "kind",
            "duplicate_of",
            person_id=life(happened.person_id),
            at=_shift(happened["at"], length),
        ),
    )


def _shift(at: ir.Value, length: int) -> ir.TimestampValue:
    return to_timestamp(to_microseconds(at) + length)


def union_all(parts: Sequence[ir.Table]) -> ir.Table:
    """All rows of tables of one shape."""
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def conversion_dates(people: ir.Table, stage_history: ir.Table, definition: Definition) -> ir.Table:
    """When everybody reached the top of the ladder for the first time, as is known now.

    Out:    of (person_id), won int64 (us or NEVER)
    """
    top = stage_history.filter(stage_history.stage == definition.stage_ids[-1])
    first = top.group_by("person_id").aggregate(won=to_microseconds(top.entered_at).min())
    both = people.left_join(first, "person_id")
    return both.select(of="person_id", won=both.won.fill_null(NEVER).cast("int64"))


def population(
    snapshot_people: ir.Table,
    conversion_times: ir.Table,
    snapshot_states: ir.Table,
    definition: Definition,
    *,
    within_days: float,
) -> ir.Table:
    """Choose whom to judge, and say who became a customer in `(month_end, month_end + within]`.

    Left out are those who were customers already, and those without a live record, of
    whom the outcome is not known.

    In:     lived: the people of `lives`; became: `outcomes`; stood: `states` of the definition that
            judges
    Out:    life, of, month_end, became int64 (0 or 1)
    """
    both = snapshot_people.select("of", "month_end", life="person_id").join(conversion_times, "of")
    both = both.mutate(ended=to_microseconds(both.month_end))
    both = both.filter(both.won > both.ended)
    if definition.final:
        top = len(definition.stages) - 1
        both = both.anti_join(snapshot_states.filter(snapshot_states["rank"] == top), "life")
    soon = both.won <= both.ended + days_to_microseconds(within_days)
    return both.select("life", "of", "month_end", became=soon.ifelse(1, 0).cast("int64"))


# --- what a definition says of everybody at a month's end -----------------------------------------


def stage_flags(definition: Definition) -> dict[str, int]:
    """The stages a person can be found in before they buy, but for the first: column, rank."""
    last = len(definition.stages) - 1 if definition.final else len(definition.stages)
    return {f"stage_{rank}": rank for rank in range(1, last)}


def threshold_leaves(definition: Definition) -> dict[Leaf, str]:
    """The leaves with a threshold (score, channels, counts, qualified) and their columns."""
    asked = leaf_columns(definition)
    return {leaf: name for leaf, name in asked.items() if _is_threshold(leaf)}


def _is_threshold(leaf: Leaf) -> bool:
    if isinstance(leaf, EventLeaf):
        return leaf.count > 1
    return isinstance(leaf, ScoreLeaf | ChannelsLeaf | QualifiedLeaf)


def signal_kinds(definition: Definition) -> dict[str, str]:
    """The kinds that may predict who buys: column, kind.

    Outbound kinds show what sales expected, and the kinds that make a customer are the
    answer.
    """
    top = definition.stages[-1]
    told = [leaf for leaf in leaves(top.enter) if isinstance(leaf, EventLeaf)] if top.enter else []
    answer = {kind for leaf in told for kind in leaf.event} if definition.final else set()
    names = (
        name
        for name, kind in definition.events.items()
        if (kind.is_activity or kind.points != 0) and kind.direction != "outbound"
    )
    return {f"kind_{n}": name for n, name in enumerate(names) if name not in answer}


def states(steps: Steps, definition: Definition, *, as_of: int, within_days: float) -> ir.Table:
    """Say where every life stands at `as_of`, and what holds of it.

    Out:    life, rank int64, score float64 (total, 6 decimals); boolean columns: `stage_flags` (in
            that stage or above), `threshold_leaves` (true in the cycle that is under way),
            `signal_kinds` (happened in `(as_of - within_days, as_of]`)
    """
    stands = current_stage.standing(steps.entries, steps.recyclings, steps.cycles, definition)
    rows = steps.field_conditions.select("who", "person_id").join(
        stands.select("who", "rank"), "who"
    )
    others = (
        _scores(steps, definition, as_of=as_of),
        _reached_thresholds(steps.evaluated_rules, definition, as_of=as_of),
        _recent_kinds(steps.admitted, definition, as_of=as_of, within_days=within_days),
    )
    for other in others:
        rows = rows.left_join(other, "who").drop("who_right")
    flags = {name: rows["rank"] >= rank for name, rank in stage_flags(definition).items()}
    told = [*threshold_leaves(definition).values(), *signal_kinds(definition)]
    flags |= {name: rows[name].fill_null(False) for name in told}
    return rows.select("rank", "score", life="person_id", **flags)


def _scores(steps: Steps, definition: Definition, *, as_of: int) -> ir.Table:
    earned = score.engagement(steps.admitted, definition, as_of=as_of)
    rows = (
        fit_lines_since(steps.field_conditions, definition)
        .left_join(earned, "who")
        .drop("who_right")
    )
    engaged = rows.engagement.fill_null(float64(0))
    total = engaged + score.fit_points(rows, definition, at=as_of)
    return rows.select("who", score=total.round(score.DECIMAL_PLACES))


def _reached_thresholds(ruled: ir.Table, definition: Definition, *, as_of: int) -> ir.Table:
    """Which thresholds are reached in the last cycle, unless silence has ended it."""
    under_way = ruled.filter(ruled.next_start == NEVER, cycle_end(ruled, definition) >= as_of)
    columns = threshold_leaves(definition).values()
    return under_way.select("who", **{name: under_way[name] <= as_of for name in columns})


def _recent_kinds(
    admitted: ir.Table, definition: Definition, *, as_of: int, within_days: float
) -> ir.Table:
    lately = admitted.filter(admitted["at"] > as_of - days_to_microseconds(within_days))
    columns = {
        name: (lately.kind == kind_numbers([kind], definition)[0]).any()
        for name, kind in signal_kinds(definition).items()
    }
    return lately.group_by("who").aggregate(**columns, _events=lately.count()).drop("_events")


# --- how well it predicted who would become a customer---------------------------------------------


def flag_columns(definition: Definition) -> list[str]:
    """All yes-or-no columns of `states`."""
    return [
        *stage_flags(definition),
        *threshold_leaves(definition).values(),
        *signal_kinds(definition),
    ]


def per_person(evaluated: ir.Table, names: Iterable[str]) -> ir.Table:
    """Count everybody's month ends, and those that were followed by a purchase.

    In:     judged: `population` joined with `states`
    Out:    of, lives, became, and per flag `<flag>_lives`, `<flag>_became`: of the month ends at
            which it held, and `<flag>_passed`: became of the others
    """
    counted = {}
    for name in names:
        counted[f"{name}_lives"] = evaluated[name].sum().cast("int64")
        bought = evaluated.became.sum(where=evaluated[name]).fill_null(0).cast("int64")
        counted[f"{name}_became"] = bought
        counted[f"{name}_passed"] = evaluated.became.sum().cast("int64") - bought
    return evaluated.group_by("of").aggregate(
        lives=evaluated.count(), became=evaluated.became.sum().cast("int64"), **counted
    )


def totals(by_person: ir.Table) -> ir.Table:
    """Add up `per_person`: one row; `<column>_people` counts the people of whom it is not 0."""
    columns = [name for name in by_person.columns if name != "of"]
    return by_person.aggregate(
        **{name: by_person[name].sum().fill_null(0).cast("int64") for name in columns},
        **{f"{name}_people": (by_person[name] > 0).sum().fill_null(0) for name in columns},
    )


def lift_variance(by_person: ir.Table, sums: Mapping[str, int], names: Iterable[str]) -> ir.Table:
    """The variance of the logarithm of every flag's lift, as far as there is one: one row.

    A person's month ends resemble each other, so what varies is the person and not the month end:
    the linearised variance of a ratio of two shares, clustered by person.
    """
    terms = {}
    for name in names:
        with_it, bought_with = sums[f"{name}_lives"], sums[f"{name}_became"]
        without, bought = sums["lives"] - with_it, sums["became"] - bought_with
        if not bought_with or not bought:
            continue
        mine, mine_bought = by_person[f"{name}_lives"], by_person[f"{name}_became"]
        rest, rest_bought = by_person.lives - mine, by_person.became - mine_bought
        yes = mine_bought / float64(bought_with) - mine / float64(with_it)
        no = rest_bought / float64(bought) - rest / float64(without)
        terms[name] = ((yes - no) * (yes - no)).sum()
    return by_person.aggregate(**terms, _people=by_person.count())


def by_stage(evaluated: ir.Table) -> ir.Table:
    """Where people stood, and how many of them became customers: rank, lives, became."""
    return evaluated.group_by("rank").aggregate(
        lives=evaluated.count(), became=evaluated.became.sum()
    )


def by_score(evaluated: ir.Table) -> ir.Table:
    """The same by whole points of the score, rounded down: points, lives, became."""
    rows = evaluated.mutate(points=evaluated.score.floor().cast("int64"))
    return rows.group_by("points").aggregate(lives=rows.count(), became=rows.became.sum())


# --- the funnel -----------------------------------------------------------------------------------


def entries_by_month(stage_history: ir.Table, *, since: datetime) -> ir.Table:
    """How many people entered each stage, by month: month timestamp, stage, people."""
    rows = stage_history.filter(
        stage_history.stage != "recycled",
        to_microseconds(stage_history.entered_at) >= from_datetime(since),
    )
    rows = rows.mutate(month=rows.entered_at.truncate("M"))
    return rows.group_by("month", "stage").aggregate(people=rows.person_id.nunique())


def conversions(
    stage_history: ir.Table,
    definition: Definition,
    *,
    since: datetime,
    now: datetime,
    within_days: float,
) -> ir.Table:
    """How many reached the next stage in time, of those who entered one for the first time.

    Those who entered less than the window ago had not the whole time yet: `recent` counts them,
    and nothing else does.

    Out:    rank (of the stage they came from), people, went_on, median_days float64 (of those who
            did, NULL: none), recent
    """
    ids = definition.stage_ids
    names = [f"first_{rank}" for rank in range(len(ids))]
    at = to_microseconds(stage_history.entered_at)
    firsts = stage_history.group_by("person_id").aggregate(
        **{
            name: at.min(where=stage_history.stage == stage)
            for name, stage in zip(names, ids, strict=True)
        }
    )
    limit, floor = from_datetime(now) - days_to_microseconds(within_days), from_datetime(since)
    steps = []
    for rank in range(len(ids) - 1):
        lately = firsts.filter(firsts[names[rank]] >= floor)
        start, following = lately[names[rank]], lately[names[rank + 1]]
        had_time = start <= limit
        went_on = had_time & (following - start <= days_to_microseconds(within_days)).fill_null(
            False
        )
        found = lately.aggregate(
            people=had_time.sum().fill_null(0),
            went_on=went_on.sum().fill_null(0),
            median_days=((following - start) / float64(MICROSECONDS_PER_DAY)).median(where=went_on),
            recent=(~had_time).sum().fill_null(0),
        )
        steps.append(found.mutate(rank=int64(rank)))
    return union_all(steps)
