"""What happens in the world between two runs: people edit, merge, leave, and tokens lose sight.

The world keeps its own truth beside the CRMs: who is out of sight or erased, and since when.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from sandbox.faults import Fault, Moment
from sandbox.mutations import OTHER_USER, Edit, apply_edit
from sandbox.server import Sandbox

Key = tuple[str, str]
"""An object, `contacts`, `Lead` or `Contact`, and the id of a record."""

OBJECTS = ("contacts", "Lead", "Contact")
OTHER_PORTAL = Fault(path="/account-info", status=200, body={"portalId": 7}, times=None)
OTHER_ORG = "00D000000000007EAA"


@dataclass
class World:
    """Both CRMs, a clock, and what a program that only looks at the CRMs cannot know."""

    sandbox: Sandbox
    random: random.Random
    now: datetime
    hidden: dict[Key, Any] = field(default_factory=dict)
    """Records that the login does not see today, with their content."""
    erased: set[Key] = field(default_factory=set)
    unsettled: set[Key] = field(default_factory=set)
    """Records of people whose identity or sight changed: they may be held for review."""
    without_erased: set[Key] = field(default_factory=set)
    """Records of people of whom another record was erased, with its events."""
    written_erased: set[Key] = field(default_factory=set)
    """Erased records that a call tried to write."""
    is_other_account: bool = False
    own_org: str = ""
    reads_all: bool = False

    def set_clock(self, now: datetime) -> None:
        """Set the time of both CRMs."""
        self.now = now
        self.sandbox.skew_clocks((now - datetime.now(UTC)).total_seconds())

    def reset_faults(self) -> None:
        """End all faults, and watch what is written from now on."""
        self.sandbox.faults.reset()
        self.set_clock(self.now)
        self.sandbox.faults.watch(self._see_write)

    def _see_write(self, moment: Moment, method: str, path: str, body: bytes) -> None:
        is_write = "/batch/update" in path or (method == "PATCH" and "/sobjects" in path)
        if moment == "asked" and is_write:
            text = body.decode()
            self.written_erased |= {key for key in self.erased if f'"{key[1]}"' in text}

    def records(self) -> dict[Key, dict[str, Any]]:
        """All live records that are in sight, as copies."""
        contacts = self.sandbox.hubspot.tables["contacts"]
        found = {("contacts", str(one.id)): dict(one.properties) for one in contacts.all_live()}
        for name in OBJECTS[1:]:
            found |= {
                (name, row["Id"]): dict(row)
                for row in self.sandbox.salesforce.tables[name].all()
                if not row.get("IsDeleted") and not row.get("IsConverted")
            }
        return found

    def some(self, *objects: str, count: int = 1) -> list[Key]:
        """Some random records of some objects that nothing happened to yet today."""
        keys = sorted(key for key in self.records() if key[0] in objects)
        return self.random.sample(keys, min(count, len(keys)))

    def unsettle(self, *keys: Key) -> None:
        """Remember that the people of some records may be held from now on."""
        records = self.records()
        for key in keys:
            self.unsettled |= {key, *linked_with(key, records)}


def linked_with(key: Key, records: dict[Key, dict[str, Any]]) -> set[Key]:
    """The records in sight that a link field of HubSpot's joins with this one."""
    found: set[Key] = set()
    for contact, values in records.items():
        if contact[0] != "contacts":
            continue
        group = {contact, *links_of(values)}
        if key in group:
            found |= group
    return (found & records.keys()) - {key}


def links_of(contact: dict[str, Any]) -> set[Key]:
    """The Salesforce records that a HubSpot contact names."""
    fields = {"salesforcecontactid": "Contact", "salesforceleadid": "Lead"}
    return {(object, contact[field]) for field, object in fields.items() if contact.get(field)}


def edit(world: World, key: Key, **values: str) -> None:
    """Set fields of a record as a user does."""
    crm = "hubspot" if key[0] == "contacts" else "salesforce"
    apply_edit(Edit(crm=crm, object=key[0], ids=(key[1],), set=values), world.sandbox)


# --- the happenings -------------------------------------------------------------------------------


def people_edit(world: World) -> None:
    """Values in fields that are not ours."""
    for key in world.some(*OBJECTS, count=3):
        name = "jobtitle" if key[0] == "contacts" else "Title"
        edit(world, key, **{name: f"Head of {world.random.randrange(1000)}"})


def is_erased(world: World) -> None:
    """Privacy delete: the record is gone, and no list names it."""
    for key in world.some("contacts", "Lead"):
        world.unsettle(key)
        records = world.records()
        address = address_of(records[key])
        same = {other for other, values in records.items() if address_of(values) == address}
        world.without_erased |= same | linked_with(key, records)
        remove(world, key)
        world.erased.add(key)


def remove(world: World, key: Key) -> Any:
    """Take a record out of its CRM and return it."""
    object, id = key
    if object == "contacts":
        table = world.sandbox.hubspot.tables["contacts"]
        record = table.records[int(id)]
        del table.records[int(id)]
        table.invalidate_order()
        return record
    rows = world.sandbox.salesforce.tables[object]
    row = rows[id]
    del rows[id]
    return row


def contacts_are_merged(world: World) -> None:
    """Two contacts of HubSpot become one with a new id."""
    chosen = world.some("contacts", count=2)
    world.unsettle(*chosen)
    table = world.sandbox.hubspot.tables["contacts"]
    first, second = (table.records[int(id)] for _, id in chosen)
    merged = world.sandbox.hubspot.merge(table, first, second)
    world.unsettle(("contacts", str(merged.id)))


def leads_are_merged(world: World) -> None:
    """One lead takes the place of another."""
    chosen = world.some("Lead", count=2)
    if len(chosen) == 2:
        world.unsettle(*chosen)
        with world.sandbox.salesforce.acting_as(OTHER_USER):
            world.sandbox.salesforce.merge(chosen[0][1], chosen[1][1])


def lead_is_converted(world: World) -> None:
    """A lead becomes a contact."""
    for key in world.some("Lead"):
        world.unsettle(key)
        apply_edit(
            Edit(crm="salesforce", object="Lead", ids=(key[1],), convert=True), world.sandbox
        )


def address_changes(world: World) -> None:
    """A person has another address in one of the CRMs."""
    for key in world.some(*OBJECTS):
        world.unsettle(key)
        name = "email" if key[0] == "contacts" else "Email"
        edit(world, key, **{name: f"moved.{world.random.randrange(10**6)}@example.com"})


def token_loses_sight(world: World) -> None:
    """Some records are hidden from the login, until the next day."""
    for key in world.some(*OBJECTS, count=world.random.randint(1, 6)):
        world.unsettle(key)
        world.hidden[key] = remove(world, key)


def regain_sight(world: World) -> None:
    """Show again what was hidden, as it was."""
    for (object, id), record in world.hidden.items():
        if object == "contacts":
            table = world.sandbox.hubspot.tables["contacts"]
            table.records[int(id)] = record
            table.invalidate_order()
        else:
            world.sandbox.salesforce.put(object, record)
    world.hidden.clear()


def token_of_another_account(world: World) -> None:
    """A user pasted the token of another portal, or of another org."""
    world.is_other_account = True
    if world.random.random() < 0.5:
        world.sandbox.faults.plan(OTHER_PORTAL)
    else:
        set_org(world, OTHER_ORG)


def own_account(world: World) -> None:
    """The right tokens are back."""
    world.is_other_account = False
    world.reset_faults()
    if world.own_org:
        set_org(world, world.own_org)


def set_org(world: World, id: str) -> None:
    """Give the Salesforce org another id."""
    orgs = world.sandbox.salesforce.tables["Organization"]
    [row] = list(orgs.values())
    world.own_org = world.own_org or row["Id"]
    del orgs[row["Id"]]
    world.sandbox.salesforce.put("Organization", row | {"Id": id})


def form_is_archived(world: World) -> None:
    """HubSpot no longer lists a form, and all is read again."""
    forms = world.sandbox.hubspot.submissions
    if forms:
        form = world.random.choice(sorted(forms))
        forms.pop(form)
        world.sandbox.hubspot.forms.pop(form, None)
    world.reads_all = True


def strangers_submit(world: World) -> None:
    """Web-to-lead forms that name a customer's address."""
    records = world.records()
    customers = sorted(
        key
        for key, values in records.items()
        if key[0] == "contacts"
        and values.get("lifecyclestage") == "customer"
        and values.get("email")
    )
    if not customers:
        return
    customer = world.random.choice(customers)
    email = str(records[customer]["email"])
    world.unsettle(*(key for key, values in records.items() if address_of(values) == email.lower()))
    lead = {"LastName": "Anybody", "Company": "Unknown", "Email": email, "Status": "Open"}
    for _ in range(world.random.randint(1, 30)):
        response = requests.post(
            f"{world.sandbox.url}/services/data/v62.0/sobjects/Lead",
            json=lead,
            headers={"Authorization": f"Bearer {world.sandbox.salesforce_token}"},
            timeout=10,
        )
        response.raise_for_status()
        world.unsettled.add(("Lead", response.json()["id"]))


def address_of(values: dict[str, Any]) -> str:
    """The address of a record of either CRM, in small letters."""
    return str(values.get("email") or values.get("Email") or "").lower()


def clock_jumps(world: World) -> None:
    """The server slept for some weeks."""
    world.set_clock(world.now + timedelta(days=world.random.randint(5, 40)))


def several_at_once(world: World) -> None:
    """A busy day: people edit and move, records are merged, converted and erased, forms come."""
    for happening in (
        people_edit,
        address_changes,
        contacts_are_merged,
        leads_are_merged,
        lead_is_converted,
        is_erased,
        strangers_submit,
        form_is_archived,
        clock_jumps,
        token_of_another_account,
    ):
        happening(world)


def nothing_happens(_: World) -> None:
    """A quiet day."""


HAPPENINGS: dict[str, Callable[[World], None]] = {
    one.__name__: one
    for one in (
        people_edit,
        strangers_submit,
        token_loses_sight,
        token_of_another_account,
        is_erased,
        form_is_archived,
        contacts_are_merged,
        leads_are_merged,
        lead_is_converted,
        address_changes,
        clock_jumps,
        several_at_once,
        nothing_happens,
    )
}
"""What can happen on a day, by name. That a run is killed is in the loop."""
