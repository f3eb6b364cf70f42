"""One patience for every CRM: how fast to call, how often to try again, how long to wait.

Nobody else in the connectors sleeps or loops over attempts. What the calls and the waits came to
stands in `Traffic.calls` and `Traffic.waits`. All of it may be used by several threads at once.
"""

import logging
import random
import time
from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from threading import Lock
from typing import TypeVar, cast

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

from errors import RetryableError

T = TypeVar("T")

MAX_ATTEMPTS = 6
MAX_RETRY_TIME = timedelta(minutes=5)
"""No call is repeated more often, or for longer, than this."""

DEFAULT_WAIT = timedelta(seconds=0.5)
"""Where a CRM is in trouble and names no time, all calls under that limit wait so long."""

TOO_MANY_REQUESTS = 429
"""How both CRMs answer a call that came too soon after others."""

MIN_LAG, MAX_LAG = 0.07, 0.28
CLOCK_DRIFT = 0.005

POLL_WAIT = wait_exponential(multiplier=1, min=1, max=30)
MAX_JOB_TIME = timedelta(hours=2)

_backoff = wait_exponential_jitter(multiplier=0.5, max=30, jitter=1)
_sleep_enabled = ContextVar("pauses_are_real", default=True)


@contextmanager
def no_sleep() -> Iterator[None]:
    """Let every pause inside last no time; what would have been waited is still counted."""
    before = _sleep_enabled.set(False)
    try:
        yield
    finally:
        _sleep_enabled.reset(before)


class RateLimiter:
    """A limit on how fast calls may follow each other: all who share the limit share the pace.

    A CRM counts a call when it arrives, which is somewhere between when it left and when its
    answer came. So a call takes its place from its answer on, but no later than a share of the
    stretch after it left: the slowest answers must not cost more than they can spoil. That share
    is learned: it doubles with every call that was too much, and shrinks while all goes well.
    """

    def __init__(self, calls: int, seconds: float) -> None:
        """Allow `calls` in any stretch of `seconds`."""
        self._released_at: list[float] = []
        self._in_flight = 0
        self._paused_until = 0.0
        self._lag = MIN_LAG
        self._lock = Lock()
        self.update(calls, seconds)

    def update(self, calls: int, seconds: float) -> None:
        """Take over the limit a CRM told us."""
        with self._lock:
            self._calls = calls
            self._seconds = seconds

    def acquire(self) -> float:
        """Enter one call and say how many seconds it has to wait for its turn."""
        with self._lock:
            now = time.monotonic()
            stretch = self._seconds + CLOCK_DRIFT * self._seconds + 0.01
            del self._released_at[: bisect_right(self._released_at, now - stretch)]
            self._in_flight += 1
            at = max(now, self._paused_until)
            too_many = min(
                self._in_flight + len(self._released_at) - self._calls, len(self._released_at)
            )
            if too_many > 0:
                at = max(at, self._released_at[too_many - 1] + stretch)
            return at - now

    def release(self, sent_at: float) -> None:
        """Give the place of a call that left at this moment free, one stretch from now."""
        with self._lock:
            self._in_flight -= 1
            insort(self._released_at, min(time.monotonic(), sent_at + self._lag * self._seconds))
            self._lag = max(MIN_LAG, self._lag * 0.995)

    def pause(self, seconds: float) -> None:
        """Let nobody call for a while: what went wrong for one would for all."""
        with self._lock:
            self._lag = min(MAX_LAG, self._lag * 2)
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)


class ApiCaller:
    """All calls to one CRM: paced, counted, and repeated where that helps."""

    def __init__(self, crm: str, rate_limiters: Mapping[str, RateLimiter]) -> None:
        """Begin with no calls made; `paces` are the CRM's limits by name."""
        self.crm = crm
        self.rate_limiters = rate_limiters
        self.api_calls: Counter[str] = Counter()
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
        """Count a call that was too many."""
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
        """Send until it succeeds, fails for good, or patience ends.

        Only a RetryableError is sent again, and not where whoever sends has to look first what
        changed meanwhile: then `repeats` is False. `operation` names the call in the log and so
        holds no value; `kind` is what the call and its waits count as; `pace` is the limit it is
        under.
        """

        limit = self.rate_limiters[limiter]

        def attempt() -> T:
            self.sleep(limit.acquire(), kind=kind)
            with self._lock:
                self.api_calls[kind] += 1
            left_at = time.monotonic()
            try:
                return send()
            except RetryableError as error:
                asked = error.retry_after or DEFAULT_WAIT
                if asked <= MAX_RETRY_TIME and _sleep_enabled.get():
                    limit.pause(asked.total_seconds())
                raise
            finally:
                limit.release(left_at)

        return self.with_retries(operation, attempt, kind=kind) if is_retryable else attempt()

    def with_retries(self, operation: str, attempt: Callable[[], T], *, kind: str = "write") -> T:
        """Do what takes several calls until it succeeds, fails for good, or patience ends."""

        def say(state: RetryCallState) -> None:
            self._log.info(
                "api.retry operation=%s attempt=%d seconds=%.1f",
                operation,
                state.attempt_number,
                state.upcoming_sleep,
            )

        return Retrying(
            retry=retry_if_exception_type(RetryableError),
            stop=stop_any(stop_after_attempt(MAX_ATTEMPTS), stop_before_delay(MAX_RETRY_TIME)),
            wait=_retry_after_or_backoff,
            sleep=partial(self.sleep, kind=kind),
            before_sleep=say,
            reraise=True,
        )(attempt)

    def poll(self, check: Callable[[], T | None]) -> T:
        """Look at a job, ever less often, until there is a result.

        Raises: RetryableError where there is none after two hours.
        """

        def give_up(_: RetryCallState) -> T:
            raise RetryableError(f"{self.crm}: a job was not done after {MAX_JOB_TIME}")

        return cast(
            T,
            Retrying(
                retry=retry_if_result(lambda result: result is None),
                stop=stop_before_delay(MAX_JOB_TIME),
                wait=POLL_WAIT,
                sleep=partial(self.sleep, kind="job"),
                retry_error_callback=give_up,
            )(check),
        )

    def wait_or_raise(self, error: RetryableError, attempt: int) -> None:
        """Wait as long as a CRM asked for, else the longer the more often it was tried.

        Raises: the error, where patience ends.
        """
        if attempt >= MAX_ATTEMPTS or (error.retry_after or timedelta()) > MAX_RETRY_TIME:
            raise error
        self._log.info("batch.retried attempt=%d", attempt)
        if error.retry_after:
            self.sleep(error.retry_after.total_seconds(), kind="write")
        else:
            self.back_off(attempt)

    def back_off(self, attempt: int) -> None:
        """Wait before a part of a batch is sent again, the longer the more often it was."""
        self.sleep(min(30.0, 0.5 * 2**attempt) * (0.5 + random.random()), kind="write")

    def sleep(self, seconds: float, *, kind: str) -> None:
        """Wait, and count it as `kind`; what several threads wait at the same time counts once."""
        is_real = _sleep_enabled.get()
        with self._lock:
            begin = now = time.monotonic()
            if is_real:
                begin = max(now, self._waiting_until)
                self._waiting_until = max(begin, now + seconds)
            if (more := now + seconds - begin) > 0:
                self.waits[kind] += more
        if seconds > 0 and is_real:
            time.sleep(seconds)


def _retry_after_or_backoff(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RetryableError) and error.retry_after:
        return error.retry_after.total_seconds()
    return _backoff(state)
