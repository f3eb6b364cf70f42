"""How fast the sandbox serves pages, starts, and how much memory a person takes.

The server runs in a process of its own; the client only reads: bytes in, the cursor found in them,
the next page asked for. `make bench-sandbox`, or with other numbers `--people 20000 --seconds 3`.
"""

import argparse
import multiprocessing
import os
import re
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1]))

NOW = datetime(2026, 5, 1, tzinfo=UTC)
Started = tuple[str, str, str, float, float]
"""Address, both tokens, seconds until it served, megabytes."""

FIELDS = "email,firstname,lastname,lifecyclestage,phone,company,industry"
LEADS = "SELECT Id, Email, FirstName, LastName, Company, Status, SystemModstamp FROM Lead"
TASKS = "SELECT Id, WhoId, Subject, Status, ActivityDate, SystemModstamp FROM Task"
REST = "/services/data/v60.0"


def serve(people: int, tell: Connection) -> None:
    """Serve a world in this process until told to stop; say when it is there and what it takes."""
    before = time.perf_counter()
    from sandbox.server import running

    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with running(people=people, seed=7, now=NOW, rate_limits=False) as sandbox:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tell.send(
            (
                sandbox.url,
                sandbox.hubspot_token,
                sandbox.salesforce_token,
                time.perf_counter() - before,
                (peak - base) / 1024,
            )
        )
        tell.recv()
        tell.send(time.process_time())


class Client:
    """A kept-alive connection that reads bodies and nothing else."""

    def __init__(self, url: str, token: str) -> None:
        """Connect."""
        host, port = url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: {host}\r\nAuthorization: Bearer {token}\r\n"

    def ask(self, method: str, path: str, body: str = "") -> bytes:
        """Send one request and give the body of its answer."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\n{self._head}{length}\r\n{body}".encode())
        taken = bytearray()
        while b"\r\n\r\n" not in taken:
            taken += self._socket.recv(1 << 16)
        head, _, rest = bytes(taken).partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        missing = int(found[1]) - len(rest) if found else 0
        parts = [rest]
        while missing > 0:
            parts.append(self._socket.recv(min(missing, 1 << 20)))
            missing -= len(parts[-1])
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{path}: {head[:40]!r}")
        return b"".join(parts)


def lists(client: Client) -> Iterator[bytes]:
    """Page through HubSpot's contacts, 100 a page."""
    after: str | None = "0"
    while after:
        path = f"/crm/v3/objects/contacts?limit=100&properties={FIELDS}&after={after}"
        body = client.ask("GET", path)
        yield body
        after = _found(rb'"after":"(\d+)"', body[-400:])


def searches(client: Client) -> Iterator[bytes]:
    """Page through a search, 200 a page, up to its wall."""
    after: str | None = "0"
    while after and int(after) < 10_000:
        asked = f'{{"limit": 200, "after": "{after}", "properties": ["email", "lifecyclestage"]}}'
        body = client.ask("POST", "/crm/v3/objects/contacts/search", asked)
        yield body
        after = _found(rb'"after":"(\d+)"', body[-60:])


def queries(soql: str) -> Callable[[Client], Iterator[bytes]]:
    """Page through a query, 2,000 a page."""

    def pages(client: Client) -> Iterator[bytes]:
        path: str | None = f"{REST}/query?q={quote(soql)}"
        while path:
            body = client.ask("GET", path)
            yield body
            path = _found(rb'"nextRecordsUrl":"([^"]+)"', body[:300])

    return pages


def _found(pattern: bytes, body: bytes) -> str | None:
    found = re.search(pattern, body)
    return found[1].decode() if found else None


KINDS: tuple[tuple[str, str, Callable[[Client], Iterator[bytes]], bytes], ...] = (
    ("HubSpot list, 100 a page", "hubspot", lists, b'"createdAt"'),
    ("HubSpot search, 200 a page", "hubspot", searches, b'"createdAt"'),
    ("Salesforce query, leads", "salesforce", queries(LEADS), b'"attributes"'),
    ("Salesforce query, tasks", "salesforce", queries(TASKS), b'"attributes"'),
)


def rate(pages: Callable[[], Iterator[bytes]], mark: bytes, seconds: float) -> float:
    """Read for some seconds and give the records per second."""
    records, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for page in pages():
            records += page.count(mark)
    return records / (time.perf_counter() - began)


def started(people: int) -> tuple[SpawnProcess, Connection, Started]:
    """Start a server process and wait until it answers."""
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=serve, args=(people, there), daemon=True)
    process.start()
    if not here.poll(600):
        raise SystemExit("the server did not start")
    told: Started = here.recv()
    return process, here, told


def stop(process: SpawnProcess, pipe: Connection) -> float:
    """Stop a server and give the seconds of CPU it took."""
    pipe.send("stop")
    seconds: float = pipe.recv()
    process.join()
    return seconds


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--people", type=int, default=10_000)
    asked.add_argument("--seconds", type=float, default=3)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ONEFUNNEL_WORLDS"] = folder
        for what in ("made", "read from the cache"):
            process, pipe, (_, _, _, seconds, _) = started(2000)
            print(f"2,000 people, {what}: serving after {seconds:.2f} s")
            stop(process, pipe)
        process, pipe, (url, hubspot, salesforce, seconds, memory) = started(given.people)
        each = memory / given.people * 1000
        print(
            f"{given.people:,} people, made: {seconds:.1f} s; peak {each:.1f} MB per 1,000 people"
        )
        for name, crm, pages, mark in KINDS:
            client = Client(url, hubspot if crm == "hubspot" else salesforce)
            found = rate(partial(pages, client), mark, given.seconds)
            print(f"{name}: {found:,.0f} records a second")
        stop(process, pipe)


if __name__ == "__main__":
    main()
