"""Several calls on their way at a time: a CRM takes its time to answer, and allows several."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

T = TypeVar("T")

MAX_CONCURRENCY = 8
"""At 190 calls in 10 s and 400 ms an answer so many are on their way; faster ones need fewer."""


_concurrency = ContextVar("at_once", default=MAX_CONCURRENCY)


@contextmanager
def sequential() -> Iterator[None]:
    """Let every call inside wait for the one before: for those who watch the wire."""
    before = _concurrency.set(1)
    try:
        yield
    finally:
        _concurrency.reset(before)


def max_concurrency() -> int:
    """Say how many calls may be on their way."""
    return _concurrency.get()


def map_ordered(calls: Iterable[Callable[[], T]], *, limit: int = MAX_CONCURRENCY) -> Iterator[T]:
    """Have some calls on their way and give the answers in the order of the calls."""
    at_once = min(max_concurrency(), limit)
    with ThreadPoolExecutor(at_once) as threads:
        flying: deque[Future[T]] = deque()
        try:
            for call in calls:
                flying.append(submit(threads, call))
                if len(flying) >= at_once:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def submit(threads: ThreadPoolExecutor, call: Callable[[], T]) -> "Future[T]":
    """Make a call in another thread, where the same waits or does not wait as here."""
    return threads.submit(copy_context().run, call)
