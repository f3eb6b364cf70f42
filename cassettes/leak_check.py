"""Search a cassette for secrets and personal data: tokens, e-mail addresses, ids, hosts."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cassettes.allowlist import allowlist

_PATTERNS: Final = {
    "a token": re.compile(r"Bearer \S|eyJ[\w-]{10,}\.|-----BEGIN"),
    "a header with credentials": re.compile(
        r"(?im)(?:^|[\"'\s])(authorization|cookie|set-cookie)[\"']?\s*:"
    ),
    "an e-mail address": re.compile(
        r"[\w.+-]+@(?!company\d+\.example\.com\b)(?!example\.com\b)[\w-]+\.[a-z]"
    ),
    "an IP address": re.compile(r"(?<![\d.])(?!0\.0\.0\.0)\d{1,3}(\.\d{1,3}){3}(?![\d.])"),
}
_PSEUDONYM_HOST: Final = r"(www\.)?company\d+\.example\.com"
_FREE_EMAIL: Final = re.compile(
    r"person\d+(\+tag\d+)?@(gmail|googlemail|outlook|hotmail|yahoo|icloud)\.com", re.IGNORECASE
)
_ID: Final = re.compile(r"\b[A-Za-z0-9]{18}\b")


def find_leaks(text: str) -> list[str]:
    """List what looks like a secret or personal data; a finding shows its first characters only."""
    text = _FREE_EMAIL.sub("", text)
    leaks = [
        f"{name}: {match[0][:4]}..."
        for name, pattern in _patterns()
        for match in pattern.finditer(text)
    ]
    return [*leaks, *_record_ids(text)]


def check_cassette(path: Path) -> list[str]:
    """List what looks like a secret or personal data in one file."""
    return [f"{path}: {leak}" for leak in find_leaks(path.read_text())]


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Give the patterns of all APIs, those of each CRM, and one for the hosts of neither."""
    rules = allowlist().rules
    hosts = {urlsplit(crm.url).netloc for crm in rules}
    hosts |= {host for crm in rules for host in crm.public_hosts}
    allowed_hosts = "|".join([*map(re.escape, sorted(hosts)), _PSEUDONYM_HOST])
    of_crms = (pattern for crm in rules for pattern in crm.leaks.items())
    host = re.compile(rf"(?i)https?://(?!{allowed_hosts})[\w.-]+")
    return (*_PATTERNS.items(), *of_crms, ("a host", host))


def _record_ids(text: str) -> Iterator[str]:
    for id in _ID.findall(text):
        for rules in allowlist().rules:
            ids = rules.record_ids
            if ids and ids.is_id(id) and not ids.is_pseudonym(id):
                yield f"a record id: {id[:3]}..."
