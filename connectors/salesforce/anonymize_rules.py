"""How recorded traffic of Salesforce is anonymised."""

import re
from typing import Final

from connectors.anonymize_rules import AnonymizeRules, Login, RecordIds

SALESFORCE_URL: Final = "https://example.my.salesforce.com"

_SUFFIX: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_PSEUDONYM: Final = "Anon"
"""Characters 4 to 7 of every pseudonym of an id."""


def is_salesforce_id(text: str) -> bool:
    """Recognise an id of 18 characters by its checksum."""
    return len(text) == 18 and text.isascii() and text[15:] == _checksum(text[:15])


def _id_pseudonym(id: str, rank: int) -> str:
    """Make an id of the same object: the first three characters name it."""
    body = f"{id[:3]}{_PSEUDONYM}{rank:08d}"
    return body + _checksum(body)


def _checksum(body: str) -> str:
    """Encode which characters are capitals, five a letter (Salesforce: 15 or 18 Character IDs)."""
    blocks = (body[start : start + 5] for start in (0, 5, 10))
    return "".join(
        _SUFFIX[sum(letter.isupper() << bit for bit, letter in enumerate(block))]
        for block in blocks
    )


RULES: Final = AnonymizeRules(
    url=SALESFORCE_URL,
    paths=re.compile(r"/services/"),
    hosts=re.compile(r".*\.salesforce\.com"),
    has_bare_url=True,
    public_hosts=("login.salesforce.com",),
    # `nextRecordsUrl` starts with a slash, `contentUrl` of an ingest job does not
    relative_links="/services/",
    login=Login(
        path="/services/oauth2/token",
        response={"instance_url": SALESFORCE_URL, "token_type": "Bearer"},
        paths=re.compile(r"/services/(oauth2/token$|Soap/)"),
    ),
    replay_settings={
        "SOURCES__SALESFORCE__INSTANCE_URL": SALESFORCE_URL,
        "SOURCES__SALESFORCE__CLIENT_ID": "replayed",
        "SOURCES__SALESFORCE__CLIENT_SECRET": "replayed",
        "SOURCES__SALESFORCE__REFRESH_TOKEN": "",
    },
    catalog_paths=re.compile(
        r"/services/data/?|/services/data/v[\d.]+/(limits.*|sobjects(/\w+/describe)?/?)"
    ),
    headers=re.compile(r"sforce-.*"),
    opaque_headers=("sforce-locator",),
    keys=frozenset(
        (
            *("apiVersion", "columnDelimiter", "concurrencyMode", "contentType", "errorCode"),
            *("fields", "jobType", "lineEnding", "object", "operation", "relationshipName"),
            *("state", "statusCode"),
        )
    ),
    count_keys=frozenset(
        (
            *("totalSize", "numberRecordsProcessed", "numberRecordsFailed", "maxRecords"),
            *("sforce-numberofrecords", "expr0", "processed", "failed"),
        )
    ),
    phrases=("Session expired or invalid", "TotalRequests Limit exceeded.", "LEAD"),
    volatile={"issued_at": "1767225600000"},
    id_keys=re.compile(r"(^|_|[a-z])DIdentifier$"),
    record_ids=RecordIds(
        is_id=is_salesforce_id,
        pseudonym=_id_pseudonym,
        is_pseudonym=lambda text: text[3:7] == _PSEUDONYM,
    ),
    cursor=re.compile(r"(0[1r]\w{13,16})(-\d+)"),
    cursor_prefix=f"0r8{_PSEUDONYM}",
    record_key="attributes",
    value_segments={"sobjects": 3},
    csv_paths=re.compile(r".*/batches"),
    query_parameters=("q",),
    query_keys=("query",),
    query=re.compile(r"SELECT (.+?) (FROM .+)", re.DOTALL),
    field_parameters=("fields",),
    # collections return 200 with the failed records inside, ingest jobs list them in a file
    failure_texts=(b'"success":false',),
    failure_paths=re.compile(r".*/failedResults"),
    leaks={
        "a token": re.compile(r"00D\w{12}!|5Aep861\w"),
        "a header with credentials": re.compile(r"(?im)(?:^|[\"'\s])x-sfdc-session[\"']?\s*:"),
        "a query locator": re.compile(rf"/query(All)?/(?!0r8{_PSEUDONYM})0\w{{14,17}}-\d"),
    },
)
