"""The pytest fixture `crms`; pytest finds it if the distribution is installed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sandbox.faults import Fault
from sandbox.server import Sandbox, running


@pytest.fixture
def crms() -> Iterator[Callable[..., Sandbox]]:
    """Start both CRMs: `crms(people=50, seed=7, faults=[Fault(...)], scenario="texts")`.

    It has the options of `sandbox.server.running`. The servers stop when the test ends.
    """
    with ExitStack() as started:

        def start(*, faults: tuple[Fault, ...] | list[Fault] = (), **options: Any) -> Sandbox:
            sandbox = started.enter_context(running(**{"people": 20, "seed": 7} | options))
            for fault in faults:
                sandbox.faults.plan(fault)
            return sandbox

        yield start
