"""Header names as both vendors spell them, because some clients look for them letter by letter."""

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
"""Names that the server itself has to recognise."""


class _FixedCaseName(bytes):
    """A name that stays as it is where the server writes names in small letters."""

    def lower(self) -> "_FixedCaseName":
        return self


class VendorHeaderCase:
    """ASGI middleware, the outermost one: gives the names of an answer's headers their capitals."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry out a request."""

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
