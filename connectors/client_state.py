"""The state of a CRM client that the shared code reads: counters, warnings, failures, API quota."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime

from connectors import crm_label
from connectors.http import Response
from connectors.retry import TOO_MANY_REQUESTS, ApiCaller
from errors import QuotaError, RejectedError


class ClientState:
    """The part of `connectors.Client` that is equal for all CRMs; each `Client` extends it."""

    def __init__(self, api_caller: ApiCaller) -> None:
        """Start with empty counters. `api_caller` makes the calls and counts them."""
        self.api_caller = api_caller
        self.warnings: list[str] = []
        self.type_mismatches: Counter[tuple[str, str]] = Counter()
        self.failed_objects: dict[str, RejectedError] = {}
        self.calls_remaining: int | None = None
        self.daily_limit: int | None = None
        self._server_time: datetime | None = None
        self._is_deprecated = False
        self._reserve: float | None = None

    @property
    def api_calls(self) -> Counter[str]:
        """Count the API calls per kind: read, search, write, login."""
        return self.api_caller.api_calls

    @property
    def wait_seconds(self) -> float:
        """Sum the seconds of waiting for rate limits and before retries."""
        return self.api_caller.wait_seconds

    @property
    def waits(self) -> Mapping[str, float]:
        """Sum the seconds of waiting per kind of call."""
        return self.api_caller.waits

    @property
    def throttled(self) -> int:
        """Count the responses with status 429 (too many calls)."""
        return self.api_caller.throttled

    @contextmanager
    def keep_reserve(self, reserve: float) -> Iterator[None]:
        """Leave `reserve` of the day's calls to other programs, for the calls of the block.

        Below 1 it is a share of the daily quota, from 1 on a number of calls.
        """
        self._reserve = reserve
        try:
            yield
        finally:
            self._reserve = None

    def require_quota(self) -> None:
        """Make sure that the quota has a call left above the reserve; before each call.

        Raises: QuotaError where it has none.
        """
        if self._reserve is None or self.calls_remaining is None:
            return
        reserved = reserved_calls(self._reserve, self.daily_limit)
        if reserved and self.calls_remaining <= reserved:
            crm = crm_label(self.api_caller.crm)
            raise QuotaError(
                f"{crm} allows {self.calls_remaining:,} more calls today, and"
                f" {reserved:,} are kept for other programs (QUOTA__RESERVE). What was read"
                " stays; a run after the quota is renewed continues behind it"
            )

    def now(self) -> datetime:
        """Return the CRM's time as of its last response.

        Cursors use this clock: with the local clock, which may be ahead, changes would be missed.
        """
        return self._server_time or datetime.now(UTC)

    def support_warnings(self, today: date) -> list[str]:  # noqa: ARG002
        """Warn of what this client uses and the CRM supports no longer, or not much longer."""
        return []

    def count_mismatches(self, object: str, field: str, count: int) -> None:
        """Count values that did not fit the type of their field and became NULL."""
        self.type_mismatches[object, field] += count

    def warn_of_deprecation(self, where: str) -> None:
        """Warn, once, that a response called its path deprecated; `where` names the call."""
        if not self._is_deprecated:
            self._is_deprecated = True
            self.warnings.append(
                f"{where}: the CRM calls this path deprecated: a newer release of onefunnel is"
                " needed before it is removed"
            )

    def record_response(self, response: Response) -> None:
        """Take the server time of a response, and count it where it says "too many calls"."""
        self._server_time = response.server_time or self._server_time
        if response.status == TOO_MANY_REQUESTS:
            self.api_caller.count_throttled()


def reserved_calls(reserve: float, daily_limit: int | None) -> int | None:
    """Return the reserve as a number of calls; None where a share of an unknown quota is asked."""
    if reserve >= 1 or not reserve:
        return int(reserve)
    return None if daily_limit is None else int(daily_limit * reserve)
