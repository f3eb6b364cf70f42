"""Several calls on their way at a time: a CRM takes its time to answer, and allows several."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 8
"""At 190 calls in 10 s and 400 ms an answer so many are on their way; faster ones need fewer."""


_at_once = ContextVar("at_once", default=AT_ONCE)


@contextmanager
def one_by_one() -> Iterator[None]:
    """Let every call inside wait for the one before: for those who watch the wire."""
    before = _at_once.set(1)
    try:
        yield
    finally:
        _at_once.reset(before)


def most() -> int:
    """Say how many calls may be on their way."""
    return _at_once.get()


def ahead(calls: Iterable[Callable[[], T]], *, at_most: int = AT_ONCE) -> Iterator[T]:
    """Have some calls on their way and give the answers in the order of the calls."""
    at_once = min(most(), at_most)
    with ThreadPoolExecutor(at_once) as threads:
        flying: deque[Future[T]] = deque()
        try:
            for call in calls:
                flying.append(launch(threads, call))
                if len(flying) >= at_once:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def launch(threads: ThreadPoolExecutor, call: Callable[[], T]) -> "Future[T]":
    """Make a call in another thread, where the same waits or does not wait as here."""
    return threads.submit(copy_context().run, call)
