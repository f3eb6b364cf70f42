"""The table `field_changes`: what `fields --create` set up in the accounts. Rows are appended."""

from dataclasses import asdict
from datetime import UTC, datetime

import ibis
import pyarrow as pa

from models import FieldChangeResult, Rows
from warehouse.warehouse import Warehouse

FIELD_CHANGES = ibis.schema(
    {"at": "timestamp(6)"} | dict.fromkeys(("crm", "object", "field", "status", "text"), "string")
)


def append_field_change(warehouse: Warehouse, crm: str, result: FieldChangeResult) -> None:
    """Store what became of one field."""
    at = datetime.now(UTC).replace(tzinfo=None)
    rows = [{"at": at, "crm": crm, **asdict(result)}]
    table = pa.Table.from_pylist(rows, schema=FIELD_CHANGES.to_pyarrow())
    warehouse.append("field_changes", table, FIELD_CHANGES)


def field_changes(warehouse: Warehouse, crm: str) -> Rows:
    """Return what was set up in one account, the oldest first."""
    changes = warehouse.ensure_table("field_changes", FIELD_CHANGES)
    ordered = changes.filter(changes.crm == crm).order_by("at", "object", "field")
    return list(ordered.to_pyarrow().to_pylist())
