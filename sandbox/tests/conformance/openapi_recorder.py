"""ASGI middleware that checks every call against the OpenAPI documents."""

import gzip
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from openapi_specs import OpenApiDocuments
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class ConformanceCounts:
    """Counts of the calls of each operation, and the errors in them."""

    calls: int = 0
    unlisted: int = 0
    refused: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, other: "ConformanceCounts") -> None:
        """Add up."""
        self.calls += other.calls
        self.unlisted += other.unlisted
        self.refused += other.refused
        self.operations += other.operations
        self.faults += other.faults


class OpenApiRecorder:
    """ASGI middleware that forwards calls and collects their errors."""

    def __init__(self, documents: OpenApiDocuments, tally: ConformanceCounts) -> None:
        """Collect errors in `tally`; `watch` wraps the sandbox."""
        self.documents = documents
        self.tally = tally

    def watch(self, app: ASGIApp) -> ASGIApp:
        """Wrap an application."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
                await app(scope, receive, send)
                return
            sent, answered = bytearray(), _Answer()

            async def receiving() -> Message:
                message = await receive()
                sent.extend(message.get("body", b""))
                return message

            async def sending(message: Message) -> None:
                answered.take(message)
                await send(message)

            await app(scope, receiving, sending)
            self._hold(scope, bytes(sent), answered)

        return watched

    def _hold(self, scope: Scope, sent: bytes, answer: "_Answer") -> None:
        self.tally.calls += 1
        operation = self.documents.find(scope["method"], scope["path"])
        if operation is None:
            self.tally.unlisted += 1
            return
        self.tally.operations[operation.name] += 1
        media = _media(dict(scope["headers"]))
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        unlawful = operation.faults_of_request(query, media, sent)
        self.tally.refused += bool(unlawful) and answer.status >= 400
        if unlawful and answer.status < 400:
            self._note(f"{operation.name} accepted an invalid request: {unlawful[0]}")
        for fault in operation.faults_of_answer(answer.status, answer.media, answer.plain()):
            self._note(f"{operation.name} answered {answer.status}: {fault}")

    def _note(self, fault: str) -> None:
        self.tally.faults.append(fault)


class _Answer:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = bytearray()

    def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body.extend(message.get("body", b""))

    @property
    def media(self) -> str:
        return _media(self.headers)

    def plain(self) -> bytes:
        squeezed = self.headers.get(b"content-encoding") == b"gzip"
        return gzip.decompress(self.body) if squeezed else bytes(self.body)


def _media(headers: dict[bytes, Any]) -> str:
    return headers.get(b"content-type", b"").decode().partition(";")[0].strip().lower()
