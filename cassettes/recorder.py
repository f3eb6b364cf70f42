"""Recording and playing back: what both CRMs answer, where it enters and leaves the process."""

import gzip
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

from cassettes.anonymize import RecordedCall, anonymize, with_login
from cassettes.request_matching import covers_request
from connectors.concurrency import sequential
from errors import ConfigError

_LAST_CALLS = 5
_MAX_CLOCK_SKEW = timedelta(seconds=2)
_GZIP = b"\x1f\x8b"
_TRANSFER_HEADERS = ("content-encoding", "content-length", "transfer-encoding")


@dataclass
class Recording:
    """Calls as they were made, unscrubbed and in memory only."""

    failures_only: bool = False
    calls: list[RecordedCall] = field(default_factory=list)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC) - _MAX_CLOCK_SKEW)
    _last: deque[RecordedCall] = field(default_factory=lambda: deque(maxlen=_LAST_CALLS))

    def add(self, call: RecordedCall) -> None:
        """Remember a call, or only for a while where it was not refused."""
        was_refused = (
            call.status >= 300
            or call.status == 207
            or b'"success":false' in call.response_body
            or call.path.endswith("/failedResults")
        )
        (self.calls if was_refused or not self.failures_only else self._last).append(call)

    def keep_last_calls(self) -> None:
        """Keep the last calls before an error as well."""
        self.calls.extend(self._last)

    def save(self, path: Path, *, allowed_words: Iterable[str], at: datetime) -> int:
        """Scrub the calls, write them, and say how many there are."""
        during = (self.started_at, datetime.now(UTC))
        calls = with_login(anonymize(self.calls, allowed_words, at=at, recorded_between=during))
        data = {
            "requests": [_request(one) for one in calls],
            "responses": [_response(one) for one in calls],
            "metadata": {"recorded_at": at.isoformat()},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(serialize(data, jsonserializer))
        return len(calls)


@contextmanager
def recording(*, failures_only: bool = False) -> Iterator[Recording]:
    """Record the block's calls; or those that were refused, and the last few before an error."""
    recorder = Recording(failures_only)
    # one by one: the library lets calls pass that are made while another one connects
    with (
        sequential(),
        _RecordingCassette.use(
            path="", persister=_NullPersister, record_mode=RecordMode.ALL
        ) as tap,
    ):
        tap.take = recorder.add
        try:
            yield recorder
        except BaseException:
            recorder.keep_last_calls()
            raise


@contextmanager
def replaying(path: Path) -> Iterator[datetime]:
    """Answer the block's calls from a cassette, and give the moment of its recording.

    Raises: ConfigError where there is no cassette, and for a call that it does not hold.
    """
    if not path.is_file():
        raise ConfigError(f"there is no cassette {path}")
    played = deserialize(path.read_text(), jsonserializer)
    cassette = _ReplayCassette.use(
        path=str(path),
        persister=_NullPersister,
        record_mode=RecordMode.NONE,
        match_on=(covers_request,),
        allow_playback_repeats=True,
    )
    with sequential(), cassette as player:
        player.data = list(zip(played[0], played[1], strict=True))
        player.rewound = True
        yield datetime.fromisoformat(played[2]["recorded_at"]).astimezone(UTC)


class _NullPersister:
    """Keeps what is recorded off the disk: it is written once it is scrubbed."""

    @staticmethod
    def load_cassette(*_: Any, **__: Any) -> Any:
        raise CassetteNotFoundError

    @staticmethod
    def save_cassette(*_: Any, **__: Any) -> None:
        """Write nothing."""


class _RecordingCassette(Cassette):  # type: ignore[misc]  # the library has no types
    """Hands every call on."""

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
    """Answers a question asked again with the next answer, and at last with the last one."""

    def can_play_response_for(self, request: Request) -> bool:
        if super().can_play_response_for(request):
            return True
        path = request.uri.partition("?")[0]
        raise ConfigError(
            f"the cassette does not hold {request.method} {path} with these fields and filters: "
            "record it anew, against the same CRMs and with the mappings as they are now"
        )

    def play_response(self, request: Request) -> dict[str, Any]:
        responses = dict(self._responses(request))
        index = next((one for one in responses if not self.play_counts[one]), list(responses)[-1])
        self.play_counts[index] += 1
        answer: dict[str, Any] = responses[index]
        return answer


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _headers(headers: dict[str, Any]) -> dict[str, list[str]]:
    return {
        name: [values] if isinstance(values, str) else list(values)
        for name, values in headers.items()
        if name.lower() not in _TRANSFER_HEADERS
    }


def _decompressed(response: dict[str, Any]) -> bytes:
    """Give the body as it was before it was compressed; the library may have undone it."""
    body = _bytes(response["body"]["string"])
    return gzip.decompress(body) if body.startswith(_GZIP) else body


def _request(call: RecordedCall) -> Request:
    return Request(call.method, call.url, call.request_body, {})


def _response(call: RecordedCall) -> dict[str, Any]:
    return {
        "status": {"code": call.status, "message": ""},
        "headers": call.headers,
        "body": {"string": call.response_body},
    }
