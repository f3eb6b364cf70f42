"""The Salesforce API over HTTP, mostly called by an unmodified simple-salesforce."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from sandbox.salesforce.api import salesforce
from sandbox.salesforce.date_literals import days_of
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.ids import normalised, record_id, to_18
from sandbox.salesforce.soql import unquoted
from sandbox.salesforce.soql_compile import select
from sandbox.server import Sandbox, running

NOW = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
PEOPLE, SEED = 300, 7
ROOT = "/services/data/v60.0"

Json = dict[str, Any]

Client = Any
"""A client of simple-salesforce; its types lack the attributes that it creates by name."""


class PlainHttp(HTTPAdapter):
    """simple-salesforce writes https:// before every host; the sandbox has plain HTTP only."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        assert request.url is not None
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **options)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running(people=PEOPLE, seed=SEED, now=NOW) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def token(sandbox: Sandbox) -> str:
    return sandbox.salesforce.credentials.new_token()


@pytest.fixture
def sf(sandbox: Sandbox, token: str) -> Iterator[Client]:
    with requests.Session() as session:
        session.mount("https://", PlainHttp())
        address = sandbox.url.replace("http://", "https://")
        yield Salesforce(instance_url=address, session_id=token, session=session, version="60.0")


@pytest.fixture
def rest(token: str) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        yield session


@pytest.fixture
def lead(sf: Client) -> str:
    made = sf.Lead.create(
        {"LastName": "Muster", "Company": "Muster AG", "Email": "m@muster.example"}
    )
    return str(made["id"])


def patch(sf: Client, *records: Json, all_or_none: bool = False) -> list[Json]:
    """Change records as a collection."""
    sent = [{"attributes": {"type": "Lead"}, **one} for one in records]
    body = {"allOrNone": all_or_none, "records": sent}
    answered: Any = sf.restful("composite/sobjects", method="PATCH", json=body)
    return list(answered)


def codes(answers: list[Json]) -> list[str]:
    """Return the error code of each result, or an empty text for a success."""
    return ["".join(error["statusCode"] for error in one["errors"]) for one in answers]


def converted_lead(sf: Client) -> str:
    """Find a converted lead."""
    found = sf.query("SELECT Id FROM Lead WHERE IsConverted = true LIMIT 1")
    return str(found["records"][0]["Id"])


def log_in(sandbox: Sandbox, **form: str) -> requests.Response:
    """Request a token."""
    return requests.post(f"{sandbox.url}/services/oauth2/token", data=form, timeout=5)


# --- ids -------------------------------------------------------------------------------------


def test_the_suffix_of_an_id_encodes_the_upper_case() -> None:
    """An id of a live org, with its own suffix."""
    assert to_18("003ak00000luKU1") == "003ak00000luKU1AAM"


def test_ids_ascend_with_their_numbers() -> None:
    """Ids are compared as bytes, and an older record has the smaller one."""
    assert [record_id("00Q", number) for number in (9, 10, 35, 36, 61, 62, 4000)] == sorted(
        record_id("00Q", number) for number in (4000, 62, 61, 36, 35, 10, 9)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("003ak00000luKU1", "003ak00000luKU1AAM", id="15 characters get a suffix"),
        pytest.param("003ak00000luKU1AAM", "003ak00000luKU1AAM", id="18 characters stay"),
        pytest.param("a00B000000FSjVUIB1", None, id="a suffix that does not fit"),
        pytest.param("003ak00000luKU-", None, id="a character no id has"),
    ],
)
def test_an_id_is_recognised_by_its_format(text: str, expected: str | None) -> None:
    """People and formulas write 15 characters, the API 18."""
    assert normalised(text) == expected


# --- the data --------------------------------------------------------------------------------


def test_records_do_not_depend_on_the_number_of_people() -> None:
    """A test that names a record keeps it with more people."""
    with running(people=30, seed=SEED, now=NOW) as small:
        few = dict(small.salesforce.tables["Lead"])
    with running(people=90, seed=SEED, now=NOW) as large:
        many = dict(large.salesforce.tables["Lead"])

    assert few.items() <= many.items()


def test_lead_ids_encode_the_number_of_the_person(sandbox: Sandbox) -> None:
    """HubSpot stores these ids as links."""
    leads = {record_id("00Q", one.number) for one in sandbox.people if one.salesforce_as == "Lead"}

    assert leads <= sandbox.salesforce.tables["Lead"].keys()


def test_mails_in_both_crms_have_one_message_id(sandbox: Sandbox) -> None:
    """The Message-ID matches a mail that both CRMs logged."""
    table = sandbox.salesforce.tables["EmailMessage"].values()
    message_ids = {one.message_id for person in sandbox.people for one in person.events}

    assert {row["MessageIdentifier"] for row in table} <= message_ids


def test_every_row_has_only_fields_of_its_object(sandbox: Sandbox) -> None:
    """Describe lists all fields."""
    store = sandbox.salesforce
    strangers = {
        (name, field)
        for name, rows in store.tables.items()
        for row in rows.values()
        for field in row.keys() - store.schema[name].fields.keys()
    }

    assert strangers == set()


def test_a_merged_loser_refers_to_its_winner(sf: Client) -> None:
    """Losers are deleted rows, which only queryAll returns."""
    query = "SELECT MasterRecordId FROM Lead WHERE MasterRecordId != null"
    losers = sf.query_all(query, include_deleted=True)["records"]

    assert sf.query_all(query)["records"] == []
    assert {row["MasterRecordId"][:3] for row in losers} == {"00Q"}


def test_only_query_all_returns_old_activities(sf: Client) -> None:
    """Activities older than a year are archived."""
    soql = "SELECT COUNT() FROM Task WHERE CreatedDate < LAST_N_DAYS:400"

    assert sf.query(soql)["totalSize"] == 0
    assert sf.query(soql, include_deleted=True)["totalSize"] > 0


def test_the_history_of_a_converted_lead_stays_with_the_lead(sandbox: Sandbox) -> None:
    """Activities move to the contact, whose history starts at the conversion."""
    tables = sandbox.salesforce.tables
    converted = [row for row in tables["Lead"].values() if row.get("IsConverted")]
    began = {row["ConvertedContactId"]: row["ConvertedDate"] for row in converted}
    early = [
        row
        for row in tables["ContactHistory"].values()
        if row["CreatedDate"] < began.get(row["ContactId"], "")
    ]

    assert converted
    assert early == []


# --- logging in ------------------------------------------------------------------------------


def test_client_credentials_open_a_session(sandbox: Sandbox) -> None:
    """The response has the instance URL, and not the length of the session."""
    answer = log_in(
        sandbox,
        grant_type="client_credentials",
        client_id=sandbox.client_id,
        client_secret=sandbox.client_secret,
    ).json()

    assert answer["instance_url"] == sandbox.url
    assert "expires_in" not in answer


@pytest.mark.parametrize(
    ("form", "error"),
    [
        pytest.param({"grant_type": "device"}, "unsupported_grant_type", id="unknown flow"),
        pytest.param({"grant_type": "password"}, "invalid_client_id", id="unknown client"),
    ],
)
def test_a_failed_login_says_why(sandbox: Sandbox, form: dict[str, str], error: str) -> None:
    """OAuth errors are an object with an error, not a list."""
    answer = log_in(sandbox, **form)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def refreshing(sandbox: Sandbox) -> dict[str, str]:
    """Build the form that renews a session."""
    return {
        "grant_type": "refresh_token",
        "client_id": sandbox.client_id,
        "client_secret": sandbox.client_secret,
        "refresh_token": sandbox.salesforce.credentials.refresh_token,
    }


def test_a_refresh_token_stays_valid(sandbox: Sandbox) -> None:
    """Without rotation, no response has another one."""
    form = refreshing(sandbox)
    first, second = log_in(sandbox, **form).json(), log_in(sandbox, **form).json()

    assert first["access_token"] != second["access_token"]
    assert "refresh_token" not in second


def test_with_rotation_a_refresh_token_is_valid_once(sandbox: Sandbox) -> None:
    """The reuse of an old token ends every session."""
    credentials = sandbox.salesforce.credentials
    switch = f"{sandbox.url}/_sandbox/salesforce/rotation"
    form = refreshing(sandbox)
    requests.post(switch, json={"rotate": True}, timeout=5)
    first, second = log_in(sandbox, **form), log_in(sandbox, **form)
    requests.post(switch, json={"rotate": False}, timeout=5)

    assert first.json()["refresh_token"] != form["refresh_token"]
    assert second.json()["error"] == "invalid_grant"
    assert credentials.tokens == set()


@pytest.mark.parametrize(
    ("audience", "status"),
    [
        pytest.param("https://login.salesforce.com", 200, id="the login host"),
        pytest.param("https://example.my.salesforce.com", 400, id="another host"),
    ],
)
def test_a_signed_assertion_opens_a_session(sandbox: Sandbox, audience: str, status: int) -> None:
    """The JWT bearer flow: RS256, with the admin's public key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    sandbox.salesforce.credentials.public_key = public.decode()
    claims = {
        "iss": sandbox.client_id,
        "sub": sandbox.salesforce.credentials.username,
        "aud": audience,
        "exp": datetime.now(UTC) + timedelta(minutes=3),
    }
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    answer = log_in(sandbox, grant_type=grant, assertion=jwt.encode(claims, key, algorithm="RS256"))

    assert answer.status_code == status


def test_a_password_opens_a_session_of_its_user(sandbox: Sandbox) -> None:
    """The client may use HTTP Basic; userinfo returns the user."""
    credentials = sandbox.salesforce.credentials
    answer = requests.post(
        f"{sandbox.url}/services/oauth2/token",
        data={
            "grant_type": "password",
            "username": credentials.username,
            "password": credentials.password,
        },
        auth=(sandbox.client_id, sandbox.client_secret),
        timeout=5,
    )
    token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    claims = requests.get(f"{sandbox.url}/services/oauth2/userinfo", headers=token, timeout=5)

    assert claims.json()["preferred_username"] == credentials.username


def test_a_client_can_end_its_session(sandbox: Sandbox, token: str) -> None:
    """By one call."""
    url = f"{sandbox.url}/services/oauth2/revoke"
    requests.post(url, data={"token": token}, timeout=5)

    assert token not in sandbox.salesforce.credentials.tokens


def test_a_revoked_session_is_an_error(sf: Client, sandbox: Sandbox) -> None:
    """The error is a list like all others, and the call is not counted."""
    requests.post(f"{sandbox.url}/_sandbox/salesforce/revoke", timeout=5)
    used = sandbox.salesforce.calls_used

    with pytest.raises(SalesforceExpiredSession, match="INVALID_SESSION_ID"):
        sf.limits()
    assert sandbox.salesforce.calls_used == used


# --- ground rules ----------------------------------------------------------------------------


def test_versions_need_no_session(sandbox: Sandbox) -> None:
    """A check that works before the login."""
    answer = requests.get(f"{sandbox.url}/services/data", timeout=5)

    assert [one["version"] for one in answer.json()][:: len(answer.json()) - 1] == ["31.0", "67.0"]
    assert "Sforce-Limit-Info" not in answer.headers


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        pytest.param("/services/data/v30.0/limits", 410, "UNSUPPORTED_API_VERSION", id="retired"),
        pytest.param("/services/data/v99.0/limits", 404, "NOT_FOUND", id="not yet"),
        pytest.param(
            "/services/data/v30.0/jobs/query/750", 400, "InvalidVersion", id="retired, bulk"
        ),
        pytest.param("/services/data/v60.0/nowhere", 404, "NOT_FOUND", id="no such resource"),
        pytest.param(
            "/services/data/v60.0/sobjects/Nope/describe", 404, "NOT_FOUND", id="no object"
        ),
        pytest.param(
            "/services/data/v60.0/composite", 405, "METHOD_NOT_ALLOWED", id="wrong method"
        ),
    ],
)
def test_an_unknown_path_is_an_error(
    rest: requests.Session, sandbox: Sandbox, path: str, status: int, code: str
) -> None:
    """Errors are lists, also a single one."""
    answer = rest.get(f"{sandbox.url}{path}")

    assert (answer.status_code, answer.json()[0]["errorCode"]) == (status, code)


def test_every_counted_response_has_the_usage(rest: requests.Session, sandbox: Sandbox) -> None:
    """The daily limit is in a header."""
    answer = rest.get(f"{sandbox.url}{ROOT}/limits")

    assert (
        answer.headers["Sforce-Limit-Info"] == f"api-usage={sandbox.salesforce.calls_used}/100000"
    )


def test_a_call_over_the_daily_limit_is_a_403(sf: Client, sandbox: Sandbox) -> None:
    """A client must not take it for a missing permission."""
    limit = sandbox.salesforce.daily_limit
    quota = f"{sandbox.url}/_sandbox/salesforce/quota"
    requests.post(quota, json={"limit": 1, "used": 1}, timeout=5)

    with pytest.raises(SalesforceRefusedRequest, match="REQUEST_LIMIT_EXCEEDED"):
        sf.limits()
    requests.post(quota, json={"limit": limit, "used": 0}, timeout=5)


def test_responses_are_compressed_on_request(rest: requests.Session, sandbox: Sandbox) -> None:
    """A describe of 100 kB is a few kB then."""
    answer = rest.get(f"{sandbox.url}{ROOT}/sobjects/Lead/describe")

    assert answer.headers["Content-Encoding"] == "gzip"


def test_a_url_of_more_than_16_kilobytes_is_an_error(
    rest: requests.Session, sandbox: Sandbox
) -> None:
    """A long list of ids does not fit into a query."""
    soql = "SELECT Id FROM Lead WHERE Id IN ('" + "00Q" * 6000 + "')"

    assert rest.get(f"{sandbox.url}{ROOT}/query", params={"q": soql}).status_code == 414


# --- metadata --------------------------------------------------------------------------------


def test_describe_has_the_writable_fields(sf: Client) -> None:
    """Read-only fields, restricted picklists, and parents."""
    fields = {one["name"]: one for one in sf.Lead.describe()["fields"]}

    assert not fields["IsConverted"]["updateable"]
    assert fields["Lifecycle_Stage__c"]["restrictedPicklist"]
    assert not fields["Status"]["restrictedPicklist"]
    assert fields["OwnerId"]["relationshipName"] == "Owner"


def test_describe_returns_304_without_a_change(rest: requests.Session, sandbox: Sandbox) -> None:
    """If-Modified-Since saves the second describe."""
    url = f"{sandbox.url}{ROOT}/sobjects/Lead/describe"
    last_modified = rest.get(url).headers["Last-Modified"]

    assert rest.get(url, headers={"If-Modified-Since": last_modified}).status_code == 304


def test_all_objects_are_listed(sf: Client, sandbox: Sandbox) -> None:
    """With name and key prefix."""
    listed = {one["name"]: one["keyPrefix"] for one in sf.describe()["sobjects"]}

    assert listed.keys() == sandbox.salesforce.schema.keys()
    assert listed["Lead"] == "00Q"


def test_a_hidden_field_is_missing_everywhere(sf: Client, sandbox: Sandbox) -> None:
    """Field-level security looks like a missing field."""
    sandbox.salesforce.hide("Contact", "HasOptedOutOfEmail")
    described = {one["name"] for one in sf.Contact.describe()["fields"]}

    with pytest.raises(SalesforceMalformedRequest, match="INVALID_FIELD"):
        sf.query("SELECT HasOptedOutOfEmail FROM Contact")
    sandbox.salesforce.show("Contact")
    assert "HasOptedOutOfEmail" not in described


def test_record_counts_come_by_object(sf: Client, sandbox: Sandbox) -> None:
    """One call returns the size of an extract."""
    answer: Any = sf.restful("limits/recordCount", params={"sObjects": "Account"})

    assert answer["sObjects"] == [
        {"count": len(sandbox.salesforce.tables["Account"]), "name": "Account"}
    ]


# --- queries ---------------------------------------------------------------------------------


def test_pages_of_a_query_add_up_to_all_rows(sf: Client, sandbox: Sandbox) -> None:
    """A client follows locators until `done`; each row comes once."""
    first = sf.query(
        "SELECT Id FROM LeadHistory", headers={"Sforce-Query-Options": "batchSize=200"}
    )
    second = sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    ids = {row["Id"] for page in (first, second) for row in page["records"]}

    assert first["totalSize"] == len(sandbox.salesforce.tables["LeadHistory"])
    assert (len(first["records"]), len(ids)) == (200, 400)


def test_an_unknown_locator_is_an_error(sf: Client) -> None:
    """Locators are opaque."""
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_QUERY_LOCATOR"):
        sf.query_more("0r8ak0000000001AAA-2000")


def test_wide_rows_come_in_smaller_pages(sf: Client, sandbox: Sandbox) -> None:
    """A client that expects 2,000 a page loses rows."""
    leads = sandbox.salesforce.tables["Lead"]
    ids = [record_id("00Q", 9_000_000 + at) for at in range(1100)]
    leads.update((id, next(leads.all()) | {"Id": id}) for id in ids)
    names = ", ".join(list(sandbox.salesforce.schema["Lead"].fields)[:25])
    page = sf.query(f"SELECT {names} FROM Lead")
    [leads.pop(id) for id in ids]

    assert (len(page["records"]), page["done"]) == (1000, False)


def test_parents_are_nested_in_the_response(sf: Client) -> None:
    """A relationship is an object with its own attributes."""
    record = sf.query("SELECT Id, Owner.Name FROM Lead LIMIT 1")["records"][0]

    assert record["Owner"]["attributes"]["type"] == "User"
    assert set(record["Owner"]) == {"attributes", "Name"}


def test_a_polymorphic_parent_has_its_type(sf: Client) -> None:
    """A task belongs to a lead or a contact."""
    query = "SELECT WhoId, Who.Type FROM Task WHERE WhoId != null"
    records = sf.query_all(query)["records"]

    assert {(row["WhoId"][:3], row["Who"]["Type"]) for row in records} == {
        ("00Q", "Lead"),
        ("003", "Contact"),
    }


def test_rows_come_in_the_requested_order(sf: Client) -> None:
    """By a cursor field and the id, as an incremental extract requests."""
    query = "SELECT Id, SystemModstamp FROM Lead ORDER BY SystemModstamp DESC, Id"
    keys = [(row["SystemModstamp"], row["Id"]) for row in sf.query_all(query)["records"]]

    assert [key for key, _ in keys] == sorted((key for key, _ in keys), reverse=True)


@pytest.mark.parametrize(
    ("condition", "same_as"),
    [
        pytest.param("Status = 'NURTURING'", "Status = 'Nurturing'", id="text has no case"),
        pytest.param("Status != 'Nurturing'", "NOT Status = 'Nurturing'", id="not equal"),
        pytest.param("Need__c = null", "NOT (Need__c != null)", id="null is equal to null"),
        pytest.param(
            "Budget__c NOT IN (1000)", "Budget__c != 1000 OR Budget__c = null", id="not in"
        ),
        pytest.param("Email LIKE '%.EXAMPLE'", "(NOT (NOT Email LIKE '%.example'))", id="like"),
        pytest.param(
            "CreatedDate >= 2025-01-01T01:00:00+01:00",
            "CreatedDate > 2024-12-31T23:59:59Z",
            id="offsets",
        ),
        pytest.param("CreatedDate < TODAY", "NOT CreatedDate >= TODAY", id="words for days"),
        pytest.param("IsConverted = FALSE", "IsConverted != TRUE", id="booleans are never null"),
        pytest.param(
            "Owner.Name = 'Tom Becker'", "Lead.Owner.Name LIKE 'tom _ecker'", id="parents"
        ),
        pytest.param(
            "ConvertedContactId IN (SELECT Id FROM Contact)",
            "ConvertedContactId != null",
            id="another query's column",
        ),
    ],
)
def test_equivalent_conditions_return_the_same_rows(
    sandbox: Sandbox, condition: str, same_as: str
) -> None:
    """Salesforce's logic has two values, and treats nulls as unequal."""
    store = sandbox.salesforce
    found = select(store, f"SELECT Id FROM Lead WHERE {condition}").rows(store, deleted=False)
    other = select(store, f"SELECT Id FROM Lead WHERE {same_as}").rows(store, deleted=False)

    assert list(found) == list(other)
    assert 0 < len(found) < len(store.tables["Lead"])


@pytest.mark.parametrize(
    ("query", "code", "expected_message"),
    [
        pytest.param(
            "SELEKT Id FROM Lead", "MALFORMED_QUERY", "unexpected token: SELEKT", id="word"
        ),
        pytest.param("SELECT Id FROM", "MALFORMED_QUERY", "<EOF>", id="half a query"),
        pytest.param(
            "SELECT Id FROM Lead WHERE Id = ?", "MALFORMED_QUERY", "character '?'", id="sign"
        ),
        pytest.param("SELECT Id, Id FROM Lead", "MALFORMED_QUERY", "duplicate field", id="twice"),
        pytest.param(
            "SELECT Id FROM Lead WHERE Id = null AND Id = null OR Id = null",
            "MALFORMED_QUERY",
            "OR",
            id="AND and OR without parentheses",
        ),
        pytest.param("SELECT Id FROM Leed", "INVALID_TYPE", "'Leed' is not supported", id="object"),
        pytest.param("SELECT Nope__c FROM Lead", "INVALID_FIELD", "\n       ^\n", id="caret"),
        pytest.param(
            "SELECT Boss.Name FROM Lead", "INVALID_FIELD", "relationship 'Boss'", id="parent"
        ),
        pytest.param(
            "SELECT Id FROM Lead WHERE CreatedDate > '2026-01-01T00:00:00Z'",
            "INVALID_FIELD",
            "should not be enclosed in quotes",
            id="an instant in quotes",
        ),
        pytest.param(
            "SELECT Id FROM LeadHistory WHERE NewValue = 'x'",
            "INVALID_FIELD",
            "can not be filtered",
            id="history's values cannot be filtered",
        ),
        pytest.param(
            "SELECT Id FROM Lead WHERE Id = '00Q'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid ID field: 00Q",
            id="no id",
        ),
        pytest.param(
            "SELECT FIELDS(ALL) FROM Lead", "MALFORMED_QUERY", "at most 200", id="all fields"
        ),
        pytest.param(
            "SELECT Id FROM Lead OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "2000", id="offset"
        ),
    ],
)
def test_an_invalid_query_has_salesforces_error(
    sandbox: Sandbox, query: str, code: str, expected_message: str
) -> None:
    """Clients compare the code, people read the message."""
    with pytest.raises(ApiError) as refused:
        select(sandbox.salesforce, query)

    assert refused.value.code == code
    assert expected_message in refused.value.message


def test_strings_can_have_quotes_and_line_breaks() -> None:
    """They are unescaped before a comparison; LIKE handles its own escapes."""
    assert unquoted(r"'O\'Neill\n100\%'") == "O'Neill\n100\\%"


@pytest.mark.parametrize(
    ("word", "first", "after"),
    [
        pytest.param("TODAY", "2026-03-04", "2026-03-05", id="today"),
        pytest.param("LAST_N_DAYS:3", "2026-03-01", "2026-03-05", id="n days and today"),
        pytest.param("THIS_WEEK", "2026-03-01", "2026-03-08", id="weeks begin on Sunday"),
        pytest.param("LAST_MONTH", "2026-02-01", "2026-03-01", id="last month"),
        pytest.param("NEXT_QUARTER", "2026-04-01", "2026-07-01", id="next quarter"),
        pytest.param("LAST_N_MONTHS:3", "2025-12-01", "2026-03-01", id="n months without this one"),
        pytest.param("N_DAYS_AGO:1", "2026-03-03", "2026-03-04", id="one day only"),
    ],
)
def test_date_literals_are_spans(word: str, first: str, after: str) -> None:
    """From the first day of the span to the first day after it."""
    today = datetime(2026, 3, 4, tzinfo=UTC).date()

    assert [day.isoformat() for day in days_of(word, today)] == [first, after]


# --- single records --------------------------------------------------------------------------


def test_a_written_value_reads_as_salesforce_stores_it(sf: Client, lead: str) -> None:
    """Trimmed, rounded, without fractions of a second."""
    sent = {
        "onefunnel_score__c": 12.345,
        "onefunnel_stage_since__c": "2026-01-02T03:04:05.678+01:00",
        "Need__c": "  cleaner data ",
    }
    status = sf.Lead.update(lead, sent)
    kept = sf.Lead.get(lead)

    assert status == 204
    assert {name: kept[name] for name in sent} == {
        "onefunnel_score__c": 12.35,
        "onefunnel_stage_since__c": "2026-01-02T02:04:05.000+0000",
        "Need__c": "cleaner data",
    }


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"Nope__c": 1}, "INVALID_FIELD", id="unknown field"),
        pytest.param(
            {"IsConverted": True}, "INVALID_FIELD_FOR_INSERT_UPDATE", id="read-only field"
        ),
        pytest.param(
            {"Lifecycle_Stage__c": "Friend"},
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            id="option of a restricted picklist",
        ),
        pytest.param({"onefunnel_next_action__c": "x" * 41}, "STRING_TOO_LONG", id="too long"),
        pytest.param({"Email": "badone"}, "INVALID_EMAIL_ADDRESS", id="no e-mail address"),
        pytest.param({"LastName": None}, "REQUIRED_FIELD_MISSING", id="required field"),
        pytest.param({"Timeline__c": "2003-04-98"}, "JSON_PARSER_ERROR", id="no date"),
        pytest.param(
            {"OwnerId": "003ak00000luKU1AAM"}, "MALFORMED_ID", id="parent of another kind"
        ),
        pytest.param({"Budget__c": 1e17}, "NUMBER_OUTSIDE_VALID_RANGE", id="too large"),
    ],
)
def test_an_invalid_write_has_salesforces_error(
    sf: Client, lead: str, fields: Json, code: str
) -> None:
    """A list of one error, with a code."""
    with pytest.raises(SalesforceMalformedRequest) as refused:
        sf.Lead.update(lead, fields)
    content: Any = refused.value.content

    assert content[0]["errorCode"] == code


def test_an_unrestricted_picklist_accepts_any_value(sf: Client, lead: str) -> None:
    """Lead.Status and Rating are not restricted."""
    sf.Lead.update(lead, {"Rating": "Lukewarm"})

    assert sf.Lead.get(lead)["Rating"] == "Lukewarm"


def test_a_deleted_record_has_two_errors(sf: Client, lead: str) -> None:
    """A read does not find it, a write says that it is deleted."""
    sf.Lead.delete(lead)

    with pytest.raises(SalesforceResourceNotFound, match="NOT_FOUND"):
        sf.Lead.get(lead)
    with pytest.raises(SalesforceResourceNotFound, match="ENTITY_IS_DELETED"):
        sf.Lead.update(lead, {"Rating": "Hot"})


def test_a_converted_lead_cannot_be_changed(sf: Client) -> None:
    """Its contact can."""
    with pytest.raises(SalesforceMalformedRequest, match="CANNOT_UPDATE_CONVERTED_LEAD"):
        sf.Lead.update(converted_lead(sf), {"Rating": "Hot"})


def test_history_has_changes_of_tracked_fields(sf: Client, lead: str) -> None:
    """Equal values add no entry."""
    sf.Lead.update(lead, {"Lifecycle_Stage__c": "Prospect"})
    sf.Lead.update(lead, {"Lifecycle_Stage__c": "Prospect"})
    soql = f"SELECT OldValue, NewValue FROM LeadHistory WHERE LeadId = '{lead}'"
    changes = sf.query(f"{soql} AND Field = 'Lifecycle_Stage__c'")["records"]

    assert [(one["OldValue"], one["NewValue"]) for one in changes] == [(None, "Prospect")]


def test_a_write_of_an_equal_value_changes_the_time_stamp(sf: Client) -> None:
    """So a sync must not write equal values."""
    soql = "SELECT Id, Rating, SystemModstamp FROM Lead WHERE IsConverted = false LIMIT 1"
    before = sf.query(soql)["records"][0]
    sf.Lead.update(before["Id"], {"Rating": before["Rating"]})

    assert sf.Lead.get(before["Id"])["SystemModstamp"] > before["SystemModstamp"]


def test_a_read_returns_the_requested_fields(sf: Client, lead: str) -> None:
    """An unknown field is an error."""
    read: Any = sf.restful(f"sobjects/Lead/{lead}", params={"fields": "LastName,Email"})

    assert set(read) == {"attributes", "LastName", "Email"}


def test_an_upsert_needs_an_external_id(sf: Client) -> None:
    """This object has none."""
    with pytest.raises(SalesforceResourceNotFound, match="Provided external ID field"):
        sf.Contact.upsert("Email__c/a@b.example", {"LastName": "B"})


@pytest.mark.parametrize(
    ("back", "length"),
    [
        pytest.param(timedelta(days=60), timedelta(days=1), id="too long ago"),
        pytest.param(timedelta(days=1), timedelta(0), id="no time at all"),
    ],
)
def test_a_span_of_changes_has_limits(sf: Client, back: timedelta, length: timedelta) -> None:
    """30 days back at most, a minute long at least."""
    start = datetime.now(UTC) - back

    with pytest.raises(SalesforceMalformedRequest, match="INVALID_REPLICATION_DATE"):
        sf.Lead.updated(start, start + length)


def test_if_unmodified_since_protects_a_changed_record(
    rest: requests.Session, sandbox: Sandbox, lead: str
) -> None:
    """The header makes a single write conditional."""
    since = {"If-Unmodified-Since": "Sun, 01 Jan 2023 00:00:00 GMT"}
    url = f"{sandbox.url}{ROOT}/sobjects/Lead/{lead}"

    assert rest.patch(url, json={"Rating": "Hot"}, headers=since).status_code == 412


def test_changed_and_deleted_records_are_listed_by_time(sf: Client, lead: str) -> None:
    """getUpdated and getDeleted, which include merges."""
    sf.Lead.delete(lead)
    start, end = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(minutes=2)
    deleted_ids = [one["id"] for one in sf.Lead.deleted(start, end)["deletedRecords"]]

    assert lead in deleted_ids
    assert lead not in sf.Lead.updated(start, end)["ids"]


def test_a_merge_changes_the_time_stamp_of_the_winner(
    sf: Client, sandbox: Sandbox, lead: str
) -> None:
    """The loser is deleted and refers to the winner."""
    other = sf.Lead.create({"LastName": "Muster", "Company": "Muster AG"})["id"]
    body = {"winner": lead, "loser": other}
    requests.post(f"{sandbox.url}/_sandbox/salesforce/merge", json=body, timeout=5)
    soql = f"SELECT IsDeleted, MasterRecordId FROM Lead WHERE Id = '{other}'"
    loser = sf.query(soql, include_deleted=True)["records"][0]

    assert (loser["IsDeleted"], loser["MasterRecordId"]) == (True, lead)


# --- collections and composites --------------------------------------------------------------


def test_results_of_a_collection_come_by_position(sf: Client, lead: str) -> None:
    """Failures have no id, and the status is 200."""
    answers = patch(
        sf,
        {"id": converted_lead(sf), "Rating": "Hot"},
        {"id": lead, "Rating": "Hot"},
        {"Rating": "Hot"},
        {"id": lead, "Rating": "Cold"},
        {"id": record_id("00Q", 777), "Rating": "Cold"},
    )

    assert codes(answers) == [
        "CANNOT_UPDATE_CONVERTED_LEAD",
        "",
        "MISSING_ARGUMENT",
        "DUPLICATE_VALUE",
        "INVALID_CROSS_REFERENCE_KEY",
    ]
    assert [one.get("id") for one in answers] == [None, lead, None, None, None]


def test_all_or_none_rolls_back_successful_writes(sf: Client, lead: str) -> None:
    """One invalid record, and nothing is written."""
    bad = {"id": converted_lead(sf), "Rating": "Hot"}
    answers = patch(sf, {"id": lead, "Rating": "Hot"}, bad, all_or_none=True)

    assert codes(answers)[0] == "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert sf.Lead.get(lead)["Rating"] is None


def test_a_value_of_a_wrong_type_fails_the_whole_collection(sf: Client, lead: str) -> None:
    """400 for JSON that does not match, and nothing is written."""
    other = sf.Lead.create({"LastName": "Z", "Company": "Z"})["id"]

    with pytest.raises(SalesforceMalformedRequest, match="JSON_PARSER_ERROR"):
        patch(sf, {"id": lead, "Rating": "Hot"}, {"id": other, "onefunnel_score__c": "much"})
    assert sf.Lead.get(lead)["Rating"] is None


@pytest.mark.parametrize(
    ("count", "code"),
    [
        pytest.param(0, "REQUIRED_FIELD_MISSING", id="none"),
        pytest.param(201, "EXCEEDED_ID_LIMIT", id="more than 200"),
    ],
)
def test_a_collection_has_a_maximum_size(sf: Client, lead: str, count: int, code: str) -> None:
    """1 to 200 records."""
    with pytest.raises(SalesforceMalformedRequest, match=code):
        patch(sf, *[{"id": lead, "Rating": "Hot"}] * count)


def test_a_locked_row_fails_the_planned_number_of_writes(
    sf: Client, sandbox: Sandbox, lead: str
) -> None:
    """The lock of another transaction ends."""
    body = {"ids": [lead], "times": 1}
    requests.post(f"{sandbox.url}/_sandbox/salesforce/locks", json=body, timeout=5)
    first, second = (patch(sf, {"id": lead, "Rating": "Hot"}) for _ in range(2))

    assert [codes(first), codes(second)] == [["UNABLE_TO_LOCK_ROW"], [""]]


def test_a_locked_account_locks_its_contacts(sf: Client, sandbox: Sandbox) -> None:
    """So a sync groups writes by account."""
    soql = "SELECT Id, AccountId FROM Contact WHERE AccountId != null LIMIT 1"
    contact = sf.query(soql)["records"][0]
    sandbox.salesforce.lock([contact["AccountId"]])

    with pytest.raises(SalesforceMalformedRequest, match="UNABLE_TO_LOCK_ROW"):
        sf.Contact.update(contact["Id"], {"Department": "Sales"})


def test_collections_create_and_delete(sf: Client) -> None:
    """Records of several objects in one call."""
    records = [
        {"attributes": {"type": "Lead"}, "LastName": "A", "Company": "B"},
        {"attributes": {"type": "Contact"}, "LastName": "C"},
    ]
    made: Any = sf.restful("composite/sobjects", method="POST", json={"records": records})
    ids = [one["id"] for one in made]
    deleted: Any = sf.restful("composite/sobjects", method="DELETE", params={"ids": ",".join(ids)})

    assert [one["id"] for one in deleted] == ids


def test_records_are_read_in_one_call(sf: Client, lead: str) -> None:
    """In the requested order, null for unknown ids."""
    body = {"ids": [record_id("00Q", 777), lead], "fields": ["LastName"]}
    answer: Any = sf.restful("composite/sobjects/Lead", method="POST", json=body)

    assert answer[0] is None
    assert answer[1]["LastName"] == "Muster"


def test_a_composite_request_rolls_back_as_a_whole(sf: Client, lead: str) -> None:
    """With allOrNone, successful writes are undone."""
    here = f"{ROOT}/sobjects/Lead"
    requests_inside = [
        {"method": "PATCH", "url": f"{here}/{one}", "referenceId": one, "body": {"Rating": "Hot"}}
        for one in (lead, converted_lead(sf))
    ]
    body = {"allOrNone": True, "compositeRequest": requests_inside}
    answer: Any = sf.restful("composite", method="POST", json=body)
    error_codes = [one["body"][0]["errorCode"] for one in answer["compositeResponse"]]

    assert error_codes == ["PROCESSING_HALTED", "CANNOT_UPDATE_CONVERTED_LEAD"]
    assert sf.Lead.get(lead)["Rating"] is None


def test_a_batch_returns_each_result(sf: Client) -> None:
    """One call for several independent requests."""
    urls = ["v60.0/limits", "v60.0/nowhere"]
    body = {"batchRequests": [{"method": "GET", "url": one} for one in urls]}
    answer: Any = sf.restful("composite/batch", method="POST", json=body)

    assert answer["hasErrors"]
    assert [one["statusCode"] for one in answer["results"]] == [200, 404]


# --- Bulk API 2.0 ----------------------------------------------------------------------------


def test_a_bulk_query_returns_pages_of_csv(sf: Client, sandbox: Sandbox) -> None:
    """Each page has the header; all values are quoted; the last locator is the text null."""
    pages = list(
        sf.bulk2.Lead.query(
            "SELECT Id, Owner.Name, IsConverted, CreatedDate FROM Lead", max_records=60, wait=0
        )
    )
    live = [row for row in sandbox.salesforce.tables["Lead"].values() if not row.get("IsDeleted")]

    assert {page.partition("\n")[0] for page in pages} == {
        '"Id","Owner.Name","IsConverted","CreatedDate"'
    }
    assert sum(page.count("\n") - 1 for page in pages) == len(live)
    assert '.000Z"\n' in pages[0]


def test_a_query_job_goes_through_its_states(rest: requests.Session, sandbox: Sandbox) -> None:
    """Results before the end are an error; a finished job can be deleted."""
    jobs = f"{sandbox.url}{ROOT}/jobs/query"
    made = rest.post(jobs, json={"operation": "query", "query": "SELECT Id FROM Lead"}).json()
    here = f"{jobs}/{made['id']}"
    early = rest.get(f"{here}/results").status_code
    states = [made["state"], *(rest.get(here).json()["state"] for _ in range(2))]
    answer = rest.get(f"{here}/results")

    assert early == 400
    assert states == ["UploadComplete", "InProgress", "JobComplete"]
    assert answer.headers["Sforce-Locator"] == "null"
    assert rest.delete(here).status_code == 204


def test_a_query_job_has_one_api_version(rest: requests.Session, sandbox: Sandbox) -> None:
    """Another version in a later call is a conflict."""
    body = {"operation": "query", "query": "SELECT Id FROM Lead"}
    made = rest.post(f"{sandbox.url}{ROOT}/jobs/query", json=body).json()

    answer = rest.get(f"{sandbox.url}/services/data/v61.0/jobs/query/{made['id']}")
    assert answer.status_code == 409


def test_pages_of_a_query_job_have_urls(rest: requests.Session, sandbox: Sandbox) -> None:
    """For parallel downloads; jobs are listed."""
    jobs = f"{sandbox.url}{ROOT}/jobs/query"
    body = {"operation": "queryAll", "query": "SELECT Id FROM User"}
    made = rest.post(jobs, json=body).json()
    here = f"{jobs}/{made['id']}"
    states = [rest.get(here).json()["state"] for _ in range(2)]
    (page,) = rest.get(f"{here}/resultPages").json()["resultPages"]

    assert states[-1] == "JobComplete"
    assert rest.get(f"{sandbox.url}{page['resultUrl']}").text.count("\n") == 6
    assert made["id"] in [one["id"] for one in rest.get(jobs).json()["records"]]


def test_an_aborted_query_job_has_no_results(rest: requests.Session, sandbox: Sandbox) -> None:
    """It cannot be aborted again."""
    body = {"operation": "query", "query": "SELECT Id FROM User"}
    made = rest.post(f"{sandbox.url}{ROOT}/jobs/query", json=body).json()
    here = f"{sandbox.url}{ROOT}/jobs/query/{made['id']}"
    ends = [rest.patch(here, json={"state": "Aborted"}).status_code for _ in range(2)]

    assert ends == [200, 400]
    assert rest.get(f"{here}/results").status_code == 400


@pytest.mark.parametrize("query", ["SELECT COUNT() FROM Lead", "SELECT Id FROM Lead OFFSET 1"])
def test_bulk_queries_support_less_than_rest(
    rest: requests.Session, sandbox: Sandbox, query: str
) -> None:
    """No aggregates and no offset."""
    body = {"operation": "query", "query": query}

    assert rest.post(f"{sandbox.url}{ROOT}/jobs/query", json=body).status_code == 400


def test_large_numbers_have_an_exponent(sf: Client) -> None:
    """As in 2.739E7."""
    made = sf.Account.create({"Name": "Grand AG", "AnnualRevenue": 27_390_000})["id"]
    soql = f"SELECT AnnualRevenue FROM Account WHERE Id = '{made}'"

    assert list(sf.bulk2.Account.query(soql, wait=0)) == ['"AnnualRevenue"\n"2.739E7"\n']


def test_an_ingest_job_writes_the_valid_rows(sf: Client, lead: str) -> None:
    """JobComplete does not include single rows; another list has the failures."""
    sf.Lead.update(lead, {"Need__c": "data", "Title": "CFO"})
    rows = [
        {"Id": lead, "Rating": "Warm", "Need__c": "#N/A", "Title": ""},
        {"Id": converted_lead(sf), "Rating": "Warm", "Need__c": "x", "Title": ""},
    ]
    job = sf.bulk2.Lead.update(records=rows, wait=0)[0]
    kept = sf.Lead.get(lead)

    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (2, 1)
    assert (kept["Rating"], kept["Need__c"], kept["Title"]) == ("Warm", None, "CFO")
    assert "CANNOT_UPDATE_CONVERTED_LEAD:cannot reference converted lead:--" in (
        sf.bulk2.Lead.get_failed_records(job["job_id"])
    )


class Ingest:
    """An ingest job, step by step."""

    def __init__(self, rest: requests.Session, url: str, operation: str = "update") -> None:
        self.rest = rest
        body = {"object": "Lead", "operation": operation, "contentType": "CSV"}
        self.made: Json = rest.post(f"{url}{ROOT}/jobs/ingest", json=body).json()
        self.upload_url = f"{url}/{self.made['contentUrl']}"
        self.url = self.upload_url.removesuffix("/batches")

    def upload(self, text: str) -> int:
        headers = {"Content-Type": "text/csv"}
        return self.rest.put(self.upload_url, data=text.encode(), headers=headers).status_code

    def run(self, text: str) -> Json:
        """Upload, close, and wait for the end of the job."""
        self.upload(text)
        self.rest.patch(self.url, json={"state": "UploadComplete"})
        answers = [self.rest.get(self.url).json() for _ in range(2)]
        return dict(answers[-1])

    def listing(self, name: str) -> str:
        return self.rest.get(f"{self.url}/{name}").text


def test_rows_are_uploaded_once(rest: requests.Session, sandbox: Sandbox) -> None:
    """The URL has no slash in front, and a second upload is an error."""
    job = Ingest(rest, sandbox.url)
    statuses = [job.upload("Id,Rating\n"), job.upload("Id,Rating\n")]

    assert job.made["contentUrl"].startswith("services/data/")
    assert statuses == [201, 400]


def test_an_unknown_column_fails_the_whole_job(
    rest: requests.Session, sandbox: Sandbox, lead: str
) -> None:
    """No row is processed; all rows are in the list of unprocessed ones."""
    job = Ingest(rest, sandbox.url)
    state = job.run(f"Id,Nope__c\n{lead},x\n")

    assert state["state"] == "Failed"
    assert state["errorMessage"] == "InvalidBatch : Field name not found : Nope__c"
    assert job.listing("unprocessedrecords") == f'Id,Nope__c\n"{lead}","x"\n'


def test_a_byte_order_mark_breaks_the_first_column(
    rest: requests.Session, sandbox: Sandbox, lead: str
) -> None:
    """Spreadsheets write one."""
    state = Ingest(rest, sandbox.url).run(f"\ufeffId,Rating\n{lead},Hot\n")

    assert state["state"] == "Failed"


def test_results_come_in_another_order_than_the_rows(
    rest: requests.Session, sandbox: Sandbox, lead: str, sf: Client
) -> None:
    """Match them by id."""
    other = sf.Lead.create({"LastName": "Z", "Company": "Z"})["id"]
    job = Ingest(rest, sandbox.url)
    job.run(f"Id,Rating\n{lead},Hot\n{other},Cold\n")

    assert job.listing("successfulResults").splitlines() == [
        '"sf__Id","sf__Created",Id,Rating',
        f'"{other}","false","{other}","Cold"',
        f'"{lead}","false","{lead}","Hot"',
    ]


def test_a_value_of_a_wrong_type_fails_its_row_only(
    rest: requests.Session, sandbox: Sandbox, lead: str
) -> None:
    """Unlike in JSON; the error has the number of the column."""
    job = Ingest(rest, sandbox.url)
    job.run(f"Id,Timeline__c\n{lead},2003-04-98\n")

    assert "INVALID_FIELD:Failed to deserialize field at col 1. Due to, '2003-04-98'" in (
        job.listing("failedResults")
    )


def test_ingest_jobs_insert_and_delete(rest: requests.Session, sandbox: Sandbox) -> None:
    """The list of successes has the new ids."""
    inserting = Ingest(rest, sandbox.url, "insert")
    inserting.run("LastName,Company\nNeu,Neu AG\n")
    made = inserting.listing("successfulResults").splitlines()[1].split(",")[0].strip('"')
    deleting = Ingest(rest, sandbox.url, "delete")
    state = deleting.run(f"Id\n{made}\n")

    assert state["numberRecordsFailed"] == 0
    assert sandbox.salesforce.tables["Lead"][made]["IsDeleted"]


def test_a_row_without_an_id_cannot_be_updated(rest: requests.Session, sandbox: Sandbox) -> None:
    """Only this row fails."""
    job = Ingest(rest, sandbox.url)
    job.run("Id,Rating\n,Hot\n")

    assert "MISSING_ARGUMENT:Id not specified in an update call:--" in job.listing("failedResults")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"object": "Nope", "operation": "update"}, id="object"),
        pytest.param({"object": "Lead", "operation": "improve"}, id="operation"),
        pytest.param({"object": "Lead", "operation": "upsert"}, id="external id"),
        pytest.param(
            {"object": "Lead", "operation": "update", "columnDelimiter": "DOT"}, id="delimiter"
        ),
    ],
)
def test_an_invalid_job_is_an_error(rest: requests.Session, sandbox: Sandbox, body: Json) -> None:
    """Before an upload."""
    answer = rest.post(f"{sandbox.url}{ROOT}/jobs/ingest", json=body)

    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "InvalidJob")


def test_an_aborted_job_writes_nothing(
    rest: requests.Session, sandbox: Sandbox, lead: str, sf: Client
) -> None:
    """A client deletes the open jobs of a crashed run."""
    job = Ingest(rest, sandbox.url)
    job.upload(f"Id,Rating\n{lead},Hot\n")
    answer = rest.patch(job.url, json={"state": "Aborted"})

    assert answer.json()["state"] == "Aborted"
    assert sf.Lead.get(lead)["Rating"] is None


def test_an_org_without_limits_only_counts_calls() -> None:
    """For benchmarks."""
    _, store = salesforce(
        {},
        access_token="t",
        client_id="c",
        client_secret="s",
        rate_limits=False,
    )

    assert store.daily_limit is None
