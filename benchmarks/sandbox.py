"""How fast the sandbox starts and serves pages, and what a million people take.

The server runs in a process of its own; the client only reads: bytes in, the cursor found in them,
the next page asked for. `make bench-sandbox`, or with fewer people `--people 20000 --seconds 3`.
"""

import argparse
import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1]))

NOW = datetime(2026, 5, 1, tzinfo=UTC)
Started = tuple[str, str, str, float, float, float]
"""Address, both tokens, seconds until it served, megabytes then and at most."""

FIELDS = (
    "bant_authority,bant_budget,bant_need,bant_timeline,city,company,country,createdate,"
    "email,first_conversion_date,firstname,hs_additional_emails,"
    "hs_analytics_num_page_views,hs_email_bounce,hs_email_domain,hs_email_optout,"
    "hs_lead_status,hs_lifecyclestage_customer_date,hs_lifecyclestage_lead_date,"
    "hs_merged_object_ids,hs_object_id,hs_object_source,hs_pipeline,"
    "hs_v2_date_entered_lead,hubspot_owner_id,hubspotscore,industry,jobtitle,"
    "lastmodifieddate,lastname,lifecyclestage,mobilephone,num_conversion_events,"
    "numberofemployees,onefunnel_score,onefunnel_standing,phone,recent_conversion_date,"
    "salesforceleadid,website"
)
LEADS = "SELECT Id, Email, FirstName, LastName, Company, Status, SystemModstamp FROM Lead"
TASKS = "SELECT Id, WhoId, Subject, Status, ActivityDate, SystemModstamp FROM Task"
REST = "/services/data/v60.0"
OBJECTS = "/crm/v3/objects/contacts"


def serve(people: int, channel: Connection) -> None:
    """Serve a world in this process; say when it is there and what it takes, and on demand more."""
    before = time.perf_counter()
    from sandbox.server import running

    with running(people=people, seed=7, now=NOW, rate_limits=False) as sandbox:
        channel.send(
            (
                sandbox.url,
                sandbox.hubspot_token,
                sandbox.salesforce_token,
                time.perf_counter() - before,
                *_megabytes(),
            )
        )
        while channel.recv() != "stop":
            channel.send((time.process_time(), *_megabytes()))


def _megabytes() -> tuple[float, float]:
    """Return the resident memory, now and at most."""
    status = Path("/proc/self/status").read_text()
    found = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", status))
    return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024


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
        if not head.startswith(b"HTTP/1.1 20"):
            raise SystemExit(f"{path}: {head[:40]!r}")
        return b"".join(parts)


def lists(client: Client) -> Iterator[bytes]:
    """Page through HubSpot's contacts, 100 a page."""
    after: str | None = "0"
    while after:
        path = f"{OBJECTS}?limit=100&properties={FIELDS}&after={after}"
        body = client.ask("GET", path)
        yield body
        after = _found(rb'"after":"(\d+)"', body[-2000:])


def searches(client: Client) -> Iterator[bytes]:
    """Page through what changed in the last year, 200 a page, past the wall of 10,000."""
    stamp = str(int((NOW - timedelta(days=365)).timestamp() * 1000))
    while stamp:
        for after in range(0, 10_000, 200):
            since = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": stamp}
            asked = {
                "limit": 200,
                "after": after,
                "properties": ["email", "lifecyclestage", "lastmodifieddate"],
                "filterGroups": [{"filters": [since]}],
                "sorts": [{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}],
            }
            body = client.ask("POST", f"{OBJECTS}/search", json.dumps(asked))
            yield body
            if b'"paging"' not in body[-80:]:
                break
        else:
            stamp = re.findall(rb'"lastmodifieddate":"([^"]+)"', body)[-1].decode()
            continue
        return


def batches(client: Client) -> Iterator[bytes]:
    """Read contacts by id, 100 a call, in no order."""
    asked: dict[str, Any] = {"properties": FIELDS.split(",")}
    for ids in _ids(client, "contacts", 100):
        asked["inputs"] = [{"id": id} for id in ids]
        yield client.ask("POST", f"{OBJECTS}/batch/read", json.dumps(asked))


def links(client: Client) -> Iterator[bytes]:
    """Read which contacts calls belong to, 1,000 a call."""
    for ids in _ids(client, "calls", 1000):
        asked = json.dumps({"inputs": [{"id": id} for id in ids]})
        yield client.ask("POST", "/crm/v4/associations/calls/contacts/batch/read", asked)


def visits(client: Client) -> Iterator[bytes]:
    """Page through page views, newest first, 1,000 a page."""
    after: str | None = ""
    while after is not None:
        path = f"/events/v3/events?eventType=e_visited_page&limit=1000&after={after}"
        body = client.ask("GET", path)
        yield body
        after = _found(rb'"after":"(\w+)"', body[-400:])


@cache
def _ids(client: Client, object: str, size: int) -> list[list[str]]:
    """Give the ids of some 20,000 records, mixed."""
    ids: list[str] = []
    after: str | None = "0"
    while after and len(ids) < 20_000:
        body = client.ask("GET", f"/crm/v3/objects/{object}?limit=100&after={after}")
        ids += [one["id"] for one in json.loads(body)["results"]]
        after = _found(rb'"after":"(\d+)"', body[-400:])
    Random(7).shuffle(ids)
    return [ids[at : at + size] for at in range(0, len(ids), size)]


def queries(soql: str) -> Callable[[Client], Iterator[bytes]]:
    """Page through a query, 2,000 a page."""

    def pages(client: Client) -> Iterator[bytes]:
        path: str | None = f"{REST}/query?q={quote(soql)}"
        while path:
            body = client.ask("GET", path)
            yield body
            path = _found(rb'"nextRecordsUrl":"([^"]+)"', body[:300])

    return pages


def bulk(client: Client) -> Iterator[bytes]:
    """Read the result of a Bulk 2.0 job, 50,000 rows a page."""
    asked = json.dumps({"operation": "query", "query": LEADS})
    job = f"{REST}/jobs/query/{json.loads(client.ask('POST', f'{REST}/jobs/query', asked))['id']}"
    while json.loads(client.ask("GET", job))["state"] != "JobComplete":
        pass
    pages = json.loads(client.ask("GET", f"{job}/resultPages"))["resultPages"]
    for page in pages:
        yield client.ask("GET", page["resultUrl"])


def _found(pattern: bytes, body: bytes) -> str | None:
    found = re.search(pattern, body)
    return found[1].decode() if found else None


KINDS: tuple[tuple[str, str, Callable[[Client], Iterator[bytes]], bytes], ...] = (
    ("HubSpot list, 40 properties, 100 a page", "hubspot", lists, b'"createdAt"'),
    ("HubSpot search, 200 a page", "hubspot", searches, b'"createdAt"'),
    ("HubSpot batch read, 40 properties, 100 a call", "hubspot", batches, b'"createdAt"'),
    ("HubSpot associations, 1,000 a call", "hubspot", links, b'"toObjectId"'),
    ("HubSpot page views, 1,000 a page", "hubspot", visits, b'"occurredAt"'),
    ("Salesforce query, leads, 2,000 a page", "salesforce", queries(LEADS), b'"attributes"'),
    ("Salesforce query, tasks, 2,000 a page", "salesforce", queries(TASKS), b'"attributes"'),
    ("Salesforce Bulk 2.0, leads, 50,000 a page", "salesforce", bulk, b"\n"),
)


def rate(pages: Callable[[], Iterator[bytes]], mark: bytes, seconds: float) -> tuple[int, float]:
    """Read for some seconds and give the records, and the seconds it took."""
    records, began = 0, time.perf_counter()
    while True:
        for page in pages():
            records += page.count(mark)
            if time.perf_counter() - began > seconds:
                return records, time.perf_counter() - began


def started(people: int) -> tuple[SpawnProcess, Connection, Started]:
    """Start a server process and wait until it answers."""
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=serve, args=(people, there), daemon=True)
    process.start()
    if not here.poll(3600):
        raise SystemExit("the server did not start")
    first: Started = here.recv()
    return process, here, first


def command() -> float:
    """Start the sandbox as people do and give the seconds until its port answers."""
    began = time.perf_counter()
    here = [sys.executable, "sync.py", "sandbox", "--people", "2000", "--port", "0"]
    with subprocess.Popen(here, stdout=subprocess.PIPE, text=True) as process:
        lines = process.stdout or ()
        address = next(word for line in lines for word in line.split() if word.startswith("http"))
        while not _answers(address):
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        process.terminate()
    return seconds


def _answers(address: str) -> bool:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b"GET /services/data HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return line.recv(12) == b"HTTP/1.1 200"


def told(pipe: Connection) -> tuple[float, float, float]:
    """Ask a server for its seconds of CPU, and its megabytes, now and at most."""
    pipe.send("measure")
    figures: tuple[float, float, float] = pipe.recv()
    return figures


def stop(process: SpawnProcess, pipe: Connection) -> None:
    """Stop a server."""
    pipe.send("stop")
    process.join()


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--people", type=int, default=1_000_000)
    asked.add_argument("--seconds", type=float, default=3)
    asked.add_argument("--only-pages", action="store_true", help="measure no start")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("ONEFUNNEL_WORLDS", folder)
        for what in () if given.only_pages else ("made", "read from the cache"):
            print(f"2,000 people, {what}: serving after {command():.2f} s, all imports counted")
        process, pipe, (url, hubspot, salesforce, seconds, now, most) = started(given.people)
        print(f"{given.people:,} people: serving after {seconds:.0f} s, {now:,.0f} MB resident")
        print(f"  (at most {most:,.0f} MB until then)")
        for name, crm, pages, mark in KINDS:
            client = Client(url, hubspot if crm == "hubspot" else salesforce)
            next(pages(client), None)
            busy = told(pipe)[0]
            records, took = rate(partial(pages, client), mark, given.seconds)
            busy = told(pipe)[0] - busy
            print(
                f"{name}: {records / took:,.0f} records a second; "
                f"{records / busy:,.0f} in a second of the server's CPU"
            )
        _, now, most = told(pipe)
        print(f"{now:,.0f} MB resident in the end, at most {most:,.0f} MB")
        stop(process, pipe)


if __name__ == "__main__":
    main()
