"""Delete from the warehouse what a CRM deleted for good: erased (GDPR), purged and merged records.

That a CRM does not show a record is not enough; `absences.py` keeps what is known of each.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration

from config.loader import Configuration
from connectors import crm_label
from models import IdsByObject
from session import CrmSession, mappings_by_crm
from settings import Rule, read_settings
from transforms.identity.erasure import erased_emails, rows_to_delete
from transforms.identity.matching import merged_records, read_records
from transforms.staging.fields import SourceTables
from warehouse import absences
from warehouse.cleanup import require_cleanup
from warehouse.warehouse import Warehouse


@configspec
class ErasureSettings(BaseConfiguration):
    """When an absent record counts as deleted: `ERASURE__...`.

    It must be absent for `wait_hours`, and a look-up by its id must not find it then. Above
    `max_records` of one object a person must confirm; above 0.1 % of its rows where that is more.
    """

    wait_hours: float = 24.0
    max_records: int = 10


MAX_ERASED_SHARE = 0.001
_RULES = {
    "wait_hours": Rule(
        "a number of hours from 0 to a year, such as 24", lambda hours: 0 <= hours <= 366 * 24
    ),
    "max_records": Rule("a number of records, such as 10", lambda value: value >= 0),
}


def load_erasure_settings(problems: list[str] | None = None) -> ErasureSettings:
    """Read the settings, or the defaults.

    problems: see `read_settings`.
    Raises:   ConfigError where one of them is not in its range.
    """
    return read_settings(ErasureSettings(), "erasure", rules=_RULES, problems=problems)


def delete_erased_records(
    warehouse: Warehouse,
    configuration: Configuration,
    crms: list[CrmSession],
    source_tables: SourceTables,
    settings: ErasureSettings,
    *,
    as_of: datetime,
    is_dry_run: bool,
) -> None:
    """Delete the stored rows of records that were deleted for good; warn of those still absent.

    A merged record continues under another id: only its own row is deleted. Of an erased record
    these are deleted: its row, its history, its versions in `record_history`, and the rows of logs
    by its id and by its address. None of them can be read again, so a dry run deletes none.
    """
    if not any(absences.known_absences(warehouse, crm.crm) for crm in crms):
        return
    merged = merged_records(mappings_by_crm(crms), source_tables)
    for crm in crms:
        _delete_merged(warehouse, crm, merged)
    if not is_dry_run:
        erased = {crm.crm: _erased_ids(warehouse, crm, settings, as_of=as_of) for crm in crms}
        if any(map(len, (ids for some in erased.values() for ids in some.values()))):
            require_cleanup(warehouse)
            emails = _owned_emails(warehouse, configuration, crms, source_tables, erased)
            for crm in crms:
                _delete(warehouse, crm, source_tables[crm.crm], erased[crm.crm], emails, as_of)
    for crm in crms:
        _warn(warehouse, crm, settings)


def _delete_merged(warehouse: Warehouse, crm: CrmSession, merged: ir.Table) -> None:
    """Delete the landed rows of absent records that another record names as merged into it."""
    absent = absences.rows_of(warehouse, "absences", crm.crm)
    key = absent.crm + ":" + absent.object + ":" + absent.record_id
    ids = absences.ids_by_object(absent.filter(key.isin(merged.b)))
    _delete_landed(warehouse, crm, ids)
    absences.forget(warehouse, crm.crm, ids)


def _erased_ids(
    warehouse: Warehouse, crm: CrmSession, settings: ErasureSettings, *, as_of: datetime
) -> IdsByObject:
    """Return the absent records with evidence of a deletion, per object.

    Without other evidence it is a second look-up by id, after the waiting time: what it finds is
    not absent. A row of a history or of a log is never deleted because it is absent: CRMs keep
    these for a limited time.
    """
    histories = {history.object for _, history in crm.mapping.histories()}
    absent = absences.rows_of(warehouse, "absences", crm.crm)
    absent = absent.filter(absent.object.notin(histories)) if histories else absent
    proven = absences.ids_by_object(absent.filter(absent.evidence.notnull()))
    wait = timedelta(hours=settings.wait_hours)
    waited_until = ibis.literal((as_of - wait).astimezone(UTC).replace(tzinfo=None))
    waited = absent.filter(absent.evidence.isnull(), absent.absent_since <= waited_until)
    for object, ids in absences.ids_by_object(waited).items():
        found = crm.connector.existing_ids(crm.client, object, ids)
        absences.forget(warehouse, crm.crm, {object: found})
        gone = set(ids) - found
        if len(gone) <= _limit(warehouse, crm, object, settings):
            proven[object] = [*proven.get(object, ()), *gone]
    return proven


def _limit(warehouse: Warehouse, crm: CrmSession, object: str, settings: ErasureSettings) -> float:
    rows = warehouse.source_tables(crm.crm, [object])[object].count().to_pyarrow().as_py()
    return max(settings.max_records, MAX_ERASED_SHARE * int(rows))


def _owned_emails(
    warehouse: Warehouse,
    configuration: Configuration,
    crms: list[CrmSession],
    source_tables: SourceTables,
    erased: Mapping[str, IdsByObject],
) -> ir.Table:
    """Return the addresses that only erased records of a CRM have: crm, address."""
    versions = warehouse.table_or_none("record_history")
    before = warehouse.table_or_none("records")
    read = read_records(mappings_by_crm(crms), source_tables, configuration.people)
    rows = _erased_rows(erased)
    if versions is None or before is None:
        versions = before = read.filter(ibis.literal(False))
    return warehouse.materialize(
        "erased_addresses", erased_emails(rows, versions, before, read.anti_join(rows, "key"))
    )


def _delete(
    warehouse: Warehouse,
    crm: CrmSession,
    source_tables: Mapping[str, ir.Table],
    erased: IdsByObject,
    owned_emails: ir.Table,
    at: datetime,
) -> None:
    """Delete all rows of the erased records of one CRM.

    Their rows in `absences` are deleted last. So where a run is killed in between, the next run
    deletes the rest.
    """
    of_people = {object: ids for object, ids in erased.items() if object in crm.mapping.records}
    rows = _erased_rows({crm.crm: of_people})
    logs = [name for name in source_tables if not crm.connector.is_countable(name)]
    for object, values in rows_to_delete(
        crm.crm, crm.mapping, source_tables, logs, erased_rows=rows, owned_emails=owned_emails
    ):
        warehouse.delete_matching(object, values, dataset=crm.crm)
    _delete_landed(warehouse, crm, erased)
    if warehouse.has("record_history"):
        warehouse.delete_matching("record_history", rows.select("key"))
    absences.save_erased(warehouse, crm.crm, of_people, at=at)
    absences.forget(warehouse, crm.crm, erased)
    if count := sum(map(len, of_people.values())):
        crm.client.warnings.append(
            f"{count:,} records were deleted for good in {crm_label(crm.crm)}: all rows about them "
            "were deleted here too"
        )


def _delete_landed(warehouse: Warehouse, crm: CrmSession, ids: IdsByObject) -> None:
    for object, some in ids.items():
        rows = ibis.memtable(pa.table({crm.connector.primary_key: pa.array(some, pa.string())}))
        warehouse.delete_matching(object, rows, dataset=crm.crm)


def _erased_rows(erased: Mapping[str, IdsByObject]) -> ir.Table:
    """Return erased records as a table: key, crm, object, id."""
    rows = [
        {"key": f"{crm}:{object}:{id}", "crm": crm, "object": object, "id": id}
        for crm, ids in erased.items()
        for object, some in ids.items()
        for id in some
    ]
    columns = pa.schema([(name, pa.string()) for name in ("key", "crm", "object", "id")])
    return ibis.memtable(pa.Table.from_pylist(rows, columns))


def _warn(warehouse: Warehouse, crm: CrmSession, settings: ErasureSettings) -> None:
    """Warn of the absent records of people, and say what becomes of them."""
    for row in absences.absence_summary(warehouse):
        if row["crm"] == crm.crm and row["object"] in crm.mapping.records:
            crm.client.warnings.append(
                f"{crm_label(crm.crm)} does not show {row['records']:,} {row['object']} that it "
                f"showed before {row['absent_since']:%Y-%m-%d %H:%M}. Nothing is written for these "
                "people, and their rows stay here. Does the login lack a permission? Where the "
                f"records were deleted, a run deletes up to {settings.max_records:,} of them here "
                f"after {settings.wait_hours:g} hours; for more, run "
                f"`python sync.py absent --confirm {crm.crm}`"
            )
