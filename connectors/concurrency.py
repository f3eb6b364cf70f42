"""Several API calls at a time, in threads, because a CRM answers slowly and allows several."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

T = TypeVar("T")

MAX_CONCURRENCY = 8
"""HubSpot allows 190 calls in 10 s: at 400 ms a call that is about 8 calls at a time."""


_concurrency = ContextVar("concurrency", default=MAX_CONCURRENCY)


@contextmanager
def sequential() -> Iterator[None]:
    """Make all calls inside one after the other, for recordings and tests."""
    before = _concurrency.set(1)
    try:
        yield
    finally:
        _concurrency.reset(before)


def max_concurrency() -> int:
    """Return the number of calls allowed at a time."""
    return _concurrency.get()


def map_ordered(calls: Iterable[Callable[[], T]], *, limit: int = MAX_CONCURRENCY) -> Iterator[T]:
    """Make up to `limit` calls at a time and yield the results in the order of the calls."""
    workers = min(max_concurrency(), limit)
    with ThreadPoolExecutor(workers) as threads:
        futures: deque[Future[T]] = deque()
        try:
            for call in calls:
                futures.append(submit(threads, call))
                if len(futures) >= workers:
                    yield futures.popleft().result()
            while futures:
                yield futures.popleft().result()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def submit(threads: ThreadPoolExecutor, call: Callable[[], T]) -> "Future[T]":
    """Make a call in another thread, with the context variables of this thread."""
    return threads.submit(copy_context().run, call)
