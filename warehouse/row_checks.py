"""The table `row_checks`: the row count of each object in its CRM and here, run by run."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import ibis
import pyarrow as pa

from models import RowCheck
from warehouse.warehouse import Warehouse

ROW_CHECKS = ibis.schema(
    {
        "run_id": "string",
        "crm": "string",
        "object": "string",
        "at": "timestamp(6)",
        "records": "int64",
        "missing": "int64",
        "absent": "int64",
        "reassociated": "int64",
        "is_complete": "boolean",
        "full_check_at": "timestamp(6)",
    }
)


def save_row_checks(
    warehouse: Warehouse, run_id: str, crm: str, row_checks: Sequence[RowCheck]
) -> None:
    """Store the row checks of one CRM in one run."""
    rows = [
        asdict(check)
        | {
            "run_id": run_id,
            "crm": crm,
            "at": _naive_utc(check.at),
            "full_check_at": _naive_utc(check.full_check_at),
        }
        for check in row_checks
    ]
    if rows:
        table = pa.Table.from_pylist(rows, schema=ROW_CHECKS.to_pyarrow())
        warehouse.append("row_checks", table, ROW_CHECKS)


def last_full_check(warehouse: Warehouse, crm: str) -> dict[str, datetime]:
    """Return when all rows of each object, and their associations, were last compared."""
    if not warehouse.has("row_checks"):
        return {}
    checks = warehouse.table("row_checks").filter(lambda check: check.crm == crm)
    last = checks.group_by("object").aggregate(at=checks.full_check_at.max())
    rows = last.filter(last.at.notnull()).to_pyarrow().to_pylist()
    return {row["object"]: row["at"].replace(tzinfo=UTC) for row in rows}


def row_check_summary(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return per object when it was checked, and how many rows differed so far.

    Out: crm, object, records, at, complete_at, missing, absent, reassociated
    """
    if not warehouse.has("row_checks"):
        return []
    checks = warehouse.table("row_checks")
    summed = checks.group_by("crm", "object").aggregate(
        records=checks.records.argmax(checks.at),
        at=checks.at.max(),
        complete_at=checks.at.max(where=checks.is_complete),
        **{name: checks[name].sum() for name in ("missing", "absent", "reassociated")},
    )
    return list(summed.order_by("crm", "object").to_pyarrow().to_pylist())


def _naive_utc(at: datetime | None) -> datetime | None:
    return at and at.astimezone(UTC).replace(tzinfo=None)
