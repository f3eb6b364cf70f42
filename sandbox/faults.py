"""Fault injection and call counts, as ASGI middleware in front of both CRMs.

A fault matches calls by method and a part of the path. It returns an error with or without
executing the call, drops the response, resets the connection, delays the call or its response body,
or makes a manual change in a CRM first. Plan faults in process (`Faults.plan`), by POST
/_sandbox/faults, or in a file. The same seed and the same calls meet the same faults.
"""

import asyncio
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from email.utils import formatdate
from itertools import count
from random import Random
from typing import Any, Final, Literal

import orjson
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Effect = Literal[
    "refuse", "commit_then_refuse", "commit_then_drop", "reset", "delay", "slow_body", "edit"
]
Moment = Literal["asked", "done"]
Watcher = Callable[[Moment, str, str, bytes], None]
"""Called with the moment, the method, the path and the body of a call."""

_SALESFORCE: Final = "/services"
_CONTROL: Final = "/_sandbox"
_PIECES: Final = 10
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure of `times` matching calls, after the first `after` of them.

    path: a part of the path of a call.
    times: None means without limit.
    probability: the share of the matching calls that fail.
    status, body, headers: the error response of "refuse" and "commit_then_refuse".
    seconds: the time of "delay" and "slow_body".
    edit: the fields of `sandbox.mutations.Edit`, for "edit".
    """

    path: str = ""
    method: str | None = None
    effect: Effect = "refuse"
    status: int = 503
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int | None = 1
    after: int = 0
    seconds: float = 0.2
    probability: float = 1.0
    edit: dict[str, Any] = field(default_factory=dict)

    def matches(self, method: str, path: str) -> bool:
        """Return whether a call matches this fault."""
        return self.path in path and self.method in (None, method)


_FAULTS: Final = TypeAdapter(list[Fault])


class Faults:
    """The planned faults and the counted calls; threads of the server and of tests share them."""

    def __init__(self, seed: int = 0) -> None:
        """Start without faults; `seed` decides which calls a fault with a `probability` hits."""
        self.seed = seed
        self.skew_seconds = 0.0
        self.editor: Callable[[dict[str, Any]], None] = lambda _: None
        self._planned: list[tuple[int, Fault]] = []
        self._numbers = count()
        self._tried: Counter[int] = Counter()
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._watchers: list[Watcher] = []
        self._lock = threading.Lock()

    def plan(self, fault: Fault) -> None:
        """Add a fault; if several match a call, the one planned first is used."""
        with self._lock:
            self._planned.append((next(self._numbers), fault))

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault for this call, if any, and count it as used once."""
        with self._lock:
            for at, (number, fault) in enumerate(self._planned):
                if not fault.matches(method, path):
                    continue
                if fault.after:
                    self._planned[at] = number, replace(fault, after=fault.after - 1)
                    continue
                if not self._is_drawn(number, fault):
                    continue
                if fault.times is not None:
                    self._planned[at] = number, replace(fault, times=fault.times - 1)
                    self._planned = [each for each in self._planned if each[1].times != 0]
                return fault
        return None

    def _is_drawn(self, number: int, fault: Fault) -> bool:
        """Draw from the seed, the number of the fault and the count of matching calls."""
        self._tried[number] += 1
        if fault.probability >= 1:
            return True
        draw = Random(f"{self.seed}/{number}/{self._tried[number]}").random()
        return draw < fault.probability

    def count(self, crm: str, method: str, path: str) -> None:
        """Count one call."""
        with self._lock:
            self._calls[crm, method, path] += 1

    def calls(self) -> dict[str, dict[str, int]]:
        """Return the counts per CRM and "METHOD /path/template", and a "total" in each."""
        counted: dict[str, dict[str, int]] = {"hubspot": {"total": 0}, "salesforce": {"total": 0}}
        with self._lock:
            for (crm, method, path), times in sorted(self._calls.items()):
                counted[crm][f"{method} {path}"] = times
                counted[crm]["total"] += times
        return counted

    def planned(self) -> list[Fault]:
        """Return the faults that still have uses left."""
        with self._lock:
            return [fault for _, fault in self._planned]

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` before and after each call is executed; it may change the CRM then."""
        with self._lock:
            self._watchers.append(watcher)

    def notify(self, moment: Moment, method: str, path: str, body: bytes) -> None:
        """Call all watchers."""
        for watcher in self._watchers:
            watcher(moment, method, path, body)

    def reset(self) -> None:
        """Delete all faults, counts and watchers."""
        with self._lock:
            self._planned.clear()
            self._numbers = count()
            self._tried.clear()
            self._calls.clear()
            self._watchers.clear()
            self.skew_seconds = 0.0


def control_routes(faults: Faults) -> list[BaseRoute]:
    """Return the endpoints with which another process plans faults and reads counts."""

    async def plan(request: Request) -> Response:
        for fault in parse_faults(orjson.loads(await request.body())):
            faults.plan(fault)
        return _json({"planned": [asdict(each) for each in faults.planned()]}, 201)

    async def calls(_request: Request) -> Response:
        return _json(faults.calls())

    async def reset(_request: Request) -> Response:
        faults.reset()
        return Response(status_code=204)

    async def edit(request: Request) -> Response:
        faults.editor(orjson.loads(await request.body()))
        return Response(status_code=204)

    return [
        Route(f"{_CONTROL}/edit", edit, methods=["POST"]),
        Route(f"{_CONTROL}/faults", plan, methods=["POST"]),
        Route(f"{_CONTROL}/calls", calls, methods=["GET"]),
        Route(f"{_CONTROL}/reset", reset, methods=["POST"]),
    ]


def parse_faults(content: Any) -> list[Fault]:
    """Parse one fault or a list of faults. Raises: TypeError, ValueError if one is invalid."""
    faults = [Fault(**one) for one in (content if isinstance(content, list) else [content])]
    return _FAULTS.validate_python([asdict(one) for one in faults])


async def control_error(request: Request, error: Exception) -> Response:
    """Return 400 for an invalid control call; re-raise an error in a path of a CRM."""
    if not request.url.path.startswith(_CONTROL):
        raise error
    return _json({"message": f"not understood: {error}"}, 400)


class FaultInjection:
    """ASGI middleware that counts every call and applies the planned faults."""

    def __init__(self, app: ASGIApp, *, routes: list[BaseRoute], faults: Faults) -> None:
        """Wrap `app`; its `routes` give the path templates of the counts."""
        self.app = app
        self.routes = routes
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a call, or apply its fault."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(_CONTROL):
            await self.app(scope, receive, send)
            return
        crm = "salesforce" if path.startswith(_SALESFORCE) else "hubspot"
        send = self._with_date_header(send)
        self.faults.count(crm, scope["method"], _path_template(self.routes, scope))
        body = await _read_body(receive)
        self.faults.notify("asked", scope["method"], path, body)
        fault = self.faults.take(scope["method"], path)
        if fault is None:
            await self._forward(scope, body, receive, send)
        else:
            await self._inject(fault, scope, body, receive, send)

    def _with_date_header(self, send: Send) -> Send:
        """Add the header `Date` with the CRMs' clock, which may be skewed."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = formatdate(time.time() + self.faults.skew_seconds, usegmt=True)
                headers = [*message["headers"], (b"date", now.encode())]
                message = {**message, "headers": headers}
            await send(message)

        return dated

    async def _forward(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Forward a call; watchers are called before the response is sent."""
        response: list[Message] = []

        async def keep(message: Message) -> None:
            response.append(message)

        await self.app(scope, _replay_body(body, receive), keep)
        self.faults.notify("done", scope["method"], scope["path"], body)
        for message in response:
            await send(message)

    async def _inject(
        self, fault: Fault, scope: Scope, body: bytes, receive: Receive, send: Send
    ) -> None:
        match fault.effect:
            case "refuse":
                await _error_response(fault)(scope, receive, send)
            case "commit_then_refuse":
                await self._forward(scope, body, receive, _discard)
                await _error_response(fault)(scope, receive, send)
            case "reset":
                await _disconnect(scope, receive, reset=True)
            case "commit_then_drop":
                await self._forward(scope, body, receive, _discard)
                await _disconnect(scope, receive, reset=False)
            case "delay":
                await asyncio.sleep(fault.seconds)
                await self._forward(scope, body, receive, send)
            case "slow_body":
                await self._forward(scope, body, receive, _slowed(send, fault.seconds))
            case "edit":
                self.faults.editor(fault.edit)
                await self._forward(scope, body, receive, send)


class DroppableProtocol(HttpToolsProtocol):
    """The HTTP protocol of the server, with access to the socket of every connection."""

    open: dict[tuple[Any, Any], asyncio.Transport] = {}  # noqa: RUF012  (one for all connections is the point)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Store the connection by its two addresses, and switch off Nagle's algorithm."""
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self.open[self.client, self.server] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self.open.pop((self.client, self.server), None)
        super().connection_lost(exc)


def _path_template(routes: list[BaseRoute], scope: Scope) -> str:
    """Return the path without ids, with object names: "/crm/v3/objects/contacts/{record_id}"."""
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.FULL and isinstance(route, Route):
            path = route.path
            for name, value in child["path_params"].items():
                if _is_name(str(value)):
                    path = path.replace(f"{{{name}}}", str(value))
            return path
    return str(scope["path"])


def _is_name(value: str) -> bool:
    return value.replace("_", "").isalpha() or (value.startswith("v") and value[1:2].isdigit())


def _error_response(fault: Fault) -> Response:
    headers = dict(fault.headers)
    if fault.body is None:
        return Response(status_code=fault.status, headers=headers)
    if isinstance(fault.body, str):
        return Response(fault.body, fault.status, headers, media_type="text/html")
    return _json(fault.body, fault.status, headers)


async def _read_body(receive: Receive) -> bytes:
    """Read the whole body of a request."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body again."""
    requests: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return requests.pop() if requests else await receive()

    return give


def _slowed(send: Send, seconds: float) -> Send:
    """Send a body in pieces over `seconds`."""

    async def slowly(message: Message) -> None:
        body = message.get("body", b"")
        if message["type"] != "http.response.body" or len(body) < _PIECES:
            await send(message)
            return
        size = -(-len(body) // _PIECES)
        for start in range(0, len(body), size):
            is_last = start + size >= len(body)
            more = message.get("more_body", False) or not is_last
            await send({**message, "body": body[start : start + size], "more_body": more})
            await asyncio.sleep(0 if is_last else seconds / _PIECES)

    return slowly


async def _discard(_message: Message) -> None:
    """Drop a response."""


async def _disconnect(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """Close the connection without a response, normally or by a TCP reset."""
    transport = DroppableProtocol.open[scope["client"], scope["server"]]
    if reset:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
