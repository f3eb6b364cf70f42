"""Header names with the vendors' capitals: some clients compare them case-sensitively."""

from functools import cache
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_WORDS: Final = {
    b"Hubspot": b"HubSpot",
    b"Notfound": b"NotFound",
    b"Ratelimit": b"RateLimit",
    b"Www": b"WWW",
}
_WHOLE: Final = {b"sforce-numberofrecords": b"Sforce-NumberOfRecords"}
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding", b"connection"))
"""Names that uvicorn itself compares in lower case."""


class _FixedCaseName(bytes):
    """A name whose `lower()` keeps its capitals: uvicorn lowers all names."""

    def lower(self) -> "_FixedCaseName":
        return self


class VendorHeaderCase:
    """The outermost ASGI middleware: writes response header names with the vendors' capitals."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def spelling(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(_vendor_case(name), value) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, spelling)


@cache
def _vendor_case(name: bytes) -> bytes:
    if name in _FRAMING:
        return name
    words = [word.capitalize() for word in name.split(b"-")]
    return _FixedCaseName(_WHOLE.get(name) or b"-".join(_WORDS.get(word, word) for word in words))
