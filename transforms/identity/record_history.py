"""Our own memory of records: each one's canonical fields as the runs saw them."""

from collections.abc import Mapping as Map
from datetime import datetime

import ibis
import ibis.expr.types as ir

from config.mapping import Mapping, People
from transforms.staging.literals import int64
from transforms.staging.timestamps import from_datetime, to_timestamp


def record_history_schema(config: People) -> ibis.Schema:
    """The columns of `record_history`; every canonical field as text, so that types may change."""
    own = {
        "key": "string",
        "crm": "string",
        "object": "string",
        "valid_from": "timestamp(6)",
        "seen_at": "timestamp(6)",
        "deleted": "boolean",
        "mapped_fields": "string",
    }
    return ibis.schema(own | dict.fromkeys(config.fields, "string"))


def new_versions(
    records: ir.Table,
    mappings: Map[str, Mapping],
    config: People,
    *,
    history: ir.Table | None,
    previous_records: ir.Table | None,
    as_of: datetime,
) -> ir.Table:
    """Give the records that differ from what is kept of them, as rows for `record_history`.

    A change dates from the record's last modification; where that has not moved since the run
    before (a formula, a column of the account, a merge), from the run that sees it.

    In:     records as `records.records` gives them; kept: `record_history` so far; before: the
            `records` of the run before (None: the first run)
    Out:    the columns of `schema`: mapped_fields are those this kind of record was read for,
            between commas; seen_at is the run that saw this version first
    Source: docs/tables.md, "record_history".
    """
    columns = record_history_schema(config)
    seen_at = to_timestamp(int64(from_datetime(as_of)))
    now = records.select(
        "key",
        "crm",
        "object",
        "deleted",
        valid_from=records.updated_at.fill_null(seen_at),
        seen_at=seen_at,
        mapped_fields=_read_fields(records, mappings, config),
        **{name: records[name].cast("string") for name in config.fields},
    )
    last = latest(align_columns(history, columns)).rename("last_{name}")
    both = now.left_join(last, now.key == last.last_key)
    if previous_records is not None:
        modified = previous_records.select(before_key="key", modified_before="updated_at")
        both = both.left_join(modified, both.key == modified.before_key)
        is_modified = (both.valid_from > both.modified_before).fill_null(True)
    else:
        is_modified = ibis.literal(True)
    is_new = both.last_key.isnull()
    is_later = is_modified & (both.valid_from > both.last_valid_from)
    compared = ("deleted", "mapped_fields", *config.fields)
    same = ibis.and_(*(both[name].identical_to(both[f"last_{name}"]) for name in compared))
    dated = both.mutate(valid_from=ibis.ifelse(is_new | is_later, both.valid_from, both.seen_at))
    return dated.filter(is_new | ~same).select(*columns)


def latest(history: ir.Table) -> ir.Table:
    """The last version of each record among those given."""
    line = ibis.window(
        group_by=history.key, order_by=[history.valid_from.desc(), history.seen_at.desc()]
    )
    ranked = history.mutate(nth=ibis.row_number().over(line))
    return ranked.filter(ranked.nth == 0).drop("nth")


def align_columns(history: ir.Table | None, columns: ibis.Schema) -> ir.Table:
    """What is kept, with every column of today: an older version knows nothing of a newer field."""
    if history is None:
        return ibis.memtable(columns.to_pyarrow().empty_table())
    return history.select(
        **{
            name: history[name] if name in history.columns else ibis.null(of)
            for name, of in columns.items()
        }
    )


def _read_fields(records: ir.Table, mappings: Map[str, Mapping], config: People) -> ir.StringValue:
    """The canonical fields that such a record is read for: ",email,phone,"."""
    listed = [
        (
            (records.crm == crm) & (records.object == object),
            ",".join(["", *(name for name in config.fields if name in record.fields), ""]),
        )
        for crm, mapping in mappings.items()
        for object, record in mapping.records.items()
    ]
    return ibis.cases(*listed, else_=",")
