"""A big HubSpot and a big Salesforce on loopback, for measuring, filled straight in."""

import gc
import json
import sys
from datetime import UTC, datetime, timedelta

from sandbox.faults import Fault
from sandbox.hubspot.schema import Property
from sandbox.hubspot.store import HubSpotStore, ObjectTable, Record
from sandbox.salesforce.ids import record_id
from sandbox.salesforce.schema import Field
from sandbox.salesforce.store import SalesforceStore
from sandbox.server import running

WIDTH = 40
"""Fields of a contact and of a lead."""

KINDS = ("text",) * 24 + ("number",) * 8 + ("datetime",) * 5 + ("boolean",) * 3
SHARES = {"emails": 0.4, "calls": 0.35, "meetings": 0.25}
HUBSPOT = {
    "contacts": tuple(f"p{n:02}" for n in range(WIDTH)),
    **dict.fromkeys(SHARES, ("hs_timestamp", "hs_object_source", "p0", "p1", "p2")),
}
SALESFORCE_SHARES = {"Task": 0.6, "CampaignMember": 0.4}
SALESFORCE = {
    "Lead": tuple(f"p{n:02}__c" for n in range(WIDTH)),
    "Task": ("WhoId", "Subject", "Status", "TaskSubtype", "CompletedDateTime", "ActivityDate"),
    "CampaignMember": ("LeadId", "CampaignId", "Status", "HasResponded", "FirstRespondedDate"),
}
WANTED = {"hubspot": HUBSPOT, "salesforce": SALESFORCE}
_START = datetime(2024, 3, 1, tzinfo=UTC)
_TEXTS = tuple(f"{word} of person number {n}" for n in range(199) for word in ("Tür", "city", "x"))


def serve(crm: str, contacts: int, engagements: int, *, limits: bool, milliseconds: int) -> None:
    """Serve one filled CRM until stdin closes; say on stdout where it is."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with running(people=1, seed=1, now=now, rate_limits=limits) as sandbox:
        if crm == "hubspot":
            _fill_hubspot(sandbox.hubspot, contacts, engagements)
        else:
            _fill_salesforce(sandbox.salesforce, contacts, engagements)
        gc.freeze()
        if milliseconds:
            delay = Fault(effect="delay", seconds=milliseconds / 1000, times=None)
            sandbox.faults.plan(delay)
        told = {name: getattr(sandbox, name) for name in ("url", "hubspot_token")}
        told |= {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
        print(json.dumps(told), flush=True)
        sys.stdin.read()


def _value(kind: str, number: int, column: int) -> str:
    if kind == "number":
        return str((number * 7919 + column) % 10_000)
    if kind == "boolean":
        return "true" if (number + column) % 3 else "false"
    if kind == "datetime":
        return _instant(number * 13 + column)
    return _TEXTS[(number * 31 + column) % len(_TEXTS)]


def _instant(number: int) -> str:
    at = _START + timedelta(seconds=number * 41 % 60_000_000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_HUBSPOT_TYPES = {"text": "string", "number": "number", "datetime": "datetime", "boolean": "bool"}


def _fill_hubspot(store: HubSpotStore, contacts: int, engagements: int) -> None:
    people = _emptied(store, "contacts")
    for column, kind in enumerate(KINDS):
        people.properties[f"p{column:02}"] = Property(f"p{column:02}", "", _HUBSPOT_TYPES[kind])
    for number in range(contacts):
        values = {
            f"p{column:02}": _value(kind, number, column)
            for column, kind in enumerate(KINDS)
            if (number + column) % 4
        }
        _add(people, 51 + number * 50, number, values)
    for object, share in SHARES.items():
        table = _emptied(store, object)
        for name in ("p0", "p1", "p2"):
            table.properties[name] = Property(name, "")
        for number in range(round(engagements * share)):
            values = {name: _value("text", number, 0) for name in ("p0", "p1", "p2")}
            id = 1001 + number * 30
            _add(table, id, number, values | {"hs_timestamp": _instant(number)})
            person = 51 + number * 17 % contacts * 50
            store.associations[object, "contacts"][id] = [person]
            store.associations["contacts", object].setdefault(person, []).append(id)


def _emptied(store: HubSpotStore, object: str) -> ObjectTable:
    table = store.tables[object]
    table.records.clear()
    table.invalidate_order()
    return table


def _add(table: ObjectTable, id: int, number: int, values: dict[str, str]) -> None:
    at = int((_START + timedelta(seconds=number)).timestamp() * 1000)
    table.add(Record(id, values, at, at))


def _fill_salesforce(store: SalesforceStore, contacts: int, engagements: int) -> None:
    types = {"text": "string", "number": "double", "datetime": "datetime", "boolean": "boolean"}
    names = [(f"p{column:02}__c", kind) for column, kind in enumerate(KINDS)]
    store.define("Lead", *(Field(name, types[kind], 255) for name, kind in names))
    leads = [record_id("00Q", number + 1) for number in range(contacts)]
    store.tables["Lead"].clear()
    store.tables["Lead"].update(
        {
            id: _stamped(id, number)
            | {
                name: _typed(_value(kind, number, column), kind)
                for column, (name, kind) in enumerate(names)
                if (number + column) % 4
            }
            for number, id in enumerate(leads)
        }
    )
    shares = {object: round(engagements * share) for object, share in SALESFORCE_SHARES.items()}
    store.tables["Task"].clear()
    store.tables["Task"].update(
        {
            id: _stamped(id, number)
            | {
                "WhoId": leads[number * 17 % contacts],
                "Subject": _value("text", number, 1),
                "Status": "Completed",
                "TaskSubtype": "Call",
                "CompletedDateTime": _instant(number).replace("Z", "+0000"),
                "ActivityDate": _instant(number)[:10],
            }
            for number, id in enumerate(record_id("00T", one + 1) for one in range(shares["Task"]))
        }
    )
    store.tables["CampaignMember"].clear()
    store.tables["CampaignMember"].update(
        {
            id: _stamped(id, number)
            | {
                "LeadId": leads[number * 19 % contacts],
                "Status": "Responded",
                "HasResponded": True,
                "FirstRespondedDate": _instant(number)[:10],
            }
            for number, id in enumerate(
                record_id("00v", one + 1) for one in range(shares["CampaignMember"])
            )
        }
    )


def _stamped(id: str, number: int) -> dict[str, object]:
    at = _instant(number)[:19] + ".000+0000"
    return {"Id": id, "IsDeleted": False, "CreatedDate": at, "SystemModstamp": at}


def _typed(value: str, kind: str) -> object:
    if kind == "number":
        return float(value)
    if kind == "boolean":
        return value == "true"
    return value.replace("Z", "+0000") if kind == "datetime" else value
