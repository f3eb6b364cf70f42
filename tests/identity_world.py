"""A small world of two CRMs for the identity tests: its records, and the runs that read them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.sql import SQLBackend

from config.definition import Definition
from config.mapping import Mapping, People
from transforms.identity.known_records import Known, known_records
from transforms.lifecycle.lifecycle import lifecycle
from transforms.resolve import resolve
from warehouse.known import accept_vanished, load_known, save_known
from warehouse.warehouse import SCRATCH_DATASET, Warehouse

Row = dict[str, Any]
COLUMNS = {"id": "id", "created_at": "born", "updated_at": "seen", "deleted": "gone"}
FIELDS = {"email": "email", "tier": "tier"}
MAPPINGS = {
    "hubspot": Mapping.model_validate(
        {
            "system_fields": COLUMNS,
            "records": {"contacts": {"fields": FIELDS, "additional_emails": "more_emails"}},
            "links": {"contact_id": "salesforce.Contact"},
            "objects": {"forms": {"person_keys": {"email": "email"}}},
            "events": [{"object": "forms", "kind": "form", "at": "at"}],
        }
    ),
    "salesforce": Mapping.model_validate(
        {
            "system_fields": COLUMNS,
            "records": {"Lead": {"fields": FIELDS}, "Contact": {"fields": FIELDS}},
            "links": {"Lead.contact_id": "salesforce.Contact"},
            "objects": {"orders": {"person_keys": {"contact": "Contact"}}},
            "events": [{"object": "orders", "kind": "order", "at": "at"}],
        }
    ),
}
OBJECTS = {"hubspot": ("contacts", "forms"), "salesforce": ("Lead", "Contact", "orders")}
DEFINITION = Definition.model_validate(
    {
        "version": "1",
        "events": {"form": {"points": 5, "channel": "web"}, "order": {"direction": "internal"}},
        "stages": [
            {"id": "suspect", "action": "nurture"},
            {
                "id": "lead",
                "action": "nurture",
                "enter": {"any": [{"event": "form"}, {"field": "tier", "in": ["silver"]}]},
            },
            {
                "id": "customer",
                "final": True,
                "enter": {"any": [{"event": "order"}, {"field": "tier", "in": ["gold"]}]},
            },
        ],
        "disqualified": {"field": "tier", "in": ["unqualified"]},
    }
)
INSTANT = pa.timestamp("us")
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "email", "more_emails", "tier", "contact_id")]
    + [("contact", pa.string()), ("gone", pa.bool_())]
    + [(name, INSTANT) for name in ("born", "seen", "at")]
)


def people(**settings: Any) -> People:
    """The settings of identity: two fields, of which `tier` is that of the newest record."""
    return People.model_validate({"fields": {"email": "text", "tier": "text"}} | settings)


def record(crm: str, object: str, id: str, *, born: datetime, **fields: Any) -> Row:
    """One landed record."""
    return {"crm": crm, "object": object, "id": id, "born": born, "seen": born, **fields}


def form(id: str, email: str, at: datetime) -> Row:
    """A form that an address sent."""
    return {"crm": "hubspot", "object": "forms", "id": id, "email": email, "at": at, "born": at}


def order(id: str, contact: str, at: datetime) -> Row:
    """An order of a Salesforce contact."""
    row = {"crm": "salesforce", "object": "orders", "id": id, "contact": contact, "at": at}
    return row | {"born": at}


class Runs:
    """The pure middle, run after run over one warehouse: what was known is handed on."""

    def __init__(self, engine: SQLBackend, **settings: Any) -> None:
        """Start with an empty warehouse; `settings` are those of `people.yaml`."""
        self.warehouse, self.people = Warehouse(engine), people(**settings)
        if SCRATCH_DATASET not in engine.list_databases():
            engine.create_database(SCRATCH_DATASET)
        for name in self.warehouse.table_names():
            engine.drop_table(name, database="onefunnel")

    def run(self, rows: Sequence[Row], as_of: datetime, *, accept: bool = True) -> dict[str, Row]:
        """Resolve the rows; return per record key what is known of it, and its person's answer.

        `accept` stands for a plan that is written. `addresses` are those that identify the person.
        """
        warehouse, known = self.warehouse, load_known(self.warehouse)
        resolved = resolve(
            MAPPINGS,
            {
                crm: {name: self._landed(crm, name, rows) for name in objects}
                for crm, objects in OBJECTS.items()
            },
            self.people,
            DEFINITION,
            as_of=as_of,
            known_before=known,
            table_store=warehouse,
        )
        tables = warehouse.save_lifecycle(
            lifecycle(
                resolved.people,
                resolved.field_since,
                resolved.events,
                DEFINITION,
                as_of=as_of,
                materialize=warehouse.materialize,
            )
        )
        now = warehouse.materialize(
            "known_now",
            known_records(
                resolved.records,
                tables.lifecycle,
                known.records,
                MAPPINGS,
                DEFINITION,
                absent=self._absent(rows),
                as_of=as_of,
            ),
        )
        save_known(warehouse, Known(now, resolved.address_owners))
        ok = resolved.records.select("key", "email_match_ok")
        answers = tables.lifecycle.select("person_id", "stage", "status")
        both = now.left_join(ok, "key").drop("key_right").left_join(answers, "person_id")
        rows_now = both.to_pyarrow().to_pylist()
        owned = defaultdict(list)
        for row in resolved.address_owners.order_by("address").to_pyarrow().to_pylist():
            owned[row["person_id"]].append(row["address"])
        if accept:
            accept_vanished(warehouse, until=as_of)
        return {row["key"]: row | {"addresses": owned[row["person_id"]]} for row in rows_now}

    def events(self) -> list[Row]:
        """The events of the last run."""
        return list(self.warehouse.table("events").to_pyarrow().to_pylist())

    def _absent(self, rows: Sequence[Row]) -> ir.Table:
        columns = ("crm", "object", "record_id")
        absent = [
            dict(zip(columns, (row["crm"], row["object"], row["id"]), strict=True))
            for row in rows
            if row.get("absent")
        ]
        schema = pa.schema([(name, pa.string()) for name in columns])
        return ibis.memtable(pa.Table.from_pylist(absent, schema=schema))

    def _landed(self, crm: str, object: str, rows: Sequence[Row]) -> ir.Table:
        mine = [row for row in rows if (row["crm"], row["object"]) == (crm, object)]
        table = ibis.memtable(pa.Table.from_pylist(mine, schema=SCHEMA))
        return self.warehouse.materialize(f"landed_{crm}_{object}", table)
