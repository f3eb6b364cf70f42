"""Fixtures of the connector tests: a sandbox of their own, and a warehouse per CRM."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import GARBAGE_COLLECTION
from connector_helpers import ExtractHarness, small_sandbox
from sandbox.server import Sandbox

gc.set_threshold(*GARBAGE_COLLECTION)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with small_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def hubspot(tmp_path: Path) -> ExtractHarness:
    return ExtractHarness("hubspot", tmp_path)


@pytest.fixture
def salesforce(tmp_path: Path) -> ExtractHarness:
    return ExtractHarness("salesforce", tmp_path)
