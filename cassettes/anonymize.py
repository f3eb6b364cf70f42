"""Replace every secret and all personal data in recorded calls, the same way each time.

A text stays only if it is known to be harmless: a time, a number of up to three digits, a boolean,
a word of the API, an option of a catalog, or a word of the configuration. All others become
pseudonyms, also where a name of the API is expected: as a key, a column, a part of a path or a
query. A body that cannot be read is replaced whole. The calls are sorted first, so that equal
traffic gives equal files.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from itertools import chain, repeat
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import orjson

from cassettes.allowlist import SECRET_KEYS, Allowlist, allowlist
from cassettes.pseudonyms import FIRST_ID, Pseudonyms

LOGIN_PATH: Final = re.compile(r"/(oauth2?|oauth)/((v\d+|\d{4}-\d{2})/)?token$")
REDACTED: Final = "scrubbed"
_API_DATE: Final = re.compile(r"\d{4}-\d{2}")

_HTTP_HEADERS: Final = re.compile(r"content-type|date|last-modified|retry-after")
_ID_KEYS: Final = re.compile(r"(^|_|[a-z])(id|ids|Id|Ids)$")
_EMAIL: Final = re.compile(r"[^\s@<>\"',;:()\[\]]+@[\w-]+(\.[\w-]+)+")
_WORD: Final = re.compile(r"\w+")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?|1[4-9]\d{11}"
)
_OFFSET: Final = re.compile(r"Z$|[+-]\d\d:?\d\d$")
_SMALL_NUMBER: Final = re.compile(r"[+-]?\d{0,3}(\.\d{1,2})?", re.ASCII)
_ANY_NUMBER: Final = re.compile(r"[+-]?\d*\.?\d*(E[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_CODE: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
_QUERY_PART: Final = re.compile(
    r"'(?:\\.|[^'\\])*'|\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?"
    rf"|{_EMAIL.pattern}|\w+"
)
_QUERY_START: Final = re.compile(r"\s*SELECT\s", re.IGNORECASE)
_QUERY_WORDS: Final = frozenset(
    (
        *("select", "from", "where", "and", "or", "not", "in", "like", "order", "by", "asc"),
        *("desc", "nulls", "first", "last", "limit", "offset", "group", "having", "count", "all"),
    )
)
_MEDIA_TYPE: Final = re.compile(
    r"(application/(problem\+)?json|text/(csv|html|plain|xml)|application/xml)"
    r"(; ?charset=(utf-8|iso-8859-1|utf-16))?",
    re.IGNORECASE,
)
_USAGE: Final = re.compile(r"[a-z-]+=\d+/\d+")
_MAX_ID_DIGITS: Final = 19
_MAX_LIMIT_DIGITS: Final = 5
_PHONE: Final = re.compile(r"[+(]?[\d\s()./x-]{6,}")
_LITERAL: Final = re.compile(r"'((?:\\.|[^'\\])*)'")
_NUMBER: Final = re.compile(r"\d+")
_BOOLEANS: Final = ("true", "false", "null", "")


@dataclass(frozen=True)
class RecordedCall:
    """One request and its response, before or after anonymisation."""

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
    """Replace every secret and all personal data in the calls, except `allowed_words`.

    Each time stamp within `recorded_between` becomes `at`, so that the same calls recorded
    tomorrow give the same file.
    """
    allowed = allowlist()
    ordered = sorted(calls, key=lambda call: (call.path, call.method, call.url, call.request_body))
    allowed_words = set(allowed_words)
    words, ids, texts = {*allowed_words, *allowed.phrases}, set[int](), set[str]()
    names = {part for word in allowed_words for part in _WORD.findall(word)}
    for call in ordered:
        response = _parse_json(call.response_body)
        contents = [
            response,
            _parse_json(call.request_body),
            dict(parse_qsl(urlsplit(call.url).query)),
        ]
        if allowed.is_catalog_path(call.path):
            words |= set(_texts_of(response, lambda key: key == "value"))
            names |= set(_texts_of(response, lambda key: key in allowed.catalog_name_keys))
        numbers = (text for content in contents for text in _texts_of(content, _is_id_key))
        ids |= {int(text) for text in numbers if _is_number_of_id(text)}
        for body in (call.url.encode(), call.request_body, call.response_body):
            texts.update(_WORD.findall(body.decode(errors="replace")))
    pseudonyms = Pseudonyms(words, ids, _text_ids(texts, allowed))
    anonymizer = _Anonymizer(allowed, pseudonyms, names, at, recorded_between)
    return [anonymizer.call(call) for call in ordered]


def with_login(calls: list[RecordedCall]) -> list[RecordedCall]:
    """Put the login that a replay makes in front, in place of the recorded one.

    A login that failed stays as it is.
    """
    for rules in allowlist().rules:
        if login := rules.login:
            logins = [call for call in calls if login.paths.match(call.path)]
            calls = [call for call in calls if call not in logins or call.status != 200]
            has_calls = any(call.url.startswith(rules.url) for call in calls)
            if has_calls and all(call.status == 200 for call in logins):
                body = orjson.dumps({"access_token": REDACTED, **login.response})
                headers = {"content-type": ["application/json"]}
                url = rules.url + login.path
                calls = [RecordedCall("POST", url, b"", 200, headers, body), *calls]
    return calls


def _text_ids(texts: Iterable[str], allowed: Allowlist) -> dict[str, str]:
    """Give the ids among the texts, and the pseudonym of each."""
    pseudonyms: dict[str, str] = {}
    for rules in allowed.rules:
        if record_ids := rules.record_ids:
            ids = sorted(text for text in texts if record_ids.is_id(text))
            pseudonyms |= {id: record_ids.pseudonym(id, n) for n, id in enumerate(ids, FIRST_ID)}
    return pseudonyms


def _is_number_of_id(text: str) -> bool:
    # Python refuses to read a number of thousands of digits
    return text.isdecimal() and len(text) <= _MAX_ID_DIGITS


def _parse_json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _texts_of(value: Any, is_wanted: Callable[[str], bool], key: str = "") -> Iterator[str]:
    """Give the texts and numbers under the wanted keys, each part of a list in one text."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from _texts_of(inner, is_wanted, name)
        case list():
            for inner in value:
                yield from _texts_of(inner, is_wanted, key)
        case str() | int() if is_wanted(key):
            yield from re.split(r"[;:]", str(value))


def _is_id_key(key: str) -> bool:
    rules = allowlist().rules
    is_id = _ID_KEYS.search(key) or any(crm.id_keys.search(key) for crm in rules)
    return bool(is_id) and not any(key in crm.other_id_keys for crm in rules)


class _Anonymizer:
    """Anonymises one call after the other with one set of pseudonyms."""

    def __init__(
        self,
        allowed: Allowlist,
        pseudonyms: Pseudonyms,
        names: Iterable[str],
        at: datetime,
        recorded_between: tuple[datetime, datetime],
    ) -> None:
        self._allowed = allowed
        self._pseudonyms = pseudonyms
        self._names = {name.lower() for name in names} | _QUERY_WORDS
        self._at = at.astimezone(UTC)
        self._started_at, self._ended_at = recorded_between

    def call(self, call: RecordedCall) -> RecordedCall:
        headers = {
            name.lower(): [self._header(name.lower(), value) for value in values]
            for name, values in sorted(call.headers.items())
            if self._is_allowed_header(name.lower())
        }
        is_csv = "text/csv" in "".join(headers.get("content-type", ()))
        in_catalog = self._allowed.is_catalog_path(call.path)
        return RecordedCall(
            method=call.method,
            url=self._url(call.url),
            request_body=self._request_body(call),
            status=call.status,
            headers=headers,
            response_body=self._body(call.response_body, in_catalog=in_catalog, is_csv=is_csv),
        )

    def _is_allowed_header(self, name: str) -> bool:
        patterns = (_HTTP_HEADERS, *(rules.headers for rules in self._allowed.rules))
        return any(pattern.fullmatch(name) for pattern in patterns)

    def _header(self, name: str, value: str) -> str:
        if name in ("date", "last-modified", "retry-after"):
            try:
                date = self._fixed_time(parsedate_to_datetime(value).astimezone(UTC))
                return format_datetime(date, usegmt=True)
            except ValueError:
                pass  # `Retry-After: 10`, or no date: a text like any other
        if any(name in rules.opaque_headers for rules in self._allowed.rules):
            return self._text_value(value, "locator")
        is_harmless = (
            _MEDIA_TYPE.fullmatch(value)
            or _USAGE.fullmatch(value)
            or (name != "content-type" and value.isdecimal() and len(value) <= 7)
        )
        return value if is_harmless else self._text_value(value, "")

    def _request_body(self, call: RecordedCall) -> bytes:
        if LOGIN_PATH.search(call.path):
            return b""
        is_csv = any(rules.csv_paths.fullmatch(call.path) for rules in self._allowed.rules)
        return self._body(call.request_body, in_catalog=False, is_csv=is_csv)

    def _body(self, body: bytes, *, in_catalog: bool, is_csv: bool) -> bytes:
        if not body:
            return body
        if is_csv:
            try:
                return self._csv(body.decode()).encode()
            except (ValueError, csv.Error):
                return REDACTED.encode()
        content = _parse_json(body)
        if content is None:
            # an HTML page of a proxy, a SOAP login, or an incomplete body: a replay needs none
            return REDACTED.encode()
        try:
            return orjson.dumps(self._value(content, "", in_catalog=in_catalog))
        except RecursionError:
            return REDACTED.encode()

    def _value(self, value: Any, key: str, *, in_catalog: bool, in_record: bool = False) -> Any:
        """Anonymise the value of a key; `in_record` if the keys are names of properties."""
        match value:
            case dict():
                return self._dict(value, key, in_catalog=in_catalog)
            case list():
                return [
                    self._value(item, key, in_catalog=in_catalog, in_record=in_record)
                    for item in value
                ]
            case bool() | None:
                return value
            case int() if _is_id_key(key):
                return self._pseudonyms.id(value)
            case int() | float():
                is_count = in_catalog or (key in self._allowed.count_keys and 0 <= value < 10**7)
                return value if is_count else self._number(value)
            case _ if in_catalog and key not in SECRET_KEYS:
                return self._literals(value)
            case _ if not in_record and key in self._allowed.keys:
                return self._api_word(value)
            case _ if not in_record and key in self._allowed.query_keys:
                return self._query(value)
            case _:
                return self._text_value(value, key)

    def _dict(self, values: dict[str, Any], key: str, *, in_catalog: bool) -> dict[str, Any]:
        rules = self._allowed.rules
        in_record = any(key in crm.property_keys or crm.record_key in values for crm in rules)
        # {"propertyName": "email", "value": ...}: the value is one of the property `email`
        names = (str(values.get(name) or "") for crm in rules for name in crm.name_keys)
        property_name = next(filter(None, names), "")
        value_keys = {name for crm in rules for name in crm.value_keys}
        return {
            self._name(name): self._value(
                value,
                property_name if property_name and name in value_keys else name,
                in_catalog=in_catalog,
                in_record=in_record,
            )
            for name, value in values.items()
        }

    def _name(self, text: str) -> str:
        """Keep a text at the place of a name if each word of it is one of the API or a field."""
        if text in self._allowed.volatile or text in SECRET_KEYS or self._is_known(text):
            return text
        if _is_number_of_id(text):
            return str(self._pseudonyms.id(int(text)))
        return self._by_format(text, text.strip())

    def _api_word(self, text: str) -> str:
        """Keep words of the API and codes of errors; a list of them is separated by commas."""
        is_harmless = self._pseudonyms.is_allowed(text) or _CODE.fullmatch(text)
        if is_harmless or self._is_known(text):
            return text
        return ",".join(self._name(part) for part in text.split(","))

    def _is_known(self, text: str) -> bool:
        return self._pseudonyms.is_allowed(text) or all(
            part in self._names or part in self._allowed.source_words or _is_short(part)
            for part in _WORD.findall(text.lower())
        )

    def _query(self, text: str) -> str:
        """Keep the names of a SOQL query, and replace its values; replace any other text whole."""
        if not _QUERY_START.match(text):
            return self._text_value(text, "")
        return _QUERY_PART.sub(lambda part: self._query_part(part[0]), text)

    def _query_part(self, part: str) -> str:
        if part.startswith("'"):
            return f"'{self._text_value(part[1:-1], '')}'"
        if _TIMESTAMP.fullmatch(part):
            return self._text_value(part, "")
        if _ANY_NUMBER.fullmatch(part):
            # LIMIT 2000 is a number of rows, and smaller than what a person has as a number
            return part if len(part) <= _MAX_LIMIT_DIGITS else self._pseudonyms.number(part)
        return part if self._is_known(part) else self._by_format(part, part)

    def _number(self, value: float) -> float:
        text = str(value)
        is_kept = _SMALL_NUMBER.fullmatch(text) or _TIMESTAMP.fullmatch(text)
        if is_kept:
            return value
        pseudonym = self._pseudonyms.number(text)
        return int(pseudonym) if isinstance(value, int) else float(pseudonym)

    def _text_value(self, text: str, key: str) -> str:
        """Anonymise the text of a key by what the text looks like."""
        stripped = text.strip()
        if key in SECRET_KEYS:
            return REDACTED
        if key in self._allowed.volatile:
            return self._allowed.volatile[key]
        if stripped.lower() in _BOOLEANS or self._pseudonyms.is_allowed(stripped):
            return text
        if _is_id_key(key) and all(map(_is_number_of_id, re.split("[;:]", stripped))):
            return _NUMBER.sub(lambda number: str(self._pseudonyms.id(int(number[0]))), text)
        if _TIMESTAMP.fullmatch(stripped) and (time := self._timestamp(text, stripped)):
            return time
        if _SMALL_NUMBER.fullmatch(stripped):
            return text
        if _ANY_NUMBER.fullmatch(stripped):
            return self._pseudonyms.number(text)
        if "." in stripped and any(key in rules.domain_keys for rules in self._allowed.rules):
            return self._pseudonyms.domain(text)
        return self._by_format(text, stripped)

    def _fixed_time(self, time: datetime) -> datetime:
        """Replace each time of the recording with the same one; keep all others."""
        return self._at if self._started_at <= time <= self._ended_at else time.astimezone(UTC)

    def _timestamp(self, text: str, stripped: str) -> str | None:
        """Replace a time of the recording; None: `0000-00-00` looks like a time and is none."""
        if stripped.isdecimal():
            time = datetime.fromtimestamp(int(stripped) / 1000, UTC)
            is_same = self._fixed_time(time) == time
            return text if is_same else str(int(self._at.timestamp() * 1000))
        _, _, clock = stripped.replace(" ", "T").partition("T")
        offset = _OFFSET.search(clock)
        try:
            time = datetime.fromisoformat(stripped if offset or not clock else f"{stripped}Z")
            time = time.astimezone(UTC) if clock else time
        except (ValueError, OverflowError):
            return None
        if not clock:
            return text
        if self._fixed_time(time) == time:
            return text
        return f"{self._at:%Y-%m-%dT%H:%M:%S}.000{offset[0] if offset else ''}"

    def _by_format(self, text: str, stripped: str) -> str:
        pseudonyms = self._pseudonyms
        if (id := pseudonyms.text_id(stripped)) != stripped:
            return id
        if _UUID.fullmatch(stripped):
            return pseudonyms.uuid(stripped)
        if stripped.startswith(("http://", "https://")):
            try:
                return self._url(stripped)
            except ValueError:
                return pseudonyms.text(text)  # `http://[` is no URL
        for rules in self._allowed.rules:
            links = rules.relative_links
            if links and stripped.startswith((links, links[1:])):
                link = self._url(f"/{stripped.lstrip('/')}").removeprefix(rules.url)
                return link if stripped.startswith("/") else link[1:]
        if _PHONE.fullmatch(stripped):
            return pseudonyms.phone(text)
        return ";".join(self._text(part) for part in text.split(";"))

    def _text(self, text: str) -> str:
        if not text.strip() or self._pseudonyms.is_allowed(text):
            return text
        is_address = _EMAIL.fullmatch(text.strip())
        return self._pseudonyms.email(text) if is_address else self._pseudonyms.text(text)

    def _literals(self, text: str) -> str:
        """Anonymise the addresses, ids and quoted literals in a text that is otherwise harmless."""
        text = _EMAIL.sub(lambda match: self._pseudonyms.email(match[0]), text)
        text = _UUID.sub(lambda match: self._text_value(match[0], ""), text)
        text = _LITERAL.sub(lambda match: f"'{self._text_value(match[1], '')}'", text)
        return _WORD.sub(lambda match: self._pseudonyms.text_id(match[0]), text)

    def _url(self, url: str) -> str:
        parts = urlsplit(url)
        parameters = parse_qsl(parts.query, keep_blank_values=True)
        query = [(self._name(name), self._parameter(name, value)) for name, value in parameters]
        host = self._api_url(parts.netloc, parts.path)
        path = "/".join(self._segments(parts.path.split("/"), is_api=bool(host)))
        netloc = host or f"https://{self._pseudonyms.domain(parts.hostname or '')}"
        return urlunsplit(("", "", netloc + path, urlencode(query), ""))

    def _api_url(self, netloc: str, path: str) -> str | None:
        """Give the CRM's URL for a call of its API or one of its pages; None for other URLs."""
        rules = self._allowed.rules
        for crm in rules:
            if crm.paths.match(path):
                return crm.url
        if any(netloc in crm.public_hosts for crm in rules):
            return f"https://{netloc}"
        for crm in rules:
            if crm.hosts.fullmatch(netloc) or (crm.has_bare_url and not path.strip("/")):
                return crm.url
        return None

    def _segments(self, segments: list[str], *, is_api: bool) -> Iterator[str]:
        for index, segment in enumerate(segments):
            plain = unquote(segment)
            if self._is_value(segments[:index], plain) and not plain.isdecimal():
                yield quote(self._text_value(plain, "id"), safe="@+")
            else:
                yield self._segment(plain if is_api else segment, is_api=is_api)

    def _is_value(self, before: list[str], segment: str) -> bool:
        """Return whether a segment is a value of a record: an id, an address, an external id."""
        # the date of an API version may stand between: /crm/objects/2026-09/contacts/ID
        before = [one for one in before if not _API_DATE.fullmatch(one)]
        return any(
            len(before) >= distance
            and before[-distance] == name
            and segment not in rules.path_actions
            for rules in self._allowed.rules
            for name, distance in rules.value_segments.items()
        )

    def _segment(self, segment: str, *, is_api: bool) -> str:
        for rules in self._allowed.rules:
            if cursor := rules.cursor.fullmatch(segment):
                return f"{self._pseudonyms.cursor(cursor[1], rules.cursor_prefix)}{cursor[2]}"
        if segment.isdecimal():
            is_id = len(segment) <= _MAX_ID_DIGITS
            return str(self._pseudonyms.id(int(segment))) if is_id else REDACTED
        if _UUID.fullmatch(segment):
            return self._text_value(segment, "id")
        if not segment or (is_api and self._is_known(segment)):
            return segment
        return quote(self._by_format(segment, segment.strip()), safe="@+")

    def _parameter(self, name: str, value: str) -> str:
        if name in self._allowed.keys:
            return self._api_word(value)
        if name in self._allowed.count_keys and value.isdecimal() and len(value) <= 7:
            return value
        is_query = any(name in rules.query_parameters for rules in self._allowed.rules)
        return self._query(value) if is_query else self._text_value(value, name)

    def _csv(self, text: str) -> str:
        rows = csv.reader(io.StringIO(text, newline=""))
        names = next(rows, [])
        lines = io.StringIO(newline="")
        writer = csv.writer(lines, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow([self._name(name) for name in names])
        for row in rows:
            # an answer that was cut ends with a short row; a long row has values without a name
            values = zip(row, chain(names, repeat("")), strict=False)
            writer.writerow([self._text_value(value, name) for value, name in values])
        return lines.getvalue()


def _is_short(part: str) -> bool:
    """Return whether a part of a name is a number of a version or of an object type."""
    return bool(re.fullmatch(r"v?\d{1,3}|20\d\d", part, re.ASCII))
