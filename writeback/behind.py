"""Ask the CRMs whether this warehouse is behind them: restored, copied, or not the only one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from connectors import crm_label
from session import CrmSession, catalogs_by_crm, mappings_by_crm
from transforms.planning.behind import WRITERS, records_to_ask, suspects, written_later
from transforms.staging.fields import SourceTables
from warehouse.warehouse import Warehouse


def behind_reasons(
    warehouse: Warehouse, crms: list[CrmSession], landed: SourceTables, attempts: ir.Table
) -> Mapping[str, str]:
    """Return why a plan must not be written, per CRM that the warehouse is behind.

    The CRMs are asked only where they hold values that no run of this warehouse wrote, in records
    modified since its last write: some calls per CRM at most.
    """
    mappings, catalogs = mappings_by_crm(crms), catalogs_by_crm(crms)
    late = warehouse.materialize("behind_suspects", suspects(landed, mappings, catalogs, attempts))
    asked = records_to_ask(late, attempts).to_pyarrow().to_pylist()
    if not asked:
        return {}
    writers = pa.Table.from_pylist(
        [row for crm in crms for row in _ask(crm, asked)], schema=WRITERS.to_pyarrow()
    )
    counted = written_later(late, ibis.memtable(writers), attempts)
    return {row["crm"]: _reason(row) for row in counted.to_pyarrow().to_pylist()}


def _ask(crm: CrmSession, asked: Iterable[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    ask = crm.connector.value_writers
    if ask is None:
        return
    for object, fields in crm.mapping.write.items():
        mine = (crm.crm, object)
        if ids := [row["record_id"] for row in asked if (row["crm"], row["object"]) == mine]:
            for writer in ask(crm.client, object, ids, list(fields)):
                at = writer.at.replace(tzinfo=None)
                yield asdict(writer) | {"crm": crm.crm, "object": object, "at": at}


def _reason(counted: Mapping[str, Any]) -> str:
    label = crm_label(counted["crm"])
    return (
        f"This warehouse is behind {label}: our own login wrote values into {label} after"
        f" {counted['last_at']:%Y-%m-%d %H:%M} UTC, the last write that this warehouse knows"
        f" (found: {counted['values']:,}). It was restored from a backup or copied, or another"
        " installation writes into the same account. Use the newest warehouse and stop the other"
        " installation; if this one is right, review the plan: `run --first` writes it"
    )
