"""What a plan would take away, per CRM and field: what the guard compares with its limits."""

from collections.abc import Mapping as Map
from typing import NamedTuple

import ibis.expr.types as ir

from config.mapping import Mapping
from transforms.planning.crm_agreement import stage_fields
from transforms.planning.holds import RECORD_KEY
from transforms.staging.fields import SourceTables, as_text


class Harm(NamedTuple):
    """The counts of one plan.

    known:       crm, records: how many the last run knew and that were not deleted
    vanished:    crm, records: of these, the ones that are deleted or out of sight now
    stages:      crm, replaced, promoted, demoted: records whose stage is replaced by another
    overwritten: crm, field, records: values not written by us that are replaced or cleared
    filled:      (crm, object) -> one row with a column per field that is written: how many of the
                 records known before have a value in it
    """

    known: ir.Table
    vanished: ir.Table
    stages: ir.Table
    overwritten: ir.Table
    filled: Map[tuple[str, str], ir.Table]


def harm(
    changes: ir.Table,
    records: ir.Table,
    known_before: ir.Table,
    known_now: ir.Table,
    landed: SourceTables,
    mappings: Map[str, Mapping],
) -> Harm:
    """Count what the changes of a plan would replace, clear and move, and what vanished.

    Shares are of what was known before: a pull that sees many new records, or few of the old ones,
    must not make them smaller. Before the first run it is what is seen now.

    In:     changes as `plan` gives them; records(crm, object, record_id, deleted);
            known_before, known_now: `KNOWN_RECORDS` of the last run and of this one
    Source: docs/writing.md, "The guard".
    """
    live = records.filter(~records.deleted).select(*RECORD_KEY)
    was_live = ~known_before.is_missing | known_before.vanished_at.notnull()
    known = known_before.filter(was_live).select(*RECORD_KEY)
    # a CRM of which nothing is known yet: what is seen now stands for it
    known = known.union(live.anti_join(known, "crm"))
    gone = known_now.filter(known_now.vanished_at.notnull())
    taken = changes.filter(changes.is_foreign)
    return Harm(
        known=known.group_by("crm").aggregate(records=known.count()),
        vanished=gone.group_by("crm").aggregate(records=gone.count()),
        stages=_stages(changes, mappings),
        overwritten=taken.group_by("crm", "field").aggregate(records=taken.count()),
        filled={
            (crm, object): _filled(known.semi_join(live, RECORD_KEY), landed, crm, object, mapping)
            for crm, mapping in mappings.items()
            for object, fields in mapping.write.items()
            if fields
        },
    )


def _stages(changes: ir.Table, mappings: Map[str, Mapping]) -> ir.Table:
    names = [f"{crm}:{name}" for crm, mapping in mappings.items() for name in stage_fields(mapping)]
    replaced = changes.filter(
        changes.before.notnull(), (changes.crm + ":" + changes.field).isin(names)
    )
    records = replaced.group_by(*RECORD_KEY).aggregate(is_down=replaced.backward.any())
    return records.group_by("crm").aggregate(
        replaced=records.count(),
        promoted=(~records.is_down).sum(),
        demoted=records.is_down.sum(),
    )


def _filled(
    known: ir.Table, landed: SourceTables, crm: str, object: str, mapping: Mapping
) -> ir.Table:
    table = landed[crm][object]
    mine = known.filter(known.crm == crm, known.object == object).select("record_id")
    seen = table.mutate(seen_id=table[mapping.system_fields.id].cast("string"))
    both = mine.join(seen, mine.record_id == seen.seen_id)
    return both.aggregate(**{name: as_text(both[name]).count() for name in mapping.write[object]})
