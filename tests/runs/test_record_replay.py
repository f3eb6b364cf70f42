"""A cassette has no personal data, and its replay makes the same decisions as its recording."""

import json
import random
import re
import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import requests
from rich.console import Console
from vcr.request import Request

from cassettes import replay
from cassettes.anonymize import RecordedCall, anonymize, with_login
from cassettes.leak_check import check_cassette, find_leaks
from cassettes.pseudonyms import Pseudonyms
from cassettes.recorder import Recording, recording, replaying
from cassettes.request_matching import covers_request
from cli.render.progress import progress_bars
from config.loader import CONFIG_FOLDER, load_configuration
from connectors.salesforce.anonymize_rules import is_salesforce_id
from errors import ConfigError, SyncError
from run_helpers import configured_sandbox, run_sync
from sandbox.faults import Fault
from sandbox.salesforce.ids import to_18
from sync import dry_run_as_of

pytest_plugins = ["pytest_plugin"]

MARKER = "Zyxmarker"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
HUBSPOT = "https://api.hubapi.com/crm/v3/objects/contacts"
SF = "https://acme.my.salesforce.com"
DATA = "/services/data/v60.0"
JOB = to_18("7505g00000XyZ12")


@pytest.fixture(scope="module")
def dry_run():
    with progress_bars(Console(quiet=True)) as quiet:
        yield partial(dry_run_as_of, bars=quiet)


@pytest.fixture(scope="module")
def recorded(dry_run, tmp_path_factory):
    """The calls of one dry run before anonymisation, with a planted person, and its report."""
    with configured_sandbox(tmp_path_factory.mktemp("recorded"), people=40) as sandbox:
        plant(sandbox)
        with recording() as calls:
            report = dry_run(load_configuration(), NOW)
        yield calls, report


def plant(sandbox):
    """Put a person into both CRMs whose every value has a marker."""
    contact = next(sandbox.hubspot.tables["contacts"].live())
    contact.properties |= {
        "email": f"{MARKER}@{MARKER}.test",
        "firstname": MARKER,
        "phone": "+47 555 98 76 543",
        "industry": f"{MARKER} & Sons; {MARKER}@{MARKER}.test",
    }
    leads = sandbox.salesforce.tables["Lead"]
    id, row = next((id, row) for id, row in leads.items() if not row.get("IsDeleted"))
    leads[id] = row | {"Email": f"{MARKER}@{MARKER}.test", "Company": MARKER, "Title": MARKER}


@pytest.fixture(scope="module")
def cassette(recorded, tmp_path_factory):
    path = tmp_path_factory.mktemp("cassettes") / "recorded.json"
    words = replay.configuration_words(load_configuration())
    recorded[0].save(path, allowed_words=words, at=NOW)
    return path


@pytest.mark.long
def test_a_replay_makes_the_decisions_of_the_recording(recorded, cassette, replay_cassette):
    """Persons, stages and scores: all joins work without a real id or address."""
    report = replay_cassette(cassette)

    assert report.stages == recorded[1].stages
    assert report.disagreeing == recorded[1].disagreeing


@pytest.mark.long
def test_a_cassette_has_no_personal_data(cassette):
    """The planted person is in it in no spelling, and the leak check finds nothing else."""
    assert MARKER.lower() not in cassette.read_text().lower()
    assert "98 76 543" not in cassette.read_text()
    assert check_cassette(cassette) == []


@pytest.mark.long
def test_equal_calls_give_equal_cassettes(recorded, tmp_path):
    """The order of different calls is irrelevant; equal ones are answered in their order."""
    by_request = {(call.method, call.url, call.request_body): call for call in recorded[0].calls}
    calls = list(by_request.values())
    paths = [tmp_path / "first.json", tmp_path / "second.json"]
    Recording(calls=calls).save(paths[0], allowed_words=(), at=NOW)
    random.Random(1).shuffle(calls)
    Recording(calls=calls).save(paths[1], allowed_words=(), at=NOW)

    assert paths[0].read_text() == paths[1].read_text()


@pytest.mark.parametrize(
    ("url", "is_covered"),
    [
        pytest.param("?limit=100&properties=email", True, id="fewer fields"),
        pytest.param("?properties=phone,email&limit=100", True, id="the same, in another order"),
        pytest.param("?limit=100&properties=email,city", False, id="another field"),
        pytest.param("?limit=50&properties=email", False, id="another page size"),
    ],
)
def test_a_recording_covers_requests_with_the_same_or_fewer_fields(url, is_covered):
    """All other parts of a request must be equal."""
    recorded = Request("GET", f"{HUBSPOT}?limit=100&properties=email,phone", "", {})

    assert covers_request(Request("GET", f"{HUBSPOT}{url}", "", {}), recorded) is is_covered


@pytest.mark.parametrize(
    ("query", "is_covered"),
    [
        ("SELECT Id FROM Lead WHERE IsDeleted = false", True),
        ("SELECT Id, Title FROM Lead WHERE IsDeleted = false", False),
        ("SELECT Id FROM Lead", False),
    ],
)
def test_a_recording_covers_queries_with_the_same_or_fewer_fields(query, is_covered):
    """The condition must be equal; in a URL and in the body of a bulk job."""
    longer = "SELECT Id, Email FROM Lead WHERE IsDeleted = false"
    url = f"{SF}{DATA}/query?q="
    bulk, bulk_longer = (json.dumps({"query": text}) for text in (query, longer))
    jobs = f"{SF}{DATA}/jobs/query"

    by_url = covers_request(
        Request("GET", url + query, "", {}), Request("GET", url + longer, "", {})
    )
    by_job = covers_request(Request("POST", jobs, bulk, {}), Request("POST", jobs, bulk_longer, {}))
    assert by_url is by_job is is_covered


@pytest.mark.long
def test_a_mapping_may_read_fewer_fields_than_the_cassette_has(cassette, dry_run, tmp_path):
    """The replay then ignores the other fields of the recorded rows."""
    folder = tmp_path / "mappings"
    shutil.copytree(CONFIG_FOLDER, folder)
    mapping = folder / "hubspot.yaml"
    lines = mapping.read_text().splitlines(keepends=True)
    mapping.write_text("".join(line for line in lines if "salesforceleadid" not in line))
    report = replay.replay(dry_run, load_configuration(folder), cassette)

    assert sum(stage["people"] for stage in report.stages) > 0


@pytest.mark.long
def test_an_error_names_the_call_that_is_not_in_the_cassette(cassette):
    """Without its query, which can have personal data."""
    with (
        replaying(cassette),
        pytest.raises(ConfigError, match=r"GET https://api\.hubapi\.com/nowhere "),
    ):
        requests.get("https://api.hubapi.com/nowhere?email=a@b.test", timeout=5)


def test_a_missing_cassette_is_an_error(dry_run, tmp_path):
    """The run does not start."""
    with pytest.raises(ConfigError, match="does not exist"):
        replay.replay(dry_run, load_configuration(), tmp_path / "none.json")


@pytest.mark.long
def test_failed_calls_of_a_run_become_a_cassette(tmp_path):
    """The failed call and the last ones before it, anonymised; the run prints the path."""
    notes = []
    with configured_sandbox(tmp_path, people=10) as sandbox:
        failure = {"status": 400, "body": {"message": "no"}, "times": None}
        sandbox.faults.plan(Fault(path="/crm/v3/objects/deals", **failure))
        with (
            pytest.raises(SyncError),
            replay.record_failures(load_configuration(), notes.append, tmp_path),
        ):
            run_sync(write=False)

    [path] = tmp_path.glob("refused-*.json")
    responses = [call["response"] for call in json.loads(path.read_text())["interactions"]]
    assert 400 in [response["status"]["code"] for response in responses]
    assert 1 < len(responses) < 10
    assert str(path) in notes[0]


def call(body, *, url=HUBSPOT, sent=""):
    """Build a call with a response."""
    plain = body if isinstance(body, str) else json.dumps(body)
    return RecordedCall("POST", url, sent.encode(), 200, {}, plain.encode())


def contact(id, **properties):
    """Build a record as HubSpot returns it."""
    return {"id": id, "properties": properties}


def anonymized(calls, allowed_words=()):
    """Anonymise calls that were recorded in the first minute of a day in March."""
    return anonymize(
        calls, allowed_words, at=NOW, recorded_between=(NOW, NOW + timedelta(minutes=1))
    )


def results(calls, allowed_words=()):
    """Anonymise calls and give the records of their responses."""
    return [json.loads(one.response_body)["results"] for one in anonymized(calls, allowed_words)]


def test_pseudonyms_of_ids_keep_order_and_joins():
    """The next page starts after the last id, and merged ids refer to their records."""
    body = {"results": [contact("9001", hs_merged_object_ids="77;9001"), contact("77")]}
    [[first, second]] = results([call(body)])

    assert int(second["id"]) < int(first["id"])
    assert first["properties"]["hs_merged_object_ids"] == f"{second['id']};{first['id']}"


def test_the_pseudonym_of_a_salesforce_id_is_an_id_of_the_same_object():
    """With a valid checksum, in URLs and queries as well."""
    id = "003ak00000luKU1AAM"
    url = f"https://x.my.salesforce.com/services/data/v60.0/query?q=SELECT+Id+WHERE+Id='{id}'"
    [call_] = anonymized([call({"records": [{"attributes": {}, "Id": id}]}, url=url)])
    [record] = json.loads(call_.response_body)["records"]

    assert record["Id"] != id
    assert record["Id"].startswith("003")
    assert is_salesforce_id(record["Id"])
    assert record["Id"] in call_.url


@pytest.mark.parametrize(
    ("response", "url"),
    [
        pytest.param(
            {"nextRecordsUrl": f"{DATA}/query/0r8xx0abcDEF123-2000"},
            f"{SF}{DATA}/query/0r8xx0abcDEF123-2000",
            id="the rest of a query",
        ),
        pytest.param(
            {"resultUrl": f"{DATA}/jobs/query/{JOB}/results?locator=MjAwMDo3NTA"},
            f"{SF}{DATA}/jobs/query/{JOB}/results?locator=MjAwMDo3NTA",
            id="a page of a job",
        ),
        pytest.param(
            {"contentUrl": f"{DATA[1:]}/jobs/ingest/{JOB}/batches"},
            f"{SF}{DATA}/jobs/ingest/{JOB}/batches",
            id="the upload of a job",
        ),
        pytest.param(
            {"paging": {"next": {"link": "https://api.hubapi.com/crm/v3/owners?after=MzI4Mzk2"}}},
            "https://api.hubapi.com/crm/v3/owners?after=MzI4Mzk2",
            id="the next page",
        ),
    ],
)
def test_a_link_in_a_response_matches_the_next_call(response, url):
    """Both get the same pseudonyms, so a client that follows links can be replayed."""
    calls = [call(response, url=f"{SF}{DATA}/query"), call({}, url=url)]
    first, second = sorted(anonymized(calls), key=lambda one: len(one.response_body), reverse=True)
    [link] = re.findall(
        r'"((?:https:/)?/?(?:services|[a-z.]+)/[^"]+)"', first.response_body.decode()
    )

    assert second.url.endswith(link)
    assert find_leaks(first.response_body.decode()) == []
    assert not re.search("xx0abc|MjAwMDo|MzI4Mzk2|XyZ12", f"{link}{second.url}")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            "2026-03-01T00:00:30.000+0000",
            "2026-03-01T00:00:00.000+0000",
            id="during the recording",
        ),
        pytest.param("2026-03-01T00:00:30Z", "2026-03-01T00:00:00.000Z", id="without fractions"),
        pytest.param("1772323230000", "1772323200000", id="in milliseconds"),
        pytest.param("2026-03-01T00:02:00Z", "2026-03-01T00:02:00Z", id="after it"),
        pytest.param("2026-02-28T23:59:59Z", "2026-02-28T23:59:59Z", id="before it"),
        pytest.param("2026-03-01", "2026-03-01", id="a date"),
    ],
)
def test_times_of_the_recording_become_one_time(value, expected):
    """The same calls recorded tomorrow give the same file."""
    [[record]] = results([call({"results": [contact("1", at=value)]})])

    assert record["properties"]["at"] == expected


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        pytest.param(f"{SF}/services/oauth2/token", f"client_secret={MARKER}", id="by OAuth"),
        pytest.param(f"{SF}/services/Soap/u/60.0", f"<p>{MARKER}</p>", id="by SOAP"),
        pytest.param("", "", id="before the recording"),
    ],
)
def test_a_cassette_starts_with_the_login_of_a_replay(url, sent):
    """The recorded run may have logged in by another method."""
    login = [call(f"<sessionId>{MARKER}</sessionId>", url=url, sent=sent)] if url else []
    query = call({"records": []}, url=f"{SF}{DATA}/query")
    [first, second] = with_login(anonymized([*login, query]))

    assert first.url == "https://example.my.salesforce.com/services/oauth2/token"
    assert json.loads(first.response_body)["access_token"] == "scrubbed"
    assert MARKER not in f"{first}{second}"


def test_a_failed_login_stays_in_the_cassette():
    """An admin records it to see why it failed."""
    failed = RecordedCall(
        "POST", f"{SF}/services/oauth2/token", b"", 400, {}, b'{"error": "invalid_grant"}'
    )

    assert [one.status for one in with_login(anonymized([failed]))] == [400]


PLANTED = f"{MARKER}-value"


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param({"sent": json.dumps({"inputs": [{"id": PLANTED}]})}, id="a request"),
        pytest.param(
            {"url": f"https://api.hubapi.com/crm/v3/objects/contacts/{PLANTED}%40x.test"},
            id="an address in a path",
        ),
        pytest.param({"url": f"{SF}{DATA}/sobjects/Lead/Key__c/{PLANTED}"}, id="an external id"),
        pytest.param({"url": f"{SF}{DATA}/query?q=WHERE+Name='{PLANTED}'"}, id="a query"),
        pytest.param({"body": {"results": [contact("1", firstname=PLANTED)]}}, id="a property"),
        pytest.param({"body": {"message": f"Contact {PLANTED} exists"}}, id="an error"),
        pytest.param({"body": {"access_token": PLANTED}}, id="a token"),
        pytest.param({"body": f"<html>{PLANTED}</html>"}, id="a page"),
        pytest.param({"body": {"paging": {"next": {"after": PLANTED}}}}, id="a cursor"),
    ],
)
def test_a_planted_value_is_never_in_a_cassette(planted, tmp_path):
    """It does not matter in which part of a call it is."""
    path = tmp_path / "planted.json"
    Recording(calls=[call(**({"body": {}} | planted))]).save(path, allowed_words=(), at=NOW)

    assert MARKER.lower() not in path.read_text().lower()
    assert check_cassette(path) == []


@pytest.mark.parametrize(
    ("value", "pseudonym"),
    [
        pytest.param("Ana.Silva@Corp.test", "Person1@company2.example.com", id="an address"),
        pytest.param("INFO@CORP.TEST", "INFO@COMPANY1.EXAMPLE.COM", id="a role, in capitals"),
        pytest.param("ana@gmail.com", "person1@gmail.com", id="free mail"),
        pytest.param(" Ana ", " Text1 ", id="spaces"),
        pytest.param("+47 555 98 765", "+00 000 00 001", id="a number"),
        pytest.param(
            "A demo for Ana", "Text1 demo", id="a word that the configuration searches for"
        ),
        pytest.param("demo", "demo", id="a word of the configuration"),
        pytest.param("2026-03-04T10:00:00Z", "2026-03-04T10:00:00Z", id="an instant"),
        pytest.param("true", "true", id="yes"),
        pytest.param("64.5", "64.5", id="a score"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_value_gets_a_pseudonym_of_its_kind(value, pseudonym):
    """Only values that are known to be harmless stay."""
    [[record]] = results(
        [call({"results": [contact("1", firstname=value)]})], allowed_words=["demo"]
    )

    assert record["properties"]["firstname"] == pseudonym


def test_an_original_always_gets_the_same_pseudonym():
    """In upper and lower case, in requests and responses, in both CRMs."""
    names = Pseudonyms((), (), {})

    assert names.email("Ana@Corp.test").lower() == names.email("ana@corp.test")
    assert names.text("Corp").lower() == names.text("corp ").strip()


@pytest.mark.parametrize(
    "planted",
    [
        "pat-eu1-0123",
        "Bearer abc",
        "00D5g000004XyZ1!AQ",
        "ana@corp.test",
        "https://corp.test/page",
        "10.20.30.40",
        "003ak00000luKU1AAM",
        "/query/0r8xx0abcDEF123-2000",
        '"Authorization": ["x"]',
        "  Cookie:\n  - session",
        "X-SFDC-Session: abc",
    ],
)
def test_the_leak_check_finds_secrets_and_personal_data(planted):
    """Its report does not show all of the value."""
    is_header = ":" in planted and "//" not in planted
    [leak] = find_leaks(planted if is_header else f'{{"body": "{planted}"}}')

    assert planted not in leak


def test_all_cassettes_of_the_project_pass_the_leak_check():
    """Users' own cassettes as well. The folder `cassettes` at the top also has the code."""
    root = Path(__file__).parents[2]
    files = [path for path in root.glob("**/cassettes/**/*") if path.is_file()]
    cassettes = [path for path in files if path.suffix not in (".py", ".pyc")]

    assert cassettes
    assert [leak for path in cassettes for leak in check_cassette(path)] == []
