"""A sandbox that is watched: each test ends by asking what the documents say of its calls."""

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
    """Give all documents there are."""
    return _DOCUMENTS


@pytest.fixture
def tally() -> Iterator[ConformanceCounts]:
    """Count what the test's calls come to; what was unlawful fails the test."""
    tally = ConformanceCounts()
    yield tally
    _TOTAL.add(tally)
    assert sorted(set(tally.faults)) == []


@pytest.fixture
def box(request: pytest.FixtureRequest, tally: ConformanceCounts) -> Iterator[Sandbox]:
    """A world of the test's own, as large as its module says, behind a witness."""
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
            f" ({known} in the documents), {_TOTAL.refused} unlawful requests refused,"
            f" {_TOTAL.unlisted} calls in no document, {len(_TOTAL.faults)} faults"
        )
