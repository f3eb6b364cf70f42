"""Whatever goes wrong meanwhile: nothing is lost, guessed, half written or overwritten."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from fault_schedules import SandboxCrms, Schedule, find_violations, schedule_strategy, serve_crms


@pytest.fixture(scope="module")
def crms() -> Iterator[SandboxCrms]:
    with serve_crms() as served:
        yield served


@pytest.mark.long
@settings(
    max_examples=500,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(schedule=schedule_strategy())
def test_every_schedule_of_faults_ends_right(crms: SandboxCrms, schedule: Schedule) -> None:
    """Every record has one outcome, which is true; the run after it makes everything right."""
    assert find_violations(schedule, crms) == []
