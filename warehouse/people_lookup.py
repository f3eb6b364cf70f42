"""Find people by an e-mail address, a record id or a person id."""

from collections.abc import Iterator
from functools import reduce
from operator import or_

import ibis.expr.types as ir

from config.loader import Configuration
from warehouse.warehouse import Warehouse

PERSON_NOT_FOUND = (
    "nobody is known by that: give an e-mail address, a record id or a person id, "
    "as `python sync.py explain anna@example.com`"
)


def find_person_ids(
    warehouse: Warehouse, configuration: Configuration, identifier: str
) -> list[str]:
    """Find the people that an e-mail address, a record id or a person id names."""
    records = warehouse.table("records")
    address = identifier.lower()
    more = (";" + records.additional_emails.fill_null("") + ";").contains(f";{address};")
    named = [
        records.email == address,
        more,
        *(column == identifier for column in (records.record_id, records.key, records.person_id)),
        *_by_short_id(records, configuration, identifier),
    ]
    found = records.filter(reduce(or_, named))
    return sorted(found.select("person_id").distinct().to_pyarrow()["person_id"].to_pylist())


def _by_short_id(
    records: ir.Table, configuration: Configuration, who: str
) -> Iterator[ir.BooleanValue]:
    """An id in the short spelling, where a CRM has two."""
    for crm, mapping in configuration.mappings.items():
        if mapping.system_fields.id_match_length == len(who):
            yield (records.crm == crm) & (records.record_id.left(len(who)) == who)
