"""Access control: tokens, scopes, and HubSpot's three rate limits."""

import time
from collections import deque
from typing import Any, Final, Literal
from uuid import uuid4

from sandbox.hubspot.errors import ApiError, api_error, missing_scope
from sandbox.hubspot.store import PORTAL_ID, HubSpotStore
from sandbox.hubspot.values import iso

BURST, BURST_OAUTH, BURST_SECONDS = 190, 110, 10
ASSOCIATIONS: Final = 150
SEARCHES_PER_SECOND: Final = 5


LimitName = Literal["general", "search", "associations"]
"""Searches have only their own limit; calls for associations have one beside the general one."""


class RollingWindow:
    """A rate limit over a rolling window."""

    def __init__(self, most: int, seconds: float) -> None:
        """Allow `most` in any `seconds`."""
        self.most = most
        self.seconds = seconds
        self._times: deque[float] = deque()

    def count(self) -> bool:
        """Count one call; return False if it exceeds the limit."""
        now = time.monotonic()
        while self._times and now - self._times[0] >= self.seconds:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) <= self.most

    @property
    def remaining(self) -> int:
        """The number of calls that are still allowed now."""
        return max(0, self.most - len(self._times))


class AccessControl:
    """Checks every call before its handler runs, and writes the rate-limit headers."""

    def __init__(self, store: HubSpotStore, *, client_id: str, client_secret: str) -> None:
        """Control the access to one account with one OAuth client."""
        self.store = store
        self.client_id = client_id
        self.client_secret = client_secret
        self._burst = {
            False: RollingWindow(BURST, BURST_SECONDS),
            True: RollingWindow(BURST_OAUTH, BURST_SECONDS),
        }
        self._searches = RollingWindow(SEARCHES_PER_SECOND, 1)
        self._associations = RollingWindow(ASSOCIATIONS, BURST_SECONDS)

    def authenticate(self, authorization: str) -> bool:
        """Check a bearer token; return whether it is an OAuth token."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthenticated()
        if token == self.store.access_token:
            return False
        if token not in self.store.oauth_tokens:
            raise _unauthenticated()
        if self.store.oauth_tokens[token] <= time.time():
            raise _expired(self.store.oauth_tokens[token])
        return True

    def check_scope(self, scope: str) -> None:
        """Raise if the token does not have a scope."""
        if scope in self.store.denied_scopes:
            raise missing_scope(scope)

    def count_call(self, *, oauth: bool, limit: LimitName) -> None:
        """Count one call, and raise if it exceeds a limit."""
        self.store.daily_used += not oauth
        if not self.store.rate_limits:
            return
        if not oauth and self.store.daily_used > self.store.daily_limit:
            raise _limited("daily", "DAILY")
        if limit == "search":
            if not self._searches.count():
                raise api_error(429, "You have reached your secondly limit.", "RATE_LIMITS")
            return
        is_within = self._burst[oauth].count()
        if limit == "associations":
            is_within &= self._associations.count()
        if not is_within:
            raise _limited("ten_secondly_rolling", "TEN_SECONDLY_ROLLING")

    def rate_limit_headers(self, *, oauth: bool, limit: LimitName) -> dict[str, str]:
        """Return the rate-limit headers: OAuth apps get no daily ones, searches only those."""
        store = self.store
        daily = {
            "X-HubSpot-RateLimit-Daily": str(store.daily_limit),
            "X-HubSpot-RateLimit-Daily-Remaining": str(
                max(0, store.daily_limit - store.daily_used)
            ),
        }
        if limit == "search":
            return {} if oauth else daily
        window = self._burst[oauth]
        burst = {
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(BURST_SECONDS * 1000),
            "X-HubSpot-RateLimit-Max": str(window.most),
            "X-HubSpot-RateLimit-Remaining": str(window.remaining),
            "X-HubSpot-RateLimit-Secondly": str(window.most // 10),
            "X-HubSpot-RateLimit-Secondly-Remaining": str(window.most // 10 - 1),
        }
        return burst if oauth else daily | burst

    def refresh_access_token(self, form: dict[str, str]) -> dict[str, Any]:
        """Exchange the refresh token for an access token that is valid for 30 minutes."""
        if form.get("client_id") != self.client_id:
            raise _token_error("invalid_client", "BAD_CLIENT_ID", "missing or unknown client id")
        if form.get("client_secret") != self.client_secret:
            raise _token_error(
                "invalid_client", "BAD_CLIENT_SECRET", "missing or invalid client secret"
            )
        if form.get("grant_type") != "refresh_token":
            raise _token_error(
                "unsupported_grant_type", "BAD_GRANT_TYPE", "missing or unknown grant type"
            )
        if form.get("refresh_token") != self.store.refresh_token:
            raise _token_error(
                "invalid_grant",
                "BAD_REFRESH_TOKEN",
                "refresh token is invalid, expired or revoked",
            )
        token = f"oauth-sandbox-{uuid4()}"
        self.store.oauth_tokens[token] = time.time() + self.store.token_seconds
        return {
            "access_token": token,
            "refresh_token": self.store.refresh_token,
            "expires_in": self.store.token_seconds,
            "token_type": "bearer",
            "hub_id": PORTAL_ID,
        }


def _unauthenticated() -> ApiError:
    return api_error(
        401,
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you "
        "can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        "INVALID_AUTHENTICATION",
    )


def _expired(at: float) -> ApiError:
    ago = int(time.time() - at)
    return api_error(
        401,
        f"The OAuth token used to make this call expired {ago} second(s) ago.",
        "EXPIRED_AUTHENTICATION",
        context={"expire time": [iso(int(at * 1000))]},
    )


def _limited(limit: str, policy: str) -> ApiError:
    return api_error(
        429,
        f"You have reached your {limit} limit.",
        errorType="RATE_LIMIT",
        policyName=policy,
        groupName="publicapi:private-apps:api-calls-hourly:44237313",
        requestId=str(uuid4()),
    )


def _token_error(error: str, status: str, message: str) -> ApiError:
    """Build an error of the token endpoint: its form is that of OAuth, with HubSpot's `status`."""
    body = {"error": error, "error_description": message, "status": status, "message": message}
    return ApiError(400, body)
