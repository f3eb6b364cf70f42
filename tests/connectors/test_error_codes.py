"""What each answer of the two CRMs means: the tables of `answers.py`, row by row."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from connectors.error_mapping import ErrorRule
from connectors.http import Response, open_session, parse_json, send_request
from connectors.hubspot import error_codes as hubspot
from connectors.hubspot.auth import parse_token
from connectors.salesforce import error_codes as salesforce
from connectors.salesforce.login_errors import token_or_error
from errors import (
    AccessError,
    ConfigError,
    QuotaError,
    RejectedError,
    RetryableError,
    RowLockedError,
    SyncError,
    UnknownOutcomeError,
)

MARKER = "anna@example.com"


def answer(status: int, body: Any = None, **headers: str) -> Response:
    told = body if isinstance(body, bytes) else orjson.dumps(body)
    return Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, told
    )


def property_error(code: str) -> dict[str, Any]:
    cause = {"message": MARKER, "code": code, "context": {"propertyName": ["onefunnel_score"]}}
    return {"message": MARKER, "category": "VALIDATION_ERROR", "errors": [cause]}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (302, {}, RetryableError),
        (400, {"message": "Unable to infer object type from: butterflies"}, RejectedError),
        (400, property_error("PROPERTY_DOESNT_EXIST"), RejectedError),
        (400, property_error("READ_ONLY_VALUE"), RejectedError),
        (400, property_error("INVALID_OPTION"), RejectedError),
        (400, property_error("INVALID_ALPHA"), RejectedError),
        (400, property_error("MISSING_CONDITIONAL_REQUIRED_PROPERTY"), RejectedError),
        (400, property_error("MISSING_REQUIRED_PROPERTY"), RejectedError),
        (401, {"category": "INVALID_AUTHENTICATION"}, hubspot.TokenRefusedError),
        (401, {"category": "EXPIRED_AUTHENTICATION"}, hubspot.TokenRefusedError),
        (403, {"category": "MISSING_SCOPES"}, hubspot.MissingScopeError),
        (404, b"<html><h2>HTTP ERROR 404</h2></html>", RejectedError),
        (408, {}, RetryableError),
        (409, {"category": "CONFLICT"}, RejectedError),
        (414, b"", ConfigError),
        (418, {}, RejectedError),
        (423, {}, RetryableError),
        (425, {}, RetryableError),
        (429, {"category": "RATE_LIMITS"}, RetryableError),
        (429, {"policyName": "TEN_SECONDLY_ROLLING"}, RetryableError),
        (429, {"policyName": "DAILY"}, QuotaError),
        (429, {"message": "You have reached your daily limit."}, QuotaError),
        (477, {}, RetryableError),
        (500, b"<html>", RetryableError),
        (503, {}, RetryableError),
        (521, b"", RetryableError),
    ],
)
def test_hubspot_answers(status: int, body: Any, error: type[SyncError]) -> None:
    """Each is one branch of the tree of errors, and no text holds what the body held."""
    raised = hubspot.to_error(answer(status, body), "GET /x")

    assert type(raised) is error
    assert MARKER not in str(raised)


@pytest.mark.parametrize("row", hubspot.ERROR_RULES, ids=lambda row: f"{row.status} {row.code}")
def test_every_row_of_hubspots_table_is_reached(row: ErrorRule) -> None:
    """None stands behind another that fits as well; what to do is in the text."""
    named = {"policyName": "DAILY"} if row.code == "DAILY" else property_error(row.code or "")
    raised = hubspot.to_error(answer(row.status or 404, named), "POST /x")

    assert isinstance(raised, row.error)
    assert row.fix in str(raised)


@pytest.mark.parametrize("row", salesforce.ERROR_RULES, ids=lambda row: f"{row.status} {row.code}")
def test_every_row_of_salesforces_table_is_reached(row: ErrorRule) -> None:
    """None stands behind another that fits as well; what to do is in the text."""
    code = "REQUEST_LIMIT_EXCEEDED" if row.code == "CONCURRENT_REQUESTS" else row.code or ""
    message = "ConcurrentRequests" if row.code == "CONCURRENT_REQUESTS" else MARKER
    body = [{"message": message, "errorCode": code}]
    raised = salesforce.to_error(answer(row.status or 400, body), "PATCH /x")

    assert isinstance(raised, row.error)
    assert row.fix in str(raised)


@pytest.mark.parametrize("crm", [hubspot, salesforce])
def test_an_unknown_code_is_refused_and_kept(crm: Any) -> None:
    """An unknown code is not retried; the message shows the code."""
    told = property_error("A_CODE_OF_TOMORROW") if crm is hubspot else None
    body = told or [{"message": MARKER, "errorCode": "A_CODE_OF_TOMORROW"}]
    raised = crm.to_error(answer(400, body), "PATCH /x")

    assert isinstance(raised, RejectedError)
    assert raised.code == "A_CODE_OF_TOMORROW"


def test_a_field_that_only_the_message_names_is_found() -> None:
    """Salesforce leaves the list of fields out where the field is not there."""
    body = [
        {
            "message": "No such column 'Shoe__c' on sobject of type Lead",
            "errorCode": "INVALID_FIELD",
        }
    ]
    raised = salesforce.to_error(answer(400, body), "PATCH /x")

    assert isinstance(raised, RejectedError)
    assert raised.field == "Shoe__c"


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"context": {"requiredGranularScopes": ["crm.objects.deals.read"]}}]},
        {"context": {"requiredGranularScopes": ["crm.objects.deals.read"]}},
        {"message": "You do not have permissions (requires one of [crm.objects.deals.read])"},
    ],
)
def test_hubspot_names_a_missing_scope_in_three_ways(body: dict[str, Any]) -> None:
    """All are found."""
    raised = hubspot.to_error(answer(403, body), "GET /crm/v3/objects/deals")

    assert "crm.objects.deals.read" in str(raised)


def test_a_refused_property_is_named_with_what_to_do() -> None:
    """Code, field and fix travel with the error."""
    raised = hubspot.to_error(answer(400, property_error("INVALID_OPTION")), "POST /x")

    assert isinstance(raised, RejectedError)
    assert (raised.code, raised.field) == ("INVALID_OPTION", "onefunnel_score")
    assert "option" in raised.fix


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (302, "", RetryableError),
        (400, "", RejectedError),
        (400, "UNABLE_TO_LOCK_ROW", RetryableError),
        (400, "QUERY_TIMEOUT", RetryableError),
        (400, "INVALID_FIELD", RejectedError),
        (400, "INVALID_FIELD_FOR_INSERT_UPDATE", RejectedError),
        (400, "INVALID_TYPE", RejectedError),
        (400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", RejectedError),
        (400, "STRING_TOO_LONG", RejectedError),
        (400, "REQUIRED_FIELD_MISSING", RejectedError),
        (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", RejectedError),
        (400, "FIELD_INTEGRITY_EXCEPTION", RejectedError),
        (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", RejectedError),
        (400, "DUPLICATES_DETECTED", RejectedError),
        (400, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", RejectedError),
        (400, "CANNOT_UPDATE_CONVERTED_LEAD", RejectedError),
        (400, "A_CODE_OF_TOMORROW", RejectedError),
        (401, "INVALID_SESSION_ID", AccessError),
        (401, "", AccessError),
        (403, "REQUEST_LIMIT_EXCEEDED", QuotaError),
        (403, "API_DISABLED_FOR_ORG", AccessError),
        (403, "INSUFFICIENT_ACCESS", AccessError),
        (403, "INSUFFICIENT_ACCESS_OR_READONLY", RejectedError),
        (403, "", AccessError),
        (404, "ENTITY_IS_DELETED", RejectedError),
        (404, "NOT_FOUND", RejectedError),
        (408, "", RetryableError),
        (414, "", ConfigError),
        (425, "", RetryableError),
        (429, "", RetryableError),
        (431, "", ConfigError),
        (500, "UNKNOWN_EXCEPTION", RetryableError),
        (503, "SERVER_UNAVAILABLE", RetryableError),
    ],
)
def test_salesforce_answers(status: int, code: str, error: type[SyncError]) -> None:
    """Each is one branch of the tree of errors, and no text holds what the body held."""
    raised = salesforce.to_error(
        answer(status, [{"message": MARKER, "errorCode": code}]), "GET /services/x"
    )

    assert isinstance(raised, error)
    assert MARKER not in str(raised)


def test_too_many_calls_at_once_are_not_a_spent_day() -> None:
    """Salesforce gives both one code."""
    body = [
        {
            "errorCode": "REQUEST_LIMIT_EXCEEDED",
            "message": "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        }
    ]

    assert isinstance(salesforce.to_error(answer(403, body), "GET /x"), RetryableError)


def test_a_null_in_an_error_does_not_hide_the_rest_of_it() -> None:
    """The calls of the day are spent: nothing else may be tried."""
    nothing = {"context": None, "errors": None, "subCategory": None}
    daily = {"message": "You have reached your daily limit.", **nothing}
    spent = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": None, "fields": None}]

    assert isinstance(hubspot.to_error(answer(429, daily), "POST /x"), QuotaError)
    assert isinstance(salesforce.to_error(answer(403, spent), "GET /x"), QuotaError)


PASSING = [
    pytest.param(
        "REQUEST_LIMIT_EXCEEDED",
        "ConcurrentPerOrgLongTxn Limit exceeded.",
        RetryableError,
        id="long transactions",
    ),
    pytest.param("API_CURRENTLY_DISABLED", "API is not enabled", RetryableError, id="maintenance"),
    pytest.param("UNKNOWN_EXCEPTION", "An unexpected error", RetryableError, id="unexpected"),
    pytest.param(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "Score: System.LimitException: Apex CPU time limit exceeded",
        RetryableError,
        id="CPU time of a trigger",
    ),
    pytest.param(
        "CANNOT_EXECUTE_FLOW_TRIGGER",
        "The flow failed: Apex CPU time limit exceeded.",
        RetryableError,
        id="CPU time of a flow",
    ),
    pytest.param(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "Score: System.LimitException: Too many SOQL queries: 101",
        RetryableError,
        id="queries of a trigger",
    ),
    pytest.param(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "caused by: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access",
        RowLockedError,
        id="a lock that a trigger met",
    ),
    pytest.param("", "UNABLE_TO_LOCK_ROW: unable to lock", RowLockedError, id="only in the text"),
    pytest.param("", "SERVER_UNAVAILABLE, try again", RetryableError, id="only in the text, busy"),
]


@pytest.mark.parametrize(("code", "message", "error"), PASSING)
@pytest.mark.parametrize("name", ["errorCode", "statusCode"])
def test_what_passes_by_itself_is_tried_later(
    name: str, code: str, message: str, error: type[SyncError]
) -> None:
    """The answer to a call, or to one record of a batch or a job."""
    problem = {name: code, "message": f"{message} {MARKER}"}

    of_call = salesforce.to_error(answer(400, [problem]), "PATCH /x")
    of_record = salesforce.rejection(salesforce.parse_errors([problem]), "a record of a batch")

    assert (type(of_call), type(of_record)) == (error, error)
    assert MARKER not in f"{of_call}{of_record}"


def test_a_spent_day_that_one_record_meets_does_not_put_it_aside() -> None:
    """A trigger called the API: the next run tries the record again."""
    problem = {"statusCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}

    of_record = salesforce.rejection(salesforce.parse_errors([problem]), "a record of a batch")

    assert type(of_record) is RetryableError


def test_a_code_that_stands_in_the_text_only_is_the_code() -> None:
    """In Salesforce before a colon, in HubSpot in a list behind the words."""
    told = [{"message": f"STRING_TOO_LONG: data value too large: {MARKER}"}]
    listed = [{"isValid": False, "message": MARKER, "error": "INVALID_LONG", "name": "score"}]
    text = f"Property values were not valid: {orjson.dumps(listed).decode()}"

    by_salesforce = salesforce.to_error(answer(400, told), "PATCH /x")
    by_hubspot = hubspot.to_error(answer(400, {"message": text}), "POST /x")

    assert isinstance(by_salesforce, RejectedError)
    assert isinstance(by_hubspot, RejectedError)
    assert (by_salesforce.code, by_hubspot.code, by_hubspot.field) == (
        "STRING_TOO_LONG",
        "INVALID_LONG",
        "score",
    )
    assert MARKER not in f"{by_salesforce}{by_hubspot}"


def test_a_row_lock_inside_a_triggers_error_is_a_row_lock() -> None:
    """The trigger failed only because it had to wait."""
    body = [
        {
            "errorCode": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            "message": "execution of AfterUpdate caused by: UNABLE_TO_LOCK_ROW: 1 records",
        }
    ]

    assert isinstance(salesforce.to_error(answer(400, body), "PATCH /x"), RetryableError)


@pytest.mark.parametrize("crm", [hubspot, salesforce])
@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 524])
def test_a_write_no_gateway_vouches_for_is_unclear(crm: Any, status: int) -> None:
    """It may have happened."""
    raised = crm.to_error(answer(status, b"<html>"), "PATCH /x", is_write=True)

    assert isinstance(raised, UnknownOutcomeError)


@pytest.mark.parametrize("crm", [hubspot, salesforce])
def test_retry_after_is_taken_from_the_answer(crm: Any) -> None:
    """In seconds."""
    raised = crm.to_error(answer(429, {}, Retry_After="17"), "GET /x")

    assert raised.retry_after == timedelta(seconds=17)


def test_retry_after_may_be_a_date() -> None:
    """One that has passed means now."""
    past = answer(503, {}, Retry_After="Wed, 04 Mar 2026 12:00:00 GMT")

    assert past.retry_after == timedelta()


def test_a_date_to_wait_for_is_read_by_the_clock_of_the_server() -> None:
    """Ours may be minutes ahead."""
    told = {"Retry_After": "Sat, 01 Mar 2014 00:00:10 GMT", "Date": "Sat, 01 Mar 2014 00:00:00 GMT"}

    assert answer(503, {}, **told).retry_after == timedelta(seconds=10)


def test_retry_after_may_be_nonsense() -> None:
    """Then the retry policy decides."""
    assert answer(503, {}, Retry_After="soon").retry_after is None


@pytest.mark.parametrize("asked", ["9" * 30, "²", "-5", "1.5", "0x10"])
def test_a_time_that_is_none_is_ignored(asked: str) -> None:
    """A number without end, or a digit that is no decimal."""
    assert answer(503, {}, Retry_After=asked).retry_after is None


@pytest.mark.parametrize("crm", [hubspot, salesforce])
def test_a_wait_that_is_too_long_is_named_with_its_time(crm: Any) -> None:
    """By the clock of the CRM."""
    headers = {"Retry_After": "7200", "Date": "Sat, 01 Mar 2014 00:00:00 GMT"}

    raised = crm.to_error(answer(429, {}, **headers), "GET /x")

    assert isinstance(raised, RetryableError)
    assert "no calls before 2014-03-01 02:00 UTC" in str(raised)


TWO_HOURS = {"Retry_After": "7200", "Date": "Sat, 01 Mar 2014 00:00:00 GMT"}


def test_a_login_to_hubspot_that_must_wait_too_long_names_the_time() -> None:
    """As every other call."""
    with pytest.raises(RetryableError, match="no calls before 2014-03-01 02:00 UTC"):
        parse_token(answer(429, {}, **TWO_HOURS), "POST /oauth")


@pytest.mark.parametrize(
    ("status", "body"), [(503, {}), (400, {"error": "server_error"}), (429, b"")]
)
def test_a_login_to_salesforce_that_must_wait_too_long_names_the_time(
    status: int, body: Any
) -> None:
    """As every other call."""
    error = token_or_error(answer(status, body, **TWO_HOURS), "client credentials", "h")

    assert isinstance(error, RetryableError)
    assert "no calls before 2014-03-01 02:00 UTC" in str(error)


@pytest.mark.parametrize("crm", [hubspot, salesforce])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 409])
@pytest.mark.parametrize("body", [b"<html>blocked</html>", b"", b"blocked"])
def test_a_page_that_the_api_did_not_give_says_nothing_of_permissions(
    crm: Any, status: int, body: bytes
) -> None:
    """A read is repeated and then names the address; the outcome of a write is unknown."""
    read = crm.to_error(answer(status, body), "GET /x")
    write = crm.to_error(answer(status, body), "PATCH /x", is_write=True)

    assert isinstance(read, RetryableError)
    assert "is the address right?" in str(read)
    assert isinstance(write, UnknownOutcomeError)


@pytest.mark.parametrize("crm", [hubspot, salesforce])
def test_a_redirect_names_the_host_it_leads_to(crm: Any) -> None:
    """Not its path: that may hold a value."""
    raised = crm.to_error(answer(302, b"", Location=f"https://other.example/{MARKER}"), "GET /x")

    assert "leads to other.example" in str(raised)
    assert MARKER not in str(raised)


NOWHERE = "http://127.0.0.1:9/contacts"


def test_a_read_without_connection_is_tried_again() -> None:
    """The text holds the path, not the query."""
    with pytest.raises(RetryableError, match="GET /contacts") as raised:
        send_request(open_session(NOWHERE), "GET", NOWHERE, params={"email": MARKER})

    assert MARKER not in str(raised.value)


def test_a_write_that_never_left_may_be_sent_again() -> None:
    """No server listens: nothing was written."""
    with pytest.raises(RetryableError, match=r"127\.0\.0\.1, PATCH /contacts.*connection refused"):
        send_request(open_session(NOWHERE), "PATCH", NOWHERE, is_write=True)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that reads one request and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(1000)

        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/contacts"
        thread.join()


def test_a_write_without_answer_is_unclear(silent_server: str) -> None:
    """It may have arrived."""
    with pytest.raises(UnknownOutcomeError, match="PATCH /contacts"):
        send_request(open_session(silent_server), "PATCH", silent_server, is_write=True)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        (NOWHERE, "connection refused"),
        ("https://onefunnel.invalid/contacts", "name not known"),
    ],
)
def test_a_missing_connection_names_crm_host_and_cause(url: str, cause: str) -> None:
    """The text holds no query."""
    with pytest.raises(RetryableError, match=cause) as raised:
        send_request(open_session(url), "GET", url, crm="HubSpot", params={"email": MARKER})

    assert f"HubSpot {urlsplit(url).hostname}" in str(raised.value)
    assert MARKER not in str(raised.value)


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[str]:
    """A server with a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True):
                pass

        thread = Thread(target=serve)
        thread.start()
        yield f"https://localhost:{server.getsockname()[1]}/contacts"
        thread.join()


def test_a_certificate_that_is_not_trusted_is_named(tls_server: str) -> None:
    """With what to do behind a proxy that opens TLS; a write has not left."""
    with pytest.raises(RetryableError, match=r"certificate is not trusted.*REQUESTS_CA"):
        send_request(open_session(tls_server), "PATCH", tls_server, is_write=True)


def test_a_page_of_a_proxy_is_no_answer() -> None:
    """Whatever its status says."""
    with pytest.raises(RetryableError):
        parse_json(answer(200, b"<html>"), "GET /x")


def test_answers_do_not_print_what_they_hold() -> None:
    """Not even in a traceback that shows variables."""
    assert MARKER not in repr(answer(200, {"email": MARKER}))
