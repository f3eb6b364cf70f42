"""The state of the last run whose plan was stored: see `transforms.identity.known_records`."""

from datetime import datetime

from transforms.identity.known_records import (
    KNOWN_RECORDS,
    Known,
    nothing_known,
    without_vanished,
)
from transforms.identity.record_history import align_columns
from warehouse.warehouse import Warehouse


def load_known(warehouse: Warehouse) -> Known:
    """Return the state of the last run; empty tables before the first."""
    records, addresses = (
        warehouse.table_or_none(name) for name in ("known_records", "known_addresses")
    )
    if records is None or addresses is None:
        return nothing_known()
    # an older release stored fewer columns
    return Known(align_columns(records, KNOWN_RECORDS), addresses)


def save_known(warehouse: Warehouse, known: Known) -> None:
    """Store the state that a run leaves, in place of that of the run before.

    In one transaction: the two tables belong together.
    """
    with warehouse.transaction():
        for name, table in known._asdict().items():
            warehouse.replace_table(f"known_{name}", table)


def accept_vanished(warehouse: Warehouse, *, until: datetime) -> None:
    """Forget the records that were out of sight at an instant: a plan without them is written."""
    if warehouse.has("known_records"):
        left = without_vanished(warehouse.table("known_records"), until=until)
        warehouse.replace_table("known_records", warehouse.materialize("known_left", left))
