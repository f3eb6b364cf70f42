"""`apply --limit` divides the records among the CRMs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writeback.apply import share_limit


@pytest.mark.parametrize(
    ("records", "limit", "shares"),
    [
        pytest.param([10, 10], None, [10, 10], id="no limit"),
        pytest.param([10, 10], 4, [2, 2], id="evenly"),
        pytest.param([1, 10], 6, [1, 5], id="more where another has fewer"),
        pytest.param([0, 10], 6, [0, 6], id="one CRM has nothing to write"),
        pytest.param([2, 3], 9, [2, 3], id="all fit"),
        pytest.param([10, 10], 1, [0, 1], id="one record"),
    ],
)
def test_a_limit_is_divided(records, limit, shares):
    assert share_limit(records, limit) == shares


@given(st.lists(st.integers(0, 50), min_size=1, max_size=4), st.integers(1, 100))
def test_a_limit_is_used_up_and_never_exceeded(records, limit):
    shares = share_limit(records, limit)

    assert sum(shares) == min(limit, sum(records))
    assert all(share <= count for share, count in zip(shares, records, strict=True))
