"""Looks a cassette through for what should not be in it: secrets, addresses, numbers, hosts."""

import re
from pathlib import Path
from typing import Final

from cassettes.pseudonyms import is_pseudonym, is_salesforce_id

_LEAK_PATTERNS: Final = {
    "a token": re.compile(
        r"pat-\w+-|Bearer \S|00D\w{12}!|5Aep861\w|eyJ[\w-]{10,}\.|-----BEGIN|refresh-\w+-"
    ),
    "a header with credentials": re.compile(
        r"(?im)(?:^|[\"'\s])(authorization|cookie|set-cookie|x-sfdc-session)[\"']?\s*:"
    ),
    "where a query goes on": re.compile(r"/query(All)?/(?!0r8Anon)0\w{14,17}-\d"),
    "an e-mail address": re.compile(
        r"[\w.+-]+@(?!company\d+\.example\.com\b)(?!example\.com\b)[\w-]+\.[a-z]"
    ),
    "a host": re.compile(
        r"(?i)https?://(?!api\.hubapi\.com|app\.hubspot\.com|developers\.hubspot\.com|"
        r"example\.my\.salesforce\.com|login\.salesforce\.com|(www\.)?company\d+\.example\.com)[\w.-]+"
    ),
    "an IP address": re.compile(r"(?<![\d.])(?!0\.0\.0\.0)\d{1,3}(\.\d{1,3}){3}(?![\d.])"),
}
_FREE_MAIL: Final = re.compile(
    r"person\d+(\+tag\d+)?@(gmail|googlemail|outlook|hotmail|yahoo|icloud)\.com", re.IGNORECASE
)
_ID: Final = re.compile(r"\b[A-Za-z0-9]{18}\b")


def find_leaks(text: str) -> list[str]:
    """Say what a cassette holds that is not a stand-in; the finding never shows all of it."""
    plain = _FREE_MAIL.sub("", text)
    leaks = [
        f"{what}: {hit[0][:4]}..."
        for what, mark in _LEAK_PATTERNS.items()
        for hit in mark.finditer(plain)
    ]
    ids = (one for one in _ID.findall(plain) if is_salesforce_id(one) and not is_pseudonym(one))
    return [*leaks, *(f"a Salesforce id: {one[:3]}..." for one in ids)]


def check_cassette(path: Path) -> list[str]:
    """Look one file through."""
    return [f"{path}: {one}" for one in find_leaks(path.read_text())]
