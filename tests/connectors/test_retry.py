"""The retry policy and the rate limiter: what is repeated, how long it waits, how fast it calls."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from connectors.rate_limiter import RateLimiter
from connectors.retry import POLICY, ApiCaller, no_sleep
from errors import RejectedError, RetryableError, UnknownOutcomeError


@pytest.fixture(autouse=True)
def _no_real_sleep() -> Iterator[None]:
    with no_sleep():
        yield


@pytest.fixture
def traffic() -> ApiCaller:
    return ApiCaller("hubspot", {"general": RateLimiter(1000, 1)})


def failing(*errors: Exception) -> Callable[[], str]:
    """Make a call that fails like this, once for each error, and then succeeds."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return call


def run(traffic: ApiCaller, call: Callable[[], str]) -> str:
    return traffic.call("GET /contacts", call, kind="read", limiter="general")


def test_a_retryable_error_is_tried_again(traffic: ApiCaller) -> None:
    """And every try counts as a call, as it does for the CRM."""
    answer = run(traffic, failing(RetryableError("busy"), RetryableError("busy")))

    assert answer == "answer"
    assert traffic.api_calls == {"read": 3}


@pytest.mark.parametrize("error", [RejectedError("no", code="X"), UnknownOutcomeError("who knows")])
def test_no_other_error_is_tried_again(traffic: ApiCaller, error: Exception) -> None:
    """A refusal stays one; what may have happened must be looked at first."""
    with pytest.raises(type(error)):
        run(traffic, failing(error))

    assert traffic.api_calls == {"read": 1}


def test_tries_are_bounded(traffic: ApiCaller) -> None:
    """The last error is raised unchanged."""
    with pytest.raises(RetryableError, match="busy"):
        run(traffic, failing(*[RetryableError("busy")] * 100))

    assert traffic.api_calls == {"read": POLICY.max_attempts}


def test_what_the_crm_asks_for_is_waited(traffic: ApiCaller) -> None:
    """Before any idea of our own."""
    run(traffic, failing(RetryableError("busy", retry_after=timedelta(seconds=7))))

    assert traffic.wait_seconds == 7


def test_waits_are_counted_per_kind_of_call(traffic: ApiCaller) -> None:
    """The table `runs` shows what was slow."""
    run(traffic, failing(RetryableError("busy", retry_after=timedelta(seconds=7))))
    looks = iter([None, "done"])
    traffic.poll(lambda: next(looks))

    assert traffic.waits == {"read": 7, "job": 1}
    assert traffic.wait_seconds == 8


def test_a_wait_beyond_all_patience_is_not_begun(traffic: ApiCaller) -> None:
    """HubSpot may ask for a day while it moves an account."""
    with pytest.raises(RetryableError):
        run(traffic, failing(RetryableError("moving", retry_after=POLICY.max_time * 2)))

    assert traffic.wait_seconds == 0


def test_a_crm_that_asks_for_no_wait_is_given_time_all_the_same(traffic: ApiCaller) -> None:
    """Six attempts without a wait would use up the policy at once."""
    run(traffic, failing(*[RetryableError("busy", retry_after=timedelta())] * 4))

    assert traffic.wait_seconds >= 0.5 + 1 + 2 + 4


def test_waits_grow(traffic: ApiCaller) -> None:
    """From half a second on, with some chance in them."""
    run(traffic, failing(*[RetryableError("busy")] * 4))

    assert 0.5 + 1 + 2 + 4 <= traffic.wait_seconds <= 0.5 + 1 + 2 + 4 + 4


def test_a_retry_is_logged_without_its_arguments(
    traffic: ApiCaller, caplog: pytest.LogCaptureFixture
) -> None:
    """Operation, count and wait; never the error, whose text another might have written."""
    with caplog.at_level("INFO", logger="onefunnel"):
        run(traffic, failing(RetryableError("anna@example.com", retry_after=timedelta(seconds=2))))

    assert caplog.messages == ["api.retry operation=GET /contacts attempt=1 seconds=2.0"]


def turns(pace: RateLimiter, count: int) -> list[float]:
    """Make calls that are answered at once, and say how long each had to wait."""
    waits = []
    for _ in range(count):
        waits.append(pace.acquire())
        pace.release(time.monotonic())
    return waits


def test_calls_beyond_the_pace_wait_their_turn() -> None:
    """The first ones pass at once."""
    assert turns(RateLimiter(2, 10), 3) == pytest.approx([0, 0, 10], abs=0.1)


def test_calls_on_their_way_hold_their_places() -> None:
    """Each that waits waits for another place."""
    pace = RateLimiter(2, 10)
    turns(pace, 2)

    assert [pace.acquire(), pace.acquire()] == pytest.approx([10, 10], abs=0.1)


def test_a_call_counts_from_its_answer_on() -> None:
    """The CRM may have counted it as late as that; but a very slow answer costs no more."""
    pace = RateLimiter(2, 10)
    pace.acquire(), pace.acquire()
    pace.release(time.monotonic())
    pace.release(time.monotonic() - 9)

    assert pace.acquire() == pytest.approx(1.7, abs=0.2)


def test_a_pace_learns_the_limit_of_the_account() -> None:
    """From the first answer on."""
    pace = RateLimiter(1, 10)
    pace.update(100, 10)

    assert turns(pace, 101)[99:] == pytest.approx([0, 10], abs=0.1)


def test_what_one_is_asked_to_wait_all_wait() -> None:
    """A CRM that is too busy for one call is too busy for the next."""
    pace = RateLimiter(100, 10)
    pace.pause(7)

    assert pace.acquire() == pytest.approx(7, abs=0.1)


def test_a_job_is_looked_at_until_it_is_done(traffic: ApiCaller) -> None:
    """Ever less often."""
    looks = iter([None, None, None, "done"])

    assert traffic.poll(lambda: next(looks)) == "done"
    assert traffic.wait_seconds == 1 + 2 + 4


def test_a_job_that_is_never_done_is_given_up(
    traffic: ApiCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two hours, without an answer."""
    clock = iter(range(0, 10**9, 600))
    monkeypatch.setattr("tenacity.time.monotonic", lambda: next(clock))

    with pytest.raises(RetryableError, match=str(POLICY.poll_max_time)):
        traffic.poll(lambda: None)
