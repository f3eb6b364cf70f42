"""What the connector tests find by name: a world that nobody else changes, a warehouse per CRM."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector_helpers import Warehouse, world
from sandbox.server import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with world() as sandbox:
        yield sandbox


@pytest.fixture
def hubspot(tmp_path: Path) -> Warehouse:
    return Warehouse("hubspot", tmp_path)


@pytest.fixture
def salesforce(tmp_path: Path) -> Warehouse:
    return Warehouse("salesforce", tmp_path)
