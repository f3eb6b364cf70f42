"""What a run leaves for the next one: who each record was, whose each address, what vanished.

A run that sees less, or sees strangers, must not move people whom the last run knew.
"""

from collections.abc import Mapping as Map
from datetime import datetime
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from config.mapping import Mapping
from transforms.staging.literals import int64
from transforms.staging.timestamps import from_datetime, to_timestamp

KNOWN_RECORDS = ibis.schema(
    {
        "key": "string",
        "crm": "string",
        "object": "string",
        "record_id": "string",
        "person_id": "string",
        "linked_id": "string",
        "is_missing": "boolean",
        "is_final": "boolean",
        "standing": "string",
        "hold_reason": "string",
        "held_with": "string",
        "held_standing": "string",
        "held_since": "timestamp(6)",
        "vanished_at": "timestamp(6)",
    }
)
KNOWN_ADDRESSES = ibis.schema({"address": "string", "person_id": "string"})

PERSON_SPLIT = "person_split"
"""Records that were one person are several now, and no link between them was changed."""

FINAL_STAGE_LOST = "final_stage_lost"
"""A person left the final stage as records of others joined, or one of theirs is out of sight."""

MOVED_DOWN = "moved_down"
"""A person moved to a lower stage, or was disqualified, as records of others joined."""

PERSON_HOLDS = (PERSON_SPLIT, FINAL_STAGE_LOST, MOVED_DOWN)
"""Why all records of a person are held until an admin decides."""


class Known(NamedTuple):
    """The state of the last run whose plan was stored; both tables are empty before the first.

    records:   `KNOWN_RECORDS`: of each record its person, the group that links alone made, whether
               the person was in a final stage, the standing, since when and why the person is held
               (held_with: the person of before; held_standing: the standing of before), whether the
               record is missing (deleted, or its CRM does not show it), and, until a plan without
               it is written, since when
    addresses: `KNOWN_ADDRESSES`: the one person whom an address identified
    """

    records: ir.Table
    addresses: ir.Table


def nothing_known() -> Known:
    """The state before the first run."""
    return Known(
        ibis.memtable(KNOWN_RECORDS.to_pyarrow().empty_table()),
        ibis.memtable(KNOWN_ADDRESSES.to_pyarrow().empty_table()),
    )


def known_records(
    records: ir.Table,
    lifecycle: ir.Table,
    previous: ir.Table,
    mappings: Map[str, Mapping],
    definition: Definition,
    *,
    absent: ir.Table,
    as_of: datetime,
) -> ir.Table:
    """Give the state that this run leaves: the records it sees, and those it no longer sees.

    A hold stays until the records are one person again, or until the person is back in a final
    stage, or where they stood. A record that vanished stays until a plan without it is written.

    In:     records(key, crm, object, record_id, person_id, linked_id, deleted),
            lifecycle(person_id, standing, status); previous: `KNOWN_RECORDS` of the last run;
            absent(crm, object, record_id): the records that a CRM does not show
    Out:    `KNOWN_RECORDS`
    Source: docs/people.md, "Strangers".
    """
    at = to_timestamp(int64(from_datetime(as_of)))
    stood = lifecycle.select("standing", who="person_id", is_final=lifecycle.status == "won")
    now = records.left_join(stood, records.person_id == stood.who)
    hidden = absent.select(hidden=absent.crm + ":" + absent.object + ":" + absent.record_id)
    now = now.left_join(hidden.distinct(), now.key == hidden.hidden)
    now = now.mutate(
        is_final=now.is_final.fill_null(False), is_missing=now.deleted | now.hidden.notnull()
    )
    before = previous.rename("before_{name}")
    both = now.left_join(before, now.key == before.before_key)
    both = _with_holds(both, _out_of_sight(previous, now), definition, at)
    was_live = both.before_vanished_at.notnull() | (~both.before_is_missing).fill_null(False)
    seen = both.mutate(
        vanished_at=(both.is_missing & was_live).ifelse(
            both.before_vanished_at.fill_null(at), ibis.null("timestamp(6)")
        )
    )
    kinds = [f"{crm}:{object}" for crm, mapping in mappings.items() for object in mapping.records]
    gone = previous.anti_join(now, "key")
    gone = gone.filter(
        (gone.crm + ":" + gone.object).isin(kinds), ~gone.is_missing | gone.vanished_at.notnull()
    )
    gone = gone.mutate(vanished_at=gone.vanished_at.fill_null(at))
    return _as_schema(seen).union(_as_schema(gone))


def people_on_hold(known: ir.Table) -> ir.Table:
    """The people who are held for review: person_id, hold_reason, held_since."""
    held = known.filter(known.hold_reason.notnull(), known.vanished_at.isnull())
    return held.group_by("person_id").aggregate(
        # of two reasons the split, which explains the other
        hold_reason=held.hold_reason.max(),
        held_since=held.held_since.max(),
    )


def without_vanished(known: ir.Table, *, until: datetime) -> ir.Table:
    """Forget the records that were out of sight at an instant: a plan without them is accepted."""
    limit = to_timestamp(int64(from_datetime(until)))
    is_accepted = (known.vanished_at <= limit).fill_null(False)
    left = known.filter(~is_accepted | known.is_missing)
    accepted = (left.vanished_at <= limit).fill_null(False)
    return left.mutate(
        vanished_at=ibis.ifelse(accepted, ibis.null("timestamp(6)"), left.vanished_at)
    )


def _out_of_sight(previous: ir.Table, now: ir.Table) -> ir.Table:
    """The people of whom a record is no longer here: person_id."""
    return previous.anti_join(now, "key").select("person_id").distinct()


def _with_holds(
    both: ir.Table, out_of_sight: ir.Table, definition: Definition, at: ir.TimestampValue
) -> ir.Table:
    """Set hold_reason, held_with, held_standing and held_since of the records that are seen."""
    both = _with_splits(both, out_of_sight)
    hidden = out_of_sight.select(hidden_id="person_id")
    both = both.left_join(hidden, both.before_person_id == hidden.hidden_id)
    of_person = ibis.window(group_by=both.person_id)
    known_first = both.before_person_id.min().over(of_person)
    known_last = both.before_person_id.max().over(of_person)
    has_others = both.before_key.isnull().any().over(of_person) | (known_first != known_last)
    is_lost = both.before_is_final.fill_null(False).any().over(of_person) & ~both.is_final
    is_hidden = both.hidden_id.notnull().any().over(of_person)
    # the rank of those who went silent does not count: no record of others makes them silent
    rank = _rank(both.standing, definition).nullif(_rank(ibis.literal("recycled"), definition))
    rank_before = _rank(both.before_standing, definition).max().over(of_person)
    both = both.mutate(
        is_lost=(is_lost & (has_others | is_hidden)).fill_null(False),
        is_moved_down=((rank < rank_before) & has_others).fill_null(False),
        is_still_down=(rank < _rank(both.before_held_standing, definition)).fill_null(False),
        rank_before=rank_before,
    )
    stays = ibis.cases(
        (both.before_hold_reason == PERSON_SPLIT, both.is_still_split),
        (both.before_hold_reason == FINAL_STAGE_LOST, ~both.is_final),
        (both.before_hold_reason == MOVED_DOWN, both.is_still_down),
        else_=False,
    )
    both = both.mutate(stays=stays.fill_null(False))
    reason = ibis.cases(
        (both.is_split, PERSON_SPLIT),
        (both.stays, both.before_hold_reason),
        (both.is_lost, FINAL_STAGE_LOST),
        (both.is_moved_down, MOVED_DOWN),
        else_=ibis.null("string"),
    )
    is_new = both.is_split | ~both.stays
    both = both.mutate(hold_reason=reason)
    return both.mutate(
        held_with=both.hold_reason.notnull().ifelse(
            ibis.ifelse(is_new, both.before_person_id, both.before_held_with),
            ibis.null("string"),
        ),
        held_standing=(both.hold_reason == MOVED_DOWN).ifelse(
            ibis.ifelse(is_new, _standing(both.rank_before, definition), both.before_held_standing),
            ibis.null("string"),
        ),
        held_since=both.hold_reason.notnull().ifelse(
            ibis.ifelse(is_new, at, both.before_held_since), ibis.null("timestamp(6)")
        ),
    )


def _standings(definition: Definition) -> tuple[str, ...]:
    """Every standing, from the lowest to the highest."""
    return ("disqualified", "recycled", *definition.stage_ids)


def _rank(standing: ir.StringValue, definition: Definition) -> ir.IntegerValue:
    """The place of a standing among all; NULL where the definition has it no more."""
    ranks = ((standing == name, rank) for rank, name in enumerate(_standings(definition)))
    return ibis.cases(*ranks, else_=None).cast("int64")


def _standing(rank: ir.IntegerValue, definition: Definition) -> ir.StringValue:
    names = ((rank == place, name) for place, name in enumerate(_standings(definition)))
    return ibis.cases(*names, else_=None).cast("string")


def _with_splits(both: ir.Table, out_of_sight: ir.Table) -> ir.Table:
    """Add is_split (one person in the last run, several now) and is_still_split.

    Where records that a link joined are apart, the link was changed: that is a reason to
    split. It is none where a record is out of sight: then its links are, too.
    """
    known = both.filter(both.before_key.notnull())
    link_changed = _spread(known, "before_person_id", "before_linked_id").anti_join(
        out_of_sight, [("before_person_id", "person_id")]
    )
    split = _spread(known, "before_person_id").anti_join(link_changed, "before_person_id")
    still = _spread(known.filter(known.before_hold_reason == PERSON_SPLIT), "before_held_with")
    split = split.select(split_id="before_person_id").distinct()
    still = still.select(still_id="before_held_with").distinct()
    both = both.left_join(split, both.before_person_id == split.split_id)
    both = both.left_join(still, both.before_held_with == still.still_id)
    return both.mutate(is_split=both.split_id.notnull(), is_still_split=both.still_id.notnull())


def _spread(known: ir.Table, *group: str) -> ir.Table:
    """The groups of the last run whose records are several people now."""
    counted = known.group_by(*group).aggregate(people=known.person_id.nunique())
    return counted.filter(counted.people > 1)


def _as_schema(table: ir.Table) -> ir.Table:
    return table.select(**{name: table[name].cast(of) for name, of in KNOWN_RECORDS.items()})
