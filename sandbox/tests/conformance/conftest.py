"""A sandbox behind a recorder, which checks each call against the OpenAPI documents."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from openapi_recorder import ConformanceCounts, OpenApiRecorder
from openapi_specs import OpenApiDocuments

from sandbox.server import Sandbox, running

NOW = datetime(2026, 3, 1, tzinfo=UTC)
_DOCUMENTS = OpenApiDocuments()
_TOTAL = ConformanceCounts()


@pytest.fixture
def documents() -> OpenApiDocuments:
    """Return all documents."""
    return _DOCUMENTS


@pytest.fixture
def tally() -> Iterator[ConformanceCounts]:
    """Count the calls of the test; a call that does not match a document fails it."""
    tally = ConformanceCounts()
    yield tally
    _TOTAL.add(tally)
    assert sorted(set(tally.faults)) == []


@pytest.fixture
def box(request: pytest.FixtureRequest, tally: ConformanceCounts) -> Iterator[Sandbox]:
    """A sandbox of the test, with the number of people of its module, behind a recorder."""
    watch = OpenApiRecorder(_DOCUMENTS, tally).watch
    people = request.module.PEOPLE
    with running(people=people, seed=11, now=NOW, rate_limits=False, around=watch) as sandbox:
        yield sandbox


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the counts."""
    if _TOTAL.calls:
        known = len(_DOCUMENTS.operations)
        terminalreporter.write_line(
            f"conformance: {_TOTAL.calls} calls of {len(_TOTAL.operations)} operations"
            f" ({known} in the documents), {_TOTAL.refused} invalid requests with an error,"
            f" {_TOTAL.unlisted} calls without a document, {len(_TOTAL.faults)} faults"
        )
