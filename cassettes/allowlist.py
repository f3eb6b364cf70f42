"""What may stay in a cassette: words of OAuth and JSON APIs, and those of each CRM's rules."""

import re
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Final

import connectors
from connectors.anonymize_rules import AnonymizeRules

SECRET_KEYS: Final = frozenset(
    ("access_token", "refresh_token", "id_token", "signature", "token", "client_secret")
)
_WORD: Final = re.compile(r"\w+")
_KEYS: Final = frozenset(("scope", "scopes", "token_type", "type", "version"))


@dataclass(frozen=True)
class Allowlist:
    """The rules of all CRMs, merged: recorded traffic does not say which CRM a text came from."""

    rules: tuple[AnonymizeRules, ...]

    @cached_property
    def keys(self) -> frozenset[str]:
        """Keys and parameters whose values are words of an API."""
        return _KEYS.union(*(rules.keys for rules in self.rules))

    @cached_property
    def phrases(self) -> frozenset[str]:
        """Texts of errors that a client compares."""
        return frozenset(phrase for rules in self.rules for phrase in rules.phrases)

    @cached_property
    def volatile(self) -> dict[str, str]:
        """Keys whose values differ at each call, and the value that replaces them."""
        return {key: value for rules in self.rules for key, value in rules.volatile.items()}

    @cached_property
    def count_keys(self) -> frozenset[str]:
        """Keys and parameters that count records, calls or bytes."""
        return frozenset(("limit",)).union(*(rules.count_keys for rules in self.rules))

    @cached_property
    def query_keys(self) -> frozenset[str]:
        """Keys of request bodies that hold a query."""
        return frozenset(key for rules in self.rules for key in rules.query_keys)

    @cached_property
    def catalog_name_keys(self) -> frozenset[str]:
        """Keys of catalogs that hold names of objects and fields."""
        return frozenset(("name", "relationshipName", "objectTypeId", "id"))

    @cached_property
    def source_words(self) -> frozenset[str]:
        """Return every word of the connectors' own code, in lower case.

        It names what it reads of an API, and it is public: none of its words is about a record.
        """
        folder = Path(connectors.__file__).parent
        sources = (path.read_text("utf-8").lower() for path in folder.rglob("*.py"))
        return frozenset(word for source in sources for word in _WORD.findall(source))

    def is_catalog_path(self, path: str) -> bool:
        """Return whether responses of this path describe the account and hold no personal data."""
        return any(rules.catalog_paths.fullmatch(path) for rules in self.rules)


@cache
def allowlist() -> Allowlist:
    """Load the rules of all CRMs that have a module `anonymize_rules`."""
    modules = []
    for crm in connectors.crm_names():
        name = f"connectors.{crm}.anonymize_rules"
        try:
            modules.append(import_module(name))
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    return Allowlist(tuple(module.RULES for module in modules))
