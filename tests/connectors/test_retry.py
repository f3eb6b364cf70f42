"""One patience for every CRM: what is tried again, how long it waits, how fast calls follow."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from connectors.retry import JOB_LONGEST, LONGEST, TRIES, Pace, Traffic, without_waiting
from errors import RefusedError, RetryableError, UnclearError


@pytest.fixture(autouse=True)
def _nobody_waits() -> Iterator[None]:
    with without_waiting():
        yield


@pytest.fixture
def traffic() -> Traffic:
    return Traffic("hubspot", {"general": Pace(1000, 1)})


def failing(*errors: Exception) -> Callable[[], str]:
    """Make a call that fails like this, once for each error, and then succeeds."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return call


def run(traffic: Traffic, call: Callable[[], str]) -> str:
    return traffic.run("GET /contacts", call, kind="read", pace="general")


def test_a_retryable_error_is_tried_again(traffic: Traffic) -> None:
    """And every try counts as a call, as it does for the CRM."""
    answer = run(traffic, failing(RetryableError("busy"), RetryableError("busy")))

    assert answer == "answer"
    assert traffic.calls == {"read": 3}


@pytest.mark.parametrize("error", [RefusedError("no", code="X"), UnclearError("who knows")])
def test_no_other_error_is_tried_again(traffic: Traffic, error: Exception) -> None:
    """A refusal stays one; what may have happened must be looked at first."""
    with pytest.raises(type(error)):
        run(traffic, failing(error))

    assert traffic.calls == {"read": 1}


def test_tries_are_bounded(traffic: Traffic) -> None:
    """The last error is told as it is."""
    with pytest.raises(RetryableError, match="busy"):
        run(traffic, failing(*[RetryableError("busy")] * 100))

    assert traffic.calls == {"read": TRIES}


def test_what_the_crm_asks_for_is_waited(traffic: Traffic) -> None:
    """Before any idea of our own."""
    run(traffic, failing(RetryableError("busy", retry_after=timedelta(seconds=7))))

    assert traffic.waited == 7


def test_waits_are_counted_per_kind_of_call(traffic: Traffic) -> None:
    """So that `runs` can tell what was slow."""
    run(traffic, failing(RetryableError("busy", retry_after=timedelta(seconds=7))))
    looks = iter([None, "done"])
    traffic.until_done(lambda: next(looks))

    assert traffic.waits == {"read": 7, "job": 1}
    assert traffic.waited == 8


def test_a_wait_beyond_all_patience_is_not_begun(traffic: Traffic) -> None:
    """HubSpot may ask for a day while it moves an account."""
    with pytest.raises(RetryableError):
        run(traffic, failing(RetryableError("moving", retry_after=LONGEST * 2)))

    assert traffic.waited == 0


def test_a_crm_that_asks_for_no_wait_is_given_time_all_the_same(traffic: Traffic) -> None:
    """Six tries at once would be the end of all patience."""
    run(traffic, failing(*[RetryableError("busy", retry_after=timedelta())] * 4))

    assert traffic.waited >= 0.5 + 1 + 2 + 4


def test_waits_grow(traffic: Traffic) -> None:
    """From half a second on, with some chance in them."""
    run(traffic, failing(*[RetryableError("busy")] * 4))

    assert 0.5 + 1 + 2 + 4 <= traffic.waited <= 0.5 + 1 + 2 + 4 + 4


def test_a_retry_is_logged_without_its_arguments(
    traffic: Traffic, caplog: pytest.LogCaptureFixture
) -> None:
    """Operation, count and wait; never the error, whose text another might have written."""
    with caplog.at_level("INFO", logger="onefunnel"):
        run(traffic, failing(RetryableError("anna@example.com", retry_after=timedelta(seconds=2))))

    assert caplog.messages == ["call.retried operation=GET /contacts attempt=1 seconds=2.0"]


def turns(pace: Pace, count: int) -> list[float]:
    """Make calls that are answered at once, and say how long each had to wait."""
    waits = []
    for _ in range(count):
        waits.append(pace.turn())
        pace.answered(time.monotonic())
    return waits


def test_calls_beyond_the_pace_wait_their_turn() -> None:
    """The first ones pass at once."""
    assert turns(Pace(2, 10), 3) == pytest.approx([0, 0, 10], abs=0.1)


def test_calls_on_their_way_hold_their_places() -> None:
    """Each that waits waits for another place."""
    pace = Pace(2, 10)
    turns(pace, 2)

    assert [pace.turn(), pace.turn()] == pytest.approx([10, 10], abs=0.1)


def test_a_call_counts_from_its_answer_on() -> None:
    """The CRM may have counted it as late as that; but a very slow answer costs no more."""
    pace = Pace(2, 10)
    pace.turn(), pace.turn()
    pace.answered(time.monotonic())
    pace.answered(time.monotonic() - 9)

    assert pace.turn() == pytest.approx(1.7, abs=0.2)


def test_a_pace_learns_the_limit_of_the_account() -> None:
    """From the first answer on."""
    pace = Pace(1, 10)
    pace.learn(100, 10)

    assert turns(pace, 101)[99:] == pytest.approx([0, 10], abs=0.1)


def test_what_one_is_asked_to_wait_all_wait() -> None:
    """A CRM that is too busy for one call is too busy for the next."""
    pace = Pace(100, 10)
    pace.close(7)

    assert pace.turn() == pytest.approx(7, abs=0.1)


def test_a_job_is_looked_at_until_it_is_done(traffic: Traffic) -> None:
    """Ever less often."""
    looks = iter([None, None, None, "done"])

    assert traffic.until_done(lambda: next(looks)) == "done"
    assert traffic.waited == 1 + 2 + 4


def test_a_job_that_is_never_done_is_given_up(
    traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two hours, without an answer."""
    clock = iter(range(0, 10**9, 600))
    monkeypatch.setattr("tenacity.time.monotonic", lambda: next(clock))

    with pytest.raises(RetryableError, match=str(JOB_LONGEST)):
        traffic.until_done(lambda: None)
