"""Rate limits: how many calls may be sent to a CRM in a time window."""

import time
from bisect import bisect_right, insort
from threading import Lock

MIN_LAG, MAX_LAG = 0.07, 0.28
"""A call counts from its response on, but at the latest this share of the window after it was sent.
"""

CLOCK_DRIFT = 0.005
"""The window is longer by this share: the clock of the CRM may run faster than ours."""


class RateLimiter:
    """One rate limit of a CRM, shared by all threads that call under it.

    A CRM counts a call when it arrives: between the time it was sent and the time of its response.
    So a call uses its place from its response on, but no later than a share of the window (the lag)
    after it was sent; otherwise slow responses would cost more than the calls themselves. The lag
    is learned: it doubles with each 429 and shrinks slowly while there is none.
    """

    def __init__(self, calls: int, seconds: float, *, within: "RateLimiter | None" = None) -> None:
        """Allow `calls` in any window of `seconds`; they count under the limit `within` as well."""
        self._within = within
        self._released_at: list[float] = []
        self._in_flight = 0
        self._paused_until = 0.0
        self._lag = MIN_LAG
        self._lock = Lock()
        self.update(calls, seconds)

    def update(self, calls: int, seconds: float) -> None:
        """Use the limit that the CRM reports in its response headers."""
        with self._lock:
            self._calls = calls
            self._seconds = seconds

    def acquire(self) -> float:
        """Register one call; return the seconds that it must wait before it is sent."""
        with self._lock:
            now = time.monotonic()
            window = self._seconds + CLOCK_DRIFT * self._seconds + 0.01
            del self._released_at[: bisect_right(self._released_at, now - window)]
            self._in_flight += 1
            at = max(now, self._paused_until)
            excess = min(
                self._in_flight + len(self._released_at) - self._calls, len(self._released_at)
            )
            if excess > 0:
                at = max(at, self._released_at[excess - 1] + window)
        return max(at - now, self._within.acquire() if self._within else 0.0)

    def release(self, sent_at: float) -> None:
        """Register the response of a call that was sent at this time (monotonic seconds)."""
        with self._lock:
            self._in_flight -= 1
            insort(self._released_at, min(time.monotonic(), sent_at + self._lag * self._seconds))
            self._lag = max(MIN_LAG, self._lag * 0.995)
        if self._within:
            self._within.release(sent_at)

    def pause(self, seconds: float) -> None:
        """Send no call for this time: an error of one call would hit all of them."""
        with self._lock:
            self._lag = min(MAX_LAG, self._lag * 2)
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)
