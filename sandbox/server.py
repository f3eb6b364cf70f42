"""Both CRMs on one loopback port: `running` for tests, `serve` for the command line.

HubSpot has its own paths (/crm, /oauth, /account-info, /email, /form-integrations, /marketing,
/events), Salesforce has /services. /_sandbox plans faults and counts calls.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import uuid4

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.cache import load_or_make
from sandbox.faults import (
    DroppableProtocol,
    Fault,
    FaultInjection,
    Faults,
    control_error,
    control_routes,
)
from sandbox.header_case import VendorHeaderCase
from sandbox.hubspot.api import hubspot, not_found_page
from sandbox.hubspot.records import Account
from sandbox.hubspot.store import HubSpotStore
from sandbox.hubspot.versions import numbered_path
from sandbox.mutations import Edit, apply_edit
from sandbox.salesforce.api import salesforce
from sandbox.salesforce.records import Org
from sandbox.salesforce.rows import Tables
from sandbox.salesforce.store import SalesforceStore
from sandbox.scenarios import SCENARIOS
from sandbox.seed.people import People, Person

HOST: Final = "127.0.0.1"
_PACK_EVERY: Final = 5000
"""Number of people whose records are held uncompressed while the data is generated."""

_GRACEFUL_SECONDS: Final = 2
_ANY_METHOD: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox: its URL, its credentials, and its data."""

    url: str
    hubspot_token: str
    salesforce_token: str
    client_id: str
    client_secret: str
    people: Sequence[Person] = field(repr=False)
    hubspot: HubSpotStore = field(repr=False)
    salesforce: SalesforceStore = field(repr=False)
    faults: Faults = field(repr=False)

    def skew_clocks(self, seconds: float) -> None:
        """Set the clocks of both CRMs wrong by `seconds`, in headers and in time stamps."""
        self.faults.skew_seconds = self.hubspot.skew_seconds = seconds
        self.salesforce.clock = lambda: datetime.now(UTC) + timedelta(seconds=seconds)

    @property
    def hubspot_refresh_token(self) -> str:
        """The refresh token that HubSpot's /oauth/v1/token accepts."""
        return self.hubspot.refresh_token


@contextmanager
def running(
    *,
    people: int,
    seed: int,
    now: datetime | None = None,
    port: int = 0,
    rate_limits: bool = True,
    scenario: str = "",
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Iterator[Sandbox]:
    """Serve both CRMs on loopback in a thread of this process, until the block ends.

    people, seed, now: the same values give the same records. `now` is a UTC midnight, by default
        the last one.
    port: 0 takes any free port.
    rate_limits: False only counts calls.
    scenario: one of `sandbox.scenarios.SCENARIOS`; empty for ordinary data.
    around: wraps the ASGI application, to record or to change requests and responses.

    Raises: ValueError for an unknown scenario; OSError if the port is in use.
    """
    with socket.create_server((HOST, port)) as listener:
        sandbox, app = _build(
            _url(listener),
            people=people,
            seed=seed,
            now=now,
            rate_limits=rate_limits,
            scenario=scenario,
        )
        server = _StoppableServer(_config(around(app)))
        thread = threading.Thread(
            target=server.run, args=([listener],), name="sandbox", daemon=True
        )
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            yield sandbox
        finally:
            server.stop()
            thread.join()


def serve(
    *, people: int, seed: int, port: int, scenario: str = "", faults: Iterable[Fault] = ()
) -> None:
    """Serve both CRMs on loopback, print the URL and the credentials, and run until Ctrl-C.

    Raises: ValueError for an unknown scenario; OSError if the port is in use (port 0: any free).
    """
    started_at = time.perf_counter()
    with socket.create_server((HOST, port)) as listener:
        url = _url(listener)
        sandbox, app = _build(
            url, people=people, seed=seed, now=None, rate_limits=True, scenario=scenario
        )
        for fault in faults:
            sandbox.faults.plan(fault)
        seconds = time.perf_counter() - started_at
        print(f"sandbox at {url} with {people:,} people (started in {seconds:.1f} s)")
        print(f"  HubSpot token        {sandbox.hubspot_token}")
        print(f"  Salesforce client id {sandbox.client_id}")
        print(f"  Salesforce secret    {sandbox.client_secret}")
        print(f"  Salesforce refresh token {sandbox.salesforce.credentials.refresh_token}")
        print(f"  HubSpot refresh token    {sandbox.hubspot_refresh_token}", flush=True)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(_config(app)).run([listener])


def _url(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


def _build(
    url: str, *, people: int, seed: int, now: datetime | None, rate_limits: bool, scenario: str
) -> tuple[Sandbox, ASGIApp]:
    if scenario and scenario not in SCENARIOS:
        raise ValueError(f"unknown scenario {scenario!r}; choose one of {', '.join(SCENARIOS)}")
    now = now or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    generate = partial(_generate, people, seed, now)
    contents, tables = load_or_make(f"{seed}-{now:%Y%m%d}", generate, people=people)
    hubspot_token, salesforce_token = f"pat-sandbox-{uuid4()}", f"00Dsandbox!{uuid4()}"
    client_id, client_secret = f"client-sandbox-{uuid4()}", f"secret-sandbox-{uuid4()}"
    hubspot_routes, hubspot_store = hubspot(
        contents,
        now=now,
        access_token=hubspot_token,
        client_id=client_id,
        client_secret=client_secret,
        rate_limits=rate_limits,
    )
    salesforce_routes, salesforce_store = salesforce(
        tables,
        access_token=salesforce_token,
        client_id=client_id,
        client_secret=client_secret,
        rate_limits=rate_limits,
    )
    faults = Faults(seed)
    sandbox = Sandbox(
        url=url,
        hubspot_token=hubspot_token,
        salesforce_token=salesforce_token,
        client_id=client_id,
        client_secret=client_secret,
        people=People(people, seed, now),
        hubspot=hubspot_store,
        salesforce=salesforce_store,
        faults=faults,
    )
    faults.editor = lambda edit: apply_edit(Edit.model_validate(edit), sandbox)
    routes = [
        *hubspot_routes,
        *salesforce_routes,
        *control_routes(faults),
        Route("/_sandbox/clock", _clock_endpoint(sandbox), methods=["POST"]),
        Route("/{rest:path}", not_found_page, methods=_ANY_METHOD),
    ]
    handlers = dict.fromkeys((AttributeError, KeyError, TypeError, ValueError), control_error)
    api = Starlette(routes=routes, exception_handlers=handlers)
    if scenario:
        SCENARIOS[scenario](sandbox, now)
    return sandbox, _NormalizedPath(FaultInjection(api, routes=routes, faults=faults))


def _generate(people: int, seed: int, now: datetime) -> tuple[tuple[Any, ...], Tables]:
    """Generate the records of these people in both CRMs."""
    account, org = Account(now), Org(now)
    for number, person in enumerate(People(people, seed, now), 1):
        account.add(person)
        org.add(person)
        if number % _PACK_EVERY == 0:
            account.pack()
            org.pack()
    return account.contents(), org.tables()


def _clock_endpoint(sandbox: Sandbox) -> Any:
    async def endpoint(request: Request) -> Response:
        sandbox.skew_clocks(orjson.loads(await request.body())["skew_seconds"])
        return Response(status_code=204)

    return endpoint


class _NormalizedPath:
    """ASGI middleware that maps HubSpot's variants of a path to one: date versions, end slash."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and not path.startswith("/services"):
            normalized = numbered_path(path.rstrip("/"))
            scope = {**scope, "path": normalized, "original_path": path}
        await self.app(scope, receive, send)


class _StoppableServer(uvicorn.Server):
    """A server that another thread stops within milliseconds.

    uvicorn polls for a stop ten times a second and then sleeps again: 0.2 seconds a test.
    """

    def stop(self) -> None:
        """Stop serving. Requests in progress get two seconds; idle connections are closed."""
        self.should_exit = True
        if self.started:
            self._loop.call_soon_threadsafe(self._stop_requested.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop_requested = asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._stop_requested.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in (*self.servers, *(sockets or ())):
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_GRACEFUL_SECONDS)


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        VendorHeaderCase(app),
        http=DroppableProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        date_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
