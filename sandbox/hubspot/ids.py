"""Ids of the account's records, derived from the numbers of people."""

from functools import cache
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from sandbox.seed.people import Person

OWNER_COUNT: Final = 12


def contact_id(person: Person) -> int:
    """Return the id of a person's contact. Ids differ in length: text order is another order."""
    return (person.number + 1) * 51


def owner_id(number: int) -> str:
    """Return the id of the owner of the person with this number."""
    return str(59_500_000 + number % OWNER_COUNT * 13)


@cache
def form_guid(name: str) -> str:
    """Return the id of the form with this name."""
    return str(uuid5(NAMESPACE_URL, f"form/{name}"))
