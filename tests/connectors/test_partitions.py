"""A list read from several places at once holds what the list holds, whatever HubSpot does."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.hubspot.partitions import read_partitions
from errors import RejectedError, SyncError

PAGE = 3


class List:
    """A list of ids with pages of three; its cursor is the next id, or an opaque word."""

    def __init__(self, ids: set[int], *, guess: str = "is taken") -> None:
        self.ids = sorted(ids)
        self.asked: list[str | None] = []
        self._guess = guess
        self._lock = Lock()

    def page(self, after: str | None) -> dict[str, Any]:
        with self._lock:
            self.asked.append(after)
        start = self._start(after)
        records = [{"id": str(one)} for one in self.ids if one >= start]
        answer: dict[str, Any] = {"results": records[:PAGE]}
        if len(records) > PAGE:
            cursor = int(records[PAGE - 1]["id"]) + 1
            mark = "" if self._guess == "is taken" else "c"
            answer["paging"] = {"next": {"after": f"{mark}{cursor}"}}
        return answer

    def _start(self, after: str | None) -> int:
        if after is None:
            return 0
        if after.startswith("c") or self._guess == "is taken":
            return int(after.removeprefix("c"))
        if self._guess == "is refused":
            raise RejectedError("no such cursor", code="400")
        return {"is ignored": 0, "leads too far": int(after) + 40}[self._guess]

    def newest(self) -> int:
        return self.ids[-1]


def read(page: Callable[[str | None], Any], of: List, at: Any = None) -> list[int]:
    return [int(row["id"]) for rows, _ in read_partitions(page, at, of.newest) for row in rows]


@given(
    st.sets(st.integers(1, 3000), max_size=300),
    st.sampled_from(["is taken", "is refused", "is ignored", "leads too far"]),
)
@settings(max_examples=40, deadline=None)
def test_every_record_is_read_exactly_once(ids: set[int], guess: str) -> None:
    """Whether or not an id is a cursor, and wherever the gaps between ids are."""
    whole = List(ids, guess=guess)

    assert sorted(read(whole.page, whole)) == sorted(ids)


@given(st.sets(st.integers(1, 3000), min_size=1, max_size=200), st.integers(0, 60))
@settings(max_examples=25, deadline=None)
def test_a_reading_that_broke_off_goes_on_from_its_position(ids: set[int], taken: int) -> None:
    """With each of its readers; nothing is read twice and nothing is left out."""
    whole = List(ids)
    pages = read_partitions(whole.page, None, whole.newest)
    before = [page for page, _ in zip(pages, range(taken), strict=False)]
    pages.close()
    at = before[-1][1] if before else None
    is_over = bool(before) and at is None

    after = [] if is_over else read(whole.page, whole, at)

    assert sorted([int(row["id"]) for rows, _ in before for row in rows] + after) == sorted(ids)


def test_a_long_list_is_read_from_several_places() -> None:
    """Readers begin in the middle of what is left."""
    whole = List(set(range(1, 3000, 7)))

    read(whole.page, whole)

    steps = [
        abs(int(b or 0) - int(a or 0)) for a, b in zip(whole.asked, whole.asked[1:], strict=False)
    ]
    assert max(steps) > 1000


def test_a_page_that_names_itself_as_the_next_is_an_error() -> None:
    """Reading it without end would be another."""
    whole = List({1, 2})
    stuck = {"results": [{"id": "1"}], "paging": {"next": {"after": "2"}}}

    with pytest.raises(SyncError, match="same page"):
        read(lambda _: stuck, whole)


def test_pages_that_lead_round_in_a_circle_are_an_error() -> None:
    """As the one that names itself is."""
    circle = {None: "2", "2": "3", "3": "2"}

    def page(after: str | None) -> dict[str, Any]:
        return {"results": [{"id": "1"}], "paging": {"next": {"after": circle[after]}}}

    with pytest.raises(SyncError, match="same page"):
        read(page, List({1, 2}))


def test_a_list_whose_every_cursor_is_forgotten_is_an_error() -> None:
    """It is started again while that brings new rows."""
    whole = List(set(range(1, 12)))

    def page(after: str | None) -> dict[str, Any]:
        if after:
            raise RejectedError("no such cursor", code="400")
        return whole.page(after)

    with pytest.raises(RejectedError, match="no such cursor"):
        read(page, whole)


def test_a_short_list_asks_for_nothing_more() -> None:
    """Not even for the newest id."""
    whole = List({1, 2, 3})

    assert list(read_partitions(whole.page, None, lambda: 1 // 0)) == [
        ([{"id": "1"}, {"id": "2"}, {"id": "3"}], None)
    ]
