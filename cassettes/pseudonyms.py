"""Stand-ins for ids, addresses, numbers and texts: the same original has the same one everywhere.

They keep what decisions rest on: which records belong together, the order of ids, the letters' case
and the blanks around a value, free-mail domains, and the words the configuration looks for.
"""

import re
from collections.abc import Iterable
from typing import Final

_FREE_MAIL: Final = frozenset(
    ("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com")
)
_ROLES: Final = frozenset(("info", "sales", "office", "contact", "hello", "support", "admin"))
_FIRST_ID: Final = 1001
_SUFFIX: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_ID_MARKER: Final = "Anon"
"""In the middle of every Salesforce id that is a stand-in."""


class Pseudonyms:
    """Gives stand-ins in the order of first appearance, ids in the order of the ids."""

    def __init__(
        self, allowed_words: Iterable[str], ids: Iterable[int], salesforce_ids: Iterable[str]
    ):
        """Know which words may stay as they are, and all ids there are."""
        self._allowed_words = {word.strip().lower() for word in allowed_words}
        self._searched_words = sorted(word for word in self._allowed_words if len(word) > 2)
        self._ids = {one: _FIRST_ID + rank for rank, one in enumerate(sorted(ids))}
        self._salesforce_ids = {
            one: _salesforce_id(one[:3], rank)
            for rank, one in enumerate(sorted(salesforce_ids), _FIRST_ID)
        }
        self._numbers: dict[tuple[str, str], int] = {}

    def is_allowed(self, text: str) -> bool:
        """Tell a word of the configuration or of a catalog from anybody's text."""
        return text.strip().lower() in self._allowed_words

    def id(self, number: int) -> int:
        """Replace a numeric id; what is none stays."""
        return self._ids.get(number, number)

    def salesforce_id(self, id: str) -> str:
        """Replace an id of Salesforce; its first three letters, which name the object, stay."""
        return self._salesforce_ids.get(id, id)

    def locator(self, name: str) -> str:
        """Replace the name of a query that goes on."""
        return f"0r8{_ID_MARKER}{self._number('locator', name):08d}"

    def uuid(self, id: str) -> str:
        """Replace a GUID."""
        return f"00000000-0000-4000-8000-{self._number('uuid', id):012d}"

    def email(self, address: str) -> str:
        """Replace an address; who shares a domain still does, and free mail stays free mail."""
        local, _, domain = address.strip().rpartition("@")
        bare, _, extension = local.lower().partition("+")
        stand_in = bare if bare in _ROLES else f"person{self._number('person', bare)}"
        tagged = f"{stand_in}+tag{self._number('tag', extension)}" if extension else stand_in
        return _with_case_of(address, f"{tagged}@{self.domain(domain)}")

    def domain(self, domain: str) -> str:
        """Replace a domain."""
        lower = domain.strip().lower()
        if lower in _FREE_MAIL:
            return lower
        prefix, bare = ("www.", lower[4:]) if lower.startswith("www.") else ("", lower)
        return f"{prefix}company{self._number('domain', bare)}.example.com"

    def phone(self, number: str) -> str:
        """Replace the digits of a telephone number; signs and blanks stay."""
        digits = re.sub(r"\D", "", number)
        stand_in = iter(f"{self._number('phone', digits):0{len(digits)}d}"[-len(digits) :])
        return re.sub(r"\d", lambda _: next(stand_in), number)

    def text(self, text: str) -> str:
        """Replace a text; words that the configuration looks for are kept in it."""
        lower = text.strip().lower()
        words = [word for word in self._searched_words if word in lower]
        stand_in = " ".join([f"text{self._number('text', lower)}", *words])
        return _with_case_of(text, stand_in)

    def _number(self, kind: str, original: str) -> int:
        return self._numbers.setdefault((kind, original), len(self._numbers) + 1)


def is_salesforce_id(text: str) -> bool:
    """Tell an id of 18 characters by its check sum."""
    return len(text) == 18 and text.isascii() and text[15:] == _check_sum(text[:15])


def is_pseudonym(text: str) -> bool:
    """Tell an id of Salesforce that was made here."""
    return text[3:7] == _ID_MARKER


def _salesforce_id(prefix: str, number: int) -> str:
    """Make an id whose order as text is that of the numbers."""
    body = f"{prefix}{_ID_MARKER}{number:08d}"
    return body + _check_sum(body)


def _check_sum(body: str) -> str:
    """Say which letters are capitals, five at a time."""
    blocks = (body[start : start + 5] for start in (0, 5, 10))
    return "".join(
        _SUFFIX[sum(one.isupper() << bit for bit, one in enumerate(block))] for block in blocks
    )


def _with_case_of(original: str, stand_in: str) -> str:
    """Give a stand-in the blanks and the case of what it stands for."""
    bare = original.strip()
    if bare.isupper():
        stand_in = stand_in.upper()
    elif bare[:1].isupper():
        stand_in = stand_in[:1].upper() + stand_in[1:]
    return original.replace(bare, stand_in) if bare else original
