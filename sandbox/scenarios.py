"""Scenarios: changes to the generated data that make connectors fail.

`running(..., scenario="merge_chains")` or `python -m sandbox --scenario merge_chains`.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import islice, pairwise
from typing import Any, Final

from sandbox.hubspot.schema import Property
from sandbox.hubspot.store import Record
from sandbox.hubspot.values import milliseconds
from sandbox.mutations import Edit, Stores, apply_edit
from sandbox.salesforce.ids import record_id
from sandbox.salesforce.records import INTEGRATION_USER
from sandbox.salesforce.rows import Row, stamped
from sandbox.salesforce.schema import Field

IMPORT_SIZE: Final = 12_000
"""More records than a search of HubSpot returns (10,000)."""

_CHAINS, _CHAIN_LENGTH = 5, 4
_WIDE: Final = 300
_NUMBERS_FROM: Final = 5_000_000
_TEXTS: Final = (
    ("<b>Ana</b>", "O'Neil & Söhne <script>alert(1)</script>"),
    ("👩🏽‍💻 Ana", "Zoë🇧🇷"),
    ("محمد", "عبد الرحمن"),
    ("דוד", "בן־גוריון"),
    ("‏\u202eAna\u202c", "line\nbreak\ttab"),
    ("José", "José"),  # composed and decomposed Unicode
    ('"Ana"', "a,b;c|d"),
    ("   Ana ", "Straße\u00a0ẞ"),
)


def one_timestamp(stores: Stores, now: Any) -> None:
    """An import: 12,000 contacts and 12,000 leads with the same time of change."""
    at = now - timedelta(days=3)
    table = stores.hubspot.tables["contacts"]
    leads = stores.salesforce.tables["Lead"]
    for number in range(_NUMBERS_FROM, _NUMBERS_FROM + IMPORT_SIZE):
        name = {"email": f"import{number}@example.com", "lastname": f"Import {number}"}
        table.add(Record(number, name, milliseconds(at), milliseconds(at)))
        row: Row = {
            "Id": record_id("00Q", number),
            "LastName": name["lastname"],
            "Name": name["lastname"],
            "Company": "Import Ltd",
            "Email": name["email"],
            "Status": "Open - Not Contacted",
            "OwnerId": INTEGRATION_USER,
        }
        leads[row["Id"]] = stamped(row, at, at, INTEGRATION_USER)


def merge_chains(stores: Stores, _now: Any) -> None:
    """Contacts and leads merged into records that were merged later."""
    table = stores.hubspot.tables["contacts"]
    live = list(islice(table.live(), _CHAINS * _CHAIN_LENGTH))
    for start in range(0, len(live), _CHAIN_LENGTH):
        winner, *losers = live[start : start + _CHAIN_LENGTH]
        for loser in losers:
            winner = stores.hubspot.merge(table, winner, loser)
    open_leads = [
        row["Id"]
        for row in stores.salesforce.tables["Lead"].all()
        if not row.get("IsDeleted") and not row.get("IsConverted")
    ][: _CHAINS * _CHAIN_LENGTH]
    for start in range(0, len(open_leads), _CHAIN_LENGTH):
        for lost, won in pairwise(open_leads[start : start + _CHAIN_LENGTH]):
            stores.salesforce.merge(won, lost)


def formula(stores: Stores, _now: Any) -> None:
    """A formula on Lead, Fit_Formula__c, whose changes change no time stamp."""
    org = stores.salesforce
    org.define(
        "Lead",
        Field("Fit_Formula__c", "double", writable=False, scale=2, formula=_fit, filterable=False),
    )


def _fit(row: Row) -> float:
    return float((row.get("NumberOfEmployees") or 0) // 100 + 10 * (row.get("Rating") == "Hot"))


def texts(stores: Stores, _now: Any) -> None:
    """HTML, emoji, right-to-left text, control characters, quotes and delimiters in names."""
    contacts = stores.hubspot.tables["contacts"].live()
    for record, (first, last) in zip(contacts, _TEXTS, strict=False):
        record.properties |= {"firstname": first, "lastname": last, "company": f"{first} {last}"}
    leads = stores.salesforce.tables["Lead"]
    for id, (first, last) in zip(leads, _TEXTS, strict=False):
        names = {"FirstName": first, "LastName": last, "Name": f"{first} {last}", "Company": last}
        leads[id] = leads[id] | names


def time_zones(stores: Stores, now: Any) -> None:
    """An account in New York, and e-mails around the hours that clocks skip and repeat."""
    stores.hubspot.time_zone = "America/New_York"
    table = stores.hubspot.tables["emails"]
    contact = next(stores.hubspot.tables["contacts"].live(), None)
    for year in (now.year - 1, now.year - 2):
        for hour, (month, day) in enumerate(((3, 9), (3, 30), (10, 26), (11, 2)) * 2):
            at = now.replace(year=year, month=month, day=day, hour=hour, minute=59, second=59)
            stamp = milliseconds(at)
            values = {"hs_timestamp": str(stamp), "hs_email_direction": "INCOMING_EMAIL"}
            id = _NUMBERS_FROM + year * 100 + hour
            table.add(Record(id, values, stamp, stamp))
            if contact:
                stores.hubspot.associate("emails", id, "contacts", contact.id)


def wide(stores: Stores, _now: Any) -> None:
    """300 more properties on contacts and 300 more fields on leads, all filled."""
    table = stores.hubspot.tables["contacts"]
    names = [f"custom_{number:03}" for number in range(_WIDE)]
    table.properties |= {name: Property(name, name.title(), custom=True) for name in names}
    for record in table.records.values():
        record.properties |= {name: f"{name} of {record.id}" for name in names}
    fields = [Field(f"Custom_{number:03}__c", "string", 255) for number in range(_WIDE)]
    stores.salesforce.define("Lead", *fields)
    leads = stores.salesforce.tables["Lead"]
    for row in leads.all():
        id = row["Id"]
        leads[id] = row | {one.name: f"{one.name} of {id}" for one in fields}


def unlinked(stores: Stores, _now: Any) -> None:
    """Engagements without a contact; `link_later` associates them and changes no time stamp."""
    for name in ("emails", "calls", "meetings"):
        for there, here in ((name, "contacts"), ("contacts", name)):
            stores.hubspot.associations[there, here].clear()


def link_later(stores: Stores) -> None:
    """Associate every e-mail of the scenario `unlinked` with the first contact."""
    contact = next(stores.hubspot.tables["contacts"].live())
    ids = tuple(map(str, stores.hubspot.tables["emails"].live_ids().tolist()))
    link = ("contacts", str(contact.id))
    apply_edit(Edit(crm="hubspot", object="emails", ids=ids, link=link), stores)


SCENARIOS: Final[dict[str, Callable[[Stores, Any], None]]] = {
    "formula": formula,
    "merge_chains": merge_chains,
    "one_timestamp": one_timestamp,
    "texts": texts,
    "time_zones": time_zones,
    "unlinked": unlinked,
    "wide": wide,
}
