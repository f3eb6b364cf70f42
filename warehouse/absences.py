"""The tables `absences` and `erased_records`: records that a CRM no longer shows.

A landed record that the CRM does not show may have been deleted for good. Or the token lost sight
of it, a sharing rule changed, or the CRM had an incident. So its rows stay here, and nothing is
written for its person, until there is evidence of a deletion (`erasure.py` deletes the rows then).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from models import IdsByObject, Verification
from warehouse.warehouse import Warehouse

if TYPE_CHECKING:  # the session imports dlt, which takes half a second
    from session import CrmSession

ABSENCES = ibis.schema(
    {
        "crm": "string",
        "object": "string",
        "record_id": "string",
        "absent_since": "timestamp(6)",
        "evidence": "string",
    }
)
"""One row per landed record that the CRM does not show.

`evidence` of its deletion: `purged` (the CRM showed it as deleted, and no longer keeps it),
`confirmed` (by a person), or NULL.
"""

ERASED_RECORDS = ibis.schema(
    {"crm": "string", "object": "string", "record_id": "string", "erased_at": "timestamp(6)"}
)
"""The records whose rows were deleted. Where one returns, all that belongs to it is read again."""

RECORD = ("crm", "object", "record_id")


TABLES = {"absences": ABSENCES, "erased_records": ERASED_RECORDS}


def known_absences(warehouse: Warehouse, crm: str) -> IdsByObject:
    """Return the ids of each object that the CRM did not show in earlier runs."""
    return ids_by_object(rows_of(warehouse, "absences", crm))


def save_absences(
    warehouse: Warehouse,
    crm: "CrmSession",
    verification: Verification,
    *,
    last_full_check: Mapping[str, datetime],
    at: datetime,
) -> None:
    """Store what the verification of an extract found absent, and forget what returned.

    After a full check, the records that the CRM showed as deleted are looked up as well.
    """
    forget(warehouse, crm.crm, verification.returned)
    _add(warehouse, crm.crm, verification.absent, at=at)
    for check in verification.row_checks:
        is_record_type = check.object in crm.mapping.records
        if is_record_type and check.full_check_at != last_full_check.get(check.object):
            purged = {check.object: _purged_ids(warehouse, crm, check.object)}
            _add(warehouse, crm.crm, purged, at=at, evidence="purged")


def confirm(warehouse: Warehouse, crm: str) -> int:
    """Count all absent records of a CRM as deleted; the next run deletes their rows."""
    absences = rows_of(warehouse, "absences", crm)
    unconfirmed = absences.filter(absences.evidence.isnull()).select(*RECORD)
    ids = ids_by_object(unconfirmed)
    _add(warehouse, crm, ids, at=datetime.now(UTC), evidence="confirmed")
    return sum(map(len, ids.values()))


def absence_summary(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return crm, object, evidence, absent_since (the earliest), records."""
    absences = warehouse.ensure_table("absences", ABSENCES)
    counted = absences.group_by("crm", "object", "evidence").aggregate(
        absent_since=absences.absent_since.min(), records=absences.count()
    )
    return list(counted.order_by("crm", "object", "evidence").to_pyarrow().to_pylist())


def all_absent(warehouse: Warehouse) -> ir.Table:
    """Return all records that a CRM does not show: crm, object, record_id."""
    return warehouse.ensure_table("absences", ABSENCES).select(*RECORD)


def records_of_absent_people(warehouse: Warehouse, records: ir.Table) -> ir.Table | None:
    """Return the records of every person of whom a record is absent: crm, object, record_id.

    None: no record is absent. Nothing is written for these people: what is known of them may be
    incomplete.
    """
    absences = warehouse.ensure_table("absences", ABSENCES)
    if not absences.count().to_pyarrow().as_py():
        return None
    people = records.semi_join(absences, RECORD).select("person_id").distinct()
    return records.semi_join(people, "person_id").select(*RECORD)


def forget_returned(warehouse: Warehouse, crm: "CrmSession") -> bool:
    """Remove from `erased_records` what the CRM shows again, and return whether there was any."""
    returned = {
        object: _landed_ids(warehouse, crm, object, ids)
        for object, ids in ids_by_object(rows_of(warehouse, "erased_records", crm.crm)).items()
        if object in crm.mapping.records
    }
    for object, ids in returned.items():
        if ids:
            warehouse.delete_matching("erased_records", _record_rows(crm.crm, object, ids))
    return any(returned.values())


def forget(warehouse: Warehouse, crm: str, ids: IdsByObject) -> None:
    """Remove records from the table `absences`."""
    for object, some in ids.items():
        if some:
            warehouse.delete_matching("absences", _record_rows(crm, object, some))


def save_erased(warehouse: Warehouse, crm: str, ids: IdsByObject, *, at: datetime) -> None:
    """Store which records were erased."""
    for object, some in ids.items():
        rows = _record_rows(crm, object, some).mutate(erased_at=_naive_utc(at))
        warehouse.append("erased_records", rows, ERASED_RECORDS)


def rows_of(warehouse: Warehouse, name: str, crm: str) -> ir.Table:
    """Return the rows of one CRM in one of the two tables."""
    table = warehouse.ensure_table(name, TABLES[name])
    return table.filter(table.crm == crm)


def ids_by_object(rows: ir.Table) -> dict[str, list[str]]:
    """Return the record ids of rows(object, record_id) per object."""
    ids: dict[str, list[str]] = defaultdict(list)
    columns = rows.select("object", "record_id").to_pyarrow().to_pydict()
    for object, id in zip(columns["object"], columns["record_id"], strict=True):
        ids[object].append(id)
    return dict(ids)


def _add(
    warehouse: Warehouse,
    crm: str,
    ids: IdsByObject,
    *,
    at: datetime,
    evidence: str | None = None,
) -> None:
    """Add records to `absences`; of those that are in it the evidence is replaced."""
    for object, some in ids.items():
        if some:
            rows = _record_rows(crm, object, some)
            warehouse.delete_matching("absences", rows)
            rows = rows.mutate(
                absent_since=_naive_utc(at), evidence=ibis.literal(evidence, "string")
            )
            warehouse.append("absences", rows, ABSENCES)


def _purged_ids(warehouse: Warehouse, crm: "CrmSession", object: str) -> list[str]:
    """Return the landed records that were deleted in the CRM, which no longer keeps them.

    A record that was merged or converted into another one continues there, as long as that exists.
    """
    mapping, id = crm.mapping, crm.mapping.system_fields.id
    tables = warehouse.source_tables(crm.crm, mapping.records)
    table = tables[object]
    deleted = table.filter(table[mapping.system_fields.deleted].fill_null(False))
    for column, target in mapping.links_of(object).items():
        to_crm, _, to_object = target.partition(".")
        if to_crm == crm.crm:
            continues = deleted[column].isin(tables[to_object][id]).fill_null(False)
            deleted = deleted.filter(~continues)
    ids = deleted.select(id=deleted[id].cast("string")).to_pyarrow()["id"].to_pylist()
    return sorted(set(ids) - crm.connector.existing_ids(crm.client, object, ids))


def _landed_ids(
    warehouse: Warehouse, crm: "CrmSession", object: str, ids: Collection[str]
) -> list[str]:
    """Return which of some ids are landed."""
    table = warehouse.source_tables(crm.crm, [object])[object]
    landed = table.select(record_id=table[crm.mapping.system_fields.id].cast("string"))
    rows = _record_rows(crm.crm, object, ids).semi_join(landed, "record_id")
    return list(rows.record_id.to_pyarrow().to_pylist())


def _naive_utc(at: datetime) -> ir.TimestampScalar:
    return ibis.literal(at.astimezone(UTC).replace(tzinfo=None)).cast("timestamp(6)")


def _record_rows(crm: str, object: str, ids: Collection[str]) -> ir.Table:
    columns = ([crm] * len(ids), [object] * len(ids), sorted(ids))
    arrays = [pa.array(values, pa.string()) for values in columns]
    return ibis.memtable(pa.table(arrays, names=RECORD))
