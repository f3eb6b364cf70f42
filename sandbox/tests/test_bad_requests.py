"""Invalid requests get an error response; none of them breaks the sandbox."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
import requests

from sandbox.hubspot.routes import ROUTES
from sandbox.server import Sandbox, running

REST = "/services/data/v60.0"
ODD = "limit=x&count=x&offset=x&after=x&since=x&vidOffset=x&timeOffset=x&startTimestamp=x"
BODIES: tuple[Any, ...] = (
    {},
    [],
    {"inputs": [{}]},
    {"inputs": [{"id": "x", "from": {"id": "x"}, "to": {"id": "x"}, "types": [], "type": "x"}]},
    {"inputs": [{"from": {"id": "x"}, "to": [{"id": "x"}]}]},
    {"properties": [{"name": "x", "property": "x", "value": "x"}]},
    {"properties": {}, "associations": [{"to": {"id": "x"}, "types": []}]},
    {"fromObjectId": "x", "toObjectId": "x", "definitionId": "x"},
    {"engagement": {"type": "NOTE", "timestamp": "x"}, "associations": {"contactIds": [1]}},
)
HUBSPOT = sorted(
    {(method, re.sub(r"\{(?!object|to_object)\w+\}", "abc", path)) for method, path, *_ in ROUTES}
)
SALESFORCE = (
    "/query?q=SELECT Address FROM Lead ORDER BY Address",
    "/query?q=SELECT COUNT(Id) FROM Lead GROUP BY Address",
    "/query?q=SELECT Id FROM Lead LIMIT x",
    "/query?explain=x",
    "/search?q=FIND {abc} RETURNING Lead(Id LIMIT x)",
    "/parameterizedSearch?q=abc&sobject=Lead&Lead.limit=x",
    "/sobjects/Lead/updated?start=x&end=y",
    "/composite/sobjects/Lead?ids=x&fields=x",
    "/jobs/query/x/results?locator=x&maxRecords=x",
)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with running(people=20, seed=11, now=now, rate_limits=False) as sandbox:
        yield sandbox


@pytest.mark.parametrize(("method", "path"), HUBSPOT)
def test_hubspot_returns_an_error(box: Sandbox, method: str, path: str) -> None:
    """For invalid numbers, bodies of any shape, and unknown objects."""
    headers = {"Authorization": f"Bearer {box.hubspot_token}"}
    paths = [re.sub(r"\{\w+\}", name, path) for name in ("contacts", "nothing")]
    bodies = (None,) if method in ("GET", "DELETE") else BODIES
    statuses = {
        requests.request(
            method, f"{box.url}{one}?{ODD}", json=body, headers=headers, timeout=10
        ).status_code
        for one, body in product(paths, bodies)
    }

    assert max(statuses) < 500


@pytest.mark.parametrize("path", SALESFORCE)
def test_salesforce_returns_an_error(box: Sandbox, path: str) -> None:
    """With 400, or 404 for unknown records."""
    headers = {"Authorization": f"Bearer {box.salesforce_token}"}
    answer = requests.get(box.url + REST + path, headers=headers, timeout=10)

    assert answer.status_code in (200, 400, 404)
    assert isinstance(answer.json(), list)
