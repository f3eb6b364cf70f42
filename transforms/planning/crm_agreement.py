"""What each CRM says of people's stages, and on whom the CRMs disagree."""

from collections.abc import Mapping as Map

import ibis
import ibis.expr.types as ir

from config.definition import Definition
from config.lifecycle_columns import RANKED_COLUMNS
from config.mapping import FieldWrite, Mapping
from transforms.staging.fields import SourceTables


def stage_field(mapping: Mapping, object: str) -> tuple[str, FieldWrite] | None:
    """The field by which a CRM shows a record's stage: the first that is written from it."""
    written = mapping.write.get(object, {}).items()
    return next(((name, write) for name, write in written if write.from_ in RANKED_COLUMNS), None)


def stage_fields(mapping: Mapping) -> list[str]:
    """Every field of a CRM that shows a stage."""
    written = (item for fields in mapping.write.values() for item in fields.items())
    return sorted({name for name, write in written if write.from_ in RANKED_COLUMNS})


def read_crm_stages(
    records: ir.Table, landed: SourceTables, mappings: Map[str, Mapping], definition: Definition
) -> ir.Table:
    """Read from each CRM's own field the stage it shows for each person, in our words.

    Out:    crm, person_id, stage (NULL: empty, or not mapped); of several records the highest
    """
    live = records.filter(~records.deleted, ~records.read_only)
    listed = []
    for crm, mapping in mappings.items():
        for object in mapping.records:
            if (shown := stage_field(mapping, object)) is None:
                continue
            field, write = shown
            table = landed[crm][object]
            seen = table.select(
                seen_id=table[mapping.system_fields.id].cast("string"), seen=table[field]
            )
            mine = live.filter(live.crm == crm, live.object == object)
            both = mine.join(seen, mine.record_id == seen.seen_id)
            rank = _rank(both.seen, write, definition)
            listed.append(both.select("crm", "person_id", rank=rank))
    both = ibis.union(*listed) if len(listed) > 1 else listed[0]
    best = both.group_by("crm", "person_id").aggregate(rank=both["rank"].max())
    names = ((best["rank"] == i, name) for i, name in enumerate(definition.stage_ids))
    return best.select("crm", "person_id", stage=ibis.cases(*names, else_=None).cast("string"))


def disagreements(crm_stages: ir.Table) -> ir.Table:
    """The people whom two CRMs know and of whom they say different things: person_id."""
    shown = crm_stages.mutate(stage=crm_stages.stage.fill_null(""))
    words = shown.group_by("person_id").aggregate(
        crms=shown.crm.nunique(), stages=shown.stage.nunique()
    )
    return words.filter(words.crms > 1, words.stages > 1).select("person_id")


def _rank(seen: ir.Value, write: FieldWrite, definition: Definition) -> ir.IntegerValue:
    words = {ours: write.values.get(ours, (ours,)) for ours in definition.stage_ids}
    branches = [(seen == word, rank) for rank, ours in enumerate(words) for word in words[ours]]
    return ibis.cases(*branches, else_=None).cast("int64")
