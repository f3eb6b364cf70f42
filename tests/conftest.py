"""Fixtures of the connector tests: a sandbox of their own, and a warehouse per CRM."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import GARBAGE_COLLECTION
from connector_helpers import ExtractHarness, small_sandbox
from sandbox.server import Sandbox

gc.set_threshold(*GARBAGE_COLLECTION)

SET_ONCE = {"PYTEST_CURRENT_TEST", "SCHEMA__NAMING", "PYTHONPATH"}
"""What pytest, `run_dlt` and the fork server of the crash tests set for the whole process."""


@pytest.fixture(autouse=True)
def environment_is_restored() -> Iterator[None]:
    """A test that leaves a setting behind makes a later one fail, and not in every order."""
    before = dict(os.environ)
    yield
    left = {name for name, value in os.environ.items() if before.get(name) != value}
    assert left <= SET_ONCE, f"left in the environment: {sorted(left - SET_ONCE)}"


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
