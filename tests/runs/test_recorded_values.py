"""A recording leaks no value, whatever its place, form and encoding, and never dies of one."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cassettes import replay
from cassettes.anonymize import RecordedCall
from cassettes.recorder import Recording, _decompressed
from config.loader import load_configuration
from connectors.retry import no_sleep
from errors import ConfigError
from run_helpers import configured_sandbox, outcome_counts, run_sync
from sandbox.faults import Fault

AT = datetime(2026, 3, 1, tzinfo=UTC)
HUBSPOT = "https://api.hubapi.com/crm/v3/objects/contacts"
SALESFORCE = "https://acme.my.salesforce.com/services/data/v60.0"
CALL = RecordedCall("POST", HUBSPOT, b"", 200, {"content-type": ["application/json"]}, b"{}")
CSV_CALL = replace(
    CALL,
    url=f"{SALESFORCE}/jobs/ingest/7505g00000XyZ12AAA/batches",
    headers={"content-type": ["text/csv"]},
)


def body(value: Any) -> RecordedCall:
    return replace(CALL, response_body=json.dumps(value).encode())


def number(text: str) -> Any:
    return json.loads(text)


MARKERS = st.sampled_from(["Zyxmarker", "Zyx Mårker", "zyx.marker@corp.test", "ZYXMARKER", "Жук"])
NUMBERS = st.from_regex(r"[1-9][0-9]{6,40}(\.[0-9]{3,9})?", fullmatch=True).filter(
    # thirteen digits from 14 on are an instant in milliseconds: instants stay
    lambda text: not (len(text) == 13 and text[:1] == "1")
)

PLACES = {
    "a property": lambda marker: body({"results": [{"id": "1", "properties": {"city": marker}}]}),
    "a key": lambda marker: body({"errors": {marker: "invalid"}}),
    "a key of a record": lambda marker: body({"properties": {marker: "1"}}),
    "a nested key": lambda marker: body({"context": [{"ids": {marker: {marker: [marker]}}}]}),
    "a word of the API": lambda marker: body({"category": marker, "label": marker}),
    "an error": lambda marker: body([{"message": marker, "errorCode": marker, "fields": [marker]}]),
    "a sent key": lambda marker: replace(CALL, request_body=json.dumps({marker: 1}).encode()),
    "a sent value": lambda marker: replace(CALL, request_body=json.dumps([marker]).encode()),
    "a sent query": lambda marker: replace(
        CALL,
        request_body=json.dumps({"query": f"SELECT Id FROM Lead WHERE City = {marker}"}).encode(),
    ),
    "a path": lambda marker: replace(CALL, url=f"{HUBSPOT}/{quote(marker)}/{quote(marker)}"),
    "a parameter": lambda marker: replace(CALL, url=f"{HUBSPOT}?{quote(marker)}={quote(marker)}"),
    "a list of fields": lambda marker: replace(
        CALL, url=f"{HUBSPOT}?properties=email,{quote(marker)}"
    ),
    "SOQL": lambda marker: replace(
        CALL, url=f"{SALESFORCE}/query?q=SELECT+Id+FROM+Lead+WHERE+Name='{quote(marker)}'"
    ),
    "an open quote": lambda marker: replace(
        CALL, url=f"{SALESFORCE}/query?q=SELECT+Id+FROM+Lead+WHERE+Name='{quote(marker)}"
    ),
    "SOSL": lambda marker: replace(
        CALL, url=f"{SALESFORCE}/search?q=FIND+%7B{quote(marker)}%7D+RETURNING+Lead(Id)"
    ),
    "a known header": lambda marker: replace(
        CALL,
        headers={
            name: [marker.encode().decode("latin-1")]
            for name in ("date", "retry-after", "content-type", "sforce-limit-info")
        },
    ),
    "a media type": lambda marker: replace(
        CALL, headers={"content-type": [f'application/json; name="{quote(marker)}"']}
    ),
    "an unknown header": lambda marker: replace(CALL, headers={"x-note": [quote(marker)]}),
    "a CSV header": lambda marker: replace(CSV_CALL, response_body=f"Id,{marker}\n1,2\n".encode()),
    "a CSV row": lambda marker: replace(CSV_CALL, response_body=f"Id,City\n1,{marker}\n".encode()),
    "a short row": lambda marker: replace(CSV_CALL, response_body=f"Id,A,B\n{marker}\n".encode()),
    "a long row": lambda marker: replace(CSV_CALL, request_body=f"Id\n1,2,{marker}\n".encode()),
    "an open CSV quote": lambda marker: replace(CSV_CALL, request_body=f'Id\n"{marker}'.encode()),
    "an id of CSV": lambda marker: replace(CSV_CALL, request_body=f"OwnerId\n{marker}\n".encode()),
    "a form": lambda marker: replace(CALL, request_body=f"name={marker}".encode()),
    "multipart": lambda marker: replace(
        CALL, request_body=f'--x\r\nContent-Disposition: form-data; name="{marker}"'.encode()
    ),
    "a page": lambda marker: replace(CALL, response_body=f"<p>{marker}</p>".encode()),
    "gzip": lambda marker: replace(
        CALL,
        response_body=_decompressed({"body": {"string": gzip.compress(marker.encode())}}),
    ),
    "a cut gzip": lambda marker: replace(
        CALL,
        response_body=_decompressed({"body": {"string": gzip.compress(marker.encode())[:-4]}}),
    ),
    **{
        f"{kind} in {encoding}": lambda marker, call=call, encoding=encoding: replace(
            call, response_body=f"Id,{marker}\n1,{marker}".encode(encoding, errors="replace")
        )
        for encoding in ("latin-1", "utf-16", "utf-16-le", "utf-32", "cp1251")
        for kind, call in (("text", CALL), ("CSV", CSV_CALL))
    },
}
NUMBER_PLACES = {
    "a number": lambda text: body({"properties": {"a": number(text)}}),
    "a number of the answer": lambda text: body({"a": number(text), "b": [number(text)]}),
    "a text": lambda text: body({"properties": {"phone": text, "city": text}}),
    "an id": lambda text: body({"id": number(text), "ownerId": text}),
    **{
        name: PLACES[name]
        for name in ("a key", "a path", "a parameter", "a CSV row", "an id of CSV", "SOQL")
    },
}


def stored_text(call: RecordedCall, folder: Path) -> str:
    """Store one call, and return all that stands in its cassette, without escapes."""
    path = folder / "planted.json"
    Recording(calls=[call]).save(path, allowed_words=(), at=AT)
    return f"{path.read_text()}{json.loads(path.read_text())}".lower()


@pytest.mark.parametrize("place", PLACES)
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(marker=MARKERS)
def test_a_marker_is_never_stored(place: str, marker: str, tmp_path: Path) -> None:
    """As text, quoted as in a URL, and with characters of another encoding."""
    stored = stored_text(PLACES[place](marker), tmp_path)

    for spelling in (marker, quote(marker), marker.encode().decode("latin-1"), *marker.split(" ")):
        assert spelling.lower() not in stored
    assert "\0".join(marker.lower()) not in stored


@pytest.mark.parametrize("place", NUMBER_PLACES)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=NUMBERS)
def test_a_number_of_any_size_is_never_stored(place: str, text: str, tmp_path: Path) -> None:
    """A telephone number, a postcode, a coordinate, a salary; up to three digits may stay."""
    stored = stored_text(NUMBER_PLACES[place](text), tmp_path)
    envelope = stored_text(CALL, tmp_path)

    assert text not in stored.replace(envelope, "")


@pytest.mark.parametrize(
    "value",
    [
        *("0000-00-00 00:00:00", "0000-00-00", "2026-13-45T99:99:99Z", "0001-01-01 00:00:00+14:00"),
        *(
            "9" * 5000,
            "-",
            ".",
            "1e999999",
            "\x00",
            "\ud800",
            "١٢٣٤٥٦",
            "²",
            ";;;",
            "'",
            "http://[",
        ),
    ],
)
@pytest.mark.parametrize("key", ["city", "id", "createdAt", "after", "domain"])
def test_no_value_ends_a_recording(key: str, value: str, tmp_path: Path) -> None:
    """Such values stand in real records."""
    body = json.dumps({"results": [{"id": value, "properties": {key: value}, key: value}]})
    path = tmp_path / "odd.json"
    call = replace(CALL, response_body=body.encode(), request_body=body.encode())

    assert Recording(calls=[call]).save(path, allowed_words=(), at=AT) == 1


def test_a_finding_of_the_scan_leaves_no_file(tmp_path: Path) -> None:
    """The scan comes before the file: what it finds was never on the disk."""
    path = tmp_path / "leak.json"
    calls = [replace(CALL, method="Bearer x")]

    with pytest.raises(ConfigError, match="no cassette was stored"):
        Recording(calls=calls).save(path, allowed_words=(), at=AT)

    assert not path.exists()


def test_a_cassette_is_for_its_owner_only(tmp_path: Path) -> None:
    """Its folder too."""
    path = tmp_path / "folder" / "one.json"
    Recording(calls=[CALL]).save(path, allowed_words=(), at=AT)

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def fail_after_a_call(url: str) -> None:
    requests.get(f"{url}/nowhere", timeout=5)
    raise ConfigError("the true error")


def test_a_cassette_that_cannot_be_stored_hides_no_error(tmp_path: Path) -> None:
    """The error of the run is the one that an admin must see."""
    notes: list[str] = []
    (tmp_path / "file").touch()
    with (
        configured_sandbox(tmp_path, people=3) as sandbox,
        pytest.raises(ConfigError, match="the true error"),
        replay.record_failures(load_configuration(), notes.append, tmp_path / "file"),
    ):
        fail_after_a_call(sandbox.url)

    assert notes == ["the failed calls were not saved: FileExistsError"]


@pytest.mark.long
def test_recording_changes_nothing_about_a_run(tmp_path: Path) -> None:
    """HubSpot refuses a batch: the same records are quarantined, the others are written."""
    counts = []
    for name in ("plain", "recorded"):
        folder = tmp_path / name
        folder.mkdir()
        with configured_sandbox(folder, people=20) as sandbox, no_sleep():
            refusal = {"message": "no", "category": "VALIDATION_ERROR"}
            sandbox.faults.plan(Fault(path="/batch/update", status=400, body=refusal, times=1))
            if name == "plain":
                report = run_sync()
            else:
                with replay.record_failures(load_configuration(), print, folder):
                    report = run_sync()
            counts.append(outcome_counts(report))

    assert counts[0] == counts[1]
    assert sum(counts[0].values()) > 0
    assert list((tmp_path / "recorded").glob("refused-*.json"))
