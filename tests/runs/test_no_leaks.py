"""No secret and no personal value in logs, reports, stored tables and errors of a run with faults.

Markers stand in the records, and in the error messages of the CRMs.
"""

import json
import logging
import traceback
from collections.abc import Iterator

import pytest

from errors import AccessError
from run_helpers import configured_sandbox, run_sync, table_rows
from sandbox.faults import Fault
from sandbox.server import Sandbox

EMAIL, PHONE, NAME = "zyxmarker@example.com", "+49155500099", "Zyxmarkername"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with configured_sandbox(tmp_path_factory.mktemp("markers"), people=12) as served:
        for record in served.hubspot.tables["contacts"].records.values():
            record.properties |= {"email": EMAIL, "phone": PHONE, "firstname": NAME}
        for lead in served.salesforce.tables["Lead"].values():
            lead |= {"Email": EMAIL, "Phone": PHONE, "FirstName": NAME}
        yield served


@pytest.fixture
def said(sandbox: Sandbox) -> Iterator[list[str]]:
    """All that any logger says from the lowest level on."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    root, own = logging.getLogger(), logging.getLogger("onefunnel")
    levels = root.level, own.level
    root.addHandler(handler)
    # the command line sets a level for `onefunnel`: a test in this process may have run a command
    root.setLevel(logging.DEBUG)
    own.setLevel(logging.DEBUG)
    sandbox.faults.reset()
    yield lines
    root.removeHandler(handler)
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def markers(sandbox: Sandbox, text: str) -> set[str]:
    """The markers found in a text."""
    secrets = (sandbox.hubspot_token, sandbox.salesforce_token, sandbox.client_secret)
    sessions = sandbox.salesforce.credentials.tokens
    return {one for one in (EMAIL, PHONE, NAME, *secrets, *sessions) if one in text}


def telling(status: int) -> dict[str, object]:
    """A refusal whose every text holds what it must not pass on."""
    told = f"{NAME} {EMAIL} {PHONE}"
    hubspot = {"message": told, "category": told, "errors": [{"message": told, "code": told}]}
    return {"status": status, "body": hubspot, "headers": {"X-Marker": told}}


@pytest.mark.long
@pytest.mark.parametrize("path", ["/properties", "/batch/read"])
def test_an_error_that_ends_a_run_tells_no_marker(
    sandbox: Sandbox, said: list[str], path: str
) -> None:
    """Neither its text nor its traceback, with all that led to it.

    The first test here: what another one made a CRM refuse is not sent again.
    """
    sandbox.faults.plan(Fault(path=path, times=None, **telling(403)))
    for record in sandbox.hubspot.tables["contacts"].records.values():
        record.properties["onefunnel_standing"] = "an unknown value"

    with pytest.raises(AccessError) as raised:
        run_sync(full=True)

    text = "".join([*said, *traceback.format_exception(raised.value)])
    assert "403" in text
    assert markers(sandbox, text) == set()


@pytest.mark.long
def test_a_run_full_of_faults_tells_no_marker(sandbox: Sandbox, said: list[str]) -> None:
    """Neither logs, nor the report, nor the journal."""
    told = [{"message": f"{EMAIL} {PHONE}", "errorCode": EMAIL, "fields": [EMAIL]}]
    plan = sandbox.faults.plan
    plan(Fault(path="/objects/contacts", method="GET", **telling(503)))
    plan(Fault(path="/queryAll", method="GET", status=503, body=told))
    plan(Fault(path="/batch/read", **telling(429)))
    plan(Fault(path="/batch/update", effect="commit_then_drop"))
    plan(Fault(path="/batch/update", times=None, **telling(400)))
    plan(Fault(path="/composite/sobjects", method="PATCH", effect="reset"))
    plan(Fault(path="/composite/sobjects", method="PATCH", times=None, status=400, body=told))

    report = run_sync()

    journal = [table_rows(name) for name in ("outcomes", "changes", "runs")]
    text = "\n".join([*said, json.dumps(report.as_json(), default=str), str(journal)])
    assert "quarantined" in text
    assert "api.retry" in text
    assert markers(sandbox, text) == set()
