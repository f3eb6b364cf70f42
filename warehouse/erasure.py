"""What is kept of people whom a CRM erased or purged: it goes from the warehouse as well."""

from collections.abc import Mapping

import ibis.expr.types as ir

from config.loader import Configuration
from models import crm_name
from session import Connection, by_crm
from transforms.identity.erasure import addresses_of, erased, known, traces
from transforms.identity.matching import merges, read_records
from warehouse.warehouse import Warehouse

MOST = 0.5
"""A larger share of a CRM's records is not erased: another account was connected."""


def forget_erased(
    warehouse: Warehouse,
    configuration: Configuration,
    crms: list[Connection],
    landed: Mapping[str, Mapping[str, ir.Table]],
) -> None:
    """Delete what earlier runs kept of records that a pull no longer found in any form.

    These are rows of logs and histories, by id and by address, and their versions. What told of
    them is deleted last: a run that is killed in between begins anew.
    """
    kept, before = warehouse.kept("record_history"), warehouse.kept("records")
    if kept is None or before is None:
        return
    mappings = by_crm(crms)
    read = read_records(mappings, landed, configuration.people)
    seen = warehouse.step("records_seen", known(kept, before, mappings))
    gone = warehouse.step("erased", erased(seen, read, merges(mappings, landed)))
    owned = warehouse.step("erased_addresses", addresses_of(gone, kept, before, read))
    for crm in crms:
        count = _count(gone, crm)
        if count > MOST * _count(seen, crm):
            crm.client.findings.append(
                f"{crm_name(crm.crm)} has {count:,} records no more, most of those known: is this "
                "another account? What was kept of them stays; a new warehouse would be right"
            )
        elif count:
            logs = [name for name in landed[crm.crm] if not crm.connector.is_provable(name)]
            mine = landed[crm.crm]
            for object, values in traces(crm.crm, crm.mapping, mine, logs, gone=gone, owned=owned):
                warehouse.forget(object, values, dataset=crm.crm)
            keys = gone.filter(gone.crm == crm.crm).select("key")
            warehouse.forget("record_history", keys)
            crm.client.findings.append(
                f"{crm_name(crm.crm)} has {count:,} records no more, not even deleted: what was "
                "kept of them is deleted here too"
            )


def _count(records: ir.Table, crm: Connection) -> int:
    return int(records.filter(records.crm == crm.crm).count().to_pyarrow().as_py())
