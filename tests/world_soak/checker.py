"""What each CRM may hold after a run, from the world's own truth: it uses nothing of the product.

It compares all records before and after a run. Each violation names its record and rule.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from world_soak.happenings import Key, World, links_of

Records = dict[Key, dict[str, Any]]

STAGES = ("suspect", "lead", "mql", "sql", "customer")
STAGE_FIELD = {"contacts": "lifecyclestage", "Lead": "Lifecycle_Stage__c"}
STAGE_FIELD["Contact"] = STAGE_FIELD["Lead"]
WORDS = {
    "subscriber": "suspect",
    "lead": "lead",
    "marketingqualifiedlead": "mql",
    "salesqualifiedlead": "sql",
    "opportunity": "sql",
    "customer": "customer",
    "evangelist": "customer",
    "Suspect": "suspect",
    "Lead": "lead",
    "Marketing Qualified": "mql",
    "Prospect": "sql",
    "Customer": "customer",
}
OURS = ("onefunnel_", "lifecyclestage", "Lifecycle_Stage__c")
BY_THE_CRM = (
    "hs_lifecyclestage_",
    "hs_v2_date_",
    "lastmodifieddate",
    "SystemModstamp",
    "LastModified",
)
"""Fields that a CRM changes by itself when one of ours is written."""


@dataclass(frozen=True)
class Violation:
    """One thing that may not be."""

    key: Key
    rule: str
    detail: str = ""


@dataclass
class Checker:
    """What the checks of one world remember: who was a customer after a finished run."""

    customers: set[Key] = field(default_factory=set)

    def after_refusal(self, before: Records, after: Records) -> Iterator[Violation]:
        """A run that was refused wrote nothing."""
        for key in sorted(before):
            if changed := changed_fields(before[key], after.get(key, {})):
                yield Violation(key, "a refused run wrote", ", ".join(sorted(changed)))

    def after_run(
        self, world: World, before: Records, after: Records, *, is_first: bool
    ) -> Iterator[Violation]:
        """Each record after a run that ended or was killed."""
        yield from (Violation(key, "an erased record was written") for key in world.written_erased)
        world.written_erased.clear()
        yield from not_ours(before, after)
        yield from out_of_sight(world, before, after)
        if not is_first:
            yield from self._moves(world, before, after)

    def after_finished_run(
        self, world: World, before: Records, after: Records
    ) -> Iterator[Violation]:
        """What holds when a run ended and its plan was written."""
        for key, values in sorted(after.items()):
            if stage_of(key, before.get(key, {})) and not stage_of(key, values):
                yield Violation(key, "the stage was emptied")
        yield from disagreements(world, after)
        self.customers |= {
            key for key, values in after.items() if stage_of(key, values) == "customer"
        }

    def _moves(self, world: World, before: Records, after: Records) -> Iterator[Violation]:
        for key, values in sorted(after.items()):
            old, new = stage_of(key, before.get(key, {})), stage_of(key, values)
            if old in STAGES and new in STAGES and old != new:
                if key in self.customers and old == "customer":
                    yield Violation(key, "a customer was moved down", f"to {new}")
                elif new == "suspect" and key not in world.without_erased:
                    # events do not end: who was a lead once is recycled to lead at the lowest
                    yield Violation(key, "moved below lead", f"from {old}")


def changed_fields(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The fields whose values differ; an empty value and none are the same."""
    names = before.keys() | after.keys()
    return {name for name in names if (before.get(name) or None) != (after.get(name) or None)}


def stage_of(key: Key, values: dict[str, Any]) -> str:
    """The stage that a record has in its CRM, in our words; empty where it has none."""
    return WORDS.get(str(values.get(STAGE_FIELD[key[0]]) or ""), "")


def not_ours(before: Records, after: Records) -> Iterator[Violation]:
    """No field is changed that is not ours, and no record is made or removed."""
    for key in sorted(before.keys() ^ after.keys()):
        yield Violation(key, "a record was made or removed")
    for key in sorted(before.keys() & after.keys()):
        for name in sorted(changed_fields(before[key], after[key])):
            if not name.startswith(OURS + BY_THE_CRM):
                yield Violation(key, "a field of others was changed", name)


def out_of_sight(world: World, before: Records, after: Records) -> Iterator[Violation]:
    """Of whom a linked record is hidden today, nothing is written in any CRM."""
    for key in sorted(before.keys() & after.keys()):
        group = links_of(before[key]) if key[0] == "contacts" else set()
        of_hidden = {
            mate
            for hidden, record in world.hidden.items()
            if hidden[0] == "contacts"
            for mate in links_of(record.properties)
        }
        if (group & world.hidden.keys() or key in of_hidden) and (
            changed := changed_fields(before[key], after[key])
        ):
            detail = ", ".join(sorted(changed))
            yield Violation(key, "written while a record of the person is out of sight", detail)


def disagreements(world: World, after: Records) -> Iterator[Violation]:
    """Both CRMs have one stage of a person whom a link joins, and who cannot be held."""
    for key, values in sorted(after.items()):
        mates = links_of(values) if key[0] == "contacts" else set()
        for mate in sorted(mates & after.keys()):
            stages = {stage_of(key, values), stage_of(mate, after[mate])}
            if len(stages) > 1 and not {key, mate} & world.unsettled:
                yield Violation(key, "the CRMs disagree", f"{mate[0]} {mate[1]}: {sorted(stages)}")
