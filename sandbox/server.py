"""Both CRMs on one loopback port: `running` for tests, `serve` for people.

HubSpot answers under its own paths (/crm, /oauth, /account-info, /email, /form-integrations,
/marketing, /events), Salesforce under /services, and /_sandbox plans faults and counts calls.
"""

import re
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

from sandbox.cache import kept
from sandbox.faults import (
    CuttableProtocol,
    Fault,
    Faults,
    FaultyNetwork,
    control_routes,
    not_understood,
)
from sandbox.header_case import VendorsSpelling
from sandbox.hubspot.api import hubspot, nowhere
from sandbox.hubspot.records import Account
from sandbox.hubspot.store import HubSpotStore
from sandbox.mutations import Edit, apply_edit
from sandbox.salesforce.api import salesforce
from sandbox.salesforce.records import Org
from sandbox.salesforce.rows import Tables
from sandbox.salesforce.store import SalesforceStore
from sandbox.scenarios import WORLDS
from sandbox.seed.people import Everybody, Person

HOST: Final = "127.0.0.1"
_SETTLED_AFTER: Final = 5000
"""How many people are unpacked at a time while a world is made."""

_ANY_METHOD: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_DATED: Final = re.compile(r"^/([a-z-]+)(?:/([a-z-]+))?/\d{4}-\d{2}(?=/|$)")


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox: where it is, how to log in, and what it holds."""

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
        """Let the clocks of both CRMs be wrong by so many seconds, in headers and time stamps."""
        self.faults.skew_seconds = self.hubspot.skew_seconds = seconds
        self.salesforce.clock = lambda: datetime.now(UTC) + timedelta(seconds=seconds)

    @property
    def hubspot_refresh_token(self) -> str:
        """The refresh token HubSpot's /oauth/v1/token takes."""
        return self.hubspot.refresh_token


@contextmanager
def running(
    *,
    people: int,
    seed: int,
    now: datetime | None = None,
    port: int = 0,
    rate_limits: bool = True,
    world: str = "",
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Iterator[Sandbox]:
    """Serve a world on loopback in a thread of this process, until the block ends (port 0: any).

    The same people, seed and now (a UTC midnight, default the last one) give the same records.
    `world` names one of the hard ones in `sandbox.worlds`. `around` puts something in front of both
    CRMs, to watch or to change what is exchanged.
    """
    with socket.create_server((HOST, port)) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        sandbox, app = _make(
            url, people=people, seed=seed, now=now, rate_limits=rate_limits, world=world
        )
        server = uvicorn.Server(_config(around(app)))
        thread = threading.Thread(
            target=server.run, args=([listener],), name="sandbox", daemon=True
        )
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            yield sandbox
        finally:
            server.should_exit = True
            thread.join()


def serve(
    *, people: int, seed: int, port: int, world: str = "", faults: Iterable[Fault] = ()
) -> None:
    """Serve a world on loopback and print how to reach it, until interrupted (port 0: any)."""
    began = time.perf_counter()
    with socket.create_server((HOST, port)) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        sandbox, app = _make(url, people=people, seed=seed, now=None, rate_limits=True, world=world)
        for fault in faults:
            sandbox.faults.plan(fault)
        seconds = time.perf_counter() - began
        print(f"sandbox at {url} with {people:,} people, made or read in {seconds:.1f} s")
        print(f"  HubSpot token        {sandbox.hubspot_token}")
        print(f"  Salesforce client id {sandbox.client_id}")
        print(f"  Salesforce secret    {sandbox.client_secret}")
        print(f"  Salesforce refresh token {sandbox.salesforce.credentials.refresh_token}")
        print(f"  HubSpot refresh token    {sandbox.hubspot_refresh_token}", flush=True)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(_config(app)).run([listener])


def _make(
    url: str, *, people: int, seed: int, now: datetime | None, rate_limits: bool, world: str
) -> tuple[Sandbox, ASGIApp]:
    now = now or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    made = partial(_everything, people, seed, now)
    contents, tables = kept(f"{seed}-{now:%Y%m%d}", made, people=people)
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
    clock = Route("/_sandbox/clock", _clock(lambda: sandbox), methods=["POST"])
    known = [*hubspot_routes, *salesforce_routes, *control_routes(faults), clock]
    routes = [*known, Route("/{rest:path}", nowhere, methods=_ANY_METHOD)]
    mistakes = dict.fromkeys((AttributeError, KeyError, TypeError, ValueError), not_understood)
    served = Starlette(routes=routes, exception_handlers=mistakes)
    app = _OneSpelling(FaultyNetwork(served, routes=routes, faults=faults))
    sandbox = Sandbox(
        url=url,
        hubspot_token=hubspot_token,
        salesforce_token=salesforce_token,
        client_id=client_id,
        client_secret=client_secret,
        people=Everybody(people, seed, now),
        hubspot=hubspot_store,
        salesforce=salesforce_store,
        faults=faults,
    )
    faults.editor = lambda asked: apply_edit(Edit.model_validate(asked), sandbox)
    if world:
        WORLDS[world](sandbox, now)
    return sandbox, app


def _everything(people: int, seed: int, now: datetime) -> tuple[tuple[Any, ...], Tables]:
    """Make what both CRMs hold of these people."""
    account, org = Account(now), Org(now)
    for number, person in enumerate(Everybody(people, seed, now), 1):
        account.add(person)
        org.add(person)
        if number % _SETTLED_AFTER == 0:
            account.settle()
            org.settle()
    return account.contents(), org.tables()


def _clock(sandbox: Callable[[], Sandbox]) -> Any:
    async def endpoint(request: Request) -> Response:
        sandbox().skew_clocks(orjson.loads(await request.body())["skew_seconds"])
        return Response(status_code=204)

    return endpoint


class _OneSpelling:
    """Makes HubSpot's spellings of a path one: the date-versioned, and with a slash at the end."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and not path.startswith("/services"):
            plain = _DATED.sub(_versioned, path).rstrip("/")
            scope = {**scope, "path": plain, "original_path": path}
        await self.app(scope, receive, send)


def _versioned(dated: re.Match[str]) -> str:
    root, area = dated[1], dated[2]
    version = "v4" if area == "associations" else "v3"
    return f"/{root}/{version}/{area}" if area else f"/{root}/{version}"


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        VendorsSpelling(app),
        http=CuttableProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        date_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
    )
