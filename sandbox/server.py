"""Both CRMs on one loopback port: `running` for tests, `serve` for people.

HubSpot answers under its own paths (/crm, /oauth, /account-info, /email, /form-integrations,
/marketing, /events), Salesforce under /services, and /_sandbox plans faults and counts calls.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.faults import CuttableProtocol, Faults, FaultyNetwork, control_routes
from sandbox.hubspot.api import hubspot
from sandbox.hubspot.store import HubSpotStore
from sandbox.people import Person, make_people
from sandbox.salesforce.api import salesforce
from sandbox.salesforce.store import SalesforceStore

HOST: Final = "127.0.0.1"
_DATED: Final = re.compile(r"^/crm/([a-z-]+)/\d{4}-\d{2}(?=/)")


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox: where it is, how to log in, and what it holds."""

    url: str
    hubspot_token: str
    salesforce_token: str
    client_id: str
    client_secret: str
    people: list[Person] = field(repr=False)
    hubspot: HubSpotStore = field(repr=False)
    salesforce: SalesforceStore = field(repr=False)
    faults: Faults = field(repr=False)

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
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Iterator[Sandbox]:
    """Serve a world on loopback in a thread of this process, until the block ends (port 0: any).

    The same people, seed and now (a UTC midnight, default the last one) give the same records.
    `around` puts something in front of both CRMs, to watch or to change what is exchanged.
    """
    with socket.create_server((HOST, port)) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        sandbox, app = _make(url, people=people, seed=seed, now=now, rate_limits=rate_limits)
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


def serve(*, people: int, seed: int, port: int) -> None:
    """Serve a world on loopback and print how to reach it, until interrupted (port 0: any)."""
    with socket.create_server((HOST, port)) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        sandbox, app = _make(url, people=people, seed=seed, now=None, rate_limits=True)
        print(f"sandbox at {url} with {people} people")
        print(f"  HubSpot token        {sandbox.hubspot_token}")
        print(f"  Salesforce client id {sandbox.client_id}")
        print(f"  Salesforce secret    {sandbox.client_secret}", flush=True)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(_config(app)).run([listener])


def _make(
    url: str, *, people: int, seed: int, now: datetime | None, rate_limits: bool
) -> tuple[Sandbox, ASGIApp]:
    now = now or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    world = make_people(people, seed, now)
    hubspot_token, salesforce_token = f"pat-sandbox-{uuid4()}", f"00Dsandbox!{uuid4()}"
    client_id, client_secret = f"client-sandbox-{uuid4()}", f"secret-sandbox-{uuid4()}"
    hubspot_routes, hubspot_store = hubspot(
        world,
        now=now,
        access_token=hubspot_token,
        client_id=client_id,
        client_secret=client_secret,
        rate_limits=rate_limits,
    )
    salesforce_routes, salesforce_store = salesforce(
        world,
        now=now,
        access_token=salesforce_token,
        client_id=client_id,
        client_secret=client_secret,
        rate_limits=rate_limits,
    )
    faults = Faults()
    routes = [*hubspot_routes, *salesforce_routes, *control_routes(faults)]
    app = _OneSpelling(FaultyNetwork(Starlette(routes=routes), routes=routes, faults=faults))
    sandbox = Sandbox(
        url=url,
        hubspot_token=hubspot_token,
        salesforce_token=salesforce_token,
        client_id=client_id,
        client_secret=client_secret,
        people=world,
        hubspot=hubspot_store,
        salesforce=salesforce_store,
        faults=faults,
    )
    return sandbox, app


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
    area = dated[1]
    return f"/crm/v4/{area}" if area == "associations" else f"/crm/v3/{area}"


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=CuttableProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
    )
