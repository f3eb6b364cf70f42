"""What is recorded holds nobody, and played back it leads to the same decisions."""

import json
import random
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from cassettes import replay
from cassettes.anonymize import RecordedCall, anonymize, with_login
from cassettes.leak_check import check_cassette, find_leaks
from cassettes.pseudonyms import Pseudonyms, is_salesforce_id
from cassettes.recorder import Recording, recording, replaying
from config.loader import CONFIG_FOLDER, load_configuration
from errors import ConfigError, SyncError
from run_helpers import configured_sandbox, run_sync
from sandbox.faults import Fault
from sandbox.salesforce.ids import to_18
from sync import dry_run_as_of

pytest_plugins = ["pytest_plugin"]

MARKER = "Zyxmarker"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """One sync recorded, unscrubbed, with a planted person; and what it decided."""
    with configured_sandbox(tmp_path_factory.mktemp("recorded"), people=40) as sandbox:
        plant(sandbox)
        with recording() as calls:
            told = dry_run_as_of(load_configuration(), NOW)
        yield calls, told


def plant(sandbox):
    """Put a person into both CRMs whose every word is a marker."""
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
def cassette(taken, tmp_path_factory):
    path = tmp_path_factory.mktemp("cassettes") / "ours.json"
    taken[0].save(path, kept=replay.configuration_words(load_configuration()), at=NOW)
    return path


def test_a_cassette_leads_to_the_decisions_of_its_recording(taken, cassette, replayed):
    """Who is who, which stage, which score: all joins hold without a real id or address."""
    again = replayed(cassette)

    assert again.stages == taken[1].stages
    assert again.disagreeing == taken[1].disagreeing


def test_a_cassette_holds_nobody(cassette):
    """A planted person is not found in any spelling, and neither is anything else."""
    assert MARKER.lower() not in cassette.read_text().lower()
    assert "98 76 543" not in cassette.read_text()
    assert check_cassette(cassette) == []


def test_equal_calls_make_equal_cassettes(taken, tmp_path):
    """In whatever order they came."""
    calls, paths = list(taken[0].calls), [tmp_path / "one.json", tmp_path / "two.json"]
    Recording(calls=calls).save(paths[0], allowed_words=(), at=NOW)
    random.Random(1).shuffle(calls)
    Recording(calls=calls).save(paths[1], allowed_words=(), at=NOW)

    assert paths[0].read_text() == paths[1].read_text()


def test_a_mapping_may_read_less_than_was_recorded(cassette, tmp_path):
    """Rows hold more then than is asked for."""
    folder = tmp_path / "mappings"
    shutil.copytree(CONFIG_FOLDER, folder)
    mapping = folder / "hubspot.yaml"
    lines = mapping.read_text().splitlines(keepends=True)
    mapping.write_text("".join(line for line in lines if "salesforceleadid" not in line))
    told = replay.replay(dry_run_as_of, load_configuration(folder), cassette)

    assert sum(one["people"] for one in told.stages) > 0


def test_a_call_that_was_not_recorded_is_named(cassette):
    """Without its query, which may hold values."""
    with (
        replaying(cassette),
        pytest.raises(ConfigError, match=r"GET https://api\.hubapi\.com/nowhere "),
    ):
        requests.get("https://api.hubapi.com/nowhere?email=a@b.test", timeout=5)


def test_a_missing_cassette_is_said(tmp_path):
    """Before anything is run."""
    with pytest.raises(ConfigError, match="there is no cassette"):
        replay.replay(dry_run_as_of, load_configuration(), tmp_path / "none.json")


def test_what_was_refused_in_production_becomes_a_cassette(tmp_path):
    """The refused call and the last ones before it, scrubbed; a run says where they are."""
    said = []
    with configured_sandbox(tmp_path, people=10) as sandbox:
        refusal = {"status": 400, "body": {"message": "no"}, "times": None}
        fault = Fault(path="/crm/v3/objects/deals", **refusal)
        sandbox.faults.plan(fault)
        with (
            pytest.raises(SyncError),
            replay.record_failures(load_configuration(), said.append, tmp_path),
        ):
            run_sync(write=False)

    [path] = tmp_path.glob("refused-*.json")
    answers = [one["response"] for one in json.loads(path.read_text())["interactions"]]
    assert 400 in [one["status"]["code"] for one in answers]
    assert 1 < len(answers) < 10
    assert str(path) in said[0]


def call(body, *, url="https://api.hubapi.com/crm/v3/objects/contacts", sent=""):
    """One call with an answer."""
    plain = body if isinstance(body, str) else json.dumps(body)
    return RecordedCall("POST", url, sent.encode(), 200, {}, plain.encode())


def contact(id, **properties):
    """A record as HubSpot answers it."""
    return {"id": id, "properties": properties}


def scrubbed(calls, kept=()):
    """Scrub calls that were recorded in the first minute of a day in March."""
    return anonymize(calls, kept, at=NOW, recorded_between=(NOW, NOW + timedelta(minutes=1)))


def results(calls, kept=()):
    """Scrub calls and give the records of their answers."""
    return [json.loads(one.response_body)["results"] for one in scrubbed(calls, kept)]


def test_ids_keep_their_order_and_their_joins():
    """Paging goes on behind the last id, and merged ids lead to their records."""
    body = {"results": [contact("9001", hs_merged_object_ids="77;9001"), contact("77")]}
    [[first, second]] = results([call(body)])

    assert int(second["id"]) < int(first["id"])
    assert first["properties"]["hs_merged_object_ids"] == f"{second['id']};{first['id']}"


def test_salesforce_ids_stay_ids_of_their_objects():
    """With a check sum, in addresses and queries as well."""
    id = "003ak00000luKU1AAM"
    url = f"https://x.my.salesforce.com/services/data/v60.0/query?q=SELECT+Id+WHERE+Id='{id}'"
    [told] = scrubbed([call({"records": [{"attributes": {}, "Id": id}]}, url=url)])
    [record] = json.loads(told.response_body)["records"]

    assert record["Id"] != id
    assert record["Id"].startswith("003")
    assert is_salesforce_id(record["Id"])
    assert record["Id"] in told.url


SF = "https://acme.my.salesforce.com"
DATA = "/services/data/v60.0"
JOB = to_18("7505g00000XyZ12")


@pytest.mark.parametrize(
    ("told", "asked"),
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
            id="where to send rows",
        ),
        pytest.param(
            {"paging": {"next": {"link": "https://api.hubapi.com/crm/v3/owners?after=MzI4Mzk2"}}},
            "https://api.hubapi.com/crm/v3/owners?after=MzI4Mzk2",
            id="the next page",
        ),
    ],
)
def test_a_link_leads_to_the_call_that_followed_it(told, asked):
    """Scrubbed in the one as in the other, so that a client that follows links is played back."""
    calls = [call(told, url=f"{SF}{DATA}/query"), call({}, url=asked)]
    first, second = sorted(scrubbed(calls), key=lambda one: len(one.response_body), reverse=True)
    [link] = re.findall(
        r'"((?:https:/)?/?(?:services|[a-z.]+)/[^"]+)"', first.response_body.decode()
    )

    assert second.url.endswith(link)
    assert find_leaks(first.response_body.decode()) == []
    assert not re.search("xx0abc|MjAwMDo|MzI4Mzk2|XyZ12", f"{link}{second.url}")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param(
            "2026-03-01T00:00:30.000+0000", "2026-03-01T00:00:00.000+0000", id="meanwhile"
        ),
        pytest.param("2026-03-01T00:00:30Z", "2026-03-01T00:00:00.000Z", id="without fractions"),
        pytest.param("1772323230000", "1772323200000", id="in milliseconds"),
        pytest.param("2026-03-01T00:02:00Z", "2026-03-01T00:02:00Z", id="an appointment"),
        pytest.param("2026-02-28T23:59:59Z", "2026-02-28T23:59:59Z", id="before"),
        pytest.param("2026-03-01", "2026-03-01", id="a day"),
    ],
)
def test_what_happened_meanwhile_happened_at_one_moment(value, kept):
    """Recorded again tomorrow, the same calls make the same file."""
    [[record]] = results([call({"results": [contact("1", at=value)]})])

    assert record["properties"]["at"] == kept


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        pytest.param(f"{SF}/services/oauth2/token", f"client_secret={MARKER}", id="by OAuth"),
        pytest.param(f"{SF}/services/Soap/u/60.0", f"<p>{MARKER}</p>", id="by SOAP"),
        pytest.param("", "", id="before it was recorded"),
    ],
)
def test_a_cassette_is_played_back_with_one_login(url, sent):
    """However the one who recorded it had logged in."""
    login = [call(f"<sessionId>{MARKER}</sessionId>", url=url, sent=sent)] if url else []
    query = call({"records": []}, url=f"{SF}{DATA}/query")
    [first, second] = with_login(scrubbed([*login, query]))

    assert first.url == "https://example.my.salesforce.com/services/oauth2/token"
    assert json.loads(first.response_body)["access_token"] == "scrubbed"
    assert MARKER not in f"{first}{second}"


def test_a_refused_login_is_kept():
    """It is what somebody wants to see."""
    refused = RecordedCall(
        "POST", f"{SF}/services/oauth2/token", b"", 400, {}, b'{"error": "invalid_grant"}'
    )

    assert [one.status for one in with_login(scrubbed([refused]))] == [400]


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
        pytest.param({"body": {"results": [contact("1", note=PLANTED)]}}, id="a property"),
        pytest.param({"body": {"message": f"Contact {PLANTED} exists"}}, id="an error"),
        pytest.param({"body": {"access_token": PLANTED}}, id="a token"),
        pytest.param({"body": f"<html>{PLANTED}</html>"}, id="a page"),
        pytest.param({"body": {"paging": {"next": {"after": PLANTED}}}}, id="a cursor"),
    ],
)
def test_nothing_planted_gets_into_a_cassette(planted, tmp_path):
    """Wherever in a call it stands."""
    path = tmp_path / "planted.json"
    Recording(calls=[call(**({"body": {}} | planted))]).save(path, allowed_words=(), at=NOW)

    assert MARKER.lower() not in path.read_text().lower()
    assert check_cassette(path) == []


@pytest.mark.parametrize(
    ("value", "stand_in"),
    [
        pytest.param("Ana.Silva@Corp.test", "Person1@company2.example.com", id="an address"),
        pytest.param("INFO@CORP.TEST", "INFO@COMPANY1.EXAMPLE.COM", id="a role, in capitals"),
        pytest.param("ana@gmail.com", "person1@gmail.com", id="free mail"),
        pytest.param(" Ana ", " Text1 ", id="blanks"),
        pytest.param("+47 555 98 765", "+00 000 00 001", id="a number"),
        pytest.param("A demo for Ana", "Text1 demo", id="a word that is looked for"),
        pytest.param("demo", "demo", id="a word of the configuration"),
        pytest.param("2026-03-04T10:00:00Z", "2026-03-04T10:00:00Z", id="an instant"),
        pytest.param("true", "true", id="yes"),
        pytest.param("64.5", "64.5", id="a score"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_value_becomes_a_stand_in_of_its_kind(value, stand_in):
    """Only what is known to be harmless stays."""
    [[record]] = results([call({"results": [contact("1", note=value)]})], kept=["demo"])

    assert record["properties"]["note"] == stand_in


def test_one_original_has_one_stand_in():
    """In any case, in answers and in requests, in both CRMs."""
    names = Pseudonyms((), (), ())

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
def test_the_scanner_finds_what_should_not_be_kept(planted):
    """And does not show it in full."""
    is_header = ":" in planted and "//" not in planted
    [found] = find_leaks(planted if is_header else f'{{"body": "{planted}"}}')

    assert planted not in found


def test_all_cassettes_of_the_project_are_clean():
    """Those that users keep beside it, too; whatever their format, they are looked through."""
    paths = [one for one in Path(__file__).parents[2].glob("**/cassettes/**/*") if one.is_file()]

    assert [fault for path in paths for fault in check_cassette(path)] == []
