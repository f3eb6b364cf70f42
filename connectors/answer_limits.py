"""How large an answer may be, and how long it may take: a broken or hostile server never ends one.

The limits hold for every client: they are in the connection pools of urllib3, on which `requests`
and the HubSpot library run.
"""

import time
from http import client
from io import BufferedReader, BytesIO, RawIOBase
from socket import socket
from typing import Any
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

from errors import SyncError

TIMEOUT = (10.0, 120.0)
"""Seconds to connect, and between two bytes: a long query begins to answer after two minutes."""

MAX_SECONDS = 240.0
"""Seconds from the request to the last byte of its answer.

The largest answer, a page of 50,000 rows of a Bulk job, is about 100 MB: 240 seconds are enough at
4 Mbit/s. The run lock allows no more: it is renewed between two pages, once 5 of its 15 minutes
(`LOCK__TTL_MINUTES`) are over, and a page is asked for again during 5 minutes (`RetryPolicy`).
5 + 5 + 4 minutes are below 15.
"""

MAX_BYTES = 256 * 1024**2
"""Bytes of an answer, as sent and decompressed: more than twice the largest page of a Bulk job."""

_CHUNK_BYTES = 64 * 1024
_ENCODING_HEADERS = ("Content-Encoding", "Content-Length", "Transfer-Encoding")


class AnswerTooLargeError(SyncError):
    """An answer has more than `MAX_BYTES`; what was read of it is discarded."""


def limit_answers(manager: PoolManager) -> None:
    """Let every answer that a pool manager receives be read whole, and within the limits.

    Its calls raise AnswerTooLargeError, or ReadTimeoutError of urllib3 after `MAX_SECONDS`.
    """
    manager.pool_classes_by_scheme = {"http": _LimitedPool, "https": _LimitedHttpsPool}


class _LimitedPool(HTTPConnectionPool):
    """Connections whose answers are within the limits."""

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        connection.response_class = _TimedResponse  # type: ignore[attr-defined]
        return connection

    def urlopen(self, method: str, url: str, *args: Any, **kwargs: Any) -> BaseHTTPResponse:
        """Send a request and read its answer."""
        kwargs["preload_content"] = False
        answer = super().urlopen(method, url, *args, **kwargs)
        return _read_whole(answer, f"{method} {urlsplit(url).path}: {self.host}")


class _LimitedHttpsPool(_LimitedPool, HTTPSConnectionPool):
    """The same with TLS."""


def _read_whole(answer: BaseHTTPResponse, sender: str) -> HTTPResponse:
    """Read an answer to its end, and give it with its decompressed body in memory."""
    body = BytesIO()
    for chunk in answer.stream(_CHUNK_BYTES, decode_content=True):
        body.write(chunk)
        if max(body.tell(), answer.tell()) > MAX_BYTES:
            answer.close()
            raise AnswerTooLargeError(
                f"{sender} answered with more than {MAX_BYTES / 1024**2:g} MiB: map fewer long"
                " text fields of this object, or check the address in the settings"
            )
    answer.release_conn()
    body.seek(0)
    headers = answer.headers.copy()
    for name in _ENCODING_HEADERS:
        headers.pop(name, None)
    return HTTPResponse(
        body,
        headers,
        answer.status,
        reason=answer.reason,
        preload_content=False,
        retries=answer.retries,
    )


class _TimedResponse(client.HTTPResponse):
    """An answer whose status, headers and body must come within `MAX_SECONDS`."""

    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = BufferedReader(_TimedReader(sock, self.fp.detach()))


class _TimedReader(RawIOBase):
    """Reads from a socket until `MAX_SECONDS` after it was made; each read may wait for a byte."""

    def __init__(self, sock: socket, raw: RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._ends_at = time.monotonic() + MAX_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(min(left, TIMEOUT[1]))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
