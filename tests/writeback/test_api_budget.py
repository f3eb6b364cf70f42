"""The calls of the day: how many a plan needs, and how many are left for others."""

from collections import Counter
from types import SimpleNamespace

import pytest

from connectors import connector
from errors import ConfigError
from models import WriteVolume
from writeback.api_budget import api_budget, load_reserve


def client(left=None, a_day=None, *, bulk_min_records=5_000):
    """A client that knows these limits of its CRM; None: the CRM reports none."""
    return SimpleNamespace(
        calls_remaining=left,
        daily_limit=a_day,
        bulk_min_records=bulk_min_records,
        api_calls=Counter(),
    )


def budget(left, a_day, *, reserve, records=1_000):
    hubspot = connector("hubspot")
    return api_budget("hubspot", hubspot, client(left, a_day), WriteVolume(records), reserve)


def test_nothing_to_write_needs_no_call_that_is_left():
    """A run without changes, on a day whose calls are nearly used up."""
    found = budget(50, 1_000, reserve=0.1, records=0)

    assert (found.needed, found.max_records) == (0, 0)


@pytest.mark.parametrize(
    ("crm", "load", "calls"),
    [
        pytest.param("hubspot", WriteVolume(0), 0, id="nothing"),
        pytest.param("hubspot", WriteVolume(250), 6, id="three batches, looked at and written"),
        pytest.param(
            "hubspot",
            WriteVolume(250, 250, 101),
            10,
            id="and two that are emptied, and looked at again",
        ),
        pytest.param("salesforce", WriteVolume(2_001), 13, id="batches of 200"),
        pytest.param("salesforce", WriteVolume(20_000), 20, id="one job"),
    ],
)
def test_calls_are_counted_by_the_batches_of_each_crm(crm, load, calls):
    """Before the first of them is made."""
    assert api_budget(crm, connector(crm), client(), load, 0).needed == calls


@pytest.mark.parametrize(
    ("left", "a_day", "kept", "affordable"),
    [
        pytest.param(10_000, 100_000, 0.05, 1_000, id="enough"),
        pytest.param(10_000, 100_000, 0.1, 0, id="only the reserve is left"),
        pytest.param(10_010, 100_000, 0.1, 500, id="enough for half of them"),
        pytest.param(110, 100_000, 100, 500, id="the reserve is a number of calls"),
        pytest.param(5, 100_000, 0, 250, id="no reserve: until the last call"),
        pytest.param(None, None, 0.1, 1_000, id="unknown: until the CRM refuses"),
    ],
)
def test_as_many_records_are_written_as_the_reserve_leaves_calls_for(left, a_day, kept, affordable):
    """1,000 records of HubSpot need 20 calls."""
    assert budget(left, a_day, reserve=kept).max_records == affordable


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_reserve_that_is_none_is_refused(monkeypatch, text):
    """The setting is named."""
    monkeypatch.setenv("QUOTA__RESERVE", text)

    with pytest.raises(ConfigError, match="QUOTA__RESERVE"):
        load_reserve()
