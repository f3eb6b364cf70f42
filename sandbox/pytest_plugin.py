"""A fixture for anybody's tests: `pytest_plugins = ["sandbox.pytest_plugin"]` in a conftest.py."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sandbox.faults import Fault
from sandbox.server import Sandbox, running


@pytest.fixture
def crms() -> Iterator[Callable[..., Sandbox]]:
    """Start both CRMs: `crms(people=50, seed=7, faults=[Fault(...)], world="texts")`.

    Takes what `running` takes; they stop when the test ends.
    """
    with ExitStack() as started:

        def start(*, faults: tuple[Fault, ...] | list[Fault] = (), **options: Any) -> Sandbox:
            asked = {"people": 20, "seed": 7} | options
            sandbox = started.enter_context(running(**asked))
            for fault in faults:
                sandbox.faults.plan(fault)
            return sandbox

        yield start
