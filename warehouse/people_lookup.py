"""Find people by an e-mail address, a record id or a person id."""

from collections.abc import Iterator
from functools import reduce
from operator import or_

import ibis.expr.types as ir

from config.loader import Configuration
from warehouse.warehouse import Warehouse

PERSON_NOT_FOUND = (
    "no person has this address or id: give an e-mail address, a CRM record id or a person id, "
    "such as `python sync.py explain anna@example.com`"
)


def find_person_ids(
    warehouse: Warehouse, configuration: Configuration, identifier: str
) -> list[str]:
    """Return the ids of the people with an e-mail address, a record id or a person id."""
    records = warehouse.table("records")
    address = identifier.lower()
    has_additional = (";" + records.additional_emails.fill_null("") + ";").contains(f";{address};")
    conditions = [
        records.email == address,
        has_additional,
        *(column == identifier for column in (records.record_id, records.key, records.person_id)),
        *_by_short_id(records, configuration, identifier),
    ]
    matches = records.filter(reduce(or_, conditions))
    return sorted(matches.select("person_id").distinct().to_pyarrow()["person_id"].to_pylist())


def _by_short_id(
    records: ir.Table, configuration: Configuration, identifier: str
) -> Iterator[ir.BooleanValue]:
    """Give conditions for a short id; Salesforce shows 15 characters in URLs, and 18 in its API."""
    for crm, mapping in configuration.mappings.items():
        if mapping.system_fields.id_match_length == len(identifier):
            yield (records.crm == crm) & (records.record_id.left(len(identifier)) == identifier)
