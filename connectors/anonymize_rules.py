"""What cassettes must know of a CRM's API to record it without secrets and personal data.

The folder of each CRM has these rules in `anonymize_rules.py`, as `RULES`. They are data: the code
that applies them is in `cassettes/`. A CRM without that file has no rules.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

NEVER: Final = re.compile(r"(?!)")
"""A pattern that matches no text."""


@dataclass(frozen=True, kw_only=True)
class RecordIds:
    """Record ids that are texts: how to recognise one, and what replaces it."""

    is_id: Callable[[str], bool]
    pseudonym: Callable[[str, int], str]
    """The pseudonym of an id and its rank; sorting pseudonyms sorts the ids."""

    is_pseudonym: Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class Login:
    """The login with which a cassette starts, however the recorded session logged in."""

    path: str
    response: Mapping[str, Any]
    paths: re.Pattern[str]
    """Start of the paths of all logins."""


@dataclass(frozen=True, kw_only=True)
class AnonymizeRules:
    """The rules of one CRM. Words and keys may stay in a cassette; all other texts are replaced."""

    url: str
    """The CRM's URL in cassettes, without a path."""

    paths: re.Pattern[str]
    """Start of the paths of the API, on any host."""

    hosts: re.Pattern[str] = NEVER
    """Hosts of accounts; `url` replaces them."""

    has_bare_url: bool = False
    """Whether a URL without a path is the CRM's, such as `instance_url`."""

    public_hosts: tuple[str, ...] = ()
    """The vendor's hosts that are the same for all accounts."""

    relative_links: str = ""
    """Start of links that have no host, with its first slash."""

    login: Login | None = None
    replay_settings: Mapping[str, str] = field(default_factory=dict)
    """Environment of a replay: URLs and credentials that no server checks."""

    catalog_paths: re.Pattern[str] = NEVER
    """Paths whose responses describe the account and hold no personal data."""

    headers: re.Pattern[str] = NEVER
    """Response headers that stay, in lower case, besides those of HTTP itself."""

    opaque_headers: tuple[str, ...] = ()
    """Headers that stay with a replaced value."""

    keys: frozenset[str] = frozenset()
    """Keys and parameters of the API whose values are words of the API, not of a record."""

    count_keys: frozenset[str] = frozenset()
    """Keys and parameters that count records, calls or bytes: their numbers stay."""

    phrases: tuple[str, ...] = ()
    """Texts of errors that a client compares."""

    volatile: Mapping[str, str] = field(default_factory=dict)
    """Keys whose values differ at each call, and the value that replaces them."""

    id_keys: re.Pattern[str] = NEVER
    """More keys of ids, besides those that end with `id` or `ids`."""

    other_id_keys: frozenset[str] = frozenset()
    """Keys that end with `id` and hold no id of a record."""

    record_ids: RecordIds | None = None
    cursor: re.Pattern[str] = NEVER
    """A path segment that continues a query: group 1 is an id, group 2 is kept."""

    cursor_prefix: str = ""
    domain_keys: tuple[str, ...] = ()
    property_keys: tuple[str, ...] = ()
    """Keys of dicts whose keys are names of properties."""

    record_key: str | None = None
    """A key that only records have; their other keys are names of fields."""

    name_keys: tuple[str, ...] = ()
    """Keys of a dict that name the property whose value stands under one of `value_keys`."""

    value_keys: tuple[str, ...] = ()
    value_segments: Mapping[str, int] = field(default_factory=dict)
    """A path segment, and how many segments behind it a value of a record stands."""

    path_actions: tuple[str, ...] = ()
    """Segments at the place of a record that are actions."""

    csv_paths: re.Pattern[str] = NEVER
    """Paths of requests whose body is CSV."""

    query_parameters: tuple[str, ...] = ()
    """URL parameters that hold a query; only the literals in it are replaced."""

    query_keys: tuple[str, ...] = ()
    """Keys of request bodies that hold a query."""

    query: re.Pattern[str] = NEVER
    """A query: group 1 is its list of fields, group 2 the rest."""

    field_parameters: tuple[str, ...] = ()
    """Parameters and keys of requests that list fields."""

    open_end_parameters: tuple[str, ...] = ()
    """Parameters that end a time window at the present."""

    failure_statuses: tuple[int, ...] = ()
    """Statuses below 300 that report failed records."""

    failure_texts: tuple[bytes, ...] = ()
    """Texts in a response that report failed records."""

    failure_paths: re.Pattern[str] = NEVER
    leaks: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    """What must never be in a cassette: a name for the report, and a pattern."""
