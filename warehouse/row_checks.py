"""How what was landed was held against the CRMs: the table `proofs`, a row per run and object."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import ibis
import pyarrow as pa

from models import Proof
from warehouse.warehouse import Warehouse

PROOFS = ibis.schema(
    {
        "run_id": "string",
        "crm": "string",
        "object": "string",
        "at": "timestamp(6)",
        "records": "int64",
        "missed": "int64",
        "gone": "int64",
        "relinked": "int64",
        "is_proven": "boolean",
        "swept_at": "timestamp(6)",
    }
)


def write(warehouse: Warehouse, run_id: str, crm: str, proofs: Sequence[Proof]) -> None:
    """Store how what was landed was held against a CRM."""
    rows = [
        asdict(one)
        | {"run_id": run_id, "crm": crm, "at": _plain(one.at), "swept_at": _plain(one.swept_at)}
        for one in proofs
    ]
    if rows:
        table = pa.Table.from_pylist(rows, schema=PROOFS.to_pyarrow())
        warehouse.append("proofs", table, PROOFS)


def swept(warehouse: Warehouse, crm: str) -> dict[str, datetime]:
    """When the associations of all rows of each object were looked at last."""
    if not warehouse.has("proofs"):
        return {}
    proofs = warehouse.table("proofs").filter(lambda proof: proof.crm == crm)
    last = proofs.group_by("object").aggregate(at=proofs.swept_at.max())
    rows = last.filter(last.at.notnull()).to_pyarrow().to_pylist()
    return {row["object"]: row["at"].replace(tzinfo=UTC) for row in rows}


def summary(warehouse: Warehouse) -> list[dict[str, Any]]:
    """When each object was proven: crm, object, records, at, proven_at, missed, gone, relinked.

    The last three are what was mended since the first pull.
    """
    if not warehouse.has("proofs"):
        return []
    proofs = warehouse.table("proofs")
    summed = proofs.group_by("crm", "object").aggregate(
        records=proofs.records.argmax(proofs.at),
        at=proofs.at.max(),
        proven_at=proofs.at.max(where=proofs.is_proven),
        **{name: proofs[name].sum() for name in ("missed", "gone", "relinked")},
    )
    return list(summed.order_by("crm", "object").to_pyarrow().to_pylist())


def _plain(at: datetime | None) -> datetime | None:
    return at and at.astimezone(UTC).replace(tzinfo=None)
