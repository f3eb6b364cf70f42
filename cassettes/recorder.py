"""Record the HTTP traffic of this process to a cassette, and answer requests from a cassette."""

import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vcr.cassette import Cassette
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.record_mode import RecordMode
from vcr.request import Request
from vcr.serialize import deserialize, serialize
from vcr.serializers import jsonserializer

from cassettes.allowlist import allowlist
from cassettes.anonymize import RecordedCall, anonymize, with_login
from cassettes.leak_check import find_leaks
from cassettes.request_matching import covers_request
from connectors.concurrency import sequential
from errors import ConfigError

_LAST_CALLS = 5
_MAX_CLOCK_SKEW = timedelta(seconds=2)
UNREADABLE = b"scrubbed"
"""Stands for a body that cannot be read."""

_GZIP = b"\x1f\x8b"
_TRANSFER_HEADERS = ("content-encoding", "content-length", "transfer-encoding")


@dataclass
class Recording:
    """Calls before anonymisation. They are in memory only; `save` anonymises and writes them."""

    failures_only: bool = False
    calls: list[RecordedCall] = field(default_factory=list)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC) - _MAX_CLOCK_SKEW)
    _last: deque[RecordedCall] = field(default_factory=lambda: deque(maxlen=_LAST_CALLS))

    def add(self, call: RecordedCall) -> None:
        """Add a call. With `failures_only`, a successful call only joins the last few."""
        is_kept = not self.failures_only or _has_failed(call)
        (self.calls if is_kept else self._last).append(call)

    def keep_last_calls(self) -> None:
        """Add the last successful calls: what happened before an error."""
        self.calls.extend(self._last)

    def save(self, path: Path, *, allowed_words: Iterable[str], at: datetime) -> int:
        """Anonymise the calls, write them to `path`, and return their number.

        The file is for its owner only. Nothing is stored in which the leak check finds something.

        Raises: ConfigError where the leak check finds a secret or personal data.
        """
        period = (self.started_at, datetime.now(UTC))
        calls = with_login(anonymize(self.calls, allowed_words, at=at, recorded_between=period))
        data = {
            "requests": [Request(call.method, call.url, call.request_body, {}) for call in calls],
            "responses": [_response(call) for call in calls],
            "metadata": {"recorded_at": at.isoformat()},
        }
        text = serialize(data, jsonserializer)
        if leaks := find_leaks(text):
            raise ConfigError(
                f"no cassette was stored, it had leaks: {', '.join(sorted(set(leaks)))}"
            )
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)
        return len(calls)


@contextmanager
def recording(*, failures_only: bool = False) -> Iterator[Recording]:
    """Record the calls of the block; or only failed calls, and the last few before an error."""
    recorder = Recording(failures_only)
    # vcrpy misses calls that another thread makes while it patches a connection: one at a time
    with (
        sequential(),
        _RecordingCassette.use(
            path="", persister=_NullPersister, record_mode=RecordMode.ALL
        ) as cassette,
    ):
        cassette.on_call = recorder.add
        try:
            yield recorder
        except BaseException:
            recorder.keep_last_calls()
            raise


@contextmanager
def replaying(path: Path) -> Iterator[datetime]:
    """Answer the calls of the block from a cassette, and give the time of its recording.

    Raises: ConfigError if there is no such file, or if a call is not in the cassette.
    """
    if not path.is_file():
        raise ConfigError(f"cassette {path} does not exist")
    requests, responses, metadata = deserialize(path.read_text(), jsonserializer)
    cassette = _ReplayCassette.use(
        path=str(path),
        persister=_NullPersister,
        record_mode=RecordMode.NONE,
        match_on=(covers_request,),
        allow_playback_repeats=True,
    )
    with sequential(), cassette as player:
        player.data = list(zip(requests, responses, strict=True))
        player.rewound = True
        yield datetime.fromisoformat(metadata["recorded_at"]).astimezone(UTC)


class _NullPersister:
    """Writes nothing to disk: vcrpy would write the calls before they are anonymised."""

    @staticmethod
    def load_cassette(*_: Any, **__: Any) -> Any:
        raise CassetteNotFoundError

    @staticmethod
    def save_cassette(*_: Any, **__: Any) -> None:
        """Write nothing."""


class _RecordingCassette(Cassette):  # type: ignore[misc]  # the library has no types
    """Passes every call to `on_call`."""

    on_call: Callable[[RecordedCall], None]

    def append(self, request: Request, response: dict[str, Any]) -> None:
        self.on_call(
            RecordedCall(
                method=request.method,
                url=request.uri,
                request_body=_bytes(request.body),
                status=response["status"]["code"],
                headers=_headers(response["headers"]),
                response_body=_decompressed(response),
            )
        )


class _ReplayCassette(Cassette):  # type: ignore[misc]  # the library has no types
    """Answers a repeated request with its next recorded response, and then always with the last."""

    def can_play_response_for(self, request: Request) -> bool:
        if super().can_play_response_for(request):
            return True
        path = request.uri.partition("?")[0]
        raise ConfigError(
            f"the cassette has no response to {request.method} {path} with these fields and "
            "filters: record a new cassette with the current mappings"
        )

    def play_response(self, request: Request) -> dict[str, Any]:
        responses = dict(self._responses(request))
        unplayed = (index for index in responses if not self.play_counts[index])
        index = next(unplayed, list(responses)[-1])
        self.play_counts[index] += 1
        response: dict[str, Any] = responses[index]
        return response


def _has_failed(call: RecordedCall) -> bool:
    """Return whether the CRM refused a call, or some of its records."""
    return call.status >= 300 or any(
        call.status in rules.failure_statuses
        or rules.failure_paths.fullmatch(call.path)
        or any(text in call.response_body for text in rules.failure_texts)
        for rules in allowlist().rules
    )


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode(errors="replace")
    # a file or a generator: to read it here would take it from the call itself
    return bytes(body) if isinstance(body, bytes | bytearray) else UNREADABLE if body else b""


def _headers(headers: dict[str, Any]) -> dict[str, list[str]]:
    return {
        name: [values] if isinstance(values, str) else list(values)
        for name, values in headers.items()
        if name.lower() not in _TRANSFER_HEADERS
    }


def _decompressed(response: dict[str, Any]) -> bytes:
    """Give the body without compression; depending on its version, vcrpy has removed it."""
    body = _bytes(response["body"]["string"])
    try:
        return gzip.decompress(body) if body.startswith(_GZIP) else body
    except (OSError, EOFError, zlib.error):
        return UNREADABLE


def _response(call: RecordedCall) -> dict[str, Any]:
    return {
        "status": {"code": call.status, "message": ""},
        "headers": call.headers,
        "body": {"string": call.response_body},
    }
