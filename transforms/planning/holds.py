"""What is wrong and is left alone all the same: refused before, frozen, or changed by people.

Each rule is one function; `judge` puts them together. docs/writing.md tells them in words.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

RECORD = ("crm", "object", "record_id")
FIELD = (*RECORD, "field")

HOLDS = ("refused", "frozen", "review", "manual_change", "crm_ahead", "accepted")
"""Why a field is not written; of several in one record the first is told."""

TUG_TIMES = 3
TUG_DAYS = timedelta(days=7)
"""A field that was set back so often within so long is frozen."""

Store = Callable[[str, ir.Table], ir.Table]


class Past(NamedTuple):
    """What the journal tells of fields that were sent before, and what was decided about fields.

    attempts:  run_id, crm, object, record_id, field, after, fingerprint, overruled boolean, status
               (written / quarantined / unknown), refused_field, error_code, error, at, backward
               boolean; one row per field sent
    decisions: at, decision (frozen / retry / accept), crm, object, record_id, field, value; what a
               retry leaves NULL stands for all
    """

    attempts: ir.Table
    decisions: ir.Table


def judge(wrong: ir.Table, past: Past, *, as_of: datetime, store: Store) -> ir.Table:
    """Say of every wrong field why it is not written.

    In:     wrong(crm, object, record_id, field, shown, after, fingerprint, policy, is_ahead, ...)
    Out:    the same and overruled boolean (something else replaced what we wrote last), hold (NULL:
            it is written), error_code, error (what the CRM said when it refused), cause (the
            field; NULL where a set of changes was refused)
    Source: docs/writing.md, "What is left alone".
    """
    judged_by_hand = wrong.filter(wrong.policy != "overwrite")
    sent = _worth_a_look(past.attempts, wrong, judged_by_hand, as_of=as_of)
    refused = store("refused", past.attempts.filter(past.attempts.status == "quarantined"))
    set_back = sent.filter(sent.status == "written", sent.overruled)
    facts = _frozen(past.decisions), _accepted(past.decisions), _last_refused(refused)
    fields = [t.select(*FIELD) for t in (*facts, refused, set_back, judged_by_hand)]
    released = store("released", _released(ibis.union(*fields).distinct(), past.decisions))
    known = wrong
    for fact in (
        store("last_written", _last_written(sent)),
        _emptied(sent),
        _set_back(set_back, released, as_of=as_of),
        *facts,
        released,
    ):
        known = known.left_join(fact, FIELD).drop(f"{name}_right" for name in FIELD)
    overruled = known.wrote_at.notnull() & ~known.shown.identical_to(known.wrote)
    overruled = overruled & ~(known.shown.isnull() & _is_after(known.emptied_at, known.wrote_at))
    known = known.mutate(overruled=overruled)
    known = known.mutate(hold=_hold(known))
    is_refused = known.hold == "refused"
    known = known.mutate(
        error_code=is_refused.ifelse(known.refused_code, ibis.null("string")),
        error=is_refused.ifelse(known.refused_error, ibis.null("string")),
        cause=known.field,
    )
    columns = (*wrong.columns, "overruled", "hold", "error_code", "error", "cause")
    judged = store("judged", known.select(*columns))
    return _without_refused_sets(judged, past.attempts, refused, released)


def _worth_a_look(
    attempts: ir.Table, wrong: ir.Table, judged_by_hand: ir.Table, *, as_of: datetime
) -> ir.Table:
    """What was sent of the wrong fields: all of it only where people's changes are looked for."""
    is_recent = attempts.at > ibis.literal(as_of.replace(tzinfo=None) - TUG_DAYS, "timestamp(6)")
    recent = attempts.filter(is_recent).semi_join(wrong, FIELD)
    return recent.union(attempts.filter(~is_recent).semi_join(judged_by_hand, FIELD))


def _hold(known: ir.Table) -> ir.StringValue:
    manual = known.overruled & ~_is_after(known.released_at, known.wrote_at)
    accepted = known.accepted_value.identical_to(known.shown) & _holds(known, known.accepted_at)
    return ibis.cases(
        (_is_refused(known), "refused"),
        (_is_frozen(known), "frozen"),
        (known.is_ahead, "crm_ahead"),
        ((known.policy == "review") & accepted, "accepted"),
        ((known.policy == "review") & manual, "review"),
        ((known.policy == "keep") & manual, "manual_change"),
    )


def _is_refused(known: ir.Table) -> ir.BooleanValue:
    """Whether just this value was refused, under just this mapping and catalog."""
    same = known.refused_after.identical_to(known.after)
    same = same & (known.refused_fingerprint == known.fingerprint).fill_null(False)
    is_last = ~_is_after(known.wrote_at, known.refused_at)
    return same & is_last & _holds(known, known.refused_at)


def _is_frozen(known: ir.Table) -> ir.BooleanValue:
    """Whether something else sets the field back: it stays frozen until somebody says retry."""
    times = known.set_back_count.fill_null(0) + known.overruled.ifelse(1, 0)
    is_new = known.overruled & (times >= TUG_TIMES)
    return is_new | _holds(known, known.frozen_at)


def _holds(known: ir.Table, at: ir.TimestampValue) -> ir.BooleanValue:
    """Whether what was found at an instant was not released since."""
    return at.notnull() & ~_is_after(known.released_at, at)


def _is_after(later: ir.TimestampValue, at: ir.TimestampValue) -> ir.BooleanValue:
    return (later > at).fill_null(False)


def _last(table: ir.Table) -> ir.Table:
    """The newest row of each field."""
    newest = ibis.row_number().over(group_by=FIELD, order_by=ibis.desc("at"))
    return table.mutate(nth=newest).filter(lambda t: t.nth == 0).drop("nth")


def _last_written(sent: ir.Table) -> ir.Table:
    """What we wrote last; an aggregate, for there may be millions, and a window would sort them."""
    ours = sent.filter(sent.status == "written")
    # argmax passes over NULL, and no value of ours is an empty text
    wrote = ours.after.fill_null("").argmax(ours.at).nullif("")
    return ours.group_by(*FIELD).aggregate(wrote=wrote, wrote_at=ours.at.max())


def _emptied(sent: ir.Table) -> ir.Table:
    """When we last may have emptied a field to move it back, and came no further."""
    ours = sent.filter(sent.status == "unknown", sent.backward)
    return ours.group_by(*FIELD).aggregate(emptied_at=ours.at.max())


def _names(sent: ir.Table) -> ir.BooleanValue:
    """Whether a refusal names this field."""
    return (sent.refused_field.lower() == sent.field.lower()).fill_null(False)


def _last_refused(refused: ir.Table) -> ir.Table:
    """The last refusal that names a field."""
    told = _last(refused.filter(_names(refused)))
    return told.select(
        *FIELD,
        refused_after=told.after,
        refused_fingerprint=told.fingerprint,
        refused_code=told.error_code,
        refused_error=told.error,
        refused_at=told.at,
    )


def _set_back(overruled: ir.Table, released: ir.Table, *, as_of: datetime) -> ir.Table:
    """How often we had to write a field anew because something else had replaced our value."""
    ours = overruled.left_join(released, FIELD).drop(f"{name}_right" for name in FIELD)
    ours = ours.filter(
        ours.at > ibis.literal(as_of.replace(tzinfo=None) - TUG_DAYS, "timestamp(6)"),
        ~_is_after(ours.released_at, ours.at),
    )
    return ours.group_by(*FIELD).aggregate(set_back_count=ours.count())


def _frozen(decisions: ir.Table) -> ir.Table:
    frozen = decisions.filter(decisions.decision == "frozen")
    return frozen.group_by(*FIELD).aggregate(frozen_at=frozen.at.max())


def _accepted(decisions: ir.Table) -> ir.Table:
    """The value that somebody left as it is."""
    last = _last(decisions.filter(decisions.decision == "accept"))
    return last.select(*FIELD, accepted_value=last.value, accepted_at=last.at)


def _released(fields: ir.Table, decisions: ir.Table) -> ir.Table:
    """When somebody last said that a field be tried again."""
    retries = decisions.filter(decisions.decision == "retry")
    retries = retries.select("at", **{f"of_{name}": retries[name] for name in FIELD})
    meant = [
        retries[f"of_{name}"].isnull() | (retries[f"of_{name}"] == fields[name]) for name in FIELD
    ]
    both = fields.inner_join(retries, meant)
    return both.group_by(*FIELD).aggregate(released_at=both.at.max())


def _without_refused_sets(
    judged: ir.Table, attempts: ir.Table, refused: ir.Table, released: ir.Table
) -> ir.Table:
    """Hold the fields of a record of which just this set was refused, no field being named."""
    sets = _refused_sets(attempts, refused, released)
    open_ones = judged.filter(judged.hold.isnull()).semi_join(sets, RECORD)
    both = open_ones.left_join(sets, FIELD).drop(f"{name}_right" for name in FIELD)
    is_same = both.set_after.identical_to(both.after) & both.is_held
    is_same = (is_same & (both.set_fingerprint == both.fingerprint)).fill_null(False)
    counted = both.group_by(*RECORD).aggregate(
        open_count=both.count(),
        same_count=is_same.sum(),
        set_size=both.set_size.max(),
        set_code=both.set_code.max(),
        set_error=both.set_error.max(),
    )
    repeated = counted.filter(
        counted.same_count == counted.open_count, counted.same_count == counted.set_size
    )
    repeated = repeated.mutate(is_repeated=ibis.literal(True))
    told = judged.left_join(repeated, RECORD)
    is_now = told.hold.isnull() & told.is_repeated.fill_null(False)
    told = told.mutate(
        hold=is_now.ifelse(ibis.literal("refused"), told.hold),
        error_code=is_now.ifelse(told.set_code, told.error_code),
        error=is_now.ifelse(told.set_error, told.error),
        cause=is_now.ifelse(ibis.null("string"), told.cause),
    )
    return told.select(*judged.columns)


def _refused_sets(attempts: ir.Table, refused: ir.Table, released: ir.Table) -> ir.Table:
    """The last sets of changes that were refused without a word which field it was."""
    in_run = ibis.window(group_by=("run_id", *RECORD))
    unnamed = refused.mutate(is_named=_names(refused).any().over(in_run))
    unnamed = unnamed.filter(~unnamed.is_named)
    sent = attempts.filter(attempts.status != "unknown").semi_join(unnamed, RECORD)
    last = sent.group_by(*RECORD).aggregate(last_at=sent.at.max())
    unnamed = unnamed.inner_join(last, RECORD)
    unnamed = unnamed.filter(unnamed.at == unnamed.last_at)
    unnamed = unnamed.left_join(released, FIELD).drop(f"{name}_right" for name in FIELD)
    return unnamed.select(
        *FIELD,
        set_after=unnamed.after,
        set_fingerprint=unnamed.fingerprint,
        set_code=unnamed.error_code,
        set_error=unnamed.error,
        is_held=~_is_after(unnamed.released_at, unnamed.at),
        set_size=unnamed.count().over(ibis.window(group_by=RECORD)),
    )
