"""Delete from the warehouse the people whom a CRM erased (GDPR) or purged."""

from collections.abc import Mapping

import ibis.expr.types as ir

from config.loader import Configuration
from connectors import crm_label
from session import CrmSession, mappings_by_crm
from transforms.identity.erasure import erased_emails, erased_records, rows_to_delete, seen_records
from transforms.identity.matching import merged_records, read_records
from warehouse.warehouse import Warehouse

MAX_ERASED_SHARE = 0.5
"""Above this share of a CRM's records nothing is deleted: another account was connected."""


def delete_erased_people(
    warehouse: Warehouse,
    configuration: Configuration,
    crms: list[CrmSession],
    source_tables: Mapping[str, Mapping[str, ir.Table]],
) -> None:
    """Delete the stored rows of records that an extract no longer found in any form.

    These are rows of logs and histories, by id and by address, and rows of `record_history`. The
    last are deleted at the end: they name the records. So where a run is killed in between, the
    next run deletes the rest.
    """
    record_history, previous_records = (
        warehouse.table_or_none("record_history"),
        warehouse.table_or_none("records"),
    )
    if record_history is None or previous_records is None:
        return
    mappings = mappings_by_crm(crms)
    read = read_records(mappings, source_tables, configuration.people)
    previously_read = warehouse.materialize(
        "records_seen", seen_records(record_history, previous_records, mappings)
    )
    erased = warehouse.materialize(
        "erased", erased_records(previously_read, read, merged_records(mappings, source_tables))
    )
    emails = warehouse.materialize(
        "erased_addresses", erased_emails(erased, record_history, previous_records, read)
    )
    for crm in crms:
        count = _count(erased, crm)
        if count > MAX_ERASED_SHARE * _count(previously_read, crm):
            crm.client.warnings.append(
                f"{count:,} records disappeared from {crm_label(crm.crm)}, more than "
                f"{MAX_ERASED_SHARE:.0%}: is this another account? Nothing was deleted here. For "
                "another account, use a new warehouse"
            )
        elif count:
            logs = [name for name in source_tables[crm.crm] if not crm.connector.is_countable(name)]
            for object, values in rows_to_delete(
                crm.crm,
                crm.mapping,
                source_tables[crm.crm],
                logs,
                erased_rows=erased,
                owned_emails=emails,
            ):
                warehouse.delete_matching(object, values, dataset=crm.crm)
            keys = erased.filter(erased.crm == crm.crm).select("key")
            warehouse.delete_matching("record_history", keys)
            crm.client.warnings.append(
                f"{count:,} records disappeared from {crm_label(crm.crm)} (erased or purged): "
                "their rows were deleted here too"
            )


def _count(records: ir.Table, crm: CrmSession) -> int:
    return int(records.filter(records.crm == crm.crm).count().to_pyarrow().as_py())
