"""The one retry policy for every CRM, and the calls that follow it.

No other module of the connectors sleeps or loops over attempts. `ApiCaller.api_calls` and
`ApiCaller.waits` count calls and waits by kind, `ApiCaller.limited_calls` calls by limit. Several
threads may use all of it at once.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from threading import Lock
from typing import Any, TypeVar, cast

from dlt.common.runtime import signals
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
    wait_exponential,
    wait_exponential_jitter,
)

from connectors.rate_limiter import RateLimiter
from errors import RetryableError

T = TypeVar("T")

TOO_MANY_REQUESTS = 429
"""The status with which both CRMs answer a call above the rate limit."""

_sleep_enabled = ContextVar("sleep_enabled", default=True)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a failed call is repeated.

    max_attempts:  a call is sent at most this many times
    max_time:      and no longer than this; a CRM that asks for a longer wait is given up
    initial_wait:  wait before the second attempt; it doubles with each attempt, up to `max_wait`
    jitter:        a random time of up to this is added
    limiter_pause: pause for all calls under a rate limit if the CRM names no time
    poll_max_wait: longest wait between two looks at a job
    poll_max_time: a job that is not done after this time is given up
    """

    max_attempts: int = 6
    max_time: timedelta = timedelta(minutes=5)
    initial_wait: timedelta = timedelta(seconds=0.5)
    max_wait: timedelta = timedelta(seconds=30)
    jitter: timedelta = timedelta(seconds=1)
    limiter_pause: timedelta = timedelta(seconds=0.5)
    poll_max_wait: timedelta = timedelta(seconds=30)
    poll_max_time: timedelta = timedelta(hours=2)

    def wait_seconds(self, attempt: int, error: BaseException | None = None) -> float:
        """Return the wait after an attempt (from 1): what the CRM asks for, else exponential."""
        if isinstance(error, RetryableError) and error.retry_after:
            return error.retry_after.total_seconds()
        backoff = wait_exponential_jitter(
            multiplier=self.initial_wait.total_seconds(),
            max=self.max_wait.total_seconds(),
            jitter=self.jitter.total_seconds(),
        )
        state = RetryCallState(cast(Any, None), None, (), {})
        state.attempt_number = attempt
        return backoff(state)


POLICY = RetryPolicy()


@contextmanager
def no_sleep() -> Iterator[None]:
    """Let every wait inside take no time; it is counted all the same. For tests and replays."""
    before = _sleep_enabled.set(False)
    try:
        yield
    finally:
        _sleep_enabled.reset(before)


class ApiCaller:
    """All calls to one CRM: under its rate limits, counted, and repeated where that is safe."""

    def __init__(self, crm: str, rate_limiters: Mapping[str, RateLimiter]) -> None:
        """Start with no calls; `rate_limiters` are the limits of the CRM by name."""
        self.crm = crm
        self.rate_limiters = rate_limiters
        self.api_calls: Counter[str] = Counter()
        self.limited_calls: Counter[str] = Counter()
        self.waits: dict[str, float] = defaultdict(float)
        self.throttled = 0
        self._waiting_until = 0.0
        self._lock = Lock()
        self._log = logging.getLogger(f"onefunnel.{crm}")

    @property
    def wait_seconds(self) -> float:
        """Sum the seconds waited."""
        return sum(self.waits.values(), 0.0)

    def count_throttled(self) -> None:
        """Count a call that the CRM refused with 429."""
        with self._lock:
            self.throttled += 1

    def call(
        self,
        operation: str,
        send: Callable[[], T],
        *,
        kind: str,
        limiter: str,
        is_retryable: bool = True,
    ) -> T:
        """Send until the call succeeds, fails for good, or the policy ends.

        Only a RetryableError is repeated, and only if `is_retryable`: some callers must first read
        what changed. `operation` names the call in the log, so it contains no value; `kind` is
        what the call and its waits are counted as; `limiter` is the name of its rate limit.
        """
        limit = self.rate_limiters[limiter]

        def attempt() -> T:
            self.sleep(limit.acquire(), kind=kind)
            with self._lock:
                self.api_calls[kind] += 1
                self.limited_calls[limiter] += 1
            sent_at = time.monotonic()
            try:
                return send()
            except RetryableError as error:
                pause = error.retry_after or POLICY.limiter_pause
                if pause <= POLICY.max_time and _sleep_enabled.get():
                    limit.pause(pause.total_seconds())
                raise
            finally:
                limit.release(sent_at)

        return self.with_retries(operation, attempt, kind=kind) if is_retryable else attempt()

    def with_retries(
        self,
        operation: str,
        attempt: Callable[[], T],
        *,
        kind: str = "write",
        on: type[RetryableError] = RetryableError,
    ) -> T:
        """Repeat something that takes several calls, by the same policy as one call.

        `on` is the error after which it is repeated: a call in it has its own attempts.
        """

        def log_retry(state: RetryCallState) -> None:
            self._log.info(
                "api.retry operation=%s attempt=%d seconds=%.1f",
                operation,
                state.attempt_number,
                state.upcoming_sleep,
            )

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return POLICY.wait_seconds(state.attempt_number, error)

        return Retrying(
            retry=retry_if_exception_type(on),
            stop=stop_any(
                stop_after_attempt(POLICY.max_attempts), stop_before_delay(POLICY.max_time)
            ),
            wait=wait,
            sleep=partial(self.sleep, kind=kind),
            before_sleep=log_retry,
            reraise=True,
        )(attempt)

    def poll(self, check: Callable[[], T | None]) -> T:
        """Call `check` with growing waits until it returns a result.

        Raises: RetryableError after `poll_max_time`.
        """

        def give_up(_: RetryCallState) -> T:
            raise RetryableError(f"{self.crm}: a job was not done after {POLICY.poll_max_time}")

        return cast(
            T,
            Retrying(
                retry=retry_if_result(lambda result: result is None),
                stop=stop_before_delay(POLICY.poll_max_time),
                wait=wait_exponential(
                    multiplier=1, min=1, max=POLICY.poll_max_wait.total_seconds()
                ),
                sleep=partial(self.sleep, kind="job"),
                retry_error_callback=give_up,
            )(check),
        )

    def wait_or_raise(self, error: RetryableError, attempt: int) -> None:
        """Wait before a batch is sent again, as its error or the policy says.

        Raises: the error itself, where the policy allows no further attempt.
        """
        too_long = (error.retry_after or timedelta()) > POLICY.max_time
        if attempt >= POLICY.max_attempts or too_long:
            raise error
        self._log.info("batch.retry attempt=%d", attempt)
        self.sleep(POLICY.wait_seconds(attempt, error), kind="write")

    def back_off(self, attempt: int) -> None:
        """Wait before a part of a batch is sent again; longer after each attempt."""
        self.sleep(POLICY.wait_seconds(attempt), kind="write")

    def sleep(self, seconds: float, *, kind: str) -> None:
        """Wait, and count the wait as `kind`; waits of several threads at one time count once."""
        is_real = _sleep_enabled.get()
        with self._lock:
            begin = now = time.monotonic()
            if is_real:
                begin = max(now, self._waiting_until)
                self._waiting_until = max(begin, now + seconds)
            if (more := now + seconds - begin) > 0:
                self.waits[kind] += more
        if seconds > 0 and is_real:
            # dlt holds signals back during an extract: its own wait ends at once with one
            signals.raise_if_signalled()
            signals.sleep(seconds)
            signals.raise_if_signalled()
