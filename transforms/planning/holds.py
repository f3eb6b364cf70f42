"""What is wrong and is left alone all the same: refused before, frozen, or changed by people.

Each rule is one function; `apply_hold_rules` combines them. docs/writing.md explains them.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from transforms.identity.known_records import PERSON_HOLDS

RECORD_KEY = ("crm", "object", "record_id")
FIELD_KEY = (*RECORD_KEY, "field")

HOLD_REASONS = (
    *("absent", "refused", "frozen", *PERSON_HOLDS),
    *("review", "manual_change", "crm_stage_higher", "accepted"),
)
"""Why a field is not written; of several in one record the first one is the reason."""

OVERWRITE_LIMIT = 3
OVERWRITE_WINDOW = timedelta(days=7)
"""A field that was set back so often within so long is frozen."""

Materialize = Callable[[str, ir.Table], ir.Table]


class WriteHistory(NamedTuple):
    """The write attempts of fields in the journal, and the decisions about fields.

    attempts:  run_id, crm, object, record_id, field, after, rule_hash, was_overwritten
               boolean, status (written / quarantined / unknown), refused_field, error_code,
               error, at, backward boolean; one row per field sent
    decisions: at, decision (frozen / retry / accept), crm, object, record_id, field, value; what a
               retry leaves NULL stands for all
    """

    attempts: ir.Table
    decisions: ir.Table


def apply_hold_rules(
    differences: ir.Table,
    write_history: WriteHistory,
    *,
    held_people: ir.Table,
    volatile_fields: Collection[tuple[str, str, str]],
    as_of: datetime,
    materialize: Materialize,
) -> ir.Table:
    """Say of every wrong field why it is not written.

    In:     differences(crm, object, record_id, person_id, field, crm_value, after, rule_hash,
            policy, is_ahead, ...); held_people(person_id, hold_reason, held_since);
            volatile_fields: (crm, object, field) of the fields whose value changes from day to day
            by itself, such as a score that fades
    Out:    the same and was_overwritten boolean (another program replaced the value written last),
            hold_reason (NULL: it is written), error_code, error (of the CRM's rejection),
            field_at_fault (NULL where a set of changes was rejected)
    Source: docs/writing.md, "Withheld changes".
    """
    judged_by_hand = differences.filter(differences.policy != "overwrite")
    attempts = _with_volatile(write_history.attempts, volatile_fields)
    sent = _relevant_attempts(attempts, differences, judged_by_hand, as_of=as_of)
    refused = materialize("refused", attempts.filter(attempts.status == "quarantined"))
    set_back = sent.filter(sent.status == "written", sent.was_overwritten)
    facts = (
        _frozen(write_history.decisions),
        _accepted(write_history.decisions),
        _last_refused(refused),
    )
    of_held = differences.semi_join(held_people, "person_id")
    fields = [t.select(*FIELD_KEY) for t in (*facts, refused, set_back, judged_by_hand, of_held)]
    released = materialize(
        "released", _released(ibis.union(*fields).distinct(), write_history.decisions)
    )
    people = held_people.select(
        held_id="person_id", person_hold="hold_reason", held_since="held_since"
    )
    known = _with_volatile(differences, volatile_fields)
    known = known.left_join(people, known.person_id == people.held_id)
    for fact in (
        materialize("last_written", _last_written(sent)),
        _last_cleared(sent),
        _overwrite_counts(set_back, released, as_of=as_of),
        *facts,
        released,
    ):
        known = known.left_join(fact, FIELD_KEY).drop(f"{name}_right" for name in FIELD_KEY)
    was_overwritten = known.wrote_at.notnull() & ~known.crm_value.identical_to(known.wrote)
    was_overwritten = was_overwritten & ~(
        known.crm_value.isnull() & _is_after(known.emptied_at, known.wrote_at)
    )
    known = known.mutate(was_overwritten=was_overwritten)
    known = known.mutate(hold_reason=_hold_reason(known))
    is_refused = known.hold_reason == "refused"
    known = known.mutate(
        error_code=is_refused.ifelse(known.refused_code, ibis.null("string")),
        error=is_refused.ifelse(known.refused_error, ibis.null("string")),
        field_at_fault=known.field,
    )
    columns = (
        *differences.columns,
        "was_overwritten",
        "hold_reason",
        "error_code",
        "error",
        "field_at_fault",
    )
    judged = materialize("judged", known.select(*columns, "is_volatile"))
    return _hold_refused_sets(judged, attempts, refused, released).select(*columns)


def _with_volatile(table: ir.Table, fields: Collection[tuple[str, str, str]]) -> ir.Table:
    """Add is_volatile: whether the value of the field changes from day to day by itself."""
    name = table.crm + ":" + table.object + ":" + table.field
    return table.mutate(is_volatile=name.isin([":".join(field) for field in fields]))


def hold_absent(judged: ir.Table, absent: ir.Table) -> ir.Table:
    """Hold all fields of the records of people of whom a CRM does not show a record.

    In:     judged as `apply_hold_rules` gives it; absent(crm, object, record_id)
    """
    absent = absent.mutate(is_absent=ibis.literal(True))
    both = judged.left_join(absent, RECORD_KEY)
    reason = both.is_absent.fill_null(False).ifelse(ibis.literal("absent"), both.hold_reason)
    return both.mutate(hold_reason=reason).select(*judged.columns)


def _relevant_attempts(
    attempts: ir.Table, wrong: ir.Table, judged_by_hand: ir.Table, *, as_of: datetime
) -> ir.Table:
    """What was sent of the wrong fields: all of it only where people's changes are looked for."""
    is_recent = attempts.at > ibis.literal(
        as_of.replace(tzinfo=None) - OVERWRITE_WINDOW, "timestamp(6)"
    )
    recent = attempts.filter(is_recent).semi_join(wrong, FIELD_KEY)
    return recent.union(attempts.filter(~is_recent).semi_join(judged_by_hand, FIELD_KEY))


def _hold_reason(known: ir.Table) -> ir.StringValue:
    manual = known.was_overwritten & ~_is_after(known.released_at, known.wrote_at)
    accepted = known.accepted_value.identical_to(known.crm_value) & _is_in_force(
        known, known.accepted_at
    )
    return ibis.cases(
        (_is_refused(known), "refused"),
        (_is_frozen(known), "frozen"),
        (_is_in_force(known, known.held_since), known.person_hold),
        (known.is_ahead, "crm_stage_higher"),
        ((known.policy == "review") & accepted, "accepted"),
        ((known.policy == "review") & manual, "review"),
        ((known.policy == "keep") & manual, "manual_change"),
    )


def _is_refused(known: ir.Table) -> ir.BooleanValue:
    """Whether just this value was refused, under just this mapping and catalog.

    A volatile value is another one each night, so any value of the field counts as the same.
    """
    same = known.refused_after.identical_to(known.after) | known.is_volatile
    same = same & (known.refused_rule_hash == known.rule_hash).fill_null(False)
    is_last = ~_is_after(known.wrote_at, known.refused_at)
    return same & is_last & _is_in_force(known, known.refused_at)


def _is_frozen(known: ir.Table) -> ir.BooleanValue:
    """Whether another program overwrites the field: it stays frozen until `retry`."""
    times = known.set_back_count.fill_null(0) + known.was_overwritten.ifelse(1, 0)
    is_new = known.was_overwritten & (times >= OVERWRITE_LIMIT)
    return is_new | _is_in_force(known, known.frozen_at)


def _is_in_force(known: ir.Table, at: ir.TimestampValue) -> ir.BooleanValue:
    """Whether what was found at an instant was not released since."""
    return at.notnull() & ~_is_after(known.released_at, at)


def _is_after(later: ir.TimestampValue, at: ir.TimestampValue) -> ir.BooleanValue:
    return (later > at).fill_null(False)


def _last(table: ir.Table) -> ir.Table:
    """The newest row of each field."""
    newest = ibis.row_number().over(group_by=FIELD_KEY, order_by=ibis.desc("at"))
    return table.mutate(nth=newest).filter(lambda t: t.nth == 0).drop("nth")


def _last_written(sent: ir.Table) -> ir.Table:
    """What we wrote last; an aggregate, for there may be millions, and a window would sort them."""
    ours = sent.filter(sent.status == "written")
    # argmax passes over NULL, and no value of ours is an empty text
    wrote = ours.after.fill_null("").argmax(ours.at).nullif("")
    return ours.group_by(*FIELD_KEY).aggregate(wrote=wrote, wrote_at=ours.at.max())


def _last_cleared(sent: ir.Table) -> ir.Table:
    """When we last may have emptied a field to move it back, and came no further."""
    ours = sent.filter(sent.status == "unknown", sent.backward)
    return ours.group_by(*FIELD_KEY).aggregate(emptied_at=ours.at.max())


def _names_field(sent: ir.Table) -> ir.BooleanValue:
    """Whether a refusal names this field."""
    return (sent.refused_field.lower() == sent.field.lower()).fill_null(False)


def _last_refused(refused: ir.Table) -> ir.Table:
    """The last refusal that names a field."""
    told = _last(refused.filter(_names_field(refused)))
    return told.select(
        *FIELD_KEY,
        refused_after=told.after,
        refused_rule_hash=told.rule_hash,
        refused_code=told.error_code,
        refused_error=told.error,
        refused_at=told.at,
    )


def _overwrite_counts(
    was_overwritten: ir.Table, released: ir.Table, *, as_of: datetime
) -> ir.Table:
    """How often a field was written again because another program had replaced the value."""
    ours = was_overwritten.left_join(released, FIELD_KEY).drop(
        f"{name}_right" for name in FIELD_KEY
    )
    ours = ours.filter(
        ours.at > ibis.literal(as_of.replace(tzinfo=None) - OVERWRITE_WINDOW, "timestamp(6)"),
        ~_is_after(ours.released_at, ours.at),
    )
    return ours.group_by(*FIELD_KEY).aggregate(set_back_count=ours.count())


def _frozen(decisions: ir.Table) -> ir.Table:
    frozen = decisions.filter(decisions.decision == "frozen")
    return frozen.group_by(*FIELD_KEY).aggregate(frozen_at=frozen.at.max())


def _accepted(decisions: ir.Table) -> ir.Table:
    """The CRM value that an admin accepted."""
    last = _last(decisions.filter(decisions.decision == "accept"))
    return last.select(*FIELD_KEY, accepted_value=last.value, accepted_at=last.at)


def _released(fields: ir.Table, decisions: ir.Table) -> ir.Table:
    """When an admin last said `retry` for a field."""
    retries = decisions.filter(decisions.decision == "retry")
    retries = retries.select("at", **{f"of_{name}": retries[name] for name in FIELD_KEY})
    meant = [
        retries[f"of_{name}"].isnull() | (retries[f"of_{name}"] == fields[name])
        for name in FIELD_KEY
    ]
    both = fields.inner_join(retries, meant)
    return both.group_by(*FIELD_KEY).aggregate(released_at=both.at.max())


def _hold_refused_sets(
    judged: ir.Table, attempts: ir.Table, refused: ir.Table, released: ir.Table
) -> ir.Table:
    """Hold the fields of a record of which just this set was refused, no field being named.

    Volatile fields make no other set: neither their values count, nor whether they differ today.
    """
    sets = _refused_sets(attempts, refused, released)
    open_ones = judged.filter(judged.hold_reason.isnull()).semi_join(sets, RECORD_KEY)
    both = open_ones.left_join(sets, FIELD_KEY).drop(f"{name}_right" for name in FIELD_KEY)
    was_sent = both.set_rule_hash.notnull()
    is_same = (both.set_after.identical_to(both.after) | both.is_volatile) & both.is_held
    is_same = (is_same & (both.set_rule_hash == both.rule_hash)).fill_null(False)
    counted = both.group_by(*RECORD_KEY).aggregate(
        open_count=both.count(),
        stable_count=(~both.is_volatile).sum(),
        sent_count=was_sent.sum(),
        same_count=(is_same | (both.is_volatile & ~was_sent)).sum(),
        set_size=both.set_size.max(),
        set_code=both.set_code.max(),
        set_error=both.set_error.max(),
    )
    repeated = counted.filter(
        counted.same_count == counted.open_count,
        counted.stable_count == counted.set_size,
        counted.sent_count > 0,
    )
    repeated = repeated.mutate(is_repeated=ibis.literal(True))
    told = judged.left_join(repeated, RECORD_KEY)
    is_now = told.hold_reason.isnull() & told.is_repeated.fill_null(False)
    told = told.mutate(
        hold_reason=is_now.ifelse(ibis.literal("refused"), told.hold_reason),
        error_code=is_now.ifelse(told.set_code, told.error_code),
        error=is_now.ifelse(told.set_error, told.error),
        field_at_fault=is_now.ifelse(ibis.null("string"), told.field_at_fault),
    )
    return told.select(*judged.columns)


def _refused_sets(attempts: ir.Table, refused: ir.Table, released: ir.Table) -> ir.Table:
    """The last sets of changes that were refused without a word which field it was.

    set_size counts the fields that are not volatile.
    """
    in_run = ibis.window(group_by=("run_id", *RECORD_KEY))
    unnamed = refused.mutate(is_named=_names_field(refused).any().over(in_run))
    unnamed = unnamed.filter(~unnamed.is_named)
    sent = attempts.filter(attempts.status != "unknown").semi_join(unnamed, RECORD_KEY)
    last = sent.group_by(*RECORD_KEY).aggregate(last_at=sent.at.max())
    unnamed = unnamed.inner_join(last, RECORD_KEY)
    unnamed = unnamed.filter(unnamed.at == unnamed.last_at)
    unnamed = unnamed.left_join(released, FIELD_KEY).drop(f"{name}_right" for name in FIELD_KEY)
    return unnamed.select(
        *FIELD_KEY,
        set_after=unnamed.after,
        set_rule_hash=unnamed.rule_hash,
        set_code=unnamed.error_code,
        set_error=unnamed.error,
        is_held=~_is_after(unnamed.released_at, unnamed.at),
        set_size=(~unnamed.is_volatile).sum().over(ibis.window(group_by=RECORD_KEY)),
    )
