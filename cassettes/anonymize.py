"""Takes out of recorded calls whatever is a secret or a person's, the same way every time.

Nothing stays but what is known to be harmless: instants, small numbers, yes and no, the words of
the API itself, the options of the catalogs, and the words of the configuration. All else becomes a
stand-in. Calls are put in an order of their own first, so that equal traffic makes equal files.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import orjson

from cassettes.allowlist import ALLOWED_KEYS, ALLOWED_PHRASES, CATALOG_PATHS, SECRET_KEYS, VOLATILE
from cassettes.pseudonyms import Pseudonyms, is_salesforce_id

HUBSPOT_URL: Final = "https://api.hubapi.com"
SALESFORCE_URL: Final = "https://example.my.salesforce.com"
_TOKEN_URL: Final = f"{SALESFORCE_URL}/services/oauth2/token"
LOGIN_PATH: Final = re.compile(r"/(oauth2?|oauth)/(v\d+/)?token$")
REDACTED: Final = "scrubbed"

_ALLOWED_HEADERS: Final = re.compile(
    r"content-type|date|last-modified|retry-after|sforce-.*|x-hubspot-ratelimit-.*"
)
_ID_KEYS: Final = re.compile(r"(^|_|[a-z])(id|ids|vid|vids|Id|Ids|after|DIdentifier)$")
_NOT_ID_KEYS: Final = frozenset(("typeId", "associationTypeId", "objectTypeId", "message_id"))
_EMAIL: Final = re.compile(r"[^\s@<>\"',;:()\[\]]+@[\w-]+(\.[\w-]+)+")
_WORD: Final = re.compile(r"\w+")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?|1[4-9]\d{11}"
)
_OFFSET: Final = re.compile(r"Z$|[+-]\d\d:?\d\d$")
_LOCATOR: Final = re.compile(r"(0[1r]\w{13,16})(-\d+)")
"""Where a query goes on: what it is called in the account, and behind how many rows."""

_COLLECTION_ACTIONS: Final = ("batch", "search", "merge", "gdpr-delete")
"""What stands in a path of HubSpot where else a record does."""

_SMALL_NUMBER: Final = re.compile(r"[+-]?\d{0,6}(\.\d+)?|[+-]?\d(\.\d+)?E\d+")
_PHONE: Final = re.compile(r"[+(]?[\d\s()./x-]{6,}")
_LITERAL: Final = re.compile(r"'((?:\\.|[^'\\])*)'")
_NUMBER: Final = re.compile(r"\d+")
_BOOLEANS: Final = ("true", "false", "null", "")


@dataclass(frozen=True)
class RecordedCall:
    """One request and its answer, as plain as they came."""

    method: str
    url: str
    request_body: bytes
    status: int
    headers: dict[str, list[str]]
    response_body: bytes

    @property
    def path(self) -> str:
        """Give the path without the query."""
        return urlsplit(self.url).path


def anonymize(
    calls: Iterable[RecordedCall],
    allowed_words: Iterable[str],
    *,
    at: datetime,
    recorded_between: tuple[datetime, datetime],
) -> list[RecordedCall]:
    """Replace everything in the calls that is nobody's business; `kept` are words that may stay.

    What happened `during` the recording is said to have happened `at` one moment, so that the same
    calls make the same file tomorrow.
    """
    ordered = sorted(calls, key=lambda one: (one.path, one.method, one.url, one.request_body))
    words, ids, salesforce_ids = {*allowed_words, *ALLOWED_PHRASES}, set[int](), set[str]()
    for call in ordered:
        read = [
            _parse_json(call.response_body),
            _parse_json(call.request_body),
            dict(parse_qsl(urlsplit(call.url).query)),
        ]
        if CATALOG_PATHS.fullmatch(call.path):
            words |= set(_texts(read[0], ("value",)))
        ids |= {int(text) for one in read for text in _texts(one, ()) if text.isdecimal()}
        salesforce_ids |= {
            word
            for text in (call.url, call.request_body.decode(), call.response_body.decode())
            for word in _WORD.findall(text)
            if is_salesforce_id(word)
        }
    scrubber = _Anonymizer(Pseudonyms(words, ids, salesforce_ids), at, recorded_between)
    return [scrubber.call(one) for one in ordered]


def with_login(calls: list[RecordedCall]) -> list[RecordedCall]:
    """Let a cassette begin with the login that playing it back does, whichever was recorded.

    A login that was refused stays as it is.
    """
    rest = [one for one in calls if not (_is_login(one) and one.status == 200)]
    used = [one for one in rest if one.url.startswith(SALESFORCE_URL)]
    if not used or any(_is_login(one) for one in used):
        return rest
    token_response = {
        "access_token": REDACTED,
        "instance_url": SALESFORCE_URL,
        "token_type": "Bearer",
    }
    headers = {"content-type": ["application/json"]}
    return [
        RecordedCall("POST", _TOKEN_URL, b"", 200, headers, orjson.dumps(token_response)),
        *rest,
    ]


def _is_login(call: RecordedCall) -> bool:
    return call.url == _TOKEN_URL or call.path.startswith("/services/Soap/")


def _parse_json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _texts(value: Any, keys: tuple[str, ...], key: str = "") -> Iterator[str]:
    """Give the texts under some keys, or where none is named, under the keys of ids."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from _texts(inner, keys, name)
        case list():
            for inner in value:
                yield from _texts(inner, keys, key)
        case str() | int() if key in keys or (not keys and _is_id(key)):
            yield from re.split(r"[;:]", str(value))


def _is_id(key: str) -> bool:
    return _ID_KEYS.search(key) is not None and key not in _NOT_ID_KEYS


class _Anonymizer:
    """Scrubs call after call with one set of stand-ins."""

    def __init__(
        self, stand_ins: Pseudonyms, at: datetime, during: tuple[datetime, datetime]
    ) -> None:
        self._pseudonyms = stand_ins
        self._at = at.astimezone(UTC)
        self._began, self._ended = during

    def call(self, call: RecordedCall) -> RecordedCall:
        kept = {
            name.lower(): [self._header(name.lower(), one) for one in values]
            for name, values in sorted(call.headers.items())
            if _ALLOWED_HEADERS.fullmatch(name.lower())
        }
        is_csv = "text/csv" in "".join(kept.get("content-type", ()))
        in_catalog = CATALOG_PATHS.fullmatch(call.path) is not None
        return RecordedCall(
            method=call.method,
            url=self._url(call.url),
            request_body=self._sent(call),
            status=call.status,
            headers=kept,
            response_body=self._body(call.response_body, in_catalog=in_catalog, is_csv=is_csv),
        )

    def _header(self, name: str, value: str) -> str:
        match name:
            case "sforce-locator":
                return self._text_value(value, "locator")
            case "date":
                return format_datetime(
                    self._fixed_instant(parsedate_to_datetime(value)), usegmt=True
                )
        return value

    def _sent(self, call: RecordedCall) -> bytes:
        if LOGIN_PATH.search(call.path):
            return b""
        is_csv = call.path.endswith("/batches")
        return self._body(call.request_body, in_catalog=False, is_csv=is_csv)

    def _body(self, body: bytes, *, in_catalog: bool, is_csv: bool) -> bytes:
        if not body:
            return body
        if is_csv:
            return self._csv(body.decode()).encode()
        read = _parse_json(body)
        if read is None:
            # the page of a proxy, or what a client cut off: nothing reads it
            return REDACTED.encode()
        return orjson.dumps(self._value(read, "", in_catalog=in_catalog))

    def _value(self, value: Any, key: str, *, in_catalog: bool, inner: bool = False) -> Any:
        """Scrub what stands under a key; `inner` where the keys are names of properties."""
        match value:
            case dict():
                inner = (
                    key in ("properties", "propertiesWithHistory", "values")
                    or "attributes" in value
                )
                where = str(value.get("propertyName") or value.get("name") or "")
                return {
                    name: self._value(
                        one,
                        where if name in ("value", "values", "highValue") and where else name,
                        in_catalog=in_catalog,
                        inner=inner,
                    )
                    for name, one in value.items()
                }
            case list():
                return [self._value(one, key, in_catalog=in_catalog, inner=inner) for one in value]
            case bool() | None | float():
                return value
            case int():
                return self._pseudonyms.id(value) if _is_id(key) else value
            case _ if in_catalog and key not in SECRET_KEYS:
                return self._fragments(value)
            case _ if not inner and key in ALLOWED_KEYS:
                return value
            case _:
                return self._text_value(value, key)

    def _text_value(self, text: str, key: str) -> str:
        """Scrub one text by what it looks like."""
        bare = text.strip()
        if key in SECRET_KEYS:
            return REDACTED
        if key in VOLATILE:
            return VOLATILE[key]
        if bare.lower() in _BOOLEANS or self._pseudonyms.is_allowed(bare):
            return text
        if _is_id(key) and all(part.isdecimal() for part in re.split("[;:]", bare)):
            return _NUMBER.sub(lambda found: str(self._pseudonyms.id(int(found[0]))), text)
        if _INSTANT.fullmatch(bare):
            return self._instant(text, bare)
        if _SMALL_NUMBER.fullmatch(bare):
            return text
        if key in ("domain", "hs_email_domain") and "." in bare:
            return self._pseudonyms.domain(text)
        return self._by_shape(text, bare)

    def _fixed_instant(self, read: datetime) -> datetime:
        """Give any moment of the recording as one and the same, and another as it is."""
        return self._at if self._began <= read <= self._ended else read.astimezone(UTC)

    def _instant(self, text: str, bare: str) -> str:
        if bare.isdecimal():
            read = datetime.fromtimestamp(int(bare) / 1000, UTC)
            return (
                text if self._fixed_instant(read) == read else str(int(self._at.timestamp() * 1000))
            )
        _, _, time = bare.replace(" ", "T").partition("T")
        if not time:
            return text
        offset = _OFFSET.search(time)
        read = datetime.fromisoformat(bare if offset else f"{bare}Z")
        if self._fixed_instant(read) == read:
            return text
        return f"{self._at:%Y-%m-%dT%H:%M:%S}.000{offset[0] if offset else ''}"

    def _by_shape(self, text: str, bare: str) -> str:
        stand_ins = self._pseudonyms
        if is_salesforce_id(bare):
            return stand_ins.salesforce_id(bare)
        if _UUID.fullmatch(bare):
            return stand_ins.uuid(bare)
        if bare.startswith(("http://", "https://")):
            return self._url(bare)
        if bare.startswith(("/services/", "services/")):
            scrubbed = self._url(f"/{bare.lstrip('/')}").removeprefix(SALESFORCE_URL)
            return scrubbed if bare.startswith("/") else scrubbed[1:]
        if _PHONE.fullmatch(bare):
            return stand_ins.phone(text)
        return ";".join(self._text(part) for part in text.split(";"))

    def _text(self, text: str) -> str:
        if not text.strip() or self._pseudonyms.is_allowed(text):
            return text
        is_address = _EMAIL.fullmatch(text.strip())
        return self._pseudonyms.email(text) if is_address else self._pseudonyms.text(text)

    def _fragments(self, text: str) -> str:
        """Scrub what stands out in a text that is otherwise harmless."""
        text = _EMAIL.sub(lambda found: self._pseudonyms.email(found[0]), text)
        text = _UUID.sub(lambda found: self._text_value(found[0], ""), text)
        text = _LITERAL.sub(lambda found: f"'{self._text_value(found[1], '')}'", text)
        return _WORD.sub(lambda found: self._pseudonyms.salesforce_id(found[0]), text)

    def _url(self, url: str) -> str:
        parts = urlsplit(url)
        query = [(name, self._parameter(name, one)) for name, one in parse_qsl(parts.query, True)]
        host = self._host(parts.netloc, parts.path)
        path = "/".join(self._segments(parts.path.split("/"), is_ours=bool(host)))
        netloc = host or f"https://{self._pseudonyms.domain(parts.hostname or '')}"
        return urlunsplit(("", "", netloc + path, urlencode(query), ""))

    def _host(self, netloc: str, path: str) -> str | None:
        """Name the vendor's host for what is a call of an API; None for anybody's page."""
        if path.startswith("/services/"):
            return SALESFORCE_URL
        if re.match(r"/(crm|oauth|account-info|email|events|form|marketing)", path):
            return HUBSPOT_URL
        if netloc in ("app.hubspot.com", "login.salesforce.com", "developers.hubspot.com"):
            return f"https://{netloc}"
        return SALESFORCE_URL if netloc.endswith(".salesforce.com") or not path.strip("/") else None

    def _segments(self, segments: list[str], *, is_ours: bool) -> Iterator[str]:
        for at, segment in enumerate(segments):
            plain = unquote(segment)
            before = dict(enumerate(reversed(segments[:at]), 1))
            holds_value = before.get(3) == "sobjects" or (
                before.get(2) == "objects" and plain not in _COLLECTION_ACTIONS
            )
            if holds_value and not plain.isdecimal():
                yield quote(self._text_value(plain, "id"), safe="@+")
            else:
                yield self._segment(plain if is_ours else segment, is_ours=is_ours)

    def _segment(self, segment: str, *, is_ours: bool) -> str:
        if locator := _LOCATOR.fullmatch(segment):
            return f"{self._pseudonyms.locator(locator[1])}{locator[2]}"
        if segment.isdecimal():
            return str(self._pseudonyms.id(int(segment)))
        if _UUID.fullmatch(segment):
            return self._text_value(segment, "id")
        return self._fragments(segment) if is_ours or not segment else self._text(segment)

    def _parameter(self, name: str, value: str) -> str:
        if name in ALLOWED_KEYS or name == "limit":
            return value
        return self._fragments(value) if name == "q" else self._text_value(value, name)

    def _csv(self, text: str) -> str:
        rows = csv.reader(io.StringIO(text, newline=""))
        names = next(rows)
        lines = io.StringIO(newline="")
        writer = csv.writer(lines, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(names)
        for row in rows:
            writer.writerow(
                [self._text_value(one, name) for one, name in zip(row, names, strict=True)]
            )
        return lines.getvalue()
