"""Pseudonyms for ids, addresses, telephone numbers and texts.

The same original always gets the same pseudonym. A pseudonym keeps what decisions depend on: which
records belong together, the order of ids, upper and lower case, the spaces around a value,
free-mail domains, and the words that the configuration searches for.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

_FREE_EMAIL_DOMAINS: Final = frozenset(
    ("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com")
)
_ROLES: Final = frozenset(("info", "sales", "office", "contact", "hello", "support", "admin"))
FIRST_ID: Final = 1001


class Pseudonyms:
    """Numbers originals in the order of first appearance, and ids in the order of the ids."""

    def __init__(
        self,
        allowed_words: Iterable[str],
        ids: Iterable[int],
        text_ids: Mapping[str, str],
    ):
        """Take the words that stay, all numeric ids, and the text ids with their pseudonyms."""
        self._allowed_words = {word.strip().lower() for word in allowed_words}
        self._searched_words = sorted(word for word in self._allowed_words if len(word) > 2)
        self._ids = {id: FIRST_ID + rank for rank, id in enumerate(sorted(ids))}
        self._text_ids = text_ids
        self._numbers: dict[tuple[str, str], int] = {}

    def is_allowed(self, text: str) -> bool:
        """Return whether a text is a word of the configuration or of a catalog."""
        return text.strip().lower() in self._allowed_words

    def id(self, number: int) -> int:
        """Replace a numeric id; one that was not known before comes after all others."""
        return self._ids.setdefault(number, FIRST_ID + len(self._ids))

    def text_id(self, id: str) -> str:
        """Replace an id that is a text; a text that is not an id stays."""
        return self._text_ids.get(id, id)

    def cursor(self, id: str, prefix: str) -> str:
        """Replace the id of a query that continues."""
        return f"{prefix}{self._number('locator', id):08d}"

    def uuid(self, id: str) -> str:
        """Replace a UUID."""
        return f"00000000-0000-4000-8000-{self._number('uuid', id):012d}"

    def email(self, address: str) -> str:
        """Replace an address. Equal domains stay equal, and free-mail domains stay."""
        local, _, domain = address.strip().rpartition("@")
        mailbox, _, tag = local.lower().partition("+")
        pseudonym = mailbox if mailbox in _ROLES else f"person{self._number('person', mailbox)}"
        if tag:
            pseudonym += f"+tag{self._number('tag', tag)}"
        return _with_case_of(address, f"{pseudonym}@{self.domain(domain)}")

    def domain(self, domain: str) -> str:
        """Replace a domain."""
        lower = domain.strip().lower()
        if lower in _FREE_EMAIL_DOMAINS:
            return lower
        prefix, name = ("www.", lower[4:]) if lower.startswith("www.") else ("", lower)
        return f"{prefix}company{self._number('domain', name)}.example.com"

    def phone(self, number: str) -> str:
        """Replace the digits of a telephone number; other characters stay."""
        digits = re.sub(r"\D", "", number)
        pseudonym = iter(f"{self._number('phone', digits):0{len(digits)}d}"[-len(digits) :])
        return re.sub(r"\d", lambda _: next(pseudonym), number)

    def number(self, text: str) -> str:
        """Replace the digits of a number of any size, and keep its sign and its decimal point."""
        return self.phone(re.sub(r"[eE].*", "", text))

    def text(self, text: str) -> str:
        """Replace a text, except the words in it that the configuration searches for."""
        lower = text.strip().lower()
        words = [word for word in self._searched_words if word in lower]
        pseudonym = " ".join([f"text{self._number('text', lower)}", *words])
        return _with_case_of(text, pseudonym)

    def _number(self, kind: str, original: str) -> int:
        return self._numbers.setdefault((kind, original), len(self._numbers) + 1)


def _with_case_of(original: str, pseudonym: str) -> str:
    """Give a pseudonym the spaces and the case of its original."""
    stripped = original.strip()
    if stripped.isupper():
        pseudonym = pseudonym.upper()
    elif stripped[:1].isupper():
        pseudonym = pseudonym[:1].upper() + pseudonym[1:]
    return original.replace(stripped, pseudonym) if stripped else original
