"""A server on loopback that does with an answer what a hostile host would do."""

import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

Answer = Callable[[BaseHTTPRequestHandler], None]
TOKEN_ANSWER = {"access_token": "planted-token", "instance_url": "https://x.my.salesforce.com"}


class HostileServer(ThreadingHTTPServer):
    """Gives one answer to every request, and keeps the requests; a login succeeds by default."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[str] = []
        self.answer: Answer = json_answer({})
        self.login: Answer = json_answer(TOKEN_ANSWER)

    def __str__(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address) -> None:
        """Say nothing: the client hangs up on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        server = self.server
        assert isinstance(server, HostileServer)
        server.requests.append(f"{self.command} {self.path}\n{self.headers}")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        is_login = "oauth2/token" in self.path
        (server.login if is_login else server.answer)(self)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

    def end_headers(self) -> None:
        """Say that the connection ends, so that the client does not use it again."""
        self.send_header("Connection", "close")
        super().end_headers()

    def log_message(self, format, *args) -> None:
        """Print nothing."""


@contextmanager
def hostile_server() -> Iterator[HostileServer]:
    """Serve during the block."""
    with HostileServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def json_answer(document: object, status: int = 200) -> Answer:
    """A plain answer."""
    return body_answer(json.dumps(document).encode(), status=status)


def body_answer(
    body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """An answer with its length."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        to.send_header("Content-Type", "application/json")
        to.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(body)

    return answer


def bomb(*, size: int, layers: int = 1, status: int = 200) -> Answer:
    """`size` zeros as some kilobytes of gzip, compressed once or several times."""
    body = _compressed_zeros(size)
    for _ in range(layers - 1):
        body = gzip.compress(body)
    encoding = {"Content-Encoding": ", ".join(["gzip"] * layers)}
    return body_answer(body, status=status, headers=encoding)


@cache
def _compressed_zeros(size: int) -> bytes:
    made = zlib.compressobj(wbits=31)
    pieces = [made.compress(bytes(1024**2)) for _ in range(size // 1024**2)]
    return b"".join([*pieces, made.flush()])


def endless(to: BaseHTTPRequestHandler) -> None:
    """Send chunks of JSON white space, as fast as they are taken."""
    to.send_response(200)
    to.send_header("Transfer-Encoding", "chunked")
    to.end_headers()
    while True:
        to.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def drip(head: bytes, seconds: float = 0.05) -> Answer:
    """Send `head`, and then the digit 1 without end, a byte at a time."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(head)
        while True:
            to.wfile.write(b"1")
            to.wfile.flush()
            time.sleep(seconds)

    return answer
