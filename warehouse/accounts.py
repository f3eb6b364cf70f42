"""The table `crm_accounts`: the account of each CRM from which the rows of a warehouse came.

Rows of two accounts in one warehouse would be mixed: the ids of one name other people in the other.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import ibis
import pyarrow as pa

from models import Account
from warehouse.warehouse import DATASET, Warehouse

CRM_ACCOUNTS = ibis.schema(
    {"crm": "string", "account_id": "string", "name": "string", "first_read_at": "timestamp(6)"}
)


def known_accounts(warehouse: Warehouse) -> dict[str, Account]:
    """Return the account of each CRM that was read before."""
    rows = warehouse.ensure_table("crm_accounts", CRM_ACCOUNTS).to_pyarrow().to_pylist()
    return {row["crm"]: Account(row["account_id"], row["name"]) for row in rows}


def save_accounts(warehouse: Warehouse, accounts: Mapping[str, Account]) -> None:
    """Store the accounts of the CRMs that are read for the first time.

    What the warehouse holds of another account of the CRM is deleted first.
    """
    known = known_accounts(warehouse)
    for crm, account in accounts.items():
        if account.is_other_than(known.get(crm)):
            _delete_account(warehouse, crm)
            del known[crm]
    rows = [
        {
            "crm": crm,
            "account_id": account.id,
            "name": account.name,
            "first_read_at": datetime.now(UTC).replace(tzinfo=None),
        }
        for crm, account in accounts.items()
        if account.id is not None and crm not in known
    ]
    if rows:
        table = pa.Table.from_pylist(rows, schema=CRM_ACCOUNTS.to_pyarrow())
        warehouse.append("crm_accounts", table, CRM_ACCOUNTS)


def _delete_account(warehouse: Warehouse, crm: str) -> None:
    """Delete everything that the warehouse holds of a CRM: rows, cursors, histories, journal.

    The account is deleted last. So where this is interrupted, it is refused again, and repeated.
    """
    for dataset in (f"{crm}_staging", crm):
        warehouse.drop_dataset(dataset)
    of_crm = ibis.memtable(pa.table({"crm": [crm]}))
    names = [name for name in warehouse.table_names() if name != "crm_accounts"]
    for name in (*names, "crm_accounts"):
        if "crm" in warehouse.table(name).columns:
            warehouse.delete_matching(name, of_crm, dataset=DATASET)
    if warehouse.has("record_history"):
        history = warehouse.table("record_history")
        keys = history.filter(history.key.startswith(f"{crm}:")).select("key").distinct()
        warehouse.delete_matching("record_history", keys)
