"""Manual changes in the CRMs during a run: edit, convert, associate, rename, remove.

`apply_edit` and POST /_sandbox/edit apply an edit at once; a `Fault` with the effect "edit" applies
it before a call.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from sandbox.hubspot.store import HubSpotStore, ObjectTable, Record
from sandbox.salesforce import writes
from sandbox.salesforce.ids import record_id
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.store import SalesforceStore

OTHER_USER = record_id("005", 1)
"""The user who makes manual changes."""


class Stores(Protocol):
    """Both CRMs."""

    @property
    def hubspot(self) -> HubSpotStore:
        """The HubSpot account."""

    @property
    def salesforce(self) -> SalesforceStore:
        """The Salesforce org."""


class Edit(BaseModel):
    """One manual change: to records of an object, to its fields, or to the daily limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crm: Literal["hubspot", "salesforce"]
    object: str = ""
    ids: tuple[str, ...] = ()
    """Ids of the records; without ids, the first `records` live ones."""
    records: int = 1
    set: dict[str, Any] = {}
    """New values; users can move a stage back."""
    convert: bool = False
    """Convert leads to contacts of a new account."""
    link: tuple[str, str] | None = None
    """HubSpot: object and id of a record to associate; it changes no time stamp."""
    rename: dict[str, str] = {}
    """Old -> new names of fields."""
    remove: tuple[str, ...] = ()
    """Fields to remove."""
    remove_options: dict[str, tuple[str, ...]] = {}
    """Options of picklists to remove; records keep their values."""
    spend_quota: bool = False
    """Use up the daily limit."""


def apply_edit(edit: Edit, stores: Stores) -> None:
    """Apply an edit. Raises: KeyError for an unknown object, field or record."""
    if edit.crm == "hubspot":
        _apply_to_hubspot(edit, stores.hubspot)
    else:
        _apply_to_salesforce(edit, stores.salesforce)


def _apply_to_hubspot(edit: Edit, store: HubSpotStore) -> None:
    if edit.spend_quota:
        store.daily_used = store.daily_limit
    if not edit.object:
        return
    table = store.tables[edit.object]
    for record in _records(edit, table):
        if edit.set:
            store.edit(table, record, {name: str(value) for name, value in edit.set.items()})
        if edit.link:
            store.associate(table.type.name, record.id, edit.link[0], int(edit.link[1]))
    for old, new in edit.rename.items():
        table.properties[new] = replace(table.properties.pop(old), name=new)
        for record in table.records.values():
            _move(record.properties, old, new)
            _move(record.history, old, new)
    for name in edit.remove:
        table.archived_properties[name] = table.properties.pop(name)
    for name, removed in edit.remove_options.items():
        options = (one for one in table.properties[name].options if one.value not in removed)
        table.properties[name] = replace(table.properties[name], options=tuple(options))


def _records(edit: Edit, table: ObjectTable) -> Iterable[Record]:
    if not (edit.set or edit.link):
        return []
    found = [table.find(id) for id in edit.ids] if edit.ids else islice(table.live(), edit.records)
    return [record for record in found if record]


def _move(values: dict[str, Any], old: str, new: str) -> None:
    if old in values:
        values[new] = values.pop(old)


def _apply_to_salesforce(edit: Edit, store: SalesforceStore) -> None:
    if edit.spend_quota:
        store.daily_limit = store.calls_used = max(store.calls_used, 1)
    if not edit.object:
        return
    sobject = store.sobject(edit.object)
    with store.acting_as(OTHER_USER):
        for row in _rows(edit, store, sobject):
            if edit.set:
                writes.update(store, sobject, row["Id"], dict(edit.set))
            if edit.convert:
                convert(store, row)
    for old, new in edit.rename.items():
        store.rename(sobject.name, old, new)
    if edit.remove:
        store.hide(sobject.name, *edit.remove)
    for name, removed in edit.remove_options.items():
        field = sobject.fields[name]
        values = tuple(one for one in field.values if one not in removed)
        store.define(sobject.name, replace(field, values=values))


def _rows(edit: Edit, store: SalesforceStore, sobject: SObject) -> list[Row]:
    if not (edit.set or edit.convert):
        return []
    rows = store.tables[sobject.name]
    if edit.ids:
        return [rows[id] for id in edit.ids]
    live = (row for row in rows.all() if not row.get("IsDeleted") and not row.get("IsConverted"))
    return list(islice(live, edit.records))


def convert(store: SalesforceStore, lead: Row) -> str:
    """Convert a lead as a user does; its activity moves to the contact, whose id is returned."""
    schema = store.schema
    account = writes.create(store, schema["Account"], {"Name": lead["Company"]})
    values = {
        name: lead[name]
        for name in ("FirstName", "LastName", "Email", "Phone", "Title")
        if lead.get(name)
    }
    contact = writes.create(store, schema["Contact"], values | {"AccountId": account})
    stamp = store.stamp()
    converted = {
        "IsConverted": True,
        "ConvertedDate": stamp[:10],
        "ConvertedAccountId": account,
        "ConvertedContactId": contact,
        "SystemModstamp": stamp,
        "LastModifiedDate": stamp,
    }
    store.put("Lead", lead | converted)
    for name, reference in (("Task", "WhoId"), ("Event", "WhoId"), ("CampaignMember", "LeadId")):
        moved = "ContactId" if reference == "LeadId" else reference
        for row in store.tables[name].all():
            if row.get(reference) == lead["Id"]:
                store.put(name, row | {reference: None, moved: contact, "SystemModstamp": stamp})
    return contact
